//! What a user keeps at the gateway for servers: a credential of their own, and values for a server's `env_vars`.
//!
//! It hangs on the [`super::Caller`], so that a request cannot be made with what another user keeps.

use std::collections::{BTreeMap, HashMap};

use secrecy::SecretString;
use toolgate_access::id::ServerId;

/// All that one user keeps.
#[derive(Default)]
pub struct Vault {
    by_server: HashMap<ServerId, Kept>,
    /// It is not known what the user keeps: the database does not answer.
    is_closed: bool,
}

/// What a user keeps for one server.
#[derive(Default)]
pub struct Kept {
    /// The credential that is sent to it.
    pub credential: Option<SecretString>,
    /// Values by the names of variables.
    pub values: BTreeMap<String, SecretString>,
}

/// What there is in a vault for one server.
#[derive(Clone, Copy)]
pub enum Own<'v> {
    /// Nothing, or this.
    Known(Option<&'v Kept>),
    /// Nobody can say now.
    Closed,
}

impl<'v> Own<'v> {
    /// What is kept; nothing where nobody can say.
    #[must_use]
    pub fn kept(self) -> Option<&'v Kept> {
        match self {
            Self::Known(kept) => kept,
            Self::Closed => None,
        }
    }
}

impl Vault {
    /// A vault with this in it.
    #[must_use]
    pub fn of(by_server: HashMap<ServerId, Kept>) -> Self {
        Self { by_server, is_closed: false }
    }

    /// One that cannot be looked into.
    #[must_use]
    pub fn closed() -> Self {
        Self { by_server: HashMap::new(), is_closed: true }
    }

    /// What is in it for the server with this id.
    #[must_use]
    pub fn of_server(&self, id: &ServerId) -> Own<'_> {
        if self.is_closed { Own::Closed } else { Own::Known(self.by_server.get(id)) }
    }
}
