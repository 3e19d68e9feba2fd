//! Many servers as one: names, pages, resources that two servers both have, and whom a name leads to.

use serde_json::{Value, json};

use crate::support::{Config, FakeMcp, Scripted, TestGateway, config, script, tool};

async fn gate(config: Config) -> TestGateway {
    TestGateway::start(config).await
}

#[tokio::test]
async fn all_pages_of_all_servers_are_listed_in_the_order_of_the_configuration() {
    let pages = (0..5).map(|page| (0..10).map(|n| tool(&format!("t{page}{n}"))).collect()).collect();
    let many = FakeMcp::start(script().on("tools/list", Scripted::Pages("tools", pages))).await;
    let few = FakeMcp::start(script().tools(&["one", "two"])).await;
    let gate = gate(config().server("many", many.entry()).server("few", few.entry())).await;
    let names = gate.admin().tool_names().await;
    assert_eq!(names.len(), 52);
    assert_eq!([&names[0], &names[49], &names[50], &names[51]], ["many-t00", "many-t49", "few-one", "few-two"]);
}

#[tokio::test]
async fn a_call_finds_its_server_by_name_alias_or_bare_name() {
    let files = FakeMcp::start(script().tools(&["read", "stat"])).await;
    let maps = FakeMcp::start(script().tools(&["find", "stat"])).await;
    let gate = gate(config().server("files", files.entry().with("alias: f")).server("maps", maps.entry())).await;
    let admin = gate.admin();
    assert_eq!(admin.tool_names().await, ["f-read", "f-stat", "maps-find", "maps-stat"]);
    for name in ["f-read", "files-read", "read", "f-stat", "files-stat"] {
        admin.call(name, json!({})).await.result();
    }
    assert_eq!(files.seen_of("tools/call").len(), 5);
    for name in ["maps-find", "find", "maps-stat"] {
        admin.call(name, json!({})).await.result();
    }
    assert_eq!(maps.seen_of("tools/call").len(), 3);
}

#[tokio::test]
async fn a_bare_name_that_two_servers_have_is_refused_and_the_error_says_which() {
    let files = FakeMcp::start(script().tools(&["stat"])).await;
    let maps = FakeMcp::start(script().tools(&["stat"])).await;
    let gate = gate(config().server("files", files.entry()).server("maps", maps.entry())).await;
    let answer = gate.admin().call("stat", json!({})).await;
    assert_eq!(answer.error_code(), -32602);
    assert_eq!(files.seen_of("tools/call").len() + maps.seen_of("tools/call").len(), 0);
}

#[tokio::test]
async fn a_tool_whose_name_looks_like_a_prefix_is_found_by_table_and_not_by_splitting() {
    let files = FakeMcp::start(script().tools(&["maps-find"])).await;
    let maps = FakeMcp::start(script().tools(&["find"])).await;
    let gate = gate(config().server("files", files.entry()).server("maps", maps.entry())).await;
    let admin = gate.admin();
    admin.call("files-maps-find", json!({})).await.result();
    assert_eq!(files.only("tools/call").message["params"]["name"], "maps-find");
    admin.call("maps-find", json!({})).await.result();
    assert_eq!(maps.only("tools/call").message["params"]["name"], "find");
}

#[tokio::test]
async fn prompts_are_listed_and_got_by_their_prefixed_names() {
    let prompts = vec![vec![json!({"name": "greet", "arguments": [{"name": "who"}]})]];
    let got = json!({"messages": [{"role": "user", "content": {"type": "text", "text": "Hello"}}]}).to_string();
    let script = script().on("prompts/list", Scripted::Pages("prompts", prompts));
    let files = FakeMcp::start(script.on("prompts/get", Scripted::Result(got.clone()))).await;
    let gate = gate(config().server("files", files.entry())).await;
    assert_eq!(gate.admin().names("/mcp", "prompts/list", "prompts", "name").await, ["files-greet"]);
    let answer = gate.admin().rpc("prompts/get", json!({"name": "files-greet", "arguments": {"who": "Ada"}})).await;
    assert_eq!(answer.raw_result(), got);
    let params = &files.only("prompts/get").message["params"];
    assert_eq!((&params["name"], &params["arguments"]), (&json!("greet"), &json!({"who": "Ada"})));
}

#[tokio::test]
async fn resources_are_read_from_the_server_that_has_them() {
    let files = FakeMcp::start(script().resources(&["file:///a"])).await;
    let maps = FakeMcp::start(script().resources(&["map://berlin"])).await;
    let gate = gate(config().server("files", files.entry()).server("maps", maps.entry())).await;
    let admin = gate.admin();
    assert_eq!(admin.names("/mcp", "resources/list", "resources", "uri").await, ["file:///a", "map://berlin"]);
    let answer = admin.rpc("resources/read", json!({"uri": "map://berlin"})).await;
    assert_eq!(answer.result()["contents"][0]["uri"], "map://berlin");
    assert_eq!(files.seen_of("resources/read").len(), 0);
    maps.only("resources/read");
}

#[tokio::test]
async fn a_resource_that_two_servers_have_is_read_from_the_first_and_from_each_in_its_own_scope() {
    let first = FakeMcp::start(script().resources(&["note://today"])).await;
    let second = FakeMcp::start(script().resources(&["note://today"])).await;
    let gate = gate(config().server("first", first.entry()).server("second", second.entry())).await;
    let uri = json!({"uri": "note://today"});
    gate.admin().rpc("resources/read", uri.clone()).await.result();
    first.only("resources/read");
    gate.admin().rpc_at("/mcp/second", "resources/read", uri).await.result();
    second.only("resources/read");
    first.only("resources/read");
}

#[tokio::test]
async fn a_resource_of_a_template_is_read_from_the_server_with_the_template() {
    let templates = vec![vec![json!({"uriTemplate": "map://{city}/streets", "name": "streets"})]];
    let files = FakeMcp::start(script().resources(&["file:///a"])).await;
    let maps =
        FakeMcp::start(script().on("resources/templates/list", Scripted::Pages("resourceTemplates", templates))).await;
    let gate = gate(config().server("files", files.entry()).server("maps", maps.entry())).await;
    let listed = gate.admin().names("/mcp", "resources/templates/list", "resourceTemplates", "name").await;
    assert_eq!(listed, ["maps-streets"]);
    gate.admin().rpc("resources/read", json!({"uri": "map://rom/streets"})).await.result();
    maps.only("resources/read");
    assert_eq!(files.seen_of("resources/read").len(), 0);
}

#[tokio::test]
async fn of_two_templates_the_one_that_says_more_of_the_uri_leads_to_its_server() {
    let having = |template: &str| {
        let templates = vec![vec![json!({"uriTemplate": template, "name": "t"})]];
        script().on("resources/templates/list", Scripted::Pages("resourceTemplates", templates))
    };
    let any = FakeMcp::start(having("docs://{+any}")).await;
    let users = FakeMcp::start(having("docs://users/{id}")).await;
    let gate = gate(config().server("any", any.entry()).server("users", users.entry())).await;
    gate.admin().rpc("resources/read", json!({"uri": "docs://users/7"})).await.result();
    users.only("resources/read");
    assert_eq!(any.count_of("resources/read"), 0);
}

#[tokio::test]
async fn a_resource_that_no_server_has_is_not_found() {
    let files = FakeMcp::start(script().resources(&["file:///a"])).await;
    let maps = FakeMcp::start(script().resources(&["map://berlin"])).await;
    let gate = gate(config().server("files", files.entry()).server("maps", maps.entry())).await;
    let answer = gate.admin().rpc("resources/read", json!({"uri": "moon://crater"})).await;
    assert!([-32002, -32602].contains(&answer.error_code()), "{}", answer.error());
}

#[tokio::test]
async fn a_completion_goes_to_the_server_of_its_prompt() {
    let prompts = vec![vec![json!({"name": "greet"})]];
    let done = r#"{"completion":{"values":["Ada","Alan"],"hasMore":false}}"#;
    let script = script().on("prompts/list", Scripted::Pages("prompts", prompts));
    let files = FakeMcp::start(script.on("completion/complete", Scripted::Result(done.to_owned()))).await;
    let maps = FakeMcp::start(crate::support::script()).await;
    let gate = gate(config().server("maps", maps.entry()).server("files", files.entry())).await;
    let params =
        json!({"ref": {"type": "ref/prompt", "name": "files-greet"}, "argument": {"name": "who", "value": "A"}});
    assert_eq!(gate.admin().rpc("completion/complete", params).await.raw_result(), done);
    assert_eq!(files.only("completion/complete").message["params"]["ref"]["name"], "greet");
}

#[tokio::test]
async fn names_have_no_prefix_where_none_is_wanted_and_another_separator_where_it_is_set() {
    let files = FakeMcp::start(script().tools(&["read", "stat"])).await;
    let maps = FakeMcp::start(script().tools(&["stat"])).await;
    let both = || config().server("files", files.entry()).server("maps", maps.entry());
    let ambiguous = gate(both().general("mcp_tool_prefix: when_ambiguous")).await;
    assert_eq!(ambiguous.admin().tool_names().await, ["read", "files-stat", "maps-stat"]);
    let never = gate(both().general("mcp_tool_prefix: never")).await;
    assert_eq!(never.admin().tool_names().await, ["read", "stat"]);
    let dotted = gate(both().env("MCP_TOOL_PREFIX_SEPARATOR", ".")).await;
    assert_eq!(dotted.admin().tool_names().await, ["files.read", "files.stat", "maps.stat"]);
    dotted.admin().call("maps.stat", json!({})).await.result();
}

#[tokio::test]
async fn two_tools_of_one_server_with_the_same_name_are_listed_once() {
    let files = FakeMcp::start(script().tools(&["read", "read"])).await;
    let gate = gate(config().server("files", files.entry())).await;
    assert_eq!(gate.admin().tool_names().await, ["files-read"]);
}

#[tokio::test]
async fn no_servers_is_an_empty_list_and_no_error() {
    let gate = gate(config()).await;
    let answer = gate.admin().rpc("tools/list", json!({})).await;
    assert_eq!(answer.result()["tools"], Value::Array(Vec::new()));
}
