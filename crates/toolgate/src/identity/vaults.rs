//! What users keep at the gateway for servers, remembered so that a call asks no database for it.
//!
//! It is forgotten when the database says that it has changed, and after a while in any case.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::future::Cache;
use secrecy::SecretString;
use serde_json::Value;
use toolgate_access::id::ServerId;
use toolgate_access::principal::{Credential, Principal};
use toolgate_store::{Secret, Store, StoreError};

use super::Identity;
use crate::auth::Vault;
use crate::auth::vault::Kept;

/// Users whose vaults are remembered at once.
const MAX_USERS: u64 = 20_000;

/// How long a vault is remembered that nobody asks for: secrets are not to lie about for longer than they are needed.
const IDLE: Duration = Duration::from_secs(300);

/// LiteLLM's name for whoever has the master key.
pub const MASTER_USER_ID: &str = "default_user_id";

/// Vaults that were looked into.
pub(super) struct Vaults {
    known: Cache<String, Arc<Vault>>,
    /// Counts how often something was forgotten. What was read before may be older than that, however late it comes.
    forgotten: AtomicU64,
}

impl Vaults {
    pub(super) fn none() -> Self {
        let known = Cache::builder().max_capacity(MAX_USERS).time_to_idle(IDLE).build();
        Self { known, forgotten: AtomicU64::new(0) }
    }

    pub(super) async fn forget(&self, user_id: &str) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.known.invalidate(user_id).await;
    }

    pub(super) fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.known.invalidate_all();
    }

    async fn of(&self, store: &Store, user_id: &str) -> Result<Arc<Vault>, Arc<StoreError>> {
        loop {
            let forgotten = self.forgotten.load(Ordering::SeqCst);
            let vault = self.known.try_get_with_by_ref(user_id, read(store, user_id)).await?;
            if self.forgotten.load(Ordering::SeqCst) == forgotten {
                return Ok(vault);
            }
            // It may have been read before the change that something was just forgotten for, and kept after.
            self.known.invalidate(user_id).await;
        }
    }
}

async fn read(store: &Store, user_id: &str) -> Result<Arc<Vault>, StoreError> {
    let mut by_server: HashMap<ServerId, Kept> = HashMap::new();
    for row in store.user_credentials(user_id).await? {
        let kept = by_server.entry(ServerId::from(row.server_id)).or_default();
        kept.credential = row.credential.as_ref().and_then(credential);
    }
    for row in store.all_user_env_vars(user_id).await? {
        let kept = by_server.entry(ServerId::from(row.server_id)).or_default();
        kept.values = row.env_values.as_ref().map(values).unwrap_or_default();
    }
    Ok(Arc::new(Vault::of(by_server)))
}

/// A credential as it is sent. Tokens of an OAuth flow, which LiteLLM keeps in the same place, are none.
fn credential(secret: &Secret) -> Option<SecretString> {
    let text = secret.expose()?;
    (!is_oauth(text)).then(|| text.into())
}

/// Whether a kept credential is an OAuth flow's tokens.
#[must_use]
pub fn is_oauth(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|json| json.get("type").is_some_and(|kind| kind == "oauth2"))
}

fn values(secret: &Secret) -> std::collections::BTreeMap<String, SecretString> {
    let Some(text) = secret.expose() else { return Default::default() };
    let values: HashMap<String, String> = serde_json::from_str(text).unwrap_or_default();
    values.into_iter().map(|(name, value)| (name, value.into())).collect()
}

/// The user whose vault `principal` uses. A key that is nobody's has none.
#[must_use]
pub fn owner(principal: &Principal) -> Option<&str> {
    let named = match &principal.credential {
        Credential::Master => return Some(MASTER_USER_ID),
        Credential::Key(key) => key.user_id.as_ref(),
        Credential::Token(token) => token.user_id.as_ref(),
        Credential::Session(_) | Credential::Anonymous => None,
    };
    named.or(principal.user.as_ref().map(|user| &user.user_id)).map(|user| user.as_str())
}

impl Identity {
    /// What the user behind `principal` keeps for servers. Where the database does not say it, the vault is closed, and
    /// whoever needs something of it is told so.
    pub async fn vault(&self, principal: &Principal) -> Arc<Vault> {
        let (Some(store), Some(user_id)) = (&self.store, owner(principal)) else { return Arc::default() };
        match self.vaults.of(store, user_id).await {
            Ok(vault) => vault,
            Err(error) => {
                tracing::warn!(%error, "what a user keeps for servers cannot be read");
                Arc::new(Vault::closed())
            }
        }
    }
}
