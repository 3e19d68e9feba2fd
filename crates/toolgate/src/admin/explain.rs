//! `/v1/mcp/access/explain`: why a key may or may not use a server or a tool, and what would let it.
//!
//! Admins ask about any key, others about their own. A key is named by its hash or alias; the key itself is taken in the
//! body of a POST only, for URLs end up in logs. To others than admins a server that they do not reach does not exist,
//! here as everywhere, so they are told no more of it.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolgate_access::explain::{Effect, Explanation, Level, Reach, Rule, Step};
use toolgate_access::key::{KeyHash, PREFIX, VirtualKey};
use toolgate_access::principal::{Credential, Principal};
use toolgate_access::standing;
use toolgate_store::{Direction, KeyFilter, KeyOrder, PageOf};

use super::body::{FieldError, JsonBody, QueryOf};
use super::{AdminError, Allowed};
use crate::catalog;
use crate::identity::CalledAt;

/// What is asked.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "ExplainBody")]
pub struct Asked {
    /// The key's hash or alias, in a body also the key itself; without it the caller's own.
    key: Option<String>,
    /// The server's id, name or alias. Without it admins are told how much the key reaches.
    server: Option<String>,
    /// One tool of it.
    tool: Option<String>,
    /// As if at the endpoint of the toolset of this name.
    toolset: Option<String>,
    /// As if from this address; without it, from where this request comes.
    client_ip: Option<String>,
}

/// Whose access is explained.
struct Subject {
    principal: Arc<Principal>,
    key: Option<Named>,
}

/// A key by what is no secret.
#[derive(Debug, Serialize)]
struct Named {
    token: String,
    key_alias: Option<String>,
}

#[derive(Debug, Serialize)]
struct Explained {
    /// `null`: the master key.
    key: Option<Named>,
    /// Why the key is let in nowhere at all.
    refused: Option<String>,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum What {
    One(Explanation),
    All { reach: Reach },
}

/// `GET`
///
/// # Errors
/// [`AdminError`].
pub async fn get(allowed: Allowed, QueryOf(asked): QueryOf<Asked>) -> Result<Response, AdminError> {
    if asked.key.as_ref().is_some_and(|key| key.starts_with(PREFIX)) {
        let text = "a key in a URL ends up in logs; name it by its hash or alias, or send it in the body of a POST";
        return Err(FieldError::wrong("key", text).into());
    }
    explain(&allowed, asked).await
}

/// `POST`
///
/// # Errors
/// [`AdminError`].
pub async fn post(allowed: Allowed, JsonBody(asked): JsonBody<Asked>) -> Result<Response, AdminError> {
    explain(&allowed, asked).await
}

async fn explain(allowed: &Allowed, asked: Asked) -> Result<Response, AdminError> {
    let subject = subject(allowed, asked.key.as_deref().filter(|key| !key.is_empty())).await?;
    let at = at(allowed, &asked)?;
    let refused = standing::check(&subject.principal, chrono::Utc::now()).err().map(|why| why.to_string());
    let identity = &allowed.gateway.identity;
    let what = match asked.server.as_deref().filter(|server| !server.is_empty()) {
        Some(server) => What::One(of_server(allowed, &subject.principal, &at, server, asked.tool.as_deref())),
        None if allowed.sees_everything() => What::All { reach: identity.explain_reach(&subject.principal, &at) },
        None => return Err(FieldError::wrong("server", "which server, by id, name or alias").into()),
    };
    Ok(Json(Explained { key: subject.key, refused, what }).into_response())
}

fn of_server(allowed: &Allowed, who: &Principal, at: &CalledAt, server: &str, tool: Option<&str>) -> Explanation {
    let identity = &allowed.gateway.identity;
    if !allowed.sees_everything() && !identity.explain(who, at, server, None).allowed {
        return untold(server, tool);
    }
    let mut explanation = identity.explain(who, at, server, tool);
    if explanation.allowed {
        heed_entry(allowed, &mut explanation);
    }
    explanation
}

/// What the server's own entry says of the tool, which holds for everybody.
fn heed_entry(allowed: &Allowed, explanation: &mut Explanation) {
    let (Some(id), Some(tool)) = (&explanation.server, &explanation.tool) else { return };
    let settings = &allowed.snapshot.settings;
    let Some(server) = settings.servers.iter().find(|server| server.id == *id) else { return };
    if catalog::offers(server, &settings.naming.separator, tool) {
        return;
    }
    let text = format!(
        "the entry of `{}` leaves `{tool}` out, for everybody (allowed_tools, disallowed_tools, pinned_tools)",
        server.name
    );
    let remedy = format!("let `{tool}` through in the entry of `{}`", server.name);
    explanation.allowed = false;
    explanation.first_denial = Some(explanation.steps.len());
    explanation.would_grant = vec![remedy.clone()];
    let (level, rule, effect) = (Level::Gateway, Rule::Tools, Effect::Denies);
    explanation.steps.push(Step { level, rule, effect, text, remedy: Some(remedy) });
}

/// The same whether or not there is such a server.
fn untold(server: &str, tool: Option<&str>) -> Explanation {
    let step = Step {
        level: Level::Gateway,
        rule: Rule::UnknownServer,
        effect: Effect::Denies,
        text: format!("no server that this key reaches has the id, name or alias `{server}`"),
        remedy: Some("ask an admin, who is told more by this same request".to_owned()),
    };
    Explanation {
        allowed: false,
        server: None,
        other_servers: Vec::new(),
        tool: tool.map(str::to_owned),
        first_denial: Some(0),
        would_grant: step.remedy.iter().cloned().collect(),
        steps: vec![step],
    }
}

fn at(allowed: &Allowed, asked: &Asked) -> Result<CalledAt, AdminError> {
    let from = match &asked.client_ip {
        // From inside there may be servers that are not there for the caller.
        Some(_) if !allowed.sees_everything() => {
            return Err(AdminError::Forbidden("only admins may ask as if from elsewhere".to_owned()));
        }
        Some(text) => Some(text.parse().map_err(|_| FieldError::wrong("client_ip", "this is no IP address"))?),
        None => allowed.caller.from,
    };
    let toolset = match &asked.toolset {
        Some(name) => {
            let found = allowed.gateway.identity.toolset_named(name);
            // To others than admins a toolset that is not theirs does not exist, and neither has servers.
            let missing = || AdminError::NotFound(format!("no toolset has the name `{name}`"));
            let unseen = |id: &_| {
                let caller = &allowed.caller;
                allowed.gateway.identity.at_toolset(caller, &caller.principal, id).is_empty()
            };
            Some(found.filter(|id| allowed.sees_everything() || !unseen(id)).ok_or_else(missing)?)
        }
        None => None,
    };
    Ok(CalledAt { from, toolset })
}

async fn subject(allowed: &Allowed, named: Option<&str>) -> Result<Subject, AdminError> {
    let caller = &allowed.caller;
    let own = match &caller.principal.credential {
        Credential::Key(key) => Some(Named { token: key.hash.to_hex(), key_alias: key.key_alias.clone() }),
        Credential::Master | Credential::Token(_) | Credential::Session(_) | Credential::Anonymous => None,
    };
    let Some(named) = named else { return Ok(Subject { principal: Arc::clone(&caller.principal), key: own }) };
    let hash = match VirtualKey::parse(named) {
        Ok(key) => Some(key.hash()),
        Err(_) => named.parse::<KeyHash>().ok(),
    };
    let is_own = |own: &Named| match &hash {
        Some(hash) => own.token == hash.to_hex(),
        None => own.key_alias.as_deref() == Some(named),
    };
    if let Some(own) = own.filter(is_own) {
        return Ok(Subject { principal: Arc::clone(&caller.principal), key: Some(own) });
    }
    if !allowed.sees_everything() {
        return Err(AdminError::Forbidden("only admins may ask about keys that are not their own".to_owned()));
    }
    let hash = match hash {
        Some(hash) => Some(hash),
        None => of_alias(allowed, named).await?,
    };
    // What was sent may be a key, so it is not repeated.
    let missing = || AdminError::NotFound("no key has this hash or alias".to_owned());
    let found = allowed.store.authorization(&hash.ok_or_else(missing)?).await?.ok_or_else(missing)?;
    let key = Some(Named { token: found.key.token.clone(), key_alias: found.key.key_alias.clone() });
    Ok(Subject { principal: Arc::new(found.principal()?), key })
}

async fn of_alias(allowed: &Allowed, alias: &str) -> Result<Option<KeyHash>, AdminError> {
    let filter = KeyFilter { key_alias: Some(alias.to_owned()), ..KeyFilter::default() };
    let order = (KeyOrder::default(), Direction::Ascending);
    let page = allowed.store.keys(&filter, order, PageOf::new(1, 1)).await?;
    Ok(page.items.first().and_then(|key| key.token.parse().ok()))
}
