//! An MCP tool as the tools of model APIs, and a model's call as a call of an MCP tool.
//!
//! The shapes are LiteLLM's (`load_mcp_tools(format="openai")` and its relatives), so that a program sees the same tools
//! whichever of the two it asks. Schemas are spliced, not rebuilt: big numbers and key order stay. Two things differ:
//! arguments that are no JSON object are an error, where LiteLLM calls the tool without any; and old-style definitions
//! are moved to `$defs` for Anthropic, where LiteLLM copies each into every place that refers to it.
//!
//! Source: OpenAI Chat Completions and Responses, Anthropic Messages: function tools.

mod call;
mod definitions;

use serde_json::value::RawValue;

use crate::edit::{Fields, set_field};
use crate::jsonrpc::plain;
use crate::views::{Item, ViewError};

pub use call::{Call, CallError};

/// Why a tool cannot be shown to a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// It has no name.
    #[error("the tool has no `name`")]
    NoName,
    /// Its schema cannot be read.
    #[error("the `inputSchema` of tool `{tool}` cannot be used: {why}")]
    Schema {
        /// The tool's name.
        tool: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The tool as an entry of `tools` in OpenAI Chat Completions, JSON text.
///
/// # Errors
/// [`ToolError`] when the tool has no name, or a schema with a key twice.
pub fn openai_chat(tool: &Item<'_>) -> Result<String, ToolError> {
    let (name, description) = texts(tool)?;
    let parameters = openai_parameters(tool)?;
    Ok(format!(
        r#"{{"type":"function","function":{{"name":{name},"description":{description},"parameters":{parameters},"strict":false}}}}"#
    ))
}

/// The tool as an entry of `tools` in OpenAI Responses, JSON text.
///
/// # Errors
/// As [`openai_chat`].
pub fn openai_responses(tool: &Item<'_>) -> Result<String, ToolError> {
    let (name, description) = texts(tool)?;
    let parameters = openai_parameters(tool)?;
    Ok(format!(
        r#"{{"type":"function","name":{name},"description":{description},"parameters":{parameters},"strict":false}}"#
    ))
}

/// The tool as an entry of `tools` in Anthropic Messages, JSON text.
///
/// # Errors
/// As [`openai_chat`]; also when old-style definitions hold a number that no type can.
pub fn anthropic(tool: &Item<'_>) -> Result<String, ToolError> {
    let (name, description) = texts(tool)?;
    let schema = anthropic_schema(tool)?;
    Ok(format!(r#"{{"type":"custom","name":{name},"description":{description},"input_schema":{schema}}}"#))
}

/// The JSON texts of name and description; a missing description is empty, since model APIs want one.
fn texts<'a>(tool: &Item<'a>) -> Result<(&'a str, &'a str), ToolError> {
    Ok((tool.name_text.ok_or(ToolError::NoName)?, tool.description_text.unwrap_or(r#""""#)))
}

/// The input schema with what OpenAI wants of a function's parameters.
fn openai_parameters(tool: &Item<'_>) -> Result<String, ToolError> {
    let mut schema = tool.input_schema.map_or("{}", RawValue::get).to_owned();
    for (key, default) in [("type", r#""object""#), ("properties", "{}"), ("additionalProperties", "false")] {
        if fields(tool, &schema)?.get(key).is_none() {
            schema = set_field(&schema, key, default).map_err(|error| schema_error(tool, &error))?;
        }
    }
    Ok(schema)
}

/// The only keys that Anthropic admits at the top of a tool's schema.
const ANTHROPIC_KEYS: [&str; 6] = ["type", "properties", "additionalProperties", "required", "$defs", "strict"];

fn anthropic_schema(tool: &Item<'_>) -> Result<String, ToolError> {
    let raw = tool.input_schema.map_or("{}", RawValue::get);
    let moved = definitions::moved(raw, &fields(tool, raw)?).map_err(|error| schema_error(tool, &error))?;
    let fields = fields(tool, &moved)?;
    let mut kept = vec![r#""type":"object""#.to_owned()];
    if fields.get("properties").is_none() {
        kept.push(r#""properties":{}"#.to_owned());
    }
    for (key, value) in fields.iter() {
        if key != "type" && ANTHROPIC_KEYS.contains(&key) {
            kept.push(format!("\"{key}\":{value}"));
        }
    }
    Ok(format!("{{{}}}", kept.join(",")))
}

fn fields<'a>(tool: &Item<'_>, schema: &'a str) -> Result<Fields<'a>, ToolError> {
    Fields::read(schema).map_err(|error| schema_error(tool, &error))
}

fn schema_error(tool: &Item<'_>, error: &serde_json::Error) -> ToolError {
    let tool = tool.name.as_deref().unwrap_or_default().to_owned();
    ToolError::Schema { tool, why: plain(error) }
}

/// Reads a tool as it stands in `tools/list`, JSON text.
///
/// # Errors
/// [`ViewError`] when it is no tool.
pub fn read_tool(tool: &str) -> Result<Item<'_>, ViewError> {
    Item::read(tool, "tools")
}

#[cfg(test)]
mod tests;
