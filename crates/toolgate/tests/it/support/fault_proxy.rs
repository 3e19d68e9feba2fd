//! A proxy for bytes that harms them as a test says: late, slow, broken off, or not at all.
//!
//! It knows nothing of HTTP but where an event of a stream ends, so it harms whatever passes in the same way as a bad
//! network does. A fault holds for what passes from then on, on old connections and new ones.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What is done to the bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// They pass.
    None,
    /// Each piece passes this much later.
    Latency(Duration),
    /// They pass one by one.
    Slow,
    /// Nothing passes, and what is sent is soon not even taken; connections stay open.
    HalfOpen,
    /// Nothing passes; what is sent is taken and lost.
    Hang,
    /// Connections are reset.
    Reset,
    /// After this many bytes in this direction the connection ends.
    CutBytes(Direction, usize, End),
    /// After this many events of a stream to the client its connection ends.
    CutEvents(usize, End),
}

/// Where bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    ToServer,
    ToClient,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As when a process ends.
    Close,
    /// With everything on its way thrown away.
    Reset,
}

/// The running proxy; its connections end with it.
#[derive(Debug)]
pub(crate) struct FaultProxy {
    address: SocketAddr,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    /// Held for the look at one piece.
    passing: Mutex<Passing>,
    changed: watch::Sender<Fault>,
}

/// What has passed since the fault was set.
#[derive(Debug)]
struct Passing {
    fault: Fault,
    bytes: [usize; 2],
    events: usize,
}

impl FaultProxy {
    /// Starts one in front of `url`.
    pub(crate) async fn start(url: &str) -> Self {
        let server = authority(url).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let passing = Mutex::new(Passing { fault: Fault::None, bytes: [0; 2], events: 0 });
        let state = Arc::new(State { passing, changed: watch::Sender::new(Fault::None) });
        let accepting = state.clone();
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(connect(client, server.clone(), accepting.clone()));
            }
        });
        Self { address, state, task }
    }

    /// The same place as `url`, through this proxy.
    pub(crate) fn url(&self, url: &str) -> String {
        url.replace(authority(url), &self.address.to_string())
    }

    /// From here on this happens.
    pub(crate) fn set(&self, fault: Fault) {
        *self.state.passing.lock().unwrap() = Passing { fault, bytes: [0; 2], events: 0 };
        self.state.changed.send_replace(fault);
    }

    /// How many bytes have passed in a direction since a fault was set.
    pub(crate) fn passed(&self, direction: Direction) -> usize {
        self.state.passing.lock().unwrap().bytes[direction as usize]
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn authority(url: &str) -> &str {
    let rest = url.strip_prefix("http://").expect("plain HTTP");
    rest.split('/').next().expect("there is always a first part")
}

async fn connect(client: TcpStream, server: String, state: Arc<State>) {
    if *state.changed.borrow() == Fault::Reset {
        client.set_zero_linger().unwrap();
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Whichever direction ends first ends both, as with a process that goes away.
    let ended = tokio::select! {
        ended = pump(from_client, &to_server, Direction::ToServer, &state) => ended,
        ended = pump(from_server, &to_client, Direction::ToClient, &state) => ended,
        () = reset(&state) => End::Reset,
    };
    if ended == End::Reset {
        for half in [to_client, to_server] {
            // It may be gone already.
            let _gone = half.as_ref().set_zero_linger();
            half.forget();
        }
    }
}

async fn reset(state: &State) {
    let mut changed = state.changed.subscribe();
    // The sender lives as long as this borrow of its state.
    let _set = changed.wait_for(|fault| *fault == Fault::Reset).await;
}

/// Takes bytes from one side to the other until one of them or the fault ends it.
async fn pump(mut from: OwnedReadHalf, to: &OwnedWriteHalf, direction: Direction, state: &State) -> End {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = match from.read(&mut buffer).await {
            Ok(count) if count > 0 => count,
            _ => return End::Close,
        };
        while_half_open(state).await;
        let piece = &buffer[..count];
        let (passes, end) = state.passing.lock().unwrap().look_at(piece, direction);
        let fault = *state.changed.borrow();
        if write(to, &piece[..passes], fault).await.is_err() {
            return End::Close;
        }
        if let Some(end) = end {
            return end;
        }
    }
}

async fn while_half_open(state: &State) {
    let mut changed = state.changed.subscribe();
    // The sender lives as long as this borrow of its state.
    let _other = changed.wait_for(|fault| *fault != Fault::HalfOpen).await;
}

async fn write(to: &OwnedWriteHalf, piece: &[u8], fault: Fault) -> std::io::Result<()> {
    match fault {
        Fault::Latency(delay) => tokio::time::sleep(delay).await,
        Fault::Slow => {
            for byte in piece.chunks(1) {
                write_all(to, byte).await?;
                tokio::task::yield_now().await;
            }
            return Ok(());
        }
        _ => {}
    }
    write_all(to, piece).await
}

async fn write_all(to: &OwnedWriteHalf, mut piece: &[u8]) -> std::io::Result<()> {
    while !piece.is_empty() {
        to.writable().await?;
        match to.try_write(piece) {
            Ok(count) => piece = &piece[count..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Passing {
    /// How much of a piece passes, and how the connection ends after it, if it does.
    fn look_at(&mut self, piece: &[u8], direction: Direction) -> (usize, Option<End>) {
        let before = self.bytes[direction as usize];
        let (passes, end) = match self.fault {
            Fault::Hang => (0, None),
            Fault::CutBytes(cut, after, end) if cut == direction && before + piece.len() > after => {
                (after - before.min(after), Some(end))
            }
            Fault::CutEvents(after, end) if direction == Direction::ToClient => self.cut_events(piece, after, end),
            _ => (piece.len(), None),
        };
        self.bytes[direction as usize] += passes;
        (passes, end)
    }

    fn cut_events(&mut self, piece: &[u8], after: usize, end: End) -> (usize, Option<End>) {
        let head = piece.starts_with(b"HTTP/1.1").then(|| find(piece, b"\r\n\r\n").map_or(0, |at| at + 4));
        let mut at = head.unwrap_or(0);
        while let Some(found) = find(&piece[at..], b"\n\n") {
            at += found + 2;
            self.events += 1;
            if self.events == after {
                return (at, Some(end));
            }
        }
        (piece.len(), None)
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
