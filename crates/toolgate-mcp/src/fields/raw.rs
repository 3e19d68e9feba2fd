//! A raw value of text that is known to be one.

use serde::de::value::{BorrowedStrDeserializer, Error, MapDeserializer};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;

/// `text`, one JSON value without blanks around it, as a raw value; it is not parsed again.
///
/// `serde_json` hands text that it has parsed to its raw values as a map with that text in its one field, and takes it
/// in that form from any other deserializer. Should it ever ask for another form, this is `None`, and the caller has to
/// parse.
pub(super) fn checked(text: &str) -> Option<&RawValue> {
    <&RawValue>::deserialize(Checked(text)).ok()
}

struct Checked<'de>(&'de str);

impl<'de> Deserializer<'de> for Checked<'de> {
    type Error = Error;

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        let field = (name, BorrowedStrDeserializer::new(self.0));
        visitor.visit_map(MapDeserializer::new(std::iter::once(field)))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("only raw values are read here"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::checked;

    #[test]
    fn serde_json_takes_checked_text_as_a_raw_value() {
        assert_eq!(checked(r#"{"a": 1}"#).map(serde_json::value::RawValue::get), Some(r#"{"a": 1}"#));
    }
}
