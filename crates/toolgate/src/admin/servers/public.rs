//! Servers for everybody: which of them the public hub shows, and which well-known ones there are to be added.
//! LiteLLM: `mcp_management_endpoints.py`, `public_endpoints.py`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use toolgate_store::Setting;

use super::super::body::{JsonBody, QueryOf};
use super::super::error::Detail;
use super::super::{AdminError, Allowed};
use super::take_in;
use crate::config::settings::{HttpKind, ServerSettings, Transport};
use crate::gateway::Gateway;
use crate::stored::PUBLIC_SERVERS;

/// The most servers that the hub shows.
const MAX_PUBLIC: usize = 1_000;

/// The body of `POST /v1/mcp/make_public`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct PublicBody {
    mcp_server_ids: Vec<String>,
}

/// `POST /v1/mcp/make_public`: these servers, and no others, are public from now on.
///
/// # Errors
/// [`AdminError`].
pub async fn make_public(allowed: Allowed, JsonBody(body): JsonBody<PublicBody>) -> Result<Response, AdminError> {
    let servers = &allowed.snapshot.settings.servers;
    if let Some(id) = body.mcp_server_ids.iter().find(|id| !servers.iter().any(|server| server.id.as_str() == **id)) {
        return Err(AdminError::Detail(Detail::NotFound, format!("MCP Server with ID {id} not found")));
    }
    if body.mcp_server_ids.len() > MAX_PUBLIC {
        return Err(AdminError::Invalid(format!("at most {MAX_PUBLIC} servers can be public")));
    }
    let setting = Setting {
        param_name: PUBLIC_SERVERS.to_owned(),
        param_value: Some(json!(body.mcp_server_ids)),
        ..Setting::default()
    };
    allowed.store.put_setting(&allowed.actor, setting).await?;
    take_in(&allowed).await;
    let answer = json!({
        "message": "Successfully updated public mcp servers",
        "public_mcp_servers": body.mcp_server_ids,
        "updated_by": allowed.actor.changed_by,
    });
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

/// `GET /public/mcp_hub`: what is public, for everybody. Nothing is told of where a server is, only how it is reached here.
pub async fn hub(State(gateway): State<Gateway>) -> Response {
    let snapshot = gateway.snapshot();
    let settings = &snapshot.settings;
    let is_shown = |server: &ServerSettings| {
        settings.access.public_mcp_servers.contains(&server.id)
            || !settings.hub_is_strict && server.available_on_public_internet
    };
    let shown = settings.servers.iter().filter(|server| is_shown(server)).take(MAX_PUBLIC);
    Json(shown.map(|server| entry(server)).collect::<Vec<_>>()).into_response()
}

fn entry(server: &ServerSettings) -> Value {
    let told = ["server_name", "description", "logo_url"];
    let info: Map<String, Value> =
        told.iter().filter_map(|key| Some(((*key).to_owned(), server.mcp_info.get(*key)?.clone()))).collect();
    json!({
        "server_id": server.id.as_str(),
        "name": server.name,
        "server_name": server.name,
        "alias": server.alias,
        "description": server.description,
        "transport": match &server.transport {
            Transport::Http { kind: HttpKind::Sse, .. } => "sse",
            Transport::Http { .. } | Transport::OpenApi { .. } => "http",
            Transport::Stdio(_) => "stdio",
        },
        "url": format!("/{}/mcp", server.prefix),
        "mcp_info": info,
    })
}

/// Well-known servers, as LiteLLM's dashboard reads them.
const KNOWN: &str = include_str!("known.json");

/// The query of the list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DiscoverQuery {
    query: Option<String>,
    category: Option<String>,
}

/// `GET /v1/mcp/discover`: well-known servers that can be added.
///
/// # Errors
/// [`AdminError`].
pub async fn discover(_allowed: Allowed, QueryOf(query): QueryOf<DiscoverQuery>) -> Result<Json<Value>, AdminError> {
    let known: Vec<Value> = serde_json::from_str(KNOWN).expect("a test has read the list");
    let text = |server: &Value, field: &str| server[field].as_str().unwrap_or_default().to_lowercase();
    let mut categories: Vec<&str> = known.iter().filter_map(|server| server["category"].as_str()).collect();
    categories.sort_unstable();
    categories.dedup();
    let wanted = query.query.as_deref().map(str::to_lowercase).filter(|wanted| !wanted.is_empty());
    let is_wanted = |server: &&Value| {
        let in_text =
            |wanted: &String| ["name", "title", "description"].iter().any(|it| text(server, it).contains(wanted));
        wanted.as_ref().is_none_or(in_text)
            && query.category.as_ref().is_none_or(|category| category.is_empty() || server["category"] == *category)
    };
    let servers: Vec<&Value> = known.iter().filter(is_wanted).collect();
    Ok(Json(json!({ "servers": servers, "categories": categories })))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::KNOWN;

    #[test]
    fn each_well_known_server_has_what_is_needed_to_add_it() {
        let known: Vec<Value> = serde_json::from_str(KNOWN).unwrap();
        for server in &known {
            for field in ["name", "title", "description", "category", "transport"] {
                assert!(server[field].is_string(), "{field} of {server}");
            }
            let place = if server["transport"] == "stdio" { "command" } else { "url" };
            assert!(server[place].is_string(), "{place} of {server}");
            assert!(!server["name"].as_str().unwrap().contains('-'), "{server}");
        }
    }
}
