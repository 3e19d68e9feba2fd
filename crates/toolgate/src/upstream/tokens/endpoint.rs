//! The token endpoint: RFC 6749, sections 4.4 and 5.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use secrecy::ExposeSecret;
use serde_json::Value;
use toolgate_client::{Exchanged, HttpClient};
use url::Url;
use url::form_urlencoded::{self, byte_serialize};

use super::{Granted, shown};
use crate::config::settings::oauth::{ClientAuthMethod, ClientCredentials};
use crate::egress::Reach;

/// What is read of an answer.
pub(super) const MOST_BYTES: usize = 64 * 1024;

/// How much an authorization server may say of why not.
const MOST_SAID: usize = 200;

/// Asks for a token.
pub(super) async fn issue(
    client: &HttpClient,
    url: &Url,
    reach: Reach,
    credentials: &ClientCredentials,
) -> Result<Granted, String> {
    let place = shown(url);
    if reach.shuts_out(url) {
        return Err(format!("{place} is an internal address; declare the server in the configuration file"));
    }
    let answer = client.exchange(&place, request(url, credentials)?, MOST_BYTES).await;
    let answer = answer.map_err(|error| error.to_string())?;
    read(&answer).map_err(|why| format!("{place} {why}"))
}

fn request(url: &Url, credentials: &ClientCredentials) -> Result<Request<Bytes>, String> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    let secret = credentials.client_secret.expose_secret();
    if credentials.method == ClientAuthMethod::Post {
        form.append_pair("client_id", &credentials.client_id).append_pair("client_secret", secret);
    }
    let more =
        [("scope", &credentials.scope), ("audience", &credentials.audience), ("resource", &credentials.resource)];
    for (name, value) in more {
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    let mut request = Request::post(url.as_str())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("toolgate/", env!("CARGO_PKG_VERSION")));
    if credentials.method == ClientAuthMethod::Basic {
        // Both are encoded as in a form first (RFC 6749, section 2.3.1).
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let pair = STANDARD.encode(format!("{}:{}", encoded(&credentials.client_id), encoded(secret)));
        let mut value = HeaderValue::from_str(&format!("Basic {pair}")).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    request.body(form.finish().into()).map_err(|error| error.to_string())
}

/// The token in an answer; or what is wrong with it, in words behind the name of who gave it.
fn read(answer: &Exchanged) -> Result<Granted, String> {
    let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
    if answer.status != StatusCode::OK {
        return Err(refusal(answer.status, json.as_ref()));
    }
    let json = json.filter(Value::is_object).ok_or("answered something that is not a JSON object")?;
    if let Some(kind) = json.get("token_type").and_then(Value::as_str)
        && !kind.eq_ignore_ascii_case("bearer")
    {
        return Err(format!("issues tokens of the type `{}`, and only `Bearer` can be used", said(kind)));
    }
    let token = json.get("access_token").and_then(Value::as_str).ok_or("answered without an `access_token`")?;
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("issued a token that no header can hold".to_owned());
    }
    let mut authorization = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|error| error.to_string())?;
    authorization.set_sensitive(true);
    Ok(Granted { authorization, expires_in: json.get("expires_in").and_then(seconds) })
}

/// Some write the number as a text.
fn seconds(value: &Value) -> Option<Duration> {
    let seconds = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn refusal(status: StatusCode, json: Option<&Value>) -> String {
    let field = |name| json.and_then(|json| json.get(name)).and_then(Value::as_str).map(said);
    let code = status.as_u16();
    match (field("error"), field("error_description")) {
        (Some(error), Some(why)) => format!("refused with `{error}`: {why}{}", hint(&error)),
        (Some(error), None) => format!("refused with `{error}`{}", hint(&error)),
        (None, _) if status.is_redirection() => {
            format!(
                "answered HTTP {code}; redirects are not followed with a secret, set `token_url` to the place itself"
            )
        }
        (None, _) => format!("answered HTTP {code} where a token was to be"),
    }
}

fn hint(error: &str) -> &'static str {
    match error {
        "invalid_client" => "; check `client_id`, `client_secret` and `token_endpoint_auth_method`",
        "invalid_scope" => "; check `scopes`",
        "invalid_target" => "; check `upstream_resource` and `audience`",
        "unauthorized_client" | "unsupported_grant_type" => "; the client must be allowed `client_credentials` there",
        _ => "",
    }
}

/// Some of what another said, on one line.
fn said(text: &str) -> String {
    text.chars().take(MOST_SAID).map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, StatusCode};
    use secrecy::SecretString;
    use toolgate_client::Exchanged;

    use super::{read, request};
    use crate::config::settings::oauth::{Authority, ClientAuthMethod, ClientCredentials};

    fn credentials(method: ClientAuthMethod) -> ClientCredentials {
        ClientCredentials {
            client_id: "gate way".to_owned(),
            client_secret: SecretString::from("s&c:r=t"),
            authority: Authority::TokenUrl("https://idp.example/token".parse().unwrap()),
            method,
            scope: Some("a b".to_owned()),
            audience: None,
            resource: Some("https://api.example/mcp".to_owned()),
        }
    }

    fn answer(status: u16, body: &str) -> Result<(String, Option<Duration>), String> {
        let status = StatusCode::from_u16(status).unwrap();
        let body = body.to_owned().into();
        let answer = Exchanged { status, headers: HeaderMap::new(), body, is_whole: true, length: None };
        read(&answer).map(|issued| (issued.authorization.to_str().unwrap().to_owned(), issued.expires_in))
    }

    #[test]
    fn the_client_shows_itself_in_the_form_or_in_a_header() {
        let url = "https://idp.example/token".parse().unwrap();
        let posted = request(&url, &credentials(ClientAuthMethod::Post)).unwrap();
        assert_eq!(
            posted.body(),
            "grant_type=client_credentials&client_id=gate+way&client_secret=s%26c%3Ar%3Dt&scope=a+b\
             &resource=https%3A%2F%2Fapi.example%2Fmcp"
        );
        assert!(!posted.headers().contains_key("authorization"));
        let basic = request(&url, &credentials(ClientAuthMethod::Basic)).unwrap();
        assert!(!basic.body().starts_with(b"client") && !String::from_utf8_lossy(basic.body()).contains("secret"));
        // gate+way:s%26c%3Ar%3Dt
        assert_eq!(basic.headers()["authorization"], "Basic Z2F0ZSt3YXk6cyUyNmMlM0FyJTNEdA==");
        assert!(basic.headers()["authorization"].is_sensitive());
    }

    #[test]
    fn a_token_is_read_with_its_time_however_that_is_written() {
        let read = |expires: &str| answer(200, &format!(r#"{{"access_token":"t","token_type":"bearer"{expires}}}"#));
        let token = || "Bearer t".to_owned();
        assert_eq!(read(""), Ok((token(), None)));
        assert_eq!(read(r#","expires_in":90"#), Ok((token(), Some(Duration::from_secs(90)))));
        assert_eq!(read(r#","expires_in":"90""#), Ok((token(), Some(Duration::from_secs(90)))));
        for odd in [r#","expires_in":-1"#, r#","expires_in":null"#, r#","expires_in":1e300"#] {
            assert_eq!(read(odd), Ok((token(), None)), "{odd}");
        }
    }

    #[test]
    fn whatever_is_no_token_is_told_in_words() {
        let cases = [
            (200, "<html>", "answered something that is not a JSON object"),
            (200, "[]", "answered something that is not a JSON object"),
            (200, "{}", "answered without an `access_token`"),
            (200, r#"{"access_token":"a\r\nb"}"#, "issued a token that no header can hold"),
            (
                200,
                r#"{"access_token":"t","token_type":"DPoP"}"#,
                "issues tokens of the type `DPoP`, and only `Bearer` can be used",
            ),
            (
                401,
                r#"{"error":"invalid_client","error_description":"no such\nclient"}"#,
                "refused with `invalid_client`: no such client; check `client_id`, `client_secret` and \
                 `token_endpoint_auth_method`",
            ),
            (400, r#"{"error":"invalid_scope"}"#, "refused with `invalid_scope`; check `scopes`"),
            (503, "busy", "answered HTTP 503 where a token was to be"),
            (
                302,
                "",
                "answered HTTP 302; redirects are not followed with a secret, set `token_url` to the place itself",
            ),
        ];
        for (status, body, expected) in cases {
            assert_eq!(answer(status, body), Err(expected.to_owned()), "{body}");
        }
    }
}
