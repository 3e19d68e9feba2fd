//! The JSON Schema of the configuration file, for editors. `config.schema.json` at the root of the repository is this,
//! kept fresh by a test.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::file::File;

/// The schema, draft 2020-12.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<File>().to_value();
    accept_references(&mut schema);
    schema
}

/// Any number or boolean may also be written as `os.environ/NAME`.
fn accept_references(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(kinds) = object.get("type").map(types)
                && kinds.iter().any(|kind| matches!(kind.as_str(), "number" | "integer" | "boolean"))
                && !kinds.iter().any(|kind| kind == "string")
            {
                let kinds: Vec<String> = kinds.into_iter().chain(["string".to_owned()]).collect();
                object.insert("type".to_owned(), json!(kinds));
                object.insert("pattern".to_owned(), json!("^os\\.environ/"));
            }
            object.values_mut().for_each(accept_references);
        }
        Value::Array(items) => items.iter_mut().for_each(accept_references),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn types(value: &Value) -> Vec<String> {
    match value {
        Value::String(kind) => vec![kind.clone()],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}
