//! Servers that were well and are down: their lists stay, calls find their tools, and the client is told.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::{Caller, Config, Entry, FakeMcp, Fault, FaultProxy, Scripted, TestGateway, config, script, soon};

/// What the gate waits for a list by itself.
const LISTING: Duration = Duration::from_secs(30);

/// The server `files` with the tool `read` behind a network that breaks, and `well` with the same beside it. Lists are
/// fetched each time.
struct Scene {
    files: FakeMcp,
    network: FaultProxy,
    gate: TestGateway,
    well: FakeMcp,
}

fn served(files: Entry, well: &FakeMcp) -> Config {
    config().server("files", files).server("well", well.entry()).env("LITELLM_MCP_DISCOVERY_CACHE_TTL", "0")
}

impl Scene {
    async fn new() -> Self {
        Self::with("").await
    }

    /// A gate whose entry of `files` has this line.
    async fn with(line: &str) -> Self {
        let files = FakeMcp::start(script().tools(&["read"])).await;
        let well = FakeMcp::start(script().tools(&["read"])).await;
        let network = FaultProxy::start(&files.url()).await;
        let entry = Entry::http(&network.url(&files.url()));
        let entry = if line.is_empty() { entry } else { entry.with(line) };
        let gate = TestGateway::start(served(entry, &well)).await;
        Self { files, network, gate, well }
    }

    fn entry(&self) -> Entry {
        Entry::http(&self.network.url(&self.files.url()))
    }
}

/// What `caller` is told of `files` in its list of tools, and the names there.
async fn listed(caller: &Caller) -> (Value, Vec<String>) {
    let answer = caller.rpc("tools/list", json!({})).await;
    let outcome = answer.result()["_meta"]["litellm.ai/server_outcomes"]["files"].clone();
    let tools = answer.result()["tools"].as_array().unwrap().clone();
    (outcome, tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect())
}

#[tokio::test]
async fn a_server_that_goes_down_stays_in_the_list_which_says_so_and_since_when() {
    let scene = Scene::new().await;
    let admin = scene.gate.admin();
    let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let (outcome, names) = listed(&admin).await;
    assert_eq!(
        (outcome, &names[..]),
        (json!({"status": "ok", "tool_count": 1}), &["files-read".into(), "well-read".into()][..])
    );

    scene.network.set(Fault::Reset);
    let (outcome, names) = listed(&admin).await;
    assert_eq!(names, ["files-read", "well-read"]);
    assert_eq!((&outcome["status"], &outcome["tool_count"]), (&json!("unreachable"), &json!(1)));
    assert!(outcome["message"].as_str().unwrap().contains("files"), "{outcome}");
    let given = u128::from(outcome["last_good_ms"].as_u64().unwrap());
    assert!((began..began + 60_000).contains(&given), "{given} is not soon after {began}");

    let rest = admin.get("/mcp-rest/tools/list?server_id=files").await;
    assert_eq!(rest.status, 200);
    let rest = rest.json();
    assert_eq!((&rest["error"], &rest["tools"][0]["name"]), (&json!("partial_failure"), &json!("read")));
    assert_eq!(rest["server_outcomes"]["files"]["last_good_ms"], outcome["last_good_ms"]);

    scene.network.set(Fault::None);
    soon("the server being well again", async {
        while listed(&admin).await.0 != json!({"status": "ok", "tool_count": 1}) {}
    })
    .await;
}

#[tokio::test]
async fn a_call_finds_its_tool_although_the_server_cannot_be_asked_for_its_list() {
    let scene = Scene::new().await;
    let admin = scene.gate.admin();
    listed(&admin).await;
    let unavailable = Scripted::Http(503, "text/plain", String::new());
    for failure in [Scripted::Broken, Scripted::Error(-32603, "not now"), unavailable, Scripted::Silence] {
        scene.files.turn("tools/list", failure.clone());
        let began = Instant::now();
        let answer = admin.call("files-read", json!({})).await;
        assert!(answer.tool_text().contains("read"), "{failure:?}: {}", answer.message());
        assert!(began.elapsed() < LISTING, "{failure:?}: it took {:?}", began.elapsed());
        let unknown = admin.call("files-write", json!({})).await;
        assert_eq!(unknown.error()["data"]["may_have_run"], false, "{failure:?}: {}", unknown.message());
    }
}

#[tokio::test]
async fn a_call_whose_tool_nobody_could_list_has_not_run() {
    for failure in [Scripted::Broken, Scripted::Silence] {
        let scene = Scene::with("timeout: 1").await;
        scene.files.turn("tools/list", failure.clone());
        let limit = ("LITELLM_MCP_TOOL_LISTING_TIMEOUT", "1");
        scene.gate.reload(&served(scene.entry(), &scene.well).env(limit.0, limit.1));
        let answer = scene.gate.admin().call("files-read", json!({})).await;
        assert_eq!(answer.error()["data"]["may_have_run"], false, "{failure:?}: {}", answer.message());
        assert_eq!(scene.files.count_of("tools/call"), 0);
    }
}

#[tokio::test]
async fn a_server_that_has_refused_the_credential_is_left_out_from_then_on() {
    let refusals = [
        (Scripted::Http(401, "text/plain", String::new()), "auth_required"),
        (Scripted::Http(403, "text/plain", String::new()), "forbidden"),
        (Scripted::Error(-32001, "who?"), "upstream_error"),
    ];
    for (refusal, status) in refusals {
        let scene = Scene::new().await;
        let admin = scene.gate.admin();
        listed(&admin).await;
        scene.files.turn("tools/list", refusal);
        for fault in [Fault::None, Fault::Reset] {
            scene.network.set(fault);
            let (outcome, names) = listed(&admin).await;
            assert_eq!((&names[..], &outcome["last_good_ms"]), (&["well-read".into()][..], &Value::Null), "{outcome}");
            assert!(fault != Fault::None || outcome["status"] == status, "{outcome}");
        }
    }
}

#[tokio::test]
async fn nobody_sees_the_last_good_list_of_another_credential() {
    let scene = Scene::with("extra_headers: [x-user]").await;
    let [ada, alan] = ["ada", "alan"].map(|user| scene.gate.admin().with("x-user", user));
    listed(&ada).await;
    scene.network.set(Fault::Reset);
    assert_eq!(listed(&ada).await.1, ["files-read", "well-read"]);
    let (outcome, names) = listed(&alan).await;
    assert_eq!((&names[..], &outcome["last_good_ms"]), (&["well-read".into()][..], &Value::Null), "{outcome}");
    let call = alan.call("files-read", json!({})).await;
    assert_eq!(
        (call.error_code(), &call.error()["data"]["may_have_run"]),
        (-32010, &json!(false)),
        "{}",
        call.message()
    );
}

#[tokio::test]
async fn a_reload_keeps_the_last_good_list_of_a_server_whose_entry_stays() {
    let scene = Scene::new().await;
    let admin = scene.gate.admin();
    listed(&admin).await;
    scene.network.set(Fault::Reset);
    scene.gate.reload(&served(scene.entry(), &scene.well).general("mcp_tool_prefix: when_ambiguous"));
    assert_eq!(listed(&admin).await.1, ["files-read", "well-read"]);
    scene.gate.reload(&served(scene.entry().with("allowed_tools: [other]"), &scene.well));
    assert_eq!(listed(&admin).await.1, ["well-read"]);
}
