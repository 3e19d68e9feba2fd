//! Fetching and keeping each server's lists.
//!
//! A list is kept per server, kind and credential (two callers whose credentials differ never share one), fetched by
//! one flight however many ask, and fetched again when the server says that it changed or the time is up.
//!
//! A failure is remembered for as long as it took, within a bound: a server that refuses at once is asked again at once,
//! and one that lets everybody wait for the deadline does so only now and then. Meanwhile its last good list is served
//! ([`super::last_good`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use moka::future::Cache;
use toolgate_client::Transport;
use toolgate_mcp::edit::Fields;
use toolgate_mcp::jsonrpc::quote;
use toolgate_mcp::translate::{results, tasks};
use toolgate_mcp::views::Page;

use super::errors::FetchError;
use super::last_good::{Given, LastGood, Whose};
use super::list::{Kind, Listed, ServerList};
use super::unhurried::Unhurried;
use crate::config::Settings;
use crate::config::settings::RateLimitRetries;
use crate::telemetry::Metrics;
use crate::upstream::{Lane, Upstream, UpstreamError, Wait};

/// What all kept lists may take in memory, over all servers and credentials. Beyond it the least used are fetched again.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// The longest time for which a failure is remembered as the answer.
const LONGEST_REMEMBERED: Duration = Duration::from_secs(5);

/// How long it is known that a server failed before, so that the log says it once.
const FAILING: Duration = Duration::from_secs(600);

/// Failures remembered at once.
const MAX_FAILED: u64 = 10_000;

/// A call does not wait longer for a list that is fetched again, when the last good one is there.
const LOOK_UP: Duration = Duration::from_secs(2);

/// A list younger than this is not fetched again for a name that is not in it, or every misspelt call would cost the
/// upstream a list.
const YOUNG: Duration = Duration::from_secs(5);

pub(super) struct Lists {
    cache: Cache<Key, Arc<ServerList>, RandomState>,
    failed: moka::sync::Cache<Key, Failed>,
    last_good: LastGood,
    separator: String,
    listing_timeout: Duration,
    metadata_timeout: Duration,
    max_pages: usize,
    rate_limit: RateLimitRetries,
    metrics: Metrics,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    whose: Whose,
    revision: u64,
}

/// What a list is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// To be shown.
    Items,
    /// To look a name up in it.
    Name,
}

/// All pages of a list.
#[derive(Default)]
struct Pages {
    items: Vec<Box<str>>,
    /// How long a modern server lets it be kept; a legacy one has no say in that.
    keep_for: Option<Duration>,
}

/// The last failure.
#[derive(Clone)]
struct Failed {
    error: Arc<FetchError>,
    /// Until when it is the answer.
    until: Instant,
}

impl Lists {
    pub(super) fn new(settings: &Settings, metrics: &Metrics) -> Self {
        let weigh = |_: &Key, list: &Arc<ServerList>| u32::try_from(list.bytes()).unwrap_or(u32::MAX);
        Self {
            cache: Cache::builder()
                .max_capacity(MAX_BYTES)
                .weigher(weigh)
                .time_to_live(settings.timeouts.list_cache)
                .build_with_hasher(RandomState::default()),
            failed: moka::sync::Cache::builder().max_capacity(MAX_FAILED).time_to_live(FAILING).build(),
            last_good: LastGood::new(),
            separator: settings.naming.separator.clone(),
            listing_timeout: settings.timeouts.listing,
            metadata_timeout: settings.timeouts.metadata,
            max_pages: settings.limits.pages_per_list,
            rate_limit: settings.timeouts.rate_limit,
            metrics: metrics.clone(),
        }
    }

    /// No list, but the last good ones. What a list is made of hangs on the separator of names too.
    pub(super) fn reloaded(&self, settings: &Settings) -> Self {
        let new = Self::new(settings, &self.metrics);
        if new.separator != self.separator {
            return new;
        }
        Self { last_good: self.last_good.clone(), ..new }
    }

    /// The list that `upstream` gives to the holder of `lane`'s credential, or the last one that it gave.
    pub(super) async fn get(&self, want: Want, kind: Kind, upstream: &Upstream, lane: &Lane) -> Given {
        let key = key(kind, upstream, lane);
        let fresh = self.fresh(&key, upstream, lane);
        let fetched = match want {
            Want::Name if self.last_good.has(&key.whose) => match tokio::time::timeout(LOOK_UP, fresh).await {
                Ok(fetched) => fetched,
                Err(_) => Err(self.gave_up(&key, upstream)),
            },
            Want::Name | Want::Items => fresh.await,
        };
        match fetched {
            Ok(list) => Given::Fresh(list),
            Err(error) => self.last_good.in_place_of(&key.whose, error),
        }
    }

    /// Nobody waits any longer for the list. The next call does not even begin to, for a while.
    fn gave_up(&self, key: &Key, upstream: &Upstream) -> Arc<FetchError> {
        let server = upstream.settings.name.clone();
        let why = UpstreamError::TimedOut { server, wait: Wait::Answer, after: LOOK_UP };
        let error = Arc::new(FetchError::Upstream(why));
        let until = Instant::now() + LONGEST_REMEMBERED;
        self.failed.insert(key.clone(), Failed { error: Arc::clone(&error), until });
        error
    }

    async fn fresh(&self, key: &Key, upstream: &Upstream, lane: &Lane) -> Result<Arc<ServerList>, Arc<FetchError>> {
        if let Some(list) = self.cache.get(key).await {
            if !list.is_stale() {
                return Ok(list);
            }
            self.cache.invalidate(key).await;
        }
        if let Some(failed) = self.failed.get(key).filter(|failed| Instant::now() < failed.until) {
            return Err(failed.error);
        }
        // The cache moves the future about, so it gets it in a box.
        let flight = Box::pin(self.fetch_noted(key, upstream, lane));
        self.cache.try_get_with(key.clone(), flight).await.map_err(|error| Arc::clone(&*error))
    }

    /// Fetches the list; remembers and logs how it went.
    async fn fetch_noted(
        &self,
        key: &Key,
        upstream: &Upstream,
        lane: &Lane,
    ) -> Result<Arc<ServerList>, Arc<FetchError>> {
        let began = Instant::now();
        let fetched = self.fetch(key.whose.kind, upstream, lane).await.map_err(Arc::new);
        let before = self.failed.get(key);
        let (server, method) = (&upstream.settings.prefix, key.whose.kind.method());
        if let Ok(list) = &fetched {
            let former = self.last_good.keep(key.whose.clone(), list);
            if let Some(former) = former.filter(|_| key.whose.kind == Kind::Tools) {
                self.metrics.tools_changed(&upstream.settings.name, list.changes_since(&former));
            }
        }
        match &fetched {
            Ok(_) if before.is_some() => {
                tracing::info!(server.name = %server, "{method} is answered again");
                self.failed.invalidate(key);
            }
            Ok(_) => {}
            Err(error) => {
                let status = error.outcome_label();
                if before.is_some_and(|before| before.error.outcome_label() == status) {
                    tracing::debug!(server.name = %server, status, reason = %error, "still missing from {method}");
                } else {
                    let stands_in = error.is_outage() && self.last_good.has(&key.whose);
                    let what =
                        if stands_in { "a server's last good list is served in" } else { "a server is missing from" };
                    tracing::warn!(server.name = %server, status, reason = %error, "{what} {method}");
                }
                let until = Instant::now() + began.elapsed().min(LONGEST_REMEMBERED);
                self.failed.insert(key.clone(), Failed { error: Arc::clone(error), until });
            }
        }
        fetched
    }

    /// The list, if it is at hand.
    pub(super) async fn kept(&self, kind: Kind, upstream: &Upstream, lane: &Lane) -> Option<Arc<ServerList>> {
        self.cache.get(&key(kind, upstream, lane)).await
    }

    /// Has the list fetched again when it is next asked for.
    pub(super) async fn forget(&self, kind: Kind, upstream: &Upstream, lane: &Lane) {
        self.cache.invalidate(&key(kind, upstream, lane)).await;
    }

    /// The list, fetched again unless it is young; for a name that is not in the kept one.
    pub(super) async fn refreshed(&self, kind: Kind, upstream: &Upstream, lane: &Lane, seen: &ServerList) -> Given {
        let key = key(kind, upstream, lane);
        // Somebody else may have fetched it again since it was looked at.
        let is_kept = self.cache.get(&key).await.is_some_and(|kept| kept.fetched == seen.fetched);
        if is_kept && seen.fetched.elapsed() >= YOUNG {
            self.cache.invalidate(&key).await;
        }
        self.get(Want::Name, kind, upstream, lane).await
    }

    async fn fetch(&self, kind: Kind, upstream: &Upstream, lane: &Lane) -> Result<Arc<ServerList>, FetchError> {
        let timeout = match kind {
            Kind::Tools => self.listing_timeout,
            Kind::Prompts | Kind::Resources | Kind::Templates => self.metadata_timeout,
        };
        let deadline = Instant::now() + timeout;
        let mut asking = Unhurried::new(self.rate_limit, deadline);
        let facts = loop {
            match upstream.facts(lane, asking.left()).await {
                Ok(facts) => break facts,
                Err(error) => asking.wait(error).await?,
            }
        };
        let offered = Fields::read(facts.capabilities.get()).is_ok_and(|all| all.get(kind.capability()).is_some());
        let is_modern = !facts.revision.has_handshake();
        let is_http = facts.transport != Transport::Stdio;
        let Pages { items, keep_for } = match offered {
            true => self.pages(kind, upstream, lane, &mut asking).await?,
            false => Pages::default(),
        };
        let listed = Listed {
            wants_headers: is_modern && is_http,
            runs_tasks: !is_modern && tasks::are_served(facts.capabilities.get()),
            keep_for: keep_for.filter(|_| is_modern),
        };
        Ok(Arc::new(ServerList::build(kind, &upstream.settings, &self.separator, &items, listed)))
    }

    async fn pages(
        &self,
        kind: Kind,
        upstream: &Upstream,
        lane: &Lane,
        asking: &mut Unhurried,
    ) -> Result<Pages, FetchError> {
        let server = || upstream.settings.prefix.clone();
        let unreadable = |why: String| FetchError::Unreadable { server: server(), what: kind.field(), why };
        let mut pages = Pages::default();
        let mut cursor: Option<String> = None;
        for _ in 0..self.max_pages {
            let params = cursor.as_deref().map(|cursor| format!("{{\"cursor\":{}}}", quote(cursor)));
            let answer = loop {
                match upstream.request(lane, kind.method(), params.as_deref(), asking.left()).await {
                    Ok(answer) => break answer,
                    Err(error) => asking.wait(error).await?,
                }
            };
            let result = match answer.outcome() {
                toolgate_client::AnswerOutcome::Result(result) => result,
                toolgate_client::AnswerOutcome::Error(error) if is_method_not_found(error) => return Ok(pages),
                toolgate_client::AnswerOutcome::Error(error) => {
                    let error = error.to_owned();
                    return Err(FetchError::Refused { server: server(), what: kind.field(), error });
                }
            };
            let page = Page::read(result, kind.field()).map_err(|error| unreadable(error.to_string()))?;
            for skipped in &page.skipped {
                tracing::warn!(server.name = %upstream.settings.prefix, index = skipped.index, reason = %skipped.why, "an item of {} was left out", kind.method());
            }
            pages.items.extend(page.items.iter().map(|item| Box::<str>::from(item.raw)));
            let keep_for = Duration::from_millis(results::caching(result).0);
            pages.keep_for = Some(pages.keep_for.map_or(keep_for, |shortest| shortest.min(keep_for)));
            let next = page.next_cursor.map(std::borrow::Cow::into_owned);
            if next.is_none() {
                return Ok(pages);
            }
            if next == cursor {
                return Err(unreadable("the same cursor was given twice".to_owned()));
            }
            cursor = next;
        }
        Err(unreadable(format!("it has more than {} pages", self.max_pages)))
    }
}

fn key(kind: Kind, upstream: &Upstream, lane: &Lane) -> Key {
    Key {
        whose: Whose { server: upstream.settings.fingerprint, kind, credential: lane.fingerprint },
        revision: upstream.lists_revision(),
    }
}

/// A server may have `resources` and no templates; many say so by not knowing the method.
fn is_method_not_found(error: &str) -> bool {
    let code = Fields::read(error).ok().and_then(|fields| fields.get("code").map(|code| code.get().to_owned()));
    code.as_deref() == Some("-32601")
}
