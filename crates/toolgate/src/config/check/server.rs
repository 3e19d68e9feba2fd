//! One entry of `mcp_servers`.

use std::num::NonZeroUsize;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::{Map, Value};
use toolgate_mcp::version::Revision;
use url::Url;

use super::super::file::ServerEntry;
use super::super::file::server::{AuthType, TransportName};
use super::super::report::{At, Report};
use super::super::settings::{HttpKind, Origin, ServerSettings, TlsSettings, Transport, UsersOwn};
use super::super::tree::Node;
use super::environment::{MAX_SECONDS, in_range};
use super::variables::Variables;
use super::{Common, auth, headers, ids, names, openapi, spend, stdio, tls, tools};

/// Checks one entry. `None` when it has no way to be reached.
pub(super) fn check(
    name: &str,
    entry: &ServerEntry,
    at: &At<'_>,
    common: &Common<'_>,
    report: &mut Report,
) -> Option<ServerSettings> {
    if !at.is_set() {
        report
            .error("config.missing_key", at, "the entry is empty")
            .help("give it a `url`, or `transport: stdio` and a `command`");
        return None;
    }
    let alias = names::alias(name, entry.alias.as_deref(), common.litellm);
    names::check(name, alias.as_deref(), common.separator, at, at, report);
    let (id, other_ids) = ids::of(name, alias.as_deref(), entry, at, report);
    let auth = auth::check(name, entry, at, common, report);
    let variables = Variables::read(entry, at, report);
    let transport = transport(entry, &variables, at, common, report);
    let (static_headers, own_headers) = headers::fixed(entry, &variables, at, common, report);
    let own = UsersOwn {
        credential: own_credential(entry, at, report),
        variables: variables.of_users(),
        headers: own_headers,
    };
    let tls = tls::apply(entry.ssl_verify.as_ref(), common.tls, &at.key("ssl_verify"), report);
    let prefix = alias.as_deref().unwrap_or(name).replace(' ', "_");
    let fingerprint = fingerprint(name, alias.as_deref(), at.node, &tls);
    Some(ServerSettings {
        id,
        other_ids,
        name: name.to_owned(),
        alias,
        prefix,
        transport: transport?,
        description: entry.description.clone(),
        instructions: entry.instructions.clone(),
        mcp_info: mcp_info(name, entry),
        auth,
        static_headers,
        extra_headers: headers::forwarded(entry, at, report),
        tools: tools::check(entry, at, report),
        access_groups: entry.access_groups.clone().unwrap_or_default(),
        allow_all_keys: entry.allow_all_keys.unwrap_or(false),
        available_on_public_internet: entry.available_on_public_internet.unwrap_or(true),
        timeout: timeout(entry, at, report),
        revision: revision(entry, at, report),
        allow_sampling: entry.allow_sampling.unwrap_or(true),
        allow_elicitation: entry.allow_elicitation.unwrap_or(true),
        max_concurrent_requests: max_concurrent(entry),
        rpm: spend::rpm(entry),
        costs: spend::costs(entry, at, report),
        tls,
        own,
        origin: Origin::File,
        fingerprint,
    })
}

/// `is_byok`. A child has no credential but its environment.
fn own_credential(entry: &ServerEntry, at: &At<'_>, report: &mut Report) -> bool {
    let wanted = entry.is_byok.unwrap_or(false);
    if wanted && entry.transport == Some(TransportName::Stdio) {
        report
            .warning("config.unused_key", &at.key("is_byok"), "a stdio server is sent no credential; it has no effect")
            .help("name a variable with `scope: user` in `env_vars`, and `${NAME}` in `env`");
        return false;
    }
    // A signature stands in no user's name.
    wanted && entry.auth_type != Some(AuthType::AwsSigv4)
}

fn transport(
    entry: &ServerEntry,
    variables: &Variables<'_>,
    at: &At<'_>,
    common: &Common<'_>,
    report: &mut Report,
) -> Option<Transport> {
    if let Some(spec) = entry.spec_path.as_ref().filter(|spec| !spec.is_empty()) {
        let given = entry.url.as_deref().filter(|url| !url.is_empty());
        let base_url = given.and_then(|url| http_url(url, &at.key("url"), report));
        let settings = Box::new(openapi::check(entry, at, report));
        return Some(Transport::OpenApi { spec: spec.clone(), base_url, settings });
    }
    let has_url = entry.url.as_deref().is_some_and(|url| !url.is_empty());
    match entry.transport {
        Some(TransportName::Stdio) => {
            if has_url {
                let _ =
                    report.warning("config.unused_key", &at.key("url"), "a stdio server has no URL; it has no effect");
            }
            Some(Transport::Stdio(stdio::check(entry, variables, at, common, report)?))
        }
        None if !has_url && entry.command.is_some() => {
            report
                .warning(
                    "config.transport_assumed",
                    &at.key("command"),
                    "`transport: stdio` is assumed, as there is a `command` and no `url`",
                )
                .help("write `transport: stdio`; LiteLLM would take the entry for an HTTP server");
            Some(Transport::Stdio(stdio::check(entry, variables, at, common, report)?))
        }
        transport => {
            warn_of_stdio_keys(entry, at, report);
            let kind = match transport {
                Some(TransportName::Http) => HttpKind::Streamable,
                Some(TransportName::Sse) => HttpKind::Sse,
                Some(TransportName::Stdio) | None => HttpKind::Detect,
            };
            let Some(url) = entry.url.as_deref().filter(|url| !url.is_empty()) else {
                // A variable that is not set, or a value of the wrong type, was reported already.
                if at.key("url").node.is_none() {
                    report
                        .error("config.missing_key", at, "the entry has no `url`")
                        .help("add `url: https://...`, or `transport: stdio` with a `command`");
                }
                return None;
            };
            Some(Transport::Http { url: http_url(url, &at.key("url"), report)?, kind })
        }
    }
}

fn warn_of_stdio_keys(entry: &ServerEntry, at: &At<'_>, report: &mut Report) {
    for (key, given) in
        [("command", entry.command.is_some()), ("args", entry.args.is_some()), ("env", entry.env.is_some())]
    {
        if given {
            report
                .warning("config.unused_key", &at.key_itself(key), "belongs to stdio servers; it has no effect here")
                .help("remove it, or write `transport: stdio` and remove `url`");
        }
    }
}

pub(super) fn http_url(text: &str, at: &At<'_>, report: &mut Report) -> Option<Url> {
    let text = text.trim();
    let (problem, help) = match Url::parse(text) {
        _ if !text.contains("://") => ("not a URL: it has no scheme", "write https:// or http:// before it"),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            ("only http and https URLs can be reached", "for a program on this machine use `transport: stdio`")
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            report
                .error("config.credentials_in_url", at, "a URL may not hold a user name or password")
                .help("use `auth_type: basic` with `auth_value: os.environ/NAME`, holding user:password");
            return None;
        }
        // The parser takes the first word of the path for the host then.
        Ok(_) if text.contains(":///") => ("not a URL: it has no host", "write it as https://host/path"),
        Ok(url) => return Some(url),
        Err(url::ParseError::EmptyHost) => ("not a URL: it has no host", "write it as https://host/path"),
        Err(url::ParseError::InvalidPort) => {
            ("not a URL: the port is not a number up to 65535", "write it as https://host:port/path")
        }
        Err(_) => ("not a URL", "write it as https://host/path"),
    };
    report.error("config.not_a_url", at, problem).help(help);
    None
}

/// `mcp_info` completed as LiteLLM does.
fn mcp_info(name: &str, entry: &ServerEntry) -> Map<String, Value> {
    let mut info = entry.mcp_info.clone().unwrap_or_default();
    info.entry("server_name").or_insert_with(|| name.into());
    if let Some(description) = entry.description.as_deref().filter(|description| !description.is_empty()) {
        info.entry("description").or_insert_with(|| description.into());
    }
    info
}

fn timeout(entry: &ServerEntry, at: &At<'_>, report: &mut Report) -> Option<Duration> {
    let seconds = entry.timeout?;
    let duration = in_range(seconds, false);
    if duration.is_none() {
        report
            .error(
                "config.out_of_range",
                &at.key("timeout"),
                format!("{seconds} s is not above 0 and at most {MAX_SECONDS} s"),
            )
            .help("the value is in seconds");
    }
    duration
}

/// `protocol_version`, or `mcp_info.protocol_version`, which LiteLLM reads as well.
fn revision(entry: &ServerEntry, at: &At<'_>, report: &mut Report) -> Option<Revision> {
    let in_info = || entry.mcp_info.as_ref()?.get("protocol_version")?.as_str();
    let (given, at) = match entry.protocol_version.as_deref() {
        Some(given) => (given, at.key("protocol_version")),
        None => (in_info()?, at.key("mcp_info").key("protocol_version")),
    };
    if given == "auto" {
        return None;
    }
    let Some(revision) = Revision::parse(given) else {
        let known = Revision::ALL.map(Revision::name).join(", ");
        report
            .error("config.unknown_value", &at, format!("unknown revision `{given}`"))
            .help(format!("possible: auto, {known}"));
        return None;
    };
    if !revision.has_handshake() && entry.transport == Some(TransportName::Sse) {
        report
            .error("config.unknown_value", &at, format!("{given} cannot be spoken over HTTP+SSE"))
            .help("write `transport: http`, or an older revision");
    }
    Some(revision)
}

/// Nothing, 0 and negative numbers mean no limit, as in LiteLLM.
fn max_concurrent(entry: &ServerEntry) -> Option<NonZeroUsize> {
    entry.max_concurrent_requests.and_then(|limit| usize::try_from(limit).ok()).and_then(NonZeroUsize::new)
}

/// SHA-256 over all that makes the server what it is.
fn fingerprint(name: &str, alias: Option<&str>, entry: Option<&Node>, tls: &TlsSettings) -> [u8; 32] {
    let entry = entry.map(Node::to_json).unwrap_or_default();
    let ca_file = tls.ca_file.as_ref().map(|path| path.to_string_lossy());
    let whole = serde_json::json!([name, alias, entry, tls.verify, ca_file]);
    let mut context = Context::new(&SHA256);
    context.update(whole.to_string().as_bytes());
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(context.finish().as_ref());
    fingerprint
}
