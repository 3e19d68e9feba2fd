//! `/openapi.json` says of every route what is so, for real tools too, and `/docs` shows it without loading anything.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};
use toolgate::server::openapi::{document, texts};
use toolgate::server::routes::{Access, ROUTES};

use crate::support::{MASTER_KEY, TestGateway, api_tool, config, memory};

/// The document's operations: path, method, operation.
fn operations(document: &Value) -> impl Iterator<Item = (&str, Method, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, operations)| {
        let operations = operations.as_object().unwrap().iter();
        operations.map(move |(method, operation)| (path.as_str(), method.to_uppercase().parse().unwrap(), operation))
    })
}

/// A path with something in place of what varies.
fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "nobody" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn the_document_has_every_route_of_the_table_and_no_other() {
    let document = document();
    let described: BTreeSet<(String, String)> =
        operations(&document).map(|(path, method, _)| (method.to_string(), path.to_owned())).collect();
    let table: BTreeSet<(String, String)> =
        ROUTES.iter().map(|route| (route.method.to_owned(), route.path.replace("{*", "{"))).collect();
    assert_eq!(described, table);
    let said: BTreeSet<_> = texts::TEXTS.iter().map(|(method, path, _)| (*method, *path)).collect();
    for route in ROUTES {
        assert!(
            said.contains(&(route.method, route.path)),
            "say in texts.rs what {} {} is for",
            route.method,
            route.path
        );
    }
    assert_eq!(said.len(), texts::TEXTS.len(), "a route has two texts");
    assert_eq!(said.len(), ROUTES.len(), "texts.rs has a route that is not in the table");
    for route in ROUTES {
        let path = route.path.replace("{*", "{");
        let operation = &document["paths"][&path][route.method.to_lowercase()];
        let is_open = operation["security"] == json!([]);
        assert_eq!(is_open, route.access == Access::Public, "{} {path}", route.method);
    }
}

#[test]
fn every_operation_has_an_id_of_its_own_a_group_and_what_its_path_names() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{method} {path}");
        let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        for name in named {
            let parameters = operation["parameters"].as_array().unwrap();
            let of_path = |it: &Value| it["name"] == name && it["in"] == "path" && it["required"] == true;
            assert!(parameters.iter().any(of_path), "{method} {path}: {name}");
        }
    }
}

/// What a schema stands for.
fn resolved<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// Objects with a field too many that a value of this schema could be.
fn with_another_field(document: &Value, schema: &Value) -> Vec<Value> {
    let schema = resolved(document, schema);
    let choices = schema["anyOf"].as_array().into_iter().flatten();
    let mut found: Vec<Value> = choices.flat_map(|choice| with_another_field(document, choice)).collect();
    if schema["properties"].is_object() {
        found.push(json!({ "no_such_field": 1 }));
    }
    if schema["items"].is_object() {
        found.extend(with_another_field(document, &schema["items"]).into_iter().map(|item| json!([item])));
    }
    found
}

#[tokio::test]
async fn every_described_body_refuses_unknown_fields_as_it_is_described() {
    let gate = TestGateway::start_with_store(config(), memory().await).await;
    let document: Value = gate.anonymous().get("/openapi.json").await.json();
    let mut open = Vec::new();
    for (path, method, operation) in operations(&document) {
        let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema") else { continue };
        let schema = resolved(&document, schema);
        if schema["additionalProperties"] != false {
            open.push(path);
            continue;
        }
        let mut bodies = vec![(json!({ "no_such_field": 1 }), "no_such_field".to_owned())];
        for (field, schema) in schema["properties"].as_object().unwrap() {
            for value in with_another_field(&document, schema) {
                bodies.push((json!({ field: value }), field.clone()));
            }
        }
        for (body, param) in bodies {
            let reply = gate.admin().send(method.clone(), &filled(path), body.to_string()).await;
            assert_eq!(reply.status, 422, "{method} {path} {body}: {reply:?}");
            let about = reply.json()["error"]["param"].as_str().unwrap_or_default().to_owned();
            assert!(about.starts_with(&param) || about.is_empty(), "{method} {path} {body}: {reply:?}");
        }
    }
    // A client's or registry's file has fields that are none of the gateway's; calls are LiteLLM's, which ignores some.
    assert_eq!(open, ["/mcp-rest/tools/call", "/v1/mcp/server/import"]);
}

#[tokio::test]
async fn every_described_query_of_a_management_route_refuses_unknown_parameters() {
    let gate = TestGateway::start_with_store(config(), memory().await).await;
    let document = document();
    let mut asked = 0;
    for (path, method, operation) in operations(&document) {
        let has_query = operation["parameters"].as_array().into_iter().flatten().any(|it| it["in"] == "query");
        let is_management = !operation["responses"]["422"].is_null();
        if has_query && is_management {
            let reply = gate.admin().send(method.clone(), &format!("{}?no_such=1", filled(path)), "").await;
            assert_eq!(reply.status, 422, "{method} {path}: {reply:?}");
            assert_eq!(reply.json()["error"]["param"], "no_such", "{method} {path}");
            asked += 1;
        }
    }
    assert!(asked > 10, "{asked} queries are described");
}

#[test]
fn secrets_are_described_as_such_and_no_type_of_the_code_shows_through() {
    let document = document();
    let text = document.to_string();
    for word in ["Nullable_", "SecretString", "Change_"] {
        assert!(!text.contains(word), "{word}");
    }
    let references = text.split("\"$ref\":\"#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
    for name in references {
        assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn the_page_loads_nothing_from_outside_and_runs_only_what_is_in_it() {
    let gate = TestGateway::start(config()).await;
    for path in ["/docs", "/"] {
        let reply = gate.anonymous().get(path).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
        let policy = reply.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        for word in ["unsafe", "http:", "https:", "*"] {
            assert!(!policy.contains(word), "{policy}");
        }
        let page = reply.text();
        for word in ["http://", "https://", "src=", "@import", "url(", "innerHTML", " onclick", "style=\""] {
            assert!(!page.contains(word), "{word}");
        }
    }
}

#[tokio::test]
async fn a_validator_of_openapi_finds_nothing_wrong() {
    let gate = TestGateway::start(config()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, gate.anonymous().get("/openapi.json").await.body).unwrap();
    let said = api_tool("openapi-spec-validator", &["--schema", "3.1", file.to_str().unwrap()]).await;
    assert!(said.trim_end().ends_with("OK"), "{said}");
}

/// A tool that makes requests from the document finds none that is answered in another way than the document says.
#[tokio::test(flavor = "multi_thread")]
async fn requests_made_from_the_document_are_answered_as_it_says() {
    let gate = TestGateway::start_with_store(config(), memory().await).await;
    let key = format!("Authorization: Bearer {MASTER_KEY}");
    let document = gate.url("/openapi.json");
    let said = api_tool(
        "schemathesis",
        &[
            "--no-color",
            "run",
            &document,
            "--header",
            &key,
            "--phases=fuzzing",
            "--max-examples=1",
            "--generation-deterministic",
            "--suppress-health-check=all",
            "--checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
            // Streams have no end, and what is spoken there is another specification's.
            "--exclude-tag=MCP",
        ],
    )
    .await;
    assert!(said.contains(" generated, "), "{said}");
}
