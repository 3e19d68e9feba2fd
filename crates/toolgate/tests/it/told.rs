//! What a server said when it failed, and how its child died, is for administrators: it may hold anything.

use serde_json::{Value, json};

use crate::support::{Caller, Entry, FakeMcp, People, Scripted, TestGateway, config, script};

const CANARY: &str = "canary-9f31";

/// A key of a team beside the admin's, and servers that fail in different ways with the canary in their words.
struct World {
    gate: TestGateway,
    holder: Caller,
    _servers: Vec<FakeMcp>,
}

impl World {
    async fn new() -> Self {
        let says = |text: &str| format!("{text} {CANARY}");
        let answers = FakeMcp::start(
            script().tools(&["read"]).on("tools/call", Scripted::Http(500, "text/html", says("<h1>oops</h1>"))),
        )
        .await;
        let refuses = FakeMcp::start(script().on("tools/list", Scripted::Error(-32603, "canary-9f31 in a list"))).await;
        let garbles = FakeMcp::start(script().on("tools/list", Scripted::Result(says("\"x\"")))).await;
        let broken = FakeMcp::start(script().on("initialize", Scripted::Http(502, "text/plain", says("gone")))).await;
        let dies = Entry::shell(&format!("echo {CANARY} >&2; exit 3"));
        let people = People::new().await;
        let names = ["answers", "refuses", "garbles", "broken", "dies"];
        let key = people.key("crew", json!({ "mcp_servers": names })).await;
        let servers = config()
            .server("answers", answers.entry())
            .server("refuses", refuses.entry())
            .server("garbles", garbles.entry())
            .server("broken", broken.entry())
            .server("dies", dies);
        let gate = people.gateway(servers).await;
        let holder = gate.holder(&key);
        Self { gate, holder, _servers: vec![answers, refuses, garbles, broken] }
    }

    /// Everything that tells of failures, as this caller is told.
    async fn told(&self, caller: &Caller) -> Vec<(String, String)> {
        let mut told = Vec::new();
        let mut tell = |what: &str, reply: String| told.push((what.to_owned(), reply));
        tell("list", caller.rpc("tools/list", json!({})).await.http.text().to_owned());
        for server in ["answers", "refuses", "garbles", "broken", "dies"] {
            let path = format!("/{server}/mcp");
            let list = caller.rpc_at(&path, "tools/list", json!({})).await;
            tell(&format!("list of {server}"), list.http.text().to_owned());
            let call = caller.rpc("tools/call", json!({"name": format!("{server}-read"), "arguments": {}})).await;
            tell(&format!("call of {server}"), call.http.text().to_owned());
            let list = caller.get(&format!("/mcp-rest/tools/list?server_id={server}")).await;
            tell(&format!("REST list of {server}"), list.text().to_owned());
            let body = json!({"server_id": server, "name": "read", "arguments": {}}).to_string();
            let call = caller.post("/mcp-rest/tools/call", body).await;
            tell(&format!("REST call of {server}"), call.text().to_owned());
        }
        tell("health", caller.get("/health").await.text().to_owned());
        tell("servers", caller.get("/v1/mcp/server").await.text().to_owned());
        tell("health of servers", caller.get("/v1/mcp/server/health").await.text().to_owned());
        told
    }
}

#[tokio::test]
async fn who_only_uses_a_server_is_told_that_it_failed_and_an_admin_what_it_said() {
    let world = World::new().await;
    for (what, reply) in world.told(&world.holder).await {
        assert!(!reply.contains(CANARY), "{what}: {reply}");
    }
    let admins = world.told(&world.gate.admin()).await;
    let with_words: Vec<&str> =
        admins.iter().filter(|(_, reply)| reply.contains(CANARY)).map(|(what, _)| what.as_str()).collect();
    for what in
        ["list", "list of refuses", "list of garbles", "list of broken", "list of dies", "call of answers", "health"]
    {
        assert!(with_words.contains(&what), "{what} is not among {with_words:?}");
    }
}

#[tokio::test]
async fn who_only_uses_a_server_still_learns_which_failed_and_how() {
    let world = World::new().await;
    let call = world.holder.call("answers-read", json!({})).await;
    let error = call.error();
    assert_eq!(error["data"]["server"], "answers", "{error}");
    assert_eq!(error["data"]["may_have_run"], true, "{error}");
    assert_eq!(error["message"], "server `answers` failed", "{error}");
    let list = world.holder.rpc("tools/list", json!({})).await;
    let outcomes = &list.result()["_meta"]["litellm.ai/server_outcomes"];
    let of = |server: &str| outcomes[server]["message"].as_str().unwrap_or_default();
    assert_eq!(of("refuses"), "server `refuses` refused to list tools", "{outcomes}");
    assert_eq!(of("garbles"), "server `garbles` failed", "{outcomes}");
    assert!(of("broken").starts_with("server `broken` cannot be reached"), "{outcomes}");
    assert!(of("dies").starts_with("server `dies` cannot be reached"), "{outcomes}");
    assert_eq!(outcomes["answers"]["status"], json!("ok"));
    assert_ne!(outcomes["broken"]["http_status"], Value::Null, "{outcomes}");
}
