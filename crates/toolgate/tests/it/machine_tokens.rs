//! `oauth2_flow: client_credentials`: the gateway signs in at a real authorization server and uses servers in its own name.

use std::sync::Arc;

use serde_json::json;

use crate::support::{
    AuthorizationServer, CLIENT_SECRET, Entry, FakeMcp, Guarded, MASTER_KEY, RestService, Seen, TestGateway, config,
    script,
};

/// An MCP server behind a door, and who opens it.
struct World {
    authority: Arc<AuthorizationServer>,
    fake: FakeMcp,
    guarded: Guarded,
}

impl World {
    async fn new(seconds: u32) -> Self {
        let authority = Arc::new(AuthorizationServer::start(seconds).await);
        let fake = FakeMcp::start(script().tools(&["read"])).await;
        let behind = fake.url();
        let behind = behind.strip_prefix("http://").unwrap().strip_suffix("/mcp").unwrap();
        let guarded = Guarded::start(behind, &authority).await;
        Self { authority, fake, guarded }
    }

    fn entry(&self, client: &str) -> Entry {
        signing_in(Entry::http(&self.guarded.url("/mcp")), client)
    }

    /// A gate with the server `files`, whose token comes from the token URL.
    async fn gate(&self, lines: &[&str]) -> TestGateway {
        let entry = self.entry("posts").with(&format!("token_url: '{}'", self.authority.token_url()));
        let entry = lines.iter().fold(entry, |entry, line| entry.with(line));
        TestGateway::start(config().server("files", entry)).await
    }

    fn calls(&self) -> Vec<Seen> {
        self.fake.seen_of("tools/call")
    }
}

fn signing_in(entry: Entry, client: &str) -> Entry {
    entry
        .with("auth_type: oauth2")
        .with(&format!("client_id: {client}"))
        .with(&format!("client_secret: '{CLIENT_SECRET}'"))
}

fn token(seen: &Seen) -> &str {
    seen.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).expect("a bearer token")
}

#[tokio::test]
async fn one_token_is_used_for_all_callers_and_has_the_scopes_that_were_asked_for() {
    let world = World::new(3600).await;
    let gate = world.gate(&["scopes: [read, write]"]).await;
    let admin = gate.admin();
    for _ in 0..3 {
        assert_eq!(admin.call("files-read", json!({})).await.result()["isError"], json!(null));
    }
    let calls = world.calls();
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|seen| token(seen) == token(&calls[0])), "one token");
    let facts = world.authority.introspect(token(&calls[0])).await;
    assert_eq!((&facts["client_id"], &facts["scope"]), (&json!("posts"), &json!("read write")), "{facts}");
    assert_eq!(world.guarded.turned_away(), 0, "no request went without it, the handshake and the probe included");
}

#[tokio::test]
async fn the_token_endpoint_is_found_by_the_issuer_and_the_client_may_show_itself_in_a_header() {
    let world = World::new(3600).await;
    let entry = world
        .entry("basic")
        .with("oauth2_flow: client_credentials")
        .with(&format!("issuer: '{}'", world.authority.issuer))
        .with("token_endpoint_auth_method: client_secret_basic");
    let gate = TestGateway::start(config().server("files", entry)).await;
    gate.admin().call("files-read", json!({})).await.result();
    let facts = world.authority.introspect(token(&world.calls()[0])).await;
    assert_eq!(facts["client_id"], "basic", "{facts}");
}

#[tokio::test]
async fn a_token_that_was_taken_back_is_replaced_within_the_call() {
    let world = World::new(3600).await;
    let gate = world.gate(&[]).await;
    let admin = gate.admin();
    admin.call("files-read", json!({})).await.result();
    let first = token(&world.calls()[0]).to_owned();
    world.authority.revoke(&first).await;
    // A token is not given up in its first second.
    gate.until(async || admin.call("files-read", json!({})).await.message().get("result").is_some()).await;
    let calls = world.calls();
    assert_eq!(calls.len(), 2, "the call ran once");
    assert_ne!(token(&calls[1]), first);
    assert!(world.guarded.turned_away() >= 1);
}

#[tokio::test]
async fn a_caller_sees_nothing_of_the_token_and_what_it_shows_the_gateway_goes_nowhere() {
    let world = World::new(3600).await;
    let gate = world.gate(&["extra_headers: [Authorization]"]).await;
    let caller = gate.anonymous().with("x-litellm-api-key", &format!("Bearer {MASTER_KEY}"));
    let caller = caller.with("authorization", "Bearer of-the-caller").with("x-litellm-mcp-debug", "true");
    let answer = caller.call("files-read", json!({})).await;
    assert_eq!(answer.http.header("x-mcp-debug-auth-resolution"), "m2m-client-credentials");
    assert_eq!(answer.http.header("x-mcp-debug-server-auth-type"), "oauth2");
    let seen = world.calls().pop().unwrap();
    assert_ne!(token(&seen), "of-the-caller");
    for value in answer.http.headers.values() {
        assert!(!value.to_str().unwrap().contains(token(&seen)));
    }
}

#[tokio::test]
async fn what_a_caller_brings_for_the_server_stands_in_the_tokens_place() {
    let world = World::new(3600).await;
    let gate = world.gate(&[]).await;
    let admin = gate.admin();
    admin.call("files-read", json!({})).await.result();
    let ours = token(&world.calls()[0]).to_owned();
    let theirs = admin.clone().with("x-mcp-files-authorization", "Bearer not-known-there");
    let answer = theirs.call("files-read", json!({})).await;
    assert!(answer.error_message().contains("refused the credentials"), "{}", answer.error_message());
    // It is the other's business alone.
    admin.call("files-read", json!({})).await.result();
    assert_eq!(token(world.calls().last().unwrap()), ours);
}

#[tokio::test]
async fn when_the_gateway_cannot_sign_in_an_admin_is_told_why_and_nothing_is_sent() {
    let world = World::new(3600).await;
    let entry = world.entry("nobody").with(&format!("token_url: '{}'", world.authority.token_url()));
    let gate = TestGateway::start(config().server("files", entry)).await;
    for _ in 0..2 {
        let answer = gate.admin().call("files-read", json!({})).await;
        let message = answer.error_message();
        for part in ["`files` cannot be used", "could not sign in", "invalid_client", "check `client_id`"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(!message.contains(CLIENT_SECRET), "{message}");
    }
    assert!(world.fake.seen().is_empty() && world.guarded.turned_away() == 0);
}

#[tokio::test]
async fn an_authorization_server_that_is_away_is_found_again() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let port = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let entry = signing_in(fake.entry(), "posts").with(&format!("token_url: 'http://127.0.0.1:{port}/token'"));
    let gate = TestGateway::start(config().server("files", entry)).await;
    let message = gate.admin().call("files-read", json!({})).await.error_message().to_owned();
    assert!(message.contains(&format!("http://127.0.0.1:{port}/token")) && message.contains("refused"), "{message}");
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let issues = axum::routing::post(|| async { r#"{"access_token":"late","token_type":"Bearer"}"# });
    let app = axum::Router::new().route("/token", issues);
    let back = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    gate.until(async || gate.admin().call("files-read", json!({})).await.message().get("result").is_some()).await;
    assert_eq!(token(&fake.seen_of("tools/call")[0]), "late");
    back.abort();
}

#[tokio::test]
async fn a_server_without_what_it_takes_to_sign_in_says_what_is_missing_and_is_left_out() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let entry = fake.entry().with("auth_type: oauth2").with("oauth2_flow: client_credentials").with("client_id: a");
    let gate = TestGateway::start(config().server("files", entry).server("other", fake.entry())).await;
    let message = gate.admin().call("files-read", json!({})).await.error_message().to_owned();
    assert!(message.contains("`auth_type: oauth2` needs `client_secret`, `token_url`"), "{message}");
    gate.admin().call("other-read", json!({})).await.result();
}

#[tokio::test]
async fn a_rest_api_is_called_with_the_token_and_again_with_a_newer_one() {
    let authority = Arc::new(AuthorizationServer::start(3600).await);
    let api = RestService::start().await;
    let guarded = Guarded::start(api.url.strip_prefix("http://").unwrap(), &authority).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.yaml");
    let text = format!(
        "openapi: 3.1.0\ncomponents: {{securitySchemes: {{idp: {{type: oauth2, flows: {{clientCredentials: {{tokenUrl: \
         '{}', scopes: {{read: to read}}}}}}}}}}}}\nsecurity: [{{idp: [read]}}]\npaths: {{/echo/a: {{post: {{operationId: \
         note}}}}}}\n",
        authority.token_url()
    );
    std::fs::write(&path, text).unwrap();
    let entry = Entry::detected(&guarded.url("")).with(&format!("spec_path: {}", json!(path)));
    let entry =
        signing_in(entry, "posts").with(&format!("token_url: '{}'", authority.token_url())).with("scopes: read");
    let gate = TestGateway::start(config().server("api", entry)).await;
    let admin = gate.admin();
    let sent = || {
        let seen = api.seen();
        let header = seen.last().unwrap()["headers"]["authorization"].as_str().unwrap().to_owned();
        (seen.len(), header.strip_prefix("Bearer ").unwrap().to_owned())
    };
    assert_ne!(admin.call("api-note", json!({})).await.result()["isError"], true);
    let (_, first) = sent();
    assert_eq!(authority.introspect(&first).await["scope"], "read");
    authority.revoke(&first).await;
    gate.until(async || admin.call("api-note", json!({})).await.result()["isError"] != true).await;
    let (times, second) = sent();
    assert_eq!(times, 2, "a POST that was turned away is sent once more and runs once");
    assert_ne!(second, first);
}
