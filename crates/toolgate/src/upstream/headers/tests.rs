use http::{HeaderName, HeaderValue};

use super::{Addressing, CredentialError, resolve};
use crate::auth::testing::caller;
use crate::auth::vault::Own;
use crate::config::settings::{AuthScheme, ServerSettings, UpstreamAuth};
use crate::upstream::testing::{http_server, settings};

fn server(auth: Option<(AuthScheme, Option<&str>, Option<&'static str>)>) -> ServerSettings {
    let mut server = http_server("git", "http://127.0.0.1:1/mcp");
    if let Some((scheme, value, header)) = auth {
        server.auth = UpstreamAuth::Static {
            scheme,
            value: value.map(|value| value.to_owned().into()),
            header: header.map(HeaderName::from_static),
        };
    }
    server
}

/// A server, what a caller sent, what arrives, and why.
type Case<'a> = (ServerSettings, &'a [(&'a str, &'a str)], &'a [&'a str], &'a str);

fn lines(server: ServerSettings, sent: &[(&str, &str)]) -> Result<(Vec<String>, &'static str), CredentialError> {
    let settings = settings(vec![server]);
    let resolved = resolve(&settings.servers[0], &Addressing::new(&settings), &caller(sent).headers, Own::Known(None))?;
    assert!(resolved.headers.values().all(HeaderValue::is_sensitive));
    let mut lines: Vec<_> =
        resolved.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    Ok((lines, resolved.resolution.as_str()))
}

#[test]
fn every_static_scheme_looks_as_litellm_writes_it() {
    let cases = [
        (AuthScheme::ApiKey, "v", "x-api-key: v"),
        (AuthScheme::BearerToken, "v", "authorization: Bearer v"),
        (AuthScheme::BearerToken, "Bearer v", "authorization: Bearer v"),
        (AuthScheme::BearerToken, "bearer  v ", "authorization: Bearer v"),
        (AuthScheme::BearerToken, "Bearer", "authorization: Bearer Bearer"),
        (AuthScheme::BearerToken, "Bearerish", "authorization: Bearer Bearerish"),
        (AuthScheme::Authorization, "Custom v w", "authorization: Custom v w"),
        (AuthScheme::Token, "v", "authorization: token v"),
        (AuthScheme::Token, "Token v", "authorization: token v"),
        (AuthScheme::Basic, "user:pass", "authorization: Basic dXNlcjpwYXNz"),
        (AuthScheme::Basic, "Basic dXNlcjpwYXNz", "authorization: Basic dXNlcjpwYXNz"),
        (AuthScheme::Basic, "basic user:pass", "authorization: Basic dXNlcjpwYXNz"),
        // Without `Basic` before it LiteLLM takes it for a pair, and encodes it again.
        (AuthScheme::Basic, "dXNlcjpwYXNz", "authorization: Basic ZFhObGNqcHdZWE56"),
    ];
    for (scheme, value, expected) in cases {
        let got = lines(server(Some((scheme, Some(value), None))), &[]);
        assert_eq!(got, Ok((vec![expected.to_owned()], "static-token")), "{scheme:?} {value}");
    }
}

#[test]
fn the_callers_own_credential_takes_the_place_of_the_configured_one() {
    let bearer = || server(Some((AuthScheme::BearerToken, Some("ours"), None)));
    let moved = || server(Some((AuthScheme::BearerToken, Some("ours"), Some("x-upstream-token"))));
    let unset = || server(Some((AuthScheme::BearerToken, None, None)));
    let cases: [Case<'_>; 9] = [
        (bearer(), &[("x-mcp-git-authorization", "Bearer own")], &["authorization: Bearer own"], "per-request-header"),
        (bearer(), &[("x-mcp-git-x-api-key", "own")], &["x-api-key: own"], "per-request-header"),
        (bearer(), &[("x-mcp-auth", "own")], &["authorization: Bearer own"], "per-request-header"),
        (bearer(), &[("x-mcp-auth", "Bearer own")], &["authorization: Bearer own"], "per-request-header"),
        (moved(), &[], &["x-upstream-token: Bearer ours"], "static-token"),
        (moved(), &[("x-mcp-auth", "own")], &["authorization: Bearer own"], "per-request-header"),
        (unset(), &[], &[], "no-auth"),
        (
            server(None),
            &[("x-mcp-git-authorization", "Bearer own")],
            &["authorization: Bearer own"],
            "per-request-header",
        ),
        (
            bearer(),
            &[("authorization", "Bearer mine"), ("x-other", "1")],
            &["authorization: Bearer ours"],
            "static-token",
        ),
    ];
    for (server, sent, expected, resolution) in cases {
        let expected = expected.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        assert_eq!(lines(server, sent), Ok((expected, resolution)), "{sent:?}");
    }
}

#[test]
fn extra_headers_are_forwarded_and_static_headers_win() {
    let with = |auth, extra: &[&'static str], fixed: &[(&'static str, &'static str)]| {
        let mut server = server(auth);
        server.extra_headers = extra.iter().map(|name| HeaderName::from_static(name)).collect();
        server.static_headers = fixed
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        server
    };
    let bearer = Some((AuthScheme::BearerToken, Some("ours"), None));
    let moved = Some((AuthScheme::BearerToken, Some("ours"), Some("x-token")));
    let cases: [Case<'_>; 8] = [
        (with(None, &["x-tenant"], &[]), &[("x-tenant", "a"), ("x-other", "b")], &["x-tenant: a"], "extra-headers"),
        (
            with(None, &["x-tenant"], &[]),
            &[("x-tenant", "a"), ("x-tenant", "b")],
            &["x-tenant: a", "x-tenant: b"],
            "extra-headers",
        ),
        (
            with(bearer, &["authorization"], &[]),
            &[("authorization", "Bearer mine")],
            &["authorization: Bearer mine"],
            "extra-headers",
        ),
        (
            with(bearer, &["x-tenant"], &[]),
            &[("x-tenant", "a")],
            &["authorization: Bearer ours", "x-tenant: a"],
            "static-token",
        ),
        (
            with(None, &["x-tenant"], &[("x-tenant", "fixed")]),
            &[("x-tenant", "a")],
            &["x-tenant: fixed"],
            "extra-headers",
        ),
        (
            with(bearer, &[], &[("authorization", "fixed")]),
            &[("x-mcp-git-authorization", "own")],
            &["authorization: fixed"],
            "extra-headers",
        ),
        (
            with(moved, &["x-token"], &[("x-token", "fixed")]),
            &[("x-token", "a")],
            &["x-token: Bearer ours"],
            "static-token",
        ),
        (
            with(
                None,
                &["cookie", "x-forwarded-for", "x-litellm-api-key"],
                &[("cookie", "c=1"), ("host", "evil"), ("mcp-session-id", "s")],
            ),
            &[],
            &["cookie: c=1"],
            "extra-headers",
        ),
    ];
    for (server, sent, expected, resolution) in cases {
        let expected = expected.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        assert_eq!(lines(server, sent), Ok((expected, resolution)), "{sent:?}");
    }
}

#[test]
fn values_that_cannot_be_sent_are_refused_by_name() {
    let mut extra = server(None);
    extra.extra_headers = vec![HeaderName::from_static("x-tenant")];
    let got = lines(extra, &[("x-tenant", "a\tb")]).unwrap_err();
    assert_eq!(got, CredentialError::Unclean { server: "git".into(), header: HeaderName::from_static("x-tenant") });

    let broken = server(Some((AuthScheme::BearerToken, Some("a\nb"), None)));
    let got = lines(broken, &[]).unwrap_err();
    let expected =
        CredentialError::Configured { server: "git".into(), header: HeaderName::from_static("authorization") };
    assert_eq!(got, expected);
    assert!(!got.to_string().contains("a\nb"));
}
