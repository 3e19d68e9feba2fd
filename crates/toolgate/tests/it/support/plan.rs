//! What a client is told to ask, and how two accounts of the answers are compared.
//!
//! The same plan runs in every client, directly against a server and through the gateway; names in it are the
//! server's own.

use serde_json::{Map, Value, json};

/// Steps, in order.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    steps: Vec<Step>,
    prefix: String,
}

/// One request of a client.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Ping,
    ListTools,
    ListPrompts,
    ListResources,
    ListResourceTemplates,
    CallTool(&'static str, Value),
    GetPrompt(&'static str, Value),
    ReadResource(&'static str),
    CompletePrompt { name: &'static str, argument: &'static str, value: &'static str },
    CompleteResource { template: &'static str, argument: &'static str, value: &'static str },
}

/// A server as a client addresses it.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Streamable { url: String, headers: Vec<(String, String)> },
    Sse { url: String, headers: Vec<(String, String)> },
    Stdio { command: String, args: Vec<String> },
}

impl Target {
    pub(crate) fn streamable(url: &str) -> Self {
        Self::Streamable { url: url.to_owned(), headers: Vec::new() }
    }

    pub(crate) fn sse(url: &str) -> Self {
        Self::Sse { url: url.to_owned(), headers: Vec::new() }
    }

    pub(crate) fn stdio(command: &str, args: &[&str]) -> Self {
        Self::Stdio { command: command.to_owned(), args: args.iter().map(|&arg| arg.to_owned()).collect() }
    }

    /// The same with one header more.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        match &mut self {
            Self::Streamable { headers, .. } | Self::Sse { headers, .. } => {
                headers.push((name.to_owned(), value.to_owned()));
            }
            Self::Stdio { .. } => panic!("stdio has no headers"),
        }
        self
    }

    /// What the scripts of answering clients take as their argument.
    pub(crate) fn task(&self, prefix: &str) -> Value {
        json!({"target": self.json(), "prefix": prefix})
    }

    fn json(&self) -> Value {
        let map = |headers: &[(String, String)]| {
            Value::Object(headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>())
        };
        match self {
            Self::Streamable { url, headers } => {
                json!({"transport": "streamable", "url": url, "headers": map(headers)})
            }
            Self::Sse { url, headers } => json!({"transport": "sse", "url": url, "headers": map(headers)}),
            Self::Stdio { command, args } => {
                let env = json!({"PATH": std::env::var("PATH").unwrap()});
                json!({"transport": "stdio", "command": command, "args": args, "env": env})
            }
        }
    }
}

impl Plan {
    /// The same without what 2026-07-28 does not have any more.
    pub(crate) fn without_ping(mut self) -> Self {
        self.steps.retain(|step| !matches!(step, Step::Ping));
        self
    }

    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), prefix: String::new() }
    }

    /// The same plan for a client that sees names with `prefix` before them.
    pub(crate) fn prefixed(&self, prefix: &str) -> Self {
        Self { steps: self.steps.clone(), prefix: prefix.to_owned() }
    }

    /// The steps, and the prefix to put before names.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (&Step, &str)> {
        self.steps.iter().map(|step| (step, self.prefix.as_str()))
    }

    /// What the client scripts take as their argument.
    pub(crate) fn task(&self, target: &Target, mode: &str) -> Value {
        let steps: Vec<Value> = self.steps().map(|(step, prefix)| step.json(prefix)).collect();
        json!({"target": target.json(), "mode": mode, "steps": steps})
    }
}

impl Step {
    fn json(&self, prefix: &str) -> Value {
        match self {
            Self::Ping => json!({"do": "ping"}),
            Self::ListTools => json!({"do": "list_tools"}),
            Self::ListPrompts => json!({"do": "list_prompts"}),
            Self::ListResources => json!({"do": "list_resources"}),
            Self::ListResourceTemplates => json!({"do": "list_resource_templates"}),
            Self::CallTool(name, arguments) => {
                json!({"do": "call_tool", "name": format!("{prefix}{name}"), "arguments": arguments})
            }
            Self::GetPrompt(name, arguments) => {
                json!({"do": "get_prompt", "name": format!("{prefix}{name}"), "arguments": arguments})
            }
            Self::ReadResource(uri) => json!({"do": "read_resource", "uri": uri}),
            Self::CompletePrompt { name, argument, value } => {
                let reference = json!({"type": "ref/prompt", "name": format!("{prefix}{name}")});
                json!({"do": "complete", "ref": reference, "argument": {"name": argument, "value": value}})
            }
            Self::CompleteResource { template, argument, value } => {
                let reference = json!({"type": "ref/resource", "uri": template});
                json!({"do": "complete", "ref": reference, "argument": {"name": argument, "value": value}})
            }
        }
    }
}

/// `seen` through the gateway, as it would be without it: `prefix` is taken off listed names.
///
/// These are all the differences that are allowed; anything else that differs is a defect.
///
/// - Names of tools, prompts, resources and resource templates carry the server's prefix.
/// - `initialize`: `serverInfo` is the gateway's own. Of `capabilities`, the gateway offers what it relays, which is not
///   tasks, and change notifications, which it sends by itself; see [`same_initialize`].
/// - `_meta` of a list tells how each server in scope fared.
/// - What depends on the clock: see [`timeless`].
pub(crate) fn without_prefix(mut seen: Value, prefix: &str) -> Value {
    let Some(steps) = seen["steps"].as_array_mut() else { panic!("a client's account has steps: {seen}") };
    for result in steps.iter_mut().filter_map(|step| step.get_mut("result")) {
        for key in ["tools", "prompts", "resources", "resourceTemplates"] {
            for item in result.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
                let bare = item["name"].as_str().and_then(|name| name.strip_prefix(prefix));
                let bare = bare.unwrap_or_else(|| panic!("{} has no prefix {prefix}", item["name"])).to_owned();
                item["name"] = json!(bare);
            }
        }
    }
    seen
}

/// Takes what the clock says out of every text: the time in server-everything's dynamic resources, and the day that
/// mcp-server-time puts before the time it was asked for.
pub(crate) fn timeless(value: &mut Value) {
    match value {
        Value::String(text) => *text = timeless_text(text),
        Value::Array(items) => items.iter_mut().for_each(timeless),
        Value::Object(fields) => {
            fields.shift_remove("day_of_week");
            fields.values_mut().for_each(timeless);
        }
        _ => {}
    }
}

fn timeless_text(text: &str) -> String {
    if let Some(at) = text.find("resource created at ") {
        return text[..at].to_owned();
    }
    let no_days = text.lines().filter(|line| !line.contains("\"day_of_week\""));
    no_days.map(without_dates).collect::<Vec<_>>().join("\n")
}

/// `2026-11-22T12:00` becomes `DAYT12:00`.
fn without_dates(line: &str) -> String {
    let mut kept = String::new();
    let mut rest = line;
    while let Some(at) = rest.as_bytes().windows(10).position(is_date) {
        kept.push_str(&rest[..at]);
        kept.push_str("DAY");
        rest = &rest[at + 10..];
    }
    kept + rest
}

fn is_date(text: &[u8]) -> bool {
    text.iter().enumerate().all(|(at, byte)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() })
}

/// Checks that what `initialize` says through the gateway is what the server says, as far as the gateway relays it.
pub(crate) fn same_initialize(direct: &Value, through: &Value) {
    for field in ["protocolVersion", "instructions"] {
        assert_eq!(direct.get(field), through.get(field), "`{field}` of initialize");
    }
    for capability in ["tools", "prompts", "resources", "completions", "logging"] {
        let offered = |seen: &Value| seen["capabilities"].get(capability).is_some();
        assert_eq!(offered(direct), offered(through), "capability `{capability}`: {direct} {through}");
    }
}
