//! One operation of a REST API, as it is called.

use std::ops::Range;
use std::sync::OnceLock;

use url::Url;

use crate::check::Checker;

/// One operation, which is one tool.
#[derive(Debug)]
pub struct Operation {
    /// In capitals.
    pub method: String,
    /// As the description writes it, with `{name}` where arguments go.
    pub path: String,
    /// The tool's name: valid, and no other operation has it.
    pub name: String,
    /// `operationId`.
    pub operation_id: Option<String>,
    /// The description's tags, and the overlay's group.
    pub tags: Vec<String>,
    /// Whether the description calls it deprecated.
    pub deprecated: bool,
    /// What could not be given in full, for people.
    pub notes: Vec<String>,
    /// Names of security schemes: each list is one way to be let in, all of its names together.
    pub security: Vec<Vec<String>>,
    /// What LiteLLM calls the tool.
    pub(crate) spelling: String,
    pub(crate) tool: Box<str>,
    /// Where `inputSchema` is in `tool`.
    pub(crate) input: Range<usize>,
    pub(crate) template: Vec<Piece>,
    /// Written into the path itself.
    pub(crate) fixed_query: Option<String>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<Body>,
    /// Of the operation or its path; the API's is used where there is none.
    pub(crate) server: Option<Url>,
    pub(crate) accept: String,
    /// Made when the first call comes.
    pub(crate) checker: OnceLock<Checker>,
}

/// A piece of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Percent-encoded.
    Literal(String),
    /// The path parameter of this name.
    Variable(String),
}

/// A parameter and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// The tool's argument.
    pub(crate) argument: String,
    /// The API's word.
    pub(crate) name: String,
    pub(crate) place: In,
    pub(crate) style: Style,
    pub(crate) explode: bool,
    pub(crate) allow_reserved: bool,
    /// The value is written as JSON, whatever it is.
    pub(crate) json: bool,
    /// Form fields: the content of a file.
    pub(crate) file: bool,
}

/// Where a parameter goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum In {
    Path,
    Query,
    Header,
    Cookie,
    /// A field of the body, in 2.0.
    Form,
}

impl In {
    /// As it is put behind an argument's name that two places have.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Form => "form",
        }
    }
}

/// How lists and objects are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Simple,
    Label,
    Matrix,
    Form,
    Space,
    Pipe,
    /// `collectionFormat: tsv`
    Tab,
    Deep,
}

/// A request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Body {
    /// The tool's argument; none where the fields are arguments of their own.
    pub(crate) argument: Option<String>,
    pub(crate) media: Media,
    /// What is known of the fields of a form.
    pub(crate) fields: Vec<Field>,
}

/// What kind of body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Media {
    /// Of this media type.
    Json(String),
    /// `application/x-www-form-urlencoded`
    Form,
    /// `multipart/form-data`, or another of its kind.
    Multipart(String),
    /// Text of this media type.
    Text(String),
    /// Bytes; of this media type, unless the argument names one.
    Binary(Option<String>),
}

/// A field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) file: bool,
    /// `encoding.contentType`
    pub(crate) content_type: Option<String>,
    /// `encoding.style` and `encoding.explode`, where they are given.
    pub(crate) style: Option<(Style, bool)>,
    pub(crate) allow_reserved: bool,
}

impl Operation {
    /// The MCP tool as JSON text.
    #[must_use]
    pub fn tool(&self) -> &str {
        &self.tool
    }

    /// Whether `name` means this operation: its own name, or the one that LiteLLM gives it.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        name == self.name || litellm_form(name) == self.spelling || name == self.name.to_ascii_lowercase()
    }

    /// The name under which LiteLLM lists the operation.
    #[must_use]
    pub fn litellm_name(&self) -> &str {
        &self.spelling
    }
}

/// LiteLLM's form of an operation's name.
#[must_use]
pub fn litellm_form(name: &str) -> String {
    name.replace(' ', "_").to_lowercase()
}
