//! `server/discover`: which revisions, what is on offer, how to use it.

use serde_json::{Map, Value, json};

use super::stamp::META_SERVER_INFO;
use crate::catalog::{Offer, Scope};
use crate::config::Settings;
use crate::mcp::initialize;

/// The result, JSON text. All revisions are named, since the same endpoint serves them all.
pub(super) fn result(settings: &Settings, offer: &Offer, scope: &Scope) -> String {
    let capabilities: Map<String, Value> =
        offer.capabilities.iter().map(|capability| ((*capability).to_owned(), json!({}))).collect();
    let versions: Vec<&str> = settings.general.advertised_versions.iter().map(|revision| revision.name()).collect();
    let mut result = json!({
        "resultType": "complete",
        "supportedVersions": versions,
        "capabilities": capabilities,
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": { META_SERVER_INFO: server_info(settings, scope) },
    });
    if let Some(instructions) = initialize::instructions(offer) {
        result["instructions"] = Value::String(instructions);
    }
    result.to_string()
}

/// The gateway's name and version; the server's prefix as the name, where the path names exactly one.
pub(super) fn server_info(settings: &Settings, scope: &Scope) -> Value {
    let name = scope.the_one().map_or(settings.identity.name.as_str(), |only| only.settings.prefix.as_str());
    json!({ "name": name, "version": env!("CARGO_PKG_VERSION") })
}
