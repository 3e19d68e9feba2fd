//! Whether the headers of a request say what its body says.
//!
//! Whoever acts on a body must refuse a request whose headers say something else: somebody on the way may have let it
//! through for what the headers said.
//!
//! Source: MCP 2026-07-28, Streamable HTTP, Server Validation.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::params::{ParamHeaders, plain};
use super::{METHOD, NAME, PARAM_PREFIX, ValueError, decode, mcp_name, number};
use crate::jsonrpc::code;
use crate::views::ViewError;

/// The headers of one request that repeat something of its body.
#[derive(Debug, Clone)]
pub struct Received<'a>(Vec<(&'a str, &'a [u8])>);

/// How headers and body differ. The text is for the person who sent them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// A header that the body asks for.
    #[error("the header `{header}` is missing; the body says `{expected}`")]
    Missing {
        /// Its name.
        header: String,
        /// What it must say, shortened.
        expected: String,
    },
    /// A header that stands there more than once: two readers may believe two values.
    #[error("the header `{header}` is there more than once")]
    Twice {
        /// Its name.
        header: String,
    },
    /// A header whose value is no text.
    #[error("the header `{header}` {why}")]
    Malformed {
        /// Its name.
        header: String,
        /// What is wrong with it.
        why: ValueError,
    },
    /// A header with another value than the body.
    #[error("the header `{header}` says `{found}`; the body says `{expected}`")]
    Differs {
        /// Its name.
        header: String,
        /// What it says, decoded and shortened.
        found: String,
        /// What it must say, shortened.
        expected: String,
    },
    /// A header for an argument that the body does not have.
    #[error("the header `{header}` is there, but the body has no `{property}`")]
    Unexpected {
        /// Its name.
        header: String,
        /// The argument's name.
        property: String,
    },
    /// The body itself is wrong.
    #[error(transparent)]
    Body(#[from] ViewError),
}

impl Mismatch {
    /// The JSON-RPC code that says so; the HTTP status is 400 for all of them.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Missing { .. }
            | Self::Twice { .. }
            | Self::Malformed { .. }
            | Self::Differs { .. }
            | Self::Unexpected { .. } => code::HEADER_MISMATCH,
            Self::Body(_) => code::INVALID_PARAMS,
        }
    }
}

impl<'a> Received<'a> {
    /// Keeps those of all `headers` (names in any case) that repeat something of a body.
    pub fn new(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let repeats =
            |name: &str| name.eq_ignore_ascii_case(METHOD) || name.eq_ignore_ascii_case(NAME) || is_param(name);
        Self(headers.into_iter().filter(|(name, _)| repeats(name)).collect())
    }

    /// The `Mcp-Param-*` headers that `known` does not know. They are not checked, but passed on.
    pub fn unknown_params(&self, known: &ParamHeaders) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.0.iter().copied().filter(|(name, _)| is_param(name) && !known.knows(name))
    }

    /// The only value of the header called `name`.
    fn one(&self, name: &str) -> Result<Option<&'a [u8]>, Mismatch> {
        let mut values = self.0.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
        let first = values.next();
        match values.next() {
            Some(_) => Err(Mismatch::Twice { header: shown(name) }),
            None => Ok(first),
        }
    }

    /// The only value of the header called `name`, decoded.
    fn decoded(&self, name: &str) -> Result<Option<Cow<'a, str>>, Mismatch> {
        let Some(value) = self.one(name)? else { return Ok(None) };
        decode(value).map(Some).map_err(|why| Mismatch::Malformed { header: shown(name), why })
    }
}

/// Checks `Mcp-Method` and `Mcp-Name` against the body.
///
/// A body that lacks the value which `Mcp-Name` repeats passes: its method will refuse it, and can say why.
///
/// # Errors
/// [`Mismatch`] as its variants say.
pub fn check(received: &Received<'_>, method: &str, params: Option<&RawValue>) -> Result<(), Mismatch> {
    match received.one(METHOD)? {
        None => return Err(Mismatch::Missing { header: shown(METHOD), expected: short(method) }),
        Some(value) if value.trim_ascii() != method.as_bytes() => {
            let found = short(&String::from_utf8_lossy(value));
            return Err(Mismatch::Differs { header: shown(METHOD), found, expected: short(method) });
        }
        Some(_) => {}
    }
    let Some(expected) = mcp_name(method, params)? else { return Ok(()) };
    match received.decoded(NAME)? {
        None => Err(Mismatch::Missing { header: shown(NAME), expected: short(&expected) }),
        Some(found) if found != expected => {
            Err(Mismatch::Differs { header: shown(NAME), found: short(&found), expected: short(&expected) })
        }
        Some(_) => Ok(()),
    }
}

/// Checks the `Mcp-Param-*` headers of a call of the tool that `headers` belongs to.
///
/// # Errors
/// [`Mismatch`] as its variants say, the first in the order of the schema.
pub fn check_params(
    received: &Received<'_>,
    headers: &ParamHeaders,
    arguments: Option<&RawValue>,
) -> Result<(), Mismatch> {
    let mut outcome = Ok(());
    headers.visit(arguments, |header, property, value| {
        if outcome.is_ok() {
            outcome = check_param(received, header, property, value);
        }
    })?;
    outcome
}

fn check_param(
    received: &Received<'_>,
    header: &str,
    property: &str,
    value: Option<&RawValue>,
) -> Result<(), Mismatch> {
    let found = received.decoded(header)?;
    let Some((value, expected)) = value.and_then(|value| Some((value.get(), plain(value)?))) else {
        return match found {
            None => Ok(()),
            Some(_) => Err(Mismatch::Unexpected { header: header.to_owned(), property: property.to_owned() }),
        };
    };
    let is_number = !value.starts_with(['"', 't', 'f']);
    match found {
        // Clients in languages without big integers cannot write this one, and leave it out.
        None if is_number && !number::is_safe_integer(value) => Ok(()),
        None => Err(Mismatch::Missing { header: header.to_owned(), expected: short(&expected) }),
        Some(found) if found == expected || (is_number && number::same(&found, value)) => Ok(()),
        Some(found) => {
            Err(Mismatch::Differs { header: header.to_owned(), found: short(&found), expected: short(&expected) })
        }
    }
}

fn is_param(name: &str) -> bool {
    name.get(..PARAM_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PARAM_PREFIX))
}

/// The name of a header as the specification writes it.
fn shown(name: &str) -> String {
    match name {
        METHOD => "Mcp-Method".to_owned(),
        NAME => "Mcp-Name".to_owned(),
        _ => name.to_owned(),
    }
}

/// At most this much of a value goes into an error.
const SHOWN_CHARS: usize = 100;

fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
