//! What a client wants to hear of: one `subscriptions/listen` per stream since 2026-07-28, before that every change on
//! the session and `resources/subscribe` for each resource.
//!
//! Source: MCP 2026-07-28, Subscriptions; the tasks extension for `taskIds`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use serde_json::value::RawValue;

use crate::edit::{self, Fields};
use crate::jsonrpc::{self, Id, quote, string};
use crate::method;
use crate::views::{META_SUBSCRIPTION_ID, ViewError};

/// More resources and tasks than this in one filter are refused.
pub const MAX_NAMED: usize = 10_000;

/// The `notifications` of a `subscriptions/listen`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// `notifications/tools/list_changed`.
    pub tools: bool,
    /// `notifications/prompts/list_changed`.
    pub prompts: bool,
    /// `notifications/resources/list_changed`.
    pub resources: bool,
    /// `notifications/resources/updated` for these URIs, none twice.
    pub resource_uris: Vec<String>,
    /// `notifications/tasks` for these tasks, none twice; the tasks extension.
    pub task_ids: Vec<String>,
    /// What other extensions filter by, raw.
    pub others: BTreeMap<String, String>,
}

/// What somebody can tell of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offer {
    /// Changes of the list of tools.
    pub tools: bool,
    /// Changes of the list of prompts.
    pub prompts: bool,
    /// Changes of the lists of resources and templates.
    pub resources: bool,
    /// Changes of a resource.
    pub subscribe: bool,
    /// The progress of tasks.
    pub tasks: bool,
}

impl Filter {
    /// Reads the parameters of a `subscriptions/listen`, or of its acknowledgement.
    ///
    /// # Errors
    /// [`ViewError`] when `notifications` is not there, a field of it has another type, or it names more than
    /// [`MAX_NAMED`] resources or tasks.
    pub fn read(params: Option<&RawValue>) -> Result<Self, ViewError> {
        let params = params.ok_or(ViewError::Missing("params"))?;
        let fields = Fields::read(params.get())?;
        let filter = fields.get("notifications").ok_or(ViewError::Missing("notifications"))?;
        let mut read = Self::default();
        for (key, value) in Fields::read(filter.get())?.iter().filter(|(_, value)| value.get() != "null") {
            match key {
                "toolsListChanged" => read.tools = boolean("notifications.toolsListChanged", value)?,
                "promptsListChanged" => read.prompts = boolean("notifications.promptsListChanged", value)?,
                "resourcesListChanged" => read.resources = boolean("notifications.resourcesListChanged", value)?,
                "resourceSubscriptions" => {
                    read.resource_uris = strings("notifications.resourceSubscriptions", value)?;
                }
                "taskIds" => read.task_ids = strings("notifications.taskIds", value)?,
                _ => drop(read.others.insert(key.to_owned(), value.get().to_owned())),
            }
        }
        Ok(read)
    }

    /// The filter as JSON, without what it does not ask for.
    #[must_use]
    pub fn to_json(&self) -> String {
        let flags = [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ];
        let mut fields: Vec<String> =
            flags.iter().filter(|(_, asked)| *asked).map(|(key, _)| format!(r#""{key}":true"#)).collect();
        for (key, names) in [("resourceSubscriptions", &self.resource_uris), ("taskIds", &self.task_ids)] {
            if !names.is_empty() {
                let names: Vec<String> = names.iter().map(|name| quote(name)).collect();
                fields.push(format!(r#""{key}":[{}]"#, names.join(",")));
            }
        }
        fields.extend(self.others.iter().map(|(key, value)| format!("{}:{value}", quote(key))));
        format!("{{{}}}", fields.join(","))
    }

    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Asks for what `other` asks for as well. Of two that differ in what an extension filters by, the first stays.
    pub fn add(&mut self, other: &Self) {
        self.tools |= other.tools;
        self.prompts |= other.prompts;
        self.resources |= other.resources;
        add_names(&mut self.resource_uris, &other.resource_uris);
        add_names(&mut self.task_ids, &other.task_ids);
        for (key, value) in &other.others {
            self.others.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }

    /// What of it `offer` can fulfil, which is what an acknowledgement says.
    #[must_use]
    pub fn accepted(&self, offer: Offer) -> Self {
        Self {
            tools: self.tools && offer.tools,
            prompts: self.prompts && offer.prompts,
            resources: self.resources && offer.resources,
            resource_uris: if offer.subscribe { self.resource_uris.clone() } else { Vec::new() },
            task_ids: if offer.tasks { self.task_ids.clone() } else { Vec::new() },
            others: BTreeMap::new(),
        }
    }

    /// What of it a server's acknowledgement says that it will hear of.
    #[must_use]
    pub fn acknowledged_by(&self, acknowledgement: &Self) -> Self {
        let both = |ours: &[String], theirs: &[String]| {
            let theirs: HashSet<&String> = theirs.iter().collect();
            ours.iter().filter(|name| theirs.contains(name)).cloned().collect()
        };
        let others = acknowledgement.others.iter().filter(|(key, _)| self.others.contains_key(*key));
        Self {
            tools: self.tools && acknowledgement.tools,
            prompts: self.prompts && acknowledgement.prompts,
            resources: self.resources && acknowledgement.resources,
            resource_uris: both(&self.resource_uris, &acknowledgement.resource_uris),
            task_ids: both(&self.task_ids, &acknowledgement.task_ids),
            others: others.map(|(key, value)| (key.clone(), value.clone())).collect(),
        }
    }

    /// Whether a notification with this `method` and these parameters was asked for.
    ///
    /// An update counts for a URI that was asked for and for what lies below it, since servers may report either.
    #[must_use]
    pub fn admits(&self, method: &str, params: Option<&str>) -> bool {
        let field = |key: &str| {
            let fields = Fields::read(params?).ok()?;
            string(fields.get(key)?).map(Cow::into_owned)
        };
        match method {
            method::TOOLS_LIST_CHANGED => self.tools,
            method::PROMPTS_LIST_CHANGED => self.prompts,
            method::RESOURCES_LIST_CHANGED => self.resources,
            method::RESOURCES_UPDATED => {
                field("uri").is_some_and(|uri| self.resource_uris.iter().any(|asked| is_at_or_below(&uri, asked)))
            }
            method::TASKS => field("taskId").is_some_and(|id| self.task_ids.contains(&id)),
            _ => false,
        }
    }

    /// The filter with its URIs as `map` makes them; those that it does not know are left out.
    #[must_use]
    pub fn with_uris(&self, map: impl Fn(&str) -> Option<String>) -> Self {
        let mut seen = HashSet::new();
        let mapped = self.resource_uris.iter().filter_map(|uri| map(uri)).filter(|uri| seen.insert(uri.clone()));
        Self { resource_uris: mapped.collect(), ..self.clone() }
    }
}

/// Whether `uri` is `asked`, or lies below it, as `file:///a/b` does below `file:///a`.
fn is_at_or_below(uri: &str, asked: &str) -> bool {
    uri.strip_prefix(asked)
        .is_some_and(|rest| rest.is_empty() || asked.ends_with('/') || rest.starts_with(['/', '?', '#']))
}

fn add_names(names: &mut Vec<String>, others: &[String]) {
    let known: HashSet<&String> = names.iter().collect();
    let new: Vec<String> = others.iter().filter(|name| !known.contains(name)).cloned().collect();
    names.extend(new);
}

fn boolean(field: &'static str, raw: &RawValue) -> Result<bool, ViewError> {
    raw.get().parse().map_err(|_| ViewError::WrongType { field, expected: "true or false" })
}

fn strings(field: &'static str, raw: &RawValue) -> Result<Vec<String>, ViewError> {
    let all: Vec<String> =
        serde_json::from_str(raw.get()).map_err(|_| ViewError::WrongType { field, expected: "an array of strings" })?;
    if all.len() > MAX_NAMED {
        return Err(ViewError::WrongType { field, expected: "an array of at most 10000 strings" });
    }
    let mut seen = HashSet::with_capacity(all.len());
    Ok(all.into_iter().filter(|name| seen.insert(name.clone())).collect())
}

/// The message that must come first on the stream of the `subscriptions/listen` with this `id`.
#[must_use]
pub fn acknowledged(id: &Id, accepted: &Filter) -> Vec<u8> {
    let params = format!(r#"{{"_meta":{{"{META_SUBSCRIPTION_ID}":{id}}},"notifications":{}}}"#, accepted.to_json());
    jsonrpc::notification(method::SUBSCRIPTIONS_ACKNOWLEDGED, Some(&params))
}

/// The result that ends the `subscriptions/listen` with this `id`.
#[must_use]
pub fn ended(id: &Id) -> String {
    format!(r#"{{"resultType":"complete","_meta":{{"{META_SUBSCRIPTION_ID}":{id}}}}}"#)
}

/// A whole notification as it goes to the `subscriptions/listen` with this `id`.
///
/// # Errors
/// [`ViewError`] when the message, its parameters or their `_meta` are no object, or have a key twice.
pub fn with_subscription_id(message: &str, id: &Id) -> Result<String, ViewError> {
    Ok(edit::set_at(message, &["params", "_meta", META_SUBSCRIPTION_ID], id.as_json())?)
}

/// A whole notification for a client that has no `subscriptions/listen`.
///
/// # Errors
/// As [`with_subscription_id`].
pub fn without_subscription_id(message: &str) -> Result<Cow<'_, str>, ViewError> {
    Ok(edit::remove_at(message, &["params", "_meta", META_SUBSCRIPTION_ID])?)
}

/// The id of the `subscriptions/listen` that a whole message belongs to, from its parameters or its result.
///
/// # Errors
/// As [`with_subscription_id`].
pub fn subscription_id(message: &str) -> Result<Option<Id>, ViewError> {
    for holder in ["params", "result"] {
        if let Some(id) = edit::get_at(message, &[holder, "_meta", META_SUBSCRIPTION_ID])? {
            return Ok(Id::read(id));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::{Filter, Offer};

    fn filter(json: &str) -> Filter {
        let params = format!(r#"{{"notifications":{json}}}"#);
        Filter::read(Some(serde_json::from_str(&params).expect("valid JSON"))).expect("a filter")
    }

    #[test]
    fn a_filter_admits_only_what_was_asked_for() {
        let asked =
            filter(r#"{"promptsListChanged":true,"resourceSubscriptions":["file:///a","x:/d/"],"taskIds":["t"]}"#);
        let cases = [
            ("notifications/prompts/list_changed", None, true),
            ("notifications/tools/list_changed", None, false),
            ("notifications/resources/updated", Some(r#"{"uri":"file:///a"}"#), true),
            ("notifications/resources/updated", Some(r#"{"uri":"file:///a/b"}"#), true),
            ("notifications/resources/updated", Some(r#"{"uri":"file:///a?x"}"#), true),
            ("notifications/resources/updated", Some(r#"{"uri":"x:/d/e"}"#), true),
            ("notifications/resources/updated", Some(r#"{"uri":"file:///ab"}"#), false),
            ("notifications/resources/updated", Some(r#"{"uri":"file:///"}"#), false),
            ("notifications/resources/updated", None, false),
            ("notifications/tasks", Some(r#"{"taskId":"t"}"#), true),
            ("notifications/tasks", Some(r#"{"taskId":"u"}"#), false),
            ("notifications/message", Some("{}"), false),
        ];
        for (method, params, expected) in cases {
            assert_eq!(asked.admits(method, params), expected, "{method} {params:?}");
        }
    }

    #[test]
    fn only_what_a_server_acknowledged_is_heard() {
        let asked = filter(r#"{"toolsListChanged":true,"resourceSubscriptions":["a","b"],"x/y":1}"#);
        let acknowledged = filter(
            r#"{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["b","c"],"x/y":2,"x/z":3}"#,
        );
        let heard = filter(r#"{"toolsListChanged":true,"resourceSubscriptions":["b"],"x/y":2}"#);
        assert_eq!(asked.acknowledged_by(&acknowledged), heard);
        assert!(asked.accepted(Offer::default()).is_empty());
    }

    #[test]
    fn uris_are_mapped_and_unknown_ones_left_out() {
        let asked = filter(r#"{"toolsListChanged":true,"resourceSubscriptions":["a","b","c"]}"#);
        let mapped = asked.with_uris(|uri| (uri != "b").then(|| "same".to_owned()));
        assert_eq!(mapped, filter(r#"{"toolsListChanged":true,"resourceSubscriptions":["same"]}"#));
    }
}
