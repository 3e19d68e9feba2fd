//! Rules on tools, from a server's entry: the same at the list and at the call.

use serde_json::json;

use crate::support::{FakeMcp, TestGateway, config, script};

/// A gate with one server, `files`, whose entry has `lines` more; its tools are `read`, `write` and `delete`.
async fn gate(lines: &[&str]) -> (TestGateway, FakeMcp) {
    let fake = FakeMcp::start(script().tools(&["read", "write", "delete"])).await;
    let entry = lines.iter().fold(fake.entry(), |entry, line| entry.with(line));
    (TestGateway::start(config().server("files", entry)).await, fake)
}

/// `tool` is called and refused with LiteLLM's words; nothing reaches the server.
async fn is_refused(gate: &TestGateway, fake: &FakeMcp, tool: &str) {
    let calls = fake.seen_of("tools/call").len();
    let answer = gate.admin().call(tool, json!({})).await;
    assert_eq!(answer.error_code(), -32012, "{tool}: {}", answer.message());
    let bare = tool.trim_start_matches("files-");
    let words = format!("Tool {bare} is not allowed for server files. Contact proxy admin to allow this tool.");
    assert_eq!(answer.error_message(), words);
    assert_eq!(fake.seen_of("tools/call").len(), calls);
}

#[tokio::test]
async fn only_allowed_tools_are_listed_and_called() {
    let (gate, fake) = gate(&["allowed_tools: [read, files-write]"]).await;
    assert_eq!(gate.admin().tool_names().await, ["files-read", "files-write"]);
    is_refused(&gate, &fake, "files-delete").await;
    gate.admin().call("files-read", json!({})).await.result();
    gate.admin().call("files-write", json!({})).await.result();
}

#[tokio::test]
async fn disallowed_tools_are_neither_listed_nor_called_even_when_allowed() {
    let (gate, fake) = gate(&["allowed_tools: [read, delete]", "disallowed_tools: [delete]"]).await;
    assert_eq!(gate.admin().tool_names().await, ["files-read"]);
    is_refused(&gate, &fake, "files-delete").await;
    is_refused(&gate, &fake, "delete").await;
}

#[tokio::test]
async fn an_empty_list_of_allowed_tools_allows_all_unless_it_is_enforced() {
    let (lenient, _fake) = gate(&["allowed_tools: []"]).await;
    assert_eq!(lenient.admin().tool_names().await.len(), 3);
    let (strict, fake) = gate(&["allowed_tools: []", "mcp_info: {tool_allowlist_enforced: true}"]).await;
    assert_eq!(strict.admin().tool_names().await.len(), 0);
    is_refused(&strict, &fake, "files-read").await;
}

#[tokio::test]
async fn a_parameter_that_is_not_allowed_is_refused_with_litellms_words() {
    let (gate, fake) = gate(&["allowed_params: {read: [path]}"]).await;
    gate.admin().call("files-read", json!({"path": "/a"})).await.result();
    gate.admin().call("files-write", json!({"anything": 1})).await.result();
    let calls = fake.seen_of("tools/call").len();

    let words = "Parameters ['force'] are not allowed for tool read. Allowed parameters: ['path']. \
                 Contact proxy admin to allow these parameters.";
    let body = json!({"server_id": "files", "name": "read", "arguments": {"path": "/a", "force": true}}).to_string();
    let reply = gate.admin().post("/mcp-rest/tools/call", body).await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains(words), "{}", reply.text());
    let answer = gate.admin().call("files-read", json!({"path": "/a", "force": true})).await;
    assert!(answer.message().to_string().contains(words), "{}", answer.message());
    assert_eq!(fake.seen_of("tools/call").len(), calls);
}

#[tokio::test]
async fn a_display_name_takes_the_place_of_the_whole_name() {
    let (gate, fake) = gate(&["tool_name_to_display_name: {read: read_a_file}"]).await;
    assert_eq!(gate.admin().tool_names().await, ["read_a_file", "files-write", "files-delete"]);
    gate.admin().call("read_a_file", json!({})).await.result();
    assert_eq!(fake.only("tools/call").message["params"]["name"], "read");
}

#[tokio::test]
async fn a_description_of_the_admin_takes_the_place_of_the_servers() {
    let (gate, _fake) = gate(&["tool_name_to_description: {read: \"Reads, politely.\"}"]).await;
    let answer = gate.admin().rpc("tools/list", json!({})).await;
    let tools = answer.result()["tools"].as_array().unwrap();
    assert_eq!(tools[0]["description"], "Reads, politely.");
    assert_eq!(tools[1]["description"], "does write");
}

#[tokio::test]
async fn pinned_tools_are_listed_as_they_were_approved_and_others_are_not() {
    let pinned = r#"pinned_tools: {read: {description: "As approved.", input_schema: {type: object, properties: {path: {type: string}}}}}"#;
    let (gate, fake) = gate(&[pinned]).await;
    let answer = gate.admin().rpc("tools/list", json!({})).await;
    let tools = answer.result()["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 1);
    assert_eq!(tools[0]["name"], "files-read");
    assert_eq!(tools[0]["description"], "As approved.");
    assert_eq!(tools[0]["inputSchema"], json!({"type": "object", "properties": {"path": {"type": "string"}}}));
    is_refused(&gate, &fake, "files-write").await;
    gate.admin().call("files-read", json!({"path": "/"})).await.result();
}
