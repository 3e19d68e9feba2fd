//! The files at the root of the repository that are made from, or must agree with, the structs of the file.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use super::super::settings::Transport;
use super::super::{Environment, Paint, Severity, parse, schema};

fn at_root(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "UPDATE_SCHEMA is how a person asks this test to write the file")]
fn the_committed_schema_is_fresh() {
    let fresh = serde_json::to_string_pretty(&schema::json_schema()).unwrap() + "\n";
    let path = at_root("config.schema.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == fresh,
        "config.schema.json is stale; write it anew with: UPDATE_SCHEMA=1 cargo test -p toolgate the_committed_schema"
    );
}

#[test]
fn the_example_loads_without_a_word() {
    let text = std::fs::read_to_string(at_root("config.example.yaml")).unwrap();
    let environment: Environment = [("PATH", "/bin:/usr/bin"), ("HOME", "/home/gate")].into_iter().collect();
    let loaded = parse(&text, "config.example.yaml", &environment);
    // Where the test runs, `toolgate` may not be on the PATH; the binary finds itself.
    let severe: Vec<_> = loaded
        .findings
        .iter()
        .filter(|finding| finding.severity > Severity::Note && finding.code != "config.command_not_found")
        .collect();
    assert!(severe.is_empty(), "{}", loaded.render(Paint::Plain));
    let settings = loaded.settings.unwrap();
    assert!(matches!(&settings.servers[0].transport, Transport::Stdio(command) if command.args == ["demo-server"]));
}

#[test]
fn the_example_loads_with_everything_in_it_switched_on() {
    let text = std::fs::read_to_string(at_root("config.example.yaml")).unwrap();
    let mut switched_on = String::new();
    for line in text.lines() {
        // A key that is commented out is `#` right before it; prose has a blank after the `#`.
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        let active = rest
            .strip_prefix('#')
            .filter(|rest| rest.starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '"'));
        switched_on.push_str(indent);
        switched_on.push_str(active.unwrap_or(rest));
        switched_on.push('\n');
    }
    let environment: Environment = [("PATH", "/bin:/usr/bin")].into_iter().collect();
    let loaded = parse(&switched_on, "config.example.yaml", &environment);
    let wrong: String = loaded
        .findings
        .iter()
        .filter(|finding| !matches!(finding.code, "config.variable_not_set" | "config.command_not_found"))
        .filter(|finding| !matches!(finding.code, "config.python_only" | "config.unreadable_file"))
        .filter(|finding| finding.severity > Severity::Note)
        .map(|finding| finding.render(Paint::Plain))
        .collect();
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_example_has_every_key() {
    let text = std::fs::read_to_string(at_root("config.example.yaml")).unwrap();
    assert!(text.starts_with("# yaml-language-server: $schema=./config.schema.json\n"));
    let words: BTreeSet<&str> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
        .filter_map(|word| word.strip_suffix(':'))
        .collect();
    let missing: Vec<String> =
        keys(&schema::json_schema()).into_iter().filter(|key| !words.contains(key.as_str())).collect();
    assert!(missing.is_empty(), "config.example.yaml lacks: {}", missing.join(", "));
}

/// Every property name anywhere in the schema.
fn keys(schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                found.extend(properties.keys().cloned());
            }
            object.values().for_each(|value| found.extend(keys(value)));
        }
        Value::Array(items) => items.iter().for_each(|item| found.extend(keys(item))),
        _ => {}
    }
    found
}
