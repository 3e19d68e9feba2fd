//! Media types, as far as they decide how something is sent or read.

/// The type without its parameters, in lower case.
pub(crate) fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

pub(crate) fn is_json(media_type: &str) -> bool {
    let essence = essence(media_type);
    essence == "application/json" || essence == "text/json" || essence == "*/json" || essence.ends_with("+json")
}

/// Whether it is text that is not JSON.
pub(crate) fn is_text(media_type: &str) -> bool {
    let essence = essence(media_type);
    essence.starts_with("text/")
        || essence.ends_with("+xml") && !essence.starts_with("image/")
        || essence.ends_with("+yaml")
        || matches!(
            essence.as_str(),
            "application/xml"
                | "application/yaml"
                | "application/x-yaml"
                | "application/javascript"
                | "application/ecmascript"
                | "application/graphql"
                | "application/sql"
                | "application/toml"
                | "application/x-ndjson"
                | "application/ndjson"
                | "application/jsonl"
                | "application/json-seq"
                | "application/x-www-form-urlencoded"
        )
}

/// Whether it can stand in a header as it is.
pub(crate) fn is_sendable(media_type: &str) -> bool {
    media_type.contains('/') && media_type.len() <= 256 && media_type.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}
