//! The tokens with which the gateway uses a server in its own name (`oauth2_flow: client_credentials`).
//!
//! One token per server is kept until a minute before its end, and given up when the server answers 401.

mod endpoint;
mod metadata;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::HeaderValue;
use toolgate_client::{HttpClient, Tokens};

use super::renewed::{Issued, Renewed};
use super::shared::Shared;
use crate::config::settings::oauth::{Authority, ClientCredentials};
use crate::config::settings::{ServerSettings, UpstreamAuth};
use crate::egress::Reach;

/// How long before its end a token is no longer used: LiteLLM's figure.
const SPARE: Duration = Duration::from_secs(60);

/// How long one is used that does not say.
const USUAL: Duration = Duration::from_secs(3600);

/// The authorization server may take this long.
const SIGN_IN: Duration = Duration::from_secs(10);

/// The tokens for one server.
pub(super) struct MachineTokens {
    settings: Arc<ServerSettings>,
    shared: Arc<Shared>,
    /// `Bearer ...`
    kept: Renewed<HeaderValue>,
}

/// What an authorization server gave.
struct Granted {
    authorization: HeaderValue,
    expires_in: Option<Duration>,
}

impl MachineTokens {
    pub(super) fn new(settings: &Arc<ServerSettings>, shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { settings: Arc::clone(settings), shared: Arc::clone(shared), kept: Renewed::none() })
    }

    async fn issued(&self) -> Result<Issued<HeaderValue>, String> {
        let server = &self.settings.name;
        match self.sign_in().await {
            Ok(Granted { authorization, expires_in }) => {
                let issued = Issued::new(authorization, expires_in.unwrap_or(USUAL + SPARE), SPARE);
                tracing::debug!(server.name = server, lasts = ?issued.lasts, "an access token was issued");
                Ok(issued)
            }
            Err(why) => {
                tracing::warn!(server.name = server, "no access token for `{server}`: {why}");
                Err(why)
            }
        }
    }

    async fn sign_in(&self) -> Result<Granted, String> {
        let UpstreamAuth::ClientCredentials(credentials) = &self.settings.auth else {
            return Err("it is not signed in to".to_owned());
        };
        let sign_in = async {
            let own = self.settings.origin.reach();
            let (url, reach) = match &credentials.authority {
                Authority::TokenUrl(url) => (url.clone(), own),
                Authority::Issuer(issuer) => metadata::token_endpoint(&self.client(own)?, issuer, own).await?,
            };
            endpoint::issue(&self.client(reach)?, &url, reach, credentials).await
        };
        tokio::time::timeout(SIGN_IN, sign_in)
            .await
            .unwrap_or_else(|_| Err(format!("{} did not answer within {SIGN_IN:?}", authority(credentials))))
    }

    fn client(&self, reach: Reach) -> Result<HttpClient, String> {
        self.shared.http_client(&self.settings.tls, reach).map_err(|error| error.to_string())
    }
}

impl Tokens for MachineTokens {
    fn current(&self) -> BoxFuture<'_, Result<HeaderValue, String>> {
        match self.kept.good() {
            Some(good) => Box::pin(std::future::ready(Ok(good))),
            None => Box::pin(self.kept.fetched(self.issued())),
        }
    }

    fn refused(&self, authorization: &HeaderValue) {
        self.kept.give_up(|kept| kept == authorization);
    }
}

/// Who issues tokens, as it is written in the configuration.
fn authority(credentials: &ClientCredentials) -> String {
    match &credentials.authority {
        Authority::TokenUrl(url) => format!("`token_url` {}", shown(url)),
        Authority::Issuer(url) => format!("`issuer` {}", shown(url)),
    }
}

fn shown(url: &url::Url) -> String {
    super::openapi::shown(url.as_str())
}
