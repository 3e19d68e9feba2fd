//! `auth_type: aws_sigv4`: requests are signed as AWS's own library signs them, with keys of the entry, of the gateway, or
//! of a role.

use http::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, Aws, Caller, Config, Entry, FakeMcp, KEY_ID, KEY_SECRET, People, ROLE, RestService, Script, Scripted, Talk,
    Target, TestGateway, WEB_IDENTITY, config, everything, script,
};

/// In every secret, and in nothing else.
const CANARY: &str = "c4n4ry";

fn address(url: &str) -> &str {
    url.strip_prefix("http://").unwrap().split('/').next().unwrap()
}

/// A server of a test's own behind AWS's door.
struct World {
    fake: FakeMcp,
    aws: Aws,
}

impl World {
    async fn new() -> Self {
        Self::of(script().tools(&["read"])).await
    }

    async fn of(script: Script) -> Self {
        let fake = FakeMcp::start(script).await;
        let aws = Aws::before(address(&fake.url())).await;
        Self { fake, aws }
    }

    fn entry(&self) -> Entry {
        Entry::http(&self.aws.url("/mcp")).with("auth_type: aws_sigv4")
    }

    /// A gate with the server `files`.
    async fn gate(&self, entry: Entry) -> TestGateway {
        TestGateway::start(self.config(entry)).await
    }

    /// One whose environment has no keys but those that a test puts there.
    fn config(&self, entry: Entry) -> Config {
        config()
            .server("files", entry)
            .env("AWS_SHARED_CREDENTIALS_FILE", "/not/there")
            .env("AWS_ENDPOINT_URL_STS", &self.aws.url("/sts"))
    }

    /// The key with which the last call was signed.
    fn last_key(&self) -> String {
        self.aws.let_in().pop().expect("a request was let in").1
    }
}

fn with_keys(entry: Entry, id: &str, secret: &str) -> Entry {
    entry.with(&format!("aws_access_key_id: {id}")).with(&format!("aws_secret_access_key: '{secret}'"))
}

fn keyed(entry: Entry) -> Entry {
    with_keys(entry, KEY_ID, KEY_SECRET)
}

async fn read(caller: &Caller) -> Answer {
    caller.call("files-read", json!({})).await
}

async fn is_read(caller: &Caller) -> bool {
    read(caller).await.message().get("result").is_some()
}

fn is_told(answer: &Answer, parts: &[&str]) {
    let message = answer.error_message();
    for part in parts {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!message.contains(CANARY), "{message}");
}

#[tokio::test]
async fn every_request_of_a_session_is_signed_anew() {
    let server = everything::streamable().await;
    let Target::Streamable { url, .. } = &server.direct else { unreachable!("it is streamable") };
    let aws = Aws::before(address(url)).await;
    let entry = keyed(Entry::http(&aws.url("/mcp")).with("auth_type: aws_sigv4"));
    let gate = TestGateway::start(config().server("all", entry)).await;
    let client = gate.admin().initialized_at("/mcp").await;
    assert!(client.tool_names().await.contains(&"all-echo".to_owned()));
    for word in ["a", "grüß dich", ""] {
        let answer = client.call("all-echo", json!({ "message": word })).await;
        assert_eq!(answer.tool_text(), format!("Echo: {word}"));
    }
    gate.stop().await;
    let let_in = aws.let_in();
    for method in [Method::POST, Method::GET, Method::DELETE] {
        assert!(let_in.iter().any(|(let_in, _)| *let_in == method), "{method}: {let_in:?}");
    }
    assert_eq!(aws.turned_away(), [""; 0]);
}

#[tokio::test]
async fn a_stream_that_is_taken_up_again_is_signed_again() {
    let logged = |number: u32| {
        let params = json!({ "level": "info", "data": number });
        json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": params }).to_string()
    };
    let first = vec![Talk::Numbered("event-1", logged(1))];
    let rest = vec![Talk::Says(logged(2)), Talk::Hears("\"never\"")];
    let world = World::of(script().tools(&["read"]).on("GET", Scripted::Resumable(first, rest))).await;
    let gate = world.gate(keyed(world.entry())).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    let mut stream = caller.clone().with("accept", "text/event-stream").open_stream("/mcp").await;
    read(&caller).await.result();
    for number in [1, 2] {
        assert_eq!(stream.message().await["params"]["data"], number);
    }
    assert!(world.fake.seen_of("GET").iter().any(|get| get.header("last-event-id") == Some("event-1")));
    assert_eq!(world.aws.turned_away(), [""; 0]);
}

#[tokio::test]
async fn the_older_transport_is_signed_as_well() {
    let server = everything::sse().await;
    let Target::Sse { url, .. } = &server.direct else { unreachable!("it is HTTP+SSE") };
    let aws = Aws::before(address(url)).await;
    let entry = keyed(Entry::sse(&aws.url("/sse")).with("auth_type: aws_sigv4"));
    let gate = TestGateway::start(config().server("all", entry)).await;
    let answer = gate.admin().call("all-echo", json!({ "message": "hi" })).await;
    assert_eq!(answer.tool_text(), "Echo: hi");
    assert_eq!(aws.turned_away(), [""; 0]);
}

#[tokio::test]
async fn a_url_as_agentcore_has_it_is_signed_for_another_service_and_region() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let aws = Aws::start(address(&fake.url()), "lambda", "eu-central-1").await;
    let url = aws.url("/runtimes/arn%3Aaws%3Abedrock-agentcore%3Aus-east-1%3A1%3Aruntime%2Fmy-mcp/invocations?qualifier=DEFAULT&a=%20b");
    let entry = keyed(Entry::http(&url).with("auth_type: aws_sigv4"));
    let entry = entry.with("aws_service_name: lambda").with("aws_region_name: eu-central-1");
    let gate = TestGateway::start(config().server("files", entry)).await;
    read(&gate.admin()).await.result();
    assert_eq!(aws.turned_away(), [""; 0]);
}

#[tokio::test]
async fn nothing_that_a_caller_brings_stands_in_the_place_of_the_signature() {
    let world = World::new().await;
    world.aws.add_key("ASIATEMPORARY", "c4n4ry-temporary", Some("c4n4ry/token=="));
    let entry =
        with_keys(world.entry(), "ASIATEMPORARY", "c4n4ry-temporary").with("aws_session_token: 'c4n4ry/token=='");
    let entry = entry
        .with("extra_headers: [Authorization, X-Amz-Date, X-Amz-Security-Token, X-Amz-Trace, X-Other]")
        .with("static_headers: {X-Amz-Static: '  of  the   file '}");
    let gate = world.gate(entry).await;
    let caller = gate
        .admin()
        .with("authorization", "Bearer of-the-caller")
        .with("x-amz-date", "20000101T000000Z")
        .with("x-amz-security-token", "of-the-caller")
        .with("x-amz-trace", "passed  on")
        .with("x-other", "passed on")
        .with("x-mcp-auth", "Bearer of-the-caller")
        .with("x-mcp-files-authorization", "Bearer of-the-caller")
        .with("x-litellm-mcp-debug", "true");
    let answer = read(&caller).await;
    answer.result();
    assert_eq!(answer.http.header("x-mcp-debug-auth-resolution"), "aws-sigv4");
    assert_eq!(answer.http.header("x-mcp-debug-server-auth-type"), "aws_sigv4");
    assert!(answer.http.headers.values().all(|value| !value.to_str().unwrap().contains(CANARY)));
    let seen = world.fake.only("tools/call");
    assert!(seen.header("authorization").unwrap().starts_with("AWS4-HMAC-SHA256 Credential=ASIATEMPORARY/"));
    assert_eq!((seen.header("x-other"), seen.header("x-amz-trace")), (Some("passed on"), Some("passed  on")));
    assert_eq!(world.aws.turned_away(), [""; 0]);
}

#[tokio::test]
async fn a_signature_that_is_not_taken_says_what_to_mend_and_only_to_admins() {
    let world = World::new().await;
    let wrong = with_keys(world.entry(), KEY_ID, "c4n4ry-of-another");
    let unknown = with_keys(world.entry(), "AKIDUNKNOWN", "c4n4ry-of-another");
    let people = People::new().await;
    let key = people.key("alice", json!({ "mcp_servers": ["files"] })).await;
    let config = config().server("files", wrong).server("unknown", unknown);
    let gate = people.gateway(config).await;
    let told = read(&gate.admin()).await;
    is_told(
        &told,
        &[
            "`files` cannot be used",
            "403 `InvalidSignatureException`",
            "check the secret of the keys in `aws_access_key_id`",
        ],
    );
    is_told(&told, &["`bedrock-agentcore` in `us-east-1`"]);
    let times = world.aws.turned_away().iter().filter(|error| *error == "InvalidSignatureException").count();
    assert_eq!(times, 1, "it is clear from the first: {:?}", world.aws.turned_away());
    let told = gate.admin().call("unknown-read", json!({})).await;
    is_told(&told, &["UnrecognizedClientException", "does not know the keys in `aws_access_key_id`"]);
    let alice = gate.anonymous().with("authorization", &format!("Bearer {key}"));
    let told = read(&alice).await;
    assert!(told.error_message().contains("`files` cannot be used"), "{}", told.error_message());
    assert!(!told.error_message().contains("InvalidSignature"), "{}", told.error_message());
    assert!(world.fake.seen().is_empty());
}

#[tokio::test]
async fn what_aws_allows_nobody_is_told_as_it_says_it() {
    let fake = FakeMcp::start(script().on("initialize", Scripted::Http(403, "text/plain", "not you".to_owned()))).await;
    let aws = Aws::before(address(&fake.url())).await;
    let entry = keyed(Entry::http(&aws.url("/mcp")).with("auth_type: aws_sigv4"));
    let gate = TestGateway::start(config().server("files", entry)).await;
    is_told(&read(&gate.admin()).await, &["`files` cannot be used", "it answered HTTP 403: not you"]);
}

#[tokio::test]
async fn one_set_of_keys_of_a_role_is_used_for_all_until_it_ends() {
    let world = World::new().await;
    let entry = keyed(world.entry()).with(&format!("aws_role_name: {ROLE}"));
    let gate = world.gate(entry).await;
    let admin = gate.admin();
    let (one, another) = tokio::join!(read(&admin), read(&admin));
    assert!([one, another].iter().all(|answer| answer.message().get("result").is_some()));
    let asked = world.aws.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let expected =
        [("Action", "AssumeRole"), ("RoleArn", ROLE), ("RoleSessionName", "toolgate-files"), ("Version", "2011-06-15")];
    assert!(asked[0].iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(expected), "{asked:?}");
    let first = world.last_key();
    assert!(first.starts_with("ASIAROLE"), "{first}");
    world.aws.end_key(&first);
    // Keys are not given up in their first second.
    gate.until(async || is_read(&admin).await).await;
    assert_ne!(world.last_key(), first);
    assert_eq!(world.aws.asked().len(), 2);
    assert_eq!(world.fake.seen_of("tools/call").len(), 3, "each call ran once");
}

#[tokio::test]
async fn a_role_that_is_not_given_says_why() {
    let world = World::new().await;
    let of =
        |role: &str, secret: &str| with_keys(world.entry(), KEY_ID, secret).with(&format!("aws_role_name: {role}"));
    let config = world
        .config(of("arn:aws:iam::123456789012:role/other", KEY_SECRET))
        .server("wrong", of(ROLE, "c4n4ry-of-another").with("aws_session_name: of-the-gate"));
    let gate = TestGateway::start(config).await;
    for _ in 0..2 {
        let told = read(&gate.admin()).await;
        is_told(&told, &["could not sign in", "/sts refused with `AccessDenied`: no & never", "trust policy"]);
    }
    let asked = |role: &str| world.aws.asked().into_iter().filter(|form| form["RoleArn"] == role).collect::<Vec<_>>();
    assert_eq!(asked("arn:aws:iam::123456789012:role/other").len(), 1, "a failure stands for some seconds");
    let told = gate.admin().call("wrong-read", json!({})).await;
    is_told(&told, &["/sts refused with `SignatureDoesNotMatch`", "check `aws_secret_access_key`"]);
    assert_eq!(asked(ROLE)[0]["RoleSessionName"], "of-the-gate");
    assert!(world.fake.seen().is_empty() && world.aws.turned_away().is_empty(), "nothing went to the servers");
}

#[tokio::test]
async fn without_keys_of_its_own_a_server_of_the_file_is_used_with_the_gateways() {
    let world = World::new().await;
    let config = world.config(world.entry()).env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", KEY_SECRET);
    let gate = TestGateway::start(config).await;
    read(&gate.admin()).await.result();
    assert_eq!(world.last_key(), KEY_ID);
}

#[tokio::test]
async fn a_profile_of_the_shared_credentials_file_is_used_and_read_again_when_its_keys_have_ended() {
    let world = World::new().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let write = |id: &str, secret: &str| {
        let text = format!(
            "[default]\naws_access_key_id = x\n[gate]\naws_access_key_id={id}\naws_secret_access_key={secret}\n"
        );
        std::fs::write(file.path(), text).unwrap();
    };
    write(KEY_ID, KEY_SECRET);
    let config = world
        .config(world.entry())
        .env("AWS_SHARED_CREDENTIALS_FILE", file.path().to_str().unwrap())
        .env("AWS_PROFILE", "gate");
    let gate = TestGateway::start(config).await;
    read(&gate.admin()).await.result();
    world.aws.add_key("AKIDNEWER", "c4n4ry-newer", None);
    world.aws.end_key(KEY_ID);
    write("AKIDNEWER", "c4n4ry-newer");
    gate.until(async || is_read(&gate.admin()).await).await;
    assert_eq!(world.last_key(), "AKIDNEWER");
}

#[tokio::test]
async fn a_service_account_of_kubernetes_is_exchanged_for_keys() {
    let world = World::new().await;
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), format!("{WEB_IDENTITY}\n")).unwrap();
    let config = world
        .config(world.entry())
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", token.path().to_str().unwrap())
        .env("AWS_ROLE_ARN", ROLE);
    let gate = TestGateway::start(config).await;
    read(&gate.admin()).await.result();
    assert!(world.last_key().starts_with("ASIAROLE"));
    assert_eq!(world.aws.asked().len(), 1);
}

#[tokio::test]
async fn a_server_without_keys_says_what_is_missing_and_is_left_out() {
    let world = World::new().await;
    let half = world.entry().with(&format!("aws_access_key_id: {KEY_ID}"));
    let gate = TestGateway::start(world.config(world.entry()).server("half", half)).await;
    is_told(&read(&gate.admin()).await, &["`auth_type: aws_sigv4` needs `aws_access_key_id`, `aws_secret_access_key`"]);
    is_told(
        &gate.admin().call("half-read", json!({})).await,
        &["`auth_type: aws_sigv4` needs `aws_secret_access_key`"],
    );
}

#[tokio::test]
async fn a_server_of_the_database_has_keys_of_its_own_which_are_never_told() {
    let world = World::new().await;
    let config = world.config(keyed(world.entry()));
    let config = config.env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", KEY_SECRET);
    let gate = People::new().await.gateway(config).await;
    let admin = gate.admin();
    let body = |id: &str, credentials: Value| {
        json!({ "server_id": id, "server_name": id, "url": world.aws.url("/mcp"), "transport": "http",
                "auth_type": "aws_sigv4", "credentials": credentials })
    };
    let keys = json!({ "aws_access_key_id": KEY_ID, "aws_secret_access_key": KEY_SECRET, "aws_role_name": ROLE,
                       "aws_region_name": "us-east-1", "aws_service_name": "bedrock-agentcore" });
    for (id, credentials) in [("own", keys), ("none", json!({ "aws_region_name": "us-east-1" }))] {
        let reply = admin.post("/v1/mcp/server", body(id, credentials).to_string()).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        assert!(!reply.text().contains(CANARY), "{reply:?}");
    }
    gate.until(async || admin.call("own-read", json!({})).await.message().get("result").is_some()).await;
    assert!(world.last_key().starts_with("ASIAROLE"));
    for path in ["/v1/mcp/server", "/v1/mcp/server/own", "/v1/mcp/server/health"] {
        let reply = admin.get(path).await;
        assert!(reply.status == 200 && !reply.text().contains(CANARY), "{reply:?}");
    }
    // The gateway's keys are not for whoever may make servers.
    let told = admin.call("none-read", json!({})).await;
    is_told(&told, &["`auth_type: aws_sigv4` needs `aws_access_key_id`, `aws_secret_access_key`"]);
}

#[tokio::test]
async fn a_rest_api_is_signed_with_all_that_its_calls_bring() {
    let api = RestService::start().await;
    let aws = Aws::start(address(&api.url), "execute-api", "us-east-1").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.yaml");
    let description = json!({ "openapi": "3.1.0", "paths": {
        "/echo/{id}": { "post": { "operationId": "note",
            "parameters": [
                { "name": "id", "in": "path", "required": true, "schema": { "type": "string" } },
                { "name": "q", "in": "query", "schema": { "type": "string" } },
                { "name": "X-Amz-Target", "in": "header", "schema": { "type": "string" } },
                { "name": "X-Amz-Date", "in": "header", "schema": { "type": "string" } },
            ],
            "requestBody": { "content": { "application/json": { "schema": { "type": "object", "properties": { "text": { "type": "string" } } } } } },
        } },
        "/here": { "get": { "operationId": "here" } },
    } });
    std::fs::write(&path, description.to_string()).unwrap();
    let entry = |secret: &str| {
        let entry =
            Entry::detected(&aws.url("")).with(&format!("spec_path: {}", json!(path))).with("auth_type: aws_sigv4");
        with_keys(entry, KEY_ID, secret).with("aws_service_name: execute-api")
    };
    let gate = TestGateway::start(config().server("api", entry(KEY_SECRET)).server("wrong", entry("c4n4ry-x"))).await;
    let arguments = json!({ "id": "a b/ü:1", "q": "x y+z&ä=", "X-Amz-Target": "Notes.Make", "X-Amz-Date": "20000101T000000Z",
                            "body": { "text": "grüß dich" } });
    let answer = gate.admin().call("api-note", arguments.clone()).await;
    assert_ne!(answer.result()["isError"], true, "{:?} {}", aws.turned_away(), answer.result());
    let seen = api.seen().pop().unwrap();
    assert_eq!(
        (&seen["headers"]["x-amz-target"], &seen["body"]),
        (&json!("Notes.Make"), &json!(r#"{"text":"grüß dich"}"#))
    );
    let answer = gate.admin().call("api-here", json!({})).await;
    assert_eq!(answer.result()["structuredContent"]["path"], "/echo/there", "a redirect is signed for where it leads");
    assert_eq!(aws.turned_away(), [""; 0]);
    let told = gate.admin().call("wrong-note", arguments).await;
    is_told(
        &told,
        &["`wrong` cannot be used", "InvalidSignatureException", "check the secret of the keys in `aws_access_key_id`"],
    );
}
