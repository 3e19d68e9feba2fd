//! Reading descriptions as a gateway does.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use toolgate_openapi::{Api, Documents, Limits, Options, read};
use url::Url;

pub(crate) fn base() -> Url {
    Url::parse("https://api.test/v1").unwrap()
}

pub(crate) fn options() -> Options {
    Options { url: Some(base()), ..Options::default() }
}

/// A description from text.
pub(crate) fn api_of(text: &str, options: &Options) -> Result<Api, String> {
    let documents = Documents::new("api", text.as_bytes(), Limits::default()).map_err(|error| error.to_string())?;
    read(&documents, options).map_err(|error| error.to_string())
}

/// A description from a file, with the files that it needs.
pub(crate) fn api_of_file(path: &Path, options: &Options) -> Result<Api, String> {
    let folder = path.parent().unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let bytes = std::fs::read(path).unwrap();
    let mut documents = Documents::new(name, &bytes, Limits::default()).map_err(|error| error.to_string())?;
    loop {
        let wanted = documents.wanted();
        if wanted.is_empty() {
            break;
        }
        for name in wanted {
            let bytes = std::fs::read(folder.join(&name)).map_err(|_| format!("{name} is not there"));
            documents.add(&name, bytes.as_deref().map_err(Clone::clone));
        }
    }
    read(&documents, options).map_err(|error| error.to_string())
}

/// Everything that came out, for people to read. Tools are shown in full where there are few.
pub(crate) fn shown(api: &Api) -> String {
    let mut out = String::new();
    let base = api.base.as_ref().map_or_else(|why| format!("none: {why}"), Url::to_string);
    writeln!(out, "base {base}").unwrap();
    for (name, scheme) in &api.schemes {
        writeln!(out, "scheme {name} = {scheme:?}").unwrap();
    }
    let whole = api.operations.iter().map(|one| one.tool().len()).sum::<usize>() < 24 * 1024;
    for operation in &api.operations {
        writeln!(out, "\n{} {}", operation.method, operation.path).unwrap();
        if operation.litellm_name() != operation.name {
            writeln!(out, "LiteLLM: {}", operation.litellm_name()).unwrap();
        }
        for note in &operation.notes {
            writeln!(out, "note: {note}").unwrap();
        }
        if !operation.security.is_empty() {
            writeln!(out, "security: {:?}", operation.security).unwrap();
        }
        let tool: Value = serde_json::from_str(operation.tool()).unwrap();
        if whole {
            writeln!(out, "{}", serde_json::to_string_pretty(&tool).unwrap()).unwrap();
        } else {
            let input = tool["inputSchema"]["properties"].as_object().unwrap();
            let arguments: Vec<&str> = input.keys().map(String::as_str).collect();
            let digest =
                operation.tool().bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
            writeln!(out, "{}({}) {digest:08x}", operation.name, arguments.join(", ")).unwrap();
        }
    }
    for one in &api.left_out {
        writeln!(out, "\nleft out: {} {}: {}", one.method, one.path, one.reason).unwrap();
    }
    out
}
