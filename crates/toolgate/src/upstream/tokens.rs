//! The tokens with which the gateway uses a server in its own name (`oauth2_flow: client_credentials`).
//!
//! One token per server is kept until a minute before its end, and given up when the server answers 401. Whoever needs one
//! first fetches it, and the others wait for that. After a failure nobody asks again for some seconds, so that a flood of
//! calls does not become a flood of sign-ins.

mod endpoint;
mod metadata;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;
use http::HeaderValue;
use tokio::sync::Mutex;
use tokio::time::Instant;
use toolgate_client::{HttpClient, Tokens};

use super::shared::Shared;
use crate::config::settings::oauth::{Authority, ClientCredentials};
use crate::config::settings::{ServerSettings, UpstreamAuth};
use crate::egress::Reach;

/// How long before its end a token is no longer used: LiteLLM's figure.
const SPARE: Duration = Duration::from_secs(60);

/// How long a token is used at least, however soon it ends.
const SHORTEST: Duration = Duration::from_secs(10);

/// How long one is used that does not say.
const USUAL: Duration = Duration::from_secs(3600);

/// A longer time is not believed; the server's 401 says when it was right.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a failure stands for those who come later.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// A younger token is not given up: a server that refuses every token would have one fetched per request.
const YOUNG: Duration = Duration::from_secs(1);

/// The authorization server may take this long.
const SIGN_IN: Duration = Duration::from_secs(10);

/// The tokens for one server.
pub(super) struct MachineTokens {
    settings: Arc<ServerSettings>,
    shared: Arc<Shared>,
    kept: ArcSwapOption<Kept>,
    /// Held by whoever fetches a token.
    fetching: Mutex<Option<Failure>>,
}

struct Kept {
    /// `Bearer ...`
    authorization: HeaderValue,
    since: Instant,
    until: Instant,
}

struct Failure {
    why: String,
    until: Instant,
}

/// What an authorization server gave.
struct Issued {
    authorization: HeaderValue,
    expires_in: Option<Duration>,
}

impl MachineTokens {
    /// `None` for servers that are used otherwise.
    pub(super) fn of(settings: &Arc<ServerSettings>, shared: &Arc<Shared>) -> Option<Arc<Self>> {
        matches!(settings.auth, UpstreamAuth::ClientCredentials(_)).then(|| {
            Arc::new(Self {
                settings: Arc::clone(settings),
                shared: Arc::clone(shared),
                kept: ArcSwapOption::empty(),
                fetching: Mutex::default(),
            })
        })
    }

    fn good(&self) -> Option<HeaderValue> {
        let kept = self.kept.load();
        kept.as_ref().filter(|kept| Instant::now() < kept.until).map(|kept| kept.authorization.clone())
    }

    async fn fetched(&self) -> Result<HeaderValue, String> {
        let mut failure = self.fetching.lock().await;
        if let Some(good) = self.good() {
            return Ok(good);
        }
        if let Some(failure) = failure.as_ref().filter(|failure| Instant::now() < failure.until) {
            return Err(failure.why.clone());
        }
        match self.sign_in().await {
            Ok(issued) => {
                *failure = None;
                let now = Instant::now();
                let lasts = issued.expires_in.unwrap_or(USUAL + SPARE).min(LONGEST).saturating_sub(SPARE).max(SHORTEST);
                let authorization = issued.authorization.clone();
                self.kept.store(Some(Arc::new(Kept { authorization, since: now, until: now + lasts })));
                tracing::debug!(server.name = self.settings.name, lasts = ?lasts, "an access token was issued");
                Ok(issued.authorization)
            }
            Err(why) => {
                tracing::warn!(server.name = self.settings.name, "no access token for `{}`: {why}", self.settings.name);
                *failure = Some(Failure { why: why.clone(), until: Instant::now() + AFTER_FAILURE });
                Err(why)
            }
        }
    }

    async fn sign_in(&self) -> Result<Issued, String> {
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
        match self.good() {
            Some(good) => Box::pin(std::future::ready(Ok(good))),
            None => Box::pin(self.fetched()),
        }
    }

    fn refused(&self, authorization: &HeaderValue) {
        let kept = self.kept.load();
        let is_it = |kept: &Arc<Kept>| kept.authorization == authorization && kept.since.elapsed() >= YOUNG;
        if kept.as_ref().is_some_and(is_it) {
            // Unless another has come in between.
            self.kept.compare_and_swap(&*kept, None);
        }
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
