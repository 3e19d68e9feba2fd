//! `/v1/mcp/server/{server_id}/pin`: a server's tools are frozen as they are now, and set free again. A server that later
//! changes a description or a schema, or has new tools, then cannot pass that on: what is not pinned cannot be called.

use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use serde_json::{Map, Value, json};
use toolgate_store::{Change, Server, ServerChanges};

use super::super::error::Detail;
use super::super::{AdminError, Allowed};
use super::preview::{listed, settings_of};
use super::{gone, missing, refuse_of_file, take_in, told};

/// `POST /v1/mcp/server/{server_id}/pin`
///
/// # Errors
/// [`AdminError`].
pub async fn pin(allowed: Allowed, Path(id): Path<String>) -> Result<Json<Value>, AdminError> {
    refuse_of_file(&allowed, &id)?;
    let Some(row) = allowed.store.server(&id).await? else { return Err(missing(&id)) };
    // As the server itself says it: former pins and names that people gave aside.
    let bare = Server { pinned_tools: None, tool_name_to_display_name: None, tool_name_to_description: None, ..row };
    let server = Arc::new(settings_of(&allowed, &bare)?);
    let tools = listed(&allowed, &server)
        .await
        .map_err(|why| AdminError::Detail(Detail::Upstream, format!("the server's tools cannot be listed: {why}")))?;
    let pinned: Map<String, Value> = tools.iter().filter_map(pinned).collect();
    if pinned.is_empty() {
        let text = "the server lists no tools, so nothing can be pinned; to offer none, reject or delete it";
        return Err(AdminError::Detail(Detail::Invalid, text.to_owned()));
    }
    keep(&allowed, &id, Some(pinned.into())).await
}

/// `DELETE /v1/mcp/server/{server_id}/pin`
///
/// # Errors
/// [`AdminError`].
pub async fn unpin(allowed: Allowed, Path(id): Path<String>) -> Result<Json<Value>, AdminError> {
    refuse_of_file(&allowed, &id)?;
    keep(&allowed, &id, None).await
}

fn pinned(tool: &Value) -> Option<(String, Value)> {
    let name = tool.get("name")?.as_str()?.to_owned();
    Some((name, json!({ "description": tool.get("description"), "input_schema": tool.get("inputSchema") })))
}

async fn keep(allowed: &Allowed, id: &str, pinned: Option<Value>) -> Result<Json<Value>, AdminError> {
    let changes = ServerChanges { pinned_tools: Change::Set(pinned), ..ServerChanges::default() };
    let row = allowed.store.update_server(&allowed.actor, id, changes).await.map_err(|why| gone(why, id))?;
    take_in(allowed).await;
    Ok(told(&row))
}
