//! An HTTP response as the result of a tool.
//!
//! JSON stays the text that came. A status of 400 or more is a result with `isError` that says everything the API said.
//!
//! Source: MCP 2025-11-25, Tool Result; 2026-07-28, where `structuredContent` is any JSON value.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use crate::node::{quoted, write_string};
use crate::operation::Operation;
use crate::read::{essence, is_json, is_text};

/// A response, with as much of its body as was read.
#[derive(Debug, Clone, Copy)]
pub struct Response<'r> {
    /// The status code.
    pub status: u16,
    /// All headers that may be shown.
    pub headers: &'r [(&'r str, &'r str)],
    /// The body, or the beginning of it.
    pub body: &'r [u8],
    /// Where the rest of the body is, if this is only the beginning.
    pub rest: Option<Rest<'r>>,
}

/// The rest of a body.
#[derive(Debug, Clone, Copy)]
pub struct Rest<'r> {
    /// Bytes of the whole body, where that is known.
    pub bytes: Option<u64>,
    /// A resource that has all of it, if it was kept.
    pub uri: Option<&'r str>,
}

impl<'r> Response<'r> {
    fn header(&self, name: &str) -> Option<&'r str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

impl Operation {
    /// The result of a `tools/call`, as JSON text. `any_structure`: the client's revision takes any JSON value as
    /// `structuredContent`, and not only objects.
    #[must_use]
    pub fn result(&self, response: &Response<'_>, any_structure: bool) -> String {
        if response.status >= 300 {
            return failure(response);
        }
        if self.method == "HEAD" || response.body.is_empty() {
            return text_result(&nothing(&self.method, response), false);
        }
        let kind = response.header("content-type").unwrap_or_default();
        if let Some(json) = json_of(kind, response) {
            return json_result(json, any_structure);
        }
        let mut out = String::from("{\"content\":[");
        write_content(&mut out, kind, response, &format!("openapi:{}", self.name));
        write_rest(&mut out, kind, response);
        out.push_str("]}");
        out
    }
}

/// A result with `isError` and this text.
#[must_use]
pub fn error_result(text: &str) -> String {
    text_result(text, true)
}

fn text_result(text: &str, is_error: bool) -> String {
    let error = if is_error { ",\"isError\":true" } else { "" };
    format!("{{\"content\":[{{\"type\":\"text\",\"text\":{}}}]{error}}}", quoted(text))
}

/// The body, if it is JSON and all of it is there.
fn json_of<'r>(kind: &str, response: &Response<'r>) -> Option<&'r str> {
    if response.rest.is_some() || !(is_json(kind) || kind.trim().is_empty()) {
        return None;
    }
    let text = std::str::from_utf8(response.body).ok()?.trim_start_matches('\u{feff}').trim();
    // A text without a type that happens to be a number is a text.
    if kind.trim().is_empty() && !text.starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str::<&RawValue>(text).ok().map(RawValue::get)
}

fn json_result(json: &str, any_structure: bool) -> String {
    let mut out = String::with_capacity(json.len() * 2 + 100);
    out.push_str("{\"content\":[{\"type\":\"text\",\"text\":");
    write_string(json, &mut out);
    out.push_str("}]");
    if any_structure || json.starts_with('{') {
        out.push_str(",\"structuredContent\":");
        out.push_str(json);
    }
    out.push('}');
    out
}

fn nothing(method: &str, response: &Response<'_>) -> String {
    let mut text = format!("HTTP {}{}", response.status, reason(response.status));
    if method == "HEAD" {
        for (name, value) in response.headers {
            text.push_str(&format!("\n{name}: {value}"));
        }
        return text;
    }
    text.push_str("; the answer is empty");
    if let Some(location) = response.header("location") {
        text.push_str(&format!("\nLocation: {location}"));
    }
    text
}

fn failure(response: &Response<'_>) -> String {
    let mut text = format!("HTTP {}{}", response.status, reason(response.status));
    for name in ["Location", "Retry-After", "WWW-Authenticate"] {
        if let Some(value) = response.header(name).filter(|_| name != "Location" || response.status < 400) {
            text.push_str(&format!("\n{name}: {value}"));
        }
    }
    let kind = response.header("content-type").unwrap_or_default();
    let mut out = String::from("{\"content\":[{\"type\":\"text\",\"text\":");
    if response.body.is_empty() {
        write_string(&text, &mut out);
        out.push('}');
    } else if let Some(body) = text_of(kind, response.body).filter(|_| is_shown_as_text(kind)) {
        write_string(&format!("{text}\n\n{body}"), &mut out);
        out.push('}');
    } else {
        write_string(&text, &mut out);
        out.push_str("},");
        write_content(&mut out, kind, response, "openapi:error");
    }
    write_rest(&mut out, kind, response);
    out.push_str("],\"isError\":true}");
    out
}

fn is_shown_as_text(kind: &str) -> bool {
    kind.trim().is_empty() || is_json(kind) || is_text(kind)
}

/// The body as one block of content.
fn write_content(out: &mut String, kind: &str, response: &Response<'_>, uri: &str) {
    let essence = essence(kind);
    if is_shown_as_text(kind)
        && let Some(text) = text_of(kind, response.body)
    {
        out.push_str("{\"type\":\"text\",\"text\":");
        write_string(&text, out);
        out.push('}');
        return;
    }
    let mime = if essence.is_empty() { "application/octet-stream" } else { essence.as_str() };
    // Half an image is none.
    if response.rest.is_some() {
        let text = format!("The answer is of the type {mime} and too large to be shown.");
        out.push_str("{\"type\":\"text\",\"text\":");
        write_string(&text, out);
        out.push('}');
        return;
    }
    let data = STANDARD.encode(response.body);
    let block = match mime.split('/').next() {
        Some(block @ ("image" | "audio")) => block,
        _ => {
            let (uri, mime) = (quoted(uri), quoted(mime));
            out.push_str(&format!(
                "{{\"type\":\"resource\",\"resource\":{{\"uri\":{uri},\"mimeType\":{mime},\"blob\":\"{data}\"}}}}"
            ));
            return;
        }
    };
    out.push_str(&format!("{{\"type\":\"{block}\",\"data\":\"{data}\",\"mimeType\":{}}}", quoted(mime)));
}

/// Says that the body was cut, and where the rest is.
fn write_rest(out: &mut String, kind: &str, response: &Response<'_>) {
    let Some(rest) = response.rest else { return };
    let shown = response.body.len();
    let whole = rest.bytes.map_or_else(|| "more".to_owned(), |bytes| format!("{bytes}"));
    let how = match rest.uri {
        Some(_) => "; read the resource below for all of it",
        None => "; ask for less, by pages or filters if there are any",
    };
    out.push_str(",{\"type\":\"text\",\"text\":");
    write_string(&format!("The answer was cut after {shown} of {whole} bytes{how}."), out);
    out.push('}');
    if let Some(uri) = rest.uri {
        out.push_str(&format!(",{{\"type\":\"resource_link\",\"uri\":{},\"name\":\"the whole answer\"", quoted(uri)));
        if !kind.trim().is_empty() {
            out.push_str(&format!(",\"mimeType\":{}", quoted(&essence(kind))));
        }
        if let Some(bytes) = rest.bytes {
            out.push_str(&format!(",\"size\":{bytes}"));
        }
        out.push('}');
    }
}

/// The body as text: UTF-8, or Latin-1 where the type says so. A character that was cut in two at the end is left out.
fn text_of(kind: &str, body: &[u8]) -> Option<String> {
    match std::str::from_utf8(body) {
        Ok(text) => Some(text.to_owned()),
        Err(error) if error.error_len().is_none() && error.valid_up_to() + 4 > body.len() => {
            std::str::from_utf8(&body[..error.valid_up_to()]).ok().map(str::to_owned)
        }
        Err(_) => {
            let kind = kind.to_ascii_lowercase();
            let is_latin = ["iso-8859-1", "iso8859-1", "latin1", "windows-1252", "us-ascii"];
            let says_so = is_latin.iter().any(|name| kind.contains(name));
            (says_so || kind.starts_with("text/") && !kind.contains("charset"))
                .then(|| body.iter().map(|byte| char::from(*byte)).collect())
        }
    }
}

/// The words for the statuses that people meet.
fn reason(status: u16) -> &'static str {
    match status {
        200 => " OK",
        201 => " Created",
        202 => " Accepted",
        204 => " No Content",
        301 => " Moved Permanently",
        302 => " Found",
        303 => " See Other",
        304 => " Not Modified",
        307 => " Temporary Redirect",
        308 => " Permanent Redirect",
        400 => " Bad Request",
        401 => " Unauthorized",
        403 => " Forbidden",
        404 => " Not Found",
        405 => " Method Not Allowed",
        409 => " Conflict",
        410 => " Gone",
        413 => " Content Too Large",
        415 => " Unsupported Media Type",
        422 => " Unprocessable Content",
        429 => " Too Many Requests",
        500 => " Internal Server Error",
        501 => " Not Implemented",
        502 => " Bad Gateway",
        503 => " Service Unavailable",
        504 => " Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
