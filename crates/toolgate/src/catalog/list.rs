//! One server's list of one kind, as the gateway keeps it: items raw, rules applied, names indexed.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use toolgate_mcp::edit::Edit;
use toolgate_mcp::headers::ParamHeaders;
use toolgate_mcp::jsonrpc::quote;
use toolgate_mcp::method;
use toolgate_mcp::translate::tasks;
use toolgate_mcp::views::{Hints, Item};

use super::rules::{self, Verdict};
use crate::config::settings::{ServerSettings, Transport};
use crate::telemetry::ToolChanges;

/// The four things that servers list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    Templates,
}

impl Kind {
    /// The method that lists these.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Self::Tools => method::TOOLS_LIST,
            Self::Prompts => method::PROMPTS_LIST,
            Self::Resources => method::RESOURCES_LIST,
            Self::Templates => method::RESOURCES_TEMPLATES_LIST,
        }
    }

    /// The field of the result that holds the items.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// The server capability that says these can be listed.
    #[must_use]
    pub fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources | Self::Templates => "resources",
        }
    }

    /// What one item is called in a message to a person.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Tools => "tool",
            Self::Prompts => "prompt",
            Self::Resources => "resource",
            Self::Templates => "resource template",
        }
    }
}

/// A list is kept this long even when its server would have it fetched each time: every name is looked up in it.
const SHORTEST_KEPT: Duration = Duration::from_secs(1);

/// One server's list, after the server's rules.
#[derive(Debug)]
pub(super) struct ServerList {
    entries: Vec<Entry>,
    by_name: HashMap<Box<str>, usize>,
    by_uri: HashMap<Box<str>, usize>,
    withheld: HashSet<Box<str>>,
    /// The items are operations of a REST API, which have other spellings too.
    spells: bool,
    pub(super) fetched: Instant,
    /// The same for people.
    pub(super) fetched_at: SystemTime,
    keep_for: Option<Duration>,
}

/// One item. `raw` is the server's text, with the rules' changes of description and schema made.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) raw: Box<str>,
    /// The server's own name for it.
    pub(super) name: Box<str>,
    /// `uri` or `uriTemplate`.
    pub(super) uri: Option<Box<str>>,
    /// `tool_name_to_display_name`: takes the place of the whole listed name.
    pub(super) display_name: Option<Box<str>>,
    /// A tool that says of itself that calling it twice does no harm.
    pub(super) may_repeat: bool,
    /// A tool's arguments that go to a modern server in headers too, if there are any.
    pub(super) param_headers: Option<Arc<ParamHeaders>>,
    /// A tool that only runs as a task of 2025-11-25.
    pub(super) as_task: bool,
}

/// What is known of the server that listed, beside its settings.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Listed {
    /// It speaks revision 2026-07-28 over HTTP, where arguments may have to be repeated in headers.
    pub(super) wants_headers: bool,
    /// It speaks revision 2025-11-25 and runs calls as tasks.
    pub(super) runs_tasks: bool,
    /// How long the list may be kept, if the server says so.
    pub(super) keep_for: Option<Duration>,
}

impl ServerList {
    /// Applies `server`'s rules to the raw items that it listed.
    pub(super) fn build(
        kind: Kind,
        server: &ServerSettings,
        separator: &str,
        items: &[Box<str>],
        listed: Listed,
    ) -> Self {
        let mut list = Self {
            entries: Vec::with_capacity(items.len()),
            by_name: HashMap::with_capacity(items.len()),
            by_uri: HashMap::new(),
            withheld: HashSet::new(),
            spells: kind == Kind::Tools && matches!(server.transport, Transport::OpenApi { .. }),
            fetched: Instant::now(),
            fetched_at: SystemTime::now(),
            keep_for: listed.keep_for,
        };
        for raw in items {
            let item = Item::read(raw, kind.field()).ok();
            let entry = item.and_then(|item| list.entry(kind, server, separator, &item, listed));
            if let Some(entry) = entry
                && !list.push(kind, entry)
            {
                tracing::warn!(server.name = %server.prefix, "an item that {} gave twice is kept once", kind.method());
            }
        }
        list
    }

    /// The entry for `item`; `None` when it is withheld.
    fn entry(
        &mut self,
        kind: Kind,
        server: &ServerSettings,
        separator: &str,
        item: &Item<'_>,
        listed: Listed,
    ) -> Option<Entry> {
        let name: Box<str> = item.name.as_deref()?.into();
        let uri: Option<Box<str>> = item.uri.as_deref().map(Into::into);
        if kind != Kind::Tools {
            let raw = item.raw.into();
            let (display_name, param_headers) = (None, None);
            return Some(Entry { raw, name, uri, display_name, may_repeat: true, param_headers, as_task: false });
        }
        if rules::verdict(server, separator, &name) == Verdict::Withheld {
            self.withheld.insert(name);
            return None;
        }
        let mut raw = rules::apply_overrides(server, &name, item);
        let as_task = listed.runs_tasks && tasks::is_required(&raw);
        if as_task && let Ok(Cow::Owned(plain)) = tasks::without_support(&raw) {
            raw = Cow::Owned(plain);
        }
        let display_name = server.tools.display_names.get(&*name).map(|shown| shown.as_str().into());
        let hints = item.annotations.map(Hints::read).unwrap_or_default();
        let may_repeat = hints.read_only || hints.idempotent;
        // Clients of 2026-07-28 repeat what is marked, whichever revision the server is of.
        let param_headers = match item.input_schema.map(ParamHeaders::read) {
            Some(Err(why)) if listed.wants_headers => {
                tracing::warn!(server.name = %server.prefix, tool = &*name, "a tool was left out: {why}");
                return None;
            }
            Some(Ok(headers)) if !headers.is_empty() => Some(Arc::new(headers)),
            _ => None,
        };
        Some(Entry { raw: raw.into(), name, uri, display_name, may_repeat, param_headers, as_task })
    }

    /// Adds an item, unless it cannot be told apart on the wire from one that is there.
    fn push(&mut self, kind: Kind, entry: Entry) -> bool {
        let is_there = match kind {
            Kind::Tools | Kind::Prompts => self.by_name.contains_key(&entry.name),
            Kind::Resources | Kind::Templates => entry.uri.as_ref().is_some_and(|uri| self.by_uri.contains_key(uri)),
        };
        if is_there {
            return false;
        }
        let at = self.entries.len();
        // Two resources may have one name; it is only for people.
        self.by_name.entry(entry.name.clone()).or_insert(at);
        if let Some(uri) = &entry.uri {
            self.by_uri.insert(uri.clone(), at);
        }
        self.entries.push(entry);
        true
    }

    /// The list without what `is_allowed` says no to, as if the server had not given it.
    pub(super) fn only(&self, is_allowed: impl Fn(&str) -> bool) -> Self {
        let entries: Vec<Entry> = self.entries.iter().filter(|entry| is_allowed(&entry.name)).cloned().collect();
        let by_name = entries.iter().enumerate().rev().map(|(at, entry)| (entry.name.clone(), at)).collect();
        let by_uri = entries.iter().enumerate().filter_map(|(at, entry)| Some((entry.uri.clone()?, at))).collect();
        let withheld = self.withheld.iter().filter(|name| is_allowed(name)).cloned().collect();
        Self {
            entries,
            by_name,
            by_uri,
            withheld,
            spells: self.spells,
            fetched: self.fetched,
            fetched_at: self.fetched_at,
            keep_for: self.keep_for,
        }
    }

    /// In which tools it differs from a former list of the same server.
    pub(super) fn changes_since(&self, former: &Self) -> ToolChanges {
        let mut changes = ToolChanges::default();
        for entry in &self.entries {
            match former.by_name.get(&entry.name) {
                None => changes.added += 1,
                Some(at) if former.entries[*at].raw != entry.raw => changes.changed += 1,
                Some(_) => {}
            }
        }
        let is_gone = |entry: &&Entry| !self.by_name.contains_key(&entry.name);
        changes.removed = former.entries.iter().filter(is_gone).count();
        changes
    }

    /// What it takes in memory, roughly.
    pub(super) fn bytes(&self) -> usize {
        let per_entry = 2 * size_of::<Entry>();
        self.entries.iter().map(|entry| entry.raw.len() + 3 * entry.name.len() + per_entry).sum()
    }

    /// Whether the server says that its list may be another by now.
    pub(super) fn is_stale(&self) -> bool {
        self.keep_for.is_some_and(|keep_for| self.fetched.elapsed() > keep_for.max(SHORTEST_KEPT))
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn by_name(&self, bare: &str) -> Option<&Entry> {
        let exact = self.by_name.get(bare);
        let spelt = || self.by_name.get(&*toolgate_openapi::tool_name(bare));
        exact.or_else(|| if self.spells { spelt() } else { None }).map(|at| &self.entries[*at])
    }

    /// Whether the server has this name, and a rule of its configuration keeps it back.
    pub(super) fn is_withheld(&self, bare: &str) -> bool {
        self.withheld.contains(bare) || self.spells && self.withheld.contains(&*toolgate_openapi::tool_name(bare))
    }
}

impl Entry {
    /// The item's text with `name` (and `uri`, when given) in place of its own.
    pub(super) fn listed_as(&self, kind: Kind, name: &str, uri: Option<&str>) -> Cow<'_, str> {
        let item = Item::read(&self.raw, kind.field()).expect("it was read when the list was built");
        let mut edit = Edit::new(&self.raw);
        if let Some(text) = item.name_text
            && name != &*self.name
        {
            edit.replace(text, quote(name));
        }
        if let (Some(text), Some(uri)) = (item.uri_text, uri) {
            edit.replace(text, quote(uri));
        }
        edit.finish()
    }
}
