//! From the located tree to the plain structs of [`super::file`], reporting every value of the wrong type.
//!
//! Serde stops at the first error, so the value that is wrong is set aside and the struct is read again until it can
//! be: each pass reports one. The structs' own field lists tell which keys are known, so that list cannot drift.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::file::NO_SLIPS;
use super::report::{At, Report, path_segment};
use super::suggest::{distance, nearest};
use super::tree::{Entry, Node, Span, Value};

/// Reads `T` at `at`. What cannot be read is reported and left out.
pub(crate) fn read<T: DeserializeOwned + Default>(at: &At<'_>, report: &mut Report, unknown: UnknownKeys) -> T {
    let Some(node) = at.node.filter(|node| !node.is_null()) else { return T::default() };
    let context = Context { path: RefCell::new(vec![at.path.clone()]), ..Context::default() };
    loop {
        context.unknown.borrow_mut().clear();
        match T::deserialize(Reader { node, context: &context }) {
            Ok(value) => {
                report_unknown(context.unknown.take(), report, unknown);
                return value;
            }
            Err(error) => {
                let setting =
                    error.setting.unwrap_or(Setting { path: at.path.clone(), node: id(node), span: node.span });
                let place = At::variable(&setting.path).with_span(setting.span);
                let finding = report.error(error.code, &place, error.message);
                if let Some(help) = error.help {
                    finding.help(help);
                }
                let new = context.set_aside.borrow_mut().insert(setting.node);
                if setting.node == id(node) || !new {
                    return T::default();
                }
            }
        }
    }
}

/// What to say about keys that no struct has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnknownKeys {
    /// Each is a warning.
    Warn,
    /// Only those that are nearly a known key or speak of MCP: LiteLLM has hundreds more in this section.
    WarnIfClose,
}

fn report_unknown(unknown: Vec<Unknown>, report: &mut Report, policy: UnknownKeys) {
    for Unknown { path, key, span, near } in unknown {
        let is_slip = near.is_some_and(|near| distance(&key, near) <= 1) && !NO_SLIPS.contains(&key.as_str());
        let close = is_slip || key.to_ascii_lowercase().contains("mcp");
        if policy == UnknownKeys::WarnIfClose && !close {
            continue;
        }
        let at = At::variable(&path).with_span(span);
        let finding = report.warning("config.unknown_key", &at, "unknown key; it has no effect");
        if let Some(near) = near {
            finding.help(format!("did you mean `{near}`?"));
        }
    }
}

#[derive(Default)]
struct Context {
    path: RefCell<Vec<String>>,
    set_aside: RefCell<HashSet<usize>>,
    unknown: RefCell<Vec<Unknown>>,
}

struct Unknown {
    path: String,
    key: String,
    span: Span,
    near: Option<&'static str>,
}

impl Context {
    fn is_set_aside(&self, node: &Node) -> bool {
        self.set_aside.borrow().contains(&id(node))
    }

    fn path(&self) -> String {
        self.path.borrow().concat()
    }

    /// Reads a part of the present value, noting the setting in an error that comes out of it.
    fn inside<T>(
        &self,
        segment: String,
        node: &Node,
        read: impl FnOnce() -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        self.path.borrow_mut().push(segment);
        let result =
            read().map_err(|error| error.at(|| Setting { path: self.path(), node: id(node), span: node.span }));
        self.path.borrow_mut().pop();
        result
    }
}

/// Nodes are compared by where they are in memory: the tree does not move while it is read.
fn id(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

/// Why a value could not be read.
#[derive(Debug)]
struct ReadError {
    code: &'static str,
    message: String,
    help: Option<String>,
    setting: Option<Setting>,
}

#[derive(Debug)]
struct Setting {
    path: String,
    node: usize,
    span: Span,
}

impl ReadError {
    fn new(code: &'static str, message: String) -> Self {
        Self { code, message, help: None, setting: None }
    }

    fn wrong_type(value: &Value, expected: &str) -> Self {
        let error = Self::new("config.wrong_type", format!("expected {expected}, found {}", value.describe()));
        let help = match (expected, value) {
            ("a text", Value::Bool(_) | Value::Number(_)) => "put the value in quotes",
            ("a text", _) => "write one text, such as `name: value`",
            ("a list", _) => "write a list, such as `[one, two]`",
            ("a number", _) => "write a number, such as `30`",
            ("a mapping", _) => "write lines of `key: value` below it",
            _ => "write `true` or `false`",
        };
        Self { help: Some(help.to_owned()), ..error }
    }

    fn at(self, setting: impl FnOnce() -> Setting) -> Self {
        Self { setting: Some(self.setting.unwrap_or_else(setting)), ..self }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

impl serde::de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new("config.invalid", message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Str(_) => "a text".to_owned(),
            Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
            Unexpected::Map => "a mapping".to_owned(),
            Unexpected::Seq => "a list".to_owned(),
            other => other.to_string(),
        };
        Self::new("config.wrong_type", format!("expected {expected}, found {found}"))
    }

    fn invalid_value(_found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new("config.out_of_range", format!("the value is not {expected}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let choices: Vec<String> = expected.iter().map(|choice| format!("`{choice}`")).collect();
        let help = match nearest(variant, expected.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? Possible: {}", choices.join(", ")),
            None => format!("possible: {}", choices.join(", ")),
        };
        Self { help: Some(help), ..Self::new("config.unknown_value", format!("unknown value `{variant}`")) }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("config.missing_key", format!("`{field}` is missing"))
    }
}

#[derive(Clone, Copy)]
struct Reader<'t> {
    node: &'t Node,
    context: &'t Context,
}

impl<'t> Reader<'t> {
    fn wrong(self, expected: &str) -> ReadError {
        ReadError::wrong_type(&self.node.value, expected)
    }

    fn read_bool(self) -> Result<bool, ReadError> {
        let text = match &self.node.value {
            Value::Bool(value) => return Ok(*value),
            // Values out of the environment are always text, and LiteLLM reads `"true"` as true.
            Value::Text(text) => text.trim().to_ascii_lowercase(),
            Value::Number(number) => number.to_string(),
            _ => return Err(self.wrong("true or false")),
        };
        match text.as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err(self.wrong("true or false")),
        }
    }

    fn read_number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let parsed: Option<serde_json::Number> = match &self.node.value {
            Value::Number(number) => Some(number.clone()),
            Value::Text(text) => serde_json::from_str(text.trim()).ok(),
            _ => None,
        };
        let Some(number) = parsed else { return Err(self.wrong("a number")) };
        if let Some(value) = number.as_u64() {
            visitor.visit_u64(value)
        } else if let Some(value) = number.as_i64() {
            visitor.visit_i64(value)
        } else {
            visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
        }
    }

    fn map_access(self, fields: Option<&'static [&'static str]>) -> Result<Entries<'t>, ReadError> {
        let Value::Map(entries) = &self.node.value else { return Err(self.wrong("a mapping")) };
        Ok(Entries { node: self.node, rest: entries.iter(), fields, present: None, context: self.context })
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::Null | Value::Unset(_) => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(_) => self.read_number(visitor),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_bool(self.read_bool()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::Text(text) => visitor.visit_str(text),
            _ => Err(self.wrong("a text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_number(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_number(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_number(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let Value::List(items) = &self.node.value else { return Err(self.wrong("a list")) };
        visitor.visit_seq(Items { rest: items.iter().enumerate(), context: self.context })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_map(self.map_access(None)?)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_map(self.map_access(Some(fields))?)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::Text(text) => visitor.visit_enum(UnitVariant(text)),
            _ => Err(self.wrong("a text")),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
        ignored_any
    }
}

struct UnitVariant<'t>(&'t str);

impl<'de, 't> EnumAccess<'de> for UnitVariant<'t> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), ReadError> {
        let name: StrDeserializer<'t, ReadError> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for UnitVariant<'_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _seed: T) -> Result<T::Value, ReadError> {
        Err(serde::de::Error::custom("expected a name alone"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, ReadError> {
        Err(serde::de::Error::custom("expected a name alone"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _visitor: V) -> Result<V::Value, ReadError> {
        Err(serde::de::Error::custom("expected a name alone"))
    }
}

/// The items of a list, without those set aside and those that are null.
struct Items<'t> {
    rest: std::iter::Enumerate<std::slice::Iter<'t, Node>>,
    context: &'t Context,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let context = self.context;
        let Some((index, node)) = self.rest.find(|(_, node)| !context.is_set_aside(node) && !is_unset(node)) else {
            return Ok(None);
        };
        context.inside(format!("[{index}]"), node, || seed.deserialize(Reader { node, context }).map(Some))
    }
}

fn is_unset(node: &Node) -> bool {
    matches!(node.value, Value::Unset(_))
}

/// The entries of a mapping, without those set aside and, for a struct, those it does not know.
struct Entries<'t> {
    node: &'t Node,
    rest: std::slice::Iter<'t, Entry>,
    fields: Option<&'static [&'static str]>,
    present: Option<&'t Entry>,
    context: &'t Context,
}

impl<'t> Entries<'t> {
    fn next_entry(&mut self) -> Option<&'t Entry> {
        let mut rest = self.rest.clone();
        let entry = rest.find(|entry| self.counts(entry));
        self.rest = rest;
        entry
    }

    fn counts(&self, entry: &Entry) -> bool {
        let is_last = self.node.get(&entry.key).is_some_and(|last| std::ptr::eq(last, entry));
        if !is_last || is_unset(&entry.node) || self.context.is_set_aside(&entry.node) {
            return false;
        }
        let Some(fields) = self.fields else { return true };
        if fields.contains(&entry.key.as_str()) {
            return true;
        }
        self.context.unknown.borrow_mut().push(Unknown {
            path: self.context.path() + &segment(&self.context.path(), &entry.key),
            key: entry.key.clone(),
            span: entry.key_span,
            near: nearest(&entry.key, fields.iter().copied()),
        });
        false
    }
}

fn segment(path: &str, key: &str) -> String {
    let dot = if path.is_empty() { "" } else { "." };
    format!("{dot}{}", path_segment(key))
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some(entry) = self.next_entry() else { return Ok(None) };
        self.present = Some(entry);
        let key: StrDeserializer<'_, ReadError> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let entry = self.present.take().expect("serde asks for a value only after its key");
        let (node, context) = (&entry.node, self.context);
        let segment = segment(&context.path(), &entry.key);
        context.inside(segment, node, || seed.deserialize(Reader { node, context }))
    }
}
