//! Rows of ours from LiteLLM's, one function for each kind.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use toolgate_access::key::KeyHash;
use toolgate_access::permission::{NO_MCP_SERVERS, ObjectPermission};

use super::source::{self, row_of, text};
use super::unseal::Unsealer;
use crate::{
    AccessGroup, Budget, Customer, DeprecatedKey, Key, Organization, OrganizationMembership, Project, Secret, Server,
    ServerOauthClient, Team, TeamMembership, Toolset, User, UserCredential, UserEnvVars,
};

/// Fields of a server's `credentials` that are sealed one by one.
const SEALED_FIELDS: [&str; 8] = [
    "auth_value",
    "client_id",
    "client_secret",
    "client_private_key",
    "id_jag_resource_client_secret",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
];

/// The team of the keys with which LiteLLM's dashboard keeps people signed in.
const DASHBOARD: &str = "litellm-dashboard";

/// What LiteLLM keeps in tables beside the rows.
pub(super) struct Beside {
    pub(super) now: DateTime<Utc>,
    /// By id.
    pub(super) permissions: HashMap<String, Map<String, Value>>,
    /// By a team's `model_id`.
    pub(super) model_aliases: HashMap<i64, Value>,
    /// By team and user.
    pub(super) memberships: HashMap<(String, String), Map<String, Value>>,
    /// Users by their address, lower case.
    pub(super) users_by_email: HashMap<String, String>,
    pub(super) unsealer: Unsealer,
}

/// A row, and what is missing of it.
pub(super) struct Read<R> {
    pub(super) row: R,
    pub(super) lost: Vec<String>,
}

/// A row, or why it is left out.
pub(super) type Outcome<R> = Result<Read<R>, String>;

type Columns = Map<String, Value>;

fn whole<R>(row: R) -> Outcome<R> {
    Ok(Read { row, lost: Vec::new() })
}

impl Beside {
    /// The permission of a row as a column. One that is named and not there is closed: nobody knows what it restricted.
    fn permission(&self, source: &Columns, lost: &mut Vec<String>) -> Result<(&'static str, Value), String> {
        let column = "object_permission";
        let Some(id) = text(source, "object_permission_id") else { return Ok((column, Value::Null)) };
        let Some(found) = self.permissions.get(&id) else {
            lost.push(format!("its object permission `{id}` is not there, so it reaches nothing"));
            return Ok((column, json!({"object_permission_id": id, "mcp_servers": [NO_MCP_SERVERS]})));
        };
        let known = serde_json::to_value(ObjectPermission::default()).unwrap_or_default();
        let known = |name: &String| name == "object_permission_id" || known.get(name).is_some();
        let fields: Columns = found
            .iter()
            .filter(|(name, _)| known(name))
            .map(|(name, value)| (name.clone(), source::json(value)))
            .collect();
        let permission: ObjectPermission = serde_json::from_value(Value::Object(fields))
            .map_err(|error| format!("its object permission `{id}` cannot be read: {error}"))?;
        Ok((column, serde_json::to_value(permission).unwrap_or_default()))
    }

    /// A row that owns a permission, and has nothing else that is special.
    fn with_permission<R: crate::row::Row + Default>(&self, source: &Columns) -> Outcome<R> {
        let mut lost = Vec::new();
        let permission = self.permission(source, &mut lost)?;
        Ok(Read { row: row_of(source, &[permission], self.now)?, lost })
    }

    pub(super) fn budget(&self, source: &Columns) -> Outcome<Budget> {
        whole(row_of(source, &[], self.now)?)
    }

    pub(super) fn organization(&self, source: &Columns) -> Outcome<Organization> {
        self.with_permission(source)
    }

    pub(super) fn organization_membership(&self, source: &Columns) -> Outcome<OrganizationMembership> {
        whole(row_of(source, &[], self.now)?)
    }

    pub(super) fn user(&self, source: &Columns) -> Outcome<User> {
        let mut read: Read<User> = self.with_permission(source)?;
        read.row.password = text(source, "password").map(Secret::new);
        Ok(read)
    }

    pub(super) fn team(&self, source: &Columns) -> Outcome<Team> {
        let mut lost = Vec::new();
        let permission = self.permission(source, &mut lost)?;
        let aliases = source.get("model_id").and_then(Value::as_i64).and_then(|id| self.model_aliases.get(&id));
        let aliases = ("model_aliases", aliases.cloned().unwrap_or_default());
        Ok(Read { row: row_of(source, &[permission, aliases], self.now)?, lost })
    }

    /// The members of a team: whom its roster names, with what is counted for them beside it.
    pub(super) fn members(&self, source: &Columns) -> (Vec<TeamMembership>, Vec<String>) {
        let team_id = text(source, "team_id").unwrap_or_default();
        let roster = source::json(source.get("members_with_roles").unwrap_or(&Value::Null));
        let (mut members, mut lost) = (Vec::<TeamMembership>::new(), Vec::new());
        for member in roster.as_array().into_iter().flatten() {
            let field = |name: &str| member.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            let by_email = || self.users_by_email.get(&field("user_email")?.to_lowercase()).cloned();
            let Some(user_id) = field("user_id").map(str::to_owned).or_else(by_email) else {
                lost.push("a member without a user".to_owned());
                continue;
            };
            if members.iter().any(|known| known.user_id == user_id) {
                continue;
            }
            let counted = self.memberships.get(&(team_id.clone(), user_id.clone()));
            let number = |name: &str| counted.and_then(|row| row.get(name)).and_then(Value::as_f64).unwrap_or_default();
            members.push(TeamMembership {
                team_id: team_id.clone(),
                role: field("role").unwrap_or("user").to_owned(),
                user_email: field("user_email").map(str::to_owned),
                spend: number("spend"),
                total_spend: number("total_spend"),
                budget_id: counted.and_then(|row| text(row, "budget_id")),
                user_id,
                created_at: self.now,
                updated_at: self.now,
                ..TeamMembership::default()
            });
        }
        (members, lost)
    }

    pub(super) fn project(&self, source: &Columns) -> Outcome<Project> {
        self.with_permission(source)
    }

    pub(super) fn customer(&self, source: &Columns) -> Outcome<Customer> {
        self.with_permission(source)
    }

    pub(super) fn key(&self, source: &Columns) -> Outcome<Key> {
        if text(source, "team_id").as_deref() == Some(DASHBOARD) {
            return Err("it keeps somebody signed in to LiteLLM's dashboard".to_owned());
        }
        hash(source, "token")?;
        let mut read: Read<Key> = self.with_permission(source)?;
        if let Some(agent) = &read.row.agent_id {
            read.lost.push(format!("it is bound to the agent `{agent}`, which is not imported, so it reaches nothing"));
        }
        Ok(read)
    }

    pub(super) fn deprecated_key(&self, source: &Columns) -> Outcome<DeprecatedKey> {
        hash(source, "token")?;
        hash(source, "active_token_id")?;
        let read: DeprecatedKey = row_of(source, &[], self.now)?;
        if read.revoke_at <= self.now {
            return Err("it is not good any more".to_owned());
        }
        whole(read)
    }

    pub(super) fn access_group(&self, source: &Columns) -> Outcome<AccessGroup> {
        whole(row_of(source, &[], self.now)?)
    }

    pub(super) fn toolset(&self, source: &Columns) -> Outcome<Toolset> {
        whole(row_of(source, &[], self.now)?)
    }

    pub(super) fn server(&self, source: &Columns) -> Outcome<Server> {
        let mut lost = Vec::new();
        let row = Server {
            credentials: self.credentials(source, &mut lost),
            static_headers: self.secret_map(source, "static_headers", &mut lost),
            env: self.secret_map(source, "env", &mut lost),
            env_vars: self.env_vars(source, &mut lost),
            ..row_of(source, &[], self.now)?
        };
        Ok(Read { row, lost })
    }

    pub(super) fn oauth_client(&self, source: &Columns) -> Outcome<ServerOauthClient> {
        let mut lost = Vec::new();
        let credentials = self.credentials(source, &mut lost);
        Ok(Read { row: ServerOauthClient { credentials, ..row_of(source, &[], self.now)? }, lost })
    }

    pub(super) fn user_credential(&self, source: &Columns) -> Outcome<UserCredential> {
        let stored = text(source, "credential_b64").unwrap_or_default();
        let credential = self.unsealer.open_credential(&stored).ok_or("the credential cannot be read")?;
        whole(UserCredential { credential: Some(Secret::new(credential)), ..row_of(source, &[], self.now)? })
    }

    pub(super) fn user_env_vars(&self, source: &Columns) -> Outcome<UserEnvVars> {
        let stored = text(source, "values_b64").unwrap_or_default();
        let values = self.unsealer.open(&stored).text().filter(|text| is_object(text));
        let values = values.ok_or("the values cannot be read")?;
        whole(UserEnvVars { env_values: Some(Secret::new(values)), ..row_of(source, &[], self.now)? })
    }

    /// An object of which some fields are sealed.
    fn credentials(&self, source: &Columns, lost: &mut Vec<String>) -> Option<Secret> {
        let Value::Object(mut fields) = source::json(source.get("credentials")?) else { return None };
        for field in SEALED_FIELDS {
            let Some(Value::String(stored)) = fields.get(field) else { continue };
            match self.unsealer.open(stored).text() {
                Some(plain) => fields.insert(field.to_owned(), plain.into()),
                None => {
                    lost.push(format!("credentials.{field} cannot be read"));
                    fields.remove(field)
                }
            };
        }
        (!fields.is_empty()).then(|| Secret::new(Value::Object(fields).to_string()))
    }

    /// An object of texts: sealed as a whole, or in older rows as it is.
    fn secret_map(&self, source: &Columns, column: &str, lost: &mut Vec<String>) -> Option<Secret> {
        let plain = match source::json(source.get(column)?) {
            Value::String(stored) => match self.unsealer.open(&stored).text().filter(|text| is_object(text)) {
                Some(plain) => plain,
                None => {
                    lost.push(format!("{column} cannot be read"));
                    return None;
                }
            },
            Value::Object(fields) => Value::Object(fields).to_string(),
            _ => return None,
        };
        (plain != "{}").then(|| Secret::new(plain))
    }

    /// A list of variables; the values of those for everybody are sealed one by one.
    fn env_vars(&self, source: &Columns, lost: &mut Vec<String>) -> Option<Secret> {
        let Value::Array(mut variables) = source::json(source.get("env_vars")?) else { return None };
        for variable in variables.iter_mut().filter_map(Value::as_object_mut) {
            let is_for_users = variable.get("scope").and_then(Value::as_str) == Some("user");
            let Some(stored) = text(variable, "value").filter(|value| !value.is_empty() && !is_for_users) else {
                continue;
            };
            let plain = self.unsealer.open(&stored).text();
            if plain.is_none() {
                let name = text(variable, "name").unwrap_or_default();
                lost.push(format!("env_vars.{name} cannot be read"));
            }
            variable.insert("value".to_owned(), plain.unwrap_or_default().into());
        }
        (!variables.is_empty()).then(|| Secret::new(Value::Array(variables).to_string()))
    }
}

fn is_object(text: &str) -> bool {
    serde_json::from_str::<Map<String, Value>>(text).is_ok()
}

fn hash(source: &Columns, column: &str) -> Result<(), String> {
    let parsed = text(source, column).and_then(|token| token.parse::<KeyHash>().ok());
    parsed.map(|_| ()).ok_or_else(|| format!("its `{column}` is no hash of a key"))
}
