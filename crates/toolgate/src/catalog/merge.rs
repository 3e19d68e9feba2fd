//! The lists of several servers as one list, serialized once and served many times.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use moka::sync::Cache;
use serde_json::json;
use toolgate_mcp::uris;

use super::errors::FetchError;
use super::last_good::Given;
use super::list::{Entry, Kind, ServerList};
use super::naming::prefixed_uri;
use crate::config::settings::{Naming, PrefixMode, ServerSettings};
use crate::upstream::{Reader, Upstream};

/// Items on one of our pages. Large, because there are clients that never ask for the second.
const ITEMS_PER_PAGE: usize = 1000;

/// What all kept merged lists may take in memory, the pages counted.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// What became of one server when its list was asked for.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The server's prefix.
    pub server: String,
    /// How many items it has, or LiteLLM's word for what went wrong.
    pub result: Result<usize, Failure>,
}

/// Why a server is missing from a list, or is there with the last good list that it gave.
#[derive(Debug, Clone)]
pub struct Failure {
    /// LiteLLM's word: `timeout`, `unreachable`, `auth_required`, ...
    pub status: &'static str,
    /// What the server answered, where that is the reason.
    pub http_status: Option<u16>,
    /// For an administrator: with what the server said.
    pub message: String,
    /// For whoever else asks.
    pub told: String,
    /// The last good list, if it stands in.
    pub kept: Option<Kept>,
}

/// The last good list of a server.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// How many items it has.
    pub items: usize,
    /// When the server gave it.
    pub given: SystemTime,
}

impl From<&FetchError> for Failure {
    fn from(error: &FetchError) -> Self {
        Self {
            status: error.outcome_label(),
            http_status: error.http_status(),
            message: error.told_to(Reader::Administrator),
            told: error.told_to(Reader::Caller),
            kept: None,
        }
    }
}

impl Failure {
    /// The message for `reader`.
    #[must_use]
    pub fn message_for(&self, reader: Reader) -> &str {
        match reader {
            Reader::Administrator => &self.message,
            Reader::Caller => &self.told,
        }
    }

    /// As LiteLLM shows it, with the message besides.
    #[must_use]
    pub fn to_json(&self, reader: Reader) -> serde_json::Value {
        let mut value = json!({ "status": self.status, "message": self.message_for(reader) });
        if let Some(status) = self.http_status {
            value["http_status"] = json!(status);
        }
        value
    }
}

impl Outcome {
    pub(super) fn of(upstream: &Upstream, given: &Given) -> Self {
        let result = match given {
            Given::Fresh(list) => return Self::well(upstream, list),
            Given::LastGood(list, error) => {
                let kept = Kept { items: list.entries().len(), given: list.fetched_at };
                Err(Failure { kept: Some(kept), ..Failure::from(&**error) })
            }
            Given::Nothing(error) => Err(Failure::from(&**error)),
        };
        Self { server: upstream.settings.prefix.clone(), result }
    }

    fn well(upstream: &Upstream, list: &ServerList) -> Self {
        Self { server: upstream.settings.prefix.clone(), result: Ok(list.entries().len()) }
    }

    /// As it stands under the server's name in a list of `kind`.
    #[must_use]
    pub fn to_json(&self, kind: Kind, reader: Reader) -> serde_json::Value {
        let count = if kind == Kind::Tools { "tool_count" } else { "count" };
        let failure = match &self.result {
            Ok(items) => return json!({ "status": "ok", count: items }),
            Err(failure) => failure,
        };
        let mut value = failure.to_json(reader);
        if let Some(kept) = failure.kept {
            let given = kept.given.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
            value[count] = json!(kept.items);
            value["last_good_ms"] = json!(u64::try_from(given).unwrap_or(u64::MAX));
        }
        value
    }
}

/// One page of a list over all servers in scope.
pub struct ListedPage {
    /// The field that holds the items.
    pub field: &'static str,
    /// The items as JSON text, comma separated, without brackets.
    pub items: Bytes,
    /// `_meta` as JSON text: what became of each server, under LiteLLM's key.
    pub meta: Bytes,
    /// Where the next page begins, if there is one.
    pub next: Option<Position>,
}

/// A place in one version of a merged list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Which page.
    pub page: u32,
    /// Of which version of the list.
    pub version: u64,
}

/// What one listed item leads back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    /// Index into the sources.
    pub(super) source: usize,
    entry: usize,
}

/// Several servers' lists as one.
pub(super) struct Merged {
    sources: Vec<(Arc<Upstream>, Arc<ServerList>)>,
    by_name: HashMap<String, Origin>,
    by_uri: HashMap<String, Origin>,
    /// The first source with a tool of this user interface.
    interfaces: HashMap<String, usize>,
    /// Something is listed under another URI than its server's.
    renames: bool,
    pages: Vec<Bytes>,
    version: u64,
    meta: Bytes,
}

pub(super) struct MergedCache {
    kept: Cache<Vec<usize>, Arc<Merged>>,
    /// Some list renamed a resource.
    has_renamed: AtomicBool,
}

impl MergedCache {
    /// Keeps what was asked for within `idle`; older ones are of lists that are not kept any more.
    pub(super) fn new(idle: Duration) -> Self {
        let weigh = |_: &Vec<usize>, merged: &Arc<Merged>| u32::try_from(merged.bytes()).unwrap_or(u32::MAX);
        let kept = Cache::builder().max_capacity(MAX_BYTES).weigher(weigh).time_to_idle(idle).build();
        Self { kept, has_renamed: AtomicBool::new(false) }
    }

    /// Whether any list that was merged so far gave a resource another URI than its server's.
    pub(super) fn has_renamed(&self) -> bool {
        self.has_renamed.load(Ordering::Relaxed)
    }

    /// The merged form of `sources`, from the cache when exactly these lists were merged before.
    pub(super) fn get(
        &self,
        kind: Kind,
        naming: &Naming,
        sources: Vec<(Arc<Upstream>, Arc<ServerList>)>,
    ) -> Arc<Merged> {
        // A list is told by its address: the merged value holds it, so no other can take that address meanwhile.
        let mut key: Vec<usize> = sources.iter().map(|(_, list)| Arc::as_ptr(list) as usize).collect();
        key.push(kind as usize);
        self.kept.get_with(key, || {
            let merged = Merged::new(kind, naming, sources);
            if merged.renames {
                self.has_renamed.store(true, Ordering::Relaxed);
            }
            Arc::new(merged)
        })
    }
}

impl Merged {
    fn new(kind: Kind, naming: &Naming, sources: Vec<(Arc<Upstream>, Arc<ServerList>)>) -> Self {
        let index = Index::of(kind, naming, &sources);
        let outcomes: Vec<Outcome> = sources.iter().map(|(upstream, list)| Outcome::well(upstream, list)).collect();
        Self {
            by_name: index.by_name,
            by_uri: index.by_uri,
            interfaces: index.interfaces,
            renames: index.renames,
            version: version_of(&index.texts),
            pages: index.texts.chunks(ITEMS_PER_PAGE).map(|page| Bytes::from(page.join(","))).collect(),
            // Nothing failed, so everybody is told the same.
            meta: meta(kind, &outcomes, Reader::Caller),
            sources,
        }
    }

    /// The page at `position`; the first without one. `None` when the position belongs to another version.
    pub(super) fn page(
        &self,
        kind: Kind,
        position: Option<Position>,
        failures: &[Outcome],
        reader: Reader,
    ) -> Option<ListedPage> {
        let page = match position {
            None => 0,
            Some(position) if position.version == self.version && (position.page as usize) < self.pages.len() => {
                position.page
            }
            Some(_) => return None,
        };
        let more = page as usize + 1 < self.pages.len();
        let meta = if failures.is_empty() { self.meta.clone() } else { self.meta_with(kind, failures, reader) };
        Some(ListedPage {
            field: kind.field(),
            items: self.pages.get(page as usize).cloned().unwrap_or_default(),
            meta,
            next: more.then_some(Position { page: page + 1, version: self.version }),
        })
    }

    fn meta_with(&self, kind: Kind, failures: &[Outcome], reader: Reader) -> Bytes {
        let mut outcomes: Vec<Outcome> =
            self.sources.iter().map(|(upstream, list)| Outcome::well(upstream, list)).collect();
        // What failed takes the place of what its last good list would have it be.
        outcomes.extend_from_slice(failures);
        meta(kind, &outcomes, reader)
    }

    /// What it takes in memory, roughly.
    fn bytes(&self) -> usize {
        // A name or URI, twice at most, and its place in the index.
        const PER_ITEM: usize = 200;
        self.pages.iter().map(Bytes::len).sum::<usize>() + PER_ITEM * (self.by_name.len() + self.by_uri.len())
    }

    pub(super) fn is_empty_of_servers(&self) -> bool {
        self.sources.is_empty()
    }

    /// What is listed under exactly this name.
    pub(super) fn by_name(&self, name: &str) -> Option<(&Arc<Upstream>, &Entry)> {
        self.by_name.get(name).map(|origin| self.entry(*origin))
    }

    /// What is listed under exactly this URI.
    pub(super) fn by_uri(&self, uri: &str) -> Option<(&Arc<Upstream>, &Entry)> {
        self.by_uri.get(uri).map(|origin| self.entry(*origin))
    }

    /// The URI under which `upstream`'s `own` is listed, if that is another.
    pub(super) fn other_uri(&self, upstream: &Arc<Upstream>, own: &str) -> Option<String> {
        let listed = prefixed_uri(&upstream.settings, own);
        let (owner, entry) = self.by_uri(&listed)?;
        (Arc::ptr_eq(owner, upstream) && entry.uri.as_deref() == Some(own)).then_some(listed)
    }

    /// The same of the user interface of a tool.
    pub(super) fn other_interface(&self, upstream: &Arc<Upstream>, own: &str) -> Option<String> {
        let (owner, _) = &self.sources[*self.interfaces.get(own)?];
        (!Arc::ptr_eq(owner, upstream)).then(|| prefixed_uri(&upstream.settings, own))
    }

    /// The URIs of `upstream`'s own that are listed under others.
    pub(super) fn renamed_of<'m>(&'m self, upstream: &'m Arc<Upstream>) -> impl Iterator<Item = &'m str> {
        let lists = self.sources.iter().filter(|(owner, _)| self.renames && Arc::ptr_eq(owner, upstream));
        let own = lists.flat_map(|(_, list)| list.entries()).filter_map(|entry| entry.uri.as_deref());
        own.filter(|own| self.other_uri(upstream, own).is_some())
    }

    fn entry(&self, origin: Origin) -> (&Arc<Upstream>, &Entry) {
        let (upstream, list) = &self.sources[origin.source];
        (upstream, &list.entries()[origin.entry])
    }

    /// Every listed name whose server calls it `bare`.
    pub(super) fn listed_for(&self, bare: &str) -> Vec<(String, &Arc<Upstream>)> {
        let mut found: Vec<(String, &Arc<Upstream>)> = self
            .by_name
            .iter()
            .filter(|(_, origin)| &*self.entry(**origin).1.name == bare)
            .map(|(name, origin)| (name.clone(), self.entry(*origin).0))
            .collect();
        found.sort_by(|left, right| left.0.cmp(&right.0));
        found
    }
}

/// What is listed so far.
#[derive(Default)]
struct Index {
    by_name: HashMap<String, Origin>,
    by_uri: HashMap<String, Origin>,
    texts: Vec<String>,
    /// The first source with a tool of this user interface.
    interfaces: HashMap<String, usize>,
    renames: bool,
}

impl Index {
    fn of(kind: Kind, naming: &Naming, sources: &[(Arc<Upstream>, Arc<ServerList>)]) -> Self {
        let mut index = Self::default();
        let repeated = repeated_names(sources);
        let mut displaced = Vec::new();
        for (source, (upstream, list)) in sources.iter().enumerate() {
            let server = &upstream.settings;
            for (at, entry) in list.entries().iter().enumerate() {
                let origin = Origin { source, entry: at };
                let name = listed_name(naming, server, entry, &repeated);
                match kind {
                    Kind::Tools | Kind::Prompts if index.by_name.contains_key(&name) => {
                        displaced.push((server, entry, origin));
                    }
                    Kind::Tools | Kind::Prompts => index.add_named(kind, server, entry, name, origin),
                    Kind::Resources | Kind::Templates => index.add_located(kind, server, entry, &name, origin),
                }
            }
        }
        for (server, entry, origin) in displaced {
            index.add_displaced(kind, naming, server, entry, origin);
        }
        index
    }

    fn add_named(&mut self, kind: Kind, server: &ServerSettings, entry: &Entry, name: String, origin: Origin) {
        let text = entry.listed_as(kind, &name, None);
        let text = self.with_own_interface(server, origin.source, &text).unwrap_or_else(|| text.into_owned());
        self.texts.push(text);
        self.by_name.insert(name, origin);
    }

    /// A tool whose user interface has a URI that an earlier server's has too; it is named as the resource is.
    fn with_own_interface(&mut self, server: &ServerSettings, source: usize, tool: &str) -> Option<String> {
        // Most tools have none, and need not be read once more.
        memchr::memmem::find(tool.as_bytes(), b"esourceUri")?;
        let owners = RefCell::new((&mut self.interfaces, &mut self.renames));
        let map = |uri: &str| {
            let (owners, renames) = &mut *owners.borrow_mut();
            let owner = *owners.entry(uri.to_owned()).or_insert(source);
            **renames |= owner != source;
            (owner != source).then(|| prefixed_uri(server, uri))
        };
        uris::in_item(tool, &map).ok().map(Cow::into_owned)
    }

    /// What would be listed under a name that is taken is listed under another that calls may use for it; behind the
    /// others, so that it takes no name from them.
    fn add_displaced(&mut self, kind: Kind, naming: &Naming, server: &ServerSettings, entry: &Entry, origin: Origin) {
        let other = match naming.prefix {
            PrefixMode::Always | PrefixMode::WhenAmbiguous => {
                naming.spellings(server, &entry.name).find(|name| !self.by_name.contains_key(name))
            }
            PrefixMode::Never => None,
        };
        match other {
            Some(name) => self.add_named(kind, server, entry, name, origin),
            None => tracing::warn!(
                server.name = %server.prefix,
                name = %entry.name,
                "its name is taken by another server's and it is not listed; calls may name it with a prefix"
            ),
        }
    }

    fn add_located(&mut self, kind: Kind, server: &ServerSettings, entry: &Entry, name: &str, origin: Origin) {
        let own = entry.uri.as_deref().unwrap_or_default();
        let other = self.by_uri.contains_key(own).then(|| prefixed_uri(server, own));
        self.renames |= other.is_some();
        self.texts.push(entry.listed_as(kind, name, other.as_deref()).into_owned());
        self.by_uri.insert(other.unwrap_or_else(|| own.to_owned()), origin);
    }
}

/// Bare names that more than one source has.
fn repeated_names(sources: &[(Arc<Upstream>, Arc<ServerList>)]) -> HashSet<&str> {
    let mut seen = HashSet::new();
    let mut repeated = HashSet::new();
    for (_, list) in sources {
        let mut own = HashSet::new();
        for entry in list.entries() {
            if own.insert(&*entry.name) && !seen.insert(&*entry.name) {
                repeated.insert(&*entry.name);
            }
        }
    }
    repeated
}

fn listed_name(naming: &Naming, server: &ServerSettings, entry: &Entry, repeated: &HashSet<&str>) -> String {
    if let Some(shown) = &entry.display_name {
        return shown.to_string();
    }
    match naming.prefix {
        PrefixMode::Always => naming.prefixed(server, &entry.name),
        PrefixMode::WhenAmbiguous if repeated.contains(&*entry.name) => naming.prefixed(server, &entry.name),
        PrefixMode::WhenAmbiguous | PrefixMode::Never => entry.name.to_string(),
    }
}

fn meta(kind: Kind, outcomes: &[Outcome], reader: Reader) -> Bytes {
    let outcomes: serde_json::Map<String, serde_json::Value> =
        outcomes.iter().map(|outcome| (outcome.server.clone(), outcome.to_json(kind, reader))).collect();
    Bytes::from(json!({ "litellm.ai/server_outcomes": outcomes }).to_string())
}

/// FNV-1a over the items: the same in every replica, so that a cursor of one is good on another.
fn version_of(texts: &[String]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    texts
        .iter()
        .flat_map(|text| text.as_bytes().iter().chain(&[0]))
        .fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}
