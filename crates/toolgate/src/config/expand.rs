//! Replaces `os.environ/NAME` by the variable's value, everywhere in the tree.
//!
//! LiteLLM does so for mapping values and leaves list items alone; here both are replaced. A variable that is not set
//! becomes [`Value::Unset`], which reads as null and is reported where the setting matters.

use super::environment::Environment;
use super::tree::{Node, Value};

const MARK: &str = "os.environ/";

/// Replaces every reference under `node`.
pub(crate) fn expand(node: &mut Node, environment: &Environment) {
    match &mut node.value {
        Value::Text(text) => {
            if let Some(name) = text.strip_prefix(MARK) {
                node.value = match environment.get_even_empty(name.trim()) {
                    Some(value) => Value::Text(value.to_owned()),
                    None => Value::Unset(name.trim().to_owned()),
                };
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| expand(item, environment)),
        Value::Map(entries) => entries.iter_mut().for_each(|entry| expand(&mut entry.node, environment)),
        Value::Null | Value::Unset(_) | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What the section `environment_variables` sets, in the terms of the process's own variables.
pub(crate) fn variables_of_file(root: &Node, environment: &Environment) -> Vec<(String, String)> {
    let Some(section) = root.get("environment_variables") else { return Vec::new() };
    let mut section = section.node.clone();
    expand(&mut section, environment);
    section.entries().iter().filter_map(|entry| Some((entry.key.clone(), as_variable(&entry.node.value)?))).collect()
}

/// As Python's `str()` writes it.
fn as_variable(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(true) => Some("True".to_owned()),
        Value::Bool(false) => Some("False".to_owned()),
        Value::Null | Value::Unset(_) | Value::List(_) | Value::Map(_) => None,
    }
}
