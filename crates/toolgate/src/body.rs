//! Reading a request's body: of the right type, within a cap, within a time.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::config::settings::Limits;

/// Why a body was not taken.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// 413
    #[error("the body is larger than {cap_bytes} bytes")]
    TooLarge {
        /// The cap.
        cap_bytes: usize,
    },
    /// 415
    #[error("Content-Type must be application/json, not `{0}`")]
    NotJson(String),
    /// 415
    #[error("Content-Encoding `{0}` is not taken; send the body as it is")]
    Encoded(String),
    /// 408
    #[error("the body did not arrive within {0:?}")]
    Slow(Duration),
    /// 400
    #[error("the body broke off: {0}")]
    Broken(String),
}

impl BodyError {
    /// The status that says so.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson(_) | Self::Encoded(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Slow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Broken(_) => StatusCode::BAD_REQUEST,
        }
    }
}

/// What a body may be.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    /// How large.
    pub bytes: usize,
    /// How long a client may take to send it.
    pub time: Duration,
}

impl From<&Limits> for Caps {
    fn from(limits: &Limits) -> Self {
        Self { bytes: limits.request_bytes, time: limits.body_time }
    }
}

/// Reads a JSON body within its caps.
///
/// # Errors
/// [`BodyError`], each with its own status.
pub async fn read_json(headers: &HeaderMap, body: Body, caps: Caps) -> Result<Bytes, BodyError> {
    let Caps { bytes: cap_bytes, time } = caps;
    check_type(headers)?;
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > cap_bytes as u64) {
        return Err(BodyError::TooLarge { cap_bytes });
    }
    let collected = tokio::time::timeout(time, Limited::new(body, cap_bytes).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => Err(BodyError::TooLarge { cap_bytes }),
        Ok(Err(error)) => Err(BodyError::Broken(error.to_string())),
        Err(_) => Err(BodyError::Slow(time)),
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), BodyError> {
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && encoding != "identity"
    {
        return Err(BodyError::Encoded(String::from_utf8_lossy(encoding.as_bytes()).into_owned()));
    }
    let given = headers.get(header::CONTENT_TYPE);
    if given.is_some_and(|value| value == "application/json") {
        return Ok(());
    }
    let given = given.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let media = given.as_deref().unwrap_or("none").split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(BodyError::NotJson(media.to_owned())) }
}
