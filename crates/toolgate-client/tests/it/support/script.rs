//! An HTTP server that answers what a test tells it to, byte for byte, on threads of its own.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use tokio::sync::mpsc;

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// The number of the connection it came on, from 0.
    pub(crate) connection: usize,
}

impl Asked {
    /// The value of a header, lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The JSON-RPC method in the body, or the HTTP method.
    pub(crate) fn what(&self) -> String {
        let message: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        message["method"].as_str().map_or_else(|| self.method.clone(), str::to_owned)
    }

    /// The JSON-RPC id in the body.
    pub(crate) fn id(&self) -> serde_json::Value {
        serde_json::from_str::<serde_json::Value>(&self.body).map(|message| message["id"].clone()).unwrap_or_default()
    }
}

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Sends these bytes and reads the next request.
    Raw(Vec<u8>),
    /// Sends these bytes and closes the connection.
    Close(Vec<u8>),
    /// Sends these bytes and then nothing more, until the client goes away.
    Hang(Vec<u8>),
    /// Sends the first bytes, and then the others again and again until the client goes away.
    Endless(Vec<u8>, Vec<u8>),
}

impl Reply {
    pub(crate) fn json(status: &str, body: &str) -> Self {
        Self::with(status, "content-type: application/json\r\n", body)
    }

    /// An event stream that ends well.
    pub(crate) fn events(events: &str) -> Self {
        Self::with("200 OK", "content-type: text/event-stream\r\n", events)
    }

    /// `headers` are whole lines.
    pub(crate) fn with(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Raw(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes())
    }

    pub(crate) fn accepted() -> Self {
        Self::with("202 Accepted", "", "")
    }
}

/// The head of an event stream whose end only the connection's end tells.
pub(crate) const EVENT_STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

/// A running server. It ends with the test process.
pub(crate) struct Script {
    pub(crate) url: String,
    /// Every request in its order.
    pub(crate) asked: mpsc::UnboundedReceiver<Asked>,
}

impl Script {
    /// Serves plain HTTP.
    pub(crate) fn serve(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::serve_over("http", Some, handler)
    }

    /// Serves over what `wrap` makes of a connection; none means that the connection is dropped.
    pub(crate) fn serve_over<S: Read + Write>(
        scheme: &str,
        wrap: impl Fn(TcpStream) -> Option<S> + Send + Sync + 'static,
        handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("{scheme}://{}/mcp", listener.local_addr().expect("an address"));
        let (sender, asked) = mpsc::unbounded_channel();
        let (wrap, handler) = (Arc::new(wrap), Arc::new(handler));
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (wrap, handler, sender) = (Arc::clone(&wrap), Arc::clone(&handler), sender.clone());
                std::thread::spawn(move || {
                    let stream = stream.ok().and_then(|stream| wrap(stream));
                    if let Some(stream) = stream {
                        converse(stream, connection, &*handler, &sender);
                    }
                });
            }
        });
        Self { url, asked }
    }

    /// Serves MCP: `initialize` gives the session `s-1`, notifications are accepted, the rest is `handler`'s.
    pub(crate) fn mcp(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::serve(move |asked| mcp(asked).unwrap_or_else(|| handler(asked)))
    }

    /// Serves revision 2026-07-28; all but `server/discover` is `handler`'s.
    pub(crate) fn modern(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::serve(move |asked| match asked.what().as_str() {
            "server/discover" => result(asked, DISCOVERED),
            _ => handler(asked),
        })
    }

    /// The next request, which must come.
    pub(crate) async fn next(&mut self) -> Asked {
        super::next(&mut self.asked).await
    }

    /// The next request with this JSON-RPC method (or HTTP method, without a body).
    pub(crate) async fn next_of(&mut self, what: &str) -> Asked {
        loop {
            let asked = self.next().await;
            if asked.what() == what {
                return asked;
            }
        }
    }
}

/// What a good legacy server answers to the handshake; `None` for everything after it.
pub(crate) fn mcp(asked: &Asked) -> Option<Reply> {
    match asked.what().as_str() {
        "server/discover" => Some(error(asked, "200 OK", -32601, "unknown method")),
        "initialize" => Some(Reply::with(
            "200 OK",
            "content-type: application/json\r\nmcp-session-id: s-1\r\n",
            &initialized(&asked.id()),
        )),
        "notifications/initialized" => Some(Reply::accepted()),
        _ => None,
    }
}

/// A JSON-RPC error that answers `asked`; `text` is its message, and may go on with `,"data":...`.
pub(crate) fn error(asked: &Asked, status: &str, code: i64, text: &str) -> Reply {
    let id = asked.id();
    Reply::json(status, &format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{text}"}}}}"#))
}

/// A result that answers `asked`.
pub(crate) fn result(asked: &Asked, result: &str) -> Reply {
    Reply::json("200 OK", &format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, asked.id()))
}

/// What a modern server answers to `server/discover`.
pub(crate) const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"instructions":"Go on","ttlMs":0,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"script","version":"2"}}}"#;

/// The answer to `initialize`.
pub(crate) fn initialized(id: &serde_json::Value) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"protocolVersion":"2025-06-18","capabilities":{{}},"serverInfo":{{"name":"script","version":"1"}}}}}}"#
    )
}

fn converse<S: Read + Write>(
    stream: S,
    connection: usize,
    handler: &(dyn Fn(&Asked) -> Reply + Send + Sync),
    sender: &mpsc::UnboundedSender<Asked>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read(&mut stream, connection) {
        let reply = handler(&asked);
        // The test may have heard enough.
        let _ = sender.send(asked);
        let peer = stream.get_mut();
        let gone = match reply {
            Reply::Raw(bytes) => peer.write_all(&bytes).and_then(|()| peer.flush()).is_err(),
            Reply::Close(bytes) => {
                let _ = peer.write_all(&bytes).and_then(|()| peer.flush());
                true
            }
            Reply::Hang(bytes) => {
                let _ = peer.write_all(&bytes).and_then(|()| peer.flush());
                let _ = peer.read(&mut [0]);
                true
            }
            Reply::Endless(first, again) => {
                let _ = peer.write_all(&first);
                while peer.write_all(&again).is_ok() {}
                true
            }
        };
        if gone {
            return;
        }
    }
}

fn read(stream: &mut BufReader<impl Read>, connection: usize) -> Option<Asked> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(Asked { method, path, headers, body: String::from_utf8(body).ok()?, connection })
}
