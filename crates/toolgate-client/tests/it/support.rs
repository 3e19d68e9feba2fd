//! Servers to talk to, and what is needed to talk to them.

pub(crate) mod calculator;
pub(crate) mod child;
pub(crate) mod old;
pub(crate) mod script;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::mpsc;
use toolgate_client::{
    Era, Events, HttpClient, HttpKind, HttpTarget, Options, Question, StdioTarget, Target, TlsOptions,
};

/// How long a test waits for what must come; long, because the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A target with its own connections.
pub(crate) fn http(url: &str, kind: HttpKind) -> Target {
    let client = HttpClient::new(&TlsOptions::default()).expect("a client");
    http_with(url, kind, client, HeaderMap::new())
}

pub(crate) fn http_with(url: &str, kind: HttpKind, client: HttpClient, headers: HeaderMap) -> Target {
    Target::Http(HttpTarget { url: url.parse().expect("a URL"), headers, authorizer: None, kind, client })
}

/// A child that runs `script` in a shell.
pub(crate) fn shell(script: &str) -> Target {
    Target::Stdio(StdioTarget {
        command: "sh".to_owned(),
        args: vec!["-c".to_owned(), script.to_owned()],
        env: vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())],
        cwd: None,
    })
}

/// Options for a server that is to be spoken with by `initialize`.
pub(crate) fn legacy() -> Options {
    Options { era: Era::Legacy, ..Options::default() }
}

/// Options whose notifications arrive in a channel, as method and message.
pub(crate) fn listening() -> (Options, mpsc::UnboundedReceiver<(String, Bytes)>) {
    struct Listener(mpsc::UnboundedSender<(String, Bytes)>);
    impl Events for Listener {
        fn notification(&self, method: &str, message: Bytes) {
            // A test that has heard enough drops the receiver.
            let _ = self.0.send((method.to_owned(), message));
        }
    }
    let (sender, receiver) = mpsc::unbounded_channel();
    (Options { events: Arc::new(Listener(sender)), ..Options::default() }, receiver)
}

/// Options whose questions are all answered with `result`, and arrive in a channel as method and parameters.
pub(crate) fn answering(result: &'static str) -> (Options, mpsc::UnboundedReceiver<(String, Option<String>)>) {
    struct Answerer(&'static str, mpsc::UnboundedSender<(String, Option<String>)>);
    impl Events for Answerer {
        fn question(&self, question: Question) {
            // A test that has heard enough drops the receiver.
            let _ = self.1.send((question.method().to_owned(), question.params().map(str::to_owned)));
            question.answer(self.0);
        }
    }
    let (sender, receiver) = mpsc::unbounded_channel();
    (Options { events: Arc::new(Answerer(result, sender)), ..Options::default() }, receiver)
}

/// What comes next in `receiver`, which must come.
pub(crate) async fn next<T>(receiver: &mut mpsc::UnboundedReceiver<T>) -> T {
    tokio::time::timeout(PATIENCE, receiver.recv()).await.expect("it comes in time").expect("it comes")
}
