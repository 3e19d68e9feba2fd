//! What services of AWS say of a signature that they do not take, and what helps.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::sts;

/// Where most services say which error it is.
const ERROR_TYPE: &str = "x-amzn-errortype";

/// A longer one is no name of an error.
const LONGEST: usize = 64;

/// The name of the error, where an answer that turns a request away has one.
pub(super) fn code(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<String> {
    // Services with an older protocol say 400.
    if !matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return None;
    }
    let of_header = headers.get(ERROR_TYPE).and_then(|value| value.to_str().ok());
    of_header.and_then(name).or_else(|| name_in(body))
}

fn name_in(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim_start();
    if text.starts_with('<') {
        return name(&sts::text_of(text, "Code")?);
    }
    let json: Value = serde_json::from_str(text).ok()?;
    name(json.get("__type").or_else(|| json.get("code"))?.as_str()?)
}

/// `aws.protocols#ExpiredTokenException:http://...` is called `ExpiredTokenException`.
fn name(text: &str) -> Option<String> {
    let name = text.rsplit('#').next()?.split(':').next()?.trim();
    let is_name = (1..=LONGEST).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_name.then(|| name.to_owned())
}

/// Whether other keys may be taken where these were not.
pub(super) fn is_of_ended_keys(code: &str) -> bool {
    matches!(bare(code), "ExpiredToken" | "InvalidClientTokenId" | "UnrecognizedClient" | "InvalidToken")
}

/// What helps against an error that is about the signature; `keys` says where they are from.
pub(super) fn mended_by(code: &str, keys: &str) -> Option<String> {
    Some(match bare(code) {
        "InvalidSignature" | "SignatureDoesNotMatch" | "IncompleteSignature" => format!(
            "check the secret of {keys}, `aws_service_name`, `aws_region_name`, and that nothing between here and AWS \
             changes requests"
        ),
        "RequestExpired" | "RequestTimeTooSkewed" | "SignatureExpired" => "check this machine's clock".to_owned(),
        "InvalidClientTokenId" | "UnrecognizedClient" | "InvalidAccessKeyId" => {
            format!(
                "AWS does not know {keys}: check the access key's id, and its session token if it is a temporary one"
            )
        }
        "ExpiredToken" | "InvalidToken" => format!("{keys} have ended: replace them"),
        "MissingAuthenticationToken" => "check `url`: AWS says so of places that it does not have, too".to_owned(),
        _ => return None,
    })
}

fn bare(code: &str) -> &str {
    code.strip_suffix("Exception").unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::{code, is_of_ended_keys, mended_by};

    #[test]
    fn an_error_is_known_wherever_a_service_writes_it() {
        let mut headers = HeaderMap::new();
        let of = |headers: &HeaderMap, body: &str| code(StatusCode::FORBIDDEN, headers, body.as_bytes());
        for body in [
            r#"{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"m"}"#,
            "<ErrorResponse><Error><Code>ExpiredTokenException</Code></Error></ErrorResponse>",
        ] {
            assert_eq!(of(&headers, body).as_deref(), Some("ExpiredTokenException"), "{body}");
        }
        for body in ["", "{}", "no", r#"{"message":"Forbidden"}"#, r#"{"__type":"a b"}"#] {
            assert_eq!(of(&headers, body), None, "{body}");
        }
        headers.insert("x-amzn-errortype", "InvalidSignatureException:http://internal/".parse().unwrap());
        assert_eq!(of(&headers, "{}").as_deref(), Some("InvalidSignatureException"));
        assert_eq!(code(StatusCode::OK, &headers, b""), None);
    }

    #[test]
    fn only_what_is_about_the_signature_is_ours_to_mend() {
        assert!(is_of_ended_keys("ExpiredTokenException") && !is_of_ended_keys("AccessDeniedException"));
        assert_eq!(mended_by("AccessDeniedException", "k"), None);
        assert!(mended_by("SignatureDoesNotMatch", "`aws_access_key_id`").unwrap().contains("`aws_access_key_id`"));
    }
}
