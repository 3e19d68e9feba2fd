//! All of npm's `@readme/oas-examples`, and hand-made descriptions of one rule each.

use std::path::{Path, PathBuf};

use serde_json::Value;
use toolgate_openapi::{Api, Operation, Options};

use crate::support::{api_of_file, shown};

/// The folder of the examples, which `make setup` installs.
fn examples() -> PathBuf {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.setup/node-openapi/node_modules/@readme/oas-examples");
    assert!(folder.exists(), "the example descriptions are not installed; run `make setup`");
    folder
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|end| end == "json" || end == "yaml") {
            found.push(path);
        }
    }
    found.sort();
}

fn check_golden(name: &str, text: String) {
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "../golden"}, {
        insta::assert_snapshot!(name, text);
    });
}

/// What every tool must be, whatever the description.
fn check_tools(api: &Api, what: &str) {
    let mut names = std::collections::HashSet::new();
    for operation in &api.operations {
        let tool: Value = serde_json::from_str(operation.tool()).unwrap_or_else(|error| panic!("{what}: {error}"));
        let name = tool["name"].as_str().unwrap();
        assert!(names.insert(name.to_owned()), "{what}: {name} twice");
        assert!(name.len() <= 128 && !name.is_empty(), "{what}: {name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)), "{what}: {name}");
        assert_eq!(api.find(name).unwrap().name, name);
        assert_eq!(tool["inputSchema"]["type"], "object", "{what}: {name}");
        check_refs(&tool["inputSchema"], &tool["inputSchema"], what);
        if let Some(output) = tool.get("outputSchema") {
            assert_eq!(output["type"], "object", "{what}: {name}");
            check_refs(output, output, what);
        }
    }
}

/// Every reference leads to a definition of the same schema.
fn check_refs(root: &Value, at: &Value, what: &str) {
    match at {
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value.as_str()) {
                    ("$ref", Some(reference)) if reference.starts_with('#') => {
                        assert!(root.pointer(&reference[1..]).is_some(), "{what}: {reference}");
                    }
                    ("examples" | "default" | "const" | "enum", _) => {}
                    _ => check_refs(root, value, what),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| check_refs(root, item, what)),
        _ => {}
    }
}

#[test]
fn published_examples_become_these_tools() {
    let root = examples();
    for version in ["2.0", "3.0", "3.1"] {
        let mut found = Vec::new();
        files(&root.join(version).join("json"), &mut found);
        assert!(!found.is_empty());
        for path in found {
            let name = path.strip_prefix(&root).unwrap().with_extension("").to_str().unwrap().replace('/', "-");
            let text = match api_of_file(&path, &Options::default()) {
                Ok(api) => {
                    check_tools(&api, &name);
                    shown(&api)
                }
                Err(why) => format!("no description: {why}\n"),
            };
            check_golden(&name, text);
        }
    }
}

/// Of these, the authors changed only one of the two: a description, the order of operations.
const CHANGED_BY_AUTHORS: [&str; 2] = ["2.0/yaml/petstore-expanded.yaml", "3.1/yaml/parameters-style.yaml"];

#[test]
fn yaml_and_json_of_one_description_become_the_same_tools() {
    let root = examples();
    for version in ["2.0", "3.0", "3.1"] {
        let mut found = Vec::new();
        files(&root.join(version).join("yaml"), &mut found);
        for path in found {
            let json = root.join(version).join("json").join(path.file_stem().unwrap()).with_extension("json");
            let yaml = api_of_file(&path, &Options::default());
            if let Ok(api) = &yaml {
                check_tools(api, path.to_str().unwrap());
            }
            let is_other = CHANGED_BY_AUTHORS.iter().any(|name| path.ends_with(name));
            let tools = |api: Result<Api, String>| -> Vec<String> {
                let shown = |one: &Operation| if is_other { one.name.clone() } else { one.tool().to_owned() };
                let mut tools: Vec<String> = api.unwrap().operations.iter().map(shown).collect();
                tools.sort_unstable();
                tools
            };
            assert_eq!(tools(yaml), tools(api_of_file(&json, &Options::default())), "{}", path.display());
        }
    }
}

#[test]
fn each_rule_has_its_edge_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/edge");
    let mut found = Vec::new();
    files(&folder, &mut found);
    for path in found {
        let name = path.strip_prefix(&folder).unwrap().with_extension("").to_str().unwrap().replace('/', "-");
        if name.starts_with("parts-") {
            continue;
        }
        let api = api_of_file(&path, &Options::default()).unwrap();
        check_tools(&api, &name);
        check_golden(&format!("edge-{name}"), shown(&api));
    }
}
