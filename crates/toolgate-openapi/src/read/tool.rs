//! An operation as an MCP tool.

use std::ops::Range;

use super::{Draft, Reader, body, parameters};
use crate::node::{Node, write_string};
use crate::schema::Written;

/// A tool's schemas as text.
pub(super) struct ToolSchemas {
    input: String,
    output: Option<String>,
}

/// A tool before it is written.
pub(super) struct Tool<'t, 'd> {
    pub(super) draft: &'t Draft<'d>,
    pub(super) name: &'t str,
    pub(super) schemas: &'t ToolSchemas,
}

impl Reader<'_> {
    /// The schemas of a tool.
    pub(super) fn tool_schemas(
        &self,
        parameters: &[parameters::Read],
        body: Option<&body::Read>,
        output: Option<&Written>,
        notes: &mut Vec<String>,
    ) -> Result<ToolSchemas, String> {
        let body = body.filter(|body| body.body.argument.is_some());
        let asked: Vec<(&str, &Written, bool)> = parameters
            .iter()
            .map(|read| (read.parameter.argument.as_str(), &read.schema, read.required))
            .chain(body.map(|read| (read.body.argument.as_deref().unwrap_or_default(), &read.schema, read.required)))
            .collect();
        let limits = self.documents.limits();
        let roots: Vec<&Written> = asked.iter().map(|(_, schema, _)| *schema).collect();
        let built = self.schemas.definitions(&roots, limits.input_schema_bytes, self.room.input);
        let built = built.map_err(|error| Self::in_schema("the arguments", &error))?;
        if built.cut > 0 {
            notes.push(format!("{} schemas of its arguments are named and not described", built.cut));
        }
        let output = output.and_then(|written| {
            let built = self.schemas.definitions(&[written], limits.output_schema_bytes, self.room.output);
            match built {
                Ok(built) => Some(with_definitions(&written.text, &built.members)),
                Err(error) => {
                    notes.push(format!("it does not say what it answers: {error}"));
                    None
                }
            }
        });
        Ok(ToolSchemas { input: input_schema(&asked, &built.members), output })
    }
}

fn input_schema(asked: &[(&str, &Written, bool)], definitions: &str) -> String {
    let mut out = String::from("{\"type\":\"object\",\"properties\":{");
    for (index, (name, schema, _)) in asked.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(name, &mut out);
        out.push(':');
        out.push_str(&schema.text);
    }
    out.push('}');
    let mut required = asked.iter().filter(|(_, _, required)| *required).map(|(name, _, _)| name).peekable();
    if required.peek().is_some() {
        out.push_str(",\"required\":[");
        for (index, name) in required.enumerate() {
            if index > 0 {
                out.push(',');
            }
            write_string(name, &mut out);
        }
        out.push(']');
    }
    out.push_str(",\"additionalProperties\":false}");
    with_definitions(&out, definitions)
}

fn with_definitions(schema: &str, definitions: &str) -> String {
    let Some(open) = schema.strip_suffix('}').filter(|_| !definitions.is_empty()) else { return schema.to_owned() };
    let comma = if open.ends_with('{') { "" } else { "," };
    format!("{open}{comma}\"$defs\":{{{definitions}}}}}")
}

impl Tool<'_, '_> {
    /// The tool as JSON text, and where its input schema is in it.
    pub(super) fn render(&self) -> (String, Range<usize>) {
        let mut out = String::from("{\"name\":");
        write_string(self.name, &mut out);
        let title = self.title();
        if let Some(title) = title {
            out.push_str(",\"title\":");
            write_string(title, &mut out);
        }
        out.push_str(",\"description\":");
        write_string(&self.description(), &mut out);
        out.push_str(",\"inputSchema\":");
        let start = out.len();
        out.push_str(&self.schemas.input);
        let end = out.len();
        if let Some(output) = &self.schemas.output {
            out.push_str(",\"outputSchema\":");
            out.push_str(output);
        }
        self.write_annotations(title, &mut out);
        self.write_meta(&mut out);
        out.push('}');
        (out, start..end)
    }

    fn title(&self) -> Option<&str> {
        let overlay = self.draft.overlay.and_then(|overlay| overlay.title.as_deref());
        let summary = self.draft.node.node.text_of("summary").map(str::trim).filter(|text| !text.is_empty());
        overlay.or(summary.filter(|text| text.len() <= 200))
    }

    /// LiteLLM says the summary, else the description, else method and path. Here both are said where there are both.
    fn description(&self) -> String {
        if let Some(text) = self.draft.overlay.and_then(|overlay| overlay.description.as_deref()) {
            return text.to_owned();
        }
        let said = |owner: &Node, key: &str| {
            owner.text_of(key).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let operation = self.draft.node.node;
        let of_nearest = |key: &str| self.draft.owners().rev().find_map(|owner| said(owner.node, key));
        let (summary, description) = (of_nearest("summary"), of_nearest("description"));
        let text = match (summary, description) {
            (Some(summary), Some(description)) if description.starts_with(&summary) => description,
            (Some(summary), Some(description)) => format!("{summary}\n\n{description}"),
            (Some(text), None) | (None, Some(text)) => text,
            (None, None) => format!("{} {}", self.draft.method, self.draft.path),
        };
        let end = text.floor_char_boundary(MAX_DESCRIPTION);
        let text = text[..end].trim_end();
        if operation.is_true("deprecated") { format!("Deprecated. {text}") } else { text.to_owned() }
    }

    fn write_annotations(&self, title: Option<&str>, out: &mut String) {
        out.push_str(",\"annotations\":{");
        if let Some(title) = title {
            out.push_str("\"title\":");
            write_string(title, out);
            out.push(',');
        }
        out.push_str(match self.draft.method.as_str() {
            "GET" | "HEAD" | "OPTIONS" | "QUERY" => "\"readOnlyHint\":true",
            "PUT" => "\"readOnlyHint\":false,\"idempotentHint\":true",
            "DELETE" => "\"readOnlyHint\":false,\"destructiveHint\":true,\"idempotentHint\":true",
            // What it changes is not known.
            _ => "\"readOnlyHint\":false",
        });
        out.push_str(",\"openWorldHint\":true}");
    }

    fn write_meta(&self, out: &mut String) {
        out.push_str(",\"_meta\":{\"toolgate/openapi\":{\"method\":");
        write_string(&self.draft.method, out);
        out.push_str(",\"path\":");
        write_string(self.draft.path, out);
        if !self.draft.tags.is_empty() {
            out.push_str(",\"tags\":[");
            for (index, tag) in self.draft.tags.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(tag, out);
            }
            out.push(']');
        }
        if self.draft.node.node.is_true("deprecated") {
            out.push_str(",\"deprecated\":true");
        }
        out.push_str("}}");
    }
}

const MAX_DESCRIPTION: usize = 16 * 1024;
