//! `server/discover`: which revisions, what is on offer, how to use it.

use serde_json::json;
use toolgate_mcp::translate::discover::discovered;

use crate::catalog::{Offer, Scope};
use crate::config::Settings;
use crate::mcp::initialize;

/// The result, JSON text. All revisions are named, since the same endpoint serves them all.
pub(super) fn result(settings: &Settings, offer: &Offer, server_info: &str) -> String {
    let capabilities = initialize::capabilities(offer);
    let instructions = initialize::instructions(offer);
    discovered(&settings.general.advertised_versions, &capabilities, server_info, instructions.as_deref())
}

/// The gateway's name and version as a JSON object; the server's prefix as the name, where the path names exactly one.
pub(super) fn server_info(settings: &Settings, scope: &Scope) -> String {
    let name = scope.the_one().map_or(settings.identity.name.as_str(), |only| only.settings.prefix.as_str());
    json!({ "name": name, "version": env!("CARGO_PKG_VERSION") }).to_string()
}
