//! Single requests to the gateway over one kept connection, timed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

/// What `/mcp` answers to anybody whose key is good.
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// A client that asks one thing at a time.
pub(super) struct Client {
    port: u16,
    stream: Option<BufReader<TcpStream>>,
}

/// An answer, whole.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Client {
    pub(super) fn new(port: u16) -> Self {
        Self { port, stream: None }
    }

    /// How long it takes until the gateway has let a key in and answered.
    pub(super) fn ping(&mut self, key: &str) -> anyhow::Result<Duration> {
        self.connected()?;
        let began = Instant::now();
        let reply = self.post("/mcp", key, PING)?;
        let took = began.elapsed();
        ensure!(reply.status == 200, "{}: {}", reply.status, reply.body);
        Ok(took)
    }

    pub(super) fn get(&mut self, path: &str, key: &str) -> anyhow::Result<Reply> {
        self.send("GET", path, key, "")
    }

    pub(super) fn post(&mut self, path: &str, key: &str, body: &str) -> anyhow::Result<Reply> {
        self.send("POST", path, key, body)
    }

    fn connected(&mut self) -> anyhow::Result<&mut BufReader<TcpStream>> {
        if self.stream.is_none() {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).context("the gateway does not listen")?;
            stream.set_nodelay(true).context("no such option")?;
            stream.set_read_timeout(Some(Duration::from_secs(60))).context("no such option")?;
            self.stream = Some(BufReader::new(stream));
        }
        self.stream.as_mut().context("it is connected")
    }

    fn send(&mut self, method: &str, path: &str, key: &str, body: &str) -> anyhow::Result<Reply> {
        let port = self.port;
        let stream = self.connected()?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.get_mut().write_all(&[head.as_bytes(), body.as_bytes()].concat()).context("the gateway hung up")?;
        read(stream)
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> anyhow::Result<Reply> {
    let mut line = String::new();
    stream.read_line(&mut line).context("the gateway hung up")?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status line")?;
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line).context("the gateway hung up")?;
        let header = line.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        ensure!(!header.starts_with("transfer-encoding"), "an answer in chunks");
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().context("no length")?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).context("the gateway hung up")?;
    Ok(Reply { status, body: String::from_utf8(body).context("no text")? })
}
