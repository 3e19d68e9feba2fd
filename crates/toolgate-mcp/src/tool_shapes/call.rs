//! A model's call of a tool, in any of the three shapes, as the parameters of `tools/call`.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::depth::{self, MAX_DEPTH};
use crate::edit::Fields;
use crate::jsonrpc::{self, plain, quote};
use crate::views::{ViewError, object, object_field, optional_string, required, string};

/// The arguments stand two levels deep in a request.
const MAX_ARGUMENTS_DEPTH: usize = MAX_DEPTH - 2;

/// A call that a model wants made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The model API's id of the call, to answer it with.
    pub id: Option<String>,
    /// The tool's name.
    pub name: String,
    /// The arguments: the JSON text of an object.
    pub arguments: String,
}

/// Why something is no call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It has not the shape.
    #[error("not a tool call: {0}")]
    Shape(#[from] ViewError),
    /// The model's arguments are not the JSON of an object.
    #[error("the arguments for tool `{tool}` are not a JSON object: {why}")]
    Arguments {
        /// The tool's name.
        tool: String,
        /// What is wrong with them.
        why: String,
    },
}

impl Call {
    /// Reads an entry of a chat message's `tool_calls`: `{"id", "function": {"name", "arguments"}}`.
    ///
    /// # Errors
    /// [`CallError`]; arguments must be an object, or a string with the JSON of one. A blank string means none.
    pub fn read_openai_chat(json: &str) -> Result<Self, CallError> {
        #[derive(Deserialize)]
        struct Wire<'a> {
            #[serde(borrow)]
            id: Option<&'a RawValue>,
            #[serde(borrow)]
            function: Option<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct Function<'a> {
            #[serde(borrow)]
            name: Option<&'a RawValue>,
            #[serde(borrow)]
            arguments: Option<&'a RawValue>,
        }
        let wire: Wire<'_> = object(json)?;
        let function = required("function", object_field("function", wire.function)?)?;
        let function: Function<'_> = object(function.get())?;
        Self::new(("id", wire.id), ("function.name", function.name), function.arguments)
    }

    /// Reads an item of type `function_call` in a Responses output: `{"call_id", "name", "arguments"}`.
    ///
    /// # Errors
    /// As [`Self::read_openai_chat`].
    pub fn read_openai_responses(json: &str) -> Result<Self, CallError> {
        #[derive(Deserialize)]
        struct Wire<'a> {
            #[serde(borrow)]
            call_id: Option<&'a RawValue>,
            #[serde(borrow)]
            name: Option<&'a RawValue>,
            #[serde(borrow)]
            arguments: Option<&'a RawValue>,
        }
        let wire: Wire<'_> = object(json)?;
        Self::new(("call_id", wire.call_id), ("name", wire.name), wire.arguments)
    }

    /// Reads a content block of type `tool_use` of Anthropic: `{"id", "name", "input"}`.
    ///
    /// # Errors
    /// As [`Self::read_openai_chat`].
    pub fn read_anthropic(json: &str) -> Result<Self, CallError> {
        #[derive(Deserialize)]
        struct Wire<'a> {
            #[serde(borrow)]
            id: Option<&'a RawValue>,
            #[serde(borrow)]
            name: Option<&'a RawValue>,
            #[serde(borrow)]
            input: Option<&'a RawValue>,
        }
        let wire: Wire<'_> = object(json)?;
        Self::new(("id", wire.id), ("name", wire.name), wire.input)
    }

    /// The parameters of `tools/call`, JSON text.
    #[must_use]
    pub fn params(&self) -> String {
        format!(r#"{{"name":{},"arguments":{}}}"#, quote(&self.name), self.arguments)
    }

    fn new(
        (id_field, id): (&'static str, Option<&RawValue>),
        (name_field, name): (&'static str, Option<&RawValue>),
        arguments: Option<&RawValue>,
    ) -> Result<Self, CallError> {
        let name = string(name_field, name)?.1.into_owned();
        let id = optional_string(id_field, id)?.map(|(_, id)| id.into_owned());
        match read_arguments(arguments) {
            Ok(arguments) => Ok(Self { id, name, arguments }),
            Err(why) => Err(CallError::Arguments { tool: name, why }),
        }
    }
}

/// The text of the arguments, checked but not rewritten.
fn read_arguments(raw: Option<&RawValue>) -> Result<String, String> {
    let Some(raw) = raw else { return Ok("{}".to_owned()) };
    let text = if raw.get().starts_with('"') {
        jsonrpc::string(raw).ok_or("a string with half a character")?
    } else {
        raw.get().into()
    };
    let text = text.trim();
    // Models write nothing at all for a tool without parameters.
    if text.is_empty() {
        return Ok("{}".to_owned());
    }
    if !depth::within(text.as_bytes(), MAX_ARGUMENTS_DEPTH) {
        return Err(format!("nested deeper than {MAX_ARGUMENTS_DEPTH} levels"));
    }
    Fields::read(text).map_err(|error| plain(&error))?;
    Ok(text.to_owned())
}
