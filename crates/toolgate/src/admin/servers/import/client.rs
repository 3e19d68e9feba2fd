//! Servers as clients keep them.
//!
//! A value that a client fills in from its own environment cannot be filled in here. What VS Code asks its user for
//! (`${input:...}`) becomes a value of each user's own.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Found, Unfit, plain_name, users_variable};

/// One server, in the words of all clients that are known. What only tells a client how to treat the server is left out.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type", alias = "transport", default)]
    kind: Option<String>,
    #[serde(default)]
    url: Option<String>,
    /// Windsurf's name for it.
    #[serde(rename = "serverUrl", default)]
    server_url: Option<String>,
    /// Gemini's name for it.
    #[serde(rename = "httpUrl", default)]
    http_url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(alias = "authorizationToken", default)]
    authorization_token: Option<String>,
    #[serde(default)]
    command: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, Value>,
    #[serde(rename = "envFile", default)]
    env_file: Option<Value>,
    #[serde(default)]
    cwd: Option<Value>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    disabled: bool,
}

/// `mcpServers`, `mcp_servers` or `servers` by name.
pub(super) fn of_map(servers: &Map<String, Value>, inputs: Option<&Value>) -> Vec<Found> {
    let one = |(name, entry): (&String, &Value)| Found { name: name.clone(), fields: fields(name, entry, inputs) };
    servers.iter().map(one).collect()
}

/// Anthropic's list.
pub(super) fn of_list(servers: &[Value]) -> Vec<Found> {
    let one = |(index, entry): (usize, &Value)| match entry.get("name").and_then(Value::as_str) {
        Some(name) => Found { name: name.to_owned(), fields: fields(name, entry, None) },
        None => {
            let name = entry.get("url").and_then(Value::as_str).map_or(format!("entry {index}"), str::to_owned);
            Found { name, fields: Err(Unfit::wrong("Connector entries in list form must have a name.")) }
        }
    };
    servers.iter().enumerate().map(one).collect()
}

fn fields(name: &str, entry: &Value, inputs: Option<&Value>) -> Result<Map<String, Value>, Unfit> {
    let entry: Entry = serde_path_to_error::deserialize(entry)
        .map_err(|error| Unfit::Wrong(format!("`{}`: {}", error.path(), error.inner())))?;
    if entry.disabled {
        return Err(Unfit::Skipped("it is switched off in the document".to_owned()));
    }
    let plain = plain_name(name)?;
    let mut fields = Map::new();
    fields.insert("server_name".to_owned(), json!(plain));
    fields.insert("alias".to_owned(), json!(plain));
    fields.insert("description".to_owned(), json!(entry.description));
    let url =
        [&entry.url, &entry.server_url, &entry.http_url].into_iter().flatten().find(|url| !url.is_empty()).cloned();
    let mut values = Values { inputs, variables: BTreeMap::new() };
    match (url, entry.command.clone().filter(|command| !command.is_empty())) {
        (Some(_), Some(_)) => return Err(Unfit::wrong("Connector cannot have both a url and a command.")),
        (None, None) => return Err(Unfit::wrong("Connector must have either a url or a command.")),
        (Some(url), None) => remote(&mut fields, &entry, &url, &mut values)?,
        (None, Some(command)) => match bridged(&command, &entry.args)? {
            Some((url, headers)) => {
                let entry = Entry { headers, kind: None, ..entry };
                remote(&mut fields, &entry, &url, &mut values)?;
            }
            None => program(&mut fields, &entry, &command, &mut values)?,
        },
    }
    if !values.variables.is_empty() {
        fields.insert("env_vars".to_owned(), values.variables.into_values().collect());
    }
    Ok(fields)
}

fn remote(fields: &mut Map<String, Value>, entry: &Entry, url: &str, values: &mut Values<'_>) -> Result<(), Unfit> {
    let transport = match entry.kind.as_deref().unwrap_or_default().to_ascii_lowercase().as_str() {
        "sse" => Some("sse"),
        "http" | "streamable_http" | "streamable-http" | "streamablehttp" => Some("http"),
        // Found out by asking.
        "" | "url" => None,
        other => return Err(Unfit::wrong(format!("Unsupported connector type '{other}'."))),
    };
    fields.insert("transport".to_owned(), json!(transport));
    let url = values.filled("url", url)?;
    if url.contains("${") {
        return Err(Unfit::wrong("`url`: a part of it is to be filled in for each user, which a URL cannot be"));
    }
    fields.insert("url".to_owned(), json!(url));
    let mut headers = Map::new();
    let mut token = entry.authorization_token.clone();
    for (name, value) in &entry.headers {
        let value = values.filled(&format!("headers.{name}"), value)?;
        let bearer =
            value.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer ")).map(|_| value[7..].to_owned());
        // A value of users' own is put together in a header, not in a credential.
        match bearer.filter(|_| name.eq_ignore_ascii_case("authorization") && !value.contains("${")) {
            Some(bearer) if token.is_none() => token = Some(bearer),
            _ => {
                headers.insert(name.clone(), json!(value));
            }
        }
    }
    if let Some(token) = token {
        fields.insert("auth_type".to_owned(), json!("bearer_token"));
        fields.insert("credentials".to_owned(), json!({ "auth_value": values.filled("authorization_token", &token)? }));
    }
    if !headers.is_empty() {
        fields.insert("static_headers".to_owned(), headers.into());
    }
    Ok(())
}

fn program(
    fields: &mut Map<String, Value>,
    entry: &Entry,
    command: &str,
    values: &mut Values<'_>,
) -> Result<(), Unfit> {
    for (key, given) in [("cwd", entry.cwd.is_some()), ("envFile", entry.env_file.is_some())] {
        if given {
            return Err(Unfit::wrong(format!(
                "`{key}` names a place on the client's machine, which is not here; leave it out"
            )));
        }
    }
    fields.insert("transport".to_owned(), json!("stdio"));
    fields.insert("command".to_owned(), json!(command));
    for (index, argument) in entry.args.iter().enumerate() {
        if reference(argument).is_some() {
            return Err(Unfit::wrong(format!("`args[{index}]`: the client fills it in; write the value itself")));
        }
    }
    fields.insert("args".to_owned(), json!(entry.args));
    let mut env = Map::new();
    for (name, value) in &entry.env {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null => continue,
            Value::Array(_) | Value::Object(_) => return Err(Unfit::wrong(format!("`env.{name}`: not a text"))),
        };
        env.insert(name.clone(), json!(values.filled(&format!("env.{name}"), &text)?));
    }
    if !env.is_empty() {
        fields.insert("env".to_owned(), env.into());
    }
    Ok(())
}

/// A URL and headers.
type Bridged = (String, BTreeMap<String, String>);

/// `npx mcp-remote URL`, with which clients that know only programs reach a server over HTTP: the gateway needs no bridge.
fn bridged(command: &str, args: &[String]) -> Result<Option<Bridged>, Unfit> {
    let is_npx = std::path::Path::new(command).file_stem().is_some_and(|stem| stem == "npx");
    let mut args = args.iter().map(String::as_str).skip_while(|arg| matches!(*arg, "-y" | "--yes"));
    let is_bridge = args.next().is_some_and(|package| package == "mcp-remote" || package.starts_with("mcp-remote@"));
    if !is_npx || !is_bridge {
        return Ok(None);
    }
    let Some(url) = args.next().filter(|url| url.contains("://")) else {
        return Err(Unfit::wrong("`args`: mcp-remote is given no URL"));
    };
    let mut headers = BTreeMap::new();
    while let Some(argument) = args.next() {
        let header = (argument == "--header").then(|| args.next()?.split_once(':')).flatten();
        let Some((name, value)) = header else {
            return Err(Unfit::wrong(format!(
                "`args`: `{argument}` of mcp-remote is not known; add the server by its URL"
            )));
        };
        headers.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    Ok(Some((url.to_owned(), headers)))
}

/// Values that clients fill in.
struct Values<'d> {
    inputs: Option<&'d Value>,
    variables: BTreeMap<String, Value>,
}

impl Values<'_> {
    /// `text` with what VS Code would ask for as variables of users' own.
    fn filled(&mut self, field: &str, text: &str) -> Result<String, Unfit> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((reference, behind)) = after.split_once('}') else { break };
            let Some(id) = reference.strip_prefix("input:") else {
                return Err(Unfit::wrong(format!(
                    "`{field}`: `${{{reference}}}` is filled in by the client out of its own environment, which is not \
                     here; write the value itself"
                )));
            };
            let name = id.to_ascii_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            let name = if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name };
            self.variables.insert(name.clone(), users_variable(&name, self.description(id)));
            filled.extend([before, "${", &name, "}"]);
            rest = behind;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn description(&self, id: &str) -> Option<&str> {
        let inputs = self.inputs?.as_array()?;
        inputs.iter().find(|input| input.get("id").is_some_and(|it| it == id))?.get("description")?.as_str()
    }
}

/// The first `${...}` in a text.
fn reference(text: &str) -> Option<&str> {
    Some(text.split_once("${")?.1.split_once('}')?.0)
}
