//! Settings for the tests of this module.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use toolgate_access::rules::Rules;

use crate::auth::testing::general;

use crate::config::settings::{
    Clients, EnvValue, HttpKind, Identity, Isolation, Limits, Naming, PrefixMode, ServerId, ServerSettings, Settings,
    StdioCommand, Timeouts, TlsSettings, ToolRules, Transport, UpstreamAuth,
};

/// A server without any frills.
pub(crate) fn server(name: &str, transport: Transport) -> ServerSettings {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, format!("{name} {transport:?}").as_bytes()).as_ref());
    ServerSettings {
        id: ServerId::from(format!("id-{name}")),
        other_ids: Vec::new(),
        name: name.to_owned(),
        alias: None,
        prefix: name.to_owned(),
        transport,
        description: None,
        instructions: None,
        mcp_info: serde_json::Map::new(),
        auth: UpstreamAuth::None,
        static_headers: Vec::new(),
        extra_headers: Vec::new(),
        tools: ToolRules::default(),
        access_groups: Vec::new(),
        allow_all_keys: false,
        available_on_public_internet: true,
        timeout: None,
        revision: None,
        allow_sampling: true,
        allow_elicitation: true,
        max_concurrent_requests: None,
        rpm: None,
        costs: Default::default(),
        tls: TlsSettings { verify: true, ca_file: None },
        own: Default::default(),
        origin: Default::default(),
        fingerprint,
    }
}

pub(crate) fn http_server(name: &str, url: &str) -> ServerSettings {
    server(name, Transport::Http { url: url.parse().expect("a URL"), kind: HttpKind::Streamable })
}

/// A child process running `script` under `python3 -u`, with `env` beside the `PATH`.
pub(crate) fn python_server(name: &str, script: &str, env: Vec<(&str, EnvValue)>) -> ServerSettings {
    let mut all = BTreeMap::from([("PATH".to_owned(), EnvValue::Fixed("/usr/bin:/bin".to_owned().into()))]);
    all.extend(env.into_iter().map(|(name, value)| (name.to_owned(), value)));
    server(
        name,
        Transport::Stdio(StdioCommand {
            command: "python3".to_owned(),
            args: vec!["-u".to_owned(), "-c".to_owned(), script.to_owned()],
            env: all,
            isolation: Isolation::Shared,
        }),
    )
}

pub(crate) fn settings(servers: Vec<ServerSettings>) -> Arc<Settings> {
    settings_of(servers.into_iter().map(Arc::new).collect())
}

pub(crate) fn settings_of(servers: Vec<Arc<ServerSettings>>) -> Arc<Settings> {
    Arc::new(Settings {
        general: general("sk-master-0123456789abcdef"),
        servers,
        access: Rules::default(),
        naming: Naming { separator: "-".to_owned(), prefix: PrefixMode::Always },
        timeouts: Timeouts {
            call: Duration::from_secs(20),
            listing: Duration::from_secs(20),
            metadata: Duration::from_secs(20),
            health: Duration::from_secs(20),
            list_cache: Duration::from_secs(60),
            rate_limit: Default::default(),
        },
        tls: TlsSettings { verify: true, ca_file: None },
        limits: Limits {
            head_time: Duration::from_secs(75),
            body_time: Duration::from_secs(30),
            request_bytes: 4 << 20,
            message_bytes: 64 << 20,
            names_per_scope: 16,
            pages_per_list: 1000,
            upstream_sessions: 100,
            session_idle: Duration::from_secs(1800),
            without_database: Duration::from_secs(300),
        },
        clients: Clients::default(),
        identity: Identity { name: "litellm-mcp-server".to_owned(), description: "test".to_owned() },
        hub_is_strict: true,
        environment: Arc::default(),
    })
}
