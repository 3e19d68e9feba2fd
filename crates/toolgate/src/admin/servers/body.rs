//! A server as it is sent: LiteLLM's `NewMCPServerRequest` and `UpdateMCPServerRequest`, and the two fields that only the
//! file has there. What is absent stays as it is, or at its default; null clears.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use toolgate_access::permission::ToolPermissions;
use toolgate_store::{Change, Secret, Server, ServerChanges};

use super::super::AdminError;
use super::super::body::FieldError;
use super::super::error::Detail;
use super::super::terms::{Sent, or_empty, value};
use crate::config::file::server::{AuthType, TransportName};
use crate::stored::entry::{self, DETECT};
use crate::stored::view::MASK;

/// What clients send back that the gateway alone writes.
#[derive(Default, Deserialize)]
#[serde(from = "Option<IgnoredAny>")]
struct Told {
    is_sent: bool,
}

impl From<Option<IgnoredAny>> for Told {
    fn from(sent: Option<IgnoredAny>) -> Self {
        Self { is_sent: sent.is_some() }
    }
}

impl JsonSchema for Told {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Told".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "readOnly": true, "description": "Told by the gateway; taken back and not looked at." })
    }
}

/// The fields of a server.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ServerBody {
    server_id: Option<String>,
    server_name: Sent<String>,
    alias: Sent<String>,
    description: Sent<String>,
    instructions: Sent<String>,
    url: Sent<String>,
    spec_path: Sent<String>,
    pub(super) transport: Sent<TransportName>,
    auth_type: Sent<AuthType>,
    credentials: Sent<Map<String, Value>>,
    static_headers: Sent<Map<String, Value>>,
    env_vars: Sent<Vec<Value>>,
    env: Sent<Map<String, Value>>,
    mcp_info: Sent<Map<String, Value>>,
    mcp_access_groups: Sent<Vec<String>>,
    allowed_tools: Sent<Vec<String>>,
    disallowed_tools: Sent<Vec<String>>,
    allowed_params: Sent<ToolPermissions>,
    tool_name_to_display_name: Sent<Map<String, Value>>,
    tool_name_to_description: Sent<Map<String, Value>>,
    pinned_tools: Sent<Map<String, Value>>,
    extra_headers: Sent<Vec<String>>,
    command: Sent<String>,
    args: Sent<Vec<String>>,
    issuer: Sent<String>,
    authorization_url: Sent<String>,
    token_url: Sent<String>,
    registration_url: Sent<String>,
    oauth2_flow: Sent<String>,
    token_exchange_endpoint: Sent<String>,
    audience: Sent<String>,
    subject_token_type: Sent<String>,
    token_exchange_profile: Sent<String>,
    allow_all_keys: Sent<bool>,
    available_on_public_internet: Sent<bool>,
    delegate_auth_to_upstream: Sent<bool>,
    oauth_passthrough: Sent<bool>,
    dcr_bridge: Sent<bool>,
    per_server_oauth_discovery: Sent<bool>,
    is_byok: Sent<bool>,
    byok_description: Sent<Vec<String>>,
    byok_api_key_help_url: Sent<String>,
    source_url: Sent<String>,
    timeout: Sent<f64>,
    max_concurrent_requests: Sent<i64>,
    rpm: Sent<i64>,
    is_config: Told,
    created_at: Told,
    created_by: Told,
    updated_at: Told,
    updated_by: Told,
    teams: Told,
    status: Told,
    last_health_check: Told,
    health_check_error: Told,
    has_user_credential: Told,
    connected_app_reachable: Told,
    approval_status: Told,
    submitted_by: Told,
    submitted_at: Told,
    reviewed_at: Told,
    review_notes: Told,
}

impl ServerBody {
    /// The id that was sent.
    pub(super) fn id(&self) -> Option<&str> {
        self.server_id.as_deref().map(str::trim).filter(|id| !id.is_empty())
    }

    /// A field that is not for whoever proposes a server to set, if one is sent: it would give the server to others, say
    /// what its calls cost or which of its tools are approved, choose an id that grants may name already, or decide on
    /// the proposal.
    pub(super) fn only_admins(&self) -> Option<&'static str> {
        let has =
            |field: &str| value(&self.mcp_info).is_some_and(|info| info.get(field).is_some_and(|it| !it.is_null()));
        let sent = [
            ("allow_all_keys", is_true(&self.allow_all_keys)),
            ("mcp_access_groups", value(&self.mcp_access_groups).is_some_and(|groups| !groups.is_empty())),
            ("delegate_auth_to_upstream", is_true(&self.delegate_auth_to_upstream)),
            ("mcp_info.mcp_server_cost_info", has("mcp_server_cost_info")),
            ("mcp_info.is_public", has("is_public")),
            ("mcp_info.is_public_explicit", has("is_public_explicit")),
            ("pinned_tools", value(&self.pinned_tools).is_some_and(|pins| !pins.is_empty())),
            ("server_id", self.id().is_some()),
            ("is_config", self.is_config.is_sent),
            ("created_at", self.created_at.is_sent),
            ("created_by", self.created_by.is_sent),
            ("updated_at", self.updated_at.is_sent),
            ("updated_by", self.updated_by.is_sent),
            ("teams", self.teams.is_sent),
            ("status", self.status.is_sent),
            ("last_health_check", self.last_health_check.is_sent),
            ("health_check_error", self.health_check_error.is_sent),
            ("has_user_credential", self.has_user_credential.is_sent),
            ("connected_app_reachable", self.connected_app_reachable.is_sent),
            ("approval_status", self.approval_status.is_sent),
            ("submitted_by", self.submitted_by.is_sent),
            ("submitted_at", self.submitted_at.is_sent),
            ("reviewed_at", self.reviewed_at.is_sent),
            ("review_notes", self.review_notes.is_sent),
        ];
        sent.into_iter().find(|(_, is_sent)| *is_sent).map(|(name, _)| name)
    }

    /// Whether it is about a program, whatever it says its transport is.
    pub(super) fn is_program(&self) -> bool {
        matches!(self.transport, Change::Set(Some(TransportName::Stdio)))
            || value(&self.command).is_some_and(|command| !command.trim().is_empty())
            || value(&self.args).is_some_and(|args| !args.is_empty())
            || value(&self.env).is_some_and(|env| !env.is_empty())
    }

    /// What this makes of `before`, covered values filled in from there.
    ///
    /// # Errors
    /// When a value is covered of which there is none.
    pub(super) fn changes(self, before: &Server) -> Result<ServerChanges, AdminError> {
        let credentials = self.credentials(before)?;
        let static_headers = object("static_headers", self.static_headers, before.static_headers.as_ref())?;
        let env = object("env", self.env, before.env.as_ref())?;
        let env_vars = variables(self.env_vars, before.env_vars.as_ref())?;
        let name = |sent: Sent<String>| sent_map(sent, |text: String| Some(text.trim().to_owned()));
        Ok(ServerChanges {
            server_name: filled(name(self.server_name)),
            alias: filled(name(self.alias)),
            description: self.description,
            instructions: self.instructions,
            url: filled(name(self.url)),
            spec_path: filled(name(self.spec_path)),
            transport: match self.transport {
                Change::Keep => Change::Keep,
                Change::Set(None) => Change::Set(DETECT.to_owned()),
                Change::Set(Some(transport)) => Change::Set(transport.as_str().to_owned()),
            },
            auth_type: sent_map(self.auth_type, |auth_type| Some(auth_type.as_str().to_owned())),
            credentials,
            static_headers,
            env_vars,
            env,
            mcp_info: sent_map(self.mcp_info, |info| Some(Value::Object(without_told(info)))),
            mcp_access_groups: or_empty(self.mcp_access_groups),
            allowed_tools: or_empty(self.allowed_tools),
            disallowed_tools: or_empty(self.disallowed_tools),
            allowed_params: self.allowed_params,
            tool_name_to_display_name: sent_map(self.tool_name_to_display_name, as_object),
            tool_name_to_description: sent_map(self.tool_name_to_description, as_object),
            pinned_tools: sent_map(self.pinned_tools, as_object),
            extra_headers: or_empty(self.extra_headers),
            command: filled(name(self.command)),
            args: or_empty(self.args),
            issuer: filled(self.issuer),
            authorization_url: filled(self.authorization_url),
            token_url: filled(self.token_url),
            registration_url: filled(self.registration_url),
            oauth2_flow: filled(self.oauth2_flow),
            token_exchange_endpoint: filled(self.token_exchange_endpoint),
            audience: filled(self.audience),
            subject_token_type: filled(self.subject_token_type),
            token_exchange_profile: filled(self.token_exchange_profile),
            allow_all_keys: or_empty(self.allow_all_keys),
            available_on_public_internet: match self.available_on_public_internet {
                Change::Keep => Change::Keep,
                Change::Set(given) => Change::Set(given.unwrap_or(true)),
            },
            delegate_auth_to_upstream: or_empty(self.delegate_auth_to_upstream),
            oauth_passthrough: or_empty(self.oauth_passthrough),
            dcr_bridge: self.dcr_bridge,
            per_server_oauth_discovery: or_empty(self.per_server_oauth_discovery),
            is_byok: or_empty(self.is_byok),
            byok_description: or_empty(self.byok_description),
            byok_api_key_help_url: filled(self.byok_api_key_help_url),
            source_url: filled(self.source_url),
            timeout: self.timeout,
            max_concurrent_requests: self.max_concurrent_requests,
            rpm: self.rpm,
            ..ServerChanges::default()
        })
    }

    /// While the kind of authentication stays, what is not sent of the credentials stays too, as in LiteLLM.
    fn credentials(&self, before: &Server) -> Result<Sent<Secret>, AdminError> {
        let Change::Set(Some(sent)) = &self.credentials else {
            return Ok(match &self.credentials {
                Change::Set(_) => Change::Set(None),
                Change::Keep => Change::Keep,
            });
        };
        if let Some(name) = sent.keys().find(|name| !entry::CREDENTIALS.contains(&name.as_str())) {
            let why = format!("there is no such credential; there are {}", entry::CREDENTIALS.join(", "));
            return Err(FieldError::wrong(format!("credentials.{name}"), why).into());
        }
        let known = known(entry::object("credentials", before.credentials.as_ref()), covers(sent))?;
        let stays = match &self.auth_type {
            Change::Keep => true,
            Change::Set(kind) => kind.map(|kind| kind.as_str()) == before.auth_type.as_deref(),
        };
        let mut all = if stays { known.clone() } else { Map::new() };
        for (name, value) in uncovered("credentials", sent.clone(), &known)? {
            all.insert(name, value);
        }
        all.retain(|_, value| !value.is_null());
        Ok(Change::Set(sealed(&Value::Object(all))))
    }
}

fn is_true(sent: &Sent<bool>) -> bool {
    *sent == Change::Set(Some(true))
}

fn sent_map<T, U>(sent: Sent<T>, change: impl FnOnce(T) -> Option<U>) -> Sent<U> {
    match sent {
        Change::Keep => Change::Keep,
        Change::Set(value) => Change::Set(value.and_then(change)),
    }
}

/// An empty text is none.
fn filled(sent: Sent<String>) -> Sent<String> {
    sent_map(sent, |text| Some(text).filter(|text| !text.is_empty()))
}

fn as_object(map: Map<String, Value>) -> Option<Value> {
    Some(Value::Object(map)).filter(|value| value.as_object().is_some_and(|map| !map.is_empty()))
}

/// What is told in `mcp_info` beside what was sent there.
fn without_told(mut info: Map<String, Value>) -> Map<String, Value> {
    info.remove("is_public");
    info.remove("is_public_explicit");
    info
}

fn covers(sent: &Map<String, Value>) -> bool {
    sent.values().any(|value| value == MASK)
}

/// What is sealed now; what cannot be read is nothing, unless somebody refers to it.
fn known<T: Default>(read: Result<T, entry::Unreadable>, is_needed: bool) -> Result<T, AdminError> {
    match read {
        Ok(known) => Ok(known),
        Err(why) if is_needed => Err(AdminError::Detail(Detail::Invalid, why.to_string())),
        Err(_) => Ok(T::default()),
    }
}

fn object(
    field: &'static str,
    sent: Sent<Map<String, Value>>,
    before: Option<&Secret>,
) -> Result<Sent<Secret>, AdminError> {
    let map = match sent {
        Change::Keep => return Ok(Change::Keep),
        Change::Set(None) => return Ok(Change::Set(None)),
        Change::Set(Some(map)) => map,
    };
    let known = known(entry::object(field, before), covers(&map))?;
    Ok(Change::Set(sealed(&Value::Object(uncovered(field, map, &known)?))))
}

/// Covered values as they are kept.
fn uncovered(
    field: &str,
    sent: Map<String, Value>,
    known: &Map<String, Value>,
) -> Result<Map<String, Value>, AdminError> {
    let one = |(name, value): (String, Value)| {
        if value != MASK {
            return Ok((name, value));
        }
        match known.get(&name) {
            Some(kept) => Ok((name, kept.clone())),
            None => {
                let why = "the value is covered, and there is none that it could stand for; send the value itself";
                Err(FieldError::wrong(format!("{field}.{name}"), why).into())
            }
        }
    };
    sent.into_iter().map(one).collect()
}

fn variables(sent: Sent<Vec<Value>>, before: Option<&Secret>) -> Result<Sent<Secret>, AdminError> {
    let mut items = match sent {
        Change::Keep => return Ok(Change::Keep),
        Change::Set(None) => return Ok(Change::Set(None)),
        Change::Set(Some(items)) => items,
    };
    let is_covered = |item: &Value| item.get("value").is_some_and(|value| value == MASK);
    let known = known(entry::list("env_vars", before), items.iter().any(is_covered))?;
    for (index, item) in items.iter_mut().enumerate().filter(|(_, item)| is_covered(item)) {
        let kept = known.iter().find(|kept| kept.get("name") == item.get("name")).and_then(|kept| kept.get("value"));
        let Some(kept) = kept else {
            let why = "the value is covered, and there is none that it could stand for; send the value itself";
            return Err(FieldError::wrong(format!("env_vars[{index}].value"), why).into());
        };
        item["value"] = kept.clone();
    }
    Ok(Change::Set(sealed(&Value::Array(items))))
}

/// A secret of this; none where there is nothing in it.
fn sealed(value: &Value) -> Option<Secret> {
    let is_empty = match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    (!is_empty).then(|| Secret::new(value.to_string()))
}

/// A server that people can name.
pub(super) fn check_named(row: &Server) -> Result<(), AdminError> {
    if row.server_name.is_none() && row.alias.is_none() {
        return Err(FieldError::wrong("server_name", "a server needs a name or an alias").into());
    }
    Ok(())
}

/// A server without an alias has its name for one, as in LiteLLM.
pub(super) fn name_alias(row: &mut Server) {
    if row.alias.is_none() {
        row.alias = row.server_name.as_deref().map(alias_of);
    }
}

/// An alias that was made from the name goes with it.
pub(super) fn follow_alias(changes: &mut ServerChanges, before: &Server) {
    let Change::Set(Some(name)) = &changes.server_name else { return };
    let was_made = before.server_name.as_deref().map(alias_of) == before.alias;
    if matches!(changes.alias, Change::Keep) && was_made {
        changes.alias = Change::Set(Some(alias_of(name)));
    }
}

fn alias_of(name: &str) -> String {
    name.replace(' ', "_")
}
