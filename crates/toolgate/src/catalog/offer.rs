//! What the servers in scope offer together, for a client that asks before it asks for anything else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use indexmap::IndexMap;
use serde_json::value::RawValue;
use toolgate_client::ServerFacts;
use toolgate_mcp::edit::Fields;

use super::{Catalog, Visit};
use crate::upstream::{State, Upstream, UpstreamError};

/// How long the client waits for upstreams to say what they offer; slow ones are assumed to offer everything.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The same for a server that is known to be down.
const TIMEOUT_DOWN: Duration = Duration::from_millis(250);

/// The capabilities that the gateway serves, by the names that servers declare them under.
const CAPABILITIES: [&str; 5] = ["tools", "prompts", "resources", "completions", "logging"];

/// What the servers in scope offer together.
#[derive(Debug, Default)]
pub struct Offer {
    /// Those of `tools`, `prompts`, `resources`, `completions` and `logging` that at least one server has.
    pub capabilities: BTreeSet<&'static str>,
    /// At least one server tells of changed resources.
    pub subscribe: bool,
    /// The `extensions` of all servers by their ids, with the settings as JSON text.
    pub extensions: IndexMap<String, String>,
    /// The same of `experimental`.
    pub experimental: IndexMap<String, String>,
    /// Each server's prefix with its instructions, where it has any.
    pub instructions: Vec<(String, String)>,
}

impl Catalog {
    /// What the servers in scope offer together.
    pub async fn offer(&self, visit: Visit<'_>) -> Offer {
        let asks = visit.servers().iter().map(async |upstream| facts_of(visit, upstream).await);
        let mut offer = Offer::default();
        for (upstream, facts) in visit.servers().iter().zip(join_all(asks).await) {
            offer.add(facts.as_deref());
            let own = facts.and_then(|facts| facts.instructions.clone());
            if let Some(instructions) = upstream.settings.instructions.clone().or(own) {
                offer.instructions.push((upstream.settings.prefix.clone(), instructions));
            }
        }
        let disabled = self.settings.general.disabled;
        offer.subscribe &= !disabled.resources;
        offer.capabilities.retain(|capability| match *capability {
            "prompts" => !disabled.prompts,
            "resources" => !disabled.resources,
            _ => true,
        });
        offer
    }
}

/// What the server says of itself; `None` when it does not say so in time.
async fn facts_of(visit: Visit<'_>, upstream: &Arc<Upstream>) -> Option<Arc<ServerFacts>> {
    let timeout = if upstream.status().state == State::Down { TIMEOUT_DOWN } else { TIMEOUT };
    let lane = upstream.lane(visit.caller, &visit.client.alike()).map_err(UpstreamError::from).ok()?;
    upstream.facts(&lane, timeout).await.ok()
}

impl Offer {
    fn add(&mut self, facts: Option<&ServerFacts>) {
        let Some(facts) = facts else {
            // It may come back while the session lives, so nothing that it is likely to offer is ruled out.
            self.capabilities.extend(["tools", "prompts", "resources"]);
            return;
        };
        let Ok(declared) = Fields::read(facts.capabilities.get()) else { return };
        self.capabilities.extend(CAPABILITIES.into_iter().filter(|name| declared.get(name).is_some()));
        self.subscribe |= declared.get("resources").is_some_and(|resources| {
            let fields = Fields::read(resources.get()).ok();
            fields.and_then(|fields| fields.get("subscribe")).is_some_and(|subscribe| subscribe.get() == "true")
        });
        unite(&mut self.extensions, declared.get("extensions"));
        unite(&mut self.experimental, declared.get("experimental"));
    }
}

/// Adds what another server declares. Where two differ in the settings of one, it is offered without any.
fn unite(all: &mut IndexMap<String, String>, declared: Option<&RawValue>) {
    let Some(declared) = declared.and_then(|declared| Fields::read(declared.get()).ok()) else { return };
    for (id, settings) in declared.iter() {
        match all.get_mut(id) {
            Some(others) if others != settings.get() => *others = "{}".to_owned(),
            Some(_) => {}
            None => drop(all.insert(id.to_owned(), settings.get().to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn united(servers: &[&str]) -> String {
        let mut all = IndexMap::new();
        for server in servers {
            unite(&mut all, Some(serde_json::from_str(server).expect("JSON")));
        }
        let parts: Vec<String> = all.iter().map(|(id, settings)| format!("{id}={settings}")).collect();
        parts.join(" ")
    }

    #[test]
    fn extensions_are_united_and_kept_as_they_are_where_servers_agree() {
        let cases: [(&[&str], &str); 4] = [
            (&[r#"{"a":{ "x":1e400 },"b":{}}"#], r#"a={ "x":1e400 } b={}"#),
            (&[r#"{"a":{"x":1}}"#, r#"{"b":{}}"#], r#"a={"x":1} b={}"#),
            (&[r#"{"a":{"x":1}}"#, r#"{"a":{"x":1}}"#], r#"a={"x":1}"#),
            (&[r#"{"a":{"x":1}}"#, r#"{"a":{"x":2}}"#], "a={}"),
        ];
        for (servers, expected) in cases {
            assert_eq!(united(servers), expected);
        }
    }
}
