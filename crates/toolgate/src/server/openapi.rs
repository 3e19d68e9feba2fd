//! `GET /openapi.json`: the gateway's own HTTP surface as an OpenAPI 3.1 document, made from the table of routes.
//!
//! Paths, methods and who may use them are the table's; bodies, queries and answers are read off the handlers' types
//! (`describe`); `texts` adds what no type says. Everybody may read it: it tells what the program can do, as its
//! documentation does, and nothing of the servers, keys or names of this gateway.

pub mod texts;

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::describe::Sketch;
use super::routes::{Access, ROUTES, Route};
use crate::admin::Least;
use crate::gateway::Gateway;
use texts::{Success, Text};

/// `GET /openapi.json`
pub async fn get(State(gateway): State<Gateway>) -> Response {
    let document = gateway.openapi.get_or_init(|| Bytes::from(document().to_string())).clone();
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}

/// The document.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for route in ROUTES {
        let operations = paths.entry(path(route)).or_default();
        operations.insert(route.method.to_ascii_lowercase(), operation(route, &mut schemas));
    }
    let mut components = schemas.take_definitions(true);
    components.values_mut().for_each(glossed);
    components.extend(errors());
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "toolgate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": texts::ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": SCHEMES.map(|(name, _)| json!({ name: [] })),
        "tags": texts::TAGS.iter().map(|(name, text, _)| json!({ "name": name, "description": text })).collect::<Value>(),
        "paths": paths,
        "components": { "schemas": components, "securitySchemes": security_schemes() },
    })
}

/// Says of fields that say nothing themselves what their name means everywhere.
fn glossed(schema: &mut Value) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (name, property) in properties {
        if let Some(text) = texts::field(name) {
            match property {
                // `true`: anything at all.
                Value::Bool(true) => *property = json!({ "description": text }),
                Value::Object(property) => {
                    property.entry("description").or_insert_with(|| text.into());
                }
                _ => {}
            }
        }
    }
}

/// Where a key may be. The same header under other names that LiteLLM takes is in the documentation.
const SCHEMES: [(&str, &str); 3] =
    [("bearer", "Authorization"), ("litellm_key", "x-litellm-api-key"), ("api_key", "x-api-key")];

fn security_schemes() -> Value {
    let one = |(name, header): (&str, &str)| {
        let scheme = match name {
            "bearer" => {
                json!({ "type": "http", "scheme": "bearer", "description": "A virtual key, or a JWT where enable_jwt_auth is on." })
            }
            _ => {
                json!({ "type": "apiKey", "in": "header", "name": header, "description": "A virtual key, with or without `Bearer `." })
            }
        };
        (name.to_owned(), scheme)
    };
    Value::Object(SCHEMES.into_iter().map(one).collect())
}

/// The path as OpenAPI writes it, which has no parts that go over several segments.
fn path(route: &Route) -> String {
    route.path.replace("{*", "{")
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut sketch = Sketch::new(schemas);
    route.endpoint().tell(&mut sketch);
    let Sketch { query, body, answer, is_management, .. } = sketch;
    let text = texts::of(route.method, route.path).unwrap_or(Text { summary: "", success: &[Success::Json(200)] });
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": text.summary,
        "description": who(route.access),
        "tags": [texts::tag(route.path)],
        "x-toolgate-access": access(route.access),
    });
    let parameters: Vec<Value> = in_path(route.path).chain(query).collect();
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = &body {
        let content = json!({ "application/json": { "schema": body.schema } });
        operation["requestBody"] = json!({ "required": !body.is_optional, "content": content });
    }
    operation["responses"] = responses(route, &text, answer, is_management, body.is_some());
    if route.access == Access::Public {
        operation["security"] = json!([]);
    }
    operation
}

fn operation_id(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name = words.fold(route.method.to_ascii_lowercase(), |name, word| format!("{name}_{word}"));
    // Paths that end with a slash are routes of their own.
    if route.path.ends_with('/') { format!("{name}_slash") } else { name }
}

fn in_path(path: &str) -> impl Iterator<Item = Value> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(|name| {
        let rest = name.strip_prefix('*');
        let mut parameter = json!({
            "name": rest.unwrap_or(name), "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 },
        });
        if let Some(text) = texts::path_parameter(rest.unwrap_or(name)) {
            parameter["description"] = text.into();
        }
        parameter
    })
}

fn responses(route: &Route, text: &Text, answer: Option<Schema>, is_management: bool, has_body: bool) -> Value {
    let mut all = Map::new();
    for success in text.success {
        let (status, content) = match *success {
            Success::Json(status) => {
                let schema = answer.clone().map_or_else(|| json!({}), Schema::to_value);
                (status, json!({ "application/json": { "schema": schema } }))
            }
            Success::Of(status, media) => (status, json!({ media: { "schema": { "type": "string" } } })),
            Success::Nothing(status) => (status, json!({})),
        };
        let mut response = json!({ "description": "It is done, or here it is." });
        if content != json!({}) {
            response["content"] = content;
        }
        // A route that answers with JSON or with events has one status for both.
        let entry = all.entry(status.to_string()).or_insert_with(|| json!({}));
        merge(entry, response);
    }
    for (status, what) in failures(route.access, is_management, has_body) {
        let schema = format!("#/components/schemas/{}", error_of(route, is_management));
        let content = json!({ "application/json": { "schema": { "$ref": schema } } });
        all.entry(status).or_insert_with(|| json!({ "description": what, "content": content }));
    }
    Value::Object(all)
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn error_of(route: &Route, is_management: bool) -> &'static str {
    match (is_management, super::routes::is_mcp(route.path)) {
        (true, _) => "ManagementError",
        (false, true) => "McpError",
        (false, false) => "Refusal",
    }
}

/// What a route may answer beside success.
fn failures(access: Access, is_management: bool, has_body: bool) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![
        ("400", "The request makes no sense as it is."),
        ("401", "No valid key, or (on management routes) one whose role may not."),
        ("403", "The key may not do this."),
        ("404", "It is not there, or not the caller's to know of: the two answer alike."),
        (
            "429",
            "Too many bad keys came from this address, or a limit or budget is reached; `Retry-After` says when to come again.",
        ),
        ("503", "The database or a server does not answer; `Retry-After` says when to come again."),
    ];
    if is_management {
        all.push(("409", "It is there already."));
        all.push(("422", "A field is unknown or has a value that means nothing; `param` names it."));
        all.push(("502", "A server did not do its part."));
    }
    if has_body {
        all.push(("408", "The body did not arrive in time."));
        all.push(("413", "The body is too large."));
        all.push(("415", "The body is not `application/json`, or is compressed."));
    }
    if access == Access::Public {
        all.retain(|(status, _)| matches!(*status, "404" | "503"));
    }
    all
}

/// Bodies of errors, as `faces` writes them.
fn errors() -> Map<String, Value> {
    let text = json!({ "type": "string" });
    let all = json!({
        "ManagementError": {
            "description": "LiteLLM's two forms.",
            "anyOf": [
                { "$ref": "#/components/schemas/Error" },
                { "$ref": "#/components/schemas/Refusal" },
            ],
        },
        "Error": {
            "type": "object",
            "required": ["error"],
            "properties": { "error": {
                "type": "object",
                "required": ["message", "type", "param", "code"],
                "properties": {
                    "message": { "type": "string", "description": "What went wrong, and how to mend it." },
                    "type": text,
                    "param": { "type": ["string", "null"], "description": "The field that is wrong." },
                    "code": { "type": "string", "description": "The status." },
                    "hint": { "type": "string", "description": "What to do." },
                    "request_id": { "type": "string", "description": "Finds the log lines." },
                    "errors": {
                        "type": "array",
                        "description": "All fields that are wrong.",
                        "items": { "type": "object", "properties": {
                            "param": text, "message": text, "hint": { "type": ["string", "null"] },
                        } },
                    },
                },
            } },
        },
        "Refusal": {
            "type": "object",
            "description": "`detail` is an object with `error` and `message`, or text.",
            "properties": { "detail": {}, "error": text, "details": text },
        },
        "McpError": {
            "type": "object",
            "description": "A JSON-RPC error, or before a message was read a refusal.",
            "properties": {
                "jsonrpc": { "const": "2.0" },
                "id": { "type": ["string", "integer", "null"] },
                "error": {},
                "detail": {},
                "details": text,
            },
        },
    });
    match all {
        Value::Object(all) => all,
        _ => Map::new(),
    }
}

/// The word for who may use a route.
fn access(access: Access) -> &'static str {
    match access {
        Access::Public => "public",
        Access::Key => "key",
        Access::Role(Least::Holder) => "holder",
        Access::Role(Least::Manager) => "manager",
        Access::Role(Least::AdminViewer) => "admin_viewer",
        Access::Role(Least::Admin) => "admin",
    }
}

/// Who may use a route.
fn who(access: Access) -> &'static str {
    match access {
        Access::Public => "For everybody, without a key.",
        Access::Key => "For every valid key; what it does not reach is not there.",
        Access::Role(Least::Holder) => "For every valid key; of others' things it sees what its user and team may see.",
        Access::Role(Least::Manager) => {
            "For proxy admins, and for users who manage something: their own keys, a team, an organization. What is not theirs is refused."
        }
        Access::Role(Least::AdminViewer) => "For proxy admins and proxy admin viewers.",
        Access::Role(Least::Admin) => "For proxy admins and the master key.",
    }
}
