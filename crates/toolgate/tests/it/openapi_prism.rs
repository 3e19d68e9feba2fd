//! Stoplight's Prism serves published descriptions and judges every request that comes through the gateway.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Entry, Prism, TestGateway, config, oas_examples, sample, soon};

/// All documents of the package.
fn documents() -> Vec<PathBuf> {
    let root = oas_examples();
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["2.0", "3.0", "3.1"].iter().map(|version| root.join(version).join("json")).collect();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "json") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What Prism calls a request that the document does not describe.
fn verdict(result: &Value) -> Option<String> {
    let text = result["content"][0]["text"].as_str().unwrap_or_default();
    text.contains("stoplight.io/prism/errors#").then(|| text.to_owned()).filter(|text| {
        // It has nothing to answer with; the request was right.
        ![
            "NO_COMPLEX_OBJECT_TEXT",
            "NO_RESPONSE_DEFINED",
            "NOT_ACCEPTABLE",
            "NOT_FOUND",
            "SCHEMA_TOO_COMPLEX",
            "UNKNOWN",
        ]
        .iter()
        .any(|kind| text.contains(&format!("errors#{kind}")))
    })
}

#[tokio::test]
async fn a_validating_server_accepts_every_generated_call() {
    let documents = documents();
    let prism = Prism::start(&documents).await;
    let mut gateway = config();
    let mut names = Vec::new();
    for path in &documents {
        let Some(Some(port)) = prism.ports.get(path) else { continue };
        let name = name_of(path);
        let entry = Entry::detected(&format!("http://127.0.0.1:{port}"))
            .with(&format!("spec_path: {}", json!(path)))
            .with("static_headers: {Authorization: Bearer sample}")
            .with("auth_type: api_key")
            .with("auth_value: sample");
        gateway = gateway.server(&name, entry);
        names.push(name);
    }
    assert!(names.len() > 40, "{names:?}");
    let gate = TestGateway::start(gateway).await;
    let admin = gate.admin();
    let (mut calls, mut refused) = (0, Vec::new());
    for name in names {
        let listed = admin.rpc_at(&format!("/{name}/mcp"), "tools/list", json!({})).await;
        for tool in listed.result()["tools"].as_array().unwrap() {
            let tool_name = tool["name"].as_str().unwrap();
            let arguments = sample(&tool["inputSchema"]);
            let answer = soon("an answer", admin.call(tool_name, arguments.clone())).await;
            calls += 1;
            let result = answer.result();
            let text = result["content"][0]["text"].as_str().unwrap_or_default();
            if text.starts_with("The arguments are not right") || verdict(result).is_some() {
                refused.push(format!("{tool_name} {arguments}: {text}"));
            }
        }
    }
    assert!(refused.is_empty(), "{} of {calls} were refused:\n{}", refused.len(), refused.join("\n"));
    assert!(calls > 200, "{calls}");
}

/// `3.0/json/folder/pet-store.json` as `30_folder_pet_store`.
fn name_of(path: &Path) -> String {
    let path = path.strip_prefix(oas_examples()).unwrap().with_extension("");
    let parts = path.iter().map(|part| part.to_str().unwrap()).filter(|part| *part != "json");
    parts.map(|part| part.replace('-', "_").replace('.', "")).collect::<Vec<_>>().join("_")
}
