//! The Redis or Valkey in which replicas count together.

use secrecy::SecretString;

/// `litellm_settings.cache_params`, or `redis_host` and its like; Redis or Valkey alike.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// A name or an address.
    pub host: String,
    /// Default 6379.
    pub port: u16,
    /// Whether the connection is encrypted; certificates are those that the system trusts.
    pub tls: bool,
    /// `None`: the default user.
    pub username: Option<String>,
    /// Of the user.
    pub password: Option<SecretString>,
    /// The database's number. Default 0.
    pub db: i64,
    /// What all keys there begin with, for several gateways on one server.
    pub namespace: Option<String>,
}

impl RedisSettings {
    /// Where it is, for people.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}
