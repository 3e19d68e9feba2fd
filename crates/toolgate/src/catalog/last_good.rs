//! The last list that each server gave, for the time when it gives none.
//!
//! What clients see does not come and go with a server that is restarted, and a call's name leads to its server
//! although that cannot be asked for its list just now. These lists are kept by the same key as the others, so that
//! nobody sees what another credential was given; and they are kept over reloads, for servers whose entry stays.

use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use moka::sync::Cache;

use super::errors::FetchError;
use super::list::{Kind, ServerList};

/// A list older than this is worth less than none: long enough for a maintenance, short enough that nobody goes on
/// offering what was taken away.
const LONGEST: Duration = Duration::from_secs(3600);

/// What these lists may take in memory. They are the same that are cached anyway, unless their server is in trouble.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The last good lists of all servers. Cheap to clone.
#[derive(Clone)]
pub(super) struct LastGood(Cache<Whose, Arc<ServerList>, RandomState>);

/// Whose list it is, whatever the server said since.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Whose {
    pub(super) server: [u8; 32],
    pub(super) kind: Kind,
    pub(super) credential: [u8; 32],
}

/// What came of asking for a list.
pub(super) enum Given {
    /// The list.
    Fresh(Arc<ServerList>),
    /// The last good one, and why there is no other.
    LastGood(Arc<ServerList>, Arc<FetchError>),
    /// There is none.
    Nothing(Arc<FetchError>),
}

impl LastGood {
    pub(super) fn new() -> Self {
        let weigh = |_: &Whose, list: &Arc<ServerList>| u32::try_from(list.bytes()).unwrap_or(u32::MAX);
        let cache = Cache::builder().max_capacity(MAX_BYTES).weigher(weigh).time_to_live(LONGEST);
        Self(cache.build_with_hasher(RandomState::default()))
    }

    /// The server gave this list; the one is given back that it replaces.
    pub(super) fn keep(&self, whose: Whose, list: &Arc<ServerList>) -> Option<Arc<ServerList>> {
        let former = self.0.get(&whose);
        self.0.insert(whose, Arc::clone(list));
        former
    }

    /// What is to be made of `error`. A server that has judged who asks has taken back what it gave before.
    pub(super) fn in_place_of(&self, whose: &Whose, error: Arc<FetchError>) -> Given {
        if !error.is_outage() {
            self.0.invalidate(whose);
            return Given::Nothing(error);
        }
        match self.0.get(whose) {
            Some(list) => Given::LastGood(list, error),
            None => Given::Nothing(error),
        }
    }

    /// Whether there is one.
    pub(super) fn has(&self, whose: &Whose) -> bool {
        self.0.contains_key(whose)
    }
}

impl Given {
    /// The list, be it the last good one.
    pub(super) fn list(&self) -> Option<&Arc<ServerList>> {
        match self {
            Self::Fresh(list) | Self::LastGood(list, _) => Some(list),
            Self::Nothing(_) => None,
        }
    }

    /// Why there is no fresh one.
    pub(super) fn error(&self) -> Option<&Arc<FetchError>> {
        match self {
            Self::Fresh(_) => None,
            Self::LastGood(_, error) | Self::Nothing(error) => Some(error),
        }
    }
}
