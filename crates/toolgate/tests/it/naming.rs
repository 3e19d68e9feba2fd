//! Names under which things are listed: each leads to the thing that was listed under it, whatever else it resembles.

use serde_json::{Value, json};

use crate::support::{Config, FakeMcp, Scripted, TestGateway, config, script};

/// Calls every listed tool and checks that the call reaches the server and tool of `expected`, in the list's order.
async fn lists_and_calls(config: Config, servers: &[(&str, &FakeMcp)], expected: &[(&str, &str, &str)]) {
    let gate = TestGateway::start(config).await;
    let names = gate.admin().tool_names().await;
    assert_eq!(names, expected.iter().map(|(name, _, _)| *name).collect::<Vec<_>>());
    for (name, server, tool) in expected {
        let (_, fake) = servers.iter().find(|(known, _)| known == server).unwrap();
        let before = fake.seen_of("tools/call").len();
        gate.admin().call(name, json!({})).await.result();
        let calls = fake.seen_of("tools/call");
        assert_eq!(calls.len(), before + 1, "`{name}` is called on {server}");
        assert_eq!(calls[before].message["params"]["name"], *tool, "`{name}`");
    }
}

#[tokio::test]
async fn a_bare_name_that_begins_like_another_servers_prefix_is_the_listed_one() {
    let files = FakeMcp::start(script().tools(&["maps-find"])).await;
    let maps = FakeMcp::start(script().tools(&["find"])).await;
    for mode in ["when_ambiguous", "never"] {
        let config = config()
            .server("files", files.entry())
            .server("maps", maps.entry())
            .general(&format!("mcp_tool_prefix: {mode}"));
        let expected = [("maps-find", "files", "maps-find"), ("find", "maps", "find")];
        lists_and_calls(config, &[("files", &files), ("maps", &maps)], &expected).await;
    }
}

#[tokio::test]
async fn two_servers_whose_names_make_the_same_listed_name_are_both_reachable() {
    let one = FakeMcp::start(script().tools(&["b-c", "d"])).await;
    let two = FakeMcp::start(script().tools(&["c"])).await;
    let config = config().server("a", one.entry()).server("longer", two.entry().with("alias: a-b"));
    let expected = [("a-b-c", "one", "b-c"), ("a-d", "one", "d"), ("longer-c", "two", "c")];
    lists_and_calls(config, &[("one", &one), ("two", &two)], &expected).await;
}

#[tokio::test]
async fn a_tool_that_takes_the_name_of_a_withheld_one_is_called() {
    let one = FakeMcp::start(script().tools(&["b-c"])).await;
    let two = FakeMcp::start(script().tools(&["c"])).await;
    let config = config()
        .server("a", one.entry().with("disallowed_tools: [b-c]"))
        .server("longer", two.entry().with("alias: a-b"));
    lists_and_calls(config, &[("two", &two)], &[("a-b-c", "two", "c")]).await;
    assert_eq!(one.seen_of("tools/call").len(), 0);
}

#[tokio::test]
async fn a_display_name_that_another_tool_has_stays_with_whoever_is_listed_first() {
    let files = FakeMcp::start(script().tools(&["read", "write"])).await;
    let maps = FakeMcp::start(script().tools(&["find"])).await;
    let shown = "tool_name_to_display_name: {read: maps-find}";
    let servers = [("files", &files), ("maps", &maps)];

    let first = config().server("files", files.entry().with(shown)).server("maps", maps.entry());
    let id = "maps-find".to_owned();
    let gate = TestGateway::start(first).await;
    let names = gate.admin().tool_names().await;
    assert_eq!(names[..2], [id, "files-write".to_owned()]);
    assert_eq!(names.len(), 3, "{names:?}");
    gate.admin().call("maps-find", json!({})).await.result();
    assert_eq!(files.only("tools/call").message["params"]["name"], "read");
    gate.admin().call(&names[2], json!({})).await.result();
    maps.only("tools/call");

    let second = config().server("maps", maps.entry()).server("files", files.entry().with(shown));
    let expected = [("maps-find", "maps", "find"), ("files-write", "files", "write"), ("files-read", "files", "read")];
    lists_and_calls(second, &servers, &expected).await;
}

#[tokio::test]
async fn a_bare_name_is_ambiguous_where_two_servers_have_it_and_free_where_one_has() {
    let files = FakeMcp::start(script().tools(&["stat", "maps-stat"])).await;
    let maps = FakeMcp::start(script().tools(&["stat"])).await;
    let config =
        config().server("files", files.entry()).server("maps", maps.entry()).general("mcp_tool_prefix: when_ambiguous");
    let expected = [("files-stat", "files", "stat"), ("maps-stat", "files", "maps-stat")];
    let gate = TestGateway::start(config).await;
    let names = gate.admin().tool_names().await;
    assert_eq!(names[..2], expected.map(|(name, _, _)| name.to_owned()));
    assert_eq!(names.len(), 3, "the third is listed under a name of its own: {names:?}");
    gate.admin().call("maps-stat", json!({})).await.result();
    assert_eq!(files.only("tools/call").message["params"]["name"], "maps-stat");
    gate.admin().call(&names[2], json!({})).await.result();
    maps.only("tools/call");
    let answer = gate.admin().call("stat", json!({})).await;
    assert_eq!(answer.error()["data"]["code"], "ambiguous_name");
}

#[tokio::test]
async fn a_resource_that_two_servers_have_is_listed_twice_and_each_is_read_under_its_own_uri() {
    let first = FakeMcp::start(script().resources(&["note://today"])).await;
    let second = FakeMcp::start(script().resources(&["note://today"])).await;
    let gate = TestGateway::start(config().server("first", first.entry()).server("My_second", second.entry())).await;
    let uris = gate.admin().names("/mcp", "resources/list", "resources", "uri").await;
    // A URI's scheme has letters, digits, `+`, `-` and `.`: clients that check would refuse the whole list.
    assert_eq!(uris, ["note://today", "my-second+note://today"]);
    let read = async |uri: &str| gate.admin().rpc("resources/read", json!({"uri": uri})).await.result().clone();
    assert_eq!(read("note://today").await["contents"][0]["uri"], "note://today");
    first.only("resources/read");
    assert_eq!(read("my-second+note://today").await["contents"][0]["uri"], "my-second+note://today");
    assert_eq!(second.only("resources/read").message["params"]["uri"], "note://today");
}

#[tokio::test]
async fn a_template_that_two_servers_have_is_read_from_the_one_whose_uri_is_asked_for() {
    let templates = || Scripted::Pages("resourceTemplates", vec![vec![json!({"uriTemplate": "{+any}", "name": "t"})]]);
    let first = FakeMcp::start(script().on("resources/templates/list", templates())).await;
    let second = FakeMcp::start(script().on("resources/templates/list", templates())).await;
    let gate = TestGateway::start(config().server("first", first.entry()).server("second", second.entry())).await;
    let listed = gate.admin().names("/mcp", "resources/templates/list", "resourceTemplates", "uriTemplate").await;
    assert_eq!(listed, ["{+any}", "second+{+any}"]);
    gate.admin().rpc("resources/read", json!({"uri": "second+map://rom"})).await.result();
    assert_eq!(second.only("resources/read").message["params"]["uri"], "map://rom");
    assert_eq!(first.seen_of("resources/read").len(), 0);
}

#[tokio::test]
async fn the_server_that_listed_a_resource_answers_for_it_even_when_it_fails() {
    let owner = script().resources(&["note://today"]).on("resources/read", Scripted::html());
    let owner = FakeMcp::start(owner).await;
    let other = FakeMcp::start(script().resources(&["note://other"])).await;
    let gate = TestGateway::start(config().server("owner", owner.entry()).server("other", other.entry())).await;
    let answer = gate.admin().rpc("resources/read", json!({"uri": "note://today"})).await;
    assert_eq!(answer.error()["data"]["server"], "owner");
    assert_eq!(other.seen_of("resources/read").len(), 0, "nobody else is asked for it");
}

#[tokio::test]
async fn what_is_switched_off_is_neither_listed_nor_got_nor_completed() {
    let prompts = Scripted::Pages("prompts", vec![vec![json!({"name": "greet"})]]);
    let fake = FakeMcp::start(script().on("prompts/list", prompts).resources(&["note://today"])).await;
    let off = "mcp_disabled_capabilities: [prompts, resources]";
    let gate = TestGateway::start(config().server("files", fake.entry()).general(off)).await;
    let admin = gate.admin();
    for (method, key) in [
        ("prompts/list", "prompts"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
    ] {
        assert_eq!(admin.rpc(method, json!({})).await.result()[key], Value::Array(Vec::new()), "{method}");
    }
    let argument = json!({"name": "who", "value": ""});
    for (method, params) in [
        ("prompts/get", json!({"name": "files-greet"})),
        ("resources/read", json!({"uri": "note://today"})),
        ("completion/complete", json!({"ref": {"type": "ref/prompt", "name": "files-greet"}, "argument": argument})),
        ("completion/complete", json!({"ref": {"type": "ref/resource", "uri": "note://today"}, "argument": argument})),
    ] {
        let answer = admin.rpc(method, params).await;
        assert!([-32601, -32602].contains(&answer.error_code()), "{method}: {}", answer.message());
    }
    for method in ["prompts/list", "prompts/get", "resources/list", "resources/read", "completion/complete"] {
        assert_eq!(fake.seen_of(method).len(), 0, "{method} reached the server");
    }
}
