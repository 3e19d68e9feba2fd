//! The files at the root of the repository that are made from, or must agree with, the structs of the file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::settings::Transport;
use super::super::{Environment, Paint, Severity, parse, reference, schema};

fn at_root(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

/// Compares the file at the root called `name` with `fresh`, or writes it when UPDATE_SCHEMA is set.
#[expect(clippy::disallowed_methods, reason = "UPDATE_SCHEMA is how a person asks this test to write the file")]
fn check_committed(name: &str, fresh: &str) {
    let path = at_root(name);
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == fresh,
        "{name} is stale; write it anew with: UPDATE_SCHEMA=1 cargo test -p toolgate the_committed"
    );
}

#[test]
fn the_committed_schema_is_fresh() {
    let fresh = serde_json::to_string_pretty(&schema::json_schema()).unwrap() + "\n";
    check_committed("config.schema.json", &fresh);
}

#[test]
fn the_committed_reference_is_fresh() {
    check_committed("docs/configuration.md", &reference::reference());
}

#[test]
fn the_reference_has_every_environment_variable_that_the_code_reads() {
    let mut sources = Vec::new();
    collect_sources(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src"), &mut sources);
    let read: BTreeSet<String> = sources.iter().flat_map(|source| variables_in(source)).collect();
    for certain in ["HOST", "TOOLGATE_DATA_DIR", "LITELLM_MCP_CLIENT_TIMEOUT", "OTLP_TRACES_ENDPOINT"] {
        assert!(read.contains(certain), "{certain} is read, so the search is not what it was");
    }
    let missing: Vec<_> = read.iter().filter(|name| !reference::VARIABLES.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "not in config/reference/variables.md: {missing:?}");
}

/// The code under `directory` that is no test.
fn collect_sources(directory: &Path, sources: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().is_some_and(|stem| stem == "tests" || stem == "testing") {
            continue;
        }
        if path.is_dir() {
            collect_sources(&path, sources);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            sources.push(text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned());
        }
    }
}

/// Literals that look like the names of variables and are given to what reads variables.
fn variables_in(source: &str) -> Vec<String> {
    let literals = source.match_indices('"').filter_map(|(at, _)| {
        let (before, name) = (&source[..at], source[at + 1..].split('"').next()?);
        let is_name = name.len() > 3
            && !name.starts_with('_')
            && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        let own = ["LITELLM_", "MCP_", "TOOLGATE_", "OTEL_", "OTLP_", "SSL_", "GW_"];
        let reads = ["get(", "is_on(", "given(", "variable(", "env = ", "&str = "];
        let is_read =
            own.iter().any(|start| name.starts_with(start)) || reads.iter().any(|call| before.ends_with(call));
        (is_name && is_read).then(|| name.to_owned())
    });
    literals.collect()
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
