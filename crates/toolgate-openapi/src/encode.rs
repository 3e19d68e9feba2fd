//! Percent-encoding, and what may not be in a path.

use std::fmt::Write as _;

use crate::documents::percent_decoded;

/// Encodes everything but letters, digits and `-._~`.
pub(crate) fn strict(text: &str, out: &mut String) {
    encode(text, out, |_| false);
}

/// Leaves reserved characters as they are that no reader of a query takes for its own.
pub(crate) fn reserved(text: &str, out: &mut String) {
    encode(text, out, |byte| b":/?@!$()*,;".contains(&byte));
}

/// What a description writes into a path.
pub(crate) fn literal_path(text: &str) -> String {
    let mut out = String::new();
    encode(text, &mut out, |byte| b"/:@!$&'()*+,;=%".contains(&byte));
    out
}

/// What a description writes into a query.
pub(crate) fn literal_query(text: &str) -> String {
    let mut out = String::new();
    encode(text, &mut out, |byte| b"/?:@!$&()*+,;=%".contains(&byte));
    out
}

/// RFC 6265's cookie-octets, without `%`.
pub(crate) fn cookie(text: &str, out: &mut String) {
    encode(text, out, |byte| byte.is_ascii_graphic() && !b"\",;\\%".contains(&byte));
}

fn encode(text: &str, out: &mut String, keep: impl Fn(u8) -> bool) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// How often a value may have been encoded by the time that somebody behind the API reads it.
const ROUNDS: usize = 4;

/// Whether a path, or what a careless server makes of it by decoding it again, has a segment that leads elsewhere.
pub(crate) fn leaves(path: &str) -> bool {
    let mut path = path.to_owned();
    for _ in 0..ROUNDS {
        if path.split(['/', '\\']).any(is_dots) {
            return true;
        }
        let decoded = percent_decoded(&path);
        if *decoded == path {
            return false;
        }
        path = decoded.into_owned();
    }
    // Whatever it is, nobody means that.
    true
}

/// `.`, `..`, also with parameters behind them, which some servers cut off first.
fn is_dots(segment: &str) -> bool {
    let bare = segment.split(';').next().unwrap_or_default().trim();
    bare == "." || bare == ".."
}

#[cfg(test)]
mod tests {
    use super::{cookie, leaves, reserved, strict};

    #[test]
    fn characters_are_encoded_where_they_would_mean_something() {
        let encoded = |encode: fn(&str, &mut String), text: &str| {
            let mut out = String::new();
            encode(text, &mut out);
            out
        };
        assert_eq!(encoded(strict, "a b/ü?&=%\r\n~"), "a%20b%2F%C3%BC%3F%26%3D%25%0D%0A~");
        assert_eq!(encoded(reserved, "a/b?c&d=e+f#g[h]%,;"), "a/b?c%26d%3De%2Bf%23g%5Bh%5D%25,;");
        assert_eq!(encoded(cookie, "a=b; c\"\u{7f}%"), "a=b%3B%20c%22%7F%25");
    }

    #[test]
    fn dots_are_found_however_they_are_written() {
        for path in
            ["/a/..", "/./a", "/%2e%2e/a", "/%252e%252E", "/a/..%2fb", "/a/..%5Cb", "/a/..;x/b", "/%25252525252e"]
        {
            assert!(leaves(path), "{path}");
        }
        for path in ["/a", "/a/...", "/a.b/..c", "/a/%20/b", "/a%2Fb", "/", "/100%25"] {
            assert!(!leaves(path), "{path}");
        }
    }
}
