//! The checked form of the configuration: values that cannot be wrong.
//!
//! The check makes these from the file, the environment and the command line; everything else in the gateway
//! reads only these. They are immutable: a reload makes a new [`Settings`] and swaps it whole.

pub mod aws;
pub mod jwt;
pub mod oauth;
mod own;
mod redis;
mod spend;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use indexmap::IndexMap;
use secrecy::SecretString;
use serde_json::value::RawValue;
use toolgate_access::rules::Rules;
use toolgate_mcp::method;
use toolgate_mcp::version::Revision;
use url::Url;

use super::environment::Environment;
use crate::auth::client_ip::TrustedProxies;

pub use own::{Origin, OwnVariable, Piece, Template, UsersOwn};
pub use redis::RedisSettings;
pub use spend::{CallCosts, SpendSettings};
pub use toolgate_access::id::ServerId;

/// Everything that the gateway was told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `general_settings`.
    pub general: General,
    /// `mcp_servers`, in the file's order; behind them those of the database, once they are put there.
    pub servers: Vec<Arc<ServerSettings>>,
    /// The general settings that bear on who reaches what.
    pub access: Rules,
    /// How the names that clients see are made.
    pub naming: Naming,
    /// How long the gateway waits for upstreams.
    pub timeouts: Timeouts,
    /// TLS towards upstreams that do not say otherwise.
    pub tls: TlsSettings,
    /// Caps on what one peer can make the gateway hold.
    pub limits: Limits,
    /// Connections and streams of clients.
    pub clients: Clients,
    /// How the gateway presents itself in `initialize`.
    pub identity: Identity,
    /// `public_mcp_hub_strict_whitelist`: the public hub shows nothing but what was made public.
    pub hub_is_strict: bool,
    /// What the gateway was started with, for servers that are checked later.
    pub environment: Arc<Environment>,
}

/// `general_settings`, as far as this gateway acts on it.
#[derive(Debug, Clone)]
pub struct General {
    /// The key that may do everything. Always there: where nobody gave one it is random and known to nobody, until
    /// [`super::master_key::settle`] puts the one from the data directory in its place.
    pub master_key: SecretString,
    /// Who gave the master key.
    pub master_key_origin: MasterKeyOrigin,
    /// The master key is well known or short, and accepted on loopback addresses only; see
    /// [`super::master_key::check_for_bind`].
    pub weak_master_key: bool,
    /// `litellm_key_header_name`: one more header that carries the gateway's key.
    pub key_header: Option<HeaderName>,
    /// `user_header_name`: one more header that names the customer for whom a request is made.
    pub customer_header: Option<HeaderName>,
    /// `mcp_client_side_auth_header_name`: carries one credential for all upstreams. Default `x-mcp-auth`.
    pub client_auth_header: HeaderName,
    /// `mcp_advertised_versions`; never empty, oldest first.
    pub advertised_versions: Vec<Revision>,
    /// `mcp_disabled_capabilities`.
    pub disabled: DisabledCapabilities,
    /// `mcp_require_explicit_server_scope`.
    pub require_explicit_scope: bool,
    /// `allowed_hosts`: more values of `Host` than loopback names and the bind address. Lower case, without port.
    pub allowed_hosts: Vec<String>,
    /// `allowed_origins`: values of `Origin` from which browsers may call, beside the gateway's own.
    pub allowed_origins: AllowedOrigins,
    /// The proxies that tell clients' addresses; `None`: nobody is believed.
    pub trusted_proxies: Option<TrustedProxies>,
    /// `enable_mcp_registry`: `/v1/mcp/registry.json` is served, to everybody.
    pub mcp_registry: bool,
    /// `enable_jwt_auth` and `litellm_jwtauth`; `None`: tokens are no credentials.
    pub jwt: Option<Arc<jwt::JwtSettings>>,
    /// `mcp_allowed_clients`; `None`: all.
    pub allowed_clients: Option<jwt::AllowedClients>,
    /// Where keys, teams and all else that is managed are kept.
    pub database: DatabaseSettings,
    /// `store_model_in_db` and `supported_db_objects`: servers are kept in the database beside those of the file.
    pub stores_servers: bool,
    /// `mcp_required_fields`: what a submitted server must have.
    pub required_fields: Vec<String>,
    /// What is written down of calls.
    pub spend: SpendSettings,
    /// Where replicas count together; `None`: each counts for itself.
    pub redis: Option<RedisSettings>,
    /// `require_auth_for_metrics_endpoint`: `/metrics` on the main port asks for a key.
    pub metrics_need_key: bool,
    /// `compat_metrics`: LiteLLM's metrics are there too.
    pub litellm_metrics: bool,
    /// `shutdown_grace_seconds`: how long running calls may go on after SIGTERM. Default 30 s.
    pub shutdown_grace: Duration,
}

impl General {
    /// Whether clients of a revision that begins with `initialize` are served.
    #[must_use]
    pub fn has_handshake(&self) -> bool {
        self.advertised_versions.first().is_none_or(|oldest| oldest.has_handshake())
    }
}

/// Where the database is, and what its secrets are sealed with.
#[derive(Debug, Clone, Default)]
pub struct DatabaseSettings {
    /// `database_url` or `DATABASE_URL`: PostgreSQL. `None`: a file in the data directory.
    pub url: Option<SecretString>,
    /// `LITELLM_SALT_KEY`.
    pub salt_key: Option<SecretString>,
    /// `TOOLGATE_OLD_SALT_KEYS`, separated by blanks: former ones, with which values may still be sealed.
    pub old_salt_keys: Vec<SecretString>,
}

/// Where the master key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterKeyOrigin {
    /// `general_settings.master_key`.
    File,
    /// `LITELLM_MASTER_KEY`, or the file that `LITELLM_MASTER_KEY_FILE` names.
    Environment,
    /// The file in the data directory.
    DataDirectory(PathBuf),
    /// Nowhere yet.
    NotGiven,
}

/// Origins that browsers may call from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// `"*"`: no check, as LiteLLM does.
    Any,
    /// These, and loopback origins. Lower case, `scheme://host[:port]`.
    Listed(Vec<String>),
}

/// What `mcp_disabled_capabilities` switches off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DisabledCapabilities {
    /// Prompts are not offered.
    pub prompts: bool,
    /// Resources are not offered.
    pub resources: bool,
}

/// How listed names are made.
#[derive(Debug, Clone)]
pub struct Naming {
    /// `MCP_TOOL_PREFIX_SEPARATOR`. Default `-`.
    pub separator: String,
    /// `general_settings.mcp_tool_prefix`.
    pub prefix: PrefixMode,
}

/// When the server's prefix is put before a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PrefixMode {
    /// Always, as LiteLLM does.
    #[default]
    Always,
    /// Only where two servers in scope have the same name.
    WhenAmbiguous,
    /// Never; of two equal names the first server's is listed.
    Never,
}

/// Deadlines towards upstreams. Each counts from the moment the wait begins.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// A call; `LITELLM_MCP_CLIENT_TIMEOUT`, 60 s. A server's own `timeout` goes before it.
    pub call: Duration,
    /// Listing tools; `LITELLM_MCP_TOOL_LISTING_TIMEOUT`, 30 s.
    pub listing: Duration,
    /// Listing prompts, resources and templates; `LITELLM_MCP_METADATA_TIMEOUT`, 10 s.
    pub metadata: Duration,
    /// A health probe; `LITELLM_MCP_HEALTH_CHECK_TIMEOUT`, 10 s.
    pub health: Duration,
    /// How long a fetched list serves before it is fetched again; `LITELLM_MCP_DISCOVERY_CACHE_TTL`, 60 s.
    pub list_cache: Duration,
    /// What becomes of a list when its server answers 429.
    pub rate_limit: RateLimitRetries,
}

/// How often, and after what time, a server that answers 429 is asked for a list again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitRetries {
    /// `LITELLM_MCP_UPSTREAM_RATE_LIMIT_MAX_RETRIES`, 3; 0: never.
    pub most: u32,
    /// `LITELLM_MCP_UPSTREAM_RATE_LIMIT_BASE_DELAY_SECONDS`, 0.5 s: the first pause, up to doubled by chance; each is twice
    /// the one before. A `Retry-After` of the server goes before it.
    pub first: Duration,
    /// `LITELLM_MCP_UPSTREAM_RATE_LIMIT_MAX_DELAY_SECONDS`, 5 s: the longest pause, whatever the server says.
    pub longest: Duration,
}

impl Default for RateLimitRetries {
    fn default() -> Self {
        Self { most: 3, first: Duration::from_millis(500), longest: Duration::from_secs(5) }
    }
}

/// TLS towards an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsSettings {
    /// `ssl_verify: false` switches certificate checks off.
    pub verify: bool,
    /// More roots than the system's: `ssl_verify: /path.pem` or `SSL_CERT_FILE`.
    pub ca_file: Option<PathBuf>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self { verify: true, ca_file: None }
    }
}

/// Caps.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a client may take to send the head of a request. Hyper counts the time between two requests of one
    /// connection too, so this is also how long an idle connection is kept; 75 s, as long as nginx keeps it.
    pub head_time: Duration,
    /// How long a client may take to send a request's body; 30 s.
    pub body_time: Duration,
    /// A client's request body, in bytes; 4 MiB.
    pub request_bytes: usize,
    /// One message of an upstream, in bytes; `LITELLM_MCP_MAX_SSE_EVENT_SIZE_BYTES`, 64 MiB.
    pub message_bytes: usize,
    /// Names in one path or `x-mcp-servers` header; 16.
    pub names_per_scope: usize,
    /// Pages that are asked of one upstream for one list; 1,000.
    pub pages_per_list: usize,
    /// Live sessions with upstreams held at once; 20,000.
    pub upstream_sessions: usize,
    /// How long a session, towards clients and upstreams, lives without use; 30 min.
    pub session_idle: Duration,
    /// How long keys that are known work on while the database does not answer; 5 min.
    pub without_database: Duration,
}

/// Connections and streams of clients.
#[derive(Debug, Clone)]
pub struct Clients {
    /// `max_connections`: connections that may be open at once. Default 10,000.
    pub connections: usize,
    /// `max_streams`: event streams that may be open at once. Default 10,000.
    pub streams: usize,
    /// How long an answer may take before its response begins as a stream with keep-alives, for clients that take
    /// streams; 5 s.
    pub stream_after: Duration,
    /// The same in sessions whose clients know how to come back to a stream that they lost while it was still quiet
    /// (since 2025-11-25); 0.5 s.
    pub resumable_after: Duration,
    /// How long a client may take to answer a server's question; 5 min.
    pub question_timeout: Duration,
    /// How long a stream that was lost, or has come to its end, can be taken up again; 2 min.
    pub replay_for: Duration,
    /// How often sessions are looked after for the two above; 5 s.
    pub tend_every: Duration,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            connections: 10_000,
            streams: 10_000,
            stream_after: Duration::from_secs(5),
            resumable_after: Duration::from_millis(500),
            question_timeout: Duration::from_secs(5 * 60),
            replay_for: Duration::from_secs(2 * 60),
            tend_every: Duration::from_secs(5),
        }
    }
}

/// How the gateway presents itself.
#[derive(Debug, Clone)]
pub struct Identity {
    /// `LITELLM_MCP_SERVER_NAME`; default `litellm-mcp-server`.
    pub name: String,
    /// `LITELLM_MCP_SERVER_DESCRIPTION`; default `MCP Server for LiteLLM`.
    pub description: String,
}

/// One entry of `mcp_servers`.
///
/// Two equal values mean that a reload left the server alone; see [`ServerSettings::fingerprint`].
#[derive(Debug)]
pub struct ServerSettings {
    /// The pinned `server_id`, or the one derived as LiteLLM does for this entry as it is written.
    pub id: ServerId,
    /// Other ids that lead here: LiteLLM derives a different one when `transport` is absent than when it is `http`.
    pub other_ids: Vec<ServerId>,
    /// The key in `mcp_servers`: LiteLLM's `server_name`.
    pub name: String,
    /// `alias`, or the first of `mcp_aliases` for this server.
    pub alias: Option<String>,
    /// The prefix of listed names: alias or name, blanks replaced by `_`; the short prefix when that is switched on.
    pub prefix: String,
    /// How to reach it.
    pub transport: Transport,
    /// `description`.
    pub description: Option<String>,
    /// `instructions`, put in place of the server's own.
    pub instructions: Option<String>,
    /// `mcp_info` as JSON, completed with `server_name` and `description`.
    pub mcp_info: serde_json::Map<String, serde_json::Value>,
    /// `auth_type` with its value.
    pub auth: UpstreamAuth,
    /// `static_headers`, with `env_vars` of global scope filled in. They win over forwarded ones.
    pub static_headers: Vec<(HeaderName, HeaderValue)>,
    /// `extra_headers`: names that are forwarded from the caller's request.
    pub extra_headers: Vec<HeaderName>,
    /// What may be listed and called, and under which name.
    pub tools: ToolRules,
    /// `access_groups`.
    pub access_groups: Vec<String>,
    /// `allow_all_keys`.
    pub allow_all_keys: bool,
    /// `available_on_public_internet`: whether clients outside the internal addresses reach it. Default yes.
    pub available_on_public_internet: bool,
    /// `timeout`.
    pub timeout: Option<Duration>,
    /// `protocol_version`: the only revision to speak with it. `None`: found out.
    pub revision: Option<Revision>,
    /// `allow_sampling`. Default true: clients that can be asked are told to be.
    pub allow_sampling: bool,
    /// `allow_elicitation`, of forms and URLs. Default true.
    pub allow_elicitation: bool,
    /// `max_concurrent_requests`.
    pub max_concurrent_requests: Option<std::num::NonZeroUsize>,
    /// `rpm`: requests to the server in a minute.
    pub rpm: Option<NonZeroU64>,
    /// `mcp_info.mcp_server_cost_info`.
    pub costs: CallCosts,
    /// `ssl_verify` of the entry, or the general one.
    pub tls: TlsSettings,
    /// What users bring of their own.
    pub own: UsersOwn,
    /// Where the entry stands.
    pub origin: Origin,
    /// SHA-256 over the entry as it was read, environment filled in. Equal fingerprints mean: the same server.
    pub fingerprint: [u8; 32],
}

impl ServerSettings {
    /// The key by which the server may not ask clients for this, if there is one.
    #[must_use]
    pub fn forbids(&self, asked: &str) -> Option<&'static str> {
        match asked {
            method::SAMPLING_CREATE_MESSAGE if !self.allow_sampling => Some("allow_sampling"),
            method::ELICITATION_CREATE if !self.allow_elicitation => Some("allow_elicitation"),
            _ => None,
        }
    }

    /// Every name under which this server may be addressed or its tools prefixed: alias, name, ids, prefix.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let ids = std::iter::once(&self.id).chain(&self.other_ids).map(ServerId::as_str);
        self.alias.as_deref().into_iter().chain([self.name.as_str(), self.prefix.as_str()]).chain(ids)
    }
}

/// How a server is reached.
#[derive(Debug)]
pub enum Transport {
    /// Over HTTP.
    Http {
        /// The endpoint.
        url: Url,
        /// Which of the two HTTP transports.
        kind: HttpKind,
    },
    /// As a child process.
    Stdio(StdioCommand),
    /// A REST API described by OpenAPI.
    OpenApi {
        /// `spec_path`.
        spec: String,
        /// `url`.
        base_url: Option<Url>,
        /// What is made of the description.
        settings: Box<OpenApiSettings>,
    },
}

/// What is made of an OpenAPI description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenApiSettings {
    /// `allowed_tags`, `allowed_methods`, `allowed_paths`.
    pub select: toolgate_openapi::Select,
    /// `openapi_overlay`.
    pub overlay: BTreeMap<String, toolgate_openapi::Overlay>,
    /// `openapi_output_schemas`. Default true.
    pub output_schemas: bool,
    /// `spec_ref_origins`.
    pub ref_origins: RefOrigins,
    /// `spec_refresh_seconds`: how often the description is looked at again. Default 5 min.
    pub refresh: Duration,
    /// `max_response_bytes`: how much of an answer is shown. Default 1 MiB.
    pub response_bytes: usize,
}

impl Default for OpenApiSettings {
    fn default() -> Self {
        Self {
            select: toolgate_openapi::Select::default(),
            overlay: BTreeMap::new(),
            output_schemas: true,
            ref_origins: RefOrigins::default(),
            refresh: Duration::from_secs(300),
            response_bytes: 1024 * 1024,
        }
    }
}

/// Where documents may be that a description refers to, beside where it is itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefOrigins {
    /// `*`: anywhere in the internet, over https.
    pub any: bool,
    /// At these origins, as `https://host:port`.
    pub at: Vec<String>,
}

/// Which HTTP transport a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpKind {
    /// `transport` absent: Streamable HTTP is tried, then HTTP+SSE; the answer is remembered.
    Detect,
    /// `transport: http`.
    Streamable,
    /// `transport: sse`.
    Sse,
}

/// A child process to start.
#[derive(Debug)]
pub struct StdioCommand {
    /// `command`.
    pub command: String,
    /// `args`.
    pub args: Vec<String>,
    /// `env`, complete: what the child gets beside the base set, which `check` has put in already.
    pub env: BTreeMap<String, EnvValue>,
    /// `isolation`.
    pub isolation: Isolation,
}

/// One value in a child's environment.
#[derive(Debug)]
pub enum EnvValue {
    /// From the file.
    Fixed(SecretString),
    /// `${X-HEADER}` or `${X-HEADER:-default}`: from the caller's request.
    Header {
        /// Which header.
        name: HeaderName,
        /// What to use when it is missing or empty; without it the server is not started for that caller.
        default: Option<SecretString>,
    },
    /// With values of the user's own in it.
    Own(Template),
}

/// Who shares a child process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Everyone whose environment renders the same and who can do nothing for servers; other sessions have their own.
    #[default]
    Auto,
    /// Everyone whose environment renders the same.
    Shared,
    /// One child per client session.
    Session,
    /// One child per caller.
    User,
}

/// `auth_type` and its value.
#[derive(Debug)]
pub enum UpstreamAuth {
    /// None.
    None,
    /// A value that is the same for all callers; a caller's own value (`x-mcp-...`) is sent in its place.
    Static {
        /// How the value is put on the wire.
        scheme: AuthScheme,
        /// `authentication_token` or `auth_value`; none means that only the caller's own is sent.
        value: Option<SecretString>,
        /// `upstream_token_header`, where it is not the scheme's own.
        header: Option<HeaderName>,
    },
    /// The gateway signs in for itself.
    ClientCredentials(Box<oauth::ClientCredentials>),
    /// The gateway signs each request.
    AwsSigv4(Box<aws::AwsSigv4>),
    /// Something is missing without which the type cannot be used: such a server is listed as unavailable, saying so.
    Incomplete {
        /// The `auth_type`.
        auth_type: String,
        /// The keys that are missing, quoted.
        missing: String,
    },
    /// One of LiteLLM's types whose part is not active yet: such a server is listed as unavailable, saying so.
    NotActiveYet {
        /// What is not active: the `auth_type` as written.
        auth_type: String,
    },
}

impl UpstreamAuth {
    /// The `auth_type` in LiteLLM's words; `None` without one.
    #[must_use]
    pub fn auth_type(&self) -> Option<&str> {
        Some(match self {
            Self::None => return None,
            Self::Static { scheme, .. } => scheme.as_str(),
            Self::ClientCredentials(_) => "oauth2",
            Self::AwsSigv4(_) => "aws_sigv4",
            Self::Incomplete { auth_type, .. } | Self::NotActiveYet { auth_type } => auth_type,
        })
    }
}

/// How LiteLLM writes a static credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthScheme {
    /// `X-API-Key: v`
    ApiKey,
    /// `Authorization: Bearer v`
    BearerToken,
    /// `Authorization: Basic base64(v)`
    Basic,
    /// `Authorization: v`
    Authorization,
    /// `Authorization: token v`
    Token,
}

impl AuthScheme {
    /// As it is written in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::BearerToken => "bearer_token",
            Self::Basic => "basic",
            Self::Authorization => "authorization",
            Self::Token => "token",
        }
    }
}

/// What may be listed and called on one server. Keys and entries are bare tool names, or carry a known prefix.
#[derive(Debug, Default)]
pub struct ToolRules {
    /// `allowed_tools`; `None` means all, an empty list none. (In the file an empty list means all, unless
    /// `mcp_info.tool_allowlist_enforced`; that is settled here.)
    pub allowed: Option<Vec<String>>,
    /// `disallowed_tools`; wins over `allowed`.
    pub disallowed: Vec<String>,
    /// `allowed_params`.
    pub allowed_params: BTreeMap<String, Vec<String>>,
    /// `tool_name_to_display_name`: bare name to the whole name that clients see.
    pub display_names: BTreeMap<String, String>,
    /// `tool_name_to_description`.
    pub descriptions: BTreeMap<String, String>,
    /// `pinned_tools`: only these may be called, listed with this description and schema.
    pub pinned: Option<IndexMap<String, PinnedTool>>,
}

/// A tool as it was when somebody approved it.
#[derive(Debug)]
pub struct PinnedTool {
    /// `description`.
    pub description: Option<String>,
    /// `input_schema`, as JSON.
    pub input_schema: Option<Box<RawValue>>,
}

/// Where `serve` listens; from the command line and the environment.
#[derive(Debug, Clone, Copy)]
pub struct Bind {
    /// `--host`.
    pub host: IpAddr,
    /// `--port`; 0 lets the system choose.
    pub port: u16,
    /// `--prometheus_metrics_port`: where `/metrics` is served too, and nothing else. `None`: nowhere else.
    pub metrics_port: Option<u16>,
}
