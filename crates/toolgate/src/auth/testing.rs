//! Settings and callers for the tests of this and other modules.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::{AuthError, Caller, Gatekeeper, Who};
use crate::config::settings::{AllowedOrigins, General, MasterKeyOrigin};

/// `general_settings` with a key and nothing else.
pub(crate) fn general(master_key: &str) -> General {
    General {
        master_key: master_key.to_owned().into(),
        master_key_origin: MasterKeyOrigin::File,
        weak_master_key: false,
        key_header: None,
        customer_header: None,
        client_auth_header: HeaderName::from_static("x-mcp-auth"),
        advertised_versions: Vec::new(),
        disabled: Default::default(),
        require_explicit_scope: false,
        allowed_hosts: Vec::new(),
        allowed_origins: AllowedOrigins::Listed(Vec::new()),
        jwt: None,
        allowed_clients: None,
        database: Default::default(),
        stores_servers: true,
        required_fields: Vec::new(),
        trusted_proxies: None,
        mcp_registry: false,
        spend: Default::default(),
        redis: None,
        metrics_need_key: false,
        litellm_metrics: false,
        shutdown_grace: Duration::from_secs(1),
    }
}

/// A caller whose request had these headers, as `admit` would leave them.
pub(crate) fn caller(headers: &[(&str, &str)]) -> Caller {
    let headers: http::HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap()))
        .collect();
    Caller { headers: headers.into(), ..Caller::local() }
}

impl Gatekeeper {
    /// Lets in whoever has the master key.
    pub(crate) fn admit(&self, headers: &http::HeaderMap, query: Option<&str>) -> Result<Caller, AuthError> {
        let shown = self.look(headers, query)?;
        if !shown.is_master {
            return Err(shown.unknown());
        }
        let Caller { id, principal, grant, payers, .. } = Caller::local();
        let who = Who { id, principal, grant, payers };
        Ok(self.caller(headers, &shown, who, None))
    }
}
