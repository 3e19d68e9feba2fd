//! Errors of management routes as LiteLLM's bodies: `{"error": {"message", "type", "param", "code"}}`, `code` being the
//! status as text. Beside that, `hint` says what to do where the message does not, and `request_id` finds the log lines.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use toolgate_access::role::Role;
use toolgate_store::StoreError;

use super::admission::{self, NotAdmitted};
use crate::admin::AdminError;
use crate::admin::body::FieldError;
use crate::admin::error::{Detail, FieldFinding};
use crate::auth::AuthError;
use crate::identity::NotLetIn;
use crate::telemetry::request_id;

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        match &self {
            Self::NotAdmitted(why) => not_admitted(why),
            Self::NoDatabase => answer(StatusCode::SERVICE_UNAVAILABLE, "no_db_connection", &self.to_string()).made(),
            // LiteLLM tells an administrator who only sees 403, and everybody else 401.
            Self::Role { route, role: Some(role @ Role::ProxyAdminViewer), .. } => {
                let text = format!(
                    "user not allowed to access this route, role= {}. Trying to access: {route}",
                    role.as_str()
                );
                answer(StatusCode::FORBIDDEN, "auth_error", &text).made()
            }
            Self::Member { .. } => {
                answer(StatusCode::UNAUTHORIZED, "team_member_permission_error", &self.to_string()).made()
            }
            Self::Role { .. } => answer(StatusCode::UNAUTHORIZED, "auth_error", &self.to_string()).made(),
            Self::Body(why) => answer(why.status(), "bad_request_error", &why.to_string()).made(),
            Self::Field(why @ FieldError::NotJson(_)) => {
                answer(StatusCode::BAD_REQUEST, "bad_request_error", &why.to_string()).made()
            }
            Self::Field(why @ (FieldError::Unknown { .. } | FieldError::Wrong { .. })) => {
                let answer = answer(StatusCode::UNPROCESSABLE_ENTITY, "bad_request_error", &why.to_string());
                answer.about(why.path()).made()
            }
            Self::Issue(why) if why.is_invalid() => {
                answer(StatusCode::BAD_REQUEST, "bad_request_error", &why.to_string()).made()
            }
            Self::Issue(why) => answer(StatusCode::FORBIDDEN, "auth_error", &why.to_string()).made(),
            Self::Forbidden(why) => answer(StatusCode::FORBIDDEN, "auth_error", why).made(),
            Self::Invalid(why) | Self::Taken(why) => answer(StatusCode::BAD_REQUEST, "bad_request_error", why).made(),
            Self::Unavailable(why) => {
                let mut response = answer(StatusCode::SERVICE_UNAVAILABLE, "unavailable", why).made();
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
                response
            }
            Self::Conflict(why) => answer(StatusCode::CONFLICT, "bad_request_error", why).made(),
            Self::NotFound(why) => answer(StatusCode::NOT_FOUND, "not_found_error", why).made(),
            Self::Fields(findings) => of_fields(findings, &self.to_string()),
            Self::Detail(kind, text) => {
                let status = match kind {
                    Detail::Invalid => StatusCode::BAD_REQUEST,
                    Detail::Forbidden => StatusCode::FORBIDDEN,
                    Detail::NotFound => StatusCode::NOT_FOUND,
                    Detail::Upstream => StatusCode::BAD_GATEWAY,
                };
                (status, axum::Json(json!({ "detail": { "error": text } }))).into_response()
            }
            Self::Store(why) => store(why),
        }
    }
}

/// All that is wrong with the fields, the first also where LiteLLM's clients look.
fn of_fields(findings: &[FieldFinding], text: &str) -> Response {
    let mut answer = answer(StatusCode::UNPROCESSABLE_ENTITY, "bad_request_error", text)
        .about(findings.first().map(|finding| finding.param.as_str()));
    let one =
        |finding: &FieldFinding| json!({ "param": finding.param, "message": finding.message, "hint": finding.hint });
    answer.error["errors"] = findings.iter().map(one).collect();
    answer.made()
}

/// LiteLLM's words for a key that is not good, which are the same for all of them here.
fn not_admitted(why: &NotAdmitted) -> Response {
    let (text, challenge) = match why {
        NotAdmitted::Auth(AuthError::Missing) => ("Authentication Error, No api key passed in.", "Bearer"),
        NotAdmitted::Auth(AuthError::Invalid { .. }) | NotAdmitted::Key(NotLetIn::Unknown) => {
            ("Authentication Error, Invalid proxy server token passed.", r#"Bearer error="invalid_token""#)
        }
        NotAdmitted::Auth(AuthError::Malformed(what)) => {
            return answer(StatusCode::BAD_REQUEST, "bad_request_error", &what.to_string()).made();
        }
        NotAdmitted::Key(NotLetIn::TooMany) => {
            return admission::later(
                answer(StatusCode::TOO_MANY_REQUESTS, "throttling_error", admission::TOO_MANY).made(),
            );
        }
        NotAdmitted::Key(NotLetIn::Route(refused)) => {
            return answer(StatusCode::FORBIDDEN, "auth_error", &refused.to_string()).made();
        }
        NotAdmitted::Key(NotLetIn::Customer(refusal)) => {
            return answer(StatusCode::FORBIDDEN, "auth_error", &refusal.to_string()).made();
        }
        NotAdmitted::Client(why) => {
            return answer(StatusCode::FORBIDDEN, "auth_error", &why.to_string()).made();
        }
        NotAdmitted::Key(NotLetIn::Unavailable(_)) => return unavailable(),
    };
    let mut response = answer(StatusCode::UNAUTHORIZED, "auth_error", text)
        .hint("send a valid key as `Authorization: Bearer <key>` or `x-litellm-api-key: Bearer <key>`")
        .made();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

fn store(why: &StoreError) -> Response {
    match why {
        StoreError::Unavailable { .. } => {
            tracing::error!(error = %why, "a management request was not carried out");
            unavailable()
        }
        StoreError::Full { .. } => {
            tracing::error!(error = %why, "a management request was not carried out");
            let text = "the database has no room left; make some on its disk, then send the request again";
            admission::later(answer(StatusCode::INSUFFICIENT_STORAGE, "insufficient_storage", text).made())
        }
        StoreError::Conflict { what } => {
            let text = format!("`{what}` is taken already; choose another one");
            answer(StatusCode::BAD_REQUEST, "bad_request_error", &text).about(Some(what)).made()
        }
        StoreError::NotFound { what, id } => {
            let text = format!("no such row in {what}: {id}");
            answer(StatusCode::NOT_FOUND, "not_found_error", &text).made()
        }
        StoreError::InUse { .. } | StoreError::Invalid { .. } => {
            answer(StatusCode::BAD_REQUEST, "bad_request_error", &why.to_string()).made()
        }
        StoreError::WrongKey | StoreError::NewerSchema { .. } | StoreError::Corrupt { .. } => {
            tracing::error!(error = %why, "a management request was not carried out");
            let text = "the gateway cannot read its database; its log says why";
            answer(StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error", text).made()
        }
    }
}

fn unavailable() -> Response {
    let text = "the database does not answer at the moment; send the request again";
    admission::later(answer(StatusCode::SERVICE_UNAVAILABLE, "no_db_connection", text).made())
}

/// An error's answer in the making.
struct Answer {
    status: StatusCode,
    error: Value,
}

fn answer(status: StatusCode, kind: &str, message: &str) -> Answer {
    let code = status.as_u16().to_string();
    let mut error = json!({ "message": message, "type": kind, "param": null, "code": code });
    if let Some(id) = request_id::current() {
        error["request_id"] = String::from_utf8_lossy(id.as_bytes()).into();
    }
    Answer { status, error }
}

impl Answer {
    fn about(mut self, param: Option<&str>) -> Self {
        self.error["param"] = param.into();
        self
    }

    fn hint(mut self, hint: &str) -> Self {
        self.error["hint"] = hint.into();
        self
    }

    fn made(self) -> Response {
        (self.status, axum::Json(json!({ "error": self.error }))).into_response()
    }
}
