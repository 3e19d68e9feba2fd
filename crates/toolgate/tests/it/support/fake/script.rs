//! What a [`FakeMcp`](super::FakeMcp) is told to do.

use std::collections::HashMap;

use serde_json::{Value, json};

/// What a request is answered with.
#[derive(Debug, Clone)]
pub(crate) enum Scripted {
    /// This text as `result`, in a JSON body.
    Result(String),
    /// This text as `result`, in a stream after a notification.
    Streamed(String),
    /// The string in the call's argument `result`, as the `result`; in a stream if asked for.
    Mirror { streamed: bool },
    /// A JSON-RPC error.
    Error(i32, &'static str),
    /// This message, with the request's id in the place of `ID`.
    Raw(String),
    /// Pages of a list: the key, and the items of each page.
    Pages(&'static str, Vec<Vec<Value>>),
    /// Any HTTP answer: status, content type, body.
    Http(u16, &'static str, String),
    /// The headers of an answer with this content type, then bytes without a line's end, for ever.
    Endless(&'static str),
    /// The headers of an answer with this content type, then this text again and again, for ever.
    Repeated(&'static str, String),
    /// The head of an answer, and then the end of the connection.
    Broken,
    /// Each of these for one request of the method, and the last for all others.
    InTurn(Vec<Scripted>),
    /// An event stream for whoever opens one, and another for whoever takes one up again with `Last-Event-ID`.
    Resumable(Vec<Talk>, Vec<Talk>),
    /// Nothing; the connection stays open.
    Silence,
    /// This text as `result`, once [`super::FakeMcp::release`] is called.
    Held(String),
    /// A stream on which the server asks its client, round after round, methods with their parameters; each round once
    /// the one before is answered. The result's text is all answers, in order.
    Asks(Vec<Vec<(&'static str, Value)>>),
    /// A stream of whatever [`super::FakeMcp::say`] is given.
    Speaks,
    /// A stream of these messages, and then this text as `result`, once [`super::FakeMcp::release`] is called.
    Says(Vec<Value>, String),
    /// This text as `result`: half of the message at once, and once [`super::FakeMcp::release`] is called the other half; or
    /// the end of the connection instead.
    Halves { result: String, breaks: bool },
    /// An event stream on which the server speaks and listens.
    Talk(Vec<Talk>),
}

/// What a server does on an event stream, one after the other. In texts, `$id` is the request's id, `$token` its progress
/// token, both as JSON.
#[derive(Debug, Clone)]
pub(crate) enum Talk {
    /// Sends this message.
    Says(String),
    /// Sends this message as the event with this id, and says that a lost stream may be taken up at once.
    Numbered(&'static str, String),
    /// Waits until a request of this method has come.
    Awaits(&'static str),
    /// Waits for the client's answer to the request of the server with this id, as JSON.
    Hears(&'static str),
    /// Waits for [`super::FakeMcp::release`].
    Held,
    /// Sends the next message that [`super::FakeMcp::say`] is given.
    Said,
    /// Sends this text as `result`; `$heard` in it is the last answer that was heard, as a JSON string.
    Answers(String),
}

impl Talk {
    /// Asks the client.
    pub(crate) fn asks(id: &str, method: &str, params: &str) -> Self {
        Self::Says(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#))
    }

    /// Notifies the client.
    pub(crate) fn tells(method: &str, params: &str) -> Self {
        Self::Says(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#))
    }

    /// Answers a tool call with this text.
    pub(crate) fn answers(text: &str) -> Self {
        Self::Answers(json!({"content": [{"type": "text", "text": text}]}).to_string())
    }

    /// Answers a tool call with the client's last answer, as it came.
    pub(crate) fn answers_what_was_heard() -> Self {
        Self::Answers(r#"{"content":[{"type":"text","text":$heard}]}"#.to_owned())
    }
}

impl Scripted {
    /// A page that a proxy or a login form would send.
    pub(crate) fn html() -> Self {
        Self::Http(200, "text/html", "<!doctype html><title>Sign in</title>".to_owned())
    }

    /// A tool's result of one text.
    pub(crate) fn text(text: &str) -> Self {
        Self::Result(json!({"content": [{"type": "text", "text": text}]}).to_string())
    }
}

/// What a [`super::FakeMcp`] does; methods that are not scripted have plain answers.
pub(crate) fn script() -> Script {
    Script { answers: HashMap::new(), uris: None, sessions: true, forgotten: (404, "no such session") }
}

/// See [`script`].
#[derive(Debug)]
pub(crate) struct Script {
    pub(super) answers: HashMap<&'static str, Scripted>,
    /// What can be read; everything, if there is no list.
    pub(super) uris: Option<Vec<String>>,
    pub(super) sessions: bool,
    /// Status and text for a session that it does not know.
    pub(super) forgotten: (u16, &'static str),
}

impl Script {
    /// Answers `method` so. `"GET"` and `"DELETE"` stand for those HTTP methods.
    pub(crate) fn on(mut self, method: &'static str, answer: Scripted) -> Self {
        self.answers.insert(method, answer);
        self
    }

    /// Has these tools; a call answers its own name and arguments as text.
    pub(crate) fn tools(self, names: &[&str]) -> Self {
        let tools = names.iter().map(|name| tool(name)).collect();
        self.on("tools/list", Scripted::Pages("tools", vec![tools]))
    }

    /// Has these resources and no others.
    pub(crate) fn resources(mut self, uris: &[&str]) -> Self {
        self.uris = Some(uris.iter().map(|&uri| uri.to_owned()).collect());
        let resources = uris.iter().map(|uri| json!({"uri": uri, "name": uri})).collect();
        self.on("resources/list", Scripted::Pages("resources", vec![resources]))
    }

    /// Says so when it does not know a session.
    pub(crate) fn forgets_with(mut self, status: u16, text: &'static str) -> Self {
        self.forgotten = (status, text);
        self
    }

    /// Speaks revision 2026-07-28 and no other.
    pub(crate) fn modern(self) -> Self {
        let discovered = json!({
            "resultType": "complete",
            "supportedVersions": ["2026-07-28"],
            "capabilities": {"tools": {}},
            "ttlMs": 0,
            "cacheScope": "private",
        });
        self.without_sessions().on("server/discover", Scripted::Result(discovered.to_string()))
    }

    /// Gives no session id and asks for none.
    pub(crate) fn without_sessions(mut self) -> Self {
        self.sessions = false;
        self
    }
}

/// A tool that takes anything.
pub(crate) fn tool(name: &str) -> Value {
    json!({"name": name, "description": format!("does {name}"), "inputSchema": {"type": "object"}})
}
