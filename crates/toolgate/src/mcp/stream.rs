//! The head of a response that is an event stream.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, header};

use super::reply::EVENT_STREAM;

/// `body` as an event stream that no proxy buffers.
pub(super) fn response(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, EVENT_STREAM);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}
