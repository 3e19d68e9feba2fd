//! What the database says has changed, taken to heart: rows of keys are forgotten, and what there is to be reached is
//! read again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use toolgate_access::key::KeyHash;
use toolgate_store::{Noun, Revision, Store, StoreError, Touched};

use super::world::Kept;
use super::{Identity, KnownKeys};
use crate::gateway::Gateway;

/// How often the database is asked, beside being heard. It also shows that it answers.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// How often one that does not answer is asked: what hangs on it is to go on within a second of its return.
const ASK_AGAIN: Duration = Duration::from_millis(500);

impl Identity {
    /// Reads what there is to be reached, so that the first request does not come before it is known. A database that
    /// does not answer holds nothing up: until it does, what is kept there does not exist.
    pub async fn begin(&self) {
        if let Some(store) = &self.store
            && let Err(error) = self.read_world(store).await
        {
            tracing::error!(%error, "access groups and toolsets cannot be read yet");
        }
    }
}

/// Follows the database until the gateway stops.
pub async fn follow(gateway: Gateway) {
    let Some(store) = gateway.identity.store().cloned() else { return };
    let mut changed = store.changes();
    let mut seen: Option<Revision> = None;
    loop {
        let before = seen;
        let caught_up = gateway.identity.catch_up(&gateway, &store, &mut seen).await;
        let answered = gateway.identity.answers.swap(caught_up.is_ok(), Ordering::Relaxed);
        let pause = if caught_up.is_ok() { ASK_EVERY } else { ASK_AGAIN };
        match caught_up {
            Ok(()) if !answered => tracing::info!("the database answers again"),
            Err(error) if answered => {
                tracing::error!(%error, "the database does not answer: keys that are known work on for five minutes");
            }
            Ok(()) | Err(_) => {}
        }
        if before != seen {
            // Those who listen see what they reach from now on; also those who began before the first look.
            gateway.reach_changed().await;
        }
        tokio::select! {
            () = gateway.stopping.cancelled() => return,
            news = changed.changed() => if news.is_err() { return },
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Identity {
    /// Takes in what has changed since `seen`; everything, the first time.
    async fn catch_up(&self, gateway: &Gateway, store: &Store, seen: &mut Option<Revision>) -> Result<(), StoreError> {
        let Some(since) = *seen else {
            let revision = *store.changes().borrow();
            self.read_world(store).await?;
            gateway.read_servers(store).await?;
            self.customers.count(store).await?;
            self.keys.forget_older(revision);
            self.tokens.forget_rows();
            self.customers.forget_all();
            self.vaults.forget_all();
            self.keys.confirm();
            *seen = Some(revision);
            return Ok(());
        };
        let changes = store.changes_since(since).await?;
        match changes.touched {
            Touched::Everything => {
                self.keys.forget_all();
                self.tokens.forget_rows();
                self.customers.forget_all();
                self.vaults.forget_all();
                self.customers.count(store).await?;
                self.read_world(store).await?;
                gateway.read_servers(store).await?;
            }
            Touched::These(rows) => {
                if forget(&self.keys, &rows, changes.revision).await {
                    self.tokens.forget_rows();
                }
                self.forget_vaults(&rows).await;
                self.forget_customers(store, &rows).await?;
                if rows.iter().any(|(noun, _)| matches!(noun, Noun::AccessGroup | Noun::Toolset)) {
                    self.read_world(store).await?;
                }
                if rows.iter().any(|(noun, _)| matches!(noun, Noun::Server | Noun::Setting)) {
                    gateway.read_servers(store).await?;
                }
            }
        }
        *seen = Some(changes.revision);
        self.keys.confirm();
        Ok(())
    }

    /// Customers are told by their id; a budget may be many customers'.
    async fn forget_customers(&self, store: &Store, rows: &[(Noun, String)]) -> Result<(), StoreError> {
        if rows.iter().any(|(noun, _)| *noun == Noun::Budget) {
            self.customers.forget_all();
        }
        let mut is_named = false;
        for (noun, id) in rows {
            if *noun == Noun::Customer {
                self.customers.forget(id).await;
                is_named = true;
            }
        }
        if is_named { self.customers.count(store).await } else { Ok(()) }
    }

    /// Forgets the vaults in which something has changed.
    async fn forget_vaults(&self, rows: &[(Noun, String)]) {
        for (_, id) in rows.iter().filter(|(noun, _)| matches!(noun, Noun::UserCredential | Noun::UserEnvVars)) {
            match id.rsplit_once('/') {
                // Another slash may be the user's or the server's.
                Some((user_id, _)) if !user_id.contains('/') => self.vaults.forget(user_id).await,
                _ => self.vaults.forget_all(),
            }
        }
    }

    /// What a user keeps has changed here: it counts at once.
    pub async fn vault_changed(&self, user_id: &str) {
        self.vaults.forget(user_id).await;
    }

    /// Takes in access groups and toolsets as they are now.
    ///
    /// # Errors
    /// [`StoreError`]; what was known stays.
    pub async fn read_world(&self, store: &Store) -> Result<(), StoreError> {
        let kept = Arc::new(Kept::read(store).await?);
        self.reach.rcu(|reach| reach.with_kept(Arc::clone(&kept)));
        Ok(())
    }
}

/// Keys are told by their hash. What many keys hang on is changed seldom, and then all of them are read anew.
/// Whether that happened.
async fn forget(keys: &KnownKeys, rows: &[(Noun, String)], revision: Revision) -> bool {
    for (noun, id) in rows {
        match noun {
            Noun::Key | Noun::DeprecatedKey => match id.parse::<KeyHash>() {
                Ok(hash) => keys.forget(&hash, revision).await,
                Err(_) => keys.forget_older(revision),
            },
            Noun::Team
            | Noun::TeamMembership
            | Noun::Organization
            | Noun::OrganizationMembership
            | Noun::User
            | Noun::Project
            | Noun::Budget => {
                keys.forget_older(revision);
                return true;
            }
            _ => {}
        }
    }
    false
}
