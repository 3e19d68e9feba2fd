//! Errors of servers as this revision has them.
//!
//! Source: MCP 2026-07-28, Basic, Error Codes; Resources, Error Handling (SEP-2164).

use toolgate_mcp::edit::{self, Edit, Fields};
use toolgate_mcp::jsonrpc::{code, quote};

/// `error`, a raw error object, and its code, as this revision has it; `uri` is what was asked for, if a resource was.
///
/// -32002 does not exist any more. An unknown resource is -32602, and says which it was.
pub(super) fn translated(error: &str, uri: Option<&str>) -> (i32, String) {
    let Ok(fields) = Fields::read(error) else { return (0, error.to_owned()) };
    let code_text = fields.get("code").map_or("0", serde_json::value::RawValue::get);
    let own: i32 = code_text.parse().unwrap_or_default();
    if own != code::RESOURCE_NOT_FOUND {
        return (own, error.to_owned());
    }
    let mut edit = Edit::new(error);
    edit.replace(code_text, code::INVALID_PARAMS.to_string());
    let text = edit.finish().into_owned();
    let text = match (uri, fields.get("data")) {
        (Some(uri), None) => edit::set_field(&text, "data", &format!(r#"{{"uri":{}}}"#, quote(uri))).unwrap_or(text),
        _ => text,
    };
    (code::INVALID_PARAMS, text)
}

#[cfg(test)]
mod tests {
    use super::translated;

    #[test]
    fn an_unknown_resource_has_the_code_and_data_of_this_revision() {
        let cases = [
            (r#"{"code":-32002,"message":"no"}"#, r#"{"code":-32602,"message":"no","data":{"uri":"a:b"}}"#),
            (r#"{"code":-32002,"message":"no","data":1}"#, r#"{"code":-32602,"message":"no","data":1}"#),
            (r#"{"code":-32001,"message":"no"}"#, r#"{"code":-32001,"message":"no"}"#),
            ("[]", "[]"),
        ];
        for (error, expected) in cases {
            assert_eq!(translated(error, Some("a:b")).1, expected, "{error}");
        }
        assert_eq!(translated(r#"{"code":-32002}"#, None), (-32602, r#"{"code":-32602}"#.to_owned()));
    }
}
