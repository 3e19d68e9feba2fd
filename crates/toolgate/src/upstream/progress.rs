//! Progress tokens. Clients choose them freely, so on a connection that several callers share two may be equal. Upstream
//! goes a number that is the gateway's own; in the server's notifications it becomes the client's token again.
//!
//! Source: MCP 2025-11-25, Progress.

use std::borrow::Cow;

use bytes::Bytes;
use toolgate_mcp::translate::tokens;
use toolgate_mcp::word::Word;

/// Parameters whose progress token was replaced.
pub(super) struct Replaced<'p> {
    pub(super) params: Cow<'p, str>,
    /// The client's token as JSON text.
    pub(super) token: Box<str>,
}

const TOKEN: Word = Word::new("progressToken");
const ESCAPE: Word = Word::new("\\u");

/// Whether `params` may have a progress token. A key may also be written with escapes, so those are looked at
/// thoroughly, or a client could pass a token off as one of the gateway's.
pub(super) fn may_be_in(params: &str) -> bool {
    let bytes = params.as_bytes();
    TOKEN.is_in(bytes) || ESCAPE.is_in(bytes)
}

/// `params` with `number` in place of the progress token, if they have one.
pub(super) fn replace(params: &str, number: u64) -> Option<Replaced<'_>> {
    let token = tokens::progress_token(params).ok()??.into();
    let params = tokens::with_progress_token(params, &number.to_string()).ok()?;
    Some(Replaced { params, token })
}

/// The number in a `notifications/progress`; `None` when what is there cannot be one of the gateway's.
pub(super) fn number(message: &[u8]) -> Option<u64> {
    let message = std::str::from_utf8(message).ok()?;
    tokens::progress_token_of(message).ok()??.parse().ok()
}

/// The notification with the client's `own` token in place of the gateway's number.
pub(super) fn put_back(message: &Bytes, own: &str) -> Bytes {
    let text = std::str::from_utf8(message).unwrap_or_default();
    match tokens::progress_with_token(text, own) {
        Ok(Cow::Owned(told)) => Bytes::from(told),
        _ => message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{may_be_in, number, put_back, replace};

    #[test]
    fn a_token_becomes_a_number_and_the_number_the_token_again() {
        let cases = [
            (r#"{"name":"x","_meta":{"progressToken":"a"}}"#, r#"{"name":"x","_meta":{"progressToken":77}}"#, r#""a""#),
            (r#"{"_meta":{"a":1, "progressToken" : 7 }}"#, r#"{"_meta":{"a":1, "progressToken" : 77 }}"#, "7"),
            (r#"{"_m\u0065ta":{"progress\u0054oken":7}}"#, r#"{"_m\u0065ta":{"progress\u0054oken":77}}"#, "7"),
        ];
        for (params, expected, token) in cases {
            assert!(may_be_in(params), "{params}");
            let replaced = replace(params, 77).unwrap();
            assert_eq!((&*replaced.params, &*replaced.token), (expected, token));
            let told =
                r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1,"progressToken":77}}"#;
            let told = Bytes::from_static(told.as_bytes());
            assert_eq!(number(&told), Some(77));
            let text = String::from_utf8(put_back(&told, token).to_vec()).unwrap();
            assert!(text.ends_with(&format!(r#"{{"progress":1,"progressToken":{token}}}}}"#)), "{text}");
        }
        assert!(!may_be_in(r#"{"name":"x","arguments":{"a":"\n"}}"#));
    }

    #[test]
    fn parameters_without_a_token_stay() {
        for params in [r#"{"name":"progressToken"}"#, r#"{"_meta":{}}"#, r#"{"progressToken":1}"#, r#"{"a":"\u00e4"}"#]
        {
            assert!(replace(params, 1).is_none(), "{params}");
        }
    }
}
