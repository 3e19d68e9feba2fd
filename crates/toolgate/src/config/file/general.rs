//! `general_settings`: the keys that touch MCP. LiteLLM has hundreds of others, which are let be.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::jwt::JwtAuthSection;
use super::litellm::{NumberOrText, RedisSection};
use super::server_later::OneOrMany;

/// `general_settings`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GeneralSection {
    /// The key that may do everything. Default: `LITELLM_MASTER_KEY`, then the file `LITELLM_MASTER_KEY_FILE`, then one
    /// that is made at first start and kept in the data directory.
    #[schemars(with = "Option<String>")]
    pub master_key: Option<SecretString>,
    /// One more header that may carry the gateway's key.
    pub litellm_key_header_name: Option<String>,
    /// One more header that names the customer (end user) for whom a request is made, beside `x-litellm-customer-id` and
    /// `x-litellm-end-user-id`.
    pub user_header_name: Option<String>,
    /// The header with one credential for all servers. `LITELLM_MCP_CLIENT_SIDE_AUTH_HEADER_NAME` wins over it.
    #[schemars(extend("default" = "x-mcp-auth"))]
    pub mcp_client_side_auth_header_name: Option<String>,
    /// The revisions of MCP that clients are offered.
    #[schemars(extend("default" = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]))]
    pub mcp_advertised_versions: Option<Vec<String>>,
    /// Capabilities that are switched off.
    #[schemars(extend("default" = []))]
    pub mcp_disabled_capabilities: Option<Vec<Capability>>,
    /// Requests to all servers at once are refused: a path, toolset or `x-mcp-servers` must name some.
    #[schemars(extend("default" = false))]
    pub mcp_require_explicit_server_scope: Option<bool>,
    /// When the server's name is put before its tools' names.
    #[schemars(extend("default" = "always"))]
    pub mcp_tool_prefix: Option<PrefixName>,
    /// Values of `Host` that are accepted beside loopback names and the bind address.
    #[schemars(extend("default" = []))]
    pub allowed_hosts: Option<OneOrMany>,
    /// Web pages that may call from a browser, as `https://host[:port]`; `"*"` accepts all.
    #[schemars(extend("default" = []))]
    pub allowed_origins: Option<OneOrMany>,
    /// How long running calls may go on after the gateway was told to stop, in seconds; at most 3600.
    #[schemars(extend("default" = 30))]
    pub shutdown_grace_seconds: Option<f64>,
    /// Connections of clients that may be open at once; one more is answered 503.
    #[schemars(extend("default" = 10000))]
    pub max_connections: Option<u64>,
    /// Event streams to clients that may be open at once; one more is answered 503, or as JSON.
    #[schemars(extend("default" = 10000))]
    pub max_streams: Option<u64>,
    /// What calls were asked and what they answered is kept in the log of calls too. Otherwise it has the arguments' names,
    /// types and sizes.
    #[schemars(extend("default" = false))]
    pub store_prompts_in_spend_logs: Option<bool>,
    /// No log of calls is kept, only what was spent.
    #[schemars(extend("default" = false))]
    pub disable_spend_logs: Option<bool>,
    /// How long the log of calls is kept, such as `30d`. Default: for ever.
    pub maximum_spend_logs_retention_period: Option<String>,
    /// How often what is older is deleted.
    #[schemars(extend("default" = "1d"))]
    pub maximum_spend_logs_retention_interval: Option<String>,
    /// Whose names of metrics `/metrics` has beside the gateway's own. Default: `litellm` where `litellm_settings` has the
    /// callback `prometheus`, else `none`.
    pub compat_metrics: Option<CompatMetrics>,

    /// The name or address of a Redis or Valkey in which limits and budgets are counted for all replicas, where
    /// `router_settings` has none.
    pub redis_host: Option<String>,
    /// Its port. Default: `REDIS_PORT`, then 6379.
    pub redis_port: Option<NumberOrText>,
    /// Its password. Default: `REDIS_PASSWORD`.
    #[schemars(with = "Option<String>")]
    pub redis_password: Option<SecretString>,
    /// In place of all that: `redis://user:password@host:port/db`, or `rediss://` for TLS.
    #[schemars(with = "Option<String>")]
    pub redis_url: Option<SecretString>,
    /// TLS, with a certificate that the system trusts. Default: `REDIS_SSL`.
    pub redis_ssl: Option<bool>,
    /// The database's number.
    pub redis_db: Option<NumberOrText>,

    // The database, and who may come.
    /// PostgreSQL, for many replicas. Default: `DATABASE_URL`.
    #[schemars(with = "Option<String>")]
    pub database_url: Option<SecretString>,
    /// Whether servers may be made through the API and are kept in the database, beside those of this file. Default: the
    /// variable `STORE_MODEL_IN_DB`, then true. Keys and teams are kept there in any case.
    pub store_model_in_db: Option<bool>,
    /// Which kinds of things are read from the database; absent: all. Without `mcp` in the list, servers are not.
    pub supported_db_objects: Option<Vec<String>>,
    /// Callers may come with JWTs of the issuer whose keys `JWT_PUBLIC_KEY_URL` names.
    #[schemars(extend("default" = false))]
    pub enable_jwt_auth: Option<bool>,
    /// How JWTs are read.
    #[schemars(with = "Option<JwtAuthSection>")]
    pub litellm_jwtauth: Option<Map<String, Value>>,
    /// The only MCP clients that may connect.
    pub mcp_allowed_clients: Option<Vec<AllowedClient>>,
    /// The header by which clients without a JWT name themselves for `mcp_allowed_clients`.
    pub mcp_client_id_header: Option<String>,
    /// A key without grants of its own does not inherit its team's.
    #[schemars(extend("default" = false))]
    pub require_key_mcp_access_defined: Option<bool>,
    /// An end user without grants sees no servers.
    #[schemars(extend("default" = false))]
    pub require_end_user_mcp_access_defined: Option<bool>,
    /// `allow_all_keys` does not widen a key that is limited to certain servers.
    #[schemars(extend("default" = false))]
    pub mcp_allow_all_keys_respects_mcp_scope: Option<bool>,
    /// Addresses that count as internal.
    #[schemars(extend(
        "default" = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1/128", "fc00::/7"]
    ))]
    pub mcp_internal_ip_ranges: Option<Vec<String>>,
    /// The client's address is taken from `X-Forwarded-For` where a proxy of `mcp_trusted_proxy_ranges` sends it.
    #[schemars(extend("default" = false))]
    pub use_x_forwarded_for: Option<bool>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub mcp_trusted_proxy_ranges: Option<Vec<String>>,
    /// How many proxies stand one behind the other before the gateway: the client is that entry from the right.
    #[schemars(extend("default" = 1))]
    pub mcp_xff_num_trusted_hops: Option<u64>,
    /// OAuth: a client id metadata document is preferred to registration.
    #[schemars(extend("default" = false, "x-status" = "not active yet"))]
    pub mcp_prefer_client_id_metadata_document: Option<bool>,
    /// OAuth: the keys that sign the gateway's tokens.
    #[schemars(extend("x-status" = "not active yet"))]
    pub mcp_session_token_signing: Option<TokenSigning>,
    /// The fields that a server must have to be submitted by somebody who is no admin.
    #[schemars(extend("default" = []))]
    pub mcp_required_fields: Option<Vec<String>>,
    /// Offers `/v1/mcp/registry.json`, a list of servers for everybody, without a key.
    #[schemars(extend("default" = false))]
    pub enable_mcp_registry: Option<bool>,
    /// Whether users see all servers in the dashboard.
    #[schemars(extend("default" = "restricted", "x-status" = "not active yet"))]
    pub user_mcp_management_mode: Option<ManagementMode>,
}

impl GeneralSection {
    pub(crate) fn redis(&self) -> RedisSection {
        RedisSection {
            redis_host: self.redis_host.clone(),
            redis_port: self.redis_port.clone(),
            redis_password: self.redis_password.clone(),
            redis_url: self.redis_url.clone(),
            redis_ssl: self.redis_ssl,
            redis_db: self.redis_db.clone(),
        }
    }
}

/// `mcp_disabled_capabilities[]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// Prompts.
    Prompts,
    /// Resources.
    Resources,
}

/// `compat_metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CompatMetrics {
    /// Nobody's.
    None,
    /// LiteLLM's, as far as they say something of MCP traffic, for its dashboards.
    Litellm,
}

/// `mcp_tool_prefix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrefixName {
    /// Before every name, as LiteLLM does.
    Always,
    /// Only where two servers have the same name.
    WhenAmbiguous,
    /// Never.
    Never,
}

/// One of `mcp_allowed_clients`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AllowedClient {
    /// What people call it.
    pub alias: Option<String>,
    /// The name it sends.
    pub value: Option<String>,
}

/// `mcp_session_token_signing`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TokenSigning {
    /// `RS256`.
    pub algorithm: Option<String>,
    /// The key's id.
    pub kid: Option<String>,
    /// The RSA key in PEM form.
    #[schemars(with = "Option<String>")]
    pub private_key: Option<SecretString>,
    /// Former keys, whose tokens are still good.
    pub previous_public_keys: Option<Vec<FormerKey>>,
}

/// One of `previous_public_keys`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FormerKey {
    /// The key's id.
    pub kid: Option<String>,
    /// Its public half in PEM form.
    pub public_key: Option<String>,
}

/// `user_mcp_management_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ManagementMode {
    /// Only what the user may use.
    Restricted,
    /// All of them.
    ViewAll,
}
