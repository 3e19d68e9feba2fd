//! A server's row in the words of the configuration file, so that one set of rules judges both.

use serde::Serialize;
use serde_json::{Map, Value};
use toolgate_store::{Secret, Server};

/// How the database says that `transport` was not given.
pub const DETECT: &str = "auto";

/// Why a row has no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Its key is missing.
    #[error(
        "`{field}` is sealed with a key that is not in use any more; name it in TOOLGATE_OLD_SALT_KEYS, or save the value again"
    )]
    Sealed {
        /// The field.
        field: &'static str,
    },
    /// It is not of the kind that the field holds.
    #[error("`{field}` holds what cannot be read; save it again")]
    Form {
        /// The field.
        field: &'static str,
    },
}

/// What people call the server: its name, else its alias, else its id.
#[must_use]
pub fn name(row: &Server) -> &str {
    let given = [row.server_name.as_deref(), row.alias.as_deref()].into_iter().flatten();
    given.map(str::trim).find(|name| !name.is_empty()).unwrap_or(&row.server_id)
}

/// Fields that are called the same in both, but for a few; see [`field_of`].
struct Entry(Map<String, Value>);

impl Entry {
    fn put(&mut self, key: &str, value: impl Serialize) {
        let value = serde_json::to_value(value).unwrap_or_default();
        let is_empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        if !is_empty {
            self.0.insert(key.to_owned(), value);
        }
    }
}

/// The entry that the file would have.
///
/// # Errors
/// [`Unreadable`] with the first field that has no value.
pub fn of(row: &Server) -> Result<Value, Unreadable> {
    let mut entry = Entry(Map::new());
    entry.put("server_id", &row.server_id);
    // Without a name of people's, the id stands for one, and only an alias may hold the separator.
    let unnamed = name(row) == row.server_id;
    entry.put("alias", if unnamed { Some(&row.server_id) } else { row.alias.as_ref() });
    entry.put("url", &row.url);
    entry.put("spec_path", &row.spec_path);
    entry.put("transport", Some(&row.transport).filter(|transport| *transport != DETECT));
    entry.put("description", &row.description);
    entry.put("instructions", &row.instructions);
    entry.put("mcp_info", &row.mcp_info);
    entry.put("auth_type", &row.auth_type);
    for (key, value) in object("credentials", row.credentials.as_ref())? {
        // Anything else would be said where nobody sees it.
        if CREDENTIALS.contains(&key.as_str()) {
            entry.put(&key, value);
        }
    }
    entry.put("static_headers", object("static_headers", row.static_headers.as_ref())?);
    entry.put("env", object("env", row.env.as_ref())?);
    entry.put("env_vars", list("env_vars", row.env_vars.as_ref())?);
    entry.put("command", &row.command);
    entry.put("args", &row.args);
    tools(&mut entry, row);
    entry.put("extra_headers", &row.extra_headers);
    entry.put("access_groups", &row.mcp_access_groups);
    entry.put("allow_all_keys", row.allow_all_keys);
    entry.put("available_on_public_internet", row.available_on_public_internet);
    entry.put("timeout", row.timeout);
    entry.put("max_concurrent_requests", row.max_concurrent_requests);
    entry.put("rpm", row.rpm);
    oauth(&mut entry, row);
    entry.put("is_byok", row.is_byok);
    entry.put("byok_description", &row.byok_description);
    entry.put("byok_api_key_help_url", &row.byok_api_key_help_url);
    entry.put("source_url", &row.source_url);
    Ok(Value::Object(entry.0))
}

fn tools(entry: &mut Entry, row: &Server) {
    entry.put("allowed_tools", &row.allowed_tools);
    entry.put("disallowed_tools", &row.disallowed_tools);
    entry.put("allowed_params", &row.allowed_params);
    entry.put("pinned_tools", &row.pinned_tools);
    entry.put("tool_name_to_display_name", &row.tool_name_to_display_name);
    entry.put("tool_name_to_description", &row.tool_name_to_description);
}

fn oauth(entry: &mut Entry, row: &Server) {
    entry.put("issuer", &row.issuer);
    entry.put("authorization_url", &row.authorization_url);
    entry.put("token_url", &row.token_url);
    entry.put("registration_url", &row.registration_url);
    entry.put("oauth2_flow", &row.oauth2_flow);
    entry.put("token_exchange_endpoint", &row.token_exchange_endpoint);
    entry.put("audience", &row.audience);
    entry.put("subject_token_type", &row.subject_token_type);
    entry.put("token_exchange_profile", &row.token_exchange_profile);
    entry.put("delegate_auth_to_upstream", row.delegate_auth_to_upstream);
    entry.put("oauth_passthrough", row.oauth_passthrough);
    entry.put("dcr_bridge", row.dcr_bridge);
    entry.put("per_server_oauth_discovery", row.per_server_oauth_discovery);
}

/// The object in a sealed column.
pub(crate) fn object(field: &'static str, sealed: Option<&Secret>) -> Result<Map<String, Value>, Unreadable> {
    match json(field, sealed)? {
        Value::Null => Ok(Map::new()),
        Value::Object(map) => Ok(map),
        _ => Err(Unreadable::Form { field }),
    }
}

/// The list in a sealed column.
pub(crate) fn list(field: &'static str, sealed: Option<&Secret>) -> Result<Vec<Value>, Unreadable> {
    match json(field, sealed)? {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => Ok(items),
        _ => Err(Unreadable::Form { field }),
    }
}

fn json(field: &'static str, sealed: Option<&Secret>) -> Result<Value, Unreadable> {
    let Some(sealed) = sealed else { return Ok(Value::Null) };
    let text = sealed.expose().ok_or(Unreadable::Sealed { field })?;
    serde_json::from_str(text).map_err(|_| Unreadable::Form { field })
}

/// The keys of an entry that are in `credentials` in the API.
pub(crate) const CREDENTIALS: [&str; 17] = [
    "auth_value",
    "authentication_token",
    "client_id",
    "client_secret",
    "client_private_key",
    "client_private_key_id",
    "client_assertion_signing_alg",
    "token_endpoint_auth_method",
    "id_jag_resource_client_secret",
    "scopes",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_region_name",
    "aws_service_name",
    "aws_role_name",
    "aws_session_name",
];

/// The field of the API for a finding's path in the entry.
#[must_use]
pub fn field_of(path: &str, code: &str) -> String {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    match &path[..end] {
        "" if code == "config.missing_key" => "url".to_owned(),
        "" => "server_name".to_owned(),
        "access_groups" => format!("mcp_access_groups{}", &path[end..]),
        key if CREDENTIALS.contains(&key) => format!("credentials.{path}"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use toolgate_store::{Secret, Server};

    #[test]
    fn credentials_say_nothing_of_what_is_no_credential() {
        let sealed = r#"{"auth_value":"a","command":"python3","args":["-c"],"transport":"stdio","access_groups":["all"],
                         "allow_all_keys":true,"ssl_verify":false,"pinned_tools":{"a":{}}}"#;
        let row = Server { credentials: Some(Secret::new(sealed)), ..Server::default() };
        let entry = super::of(&row).unwrap();
        let names = entry.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(entry["auth_value"], "a");
        for name in ["command", "args", "access_groups", "ssl_verify", "pinned_tools"] {
            assert!(!names.contains(&name), "{names:?}");
        }
        assert_eq!(entry["allow_all_keys"], false);
        assert_ne!(entry["transport"], "stdio");
    }
}
