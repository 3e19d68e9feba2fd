//! Some fields of one JSON object, raw: what envelopes and views read of a message.
//!
//! Well-formed text is read in one pass without `serde_json`, which takes several times as long; the time that a
//! message costs is mostly spent here. The scan only ever says «these are the fields» or nothing. What it does not
//! accept is read again by `serde_json`, which knows why, so every refusal and its text is `serde_json`'s.

mod raw;
mod scan;

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::edit::Key;

/// The values of `names` in the object `json`, in the order of `names`; `null` is a value.
///
/// # Errors
/// When `json` is not one JSON object, or one of `names` stands in it twice, however it is spelled. Other keys may.
pub(crate) fn pick<'a, const N: usize>(
    json: &'a str,
    names: [&'static str; N],
) -> Result<[Option<&'a RawValue>; N], serde_json::Error> {
    match quick(json, names) {
        Some(values) => Ok(values),
        None => slow(json, names),
    }
}

/// [`pick`], or `None` for what is wrong, nests deeper than [`crate::depth::MAX_DEPTH`] or has a key with an escape.
pub(crate) fn quick<'a, const N: usize>(json: &'a str, names: [&'static str; N]) -> Option<[Option<&'a RawValue>; N]> {
    let mut values = [None; N];
    scan::object(json, |key, value| {
        let Some(at) = names.iter().position(|name| *name == key) else {
            // It may be one of the names in disguise.
            return !key.as_bytes().contains(&b'\\');
        };
        let earlier = values[at].replace(value);
        earlier.is_none()
    })?;
    let mut raws = [None; N];
    for (raw, value) in raws.iter_mut().zip(values) {
        if let Some(value) = value {
            *raw = Some(raw::checked(value)?);
        }
    }
    Some(raws)
}

/// [`pick`] by `serde_json`.
pub(crate) fn slow<'a, const N: usize>(
    json: &'a str,
    names: [&'static str; N],
) -> Result<[Option<&'a RawValue>; N], serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let values = Picker(names).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(values)
}

struct Picker<const N: usize>([&'static str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Picker<N> {
    type Value = [Option<&'de RawValue>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Picker<N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = [None; N];
        while let Some(Key(key)) = map.next_key()? {
            let Some(at) = self.0.iter().position(|name| *name == key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if values[at].is_some() {
                return Err(de::Error::duplicate_field(self.0[at]));
            }
            values[at] = Some(map.next_value()?);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests;
