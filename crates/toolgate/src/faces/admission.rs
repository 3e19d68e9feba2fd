//! The extractor that every guarded route takes, and what a caller who is not let in is told.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;
use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::clients::{self, ClientRefused, Vouched};
use crate::auth::origin::Refused;
use crate::auth::{AuthError, Caller, Gatekeeper, Peer, Shown, jwt};
use crate::gateway::{Gateway, Snapshot};
use crate::identity::{Destination, NotLetIn};
use crate::telemetry::Denial;

/// A caller who was let in, with the configuration that let it in. A handler that takes this is guarded.
pub struct Admitted {
    /// Who.
    pub caller: Caller,
    /// The configuration that the whole request is served by.
    pub snapshot: Arc<Snapshot>,
}

/// Why a request was not let in, as a response.
#[derive(Debug)]
pub enum NotAdmitted {
    /// By what it showed.
    Auth(AuthError),
    /// By what is known of the key.
    Key(NotLetIn),
    /// By the program that it came from.
    Client(ClientRefused),
}

impl NotAdmitted {
    /// As the metrics name it.
    fn denial(&self) -> Denial {
        match self {
            Self::Auth(AuthError::Missing) => Denial::NoKey,
            Self::Auth(AuthError::Malformed(_)) => Denial::MalformedKey,
            Self::Auth(AuthError::Invalid { .. }) | Self::Key(NotLetIn::Unknown) => Denial::UnknownKey,
            Self::Key(NotLetIn::TooMany) => Denial::TooManyBadKeys,
            Self::Key(NotLetIn::Route(_)) => Denial::Route,
            Self::Key(NotLetIn::Customer(_)) => Denial::CustomerBlocked,
            Self::Key(NotLetIn::Unavailable(_)) => Denial::DatabaseUnavailable,
            Self::Client(_) => Denial::Client,
        }
    }
}

/// How the key is found in a request.
type Look = for<'h> fn(&'h Gatekeeper, &'h HeaderMap, Option<&str>) -> Result<Shown<'h>, AuthError>;

impl FromRequestParts<Gateway> for Admitted {
    type Rejection = NotAdmitted;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, NotAdmitted> {
        Self::counted(parts, gateway, Gatekeeper::look).await
    }
}

impl Admitted {
    /// Lets a management request in, whose query may name the key that it is about.
    ///
    /// # Errors
    /// [`NotAdmitted`].
    pub async fn for_management(parts: &mut Parts, gateway: &Gateway) -> Result<Self, NotAdmitted> {
        Self::counted(parts, gateway, Gatekeeper::look_for_management).await
    }

    /// Who is not let in is counted; who is, by what they then call.
    async fn counted(parts: &mut Parts, gateway: &Gateway, look: Look) -> Result<Self, NotAdmitted> {
        Self::showing(parts, gateway, look).await.inspect_err(|why| gateway.metrics.denied(why.denial()))
    }

    async fn showing(parts: &mut Parts, gateway: &Gateway, look: Look) -> Result<Self, NotAdmitted> {
        let snapshot = gateway.snapshot();
        let from = from(parts, &snapshot);
        let gatekeeper = &snapshot.gatekeeper;
        let shown = look(gatekeeper, &parts.headers, parts.uri.query()).map_err(NotAdmitted::Auth)?;
        let general = &snapshot.settings.general;
        let mut vouched = Vouched::Nothing;
        let mut bearer = None;
        let who = if shown.is_master {
            gateway.identity.master(from)
        } else {
            let token = std::str::from_utf8(shown.key).ok().filter(|text| jwt::is_token(text));
            match (&general.jwt, token) {
                (Some(settings), Some(token)) => {
                    let to = destination(parts);
                    let coming = gateway.identity.bearer(settings, token, from, to, chrono::Utc::now());
                    let found = Box::pin(coming).await.map_err(|why| not_let_in(why, &shown))?;
                    let who = found.who.clone();
                    let found = bearer.insert(found);
                    if let Some(field) = &settings.client_id {
                        vouched = Vouched::Claim { field, value: found.client.as_deref() };
                    }
                    who
                }
                _ => {
                    let coming = gateway.identity.holder(shown.key, from, destination(parts), chrono::Utc::now());
                    // In a box, since the master key's requests would carry its size.
                    Box::pin(coming).await.map_err(|why| not_let_in(why, &shown))?
                }
            }
        };
        if let Some(allowed) = &general.allowed_clients
            && destination(parts).is_mcp()
        {
            clients::check(allowed, vouched, &parts.headers).map_err(NotAdmitted::Client)?;
        }
        let named = bearer.as_ref().and_then(|bearer| bearer.customer.as_deref());
        let who = match customer(named, gatekeeper, parts, gateway)? {
            Some(customer) => {
                Box::pin(gateway.identity.for_customer(who, customer, from)).await.map_err(NotAdmitted::Key)?
            }
            None => who,
        };
        let mut caller = gatekeeper.caller(&parts.headers, &shown, who, from);
        if snapshot.wants_vaults {
            caller.vault = Box::pin(gateway.identity.vault(&caller.principal)).await;
        }
        Ok(Self { caller, snapshot })
    }
}

/// The customer that the token or else the request names, where there are any or may be some before what the request
/// opens has ended.
fn customer<'h>(
    named: Option<&'h str>,
    gatekeeper: &Gatekeeper,
    parts: &'h Parts,
    gateway: &Gateway,
) -> Result<Option<&'h str>, NotAdmitted> {
    if !gateway.identity.may_have_customers() {
        return Ok(None);
    }
    if named.is_some() {
        return Ok(named);
    }
    match gatekeeper.customer(&parts.headers) {
        Err(why) if gateway.identity.asks_for_customers() => Err(NotAdmitted::Auth(why)),
        // There is nobody whom it could name.
        Err(_) => Ok(None),
        Ok(named) => Ok(named),
    }
}

/// What the caller is told of what was shown.
fn not_let_in(why: NotLetIn, shown: &Shown<'_>) -> NotAdmitted {
    match why {
        NotLetIn::Unknown => NotAdmitted::Auth(shown.unknown()),
        why @ (NotLetIn::TooMany | NotLetIn::Route(_) | NotLetIn::Customer(_) | NotLetIn::Unavailable(_)) => {
            NotAdmitted::Key(why)
        }
    }
}

impl IntoResponse for NotAdmitted {
    fn into_response(self) -> Response {
        match &self {
            Self::Auth(AuthError::Missing) => unauthorized("Bearer"),
            Self::Auth(AuthError::Invalid { .. }) | Self::Key(NotLetIn::Unknown) => {
                unauthorized(r#"Bearer error="invalid_token""#)
            }
            Self::Auth(AuthError::Malformed(what)) => {
                detail(StatusCode::BAD_REQUEST, "malformed_credential", &what.to_string())
            }
            Self::Key(NotLetIn::TooMany) => later(detail(StatusCode::TOO_MANY_REQUESTS, "too_many_bad_keys", TOO_MANY)),
            Self::Key(NotLetIn::Route(refused)) => {
                detail(StatusCode::FORBIDDEN, "route_not_allowed", &refused.to_string())
            }
            Self::Key(NotLetIn::Customer(refusal)) => {
                detail(StatusCode::FORBIDDEN, "customer_blocked", &refusal.to_string())
            }
            Self::Key(NotLetIn::Unavailable(_)) => unavailable(),
            // LiteLLM's body for this one.
            Self::Client(why) => {
                let body = json!({ "error": "Forbidden", "details": why.to_string() });
                (StatusCode::FORBIDDEN, axum::Json(body)).into_response()
            }
        }
    }
}

/// The client's address. `None` is an external one.
pub(crate) fn from(parts: &Parts, snapshot: &Snapshot) -> Option<IpAddr> {
    let Peer(peer) = *parts.extensions.get()?;
    match &snapshot.settings.general.trusted_proxies {
        Some(proxies) => proxies.client(peer, &parts.headers),
        None => Some(peer),
    }
}

/// Where a request goes. What has not come by the table of routes may be used by no key that is bound to some.
fn destination(parts: &Parts) -> Destination<'_> {
    match parts.extensions.get::<Destination<'static>>() {
        Some(destination) => *destination,
        None => Destination {
            method: parts.method.as_str(),
            template: if parts.uri.path() == "/mcp" { "/mcp" } else { "" },
        },
    }
}

/// Whether the key is good cannot be said: neither yes nor no would be true.
fn unavailable() -> Response {
    let text = "the gateway cannot look the key up at the moment; send the request again";
    later(detail(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", text))
}

/// What an address is told from which too many bad keys came.
pub(crate) const TOO_MANY: &str = "too many requests without a valid key came from your address; check the key";

/// The same response, and when to come again.
pub(crate) fn later(mut response: Response) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    response
}

/// The same words whether the key is missing, unknown or, later, expired: LiteLLM's, with the fix.
fn unauthorized(challenge: &'static str) -> Response {
    let mut response = detail(
        StatusCode::UNAUTHORIZED,
        "authentication_required",
        "Authenticate with the gateway to use the MCP endpoint: send a valid key as `x-litellm-api-key: Bearer <key>` or `Authorization: Bearer <key>`.",
    );
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

/// A request that was refused for its `Host` or `Origin`.
#[must_use]
pub fn refused(why: &Refused) -> Response {
    match why {
        Refused::MalformedHost => detail(StatusCode::BAD_REQUEST, "invalid_host", &why.to_string()),
        Refused::HostNotAllowed(_) => detail(StatusCode::FORBIDDEN, "host_not_allowed", &why.to_string()),
        Refused::OriginNotAllowed(_) => detail(StatusCode::FORBIDDEN, "origin_not_allowed", &why.to_string()),
    }
}

/// A path that no route has.
pub async fn not_found() -> Response {
    detail(
        StatusCode::NOT_FOUND,
        "not_found",
        "nothing is served here; MCP clients connect to /mcp, or to /{server}/mcp for one server",
    )
}

/// A path that a route has, with another method; the router adds `Allow`.
pub async fn method_not_allowed() -> Response {
    detail(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path is served with the methods in `Allow` only")
}

/// LiteLLM's error body outside JSON-RPC: `{"detail": {"error", "message"}}`.
#[must_use]
pub fn detail(status: StatusCode, error: &str, message: &str) -> Response {
    (status, axum::Json(json!({ "detail": { "error": error, "message": message } }))).into_response()
}
