//! Many servers as one: whose lists a caller sees, under which names, and which server a name leads to.
//!
//! Each server's list is fetched once per credential and kept for a while (`fetch`), with the server's own rules
//! applied (`list`). What a caller sees is those lists put together (`merge`); a name leads back to its server by
//! looking it up in the same lists (`find`, and `owners` for URIs), never by splitting it. So listing and calling
//! cannot disagree.

mod charged;
mod decisions;
mod errors;
mod fetch;
mod find;
mod granted;
mod last_good;
mod list;
mod merge;
mod naming;
mod offer;
mod operations;
mod owners;
mod renames;
mod repeats;
mod rules;
mod scope;
mod spans;
mod unhurried;
mod wishes;

pub use errors::{CallError, FailedCall, FetchError, FindError, ListError};
pub use list::Kind;
pub use merge::{Failure, Kept, ListedPage, Outcome, Position};
pub use offer::Offer;
pub use operations::{Called, ToolsOfServer, is_tool_error};
pub use scope::{Scope, ScopeError};

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use toolgate_client::GivenUp;
use toolgate_mcp::stream::Translation;

use crate::accounting::Accounting;
use crate::auth::Caller;
use crate::config::Settings;
use crate::config::settings::ServerSettings;
use crate::telemetry::{Metrics, OperationSpan};
use crate::upstream::{ClientSide, Hears, Rounds, Upstream};

/// The lists of all servers of one configuration.
pub struct Catalog {
    settings: Arc<Settings>,
    lists: fetch::Lists,
    granted: granted::GrantedLists,
    merged: merge::MergedCache,
    metrics: Metrics,
}

impl Catalog {
    /// An empty catalog for `settings`; lists are fetched when somebody asks.
    #[must_use]
    pub fn new(settings: &Arc<Settings>, metrics: &Metrics) -> Self {
        Self {
            settings: Arc::clone(settings),
            lists: fetch::Lists::new(settings, metrics),
            granted: granted::GrantedLists::new(settings.timeouts.list_cache),
            merged: merge::MergedCache::new(settings.timeouts.list_cache),
            metrics: metrics.clone(),
        }
    }

    /// The catalog for `settings` that comes after this one. Of servers whose entry stays, it knows the last good lists.
    #[must_use]
    pub fn reloaded(&self, settings: &Arc<Settings>) -> Self {
        Self { lists: self.lists.reloaded(settings), ..Self::new(settings, &self.metrics) }
    }
}

/// Whether the entry of `server` lets its tool `bare` be seen and called, by whoever may.
#[must_use]
pub fn offers(server: &ServerSettings, separator: &str, bare: &str) -> bool {
    rules::verdict(server, separator, bare) == rules::Verdict::Offered
}

/// Who asks for what part of the catalog.
#[derive(Clone, Copy)]
pub struct Visit<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// The client on whose behalf.
    pub client: &'a ClientSide,
    /// Who hears what the server says while it works on this.
    pub hears: Option<&'a Arc<dyn Hears>>,
    /// Knows why the client has cancelled it, once it has.
    pub given_up: Option<&'a Arc<dyn GivenUp>>,
    /// What becomes of a modern server's `input_required`.
    pub rounds: Rounds,
    /// What a request may take longer than usual, because the client may be asked in between.
    pub patience: Duration,
    /// What only a request has that stands alone.
    pub alone: Option<Alone<'a>>,
    /// The servers that the path or header selected.
    pub scope: &'a Scope,
    /// The trace of the operation that this is part of.
    pub span: &'a OperationSpan,
    /// Where calls are accounted for.
    pub accounting: &'a Accounting,
}

/// What only a request of a revision without sessions has.
#[derive(Clone, Copy)]
pub struct Alone<'a> {
    /// Its HTTP headers, which repeat some of a call's arguments.
    pub headers: &'a HeaderMap,
    /// What becomes of a large result that is passed on while it comes.
    pub translation: &'a Translation,
}

impl<'a> Visit<'a> {
    fn servers(&self) -> &'a [Arc<Upstream>] {
        self.scope.servers()
    }
}
