//! Servers that are not in the file but in the database: the file's rules, and some of their own, since whoever may make
//! a server through the API need not be one who may read the gateway's environment and files.

use serde_json::Value as Json;
use url::Url;

use super::super::file::{LitellmSection, ServerEntry};
use super::super::finding::Finding;
use super::super::read::{UnknownKeys, read};
use super::super::report::{At, Report, Source};
use super::super::settings::{Origin, ServerSettings, Settings, Transport};
use super::super::tree::{Node, Value};
use super::names::Taken;
use super::{Common, ids, names, server, stdio};
use crate::egress::Reach;

/// What stands in grants for more than one server, or for none.
const RESERVED: [&str; 3] = ["all-proxy-mcpservers", "all-team-mcpservers", "no-mcp-servers"];

/// A server as the database has it.
pub(crate) struct Described<'d> {
    /// Its name.
    pub(crate) name: &'d str,
    /// The rest, in the words of the file.
    pub(crate) entry: &'d Json,
    /// Who proposed it.
    pub(crate) submitted_by: Option<&'d str>,
}

/// Checks a server that is to be beside those whose names are `taken`. `None`: it cannot be used as it is described; the findings, whose paths
/// are keys of the entry, say why.
pub(crate) fn check(
    described: &Described<'_>,
    settings: &Settings,
    taken: &Taken,
) -> (Option<ServerSettings>, Vec<Finding>) {
    let node = Node::from(described.entry);
    let at = At::root(&node);
    let mut report = Report::new(Source::new("", ""));
    references(&at, &mut report);
    let entry: ServerEntry = read(&at, &mut report, UnknownKeys::Warn);
    let litellm = LitellmSection::default();
    let common = Common {
        environment: &settings.environment,
        litellm: &litellm,
        separator: &settings.naming.separator,
        tls: &settings.tls,
        master_key: &settings.general.master_key,
        may_use_own_keys: false,
    };
    let mut checked = server::check(described.name, &entry, &at, &common, &mut report);
    if let Some(server) = &mut checked {
        server.origin = Origin::Database { submitted_by: described.submitted_by.map(str::to_owned) };
        ids::assign_short_prefixes(std::slice::from_mut(server), taken, &settings.environment);
        transport(server, &entry, &at, settings, &mut report);
        metadata(&server.transport, &at, &mut report);
        reserved(server, &at, &mut report);
        names::check_beside(server, taken, &at, &mut report);
    }
    let has_errors = report.has_errors();
    (checked.filter(|_| !has_errors), report.into_findings())
}

fn transport(server: &mut ServerSettings, entry: &ServerEntry, at: &At<'_>, settings: &Settings, report: &mut Report) {
    match &mut server.transport {
        Transport::Stdio(command) => stdio::check_stored(command, entry, at, &settings.environment, report),
        Transport::OpenApi { spec, .. } => {
            if !["http://", "https://"].iter().any(|scheme| spec.starts_with(scheme)) {
                report
                    .error("config.not_a_url", &at.key("spec_path"), "a server of the database cannot name a file")
                    .help("give the document's http or https URL, or declare the server in the configuration file");
            }
        }
        Transport::Http { .. } => {}
    }
}

/// Where a machine finds its credentials is for the file to name. What names lead to is seen when they are connected to.
fn metadata(transport: &Transport, at: &At<'_>, report: &mut Report) {
    let named = match transport {
        Transport::Http { url, .. } => vec![("url", url.clone())],
        Transport::OpenApi { spec, base_url, .. } => {
            let spec = Url::parse(spec).ok().map(|spec| ("spec_path", spec));
            base_url.clone().map(|url| ("url", url)).into_iter().chain(spec).collect()
        }
        Transport::Stdio(_) => Vec::new(),
    };
    for (key, url) in named.iter().filter(|(_, url)| Reach::Inside.shuts_out(url)) {
        let host = url.host_str().unwrap_or_default();
        report
            .error(
                "config.not_public",
                &at.key(key),
                format!("`{host}` is not a public address, nor one of a server inside"),
            )
            .help(
                "machines find their credentials there; declare the server in the configuration file if that is meant",
            );
    }
}

fn reserved(server: &ServerSettings, at: &At<'_>, report: &mut Report) {
    if let Some(name) = server.names().find(|name| RESERVED.contains(name)) {
        report
            .error("config.name_reserved", at, format!("`{name}` has a meaning of its own in grants"))
            .help("choose another name, alias or id");
    }
}

/// The environment is read for the file alone: else whoever may make a server could have any variable sent to them.
fn references(at: &At<'_>, report: &mut Report) {
    let Some(node) = at.node else { return };
    match &node.value {
        Value::Text(text) if text.trim_start().starts_with("os.environ/") => {
            report
                .error("config.not_from_the_environment", at, "a variable of the gateway can be named in the file only")
                .help("send the value itself: it is sealed, and never told again");
        }
        Value::List(items) => (0..items.len()).for_each(|index| references(&at.index(index), report)),
        Value::Map(entries) => entries.iter().for_each(|entry| references(&at.entry(entry), report)),
        Value::Null | Value::Unset(_) | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
}
