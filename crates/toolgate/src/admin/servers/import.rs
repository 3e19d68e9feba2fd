//! `POST /v1/mcp/server/import`: servers out of what people have already: the `mcpServers` of a client's configuration
//! (Claude Desktop, Claude Code, Cursor, Windsurf, Gemini), VS Code's `servers`, the list of Anthropic's Messages API, or
//! a registry's `server.json`.
//!
//! LiteLLM: `mcp_connector_import.py`, whose answer is ours. Each server goes through the same checks as one that is made
//! by hand; one that cannot be taken keeps no other from being taken, and is told with its reason. `?preview=true` keeps
//! nothing.

mod client;
mod registry;

use axum::Json;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use toolgate_store::Server;

use super::super::body::{JsonBody, QueryOf};
use super::super::{AdminError, Allowed};
use super::{ServerBody, check_kept, new_row, take_in};
use crate::stored::view::{self, Sees};

/// The most servers that one document may have.
const MAX_SERVERS: usize = 100;

/// The query.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ImportQuery {
    preview: bool,
}

/// A server as a document describes it.
struct Found {
    /// What the document calls it.
    name: String,
    /// The fields of the API, or why there are none.
    fields: Result<Map<String, Value>, Unfit>,
}

/// Why a server of a document is not taken.
enum Unfit {
    /// It need not be: it is switched off, or there already.
    Skipped(String),
    /// It cannot be.
    Wrong(String),
}

impl Unfit {
    fn wrong(why: impl Into<String>) -> Self {
        Self::Wrong(why.into())
    }
}

/// `POST /v1/mcp/server/import`
///
/// # Errors
/// [`AdminError`] when the document is of no known form, or nothing may be kept.
pub async fn import(
    allowed: Allowed,
    QueryOf(query): QueryOf<ImportQuery>,
    JsonBody(document): JsonBody<Map<String, Value>>,
) -> Result<Response, AdminError> {
    check_kept(&allowed)?;
    let found = servers(&document)?;
    let mut told = Told::default();
    for Found { name, fields } in found {
        match taken(&allowed, fields, &told).await {
            Ok(row) if query.preview => told.preview(name, row),
            Ok(row) => match allowed.store.create_server(&allowed.actor, row).await {
                Ok(row) => told.imported(name, row),
                Err(error) => told.unfit(name, Unfit::wrong(error.to_string())),
            },
            Err(unfit) => told.unfit(name, unfit),
        }
    }
    take_in(&allowed).await;
    Ok(axum::response::IntoResponse::into_response(Json(told.answer(query.preview))))
}

/// The row that would be kept.
async fn taken(allowed: &Allowed, fields: Result<Map<String, Value>, Unfit>, told: &Told) -> Result<Server, Unfit> {
    let fields = fields?;
    let alias = fields.get("alias").and_then(Value::as_str).unwrap_or_default().to_owned();
    let servers = &allowed.snapshot.settings.servers;
    let is_there = servers.iter().any(|server| server.names().any(|name| name == alias));
    if is_there || told.rows.iter().any(|row| row.alias.as_deref() == Some(&*alias)) {
        return Err(Unfit::Skipped(format!("A server named '{alias}' already exists.")));
    }
    let body: ServerBody = serde_path_to_error::deserialize(Value::Object(fields))
        .map_err(|error| Unfit::wrong(format!("`{}`: {}", error.path(), error.inner())))?;
    new_row(allowed, body).await.map_err(|error| Unfit::Wrong(error.to_string()))
}

/// The servers of a document.
fn servers(document: &Map<String, Value>) -> Result<Vec<Found>, AdminError> {
    let nested = document.get("mcp").and_then(Value::as_object);
    let inputs = document.get("inputs").or_else(|| nested?.get("inputs"));
    let of_key = |key: &str| document.get(key).or_else(|| nested?.get(key));
    let of_clients = of_key("mcpServers").or_else(|| of_key("mcp_servers"));
    let found = match (of_clients, of_key("servers")) {
        (Some(Value::Object(map)), _) | (None, Some(Value::Object(map))) => client::of_map(map, inputs),
        (Some(Value::Array(items)), _) => client::of_list(items),
        (None, Some(Value::Array(items))) => items.iter().map(registry::of_listed).collect(),
        _ if is_registry_entry(document) => vec![registry::of_listed(&Value::Object(document.clone()))],
        _ => {
            let text = "the document is of no known form: it has neither `mcpServers`, `servers` nor a registry's `remotes` \
                        or `packages`; paste the whole file";
            return Err(AdminError::Invalid(text.to_owned()));
        }
    };
    if found.is_empty() || found.len() > MAX_SERVERS {
        let text = format!("the document has {} servers; 1 to {MAX_SERVERS} can be imported at once", found.len());
        return Err(AdminError::Invalid(text));
    }
    Ok(found)
}

fn is_registry_entry(document: &Map<String, Value>) -> bool {
    ["remotes", "packages", "server"].iter().any(|key| document.contains_key(*key))
}

/// What has become of the servers of a document.
#[derive(Default)]
struct Told {
    imported: Vec<Value>,
    preview: Vec<Value>,
    skipped: Vec<Value>,
    errors: Vec<Value>,
    rows: Vec<Server>,
}

impl Told {
    fn imported(&mut self, name: String, row: Server) {
        tracing::info!(server.id = row.server_id, "a server was imported");
        self.imported.push(json!({ "name": name, "server_id": row.server_id, "alias": row.alias }));
        self.rows.push(row);
    }

    fn preview(&mut self, name: String, row: Server) {
        self.preview.push(json!({ "name": name, "alias": row.alias, "server": view::row(&row, Sees::ToChange) }));
        self.rows.push(row);
    }

    fn unfit(&mut self, name: String, unfit: Unfit) {
        match unfit {
            Unfit::Skipped(reason) => self.skipped.push(json!({ "name": name, "reason": reason })),
            Unfit::Wrong(error) => self.errors.push(json!({ "name": name, "error": error })),
        }
    }

    fn answer(self, is_preview: bool) -> Value {
        let mut answer = json!({ "imported": self.imported, "skipped": self.skipped, "errors": self.errors });
        if is_preview {
            answer["preview"] = self.preview.into();
        }
        answer
    }
}

/// A name that has no separator in it, as LiteLLM makes it.
fn plain_name(name: &str) -> Result<String, Unfit> {
    let plain: String = name.trim().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let words: Vec<&str> = plain.split('_').filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return Err(Unfit::wrong("the name has no letter or digit in it; give the server another one"));
    }
    Ok(words.join("_"))
}

/// A variable of users' own, as `env_vars` has it.
fn users_variable(name: &str, description: Option<&str>) -> Value {
    json!({ "name": name, "scope": "user", "description": description })
}
