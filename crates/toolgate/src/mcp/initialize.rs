//! The answer to `initialize`: which revision, what is on offer, how to use it.

use serde_json::{Map, Value, json};
use toolgate_mcp::version::Revision;

use crate::catalog::Offer;
use crate::config::Settings;
use crate::upstream::Upstream;

/// The result. `the_one` is the server, when the path names exactly one.
pub(super) fn result(settings: &Settings, revision: Revision, offer: &Offer, the_one: Option<&Upstream>) -> String {
    let capabilities: Map<String, Value> =
        offer.capabilities.iter().map(|capability| ((*capability).to_owned(), json!({}))).collect();
    let name = the_one.map_or(settings.identity.name.as_str(), |only| only.settings.prefix.as_str());
    let mut result = json!({
        "protocolVersion": revision.name(),
        "capabilities": capabilities,
        "serverInfo": { "name": name, "version": env!("CARGO_PKG_VERSION") },
    });
    if let Some(instructions) = instructions(offer) {
        result["instructions"] = Value::String(instructions);
    }
    result.to_string()
}

/// One server's instructions as they are, several under their names, as LiteLLM joins them.
pub(super) fn instructions(offer: &Offer) -> Option<String> {
    match &offer.instructions[..] {
        [] => None,
        [(_, only)] => Some(only.clone()),
        several => {
            let blocks: Vec<String> = several.iter().map(|(label, text)| format!("[{label}]\n{text}")).collect();
            Some(blocks.join("\n\n---\n\n"))
        }
    }
}
