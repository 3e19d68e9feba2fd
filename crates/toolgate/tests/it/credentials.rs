//! What travels upstream, and what never does.

use serde_json::json;

use crate::support::{Caller, FakeMcp, MASTER_KEY, Seen, TestGateway, config, script, teller};

/// A gate with one server, `files`, known as `f`, whose entry has `lines` more.
async fn gate(lines: &[&str]) -> (TestGateway, FakeMcp) {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let entry = lines.iter().fold(fake.entry().with("alias: f"), |entry, line| entry.with(line));
    (TestGateway::start(config().server("files", entry)).await, fake)
}

/// What reached the server when `caller` called its tool.
async fn called(caller: &Caller, fake: &FakeMcp) -> Seen {
    caller.call("f-read", json!({})).await.result();
    fake.seen_of("tools/call").pop().unwrap()
}

#[tokio::test]
async fn the_gateways_key_never_travels_upstream_from_any_header() {
    let forwarded = "extra_headers: [Authorization, X-Litellm-Api-Key, Api-Key, X-Api-Key, X-Goog-Api-Key]";
    let (gate, fake) = gate(&[forwarded]).await;
    let bearer = format!("Bearer {MASTER_KEY}");
    for (name, value) in [
        ("authorization", bearer.as_str()),
        ("x-litellm-api-key", bearer.as_str()),
        ("x-litellm-api-key", MASTER_KEY),
        ("api-key", MASTER_KEY),
        ("x-api-key", MASTER_KEY),
        ("x-goog-api-key", MASTER_KEY),
        ("ocp-apim-subscription-key", MASTER_KEY),
    ] {
        called(&gate.anonymous().with(name, value), &fake).await;
    }
    let everywhere = gate.admin().with("authorization", &bearer).with("x-api-key", MASTER_KEY);
    called(&everywhere, &fake).await;
    for seen in fake.seen() {
        for (name, value) in &seen.headers {
            assert!(!value.to_str().unwrap().contains(MASTER_KEY), "{name} of {}", seen.method());
        }
        assert!(!String::from_utf8_lossy(&seen.body).contains(MASTER_KEY));
    }
}

#[tokio::test]
async fn each_static_auth_type_is_written_as_litellm_writes_it() {
    let cases = [
        ("bearer_token", "authorization", "Bearer s3cret"),
        ("api_key", "x-api-key", "s3cret"),
        ("token", "authorization", "token s3cret"),
        ("authorization", "authorization", "s3cret"),
        ("basic", "authorization", "Basic czNjcmV0"),
    ];
    for (auth_type, header, expected) in cases {
        let (gate, fake) = gate(&[&format!("auth_type: {auth_type}"), "auth_value: s3cret"]).await;
        let seen = called(&gate.admin(), &fake).await;
        assert_eq!(seen.header(header), Some(expected), "{auth_type}");
        assert_eq!(fake.seen_of("initialize")[0].header(header), Some(expected), "{auth_type} in the handshake");
    }
}

#[tokio::test]
async fn a_callers_own_credential_takes_the_place_of_the_configured_one() {
    let (gate, fake) = gate(&["auth_type: bearer_token", "auth_value: ours"]).await;
    let admin = gate.admin();
    for name in ["x-mcp-f-authorization", "x-mcp-files-authorization"] {
        let seen = called(&admin.clone().with(name, "Bearer theirs"), &fake).await;
        assert_eq!(seen.header("authorization"), Some("Bearer theirs"), "{name}");
    }
    let seen = called(&admin.clone().with("x-mcp-auth", "Bearer for-all"), &fake).await;
    assert_eq!(seen.header("authorization"), Some("Bearer for-all"));
    let seen = called(&admin.with("x-mcp-maps-authorization", "Bearer for-maps"), &fake).await;
    assert_eq!(seen.header("authorization"), Some("Bearer ours"), "another server's credential stays away");
}

#[tokio::test]
async fn sessions_upstream_are_not_shared_between_credentials() {
    let (gate, fake) = gate(&[]).await;
    for who in ["ada", "alan", "ada"] {
        called(&gate.admin().with("x-mcp-f-authorization", &format!("Bearer {who}")), &fake).await;
    }
    for seen in fake.seen_of("initialize").iter().chain(&fake.seen_of("tools/call")) {
        assert!(seen.header("authorization").is_some(), "{} came without a credential", seen.method());
    }
    let greeted: std::collections::BTreeSet<_> =
        fake.seen_of("initialize").iter().filter_map(|seen| seen.header("authorization").map(str::to_owned)).collect();
    assert_eq!(greeted.into_iter().collect::<Vec<_>>(), ["Bearer ada", "Bearer alan"]);
}

#[tokio::test]
async fn only_named_headers_are_forwarded_and_static_ones_win() {
    let (gate, fake) =
        gate(&["extra_headers: [X-Tenant, X-Region]", "static_headers: {X-Region: eu, X-Static: \"1\"}"]).await;
    let caller = gate.admin().with("x-tenant", "acme").with("x-region", "us").with("x-other", "secret");
    let seen = called(&caller, &fake).await;
    assert_eq!(seen.header("x-tenant"), Some("acme"));
    assert_eq!(seen.header("x-region"), Some("eu"));
    assert_eq!(seen.header("x-static"), Some("1"));
    assert_eq!(seen.header("x-other"), None);
}

#[tokio::test]
async fn framing_hop_cookie_and_forwarding_headers_never_pass_even_when_named() {
    let named = ["cookie", "x-forwarded-for", "forwarded", "x-real-ip"];
    let unnamed = ["te", "proxy-authorization", "keep-alive", "x-mcp-servers", "x-litellm-tags"];
    let (gate, fake) = gate(&[&format!("extra_headers: [{}]", named.join(", "))]).await;
    let all = || named.iter().chain(&unnamed);
    let caller = all().fold(gate.admin(), |caller, name| caller.with(name, "files"));
    let seen = called(&caller, &fake).await;
    for name in all() {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!(seen.header("host"), Some(fake.url().trim_start_matches("http://").trim_end_matches("/mcp")));
}

#[tokio::test]
async fn a_forwarded_value_that_is_too_long_is_a_bad_request() {
    let (gate, fake) = gate(&["extra_headers: [X-Tenant]"]).await;
    let caller = gate.admin().with("x-tenant", &"t".repeat(5000));
    let reply =
        caller.post("/mcp", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"f-read"}}"#).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    assert_eq!(fake.seen_of("tools/call").len(), 0);
}

#[tokio::test]
async fn a_child_gets_the_callers_header_and_nothing_of_the_gateways_environment() {
    let config = config().server("sh", teller().with("env: {WHO: \"${X-WHO}\"}")).env("LEAK", "leaked");
    let gate = TestGateway::start(config).await;
    let told = |who: &str| {
        let caller = gate.admin().with("x-who", who);
        async move { caller.call("sh-who", json!({})).await.tool_text() }
    };
    let ada = told("ada").await;
    assert!(ada.starts_with("ada,") && ada.ends_with(",leak="), "{ada}");
    assert_eq!(told("ada").await, ada, "equal environments share a child");
    assert!(told("alan").await.starts_with("alan,"));

    let nobody = gate.admin().call("sh-who", json!({})).await;
    assert!(nobody.error_message().to_lowercase().contains("x-who"), "{}", nobody.error_message());
    gate.stop().await;
}

#[tokio::test]
async fn a_header_with_control_characters_never_reaches_a_childs_environment() {
    let gate = TestGateway::start(config().server("sh", teller().with("env: {WHO: \"${X-WHO}\"}"))).await;
    let caller = gate.admin().with("x-who", "ada\tLD_PRELOAD=x");
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"sh-who"}}"#;
    assert_eq!(caller.post("/mcp", body).await.status, 400);
    gate.stop().await;
}
