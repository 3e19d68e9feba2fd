//! Headers that no argument may set: they frame the message, belong to the connection or to the gateway, or say who asks.

/// What becomes of a header parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is an argument.
    Sent,
    /// OpenAPI says that such a parameter does not count: the request says these by itself.
    Ignored,
    /// It must not come from a caller.
    Forbidden,
    /// It is no name.
    Invalid,
}

const FORBIDDEN: [&str; 21] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "proxy-authorization",
    "proxy-authenticate",
    "proxy-connection",
    "http2-settings",
    "forwarded",
    "via",
    "cookie",
    "set-cookie",
    "x-real-ip",
    "true-client-ip",
    "origin",
    "content-encoding",
];

const FORBIDDEN_PREFIXES: [&str; 6] = ["x-forwarded-", "x-litellm-", "x-mcp-", "mcp-", "sec-", "proxy-"];

pub(super) fn fate(name: &str) -> Fate {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Fate::Invalid;
    }
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "accept" | "content-type" | "authorization" => Fate::Ignored,
        name if FORBIDDEN.contains(&name) || FORBIDDEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) => {
            Fate::Forbidden
        }
        _ => Fate::Sent,
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, fate};

    #[test]
    fn headers_of_the_message_and_the_gateway_are_no_arguments() {
        for name in ["Host", "transfer-encoding", "Content-Length", "COOKIE", "X-Forwarded-For", "Mcp-Session-Id"] {
            assert_eq!(fate(name), Fate::Forbidden, "{name}");
        }
        for name in ["Accept", "Content-Type", "authorization"] {
            assert_eq!(fate(name), Fate::Ignored, "{name}");
        }
        for name in ["", "a b", "a:b", "a\r\nb", "é"] {
            assert_eq!(fate(name), Fate::Invalid, "{name}");
        }
        for name in ["X-Request-Id", "If-Match", "x_api_version", "Prefer"] {
            assert_eq!(fate(name), Fate::Sent, "{name}");
        }
    }
}
