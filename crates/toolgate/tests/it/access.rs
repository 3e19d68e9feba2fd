//! Who gets in: the master key in every header that LiteLLM accepts, and nobody else; browsers only from known places.

use serde_json::json;

use crate::support::{FakeMcp, MASTER_KEY, TestGateway, config, script};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[tokio::test]
async fn without_a_key_nothing_is_served_and_the_answer_says_how_to_authenticate() {
    let gate = TestGateway::start(config()).await;
    for path in ["/mcp", "/mcp/", "/mcp/files", "/files/mcp", "/sse"] {
        let reply = match path {
            "/sse" => gate.anonymous().get(path).await,
            _ => gate.anonymous().post(path, PING).await,
        };
        assert_eq!(reply.status, 401, "{path}: {reply:?}");
        assert!(reply.header("www-authenticate").starts_with("Bearer"), "{path}: {reply:?}");
    }
    assert_eq!(gate.anonymous().get("/mcp-rest/tools/list").await.status, 401);
}

#[tokio::test]
async fn a_wrong_key_gets_the_same_answer_as_another_wrong_key() {
    let gate = TestGateway::start(config()).await;
    let almost = &MASTER_KEY[..MASTER_KEY.len() - 1];
    let answers = ["sk-wrong", almost, "x", &"k".repeat(3000)].map(|key| {
        let caller = gate.anonymous().with("authorization", &format!("Bearer {key}"));
        async move { caller.post("/mcp", PING).await }
    });
    let mut bodies = Vec::new();
    for answer in answers {
        let reply = answer.await;
        assert_eq!(reply.status, 401, "{reply:?}");
        assert!(reply.header("www-authenticate").starts_with("Bearer"), "{reply:?}");
        assert!(!reply.text().contains("sk-"), "no key is repeated: {}", reply.text());
        bodies.push(reply.body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
}

#[tokio::test]
async fn the_master_key_is_accepted_in_every_header_that_litellm_accepts() {
    let gate = TestGateway::start(config().general("litellm_key_header_name: X-Team-Key")).await;
    let bearer = format!("Bearer {MASTER_KEY}");
    let cases = [
        ("x-litellm-api-key", bearer.as_str()),
        ("x-litellm-api-key", MASTER_KEY),
        ("authorization", bearer.as_str()),
        ("api-key", MASTER_KEY),
        ("x-api-key", MASTER_KEY),
        ("x-goog-api-key", MASTER_KEY),
        ("ocp-apim-subscription-key", MASTER_KEY),
        ("x-team-key", bearer.as_str()),
        ("x-team-key", MASTER_KEY),
    ];
    for (name, value) in cases {
        let reply = gate.anonymous().with(name, value).post("/mcp", PING).await;
        assert_eq!(reply.status, 200, "{name}: {reply:?}");
    }
}

#[tokio::test]
async fn a_wrong_litellm_key_is_not_saved_by_a_right_authorization() {
    let gate = TestGateway::start(config()).await;
    let caller = gate.anonymous().with("authorization", &format!("Bearer {MASTER_KEY}"));
    assert_eq!(caller.clone().post("/mcp", PING).await.status, 200);
    assert_eq!(caller.with("x-litellm-api-key", "sk-wrong").post("/mcp", PING).await.status, 401);
}

#[tokio::test]
async fn two_authorization_headers_are_a_bad_request() {
    let gate = TestGateway::start(config()).await;
    let bearer = format!("Bearer {MASTER_KEY}");
    let caller = gate.anonymous().with("authorization", &bearer).with_another("authorization", &bearer);
    assert_eq!(caller.post("/mcp", PING).await.status, 400);
}

#[tokio::test]
async fn a_browser_on_another_site_is_refused_whatever_key_it_has() {
    let gate = TestGateway::start(config()).await;
    let admin = gate.admin();
    for origin in ["https://evil.example", "http://evil.example:4000", "null"] {
        let reply = admin.clone().with("origin", origin).post("/mcp", PING).await;
        assert_eq!(reply.status, 403, "{origin}: {reply:?}");
    }
    for origin in ["http://localhost:3000", "http://127.0.0.1:6274"] {
        let reply = admin.clone().with("origin", origin).post("/mcp", PING).await;
        assert_eq!(reply.status, 200, "{origin}: {reply:?}");
    }
}

#[tokio::test]
async fn a_listed_origin_may_call_and_an_unlisted_one_may_not() {
    let gate = TestGateway::start(config().general("allowed_origins: [\"https://tools.example\"]")).await;
    let admin = gate.admin();
    assert_eq!(admin.clone().with("origin", "https://tools.example").post("/mcp", PING).await.status, 200);
    assert_eq!(admin.with("origin", "https://tools.example.evil").post("/mcp", PING).await.status, 403);
}

#[tokio::test]
async fn a_host_that_a_rebound_name_would_send_is_refused() {
    let gate = TestGateway::start(config().general("allowed_hosts: [gate.example]")).await;
    let admin = gate.admin();
    for host in ["evil.example", "evil.example:4000", "127.0.0.1.evil.example"] {
        assert_eq!(admin.clone().with("host", host).post("/mcp", PING).await.status, 403, "{host}");
    }
    for host in ["localhost", "127.0.0.1:4000", "gate.example", "gate.example:443", "[::1]:4000"] {
        assert_eq!(admin.clone().with("host", host).post("/mcp", PING).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn health_is_open_and_says_what_litellm_says() {
    let gate = TestGateway::start(config()).await;
    let anyone = gate.anonymous();
    for path in ["/health/liveliness", "/health/liveness"] {
        let reply = anyone.get(path).await;
        assert_eq!((reply.status.as_u16(), reply.json()), (200, json!("I'm alive!")), "{path}");
    }
    for path in ["/health/readiness", "/healthz", "/livez", "/readyz"] {
        assert_eq!(anyone.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn readiness_does_not_hang_on_a_server_that_is_down() {
    let down = FakeMcp::start(script().on("initialize", crate::support::Scripted::Silence)).await;
    let gate = TestGateway::start(config().server("down", down.entry())).await;
    assert_eq!(gate.anonymous().get("/health/readiness").await.status, 200);
}
