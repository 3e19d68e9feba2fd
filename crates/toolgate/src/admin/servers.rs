//! `/v1/mcp/server`: servers are made, changed and deleted in the database. LiteLLM: `mcp_management_endpoints.py`.
//!
//! The rules are those of the configuration file, and some more ([`crate::config`], `check::stored`); what breaks one is
//! told by its field. Secrets are sealed and never told; a covered value that is sent back leaves what it covers.
//! Servers of the file are there to be seen and cannot be changed here.

mod body;
pub mod import;
pub mod pin;
pub mod preview;
pub mod public;
pub mod sessions;
pub mod submissions;

use axum::Json;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::Value;
use toolgate_store::{Server, StoreError};

use super::body::JsonBody;
use super::error::Detail;
use super::{AdminError, Allowed, terms};
use crate::config::settings::{Origin, ServerId};
use crate::config::{Finding, Severity, Taken};
use crate::stored::view::{self, Sees};
use crate::stored::{self, entry};

pub use body::ServerBody;

/// The longest id of a server.
const MAX_ID: usize = 128;

/// `POST /v1/mcp/server`
///
/// # Errors
/// [`AdminError`].
pub async fn create(allowed: Allowed, JsonBody(body): JsonBody<ServerBody>) -> Result<Response, AdminError> {
    check_kept(&allowed)?;
    let row = new_row(&allowed, body).await?;
    let row = keep(&allowed, row).await?;
    Ok((StatusCode::CREATED, told(&row)).into_response())
}

/// A row for what was sent, checked, and not kept yet.
async fn new_row(allowed: &Allowed, body: ServerBody) -> Result<Server, AdminError> {
    let server_id = body.id().map_or_else(terms::new_id, str::to_owned);
    check_id(&server_id)?;
    if exists(allowed, &server_id).await? {
        let text = format!("MCP Server with id {server_id} already exists. Cannot create another.");
        return Err(AdminError::Detail(Detail::Invalid, text));
    }
    let before = Server { server_id, transport: entry::DETECT.to_owned(), ..Server::default() };
    let mut row = body.changes(&before)?.applied(&before);
    body::check_named(&row)?;
    check(allowed, &row)?;
    body::name_alias(&mut row);
    Ok(row)
}

async fn keep(allowed: &Allowed, row: Server) -> Result<Server, AdminError> {
    let row = allowed.store.create_server(&allowed.actor, row).await?;
    take_in(allowed).await;
    Ok(row)
}

/// `PUT /v1/mcp/server`
///
/// # Errors
/// [`AdminError`].
pub async fn update(allowed: Allowed, JsonBody(body): JsonBody<ServerBody>) -> Result<Response, AdminError> {
    check_kept(&allowed)?;
    let Some(id) = body.id().map(str::to_owned) else {
        return Err(super::body::FieldError::wrong("server_id", "it says which server is to be changed").into());
    };
    refuse_of_file(&allowed, &id)?;
    let Some(before) = allowed.store.server(&id).await? else { return Err(missing(&id)) };
    let mut changes = body.changes(&before)?;
    body::follow_alias(&mut changes, &before);
    let after = changes.clone().applied(&before);
    body::check_named(&after)?;
    check(&allowed, &after)?;
    let row = allowed.store.update_server(&allowed.actor, &id, changes).await.map_err(|why| gone(why, &id))?;
    take_in(&allowed).await;
    Ok((StatusCode::ACCEPTED, told(&row)).into_response())
}

/// `DELETE /v1/mcp/server/{server_id}`
///
/// # Errors
/// [`AdminError`].
pub async fn delete(allowed: Allowed, Path(id): Path<String>) -> Result<Response, AdminError> {
    refuse_of_file(&allowed, &id)?;
    if allowed.store.delete_server(&allowed.actor, &id).await?.is_none() {
        return Err(missing(&id));
    }
    take_in(&allowed).await;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// The row as admins see it.
fn told(row: &Server) -> Json<Value> {
    Json(view::row(row, Sees::ToChange))
}

/// The change counts here at once; other replicas hear of it. Where it cannot be read just now, it is soon.
async fn take_in(allowed: &Allowed) {
    if let Err(error) = allowed.gateway.read_servers(&allowed.store).await {
        tracing::warn!(%error, "a server was changed and cannot be read yet");
    }
}

/// Servers may be kept in the database at all.
fn check_kept(allowed: &Allowed) -> Result<(), AdminError> {
    if allowed.snapshot.settings.general.stores_servers {
        return Ok(());
    }
    let text = "servers are not kept in the database here: general_settings.store_model_in_db is false, or \
                supported_db_objects leaves out `mcp`; declare the server under `mcp_servers` in the configuration file";
    Err(AdminError::Detail(Detail::Forbidden, text.to_owned()))
}

fn check_id(id: &str) -> Result<(), AdminError> {
    if id.len() > MAX_ID || id.chars().any(|c| c.is_control() || c == '/') {
        let why = format!("at most {MAX_ID} bytes, without / and control characters, as it is a part of paths");
        return Err(super::body::FieldError::wrong("server_id", why).into());
    }
    Ok(())
}

async fn exists(allowed: &Allowed, id: &str) -> Result<bool, AdminError> {
    let is_used = allowed.snapshot.settings.servers.iter().any(|server| server.id.as_str() == id);
    // A row that cannot be read is one, too.
    Ok(is_used
        || allowed.snapshot.stored.find(&ServerId::from(id)).is_some()
        || allowed.store.server(id).await?.is_some())
}

/// Servers of the file are changed there.
fn refuse_of_file(allowed: &Allowed, id: &str) -> Result<(), AdminError> {
    let is_it = |server: &&std::sync::Arc<crate::config::settings::ServerSettings>| {
        server.origin == Origin::File
            && (server.id.as_str() == id || server.other_ids.iter().any(|other| other.as_str() == id))
    };
    let Some(server) = allowed.snapshot.settings.servers.iter().find(is_it) else { return Ok(()) };
    let text = format!(
        "MCP Server {id} is declared in the configuration file and cannot be changed through the API: edit \
         `mcp_servers.{}` there; the gateway takes the file up as soon as it is saved",
        server.name
    );
    Err(AdminError::Detail(Detail::Invalid, text))
}

/// Checks a row beside all other servers.
fn check(allowed: &Allowed, row: &Server) -> Result<(), AdminError> {
    let findings = findings(allowed, row)?;
    let errors: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).map(told_as).collect();
    if errors.is_empty() { Ok(()) } else { Err(AdminError::Fields(errors)) }
}

/// What the rules have to say about a row.
fn findings(allowed: &Allowed, row: &Server) -> Result<Vec<Finding>, AdminError> {
    let file = allowed.gateway.file_settings();
    let servers = &allowed.snapshot.settings.servers;
    let taken = Taken::by(servers.iter().filter(|server| server.id.as_str() != row.server_id));
    match stored::check(row, &file, &taken) {
        Ok((_, findings)) => Ok(findings),
        Err(why) => Err(AdminError::Detail(Detail::Invalid, why.to_string())),
    }
}

/// A finding by the field of the API.
fn told_as(finding: &Finding) -> super::error::FieldFinding {
    super::error::FieldFinding {
        param: entry::field_of(&finding.path, finding.code),
        message: finding.message.clone(),
        hint: finding.help.clone(),
    }
}

fn missing(id: &str) -> AdminError {
    AdminError::Detail(Detail::NotFound, format!("MCP Server not found, passed server_id={id}"))
}

fn gone(why: StoreError, id: &str) -> AdminError {
    match why {
        StoreError::NotFound { .. } => missing(id),
        why => why.into(),
    }
}
