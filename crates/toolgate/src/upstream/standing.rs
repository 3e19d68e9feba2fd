//! What clients want of a server beyond single requests: to hear of changed resources, and whatever it says by itself.
//!
//! It is kept here and not with the connection, so that it outlives one that is lost, and is asked for again on the
//! next. A connection with such wishes is not closed for want of use.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use toolgate_client::Events;
use toolgate_mcp::edit::{Edit, Fields};
use toolgate_mcp::jsonrpc::{self, Message, quote};

use super::lane::{Key, Lane, SessionKey};

/// The wishes on all connections of one server.
#[derive(Default)]
pub(super) struct Standing {
    by_key: BTreeMap<Key, Wishes>,
}

/// The wishes on one connection.
struct Wishes {
    /// With what it is opened again.
    lane: Lane,
    /// Who wants to hear what the server says by itself.
    listeners: Vec<Arc<dyn Events>>,
    /// By the server's own URI.
    resources: BTreeMap<Box<str>, Subscription>,
}

struct Subscription {
    /// The server has taken it.
    taken: bool,
    by: Vec<Subscriber>,
}

#[derive(Clone)]
struct Subscriber {
    hears: Arc<dyn Events>,
    session: Option<SessionKey>,
    /// The URI that the client knows.
    listed: Box<str>,
}

/// A subscription that nobody wants any more, and its connection.
pub(super) struct Orphan {
    pub(super) lane: Lane,
    pub(super) uri: Box<str>,
}

impl Standing {
    /// Whether something is wanted of the connection with `key` even when nobody asks.
    pub(super) fn concerns(&self, key: &Key) -> bool {
        self.by_key.contains_key(key)
    }

    /// With what the connection with `key` is opened again, if something is wanted of it.
    pub(super) fn lane(&self, key: &Key) -> Option<Lane> {
        self.by_key.get(key).map(|wishes| wishes.lane.clone())
    }

    pub(super) fn wants_listening(&self, key: &Key) -> bool {
        self.by_key.get(key).is_some_and(|wishes| !wishes.listeners.is_empty())
    }

    /// The resources that the server is to be asked about on a new connection.
    pub(super) fn resources(&self, key: &Key) -> Vec<Box<str>> {
        let Some(wishes) = self.by_key.get(key) else { return Vec::new() };
        wishes.resources.iter().filter(|(_, wish)| wish.taken).map(|(uri, _)| uri.clone()).collect()
    }

    /// The resources of which a modern server is to tell.
    pub(super) fn wanted(&self, key: &Key) -> Vec<Box<str>> {
        self.by_key.get(key).map(|wishes| wishes.resources.keys().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn listen(&mut self, lane: &Lane, hears: &Arc<dyn Events>) {
        let listeners = &mut self.wishes(lane).listeners;
        if !listeners.iter().any(|listener| is_same(listener, hears)) {
            listeners.push(Arc::clone(hears));
        }
    }

    /// Adds a subscriber to `uri`; says whether the server has to be asked.
    pub(super) fn subscribe(&mut self, lane: &Lane, uri: &str, listed: &str, hears: &Arc<dyn Events>) -> bool {
        let session = lane.client.session;
        let new = || Subscription { taken: false, by: Vec::new() };
        let subscription = self.wishes(lane).resources.entry(uri.into()).or_insert_with(new);
        subscription.by.retain(|subscriber| !is_same(&subscriber.hears, hears));
        subscription.by.push(Subscriber { hears: Arc::clone(hears), session, listed: listed.into() });
        !subscription.taken
    }

    /// The server has taken the subscription to `uri`.
    pub(super) fn taken(&mut self, key: &Key, uri: &str) {
        if let Some(subscription) = self.by_key.get_mut(key).and_then(|wishes| wishes.resources.get_mut(uri)) {
            subscription.taken = true;
        }
    }

    /// Takes a subscriber to `uri` out; says whether it was the last, so that the server can be told.
    pub(super) fn unsubscribe(&mut self, key: &Key, uri: &str, hears: &Arc<dyn Events>) -> bool {
        let Some(wishes) = self.by_key.get_mut(key) else { return false };
        let Some(subscription) = wishes.resources.get_mut(uri) else { return false };
        subscription.by.retain(|subscriber| !is_same(&subscriber.hears, hears));
        let was_last = subscription.by.is_empty();
        if was_last {
            wishes.resources.remove(uri);
        }
        self.forget_empty(key);
        was_last
    }

    /// The resources that `hears` is to be told of, under the URIs that its client knows.
    pub(super) fn listed(&self, hears: &Arc<dyn Events>) -> Vec<Box<str>> {
        let subscriptions = self.by_key.values().flat_map(|wishes| wishes.resources.values());
        let subscribers = subscriptions.flat_map(|subscription| &subscription.by);
        let own = subscribers.filter(|subscriber| is_same(&subscriber.hears, hears));
        own.map(|subscriber| subscriber.listed.clone()).collect()
    }

    /// Takes out all that `hears` wants.
    pub(super) fn leave(&mut self, hears: &Arc<dyn Events>) -> Vec<Orphan> {
        self.take_out(
            |wishes| wishes.listeners.retain(|listener| !is_same(listener, hears)),
            |subscriber| is_same(&subscriber.hears, hears),
        )
    }

    /// Takes out all that `session` wants.
    pub(super) fn end(&mut self, session: SessionKey) -> Vec<Orphan> {
        self.take_out(
            |wishes| {
                if wishes.lane.key.session == Some(session) {
                    wishes.listeners.clear();
                }
            },
            |subscriber| subscriber.session == Some(session),
        )
    }

    pub(super) fn clear(&mut self) {
        self.by_key.clear();
    }

    fn take_out(&mut self, listeners: impl Fn(&mut Wishes), is_gone: impl Fn(&Subscriber) -> bool) -> Vec<Orphan> {
        let mut orphans = Vec::new();
        for wishes in self.by_key.values_mut() {
            listeners(wishes);
            let lane = &wishes.lane;
            wishes.resources.retain(|uri, subscription| {
                subscription.by.retain(|subscriber| !is_gone(subscriber));
                if subscription.by.is_empty() {
                    orphans.push(Orphan { lane: lane.clone(), uri: uri.clone() });
                }
                !subscription.by.is_empty()
            });
        }
        self.by_key.retain(|_, wishes| !wishes.is_empty());
        orphans
    }

    /// Who is to be told that `uri` has changed, each with the message that it is told.
    ///
    /// A server may tell of a part of what was subscribed to (MCP 2025-11-25, Resources, Subscriptions).
    pub(super) fn told(&self, key: &Key, message: &Bytes) -> Vec<(Arc<dyn Events>, Bytes)> {
        let Some(wishes) = self.by_key.get(key) else { return Vec::new() };
        let Some((uri_text, uri)) = changed_uri(message) else { return Vec::new() };
        let mut told: Vec<(Arc<dyn Events>, Bytes)> = Vec::new();
        for (subscribed, subscription) in &wishes.resources {
            if !is_part(&uri, subscribed) {
                continue;
            }
            for subscriber in &subscription.by {
                if told.iter().any(|(hears, _)| is_same(hears, &subscriber.hears)) {
                    continue;
                }
                let part = &uri[subscribed.len()..];
                let listed = (subscriber.listed != *subscribed).then(|| format!("{}{part}", subscriber.listed));
                told.push((Arc::clone(&subscriber.hears), renamed(message, uri_text, listed)));
            }
        }
        told
    }

    fn wishes(&mut self, lane: &Lane) -> &mut Wishes {
        self.by_key.entry(lane.key.clone()).or_insert_with(|| Wishes {
            lane: lane.clone(),
            listeners: Vec::new(),
            resources: BTreeMap::new(),
        })
    }

    fn forget_empty(&mut self, key: &Key) {
        if self.by_key.get(key).is_some_and(Wishes::is_empty) {
            self.by_key.remove(key);
        }
    }
}

impl Wishes {
    fn is_empty(&self) -> bool {
        self.listeners.is_empty() && self.resources.is_empty()
    }
}

fn is_same(one: &Arc<dyn Events>, other: &Arc<dyn Events>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

/// The URI in a `notifications/resources/updated`, as it stands there and as it reads.
fn changed_uri(message: &Bytes) -> Option<(&str, String)> {
    let Ok(Message::Notification(notification)) = jsonrpc::parse(message) else { return None };
    let params: &RawValue = notification.params?;
    let uri = Fields::read(params.get()).ok()?.get("uri")?;
    Some((uri.get(), jsonrpc::string(uri)?.into_owned()))
}

fn is_part(uri: &str, of: &str) -> bool {
    uri.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']) || of.ends_with('/'))
}

fn renamed(message: &Bytes, uri_text: &str, listed: Option<String>) -> Bytes {
    let Some(listed) = listed else { return message.clone() };
    let text = std::str::from_utf8(message).expect("it was parsed as JSON text");
    let mut edit = Edit::new(text);
    edit.replace(uri_text, quote(&listed));
    Bytes::from(edit.finish().into_owned())
}

/// The parameters that name a resource.
pub(super) fn params(uri: &str) -> String {
    format!("{{\"uri\":{}}}", quote(uri))
}
