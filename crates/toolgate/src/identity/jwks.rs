//! The keys of those who sign tokens: fetched, kept, and fetched again when a token names one that is not among them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::auth::jwt::Presented;
use crate::config::jwt_url_is_safe;
use crate::config::settings::jwt::JwtSettings;

/// How long fetching may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The most that an answer may hold.
const MAX_BYTES: usize = 256 * 1024;

/// The most keys of one set.
const MAX_KEYS: usize = 100;

/// How often keys are fetched at most, because a token names one that is not there.
const FOR_UNKNOWN_EVERY: Duration = Duration::from_secs(30);

/// How often it is tried where the last try failed.
const TRIED_EVERY: Duration = Duration::from_secs(2);

/// Where keys were fetched from, at most: those of the configuration, and of former ones.
const MAX_SOURCES: usize = 64;

/// Nothing can be said of a token, since keys cannot be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the issuer's keys cannot be fetched")]
pub(super) struct Unreachable;

/// All sets of keys.
#[derive(Default)]
pub(super) struct KeySets {
    sources: Mutex<HashMap<Url, Arc<Source>>>,
}

#[derive(Default)]
struct Source {
    fetched: RwLock<Option<Arc<Fetched>>>,
    /// Held by whoever fetches; the others wait for what comes.
    flight: tokio::sync::Mutex<Flight>,
}

struct Fetched {
    keys: JwkSet,
    at: Instant,
}

/// The last try.
#[derive(Default)]
struct Flight {
    tried: Option<Instant>,
    failed: bool,
}

impl KeySets {
    /// The key that a token says it is signed with; `None` when the set does not have it.
    pub(super) async fn key(
        &self,
        url: &Url,
        token: &Presented<'_>,
        settings: &JwtSettings,
    ) -> Result<Option<Jwk>, Unreachable> {
        let source = self.source(url);
        let fresh = |fetched: &Fetched| fetched.at.elapsed() < settings.keys_for;
        if let Some(key) = source.current().filter(|now| fresh(now)).and_then(|now| token.key(&now.keys).cloned()) {
            return Ok(Some(key));
        }
        let mut flight = source.flight.lock().await;
        // Somebody may have fetched meanwhile.
        let current = source.current();
        if let Some(key) = current.filter(|now| fresh(now)).and_then(|now| token.key(&now.keys).cloned()) {
            return Ok(Some(key));
        }
        let is_fresh = source.current().is_some_and(|now| fresh(&now));
        let pause = if is_fresh && !flight.failed { FOR_UNKNOWN_EVERY } else { TRIED_EVERY };
        if flight.tried.is_none_or(|tried| tried.elapsed() >= pause) {
            flight.tried = Some(Instant::now());
            flight.failed = match fetch(url).await {
                Ok(keys) => {
                    source.put(keys);
                    false
                }
                Err(error) => {
                    tracing::warn!("the keys that tokens are signed with cannot be fetched: {error:#}");
                    true
                }
            };
        }
        let failed = flight.failed;
        drop(flight);
        let usable = settings.keys_for + settings.stale_for;
        match source.current().filter(|now| now.at.elapsed() < usable) {
            Some(now) => match token.key(&now.keys) {
                Some(key) => Ok(Some(key.clone())),
                // The issuer may have changed its keys meanwhile.
                None if failed => Err(Unreachable),
                None => Ok(None),
            },
            None => Err(Unreachable),
        }
    }

    fn source(&self, url: &Url) -> Arc<Source> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.len() >= MAX_SOURCES && !sources.contains_key(url) {
            sources.clear();
        }
        Arc::clone(sources.entry(url.clone()).or_default())
    }
}

impl Source {
    fn current(&self) -> Option<Arc<Fetched>> {
        self.fetched.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, keys: JwkSet) {
        let fetched = Some(Arc::new(Fetched { keys, at: Instant::now() }));
        *self.fetched.write().unwrap_or_else(PoisonError::into_inner) = fetched;
    }
}

async fn fetch(url: &Url) -> anyhow::Result<JwkSet> {
    let work = async {
        if !url.path().ends_with("/.well-known/openid-configuration") {
            return keys_of(&get(url).await?);
        }
        #[derive(Deserialize)]
        struct Discovery {
            jwks_uri: Url,
        }
        let found: Discovery = serde_json::from_slice(&get(url).await?).context("no discovery document")?;
        ensure!(jwt_url_is_safe(&found.jwks_uri), "the discovery document names keys that are not at an https URL");
        keys_of(&get(&found.jwks_uri).await?)
    };
    let fetched = tokio::time::timeout(TIMEOUT, work).await;
    fetched.with_context(|| format!("{url} did not answer within {TIMEOUT:?}"))?.with_context(|| url.to_string())
}

/// Redirects are not followed: whoever answers must be whom the configuration names.
async fn get(url: &Url) -> anyhow::Result<Bytes> {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())?
        .https_or_http()
        .enable_http1()
        .build();
    let request = Request::get(url.as_str()).header(http::header::ACCEPT, "application/json");
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
    let answer = client.request(request.body(Empty::new())?).await?;
    ensure!(answer.status() == StatusCode::OK, "it answered {}", answer.status());
    let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await.map_err(anyhow::Error::from_boxed)?;
    Ok(body.to_bytes())
}

/// Keys of kinds that are not known are left out; they are others' business.
fn keys_of(body: &[u8]) -> anyhow::Result<JwkSet> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set = serde_json::from_slice(body).context("no set of keys")?;
    ensure!(set.keys.len() <= MAX_KEYS, "more than {MAX_KEYS} keys");
    Ok(JwkSet { keys: set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect() })
}
