//! Names of servers: what they may look like, and that no two servers answer to the same one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use indexmap::IndexMap;

use super::super::file::LitellmSection;
use super::super::report::{At, Report};
use super::super::settings::{Origin, ServerSettings};
use super::super::suggest::nearest;
use super::super::tree::{Entry, Node};

/// The entries of `mcp_servers` in the file's order; of a name that is written twice, the last one.
pub(super) fn entries(servers: &Node) -> IndexMap<&str, &Entry> {
    servers.entries().iter().map(|entry| (entry.key.as_str(), entry)).collect()
}

/// The alias: the entry's own, else the first of `mcp_aliases` for the server. `alias: ""` means none.
pub(super) fn alias(name: &str, own: Option<&str>, litellm: &LitellmSection) -> Option<String> {
    let mapped = || litellm.mcp_aliases.iter().flatten().find(|(_, server)| *server == name);
    match own {
        Some(alias) => Some(alias.to_owned()).filter(|alias| !alias.is_empty()),
        None => mapped().map(|(alias, _)| alias.clone()),
    }
}

/// Checks the name and alias of one server.
pub(super) fn check(
    name: &str,
    alias: Option<&str>,
    separator: &str,
    at: &At<'_>,
    key_at: &At<'_>,
    report: &mut Report,
) {
    let alias_at = at.key("alias");
    let alias_at = if alias_at.is_set() { &alias_at } else { key_at };
    if name.is_empty() || name.chars().any(char::is_control) {
        let _ = report.error("config.bad_name", key_at, "a server's name may not be empty or have control characters");
    }
    if alias.is_some_and(|alias| alias.chars().any(char::is_control)) {
        let _ = report.error("config.bad_name", alias_at, "an alias may not have control characters");
    }
    if alias.is_none() && name.contains(separator) {
        let better = name.replace(separator, "_");
        report
            .error(
                "config.separator_in_name",
                key_at,
                format!("the name has `{separator}` in it, which separates servers from tools in listed names"),
            )
            .help(format!("call the server `{better}`, or give it an `alias`"));
        return;
    }
    let (shown, shown_at) = alias.map_or((name, key_at), |alias| (alias, alias_at));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if shown.contains(' ') {
        let listed = shown.replace(' ', "_");
        report
            .warning(
                "config.sep986",
                shown_at,
                format!("blanks are not allowed in tool names; tools are listed as `{listed}{separator}...`"),
            )
            .help(format!("call it `{listed}`"));
    } else if !shown.chars().all(plain) || shown.len() > 64 {
        report
            .warning("config.sep986", shown_at, "tool names made from it violate SEP-986, and clients may refuse them")
            .help("use at most 64 letters, digits, `_`, `-` and `.`");
    }
}

/// No two servers may share an id, a name, an alias or a prefix: a grant or a call would mean both.
pub(super) fn check_collisions(servers: &[ServerSettings], at: &At<'_>, separator: &str, report: &mut Report) {
    let mut owners: HashMap<&str, &ServerSettings> = HashMap::new();
    for server in servers {
        let mut own: Vec<&str> = server.names().collect();
        own.sort_unstable();
        own.dedup();
        for name in own {
            if let Some(other) = owners.insert(name, server) {
                let place = collision_place(server, name, at);
                report
                    .error(
                        "config.name_taken",
                        &place,
                        format!("`{name}` is also a name of the server `{}`", other.name),
                    )
                    .help("names, aliases and ids share one space; change one of the two");
            }
        }
    }
    let by_prefix: BTreeMap<&str, &ServerSettings> = servers.iter().map(|server| (&*server.prefix, server)).collect();
    for server in servers {
        let start = format!("{}{separator}", server.prefix);
        let next = by_prefix.range(start.as_str()..).next().map(|(_, other)| other);
        if let Some(other) = next.filter(|other| other.prefix.starts_with(&start)) {
            report
                .warning(
                    "config.ambiguous_prefix",
                    &at.key_itself(&other.name),
                    format!("tools of `{}` could be taken for tools of `{}`", other.prefix, server.prefix),
                )
                .help("calls are routed by the list, so both work; but a different alias is clearer");
        }
    }
}

/// The names that servers have already, with whose they are.
#[derive(Default)]
pub(crate) struct Taken(HashMap<String, Arc<ServerSettings>>);

impl Taken {
    /// Those of these servers.
    pub(crate) fn by<'s>(servers: impl IntoIterator<Item = &'s Arc<ServerSettings>>) -> Self {
        let mut taken = Self::default();
        servers.into_iter().for_each(|server| taken.add(server));
        taken
    }

    /// And those of `server`.
    pub(crate) fn add(&mut self, server: &Arc<ServerSettings>) {
        for name in server.names() {
            self.0.entry(name.to_owned()).or_insert_with(|| Arc::clone(server));
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// A server of the database may have no name that is taken.
pub(super) fn check_beside(server: &ServerSettings, taken: &Taken, at: &At<'_>, report: &mut Report) {
    let mut told = Vec::new();
    for name in server.names() {
        let Some(other) = taken.0.get(name).filter(|other| !told.contains(&other.id)) else { continue };
        told.push(other.id.clone());
        let place = match () {
            () if server.alias.as_deref() == Some(name) && at.key("alias").is_set() => at.key("alias"),
            () if server.id.as_str() == name => at.key("server_id"),
            () => at.clone(),
        };
        let (of, what) = match other.origin {
            Origin::File => (" of the configuration file", "the file goes before the database: choose another name"),
            Origin::Database { .. } => ("", "names, aliases and ids share one space; choose another name"),
        };
        report
            .error("config.name_taken", &place, format!("`{name}` is also a name of the server `{}`{of}", other.name))
            .help(what);
    }
}

fn collision_place<'t>(server: &ServerSettings, name: &str, at: &At<'t>) -> At<'t> {
    let entry = at.key(&server.name);
    let pinned = entry.key("server_id");
    let alias = entry.key("alias");
    if pinned.node.and_then(Node::text).is_some_and(|id| id.trim() == name) {
        pinned
    } else if alias.node.and_then(Node::text) == Some(name) {
        alias
    } else {
        at.key_itself(&server.name)
    }
}

/// `mcp_aliases` must lead to servers that are there.
pub(super) fn check_aliases(litellm: &LitellmSection, litellm_at: &At<'_>, servers: &At<'_>, report: &mut Report) {
    let at = litellm_at.key("mcp_aliases");
    let entries = servers.node.map(entries).unwrap_or_default();
    for (alias, server) in litellm.mcp_aliases.iter().flatten() {
        let at = at.key(alias);
        let Some(entry) = entries.get(server.as_str()) else {
            let finding = report.warning("config.unknown_server", &at, format!("no server is called `{server}`"));
            match nearest(server, entries.keys().copied()) {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding.help("name a key of `mcp_servers`"),
            }
            continue;
        };
        if servers.entry(entry).key("alias").is_set() {
            let _ =
                report.warning("config.alias_unused", &at, format!("`{server}` has an `alias` of its own, which wins"));
        }
    }
}
