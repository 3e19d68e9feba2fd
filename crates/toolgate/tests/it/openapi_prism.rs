//! Stoplight's Prism serves published descriptions and judges every request that comes through the gateway.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Caller, Entry, Prism, TestGateway, config, oas_examples, sample, soon};

/// All documents of the package.
fn documents() -> Vec<PathBuf> {
    let root = oas_examples();
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["2.0", "3.0", "3.1"].iter().map(|version| root.join(version).join("json")).collect();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "json") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Calls that no request can be made for that Prism accepts, by the end of the tool's name, and why.
const NOT_JUDGED: [(&str, &str); 20] = [
    ("20_schema_circular-post__post", "the document names no media type for its body"),
    ("30_circular_paths-put__anything", "a header is to hold objects, for which there is no form"),
    ("-directcircular", "an object is required to hold itself, without end"),
    ("-put__anything_multipart-formdata", "Prism reads no lists in multipart forms"),
    ("-formdata_standard", "Prism reads no lists in multipart forms"),
    ("-formdata_form_nonexploded", "Prism allows no comma in multipart forms"),
    ("-form_data_form_exploded", "the same, in 3.0 where styles are not for multipart forms"),
    ("-formdata_spacedelimited_nonexploded", "the same"),
    ("-form_data_pipedelimited_nonexploded", "the same"),
    ("-form_data_deepobject_exploded", "the same"),
    ("-encoding_form", "the same"),
    ("30_polymorphism-post__one-of-complex", "of the alternatives, one is in contradiction to what stands beside them"),
    ("30_schema_additional_properties-post__post", "two schemas of an `allOf` each forbid what the other has"),
    ("30_schema_enums-boolean_enumsupport", "a boolean is required and its values are `null` and what is no boolean"),
    ("-quirks_incompatiblenestedallof", "something is to be a string and an integer"),
    ("-quirks_entirelyincompatibleallof", "the same"),
    ("-quirks_partiallyusableincompatibleallof", "the same"),
    ("-get__anything_jsonschema-formats", "the document's own defaults are not of the format that it names"),
    ("31_readme-askowlbot", "the document describes `Accept`, which OpenAPI says is to be ignored"),
    ("30_server_path_level-get__relative-", "the path has a server of its own, which Prism does not serve"),
];

/// Prism has nothing to answer with; the request was right.
const RIGHT: [&str; 5] = [
    "NO_COMPLEX_OBJECT_TEXT",
    "NO_RESPONSE_DEFINED",
    "NO_RESPONSE_RESPONSE_DEFINED",
    "NOT_ACCEPTABLE",
    "SCHEMA_TOO_COMPLEX",
];

/// What Prism says against a request. `None`: it is right.
fn verdict(result: &Value) -> Option<String> {
    let text = result["content"][0]["text"].as_str().unwrap_or_default();
    if text.starts_with("The arguments are not right") {
        return Some(text.to_owned());
    }
    let (_, kind) = text.split_once("stoplight.io/prism/errors#")?;
    if RIGHT.iter().any(|right| kind.starts_with(right)) {
        return None;
    }
    // The alternatives of the document overlap: what fits one of them fits another as well.
    let complaints = kind.matches("\"message\":").count();
    let of_overlap = kind.matches("must match exactly one schema in oneOf").count();
    (complaints == 0 || of_overlap < complaints).then(|| text.to_owned())
}

/// A gateway before Prism, with one server for each document and credential: documents want one or the other.
async fn gateway(prism: &Prism, documents: &[PathBuf]) -> (TestGateway, Vec<String>) {
    let (mut gateway, mut names) = (config(), Vec::new());
    for path in documents {
        let Some(Some(port)) = prism.ports.get(path) else { continue };
        let name = name_of(path);
        for (end, credential) in [("", "Bearer sample"), ("_basic", "Basic c2FtcGxlOnNhbXBsZQ==")] {
            let entry = Entry::detected(&format!("http://127.0.0.1:{port}"))
                .with(&format!("spec_path: {}", json!(path)))
                .with(&format!("static_headers: {{Authorization: {credential}}}"))
                .with("auth_type: api_key")
                .with("auth_value: sample");
            gateway = gateway.server(&format!("{name}{end}"), entry);
        }
        names.push(name);
    }
    (TestGateway::start(gateway).await, names)
}

/// Calls a tool with what can be made up for it, until Prism accepts that. `Some`: what it said last.
async fn refusal(admin: &Caller, server: &str, tool: &Value) -> Option<String> {
    let bare = tool["name"].as_str().unwrap().strip_prefix(server).unwrap();
    let mut last = None;
    for pick in 0..4 {
        let arguments = sample(&tool["inputSchema"], pick);
        for end in ["", "_basic"] {
            let name = format!("{server}{end}{bare}");
            let answer = soon("an answer", admin.call(&name, arguments.clone())).await;
            let why = match answer.message().get("error") {
                Some(error) => Some(error.to_string()),
                None => verdict(answer.result()),
            };
            match why {
                None => return None,
                Some(why) => last = Some(format!("{name} {arguments}: {why}")),
            }
        }
    }
    last
}

#[tokio::test]
async fn a_validating_server_accepts_every_generated_call() {
    let documents = documents();
    let prism = Prism::start(&documents).await;
    let unread: Vec<_> = documents
        .iter()
        .filter(|path| prism.ports.get(*path).is_none_or(Option::is_none))
        .map(|path| name_of(path))
        .collect();
    assert_eq!(unread, ["20_api_with_examples"], "Prism takes this one for broken");
    let (gate, names) = gateway(&prism, &documents).await;
    let admin = gate.admin();
    let (mut judged, mut refused) = (0, Vec::new());
    for server in names {
        let listed = admin.rpc_at(&format!("/{server}/mcp"), "tools/list", json!({})).await;
        for tool in listed.result()["tools"].as_array().unwrap() {
            let (name, path) = (tool["name"].as_str().unwrap(), &tool["_meta"]["toolgate/openapi"]["path"]);
            // An answer whose status promises another breaks the connection.
            let has_no_answer = path.as_str().unwrap().starts_with("/status/1");
            if has_no_answer || NOT_JUDGED.iter().any(|(end, _)| name.contains(end)) {
                continue;
            }
            judged += 1;
            refused.extend(refusal(&admin, &server, tool).await);
        }
    }
    assert!(refused.is_empty(), "{} of {judged} were refused:\n{}", refused.len(), refused.join("\n"));
    assert!(judged > 500, "{judged}");
}

/// `3.0/json/folder/pet-store.json` as `30_folder_pet_store`.
fn name_of(path: &Path) -> String {
    let path = path.strip_prefix(oas_examples()).unwrap().with_extension("");
    let parts = path.iter().map(|part| part.to_str().unwrap()).filter(|part| *part != "json");
    parts.map(|part| part.replace('-', "_").replace('.', "")).collect::<Vec<_>>().join("_")
}
