//! The signature itself.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{self, SignableBody, SignableRequest, SigningSettings};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use crate::config::settings::aws::AwsKeys;

/// Headers that are the signature's own: whatever else brings them is taken out of a request first.
pub(in crate::upstream) const OURS: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("x-amz-content-sha256"),
];

/// Signs `request` as of `time`.
pub(super) fn sign(
    request: &mut Request<Bytes>,
    keys: &AwsKeys,
    region: &str,
    service: &str,
    time: SystemTime,
) -> Result<(), String> {
    for name in OURS {
        request.headers_mut().remove(name);
    }
    let token = keys.session_token.as_ref().map(|token| token.expose_secret().to_owned());
    let secret = keys.secret_access_key.expose_secret();
    let identity = Credentials::new(&keys.access_key_id, secret, token, None, "toolgate").into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(time)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let uri = request.uri().to_string();
    let signed = request.headers().iter().filter(|(name, _)| is_signed(name));
    let headers = signed.filter_map(|(name, value)| Some((name.as_str(), std::str::from_utf8(value.as_bytes()).ok()?)));
    let signable = SignableRequest::new(request.method().as_str(), uri, headers, SignableBody::Bytes(request.body()));
    // The library's traces have the URL, and a URL may have a secret in its query.
    let unheard = tracing::Dispatch::none();
    let sign = |signable| tracing::dispatcher::with_default(&unheard, || http_request::sign(signable, &params));
    let signature = signable.and_then(sign);
    let (instructions, _) = signature.map_err(|error| format!("the request cannot be signed: {error}"))?.into_parts();
    instructions.apply_to_request_http1x(request);
    for name in OURS {
        request.headers_mut().get_mut(name).into_iter().for_each(|value| value.set_sensitive(true));
    }
    Ok(())
}

/// AWS wants to see signed, beside `Host`, what the body is and whatever is AWS's own. Proxies on the way may change
/// other headers.
fn is_signed(name: &HeaderName) -> bool {
    *name == CONTENT_TYPE || name.as_str().starts_with("x-amz-")
}

/// The id of the access key with which a request was signed.
pub(super) fn key_id(authorization: &HeaderValue) -> Option<&str> {
    let (_, credential) = authorization.to_str().ok()?.split_once("Credential=")?;
    credential.split('/').next()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use bytes::Bytes;
    use http::{HeaderValue, Request};

    use super::{key_id, sign};
    use crate::config::settings::aws::AwsKeys;

    /// 20150830T123600Z, when all of AWS's examples are signed.
    fn time() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160)
    }

    fn keys(token: Option<&str>) -> AwsKeys {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into();
        AwsKeys::new("AKIDEXAMPLE".to_owned(), secret, token.map(Into::into)).unwrap()
    }

    fn signed(
        request: http::request::Builder,
        body: &'static str,
        service: &str,
        token: Option<&str>,
    ) -> Request<Bytes> {
        let mut request = request.body(Bytes::from_static(body.as_bytes())).unwrap();
        sign(&mut request, &keys(token), "us-east-1", service, time()).unwrap();
        request
    }

    fn signature(request: &Request<Bytes>) -> &str {
        request.headers()["authorization"].to_str().unwrap().rsplit_once("Signature=").unwrap().1
    }

    /// `get-vanilla-query-order-key-case`, `post-vanilla` and `post-x-www-form-urlencoded` of AWS's test suite, and the
    /// example of its documentation.
    #[test]
    fn the_examples_of_aws_are_signed_as_aws_signs_them() {
        let get = Request::get("https://example.amazonaws.com/?Param2=value2&Param1=value1");
        let get = signed(get, "", "service", None);
        assert_eq!(signature(&get), "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
        let post = signed(Request::post("https://example.amazonaws.com/"), "", "service", None);
        assert_eq!(signature(&post), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
        let form =
            Request::post("https://example.amazonaws.com/").header("content-type", "application/x-www-form-urlencoded");
        let form = signed(form, "Param1=value1", "service", None);
        assert_eq!(signature(&form), "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a");
        let list = Request::get("https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        let list = signed(list, "", "iam", None);
        assert_eq!(
            list.headers()["authorization"],
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    #[test]
    fn what_somebody_else_wrote_is_not_signed_and_does_not_stay() {
        let request = Request::post("https://example.amazonaws.com/")
            .header("authorization", "Bearer of-somebody")
            .header("x-amz-date", "20000101T000000Z")
            .header("x-amz-security-token", "of-somebody")
            .header("accept", "application/json")
            .header("x-amz-target", "Files.Read");
        let request = signed(request, "{}", "service", Some("of-ours"));
        let headers = request.headers();
        let authorization = headers["authorization"].to_str().unwrap();
        assert!(
            authorization.contains("SignedHeaders=host;x-amz-date;x-amz-security-token;x-amz-target,"),
            "{authorization}"
        );
        assert_eq!(headers["x-amz-date"], "20150830T123600Z");
        assert_eq!(headers["x-amz-security-token"], "of-ours");
        assert_eq!(headers.get_all("authorization").iter().count(), 1);
        for name in ["authorization", "x-amz-security-token"] {
            assert!(headers[name].is_sensitive(), "{name}");
        }
    }

    #[test]
    fn a_signature_tells_whose_it_is() {
        let value = HeaderValue::from_static("AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/iam/aws4_request, S");
        assert_eq!(key_id(&value), Some("AKID"));
        assert_eq!(key_id(&HeaderValue::from_static("Bearer x")), None);
    }
}
