//! Which arguments of a tool travel in `Mcp-Param-*` headers as well, and what these say.
//!
//! A server marks a property of a tool's `inputSchema` with `x-mcp-header`. A tool with a mark that breaks the rules
//! must not be listed: its callers could not know which headers the server wants to see.
//!
//! Source: MCP 2026-07-28, Streamable HTTP, Custom Headers from Tool Parameters.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{encode, number};
use crate::depth::MAX_DEPTH;
use crate::edit::Fields;
use crate::jsonrpc::{self, string};
use crate::views::ViewError;

const MARK: &str = "x-mcp-header";

/// The marked arguments of one tool. Most tools have none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParamHeaders {
    properties: Vec<Property>,
}

/// A property with a mark, or with marked ones somewhere inside.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Property {
    name: Box<str>,
    /// The whole name of its header, such as `Mcp-Param-Region`.
    header: Option<Box<str>>,
    properties: Vec<Property>,
}

/// Why the marks of a tool cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// A mark that is no name of a header.
    #[error("`x-mcp-header` of `{property}` must be a header's name, of letters, digits and !#$%&'*+-.^_`|~")]
    Name {
        /// The property's path, joined by dots.
        property: String,
    },
    /// A mark on something that no header can say.
    #[error("`x-mcp-header` of `{property}` needs the type `string`, `integer` or `boolean`")]
    Type {
        /// The property's path, joined by dots.
        property: String,
    },
    /// Two properties with one header.
    #[error("`x-mcp-header` `{name}` of `{property}` is another property's as well")]
    Twice {
        /// The property's path, joined by dots.
        property: String,
        /// The name.
        name: String,
    },
    /// A mark where no argument's place is certain.
    #[error("`x-mcp-header` in `{place}` is not reached from the top through `properties` alone")]
    Place {
        /// The path in the schema, joined by dots.
        place: String,
    },
    /// A schema that cannot be looked through.
    #[error("the schema cannot be read: {0}")]
    Unreadable(String),
}

impl ParamHeaders {
    /// Reads the marks in a tool's `inputSchema`.
    ///
    /// # Errors
    /// [`AnnotationError`] when a mark breaks the rules; the tool is then invalid over Streamable HTTP.
    pub fn read(input_schema: &RawValue) -> Result<Self, AnnotationError> {
        let text = input_schema.get();
        // Most schemas have no mark, and need not be walked. Escapes of its characters begin like this.
        if !text.contains(MARK) && !text.contains("\\u00") {
            return Ok(Self::default());
        }
        let mut reader = Reader::default();
        let properties = reader.properties_of(text, true)?.1;
        Ok(Self { properties })
    }

    /// Whether no argument is marked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.properties.is_empty()
    }

    /// The headers of a call with these `arguments`, values encoded.
    ///
    /// An argument that is absent, `null`, an array or an object has none.
    ///
    /// # Errors
    /// [`ViewError`] when an object on the way to a marked argument has a key twice.
    pub fn of_call(&self, arguments: Option<&RawValue>) -> Result<Vec<(&str, String)>, ViewError> {
        let mut headers = Vec::new();
        self.visit(arguments, |header, _, value| {
            if let Some(text) = value.and_then(plain) {
                headers.push((header, encode(&text).into_owned()));
            }
        })?;
        Ok(headers)
    }

    /// Whether `header`, in any case, is one of these.
    #[must_use]
    pub fn knows(&self, header: &str) -> bool {
        fn among(properties: &[Property], header: &str) -> bool {
            properties.iter().any(|property| {
                property.header.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(header))
                    || among(&property.properties, header)
            })
        }
        among(&self.properties, header)
    }

    /// Shows each header with the property's name and its value in `arguments`.
    pub(super) fn visit<'s, 'a>(
        &'s self,
        arguments: Option<&'a RawValue>,
        mut each: impl FnMut(&'s str, &'s str, Option<&'a RawValue>),
    ) -> Result<(), ViewError> {
        visit(&self.properties, arguments, &mut each)
    }
}

fn visit<'s, 'a>(
    properties: &'s [Property],
    object: Option<&'a RawValue>,
    each: &mut dyn FnMut(&'s str, &'s str, Option<&'a RawValue>),
) -> Result<(), ViewError> {
    if properties.is_empty() {
        return Ok(());
    }
    let object = object.filter(|raw| raw.get().starts_with('{'));
    let fields = object.map(|raw| Fields::read(raw.get())).transpose();
    let fields = fields.map_err(|error| ViewError::Json(jsonrpc::plain(&error)))?;
    for property in properties {
        let value = fields.as_ref().and_then(|fields| fields.get(&property.name));
        if let Some(header) = &property.header {
            each(header, &property.name, value.filter(|raw| raw.get() != "null"));
        }
        visit(&property.properties, value, each)?;
    }
    Ok(())
}

/// What a header says of a value; `None` when no header can.
pub(super) fn plain(value: &RawValue) -> Option<Cow<'_, str>> {
    match value.get().as_bytes().first()? {
        b'"' => string(value),
        b't' | b'f' => Some(Cow::Borrowed(value.get())),
        b'-' | b'0'..=b'9' => Some(number::decimal(value.get())),
        _ => None,
    }
}

/// Walks one schema.
#[derive(Default)]
struct Reader {
    /// The way to the schema that is being read.
    path: Vec<String>,
    /// The names found, in lower case.
    seen: Vec<String>,
}

impl Reader {
    /// The mark of `schema` itself as a header, and the properties with marks in it.
    ///
    /// `certain` says that the way here went through `properties` alone.
    fn properties_of(
        &mut self,
        schema: &str,
        certain: bool,
    ) -> Result<(Option<Box<str>>, Vec<Property>), AnnotationError> {
        if self.path.len() > MAX_DEPTH {
            return Err(AnnotationError::Unreadable(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        if !schema.starts_with('{') {
            self.look_into(schema)?;
            return Ok((None, Vec::new()));
        }
        let fields = read(schema)?;
        let header = fields.get(MARK).map(|mark| self.header(mark, fields.get("type"), certain)).transpose()?;
        let mut marked = Vec::new();
        for (key, value) in fields.iter() {
            match key {
                MARK | "default" | "const" | "enum" | "examples" => {}
                "properties" => marked = self.marked_among(value, certain)?,
                // Maps from names to schemas: a name is no keyword, whatever it is.
                "$defs" | "definitions" | "dependentSchemas" | "patternProperties" => {
                    self.within(key, |reader| reader.marked_among(value, false)).map(drop)?;
                }
                _ => self.within(key, |reader| reader.properties_of(value.get(), false)).map(drop)?,
            }
        }
        Ok((header, marked))
    }

    /// The marked ones of a map from names to schemas.
    fn marked_among(&mut self, map: &RawValue, certain: bool) -> Result<Vec<Property>, AnnotationError> {
        if !map.get().starts_with('{') {
            return Ok(Vec::new());
        }
        let mut marked = Vec::new();
        for (name, schema) in read(map.get())?.iter() {
            let (header, properties) = self.within(name, |reader| reader.properties_of(schema.get(), certain))?;
            if header.is_some() || !properties.is_empty() {
                marked.push(Property { name: name.into(), header, properties });
            }
        }
        Ok(marked)
    }

    /// Looks for marks in what is no schema itself, but may be a list of some.
    fn look_into(&mut self, value: &str) -> Result<(), AnnotationError> {
        if !value.starts_with('[') {
            return Ok(());
        }
        let items: Vec<&RawValue> = serde_json::from_str(value).map_err(|error| unreadable(&error))?;
        for (at, item) in items.into_iter().enumerate() {
            self.within(&at.to_string(), |reader| reader.properties_of(item.get(), false))?;
        }
        Ok(())
    }

    fn header(&mut self, mark: &RawValue, kind: Option<&RawValue>, certain: bool) -> Result<Box<str>, AnnotationError> {
        if self.path.is_empty() {
            return Err(AnnotationError::Place { place: "the schema itself".to_owned() });
        }
        let property = self.path.join(".");
        if !certain {
            return Err(AnnotationError::Place { place: property });
        }
        let Some(name) = string(mark).filter(|name| !name.is_empty() && name.bytes().all(is_tchar)) else {
            return Err(AnnotationError::Name { property });
        };
        if !matches!(kind.map(RawValue::get), Some(r#""string""# | r#""integer""# | r#""boolean""#)) {
            return Err(AnnotationError::Type { property });
        }
        let lower = name.to_ascii_lowercase();
        if self.seen.contains(&lower) {
            return Err(AnnotationError::Twice { property, name: name.into_owned() });
        }
        self.seen.push(lower);
        Ok(format!("Mcp-Param-{name}").into())
    }

    fn within<T>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step.to_owned());
        let outcome = read(self);
        self.path.pop();
        outcome
    }
}

fn read(object: &str) -> Result<Fields<'_>, AnnotationError> {
    Fields::read(object).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> AnnotationError {
    AnnotationError::Unreadable(jsonrpc::plain(error))
}

/// RFC 9110 section 5.6.2.
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
