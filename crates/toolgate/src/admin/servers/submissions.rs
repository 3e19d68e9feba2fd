//! Servers that users propose and admins decide on. LiteLLM: `mcp_management_endpoints.py`, `register` and after.
//!
//! Nothing connects to a proposed server before an admin has approved it. Whoever proposes one cannot give it to others,
//! cannot name a program or an address inside, and cannot decide on it.

use axum::Json;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use toolgate_access::principal::{Credential, Link};
use toolgate_access::world::ApprovalStatus;
use toolgate_store::{Change, Server, ServerChanges};
use url::Url;

use super::super::body::{FieldError, JsonBody};
use super::super::error::Detail;
use super::super::{AdminError, Allowed};
use super::{ServerBody, check, check_kept, gone, keep, new_row, take_in};
use crate::config::file::server::TransportName;
use crate::egress;
use crate::stored::status;
use crate::stored::view::{self, Sees};

/// Submissions of one user that may wait for a decision.
const MAX_WAITING: usize = 20;

/// `POST /v1/mcp/server/register`: somebody who is no admin proposes a server.
///
/// # Errors
/// [`AdminError`].
pub async fn register(allowed: Allowed, JsonBody(body): JsonBody<ServerBody>) -> Result<Response, AdminError> {
    check_kept(&allowed)?;
    if allowed.is_admin() {
        let text = "PROXY_ADMIN users should use POST /v1/mcp/server to create servers directly instead of the \
                    submission workflow.";
        return Err(AdminError::Detail(Detail::Forbidden, text.to_owned()));
    }
    if !has_team(&allowed) {
        let text = "Registration requires an API key associated with a team. Use a team-scoped key.";
        return Err(AdminError::Detail(Detail::Invalid, text.to_owned()));
    }
    if let Some(field) = body.only_admins() {
        let text =
            format!("`{field}` of a server is for an admin to set, and not for whoever proposes it: leave it out");
        return Err(AdminError::Detail(Detail::Forbidden, text));
    }
    if body.is_program() {
        return Err(no_programs());
    }
    let row = new_row(&allowed, body).await?;
    // By what the server would be, and not by the word that was sent.
    if row.transport == TransportName::Stdio.as_str() || row.command.is_some() {
        return Err(no_programs());
    }
    check_required(&allowed, &row)?;
    check_urls(&row).await?;
    check_waiting(&allowed)?;
    let row = Server {
        approval_status: Some(ApprovalStatus::PendingReview.as_str().to_owned()),
        submitted_by: allowed.user_id().map(str::to_owned),
        submitted_at: Some(Utc::now()),
        ..row
    };
    let row = keep(&allowed, row).await?;
    tracing::info!(server.id = row.server_id, "a server was submitted for review");
    Ok((StatusCode::CREATED, Json(view::row(&row, Sees::Presence))).into_response())
}

fn has_team(allowed: &Allowed) -> bool {
    let principal = &allowed.caller.principal;
    matches!(principal.credential, Credential::Key(_) | Credential::Token(_)) && !matches!(principal.team, Link::None)
}

fn no_programs() -> AdminError {
    let text = "stdio MCP servers cannot be submitted via the user registration workflow. Ask a proxy admin to add this \
                server via POST /v1/mcp/server or to declare it in config.yaml.";
    AdminError::Detail(Detail::Invalid, text.to_owned())
}

/// `mcp_required_fields`. `auth_type: none` says nothing.
fn check_required(allowed: &Allowed, row: &Server) -> Result<(), AdminError> {
    let told = view::row(row, Sees::ToChange);
    let is_there = |field: &String| match told.get(field.as_str()) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) if field == "auth_type" && text == "none" => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    };
    let required = &allowed.snapshot.settings.general.required_fields;
    let missing: Vec<_> = required.iter().filter(|field| !is_there(field)).map(|field| format!("'{field}'")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let text = format!(
        "Submission is missing required fields: [{}]. Configure required fields via general_settings.mcp_required_fields.",
        missing.join(", ")
    );
    Err(AdminError::Detail(Detail::Invalid, text))
}

/// Every URL that the gateway would connect to.
async fn check_urls(row: &Server) -> Result<(), AdminError> {
    let fields = [
        ("url", &row.url),
        ("spec_path", &row.spec_path),
        ("issuer", &row.issuer),
        ("authorization_url", &row.authorization_url),
        ("token_url", &row.token_url),
        ("registration_url", &row.registration_url),
        ("token_exchange_endpoint", &row.token_exchange_endpoint),
    ];
    for (field, text) in fields {
        let Some(text) = text else { continue };
        let url = Url::parse(text).map_err(|_| FieldError::wrong(field, "not a URL"))?;
        egress::check_public(&url).await.map_err(|why| FieldError::wrong(field, why))?;
    }
    Ok(())
}

/// The queue of one user has an end; keys that are nobody's have one together.
fn check_waiting(allowed: &Allowed) -> Result<(), AdminError> {
    let rows = allowed.snapshot.stored.iter().filter_map(|stored| stored.row.as_ref());
    let by = Some(allowed.actor.changed_by.as_str());
    let waiting = rows.filter(|row| status(row) == ApprovalStatus::PendingReview && row.created_by.as_deref() == by);
    if waiting.count() < MAX_WAITING {
        return Ok(());
    }
    let text = format!("{MAX_WAITING} of your submissions wait for review; have an admin decide on them first");
    Err(AdminError::Detail(Detail::Invalid, text))
}

/// `GET /v1/mcp/server/submissions`
///
/// # Errors
/// [`AdminError`].
pub async fn list(allowed: Allowed) -> Result<Json<Value>, AdminError> {
    let sees = Sees::of(&allowed.caller);
    let mut rows: Vec<Server> =
        allowed.store.servers_each().await?.into_iter().flatten().filter(|row| row.submitted_at.is_some()).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.submitted_at));
    let count = |wanted: ApprovalStatus| rows.iter().filter(|row| status(row) == wanted).count();
    Ok(Json(json!({
        "total": rows.len(),
        "pending_review": count(ApprovalStatus::PendingReview),
        "active": count(ApprovalStatus::Active),
        "rejected": count(ApprovalStatus::Rejected),
        "items": rows.iter().map(|row| view::row(row, sees)).collect::<Vec<_>>(),
    })))
}

/// `PUT /v1/mcp/server/{server_id}/approve`
///
/// # Errors
/// [`AdminError`].
pub async fn approve(allowed: Allowed, Path(id): Path<String>) -> Result<Json<Value>, AdminError> {
    let row = existing(&allowed, &id).await?;
    if status(&row) == ApprovalStatus::Active {
        return Err(AdminError::Detail(Detail::Invalid, "MCP server is already active.".to_owned()));
    }
    // The rules may have become others since it was proposed, and names may have been taken.
    check(&allowed, &row)?;
    decide(&allowed, &id, ApprovalStatus::Active, None).await
}

/// The body of a rejection.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "SubmissionRejection")]
pub struct Rejection {
    review_notes: Option<String>,
}

/// `PUT /v1/mcp/server/{server_id}/reject`
///
/// # Errors
/// [`AdminError`].
pub async fn reject(
    allowed: Allowed,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<Rejection>,
) -> Result<Json<Value>, AdminError> {
    let row = existing(&allowed, &id).await?;
    if status(&row) == ApprovalStatus::Rejected {
        return Err(AdminError::Detail(Detail::Invalid, "MCP server is already rejected.".to_owned()));
    }
    decide(&allowed, &id, ApprovalStatus::Rejected, body.review_notes).await
}

async fn existing(allowed: &Allowed, id: &str) -> Result<Server, AdminError> {
    let missing = || AdminError::Detail(Detail::NotFound, format!("MCP server '{id}' not found."));
    allowed.store.server(id).await?.ok_or_else(missing)
}

async fn decide(
    allowed: &Allowed,
    id: &str,
    decision: ApprovalStatus,
    notes: Option<String>,
) -> Result<Json<Value>, AdminError> {
    let changes = ServerChanges {
        approval_status: Change::Set(Some(decision.as_str().to_owned())),
        reviewed_at: Change::Set(Some(Utc::now())),
        review_notes: Change::Set(notes),
        ..ServerChanges::default()
    };
    let row = allowed.store.update_server(&allowed.actor, id, changes).await.map_err(|why| gone(why, id))?;
    take_in(allowed).await;
    Ok(Json(view::row(&row, Sees::ToChange)))
}
