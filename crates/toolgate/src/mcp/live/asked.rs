//! The questions that servers have put before a client.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::time::{Duration, Instant};
use toolgate_client::Question;
use toolgate_mcp::edit::{Edit, Fields};
use toolgate_mcp::jsonrpc::{self, ErrorObject, Id, Message, code};
use toolgate_mcp::{method, views};

use super::super::outlet::{Hold, Outlet};
use super::Live;
use crate::upstream::Capabilities;

/// A question that waits for the client's answer.
pub(super) struct Asked {
    pub(super) question: Question,
    /// Where it was asked.
    pub(super) outlet: Arc<Outlet>,
    /// The server's own progress token, as JSON text.
    pub(super) token: Option<Box<str>>,
    pub(super) since: Instant,
    pub(super) _hold: Hold,
}

/// Whether the client said that it can be asked this.
pub(super) fn is_declared(capabilities: &Capabilities, question: &Question) -> bool {
    if question.method() == method::ELICITATION_CREATE {
        let flags = capabilities.flags();
        return if is_url_mode(question.params()) { flags.elicitation_url } else { flags.elicitation_form };
    }
    capabilities.allow(question.method())
}

fn is_url_mode(params: Option<&str>) -> bool {
    let fields = params.and_then(|params| Fields::read(params).ok());
    fields.and_then(|fields| fields.get("mode")).is_some_and(|mode| jsonrpc::string(mode).as_deref() == Some("url"))
}

/// The question's message with `number` in place of the server's id, and of its progress token if it has one: two servers
/// may have chosen the same. The token comes as JSON text.
pub(super) fn with_number(question: &Question, number: u64) -> (Bytes, Option<Box<str>>) {
    let Some(token) = question.params().and_then(progress_token) else {
        return (Bytes::from(question.with_id(&Id::from(number))), None);
    };
    let text = std::str::from_utf8(question.message()).expect("it was parsed as JSON text");
    let mut edit = Edit::new(text);
    edit.replace(question.id_text(), number.to_string()).replace(token, number.to_string());
    (Bytes::from(edit.finish().into_owned()), Some(token.into()))
}

fn progress_token(params: &str) -> Option<&str> {
    let meta = Fields::read(params).ok()?.get("_meta")?;
    Some(Fields::read(meta.get()).ok()?.get("progressToken")?.get())
}

impl Live {
    /// A server withdraws a question: the client is told, by the id that it knows.
    ///
    /// Ids are the server's own, so two servers may use the same. One that came with the request whose response is `via`
    /// is meant before others; when that leaves several, none is taken to be meant.
    pub(super) fn cancelled_by_server(&self, message: &Bytes, via: Option<&Arc<Outlet>>) {
        let Ok(Message::Notification(notification)) = jsonrpc::parse(message) else { return };
        let Ok(cancelled) = views::Cancelled::read(notification.params) else { return };
        let mut state = self.lock();
        let named: Vec<u64> = state
            .asked
            .iter()
            .filter(|(_, asked)| asked.question.id_text() == cancelled.request_id_text)
            .map(|(number, _)| *number)
            .collect();
        let came_with =
            |number: &&u64| via.is_some_and(|via| state.asked.get(number).is_some_and(|a| Arc::ptr_eq(&a.outlet, via)));
        let meant = match (&named[..], named.iter().find(came_with)) {
            (_, Some(number)) | ([number], None) => *number,
            _ => return self.metrics.dropped_frames("_client", "cancelled_nothing"),
        };
        let Some(asked) = state.asked.remove(&meant) else { return };
        drop(state);
        let text = std::str::from_utf8(message).expect("it was parsed as JSON text");
        let mut edit = Edit::new(text);
        edit.replace(cancelled.request_id_text, meant.to_string());
        asked.outlet.notify(Bytes::from(edit.finish().into_owned()));
        asked.question.withdrawn();
    }

    /// Gives up the questions that the client has had before it for longer than `limit`.
    pub(super) fn give_up_overdue(&self, limit: Duration) {
        let mut state = self.lock();
        let overdue: Vec<u64> =
            state.asked.iter().filter(|(_, asked)| asked.since.elapsed() >= limit).map(|(number, _)| *number).collect();
        let overdue: Vec<(u64, Asked)> =
            overdue.into_iter().filter_map(|number| Some((number, state.asked.remove(&number)?))).collect();
        drop(state);
        for (number, asked) in overdue {
            let params = format!(r#"{{"requestId":{number},"reason":"no answer within {limit:?}"}}"#);
            asked.outlet.notify(jsonrpc::notification(method::CANCELLED, Some(&params)).into());
            let text = format!("the client did not answer `{}` within {limit:?}", asked.question.method());
            asked.question.refuse(&ErrorObject::new(code::TIMEOUT, text));
        }
    }

    /// The client says how far it has come with a question: that goes to the server that asked, under its own token.
    /// `false` when the token is of no question.
    pub(in super::super) fn progressed(&self, params: Option<&RawValue>) -> bool {
        let Some(params) = params else { return false };
        let Ok(Some(token)) = views::progress_token(params) else { return false };
        let state = self.lock();
        let asked = token.parse().ok().and_then(|number: u64| state.asked.get(&number));
        let Some((asked, own)) = asked.and_then(|asked| Some((asked, asked.token.as_deref()?))) else { return false };
        let mut edit = Edit::new(params.get());
        edit.replace(token, own);
        asked.question.notify(method::PROGRESS, Some(&edit.finish()));
        true
    }
}
