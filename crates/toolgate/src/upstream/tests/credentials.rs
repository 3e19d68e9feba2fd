//! Whose credential arrives where, seen from the server's side.

use base64::Engine as _;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use super::script::ScriptedServer;
use super::{PATIENCE, call, lane, upstreams_of};
use crate::auth::{AuthError, Gatekeeper};
use crate::config::settings::{AuthScheme, ServerSettings, Transport, UpstreamAuth};
use crate::upstream::testing::{http_server, python_server, server, settings};
use crate::upstream::{AuthResolution, Blame, ClientSide, UpstreamError, debug};

fn with_auth(mut server: ServerSettings, scheme: AuthScheme, value: Option<&str>) -> ServerSettings {
    let value = value.map(|value| value.to_owned().into());
    server.auth = UpstreamAuth::Static { scheme, value, header: None };
    server
}

fn header_map(headers: &[(&str, &str)]) -> HeaderMap {
    headers
        .iter()
        .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap()))
        .collect()
}

#[tokio::test]
async fn callers_with_different_credentials_never_share_a_session() {
    let scripted = ScriptedServer::start().await;
    let settings = settings(vec![scripted.settings("up")]);
    let upstreams = upstreams_of(&settings);
    let up = upstreams.find("up").unwrap();
    let lanes: Vec<_> = ["Bearer a", "Bearer b"].map(|own| lane(up, &[("x-mcp-up-authorization", own)])).into();

    let answers = join_all((0..200).map(|turn| call(up, &lanes[turn % 2], "whoami"))).await;
    for (turn, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), ["Bearer a", "Bearer b"][turn % 2]);
    }
    assert_eq!(call(up, &lane(up, &[]), "whoami").await.unwrap(), "nobody");
    assert_eq!(scripted.script.initialized(), 3, "one session for each credential");
}

#[tokio::test]
async fn the_gateways_key_never_reaches_an_upstream() {
    let scripted = ScriptedServer::start().await;
    let mut servers = Vec::new();
    let schemes = [
        ("api_key", AuthScheme::ApiKey),
        ("bearer", AuthScheme::BearerToken),
        ("basic", AuthScheme::Basic),
        ("authorization", AuthScheme::Authorization),
        ("token", AuthScheme::Token),
    ];
    for (name, scheme) in schemes {
        servers.push(with_auth(scripted.settings(name), scheme, None));
        servers.push(with_auth(scripted.settings(&format!("{name}_set")), scheme, Some("configured")));
    }
    servers.push(scripted.settings("none"));
    let carriers = [
        "authorization",
        "x-litellm-api-key",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "ocp-apim-subscription-key",
        "x-mcp-auth",
        "x-mcp-none-authorization",
        "x-mcp-bearer-x-api-key",
        "x-custom",
        "cookie",
    ];
    for server in &mut servers {
        server.extra_headers = carriers.iter().map(|name| HeaderName::from_static(name)).collect();
    }
    let settings = settings(servers);
    let upstreams = upstreams_of(&settings);
    let gatekeeper = Gatekeeper::new(&settings.general);
    let key = settings.general.master_key.expose_secret().to_owned();
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("x:{key}"));
    let forms = [key.clone(), format!("Bearer {key}"), format!("Basic {basic}"), format!("a={key};b")];

    let mut asked = 0;
    for carrier in carriers {
        for form in &forms {
            let mut sent = header_map(&[("x-litellm-api-key", key.as_str()), ("x-harmless", "1")]);
            sent.insert(carrier, HeaderValue::from_str(form).unwrap());
            let caller = match gatekeeper.admit(&sent, None) {
                Ok(caller) => caller,
                // `x-litellm-api-key` decides, and this is not how a key looks in it.
                Err(AuthError::Invalid { .. }) => continue,
                Err(other) => panic!("{other}"),
            };
            for up in upstreams.all() {
                call(up, &up.lane(&caller, &ClientSide::none()).unwrap(), "whoami").await.unwrap();
                asked += 1;
            }
        }
    }
    assert!(asked > 400);
    let seen = scripted.script.seen();
    assert!(!seen.contains(&key) && !seen.contains(&basic));
    assert!(seen.contains("configured"), "configured credentials do arrive");
}

#[tokio::test]
async fn debug_headers_look_like_litellms() {
    let scripted = ScriptedServer::start().await;
    let plain = scripted.settings("plain");
    let bearer = with_auth(scripted.settings("bearer"), AuthScheme::BearerToken, Some("configured"));
    let child = python_server("child", "", vec![]);
    let settings = settings(vec![plain, bearer, child]);
    let upstreams = upstreams_of(&settings);
    let key = settings.general.master_key.expose_secret();
    let bearer_key = format!("Bearer {key}");
    let sent = header_map(&[
        ("x-litellm-api-key", bearer_key.as_str()),
        ("x-litellm-mcp-debug", "true"),
        ("authorization", "Bearer upstream-token-9876"),
    ]);
    let caller = Gatekeeper::new(&settings.general).admit(&sent, None).unwrap();
    let asked = |names: &[&str]| {
        let lanes: Vec<_> = names
            .iter()
            .map(|name| {
                let up = upstreams.find(name).unwrap();
                (up, up.lane(&caller, &ClientSide::none()).unwrap())
            })
            .collect();
        let asked: Vec<_> = lanes.iter().map(|(up, lane)| (&***up, lane)).collect();
        debug::response_headers(&caller, &asked)
            .into_iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect::<Vec<_>>()
    };
    let expected = |rest: &[(&str, &str)]| {
        let inbound = "x-litellm-api-key=Bearer***********************cdef; authorization=Bearer****************9876";
        let mut all =
            vec![("x-mcp-debug-inbound-auth", inbound), ("x-mcp-debug-oauth2-token", "Bearer****************9876")];
        all.extend_from_slice(rest);
        all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
    };
    let (resolution, url, auth_type) =
        ("x-mcp-debug-auth-resolution", "x-mcp-debug-outbound-url", "x-mcp-debug-server-auth-type");
    assert_eq!(
        asked(&["bearer"]),
        expected(&[(resolution, "static-token"), (url, &scripted.url), (auth_type, "bearer_token")])
    );
    assert_eq!(asked(&["plain"]), expected(&[(resolution, "no-auth"), (url, &scripted.url), (auth_type, "(none)")]));
    assert_eq!(
        asked(&["child"]),
        expected(&[(resolution, "not-applicable"), (url, "(unknown)"), (auth_type, "(none)")])
    );
    assert_eq!(asked(&[]), expected(&[(resolution, "unresolved"), (url, "(unknown)"), (auth_type, "(none)")]));
    assert_eq!(
        asked(&["plain", "bearer"]),
        expected(&[
            (resolution, "multiple"),
            ("x-mcp-debug-auth-resolutions", r#"{"id-bearer":"static-token","id-plain":"no-auth"}"#),
            (url, &scripted.url),
            (auth_type, "(none)"),
        ])
    );
    assert_eq!(AuthResolution::PerRequestHeader.as_str(), "per-request-header");
}

#[tokio::test]
async fn what_is_not_active_yet_says_so() {
    let mut oauth = http_server("oauth", "http://127.0.0.1:1/mcp");
    oauth.auth = UpstreamAuth::NotActiveYet { auth_type: "oauth2".to_owned() };
    let spec = Transport::OpenApi { spec: "spec.json".to_owned(), base_url: None, settings: Box::default() };
    let mut openapi = server("openapi", spec);
    openapi.auth = UpstreamAuth::NotActiveYet { auth_type: "oauth2_token_exchange".to_owned() };
    let upstreams = upstreams_of(&settings(vec![oauth, openapi]));
    for (name, what) in [("oauth", "auth_type: oauth2"), ("openapi", "auth_type: oauth2_token_exchange")] {
        let up = upstreams.find(name).unwrap();
        let why = up.request(&lane(up, &[]), "tools/list", None, PATIENCE).await.unwrap_err();
        assert!(matches!(why, UpstreamError::NotActiveYet { .. }) && why.to_string().contains(what), "{why}");
        assert_eq!((why.blame(), why.may_have_run()), (Blame::Gateway, false));
    }
}
