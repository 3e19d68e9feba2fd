use http::{HeaderMap, HeaderName, HeaderValue};

use super::{AuthError, Gatekeeper, MalformedCredential};
use crate::auth::testing::general;
use crate::config::settings::General;

const KEY: &str = "sk-master-0123456789abcdef0123456789abcdef";

fn gatekeeper(key_header: Option<&'static str>) -> Gatekeeper {
    Gatekeeper::new(&General { key_header: key_header.map(HeaderName::from_static), ..general(KEY) })
}

fn headers(list: &[(&str, &[u8])]) -> HeaderMap {
    list.iter()
        .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value).unwrap()))
        .collect()
}

fn invalid(header: &'static str) -> Result<&'static str, AuthError> {
    Err(AuthError::Invalid { header: HeaderName::from_static(header) })
}

#[test]
fn the_key_is_found_in_every_header_that_litellm_reads() {
    for name in [
        "x-litellm-api-key",
        "authorization",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "ocp-apim-subscription-key",
        "x-own",
    ] {
        for value in [format!("Bearer {KEY}"), KEY.to_owned(), format!("bearer  {KEY} "), format!("Basic {KEY}")] {
            let caller = gatekeeper(Some("x-own")).admit(&headers(&[(name, value.as_bytes())]), None).unwrap();
            assert_eq!(caller.id.as_str(), "master");
            assert!(caller.headers.is_empty(), "{name} carried the key and stays behind");
        }
    }
}

#[test]
fn one_header_decides_and_what_is_wrong_is_refused() {
    let key = KEY.as_bytes();
    let long = vec![b'a'; 64 * 1024];
    type Case<'a> = (&'a str, Vec<(&'a str, &'a [u8])>, Result<&'a str, AuthError>);
    let cases: Vec<Case<'_>> = vec![
        ("nothing", vec![], Err(AuthError::Missing)),
        (
            "nothing but blanks",
            vec![("x-litellm-api-key", b"Bearer "), ("authorization", b" ")],
            Err(AuthError::Missing),
        ),
        ("a header that is not configured", vec![("x-own", key)], Err(AuthError::Missing)),
        ("a wrong key", vec![("authorization", b"Bearer sk-wrong")], invalid("authorization")),
        ("a prefix of the key", vec![("authorization", &key[..30])], invalid("authorization")),
        (
            "x-litellm-api-key before Authorization",
            vec![("x-litellm-api-key", b"no"), ("authorization", key)],
            invalid("x-litellm-api-key"),
        ),
        (
            "Authorization before x-api-key",
            vec![("authorization", b"Bearer other"), ("x-api-key", key)],
            invalid("authorization"),
        ),
        (
            "an empty x-litellm-api-key does not decide",
            vec![("x-litellm-api-key", b""), ("authorization", key)],
            Ok("master"),
        ),
        ("SQL", vec![("authorization", b"Bearer sk-' OR '1'='1")], invalid("authorization")),
        ("64 KiB", vec![("authorization", &long)], invalid("authorization")),
        ("not ASCII", vec![("authorization", b"Bearer sk-\xff")], invalid("authorization")),
        (
            "two Authorizations, one of them right",
            vec![("authorization", key), ("authorization", b"Bearer x")],
            Err(AuthError::Malformed(MalformedCredential::Duplicate(HeaderName::from_static("authorization")))),
        ),
        (
            "two Authorizations beside a right key",
            vec![("x-litellm-api-key", key), ("authorization", b"Bearer x"), ("authorization", b"Bearer y")],
            Err(AuthError::Malformed(MalformedCredential::Duplicate(HeaderName::from_static("authorization")))),
        ),
        (
            "two right keys in one header",
            vec![("x-litellm-api-key", key), ("x-litellm-api-key", key)],
            Err(AuthError::Malformed(MalformedCredential::Duplicate(HeaderName::from_static("x-litellm-api-key")))),
        ),
    ];
    for (what, sent, expected) in cases {
        let got = gatekeeper(None).admit(&headers(&sent), None);
        assert_eq!(got.as_ref().map(|caller| caller.id.as_str()).map_err(Clone::clone), expected, "{what}");
    }
}

#[test]
fn the_configured_header_decides_before_all_others() {
    let gatekeeper = gatekeeper(Some("x-own"));
    let got = gatekeeper.admit(&headers(&[("x-own", b"wrong"), ("x-litellm-api-key", KEY.as_bytes())]), None);
    assert_eq!(got.unwrap_err(), AuthError::Invalid { header: HeaderName::from_static("x-own") });
}

#[test]
fn a_gateway_that_has_no_key_lets_nobody_in() {
    let gatekeeper = Gatekeeper::new(&general(""));
    for value in ["", "Bearer", "Bearer ", "Bearer x"] {
        assert!(gatekeeper.admit(&headers(&[("authorization", value.as_bytes())]), None).is_err(), "{value:?}");
    }
}

#[test]
fn authorization_is_free_for_the_upstream_beside_x_litellm_api_key() {
    let sent = headers(&[("x-litellm-api-key", KEY.as_bytes()), ("authorization", b"Bearer upstream-token")]);
    let caller = gatekeeper(None).admit(&sent, None).unwrap();
    assert_eq!(caller.headers["authorization"], "Bearer upstream-token");
    assert!(!caller.headers.contains_key("x-litellm-api-key"));
}

#[test]
fn a_copy_of_the_key_stays_behind_wherever_it_is() {
    use base64::Engine as _;
    let bearer = format!("Bearer {KEY}");
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("user:{KEY}")));
    let within = format!("token={KEY}; x=1");
    for copy in [KEY, &bearer, &basic, &within] {
        for name in ["authorization", "x-mcp-auth", "x-mcp-github-authorization", "x-api-key", "x-custom", "cookie"] {
            let sent = headers(&[("x-litellm-api-key", KEY.as_bytes()), (name, copy.as_bytes()), ("x-kept", b"1")]);
            let caller = gatekeeper(None).admit(&sent, None).unwrap();
            assert_eq!(*caller.headers, headers(&[("x-kept", b"1")]), "{name}: {copy}");
        }
    }
}

#[test]
fn a_short_key_is_not_found_by_accident() {
    let sent = headers(&[("authorization", b"abc"), ("x-api-key", b"Bearer abc"), ("x-kept", b"abcdef")]);
    let caller = Gatekeeper::new(&general("abc")).admit(&sent, None).unwrap();
    assert_eq!(*caller.headers, headers(&[("x-kept", b"abcdef")]));
}

#[test]
fn a_key_in_the_query_string_is_refused() {
    let admitted = headers(&[("authorization", KEY.as_bytes())]);
    let in_other_parameter = format!("x={KEY}");
    let encoded = format!("x=Bearer%20{KEY}");
    let cases = [
        (None, None),
        (Some(""), None),
        (Some("server_id=a&session_id=b"), None),
        (Some("api_key=anything"), Some("api_key")),
        (Some("API_KEY=anything"), Some("API_KEY")),
        (Some("a=1&access_token=t"), Some("access_token")),
        (Some(in_other_parameter.as_str()), Some("x")),
        (Some(encoded.as_str()), Some("x")),
    ];
    for (query, expected) in cases {
        let got = gatekeeper(None).admit(&admitted, query).err();
        let expected = expected.map(|name| AuthError::Malformed(MalformedCredential::InQuery(name.to_owned())));
        assert_eq!(got, expected, "{query:?}");
    }
}

#[test]
fn debug_shows_which_credentials_came_in_masked() {
    let key = format!("Bearer {KEY}");
    let base =
        [("x-litellm-api-key", key.as_bytes()), ("authorization", b"Bearer upstream-token"), ("x-mcp-auth", b"abc")];
    let quiet = gatekeeper(None).admit(&headers(&base), None).unwrap();
    assert!(!quiet.debug && quiet.inbound_auth.is_empty());

    let mut sent = headers(&base);
    sent.insert("x-litellm-mcp-debug", HeaderValue::from_static("True"));
    let caller = gatekeeper(None).admit(&sent, None).unwrap();
    assert!(caller.debug);
    assert_eq!(
        caller.inbound_auth,
        "x-litellm-api-key=Bearer***************************************cdef; \
         authorization=Bearer***********oken; x-mcp-auth=***"
    );
    assert!(!format!("{caller:?}").contains("upstream-token"));
}
