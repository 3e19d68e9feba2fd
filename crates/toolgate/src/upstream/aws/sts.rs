//! The Security Token Service: keys of a role in exchange for other keys, or for a token of Kubernetes.

use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Request, StatusCode};
use toolgate_client::{Exchanged, HttpClient};
use url::Url;
use url::form_urlencoded::Serializer;

use super::{faults, sign};
use crate::config::settings::aws::{AwsKeys, AwsRole, Sts};

const VERSION: &str = "2011-06-15";

/// What is read of an answer.
const MOST_BYTES: usize = 64 * 1024;

/// How much the service may say of why not.
const MOST_SAID: usize = 300;

/// A longer token is none.
const LONGEST_TOKEN: u64 = 20_000;

/// Keys that end.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) keys: AwsKeys,
    pub(super) ends_in: Duration,
}

/// Asks for keys of `role` in the name of whoever has `keys`.
pub(super) fn assume_role(role: &AwsRole, sts: &Sts, keys: &AwsKeys, region: &str) -> Result<Request<Bytes>, String> {
    let mut request = request("AssumeRole", role, sts, &[])?;
    sign::sign(&mut request, keys, region, "sts", SystemTime::now())?;
    Ok(request)
}

/// Asks for keys of `role` with the token in `file`, which stands for a signature.
pub(super) async fn assume_role_with_web_identity(
    role: &AwsRole,
    sts: &Sts,
    file: &Path,
) -> Result<Request<Bytes>, String> {
    let shown = file.display();
    let unreadable = |error: std::io::Error| format!("AWS_WEB_IDENTITY_TOKEN_FILE {shown} cannot be read: {error}");
    if tokio::fs::metadata(file).await.map_err(unreadable)?.len() > LONGEST_TOKEN {
        return Err(format!("AWS_WEB_IDENTITY_TOKEN_FILE {shown} holds no token: it is longer than any"));
    }
    let token = tokio::fs::read_to_string(file).await.map_err(unreadable)?;
    request("AssumeRoleWithWebIdentity", role, sts, &[("WebIdentityToken", token.trim())])
}

fn request(action: &str, role: &AwsRole, sts: &Sts, more: &[(&str, &str)]) -> Result<Request<Bytes>, String> {
    let mut form = Serializer::new(String::new());
    form.append_pair("Action", action)
        .append_pair("Version", VERSION)
        .append_pair("RoleArn", &role.arn)
        .append_pair("RoleSessionName", &role.session_name)
        .extend_pairs(more);
    Request::post(sts.endpoint.as_str())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(USER_AGENT, concat!("toolgate/", env!("CARGO_PKG_VERSION")))
        .body(form.finish().into())
        .map_err(|error| error.to_string())
}

/// Sends a request for keys.
pub(super) async fn exchange(client: &HttpClient, request: Request<Bytes>, sts: &Sts) -> Result<Granted, String> {
    let place = shown(&sts.endpoint);
    let answer = client.exchange(&place, request, MOST_BYTES).await.map_err(|error| error.to_string())?;
    read(&answer, Utc::now()).map_err(|why| format!("{place} {why}"))
}

/// The keys in an answer; or what is wrong with it, in words behind the name of who gave it.
fn read(answer: &Exchanged, now: DateTime<Utc>) -> Result<Granted, String> {
    let text = String::from_utf8_lossy(&answer.body);
    if answer.status != StatusCode::OK {
        return Err(refusal(answer, &text));
    }
    let field = |name: &str| text_of(&text, name).ok_or_else(|| format!("answered without `{name}`"));
    let secret = field("SecretAccessKey")?.into();
    let keys = AwsKeys::new(field("AccessKeyId")?, secret, Some(field("SessionToken")?.into()));
    let keys = keys.ok_or("gave keys that no header can hold")?;
    let ends = field("Expiration")?;
    let ends = DateTime::parse_from_rfc3339(&ends).map_err(|_| "gave keys with an end that is no time".to_owned())?;
    // What has ended already by this clock is used for a moment, and told by whoever refuses it.
    let ends_in = ends.signed_duration_since(now).to_std().unwrap_or_default();
    Ok(Granted { keys, ends_in })
}

fn refusal(answer: &Exchanged, text: &str) -> String {
    let status = answer.status.as_u16();
    let Some(code) = faults::code(answer.status, &answer.headers, text.as_bytes()) else {
        return format!("answered HTTP {status} where keys were to be");
    };
    let how = match code.as_str() {
        "SignatureDoesNotMatch" | "IncompleteSignature" => "check `aws_secret_access_key`, and this machine's clock",
        "InvalidClientTokenId" | "UnrecognizedClientException" => {
            "check `aws_access_key_id`, and `aws_session_token` if it is a temporary key"
        }
        "ExpiredToken" | "ExpiredTokenException" => "what stands for the role has ended",
        _ => {
            let message = text_of(text, "Message").unwrap_or_default();
            let said: String = message.chars().take(MOST_SAID).map(|c| if c.is_control() { ' ' } else { c }).collect();
            let is_denied = matches!(code.as_str(), "AccessDenied" | "AccessDeniedException");
            let hint = "; the role's trust policy must name who asks, who must be allowed sts:AssumeRole";
            return format!("refused with `{code}`: {said}{}", if is_denied { hint } else { "" });
        }
    };
    // Its message may repeat the request, and a session token with it.
    format!("refused with `{code}`; {how}")
}

/// The endpoint as it may be shown.
pub(super) fn shown(url: &Url) -> String {
    crate::upstream::openapi::shown(url.as_str())
}

/// What stands in the first element called `name`. The answers of STS are so plain that more of XML is not needed: no
/// element of theirs that is read has attributes, children or a section of characters.
pub(super) fn text_of(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let mut plain = text.trim().to_owned();
    for (entity, character) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")]
    {
        plain = plain.replace(entity, character);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::{DateTime, Utc};
    use http::{HeaderMap, StatusCode};
    use secrecy::ExposeSecret;
    use toolgate_client::Exchanged;

    use super::{Granted, read, text_of};

    fn answer(status: u16, body: &str) -> Result<Granted, String> {
        let status = StatusCode::from_u16(status).unwrap();
        let body = body.to_owned().into();
        let answer = Exchanged { status, headers: HeaderMap::new(), body, is_whole: true, length: None };
        let now: DateTime<Utc> = "2026-12-01T12:00:00Z".parse().unwrap();
        read(&answer, now)
    }

    fn keys(expiration: &str) -> String {
        format!(
            "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n<AssumeRoleResult><AssumedRoleUser>\
             <Arn>arn:aws:sts::1:assumed-role/r/s</Arn></AssumedRoleUser><Credentials>\n<AccessKeyId>ASIA1</AccessKeyId>\
             <SecretAccessKey>s/+=</SecretAccessKey><SessionToken>t/+==</SessionToken>\
             <Expiration>{expiration}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
        )
    }

    #[test]
    fn keys_are_read_with_their_end() {
        let granted = answer(200, &keys("2026-12-01T13:00:00Z")).unwrap();
        assert_eq!(granted.keys.access_key_id, "ASIA1");
        assert_eq!(granted.keys.secret_access_key.expose_secret(), "s/+=");
        assert_eq!(granted.keys.session_token.unwrap().expose_secret(), "t/+==");
        assert_eq!(granted.ends_in, Duration::from_secs(3600));
        assert_eq!(answer(200, &keys("2026-12-01T11:00:00.5Z")).unwrap().ends_in, Duration::ZERO);
        assert!(answer(200, &keys("soon")).unwrap_err().contains("no time"));
        assert_eq!(answer(200, "<html>").unwrap_err(), "answered without `SecretAccessKey`");
    }

    #[test]
    fn a_refusal_is_told_with_what_helps() {
        let error = |code: &str, message: &str| {
            let body = format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            );
            answer(403, &body).unwrap_err()
        };
        let denied = error("AccessDenied", "User: &quot;a&quot; is not authorized");
        assert!(
            denied.starts_with("refused with `AccessDenied`: User: \"a\" is not authorized; the role's trust"),
            "{denied}"
        );
        let wrong = error("SignatureDoesNotMatch", "The Canonical String should have been x-amz-security-token:s3cret");
        assert!(wrong.contains("check `aws_secret_access_key`") && !wrong.contains("s3cret"), "{wrong}");
        assert_eq!(answer(502, "bad gateway").unwrap_err(), "answered HTTP 502 where keys were to be");
    }

    #[test]
    fn an_elements_text_is_found() {
        assert_eq!(text_of("<a><Code> x &amp;lt; </Code></a>", "Code").as_deref(), Some("x &lt;"));
        assert_eq!(text_of("<Code>never closed", "Code"), None);
    }
}
