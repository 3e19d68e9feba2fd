//! The pieces that error texts are made of.

use http::StatusCode;
use toolgate_mcp::jsonrpc::ParseError;

use super::Problem;

/// How much of a body an error quotes, in characters.
const EXCERPT_CHARS: usize = 200;

/// The beginning of a body for an error text: one line, control characters escaped, never more than 200 characters.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    // A character has at most four bytes.
    let head = &bytes[..bytes.len().min(EXCERPT_CHARS * 4)];
    let text = String::from_utf8_lossy(head);
    let text = text.trim();
    let mut out = String::with_capacity(text.len().min(EXCERPT_CHARS) + 8);
    for (count, character) in text.chars().enumerate() {
        if count == EXCERPT_CHARS {
            out.push('…');
            return out;
        }
        match character {
            '\n' | '\r' | '\t' => out.push(' '),
            other if other.is_control() => out.extend(other.escape_default()),
            other => out.push(other),
        }
    }
    if head.len() < bytes.len() {
        out.push('…');
    }
    out
}

/// The deepest cause of an error: hyper's own texts say little, the system's says what a person can act on.
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// `error` and its causes. An `io::Error` names the cause of what it wraps as its own and so hides the wrapped one.
pub(crate) fn causes<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}

/// The error of parsing a message that `server` sent.
pub(crate) fn bad_message(error: &ParseError, bytes: &[u8]) -> Problem {
    Problem::BadMessage { reason: error.to_string(), excerpt: excerpt(bytes) }
}

pub(super) fn quoted(excerpt: &str) -> String {
    if excerpt.is_empty() { String::new() } else { format!(" (it begins: {excerpt})") }
}

pub(super) fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

pub(super) fn challenge_hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "; the server wants credentials, or refuses those it was given",
        StatusCode::FORBIDDEN => "; the credentials do not suffice",
        _ => "",
    }
}

pub(super) fn wrong_era(modern: bool, reason: &str) -> String {
    let spoken = if modern { "does not speak MCP 2026-07-28" } else { "speaks only MCP 2026-07-28 or newer" };
    format!("{spoken}{}", because(reason))
}

pub(super) fn last_lines(stderr: &[String]) -> String {
    if stderr.is_empty() {
        return String::new();
    }
    let last = &stderr[stderr.len().saturating_sub(5)..];
    format!("; its last words: {}", last.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn an_excerpt_is_one_short_line_without_control_characters() {
        assert_eq!(excerpt(b"  <html>\n<b>\x1b[31m\0</b>"), "<html> <b>\\u{1b}[31m\\u{0}</b>");
        assert_eq!(excerpt(b"\xff\xfe"), "\u{fffd}\u{fffd}");
        let long = excerpt("ä".repeat(10_000).as_bytes());
        assert_eq!(long.chars().count(), 201);
        assert!(long.ends_with('…'));
    }
}
