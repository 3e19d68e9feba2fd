//! `litellm_settings`: the keys that touch MCP. LiteLLM has hundreds of others, which are let be.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use super::server::SslVerify;
use super::server_later::OneOrMany;

/// `litellm_settings`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LitellmSection {
    /// Aliases for servers, as `alias: server name`. Only the first of a server counts, and only when its entry has no
    /// `alias`.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub mcp_aliases: Option<IndexMap<String, String>>,
    /// Certificates of all servers: `false` does not check them, a path names a PEM file with more roots. The variable
    /// `SSL_VERIFY` wins over it.
    #[schemars(extend("default" = true))]
    pub ssl_verify: Option<SslVerify>,
    /// Python callbacks of LiteLLM. `prometheus` has metrics under its names (see `compat_metrics`); those that name a
    /// Python object are warned about; others are let be.
    pub callbacks: Option<OneOrMany>,
    /// As `callbacks`, after a success.
    pub success_callback: Option<OneOrMany>,
    /// As `callbacks`, after a failure.
    pub failure_callback: Option<OneOrMany>,

    /// Ids of the servers that the public hub (`/public/mcp_hub`) shows, and that are seen from the internet in any case.
    /// `POST /v1/mcp/make_public` goes before it.
    pub public_mcp_servers: Option<Vec<String>>,
    /// `false`: the public hub shows all servers that are available on the public internet.
    #[schemars(extend("default" = true))]
    pub public_mcp_hub_strict_whitelist: Option<bool>,

    /// `/metrics` on the main port is for those who have a key. (LiteLLM asks for one unless this is `false`.)
    #[schemars(extend("default" = false))]
    pub require_auth_for_metrics_endpoint: Option<bool>,

    /// With `cache_params` of the type `redis`: limits and budgets are counted for all replicas in that Redis or Valkey.
    /// Answers of tools are never cached.
    #[schemars(extend("default" = false))]
    pub cache: Option<bool>,
    /// Where it is.
    pub cache_params: Option<CacheParams>,

    // What follows is read but not acted on yet.
    /// Clients search for tools instead of listing them.
    #[schemars(extend("x-status" = "not active yet"))]
    pub mcp_tool_search: Option<ToolSearch>,
    /// Only tools that fit the request are given to the model.
    #[schemars(extend("x-status" = "not active yet"))]
    pub mcp_semantic_tool_filter: Option<SemanticToolFilter>,
}

/// `cache_params`, as far as it says where Redis is.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CacheParams {
    /// Another than `redis` is of no use here, and let be.
    #[serde(rename = "type")]
    #[schemars(extend("default" = "redis"))]
    pub kind: Option<String>,
    /// Default: `REDIS_HOST`.
    pub host: Option<String>,
    /// Default: `REDIS_PORT`, then 6379.
    pub port: Option<NumberOrText>,
    /// Default: `REDIS_USERNAME`.
    pub username: Option<String>,
    /// Default: `REDIS_PASSWORD`.
    #[schemars(with = "Option<String>")]
    pub password: Option<SecretString>,
    /// In place of all that: `redis://user:password@host:port/db`, or `rediss://` for TLS. Default: `REDIS_URL`.
    #[schemars(with = "Option<String>")]
    pub url: Option<SecretString>,
    /// TLS, with a certificate that the system trusts. Default: `REDIS_SSL`.
    pub ssl: Option<bool>,
    /// The database's number.
    pub db: Option<NumberOrText>,
    /// What all keys begin with. Default: `REDIS_NAMESPACE`.
    pub namespace: Option<String>,
}

/// What `router_settings` and `general_settings` say of a Redis.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RedisSection {
    /// The name or address of a Redis or Valkey in which limits and budgets are counted for all replicas.
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
}

impl RedisSection {
    pub(crate) fn says_where(&self) -> bool {
        self.redis_host.is_some() || self.redis_url.is_some()
    }
}

/// A number, which may come out of a variable as text.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum NumberOrText {
    /// As it is.
    Number(u64),
    /// To be read.
    Text(String),
}

impl NumberOrText {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.trim().to_owned(),
        }
    }
}

/// `mcp_tool_search`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ToolSearch {
    /// The model that embeds descriptions.
    pub embedding_model: Option<String>,
    /// How many tools a search finds, 1 to 100.
    #[schemars(extend("default" = 5))]
    pub top_k: Option<u64>,
    /// How near a tool must be.
    #[schemars(extend("default" = 0.0))]
    pub similarity_threshold: Option<f64>,
    /// Tools that are always listed.
    #[schemars(extend("default" = []))]
    pub core_tools: Option<Vec<String>>,
}

/// `mcp_semantic_tool_filter`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SemanticToolFilter {
    /// Whether it is on.
    #[schemars(extend("default" = false))]
    pub enabled: Option<bool>,
    /// The model that embeds descriptions.
    #[schemars(extend("default" = "text-embedding-3-small"))]
    pub embedding_model: Option<String>,
    /// How many tools are given.
    #[schemars(extend("default" = 10))]
    pub top_k: Option<u64>,
    /// How near a tool must be.
    #[schemars(extend("default" = 0.3))]
    pub similarity_threshold: Option<f64>,
}
