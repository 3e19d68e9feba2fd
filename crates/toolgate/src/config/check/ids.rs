//! The ids of servers, and the short prefixes made from them, exactly as LiteLLM 1.109 derives them: keys' grants hold
//! these ids, and clients know these prefixes.

use std::collections::HashSet;
use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};

use super::super::environment::Environment;
use super::super::file::ServerEntry;
use super::super::report::{At, Report};
use super::super::settings::{ServerId, ServerSettings};
use super::names::Taken;

/// The server's id and the other ids that lead to it.
pub(super) fn of(
    name: &str,
    alias: Option<&str>,
    entry: &ServerEntry,
    at: &At<'_>,
    report: &mut Report,
) -> (ServerId, Vec<ServerId>) {
    if let Some(pinned) = &entry.server_id {
        let pinned = pinned.trim();
        if pinned.is_empty() || pinned.chars().any(char::is_control) {
            report
                .error("config.bad_server_id", &at.key("server_id"), "`server_id` is empty or has control characters")
                .help("remove the key to have the id derived");
        }
        return (ServerId::from(pinned), Vec::new());
    }
    let with = |transport: &str| {
        let url = entry.url.as_deref().unwrap_or_default();
        let auth_type = entry.auth_type.map_or("", |auth_type| auth_type.as_str());
        derived(name, url, transport, auth_type, alias.unwrap_or_default())
    };
    // Where `transport` is absent, LiteLLM formats the enum member and not its value; from Python 3.11 on that is
    // `MCPTransport.http`. Grants made before or after the key was written down hold the one or the other.
    match entry.transport.map(|transport| transport.as_str()) {
        None => (with("MCPTransport.http"), vec![with("http")]),
        Some("http") => (with("http"), vec![with("MCPTransport.http")]),
        Some(transport) => (with(transport), Vec::new()),
    }
}

/// The first 32 hexadecimal digits of the SHA-256 of what identifies the server.
fn derived(name: &str, url: &str, transport: &str, auth_type: &str, alias: &str) -> ServerId {
    let text = format!("{name}|{url}|{transport}|{auth_type}|{alias}");
    let mut hex = String::with_capacity(32);
    for byte in &digest(&SHA256, text.as_bytes()).as_ref()[..16] {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    ServerId::from(hex)
}

/// Replaces the prefixes by three-character ones that nobody has when `LITELLM_USE_SHORT_MCP_TOOL_PREFIX` is on.
pub(super) fn assign_short_prefixes(servers: &mut [ServerSettings], taken: &Taken, environment: &Environment) {
    if !environment.is_on("LITELLM_USE_SHORT_MCP_TOOL_PREFIX") {
        return;
    }
    let mut used = HashSet::new();
    for server in servers {
        let is_free = |prefix: &String| !used.contains(prefix) && !taken.has(prefix);
        // There are 199,888 short prefixes and fewer servers: the search ends.
        let free = (0..).map(|attempt| short_prefix(server.id.as_str(), attempt)).find(is_free);
        server.prefix = free.unwrap_or_default();
        used.insert(server.prefix.clone());
    }
}

fn short_prefix(id: &str, attempt: u32) -> String {
    const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let letters = &BASE62[10..];
    let seed = if attempt == 0 { id.to_owned() } else { format!("{id}#{attempt}") };
    let hash = digest(&SHA256, seed.as_bytes());
    let mut value = hash.as_ref()[..8].iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    let mut take = |alphabet: &[u8]| {
        let len = alphabet.len() as u64;
        let index = usize::try_from(value % len).unwrap_or(0);
        value /= len;
        char::from(alphabet[index])
    };
    let (last, middle, first) = (take(BASE62), take(BASE62), take(letters));
    String::from_iter([first, middle, last])
}

#[cfg(test)]
mod tests {
    use super::{derived, short_prefix};

    #[test]
    fn derived_ids_are_those_litellm_gave() {
        let check = |name, url, transport, alias, expected: &str| {
            assert_eq!(derived(name, url, transport, "", alias).as_str(), expected, "{name}");
        };
        check("a", "http://127.0.0.1:9/mcp", "MCPTransport.http", "", "79c087dcdbdfef94fac40e917cbbbb6a");
        check("a", "http://127.0.0.1:9/mcp", "http", "", "79b233456bc2fc6ae82ac1c9286ee684");
        check("clock", "", "stdio", "zeit", "ce5d7ca3a5b0d8e9c68caadd433f2e43");
        check("dead", "http://127.0.0.1:9/mcp", "http", "", "c1a065c69565126ad05d337630b1d427");
    }

    #[test]
    fn short_prefixes_are_those_litellm_gave() {
        assert_eq!(short_prefix("abc", 0), "uPa");
        assert_ne!(short_prefix("abc", 1), "uPa");
    }
}
