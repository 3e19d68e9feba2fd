//! What is known about a key beyond its type, read from the JSON Schema of [`super::file`] so that it cannot drift.

use std::collections::BTreeMap;

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

/// The keys of one struct.
pub(crate) struct Keys(BTreeMap<String, Key>);

struct Key {
    active: bool,
    default: Option<Value>,
}

impl Keys {
    /// The keys of `T`.
    pub(crate) fn of<T: JsonSchema>() -> Self {
        let schema = SchemaGenerator::default().into_root_schema_for::<T>().to_value();
        let properties = schema.get("properties").and_then(Value::as_object);
        let keys = properties.into_iter().flatten().map(|(name, property)| {
            let key = Key { active: property.get("x-status").is_none(), default: property.get("default").cloned() };
            (name.clone(), key)
        });
        Self(keys.collect())
    }

    /// Whether the gateway acts on `key`; `None` when it does not know it.
    pub(crate) fn is_active(&self, key: &str) -> Option<bool> {
        self.0.get(key).map(|key| key.active)
    }

    /// Whether `value` is what `key` means when it is absent.
    pub(crate) fn is_default(&self, key: &str, value: &Value) -> bool {
        self.0.get(key).is_some_and(|key| key.default.as_ref() == Some(value))
    }

    /// Their names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
