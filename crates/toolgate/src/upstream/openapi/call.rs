//! One call: an HTTP request and its answer.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, LOCATION, SET_COOKIE, USER_AGENT};
use http::{Method, Request, StatusCode};
use toolgate_client::Exchanged;
use toolgate_openapi::{Operation, Response, Rest, error_result};
use url::Url;

use super::{Loaded, RestApi, credentials, source};
use crate::config::settings::Transport;
use crate::upstream::Upstream;
use crate::upstream::ask::Ask;
use crate::upstream::deadline::Deadline;
use crate::upstream::error::{UpstreamError, Wait};
use crate::upstream::lane::{Lane, Wear};
use crate::upstream::status::Stage;
use crate::upstream::tries::Tries;

/// Redirects that are followed, on the API's own origin alone: the credential goes along.
const MOST_REDIRECTS: usize = 3;

/// What is read of an answer that is not shown whole, to be kept for whoever wants the rest.
const MOST_KEPT: usize = 32 * 1024 * 1024;

/// Headers of a request that say where it came from.
const TRACE: [&str; 3] = ["traceparent", "tracestate", "baggage"];

pub(super) struct Call<'c> {
    pub(super) upstream: &'c Upstream,
    pub(super) api: &'c Arc<RestApi>,
    pub(super) loaded: &'c Loaded,
    pub(super) operation: &'c Operation,
    pub(super) lane: &'c Lane,
    pub(super) ask: Ask<'c>,
    pub(super) deadline: Deadline,
    /// The client takes any JSON as `structuredContent`.
    pub(super) any_structure: bool,
}

/// A request that can be sent again.
struct Prepared {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl Call<'_> {
    /// The result of the call. What is wrong with the arguments, and what the API refuses, are results too.
    pub(super) async fn run(&self, arguments: &str) -> Result<String, UpstreamError> {
        let base = match &self.loaded.api.base {
            Ok(base) => base,
            Err(why) => return Ok(error_result(&format!("The API cannot be called: {why}"))),
        };
        let request = match self.operation.request(base, arguments) {
            Ok(request) => request,
            Err(why) => return Ok(error_result(&why.to_string())),
        };
        let prepared = match self.prepared(request) {
            Ok(prepared) => prepared,
            Err(why) => return Ok(error_result(&why)),
        };
        let _turn = self.upstream.turn(self.deadline).await?;
        let answer = self.sent(prepared).await?;
        Ok(self.shown(&answer))
    }

    fn prepared(&self, request: toolgate_openapi::Request) -> Result<Prepared, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no header"))?;
            let value = HeaderValue::from_bytes(value.as_bytes())
                .map_err(|_| format!("the value for the header `{name}` cannot be sent"))?;
            headers.append(name, value);
        }
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(concat!("toolgate/", env!("CARGO_PKG_VERSION"))));
        for name in TRACE {
            if let Some(value) = self.ask.headers.and_then(|headers| headers.get(name)) {
                headers.insert(name, value.clone());
            }
        }
        let (mut url, mut cookies) = (request.url, request.cookies);
        if let Wear::Headers(own) | Wear::Authorized(own) = &self.lane.outfit.wear {
            let mut own = own.clone();
            let settings = &self.upstream.settings;
            credentials::place(settings, &self.loaded.api, self.operation, &mut own, &mut url, &mut cookies);
            // What the gateway is configured to send is nobody's argument.
            for name in own.keys() {
                headers.remove(name);
            }
            headers.extend(own);
        }
        if !cookies.is_empty() {
            let mut all = headers.get(COOKIE).map(|value| value.as_bytes().to_vec()).unwrap_or_default();
            for cookie in cookies {
                if !all.is_empty() {
                    all.extend_from_slice(b"; ");
                }
                all.extend_from_slice(cookie.as_bytes());
            }
            let mut value = HeaderValue::from_bytes(&all).map_err(|_| "a cookie cannot be sent".to_owned())?;
            value.set_sensitive(true);
            headers.insert(COOKIE, value);
        }
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| error.to_string())?;
        Ok(Prepared { method, url, headers, body: request.body.unwrap_or_default().into() })
    }

    /// Sends the request, again where that is safe, and follows redirects that stay with the API.
    async fn sent(&self, mut request: Prepared) -> Result<Exchanged, UpstreamError> {
        let pool = &self.upstream.pool;
        let name = &self.upstream.settings.name;
        let limit = self.deadline.limit();
        let is_safe = matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let is_repeatable = self.ask.may_repeat || is_safe;
        let (mut tries, mut redirects) = (Tries::default(), 0);
        let mut passage = self.upstream.enter(self.deadline)?;
        let answers = pool.answers();
        let is_authorized = matches!(self.lane.outfit.wear, Wear::Authorized(_));
        let authorizer = pool.authorizer.as_ref().filter(|_| is_authorized);
        loop {
            let server = source::shown(request.url.as_str());
            let (client, http) = (&self.loaded.client, request.as_http());
            let exchange = async {
                match authorizer {
                    None => client.exchange(&server, http, MOST_KEPT).await,
                    Some(authorizer) => {
                        Box::pin(client.exchange_authorized(&server, http, MOST_KEPT, authorizer)).await
                    }
                }
            };
            let sent = match self.deadline.wait(name, Wait::Answer, exchange).await {
                Ok(sent) => sent,
                Err(late) => {
                    pool.note_failure(&late, Stage::Request);
                    return Err(late);
                }
            };
            let cause = match sent {
                Ok(answer) => {
                    pool.note_up();
                    passage.verdict();
                    match request.redirected(&answer).filter(|_| is_safe && redirects < MOST_REDIRECTS) {
                        Some(next) => {
                            redirects += 1;
                            request.url = next;
                            continue;
                        }
                        None => return Ok(answer),
                    }
                }
                Err(cause) => cause,
            };
            let Some(pause) = tries.again(&cause, is_repeatable, pool.watch.was_well_lately()) else {
                if pool.request_failed(self.lane, &cause, answers) {
                    passage.verdict();
                }
                let why = UpstreamError::asking(name, cause, limit);
                pool.note_failure(&why, Stage::Request);
                return Err(why);
            };
            if !pause.is_zero() {
                self.deadline.wait(name, Wait::Connection, tokio::time::sleep(pause)).await?;
            }
        }
    }

    /// The answer as the result of the call.
    fn shown(&self, answer: &Exchanged) -> String {
        let headers: Vec<(&str, &str)> = answer
            .headers
            .iter()
            .filter(|(name, _)| **name != SET_COOKIE)
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect();
        let most = match &self.upstream.settings.transport {
            Transport::OpenApi { settings, .. } => settings.response_bytes,
            Transport::Http { .. } | Transport::Stdio(_) => usize::MAX,
        };
        let is_cut = !answer.is_whole || answer.body.len() > most;
        let kept = (is_cut && answer.is_whole).then(|| {
            let kind = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            self.api.kept.keep(&self.api.kept_prefix(), answer.body.clone(), kind, self.lane)
        });
        let response = Response {
            status: answer.status.as_u16(),
            headers: &headers,
            body: &answer.body[..answer.body.len().min(most)],
            rest: is_cut.then_some(Rest { bytes: answer.length, uri: kept.as_deref() }),
        };
        self.operation.result(&response, self.any_structure)
    }
}

impl Prepared {
    fn as_http(&self) -> Request<Bytes> {
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        // Whatever is a URL is a URI.
        *request.uri_mut() = self.url.as_str().parse().unwrap_or_default();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// Where a redirect leads that may be followed: on the same origin, where the credential is known already.
    fn redirected(&self, answer: &Exchanged) -> Option<Url> {
        let followed = matches!(
            answer.status,
            StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT
        );
        let location = answer.headers.get(LOCATION).filter(|_| followed)?.to_str().ok()?;
        let mut next = self.url.join(location).ok()?;
        next.set_fragment(None);
        (next.origin() == self.url.origin() && next.username().is_empty() && next.password().is_none()).then_some(next)
    }
}
