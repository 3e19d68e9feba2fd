//! Changing one field of a JSON text without touching the rest.
//!
//! Parsing a message into values and writing it out again loses big numbers, key order and duplicate keys, and costs
//! ten times a copy. Here the parts to change are found as borrowed slices, and the text is copied once around them.

use std::borrow::Cow;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::jsonrpc::quote;

/// Replacements in one JSON text, applied in one copy.
pub struct Edit<'a> {
    source: &'a str,
    cuts: Vec<Cut<'a>>,
}

struct Cut<'a> {
    start: usize,
    end: usize,
    text: Cow<'a, str>,
}

impl<'a> Edit<'a> {
    /// Begins an edit of `source`.
    #[must_use]
    pub fn new(source: &'a str) -> Self {
        Self { source, cuts: Vec::new() }
    }

    /// Replaces `part`, which must be a slice of the source (a `RawValue` borrowed from it), by `text`.
    ///
    /// # Panics
    /// When `part` does not lie inside the source.
    pub fn replace(&mut self, part: &str, text: impl Into<Cow<'a, str>>) -> &mut Self {
        let start = (part.as_ptr() as usize).wrapping_sub(self.source.as_ptr() as usize);
        let end = start.wrapping_add(part.len());
        assert!(start <= end && end <= self.source.len(), "the part to replace lies outside the text");
        self.cuts.push(Cut { start, end, text: text.into() });
        self
    }

    /// The text with all replacements made; the source itself when there are none.
    ///
    /// Overlapping replacements keep the one that starts first.
    #[must_use]
    pub fn finish(mut self) -> Cow<'a, str> {
        if self.cuts.is_empty() {
            return Cow::Borrowed(self.source);
        }
        self.cuts.sort_by_key(|cut| cut.start);
        let added: usize = self.cuts.iter().map(|cut| cut.text.len()).sum();
        let mut out = String::with_capacity(self.source.len() + added);
        let mut done = 0;
        for cut in &self.cuts {
            if cut.start < done {
                continue;
            }
            out.push_str(&self.source[done..cut.start]);
            out.push_str(&cut.text);
            done = cut.end;
        }
        out.push_str(&self.source[done..]);
        Cow::Owned(out)
    }
}

/// The fields of one JSON object in their order, values raw. A duplicate key is an error.
#[derive(Debug, Clone)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// Reads the top level of `json`.
    ///
    /// # Errors
    /// When `json` is not an object, or has a key twice.
    pub fn read(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The raw value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// The fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }

    /// The fields in their order, names and all.
    #[must_use]
    pub fn into_vec(self) -> Vec<(Cow<'a, str>, &'a RawValue)> {
        self.0
    }

    /// Whether the object has no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// More keys than this in one object are refused: nobody has that many, and each of them costs memory here.
const MAX_FIELDS: usize = 10_000;

/// Up to this many keys a linear look for duplicates is quicker than hashing.
const FEW_FIELDS: usize = 16;

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    if fields.len() == MAX_FIELDS {
                        return Err(de::Error::custom(format!("more than {MAX_FIELDS} fields in one object")));
                    }
                    fields.push((key, value));
                }
                match duplicate(&fields) {
                    Some(key) => Err(de::Error::custom(format!("duplicate field `{key}`"))),
                    None => Ok(Fields(fields)),
                }
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

fn duplicate<'f>(fields: &'f [(Cow<'_, str>, &RawValue)]) -> Option<&'f str> {
    if fields.len() <= FEW_FIELDS {
        let twice = |(at, (key, _)): (usize, &'f (Cow<'_, str>, &RawValue))| {
            fields[..at].iter().any(|(earlier, _)| earlier == key).then_some(key.as_ref())
        };
        return fields.iter().enumerate().find_map(twice);
    }
    let mut seen = std::collections::HashSet::with_capacity(fields.len());
    fields.iter().map(|(key, _)| key.as_ref()).find(|key| !seen.insert(*key))
}

/// An object key, borrowed when it has no escapes; serde's own `Cow` always copies.
pub(crate) struct Key<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

/// `object` with `key` set to `value` (JSON text): replaced where it stands, else added after the last field.
///
/// # Errors
/// When `object` is not a JSON object, or has a key twice.
pub fn set_field(object: &str, key: &str, value: &str) -> Result<String, serde_json::Error> {
    let fields = Fields::read(object)?;
    if let Some(old) = fields.get(key) {
        let mut edit = Edit::new(object);
        edit.replace(old.get(), value);
        return Ok(edit.finish().into_owned());
    }
    let (end, comma) = match fields.0.last() {
        Some((_, last)) => (end_in(object, last), ","),
        None => (after_brace(object), ""),
    };
    Ok(format!("{}{comma}{}:{value}{}", &object[..end], quote(key), &object[end..]))
}

/// `object` without `key`, every other byte kept; the same text when it has none.
///
/// # Errors
/// When `object` is not a JSON object, or has a key twice.
pub fn remove_field(object: &str, key: &str) -> Result<String, serde_json::Error> {
    let fields = Fields::read(object)?;
    let Some(place) = fields.0.iter().position(|(name, _)| name == key) else {
        return Ok(object.to_owned());
    };
    let end = end_in(object, fields.0[place].1);
    let (start, end) = match place.checked_sub(1) {
        // From the end of the field before: takes the comma between them along.
        Some(before) => (end_in(object, fields.0[before].1), end),
        // The first field takes the comma after it along, if another follows.
        None if fields.0.len() > 1 => (after_brace(object), end + object[end..].find(',').map_or(0, |comma| comma + 1)),
        None => (after_brace(object), end),
    };
    Ok(format!("{}{}", &object[..start], &object[end..]))
}

/// The raw value that `path` leads to through objects; `None` when a step is missing, or leads to no object.
///
/// # Errors
/// When `json` is no object, or an object on the way has a key twice.
pub fn get_at<'a>(json: &'a str, path: &[&str]) -> Result<Option<&'a RawValue>, serde_json::Error> {
    let Some((key, rest)) = path.split_first() else { return serde_json::from_str(json).map(Some) };
    match Fields::read(json)?.get(key) {
        Some(value) if rest.is_empty() => Ok(Some(value)),
        Some(value) if value.get().starts_with('{') => get_at(value.get(), rest),
        _ => Ok(None),
    }
}

/// `json` with the value that `path` leads to set to `value` (JSON text), every other byte kept.
///
/// Objects that are missing on the way are made, also in the place of `null`. A path without steps changes nothing.
///
/// # Errors
/// When something on the way is there and is no object, or has a key twice.
pub fn set_at(json: &str, path: &[&str], value: &str) -> Result<String, serde_json::Error> {
    let Some((key, rest)) = path.split_first() else { return Ok(json.to_owned()) };
    if rest.is_empty() {
        return set_field(json, key, value);
    }
    let inner = Fields::read(json)?.get(key).map(RawValue::get).filter(|inner| *inner != "null").unwrap_or("{}");
    set_field(json, key, &set_at(inner, rest, value)?)
}

/// `json` without the value that `path` leads to, every other byte kept; the same text when it leads nowhere.
///
/// # Errors
/// When `json` is no object, or an object on the way has a key twice.
pub fn remove_at<'a>(json: &'a str, path: &[&str]) -> Result<Cow<'a, str>, serde_json::Error> {
    let Some((key, way)) = path.split_last() else { return Ok(Cow::Borrowed(json)) };
    let Some(holder) = get_at(json, way)?.filter(|raw| raw.get().starts_with('{')) else {
        return Ok(Cow::Borrowed(json));
    };
    if Fields::read(holder.get())?.get(key).is_none() {
        return Ok(Cow::Borrowed(json));
    }
    let changed = remove_field(holder.get(), key)?;
    Ok(Cow::Owned(match way {
        [] => changed,
        _ => set_at(json, way, &changed)?,
    }))
}

/// `object` with those of `defaults` (JSON text) that it lacks, or has as `null`, in one copy.
///
/// # Errors
/// When `object` is no JSON object, or has a key twice.
pub fn add_missing<'a>(object: &'a str, defaults: &[(&str, &'a str)]) -> Result<Cow<'a, str>, serde_json::Error> {
    let fields = Fields::read(object)?;
    let lacking = |key: &str| fields.get(key).is_none_or(|value| value.get() == "null");
    Ok(write(object, &fields, defaults.iter().copied().filter(|(key, _)| lacking(key))))
}

/// `object` with all of `values` (JSON text) set, in one copy: replaced where they stand, else added after the last field.
///
/// # Errors
/// When `object` is not a JSON object, or has a key twice.
pub fn set_fields<'a>(object: &'a str, values: &[(&str, &'a str)]) -> Result<Cow<'a, str>, serde_json::Error> {
    Ok(write(object, &Fields::read(object)?, values.iter().copied()))
}

/// `object`, whose `fields` these are, with all of `values` set.
pub(crate) fn write<'a, 'v>(
    object: &'a str,
    fields: &Fields<'a>,
    values: impl Iterator<Item = (&'v str, &'a str)>,
) -> Cow<'a, str> {
    let mut edit = Edit::new(object);
    let mut added = String::new();
    for (key, value) in values {
        if let Some(old) = fields.get(key) {
            edit.replace(old.get(), value);
            continue;
        }
        if !(fields.is_empty() && added.is_empty()) {
            added.push(',');
        }
        added.push_str(&quote(key));
        added.push(':');
        added.push_str(value);
    }
    if !added.is_empty() {
        let end = fields.0.last().map_or_else(|| after_brace(object), |(_, last)| end_in(object, last));
        edit.replace(&object[end..end], added);
    }
    edit.finish()
}

/// Where `value`, a slice of `object`, ends in it.
fn end_in(object: &str, value: &RawValue) -> usize {
    value.get().as_ptr() as usize - object.as_ptr() as usize + value.get().len()
}

/// The place after the opening brace.
fn after_brace(object: &str) -> usize {
    object.find('{').map_or(0, |open| open + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_parts_and_keeps_every_other_byte() {
        let json = r#"{ "name" : "a-b", "n": 1e400,  "x":{"name":"a-b"} }"#;
        let fields = Fields::read(json).expect("an object");
        let mut edit = Edit::new(json);
        edit.replace(fields.get("x").expect("x").get(), "[]");
        edit.replace(fields.get("name").expect("name").get(), "\"b\"");
        assert_eq!(edit.finish(), r#"{ "name" : "b", "n": 1e400,  "x":[] }"#);
    }

    #[test]
    fn sets_and_removes_fields() {
        let cases = [
            (set_field("{}", "a", "1"), r#"{"a":1}"#),
            (set_field(r#"{"b":2 }"#, "a", "1"), r#"{"b":2,"a":1 }"#),
            (set_field(r#"{"a": 0}"#, "a", "1"), r#"{"a": 1}"#),
            (remove_field(r#"{"a":0,"b":1}"#, "a"), r#"{"b":1}"#),
            (set_field(" { \"b\" : {} } \n", "a", "1"), " { \"b\" : {},\"a\":1 } \n"),
            (set_field(r#"{"\u0061":0,"b":"}"}"#, "a", "1"), r#"{"\u0061":1,"b":"}"}"#),
            (remove_field(r#"{"b":1}"#, "a"), r#"{"b":1}"#),
            (remove_field(r#" { "a" : 0 } "#, "a"), r#" { } "#),
            (remove_field(r#"{ "a":"," , "\u0062" : 1e400 }"#, "a"), r#"{ "\u0062" : 1e400 }"#),
            (remove_field(r#"{"b":1 , "a":[1,2] ,"c":3}"#, "a"), r#"{"b":1 ,"c":3}"#),
            (remove_field(r#"{"b":{"a":1},"a":2 }"#, "a"), r#"{"b":{"a":1} }"#),
        ];
        for (got, expected) in cases {
            assert_eq!(got.expect("an object"), expected);
        }
    }

    #[test]
    fn finds_sets_and_removes_values_at_a_path() {
        let json = r#"{"a": {"b" :1e400, "c":null} ,"d":[1]}"#;
        assert_eq!(get_at(json, &["a", "b"]).expect("an object").map(RawValue::get), Some("1e400"));
        for missing in [&["a", "x"][..], &["x", "b"], &["d", "b"], &["a", "b", "x"]] {
            assert!(get_at(json, missing).expect("an object").is_none(), "{missing:?}");
            assert_eq!(remove_at(json, missing).expect("an object"), json, "{missing:?}");
        }
        let cases = [
            (set_at(json, &["a", "b"], "2"), r#"{"a": {"b" :2, "c":null} ,"d":[1]}"#),
            (set_at(json, &["a", "c", "x"], "2"), r#"{"a": {"b" :1e400, "c":{"x":2}} ,"d":[1]}"#),
            (set_at(json, &["e", "f", "g"], "2"), r#"{"a": {"b" :1e400, "c":null} ,"d":[1],"e":{"f":{"g":2}}}"#),
            (remove_at(json, &["a", "b"]).map(Cow::into_owned), r#"{"a": { "c":null} ,"d":[1]}"#),
            (remove_at(json, &["d"]).map(Cow::into_owned), r#"{"a": {"b" :1e400, "c":null}}"#),
        ];
        for (got, expected) in cases {
            assert_eq!(got.expect("an object"), expected);
        }
        assert!(set_at(json, &["d", "x"], "2").is_err());
        assert!(get_at(r#"{"a":{"b":1,"b":2}}"#, &["a", "b"]).is_err());
    }

    #[test]
    fn adds_only_what_is_missing() {
        let cases = [
            ("{ }", r#"{"a":1,"b":2 }"#),
            (r#"{"a":null}"#, r#"{"a":1,"b":2}"#),
            (r#"{"x":0,"b":null}"#, r#"{"x":0,"b":2,"a":1}"#),
            (r#"{"x":{} }"#, r#"{"x":{},"a":1,"b":2 }"#),
            (r#"{"b":0,"a":0}"#, r#"{"b":0,"a":0}"#),
        ];
        for (json, expected) in cases {
            assert_eq!(add_missing(json, &[("a", "1"), ("b", "2")]).expect("an object"), expected);
        }
        let set = set_fields(r#"{"b": 0,"x":1e400 }"#, &[("a", "1"), ("b", "2")]);
        assert_eq!(set.expect("an object"), r#"{"b": 2,"x":1e400,"a":1 }"#);
    }

    #[test]
    fn duplicate_keys_are_refused_however_they_are_spelled() {
        assert!(Fields::read(r#"{"a":1,"\u0061":2}"#).is_err());
        let many: Vec<String> = (0..100).map(|n| format!("\"k{n}\":0")).collect();
        assert!(Fields::read(&format!("{{{}}}", many.join(","))).is_ok());
        assert!(Fields::read(&format!("{{{},\"k7\":1}}", many.join(","))).is_err());
        assert!(Fields::read("[1]").is_err());
    }
}
