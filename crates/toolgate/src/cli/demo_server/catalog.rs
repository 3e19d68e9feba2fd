//! What the demo server offers, and its answers to everything but `tools/call`.

use serde_json::{Value, json};
use toolgate_mcp::jsonrpc::{ErrorObject, code};

const README: &str = "# toolgate demo server\n\nIts tools are `echo`, `add`, `slow` and `weather`.\n";
const STYLES: [&str; 3] = ["formal", "friendly", "pirate"];
const NAMES: [&str; 4] = ["Ada", "Alan", "Grace", "Linus"];
const TEMPLATE_START: &str = "demo://greeting/";

/// `tools/list`.
#[must_use]
pub fn tools() -> Value {
    json!({"tools": [
        {
            "name": "echo",
            "title": "Echo",
            "description": "Gives back the message that it is given",
            "inputSchema": {
                "type": "object",
                "properties": {"message": {"type": "string", "description": "What to give back"}},
                "required": ["message"],
            },
            "annotations": {"readOnlyHint": true, "idempotentHint": true, "openWorldHint": false},
        },
        {
            "name": "add",
            "title": "Add",
            "description": "Adds two numbers",
            "inputSchema": {
                "type": "object",
                "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
                "required": ["a", "b"],
            },
            "annotations": {"readOnlyHint": true, "idempotentHint": true, "openWorldHint": false},
        },
        {
            "name": "slow",
            "title": "Slow",
            "description": "Takes its time, and reports progress after each step when the caller asks for it",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "steps": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 5},
                    "delay_ms": {
                        "type": "integer", "minimum": 0, "maximum": 60_000, "default": 200,
                        "description": "How long each step takes, in milliseconds",
                    },
                },
            },
            "annotations": {"readOnlyHint": true, "idempotentHint": true, "openWorldHint": false},
        },
        {
            "name": "weather",
            "title": "Weather",
            "description": "Invents the weather of a city, the same each time, as structured output",
            "inputSchema": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
            "outputSchema": {
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "temperature_c": {"type": "number"},
                    "humidity_percent": {"type": "integer"},
                    "conditions": {"type": "string"},
                },
                "required": ["city", "temperature_c", "humidity_percent", "conditions"],
            },
            "annotations": {"readOnlyHint": true, "idempotentHint": true, "openWorldHint": false},
        },
    ]})
}

/// `resources/list`.
#[must_use]
pub fn resources() -> Value {
    json!({"resources": [{
        "uri": "demo://readme",
        "name": "readme",
        "title": "About this server",
        "mimeType": "text/markdown",
        "size": README.len(),
    }]})
}

/// `resources/templates/list`.
#[must_use]
pub fn resource_templates() -> Value {
    json!({"resourceTemplates": [{
        "uriTemplate": "demo://greeting/{name}",
        "name": "greeting",
        "title": "A greeting for somebody",
        "mimeType": "text/plain",
    }]})
}

/// `prompts/list`.
#[must_use]
pub fn prompts() -> Value {
    json!({"prompts": [{
        "name": "greet",
        "title": "Greet somebody",
        "description": "Asks the model to greet somebody in a style",
        "arguments": [
            {"name": "name", "description": "Whom to greet", "required": true},
            {"name": "style", "description": "formal, friendly or pirate", "required": false},
        ],
    }]})
}

/// `resources/read`.
///
/// # Errors
/// When `uri` is missing or leads nowhere.
pub fn read_resource(params: &Value) -> Result<Value, ErrorObject> {
    let uri = text(params, "uri")?;
    let greeted = uri.strip_prefix(TEMPLATE_START).filter(|name| !name.is_empty() && !name.contains('/'));
    let (mime_type, content) = match greeted {
        _ if uri == "demo://readme" => ("text/markdown", README.to_owned()),
        Some(name) => ("text/plain", format!("Hello, {name}!")),
        None => {
            let message = format!("no resource `{uri}`: there are demo://readme and demo://greeting/{{name}}");
            return Err(ErrorObject { code: code::RESOURCE_NOT_FOUND, message, data: Some(json!({"uri": uri})) });
        }
    };
    Ok(json!({"contents": [{"uri": uri, "mimeType": mime_type, "text": content}]}))
}

/// `prompts/get`.
///
/// # Errors
/// When the prompt is unknown, or its arguments are missing or no strings.
pub fn get_prompt(params: &Value) -> Result<Value, ErrorObject> {
    let name = text(params, "name")?;
    if name != "greet" {
        return Err(invalid(format!("unknown prompt `{name}`: the only one is `greet`")));
    }
    let arguments = params.get("arguments").unwrap_or(&Value::Null);
    let whom = text(arguments, "name")?;
    let style = match arguments.get("style") {
        None | Some(Value::Null) => "friendly",
        Some(_) => text(arguments, "style")?,
    };
    Ok(json!({
        "description": "Asks the model to greet somebody in a style",
        "messages": [{"role": "user", "content": {"type": "text", "text": format!("Greet {whom} in a {style} style.")}}],
    }))
}

/// `completion/complete`.
///
/// # Errors
/// When the reference or the argument is not one that completes.
pub fn complete(params: &Value) -> Result<Value, ErrorObject> {
    let reference = params.get("ref").unwrap_or(&Value::Null);
    let argument = params.get("argument").unwrap_or(&Value::Null);
    let (name, start) = (text(argument, "name")?, text(argument, "value")?);
    let known: &[&str] = match (text(reference, "type")?, name) {
        ("ref/prompt", argument) if text(reference, "name")? == "greet" => match argument {
            "style" => &STYLES,
            "name" => &NAMES,
            _ => return Err(invalid(format!("prompt `greet` has no argument `{argument}`"))),
        },
        ("ref/resource", "name") if text(reference, "uri")? == "demo://greeting/{name}" => &NAMES,
        _ => return Err(invalid("only the arguments of prompt `greet` and `demo://greeting/{name}` complete")),
    };
    let start = start.to_lowercase();
    let values: Vec<&str> = known.iter().copied().filter(|value| value.to_lowercase().starts_with(&start)).collect();
    Ok(json!({"completion": {"total": values.len(), "hasMore": false, "values": values}}))
}

/// The string in `object[field]`.
fn text<'a>(object: &'a Value, field: &str) -> Result<&'a str, ErrorObject> {
    match object.get(field) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(invalid(format!("`{field}` must be a string, not {other}"))),
        None => Err(invalid(format!("`{field}` is missing"))),
    }
}

fn invalid(message: impl Into<String>) -> ErrorObject {
    ErrorObject::new(code::INVALID_PARAMS, message)
}
