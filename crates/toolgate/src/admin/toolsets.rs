//! `/v1/mcp/toolset`: tools of several servers under one name. Admins make them; others see those that they hold.
//!
//! Bodies, statuses and texts are LiteLLM's, except that a toolset which is not the caller's answers like one that is not
//! there (LiteLLM: 403).

use axum::Json;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use toolgate_access::id::ToolsetId;
use toolgate_store::{Change, StoreError, Toolset, ToolsetChanges, ToolsetTool};

use super::body::{FieldError, JsonBody};
use super::{AdminError, Allowed};

/// The longest name.
const MAX_NAME: usize = 128;

/// A tool of a toolset, as it is sent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ToolsetTool")]
struct Tool {
    /// The server's id.
    server_id: String,
    /// The tool by the server's own name.
    tool_name: String,
}

impl From<Tool> for ToolsetTool {
    fn from(Tool { server_id, tool_name }: Tool) -> Self {
        Self { server_id, tool_name }
    }
}

fn tools(sent: Vec<Tool>) -> Vec<ToolsetTool> {
    sent.into_iter().map(ToolsetTool::from).collect()
}

/// The body of `POST`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ToolsetNew")]
pub struct New {
    toolset_name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    tools: Vec<Tool>,
}

/// The body of `PUT`. What is absent stays; `null` clears the description and is nothing elsewhere.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ToolsetChanged")]
pub struct Changed {
    toolset_id: String,
    #[serde(default)]
    toolset_name: Option<String>,
    #[serde(default)]
    description: Change<Option<String>>,
    #[serde(default)]
    tools: Option<Vec<Tool>>,
}

/// `POST /v1/mcp/toolset`
///
/// # Errors
/// [`AdminError`].
pub async fn create(allowed: Allowed, JsonBody(new): JsonBody<New>) -> Result<Response, AdminError> {
    check_name(&new.toolset_name)?;
    let toolset = Toolset {
        toolset_id: new_id(),
        toolset_name: new.toolset_name.clone(),
        description: new.description,
        tools: tools(new.tools),
        ..Toolset::default()
    };
    match allowed.store.create_toolset(&allowed.actor, toolset).await {
        Ok(made) => {
            take_in(&allowed).await;
            Ok((StatusCode::CREATED, Json(made)).into_response())
        }
        Err(StoreError::Conflict { .. }) => Ok(taken(&new.toolset_name)),
        Err(error) => Err(error.into()),
    }
}

/// `GET /v1/mcp/toolset`
///
/// # Errors
/// [`AdminError`].
pub async fn list(allowed: Allowed) -> Result<Response, AdminError> {
    let mut toolsets = allowed.store.toolsets().await?;
    toolsets.retain(|toolset| is_seen(&allowed, &toolset.toolset_id));
    Ok(Json(toolsets).into_response())
}

/// `GET /v1/mcp/toolset/{toolset_id}`
///
/// # Errors
/// [`AdminError`].
pub async fn get(allowed: Allowed, Path(id): Path<String>) -> Result<Response, AdminError> {
    let found = allowed.store.toolset(&id).await?.filter(|_| is_seen(&allowed, &id));
    Ok(found.map_or_else(|| missing(&id), |toolset| Json(toolset).into_response()))
}

/// `PUT /v1/mcp/toolset`
///
/// # Errors
/// [`AdminError`].
pub async fn update(allowed: Allowed, JsonBody(changed): JsonBody<Changed>) -> Result<Response, AdminError> {
    let Changed { toolset_id, toolset_name, description, tools: sent } = changed;
    if let Some(name) = &toolset_name {
        check_name(name)?;
    }
    let changes =
        ToolsetChanges { toolset_name: toolset_name.clone().into(), description, tools: sent.map(tools).into() };
    match allowed.store.update_toolset(&allowed.actor, &toolset_id, changes).await {
        Ok(toolset) => {
            take_in(&allowed).await;
            Ok(Json(toolset).into_response())
        }
        Err(StoreError::NotFound { .. }) => Ok(missing(&toolset_id)),
        Err(StoreError::Conflict { .. }) => Ok(taken(toolset_name.as_deref().unwrap_or_default())),
        Err(error) => Err(error.into()),
    }
}

/// `DELETE /v1/mcp/toolset/{toolset_id}`
///
/// # Errors
/// [`AdminError`].
pub async fn delete(allowed: Allowed, Path(id): Path<String>) -> Result<Response, AdminError> {
    if allowed.store.delete_toolset(&allowed.actor, &id).await?.is_none() {
        return Ok(missing(&id));
    }
    take_in(&allowed).await;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// Whoever sees everything sees it, and who reaches something of it.
fn is_seen(allowed: &Allowed, id: &str) -> bool {
    let caller = &allowed.caller;
    let reached = || allowed.gateway.identity.at_toolset(caller, &caller.principal, &ToolsetId::from(id));
    allowed.sees_everything() || !reached().is_empty()
}

/// The change counts here at once; other replicas hear of it. Where it cannot be read just now, it is soon.
async fn take_in(allowed: &Allowed) {
    if let Err(error) = allowed.gateway.identity.read_world(&allowed.store).await {
        tracing::warn!(%error, "a toolset was changed and cannot be read yet");
    }
}

fn new_id() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works");
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// The name is a part of paths, and of comma lists of names there.
fn check_name(name: &str) -> Result<(), FieldError> {
    let wrong = |why| FieldError::wrong("toolset_name", why);
    if name.trim().is_empty() {
        return Err(wrong("a toolset needs a name".to_owned()));
    }
    if name.len() > MAX_NAME {
        return Err(wrong(format!("{} bytes; at most {MAX_NAME} are allowed", name.len())));
    }
    if name.contains(['/', ',', '?', '#', '%']) || name.chars().any(char::is_control) {
        return Err(wrong("the name is part of a path: leave out / , ? # % and control characters".to_owned()));
    }
    Ok(())
}

fn missing(id: &str) -> Response {
    let text = format!("Toolset '{id}' not found.");
    (StatusCode::NOT_FOUND, Json(json!({ "detail": { "error": text } }))).into_response()
}

fn taken(name: &str) -> Response {
    let text = format!("A toolset named '{name}' already exists.");
    (StatusCode::CONFLICT, Json(json!({ "detail": { "error": text } }))).into_response()
}
