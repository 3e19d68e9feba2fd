//! Servers as a registry describes them (`server.json`, schema 2025-12-11 and those before it).
//!
//! A remote goes before a package, since it needs no program here. What a user has to give becomes a value of each
//! user's own.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Found, Unfit, plain_name, users_variable};

#[derive(Deserialize)]
struct Entry {
    name: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(rename = "websiteUrl", default)]
    website_url: Option<String>,
    #[serde(default)]
    repository: Option<Repository>,
    #[serde(default)]
    remotes: Vec<Remote>,
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Repository {
    #[serde(default)]
    url: Option<String>,
}

#[derive(Deserialize)]
struct Remote {
    #[serde(rename = "type", alias = "transport_type")]
    kind: String,
    url: String,
    #[serde(default)]
    headers: Vec<Input>,
}

#[derive(Deserialize)]
struct Package {
    #[serde(rename = "registryType", alias = "registry_type")]
    registry_type: String,
    identifier: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    transport: Option<PackageTransport>,
    #[serde(rename = "runtimeArguments", alias = "runtime_arguments", default)]
    runtime_arguments: Vec<Argument>,
    #[serde(rename = "packageArguments", alias = "package_arguments", default)]
    package_arguments: Vec<Argument>,
    #[serde(rename = "environmentVariables", alias = "environment_variables", default)]
    environment_variables: Vec<Input>,
}

#[derive(Deserialize)]
struct PackageTransport {
    #[serde(rename = "type")]
    kind: String,
}

/// A header or variable.
#[derive(Deserialize)]
struct Input {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    default: Option<String>,
    #[serde(rename = "isRequired", alias = "is_required", default)]
    is_required: bool,
}

#[derive(Deserialize)]
struct Argument {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    default: Option<String>,
    #[serde(rename = "isRequired", alias = "is_required", default)]
    is_required: bool,
}

/// A `server.json`, or an item of a registry's list, which has it under `server`.
pub(super) fn of_listed(item: &Value) -> Found {
    let entry = item.get("server").filter(|server| server.is_object()).unwrap_or(item);
    let name = entry.get("name").and_then(Value::as_str).unwrap_or("(no name)").to_owned();
    Found { fields: fields(entry), name }
}

fn fields(entry: &Value) -> Result<Map<String, Value>, Unfit> {
    let entry: Entry = serde_path_to_error::deserialize(entry)
        .map_err(|error| Unfit::Wrong(format!("`{}`: {}", error.path(), error.inner())))?;
    // A registry's names are `reverse.domain/name`.
    let plain = plain_name(entry.name.rsplit('/').next().unwrap_or(&entry.name))?;
    let mut fields = Map::new();
    fields.insert("server_name".to_owned(), json!(plain));
    fields.insert("alias".to_owned(), json!(plain));
    fields.insert("description".to_owned(), json!(entry.description.as_ref().or(entry.title.as_ref())));
    let source = entry.repository.and_then(|repository| repository.url).or(entry.website_url);
    fields.insert("source_url".to_owned(), json!(source));
    let by_kind = |kind: &str| entry.remotes.iter().find(|remote| remote.kind == kind);
    match by_kind("streamable-http").or_else(|| by_kind("sse")) {
        Some(remote) => of_remote(&mut fields, remote)?,
        None => of_package(&mut fields, &entry.packages)?,
    }
    Ok(fields)
}

fn of_remote(fields: &mut Map<String, Value>, remote: &Remote) -> Result<(), Unfit> {
    if remote.url.contains('{') {
        return Err(Unfit::Wrong(format!(
            "`remotes.url`: `{}` has parts to be filled in; write the whole URL",
            remote.url
        )));
    }
    fields.insert("url".to_owned(), json!(remote.url));
    fields.insert("transport".to_owned(), json!(if remote.kind == "sse" { "sse" } else { "http" }));
    let (headers, variables) = inputs(&remote.headers);
    put(fields, "static_headers", headers);
    put_variables(fields, variables);
    Ok(())
}

fn of_package(fields: &mut Map<String, Value>, packages: &[Package]) -> Result<(), Unfit> {
    let is_program = |package: &&Package| package.transport.as_ref().is_none_or(|transport| transport.kind == "stdio");
    let runners = ["npm", "pypi", "oci"];
    let known = packages.iter().filter(is_program).find(|package| runners.contains(&&*package.registry_type));
    let Some(package) = known else {
        let kinds: Vec<&str> = packages.iter().map(|package| package.registry_type.as_str()).collect();
        return Err(Unfit::Wrong(format!(
            "it has no remote that can be reached, and no package that can be run (npm, pypi and oci on stdio can; found: {})",
            if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") }
        )));
    };
    let (env, variables) = inputs(&package.environment_variables);
    let (runtime, own) = (arguments(&package.runtime_arguments)?, arguments(&package.package_arguments)?);
    let version = |separator: &str| match &package.version {
        Some(version) => format!("{}{separator}{version}", package.identifier),
        None => package.identifier.clone(),
    };
    let (command, start) = match package.registry_type.as_str() {
        "npm" => ("npx", [vec!["-y".to_owned()], runtime, vec![version("@")]].concat()),
        "pypi" => ("uvx", [runtime, vec![version("@")]].concat()),
        _ => {
            let passed = env.keys().flat_map(|name| ["-e".to_owned(), name.clone()]).collect();
            let run = ["run", "-i", "--rm"].map(str::to_owned).to_vec();
            ("docker", [run, passed, runtime, vec![version(":")]].concat())
        }
    };
    fields.insert("transport".to_owned(), json!("stdio"));
    fields.insert("command".to_owned(), json!(command));
    fields.insert("args".to_owned(), json!([start, own].concat()));
    put(fields, "env", env);
    put_variables(fields, variables);
    Ok(())
}

/// Values that are given, and variables for those that each user has to give.
fn inputs(inputs: &[Input]) -> (Map<String, Value>, Vec<Value>) {
    let (mut values, mut variables) = (Map::new(), Vec::new());
    for input in inputs {
        match input.value.as_ref().or(input.default.as_ref()).filter(|value| !value.contains('{')) {
            Some(value) => {
                values.insert(input.name.clone(), json!(value));
            }
            None if input.is_required => {
                let name = input.name.to_ascii_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
                let value = match input.value.as_deref().and_then(|value| template(value, &name)) {
                    Some(template) => template,
                    None => format!("${{{name}}}"),
                };
                values.insert(input.name.clone(), json!(value));
                variables.push(users_variable(&name, input.description.as_deref()));
            }
            None => {}
        }
    }
    (values, variables)
}

/// `Bearer {token}` with the user's value in the place of the braces.
fn template(value: &str, name: &str) -> Option<String> {
    let (before, rest) = value.split_once('{')?;
    let (_, behind) = rest.split_once('}')?;
    (!behind.contains('{')).then(|| format!("{before}${{{name}}}{behind}"))
}

fn arguments(arguments: &[Argument]) -> Result<Vec<String>, Unfit> {
    let mut list = Vec::new();
    for argument in arguments {
        let value = argument.value.as_ref().or(argument.default.as_ref()).filter(|value| !value.contains('{'));
        let label = argument.name.as_deref().unwrap_or("positional");
        match (value, argument.is_required) {
            (None, true) => {
                return Err(Unfit::Wrong(format!("the argument `{label}` has to be given; add the server by hand")));
            }
            // An optional switch that has no value of its own is left out, but for one that is there to be set.
            (None, false) => {}
            (Some(value), _) => {
                if argument.kind.as_deref() == Some("named") {
                    list.extend(argument.name.clone());
                }
                list.push(value.clone());
            }
        }
    }
    Ok(list)
}

fn put(fields: &mut Map<String, Value>, name: &str, values: Map<String, Value>) {
    if !values.is_empty() {
        fields.insert(name.to_owned(), values.into());
    }
}

fn put_variables(fields: &mut Map<String, Value>, variables: Vec<Value>) {
    if !variables.is_empty() {
        fields.insert("env_vars".to_owned(), variables.into());
    }
}
