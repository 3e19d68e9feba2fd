//! `/mcp-rest/test/*`: a server is tried before it is kept. LiteLLM: `mcp_server/rest_endpoints.py`, whose bodies say 200
//! and what went wrong.
//!
//! The server is made as the gateway would make it from a row, and is gone when it was asked. Like a server that is kept,
//! it may be a process only where that is switched on, and only by an admin.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use toolgate_store::Server;

use super::super::body::JsonBody;
use super::super::{AdminError, Allowed};
use super::{ServerBody, told_as};
use crate::auth::Caller;
use crate::catalog::{Catalog, Scope};
use crate::config::settings::ServerSettings;
use crate::config::{Severity, Taken};
use crate::rest::tools::visit;
use crate::stored::{self, entry};
use crate::telemetry::OperationSpan;
use crate::upstream::{ClientSide, Upstreams};

/// The id of a server that has none yet.
const UNSAVED: &str = "unsaved";

/// `POST /mcp-rest/test/connection`
///
/// # Errors
/// [`AdminError`] when the server cannot be made of what was sent.
pub async fn connection(allowed: Allowed, JsonBody(body): JsonBody<ServerBody>) -> Result<Json<Value>, AdminError> {
    let server = Arc::new(described(&allowed, body).await?);
    let timeout = allowed.snapshot.settings.timeouts.health;
    let outcome = tried(&allowed, &server, async |upstreams, caller| {
        let upstream = &upstreams.all()[0];
        let lane = upstream.lane(caller, &ClientSide::none()).map_err(|why| why.to_string())?;
        upstream.probe(&lane, timeout).await.map_err(|why| why.to_string())
    })
    .await;
    Ok(Json(match outcome {
        Ok(()) => json!({ "status": "ok", "error": false, "message": "Successfully connected" }),
        Err(why) => {
            json!({ "status": "error", "error": true, "message": format!("Failed to connect to MCP server: {why}") })
        }
    }))
}

/// `POST /mcp-rest/test/tools/list`
///
/// # Errors
/// [`AdminError`] when the server cannot be made of what was sent.
pub async fn tools(allowed: Allowed, JsonBody(body): JsonBody<ServerBody>) -> Result<Json<Value>, AdminError> {
    let server = Arc::new(described(&allowed, body).await?);
    Ok(Json(match listed(&allowed, &server).await {
        Ok(tools) => json!({ "tools": tools, "error": null, "message": "Successfully retrieved tools" }),
        Err(why) => json!({ "tools": [], "error": true, "message": format!("Failed to list tools: {why}") }),
    }))
}

/// The tools that `server` lists, after its rules.
pub(super) async fn listed(allowed: &Allowed, server: &Arc<ServerSettings>) -> Result<Vec<Value>, String> {
    let mut settings = (*allowed.snapshot.settings).clone();
    settings.servers = vec![Arc::clone(server)];
    let catalog = Catalog::new(&Arc::new(settings), &allowed.gateway.metrics);
    let tools = tried(allowed, server, async |upstreams, caller| {
        let (client, span) = (ClientSide::none(), OperationSpan::none());
        let scope = Scope::all(upstreams, &caller.grant);
        let listed = catalog.tools_by_server(visit(&allowed.gateway, caller, &client, &scope, &span)).await;
        let of = listed.into_iter().next().ok_or_else(|| "there is no such server".to_owned())?;
        match (of.tools, of.outcome.result) {
            (Some(tools), Ok(_)) => Ok(tools),
            (_, Err(failure)) => Err(failure.message),
            (None, Ok(_)) => Err("no list".to_owned()),
        }
    })
    .await?;
    Ok(tools.iter().filter_map(|raw| as_json(raw)).collect())
}

/// Items of lists were read as JSON when they came.
fn as_json(raw: &str) -> Option<Value> {
    serde_json::from_str::<&RawValue>(raw).and_then(|raw| serde_json::from_str(raw.get())).ok()
}

/// The server that was sent; of one that is kept already, covered values are filled in.
async fn described(allowed: &Allowed, body: ServerBody) -> Result<ServerSettings, AdminError> {
    let kept = match body.id() {
        Some(id) => allowed.store.server(id).await?,
        None => None,
    };
    let before = kept.unwrap_or_else(|| Server {
        server_id: body.id().unwrap_or(UNSAVED).to_owned(),
        transport: entry::DETECT.to_owned(),
        ..Server::default()
    });
    let mut row = body.changes(&before)?.applied(&before);
    // What is only tried need not be called anything.
    if row.server_name.is_none() && row.alias.is_none() {
        row.alias = Some(UNSAVED.to_owned());
    }
    settings_of(allowed, &row)
}

/// What the gateway makes of a row, other servers aside.
pub(super) fn settings_of(allowed: &Allowed, row: &Server) -> Result<ServerSettings, AdminError> {
    let (server, findings) = match stored::check(row, &allowed.gateway.file_settings(), &Taken::default()) {
        Ok(checked) => checked,
        Err(why) => return Err(AdminError::Invalid(why.to_string())),
    };
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).map(told_as).collect();
    server.ok_or(AdminError::Fields(errors))
}

/// Asks the server, and ends what was begun with it.
async fn tried<T>(
    allowed: &Allowed,
    server: &Arc<ServerSettings>,
    ask: impl AsyncFnOnce(&Upstreams, &Caller) -> T,
) -> T {
    let upstreams = allowed.snapshot.upstreams.preview(std::slice::from_ref(server));
    // Nobody has been granted what is not there yet.
    let caller = Caller { grant: Caller::local().grant, ..allowed.caller.clone() };
    let outcome = ask(&upstreams, &caller).await;
    upstreams.close(Some(&allowed.snapshot.upstreams), Duration::ZERO).await;
    outcome
}
