//! `GET /docs` and `GET /`: the OpenAPI document as a page for people, as LiteLLM has one.
//!
//! The page is one file with its own style and script; it fetches `/openapi.json` from the gateway and nothing from
//! anywhere else, which its content security policy holds it to.

use aws_lc_rs::digest;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header;

const STYLE: &str = include_str!("docs/page.css");
const SCRIPT: &str = include_str!("docs/page.js");
const PAGE: &str = include_str!("docs/page.html");

/// `GET /docs`
pub async fn get() -> Response {
    let page = PAGE.replace("/*style*/", STYLE).replace("/*script*/", SCRIPT);
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    (headers, page).into_response()
}

/// Lets run what is written here, and nothing else.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT),
    )
}
