//! Servers over https whose CA nobody knows: reached when the configuration says whom to believe, over Streamable HTTP
//! and HTTP+SSE, and refused with the way to mend it when it does not.

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Config, Entry, FakeMcp, Process, TestGateway, TlsFront, config, script};

/// The key of the gateway behind, which is not that of the one in front.
const INNER_KEY: &str = "sk-of-the-gateway-behind-9c8b7a6d5e4f30211203f4e5d6a7b8c9";

const KEY: &str = "sk-of-the-certificates-2f9d8e7c6b5a43210fedcba987654321";

/// A server over Streamable HTTP, and another gateway that has it, which speaks HTTP+SSE; TLS before each.
struct Scene {
    _files: FakeMcp,
    _inner: TestGateway,
    streamable: TlsFront,
    sse: TlsFront,
}

/// The tools of the two, as a gateway lists them whose servers are `http` and `sse`.
const TOOLS: [&str; 2] = ["http-read", "sse-files-read"];

impl Scene {
    async fn new() -> Self {
        let files = FakeMcp::start(script().tools(&["read"])).await;
        let inner = TestGateway::start(config().master_key(INNER_KEY).server("files", files.entry())).await;
        let streamable = TlsFront::start(&files.url()).await;
        let sse = TlsFront::start(&inner.url("/sse")).await;
        Self { _files: files, _inner: inner, streamable, sse }
    }

    /// A configuration whose entries have these lines.
    fn served(&self, streamable: &str, sse: &str) -> Config {
        let with = |entry: Entry, line: &str| if line.is_empty() { entry } else { entry.with(line) };
        let inner = Entry::sse(&self.sse.url("/sse")).with("auth_type: bearer_token");
        let inner = inner.with(&format!("auth_value: {INNER_KEY}"));
        let streamable = with(Entry::http(&self.streamable.url("/mcp")), streamable);
        config().server("http", streamable).server("sse", with(inner, sse))
    }

    /// A file with both CAs.
    fn both(&self) -> std::path::PathBuf {
        let both = [&self.streamable, &self.sse].map(|front| std::fs::read_to_string(front.ca_file()).unwrap());
        let file = self.streamable.ca_file().with_file_name("both.pem");
        std::fs::write(&file, both.concat()).unwrap();
        file
    }
}

/// Both servers are reached, listed and called.
async fn reaches_both(gate: TestGateway, what: &str) {
    let admin = gate.admin();
    assert_eq!(admin.tool_names().await, TOOLS, "{what}");
    for tool in TOOLS {
        admin.call(tool, json!({"n": 1})).await.result();
    }
    gate.stop().await;
}

/// Neither is, and both say why and what to do.
async fn refuses_both(gate: TestGateway, what: &str) {
    let answer = gate.admin().rpc("tools/list", json!({})).await;
    let servers = &answer.error()["data"]["servers"];
    for server in ["http", "sse"] {
        assert_eq!(servers[server]["status"], "unreachable", "{what}: {answer:?}");
        let told = servers[server]["message"].as_str().unwrap();
        assert!(told.contains("TLS failed: invalid peer certificate: UnknownIssuer"), "{what}: {told}");
        assert!(told.contains("`ssl_verify: /path/to/ca.pem`"), "{what}: {told}");
    }
    let told = gate.admin().call("http-read", json!({})).await;
    assert!(told.error_message().contains("ssl_verify: /path/to/ca.pem"), "{told:?}");
    gate.stop().await;
}

#[tokio::test]
async fn an_unknown_ca_is_refused_and_the_error_says_what_to_write() {
    let scene = Scene::new().await;
    refuses_both(TestGateway::start(scene.served("", "")).await, "nothing is said").await;
    // The CA of one server vouches for no other.
    let (http, sse) = (scene.streamable.ca_file(), scene.sse.ca_file());
    let crossed = scene.served(&format!("ssl_verify: {}", sse.display()), &format!("ssl_verify: {}", http.display()));
    refuses_both(TestGateway::start(crossed).await, "each with the other's CA").await;
    let strict = scene.served("ssl_verify: true", "ssl_verify: true").litellm("ssl_verify: false");
    refuses_both(TestGateway::start(strict).await, "an entry's word goes before the general one").await;
}

#[tokio::test]
async fn certificates_are_not_checked_where_the_configuration_says_so() {
    let scene = Scene::new().await;
    let each = scene.served("ssl_verify: false", "ssl_verify: false");
    reaches_both(TestGateway::start(each).await, "each entry").await;
    let all = scene.served("", "");
    reaches_both(TestGateway::start(all.clone().litellm("ssl_verify: false")).await, "litellm_settings").await;
    reaches_both(TestGateway::start(all.clone().env("SSL_VERIFY", "False")).await, "SSL_VERIFY").await;
    // The variable goes before the file.
    let both = all.env("SSL_VERIFY", "true").litellm("ssl_verify: false");
    refuses_both(TestGateway::start(both).await, "SSL_VERIFY before litellm_settings").await;
}

#[tokio::test]
async fn a_ca_is_believed_wherever_it_is_named() {
    let scene = Scene::new().await;
    let [http, sse] = [&scene.streamable, &scene.sse].map(|front| format!("ssl_verify: {}", front.ca_file().display()));
    reaches_both(TestGateway::start(scene.served(&http, &sse)).await, "each entry").await;
    let (all, both) = (scene.served("", ""), scene.both().display().to_string());
    let general = all.clone().litellm(&format!("ssl_verify: {both}"));
    reaches_both(TestGateway::start(general).await, "litellm_settings").await;
    reaches_both(TestGateway::start(all.clone().env("SSL_VERIFY", &both)).await, "SSL_VERIFY").await;
    reaches_both(TestGateway::start(all.clone().env("SSL_CERT_FILE", &both)).await, "SSL_CERT_FILE").await;
    let beside = scene.served("ssl_verify: true", "ssl_verify: true").env("SSL_CERT_FILE", &both);
    reaches_both(TestGateway::start(beside).await, "SSL_CERT_FILE with `true`").await;
}

#[tokio::test]
async fn the_processs_own_variables_name_roots_too() {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, scene.served("", "").master_key(KEY).yaml()).unwrap();
    let (both, roots) = (scene.both(), folder.path().join("roots"));
    std::fs::create_dir(&roots).unwrap();
    for (name, front) in [("one.pem", &scene.streamable), ("two.pem", &scene.sse)] {
        std::fs::copy(front.ca_file(), roots.join(name)).unwrap();
    }
    for (variable, path) in [("SSL_CERT_FILE", &both), ("SSL_CERT_DIR", &roots)] {
        let mut process = Process::serve_in(&file, folder.path(), &[(variable, path)]).await;
        assert_eq!(process.caller(KEY).tool_names().await, TOOLS, "{variable}");
        process.signal(Signal::TERM);
        process.rest_of_the_log().await;
    }
}

#[tokio::test]
async fn a_reload_takes_another_ca() {
    let scene = Scene::new().await;
    let gate = TestGateway::start(scene.served("", "")).await;
    gate.admin().rpc("tools/list", json!({})).await.error();
    let both = scene.both();
    gate.reload(&scene.served("", "").litellm(&format!("ssl_verify: {}", both.display())));
    assert_eq!(gate.admin().tool_names().await, TOOLS);
}

#[tokio::test]
async fn a_transport_that_is_not_named_is_found_behind_tls_as_well() {
    let scene = Scene::new().await;
    let named = format!("ssl_verify: {}", scene.streamable.ca_file().display());
    let entry = Entry::detected(&scene.streamable.url("/mcp"));
    let gate = TestGateway::start(config().server("http", entry.clone().with(&named))).await;
    assert_eq!(gate.admin().tool_names().await, ["http-read"]);
    let gate = TestGateway::start(config().server("http", entry)).await;
    let answer = gate.admin().rpc("tools/list", json!({})).await;
    let told = answer.error()["data"]["servers"]["http"]["message"].as_str().unwrap().to_owned();
    assert!(told.contains("UnknownIssuer") && told.contains("`ssl_verify: /path/to/ca.pem`"), "{told}");
}
