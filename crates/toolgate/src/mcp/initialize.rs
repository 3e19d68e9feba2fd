//! The answer to `initialize`: which revision, what is on offer, how to use it.

use std::borrow::Cow;

use indexmap::IndexMap;
use toolgate_mcp::jsonrpc::quote;
use toolgate_mcp::translate::capabilities::of_server;
use toolgate_mcp::version::Revision;

use crate::catalog::Offer;
use crate::config::Settings;
use crate::upstream::Upstream;

/// The result. `the_one` is the server, when the path names exactly one. What is offered to clients of 2026-07-28 alone
/// is left out.
pub(super) fn result(settings: &Settings, revision: Revision, offer: &Offer, the_one: Option<&Upstream>) -> String {
    let name = the_one.map_or(settings.identity.name.as_str(), |only| only.settings.prefix.as_str());
    let capabilities = capabilities(offer);
    let instructions =
        instructions(offer).map_or_else(String::new, |text| format!(r#","instructions":{}"#, quote(&text)));
    format!(
        r#"{{"protocolVersion":"{}","capabilities":{},"serverInfo":{{"name":{},"version":"{}"}}{instructions}}}"#,
        revision.name(),
        of_server(&capabilities).unwrap_or(Cow::Borrowed("{}")),
        quote(name),
        env!("CARGO_PKG_VERSION"),
    )
}

/// What is on offer, as JSON. The gateway tells of changed lists by itself, whether or not a server does.
pub(super) fn capabilities(offer: &Offer) -> String {
    let mut parts: Vec<String> = Vec::new();
    for capability in &offer.capabilities {
        let settings = match *capability {
            "resources" if offer.subscribe => r#"{"subscribe":true,"listChanged":true}"#,
            "tools" | "prompts" | "resources" => r#"{"listChanged":true}"#,
            _ => "{}",
        };
        parts.push(format!("{}:{settings}", quote(capability)));
    }
    for (name, declared) in [("extensions", &offer.extensions), ("experimental", &offer.experimental)] {
        if !declared.is_empty() {
            parts.push(format!("{}:{}", quote(name), object(declared)));
        }
    }
    format!("{{{}}}", parts.join(","))
}

fn object(fields: &IndexMap<String, String>) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{}:{value}", quote(name))).collect();
    format!("{{{}}}", fields.join(","))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_say_what_the_gateway_does_and_what_servers_have() {
        let nothing = Offer::default();
        assert_eq!(capabilities(&nothing), "{}");
        let mut offer = Offer { subscribe: true, ..Offer::default() };
        offer.capabilities.extend(["tools", "resources", "logging"]);
        offer.extensions.insert("io.example/x".to_owned(), r#"{"y":1e400}"#.to_owned());
        assert_eq!(
            capabilities(&offer),
            r#"{"logging":{},"resources":{"subscribe":true,"listChanged":true},"tools":{"listChanged":true},"extensions":{"io.example/x":{"y":1e400}}}"#
        );
    }
}
