//! Clients that want the gateway busy and not served: heads and bodies that never end, floods of HTTP/2 frames. They are
//! cut off at a bound, memory does not grow with what they send, and everybody else is served meanwhile.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use crate::support::{Caller, FakeMcp, MASTER_KEY, Process, TestGateway, config, memory, script, soon};

/// How many come at once.
const CROWD: usize = 200;

const MIB: usize = 1024 * 1024;

async fn connect(base: &str) -> TcpStream {
    TcpStream::connect(base.trim_start_matches("http://")).await.unwrap()
}

/// Gives a byte of `text` now and then, and waits for the end of the connection; what was said before.
async fn drip(mut stream: TcpStream, text: &str) -> String {
    let mut heard = Vec::new();
    for byte in text.bytes().chain(std::iter::repeat(b'x')) {
        // What is closed may say so only at the next byte.
        let given = stream.write_all(&[byte]).await;
        let mut some = [0; 1024];
        match tokio::time::timeout(Duration::from_millis(50), stream.read(&mut some)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(read)) => heard.extend_from_slice(&some[..read]),
            Err(_) if given.is_err() => break,
            Err(_) => {}
        }
    }
    String::from_utf8(heard).unwrap()
}

/// A gateway with one tool, in which clients have less time than usually.
async fn hasty_gate(files: &FakeMcp) -> TestGateway {
    TestGateway::start_with_store_and(config().server("files", files.entry()), memory().await, |settings| {
        assert_eq!(settings.limits.head_time, Duration::from_secs(75));
        assert_eq!(settings.limits.body_time, Duration::from_secs(30));
        settings.limits.head_time = Duration::from_secs(1);
        settings.limits.body_time = Duration::from_secs(1);
    })
    .await
}

#[tokio::test]
async fn heads_that_come_byte_by_byte_are_cut_off_and_others_are_served_meanwhile() {
    let files = FakeMcp::start(script().tools(&["read"])).await;
    let gate = hasty_gate(&files).await;
    let crowd = join_all((0..CROWD).map(async |_| {
        let stream = connect(&gate.url("")).await;
        drip(stream, "POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\nx-never-ending: ").await
    }));
    let served = async {
        for _ in 0..20 {
            gate.admin().call("files-read", json!({})).await.result();
        }
    };
    soon("the end of the crowd", async { tokio::join!(crowd, served) }).await;
    gate.stop().await;
}

#[tokio::test]
async fn bodies_that_come_byte_by_byte_are_told_so_and_others_are_served_meanwhile() {
    let files = FakeMcp::start(script().tools(&["read"])).await;
    let gate = hasty_gate(&files).await;
    let key = format!("authorization: Bearer {MASTER_KEY}\r\n");
    for (path, key, status) in [
        ("/mcp", key.as_str(), "HTTP/1.1 408"),
        ("/mcp-rest/tools/call", &key, "HTTP/1.1 408"),
        ("/key/generate", &key, "HTTP/1.1 408"),
        // Nobody's body is waited for who is not let in.
        ("/mcp", "", "HTTP/1.1 401"),
    ] {
        let crowd = join_all((0..CROWD / 4).map(async |_| {
            let mut stream = connect(&gate.url("")).await;
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
                 content-length: 100000\r\n{key}\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            drip(stream, "").await
        }));
        let admin = gate.admin();
        let served = is_served(&admin);
        let (heard, ()) = soon("the end of the crowd", async { tokio::join!(crowd, served) }).await;
        for heard in heard {
            assert!(heard.starts_with(status), "{path}: {heard}");
        }
    }
    gate.stop().await;
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The head of a request: names from HPACK's table, values as they are.
fn head(is_post: bool, path: &str) -> Vec<u8> {
    let text = |value: &str| [&[u8::try_from(value.len()).unwrap()], value.as_bytes()].concat();
    let method = if is_post { 0x83 } else { 0x82 };
    [&[method, 0x86, 0x04], text(path).as_slice(), &[0x01], &text("127.0.0.1")].concat()
}

/// Reads frames until the connection ends; whether the server said that it goes, and how many frames there were.
async fn until_the_end(mut stream: OwnedReadHalf) -> (bool, usize) {
    let (mut said, mut frames) = (false, 0);
    let mut head = [0; 9];
    while stream.read_exact(&mut head).await.is_ok() {
        let length = u64::from(u32::from_be_bytes([0, head[0], head[1], head[2]]));
        if tokio::io::copy(&mut (&mut stream).take(length), &mut tokio::io::sink()).await.is_err() {
            break;
        }
        said |= head[3] == GOAWAY;
        frames += 1;
    }
    (said, frames)
}

/// Sends what `frames` makes, by its number, until the server has enough or there were `most`.
async fn flood(base: &str, most: u32, frames: impl Fn(u32) -> Vec<u8>) -> (bool, u32) {
    let stream = connect(base).await;
    let (read, mut write) = stream.into_split();
    let reading = tokio::spawn(until_the_end(read));
    let hello = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(SETTINGS, 0, 0, &[])].concat();
    write.write_all(&hello).await.unwrap();
    let mut sent = 0;
    while sent < most {
        let some: Vec<u8> = (sent..sent + 100).flat_map(&frames).collect();
        if write.write_all(&some).await.is_err() {
            break;
        }
        sent += 100;
    }
    drop(write);
    let (said, _) = soon("the end of the flood", reading).await.unwrap();
    (said, sent)
}

async fn is_served(gate: &Caller) {
    gate.call("files-read", json!({})).await.result();
}

#[tokio::test]
async fn floods_of_frames_end_the_connection_and_harm_nobody() {
    const MOST: u32 = 200_000;
    let files = FakeMcp::start(script().tools(&["read"])).await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("config.yaml");
    std::fs::write(&file, config().server("files", files.entry()).yaml()).unwrap();
    let gate = Process::serve(&file, place.path()).await;
    let caller = gate.caller(MASTER_KEY);
    is_served(&caller).await;
    let before = gate.peak_bytes();

    let open =
        |number: u32| frame(HEADERS, END_STREAM | END_HEADERS, number * 2 + 1, &head(false, "/health/liveliness"));
    let reset = |number: u32| frame(RST_STREAM, 0, number * 2 + 1, &8_u32.to_be_bytes());
    let filler = [b"\x00\x01a\x64".as_slice(), &[b'b'; 100]].concat().repeat(100);
    let first = |number: u32, first: Vec<u8>, then: Vec<u8>| if number == 0 { first } else { then };
    let post = || frame(HEADERS, END_HEADERS, 1, &head(true, "/mcp"));
    let floods: [(&str, Box<dyn Fn(u32) -> Vec<u8>>); 3] = [
        ("rapid resets", Box::new(move |number| [open(number), reset(number)].concat())),
        (
            "endless headers",
            Box::new(move |number| {
                first(number, frame(HEADERS, END_STREAM, 1, &head(false, "/")), frame(CONTINUATION, 0, 1, &filler))
            }),
        ),
        ("empty data", Box::new(move |number| first(number, post(), frame(DATA, 0, 1, &[])))),
    ];
    for (what, frames) in floods {
        let served = is_served(&caller);
        let ((said, sent), ()) = tokio::join!(flood(gate.base(), MOST, frames), served);
        assert!(said && sent < MOST, "{what}: {sent} were taken, goodbye: {said}");
        is_served(&caller).await;
    }
    // What must be answered is answered, as fast as the client takes the answers, and nothing piles up.
    let questions: [(&str, Box<dyn Fn(u32) -> Vec<u8>>); 2] = [
        ("pings", Box::new(|number| frame(PING, 0, 0, &u64::from(number).to_be_bytes()))),
        ("settings", Box::new(|_| frame(SETTINGS, 0, 0, &[]))),
    ];
    for (what, frames) in questions {
        let (_, sent) = flood(gate.base(), MOST, frames).await;
        assert!(sent > 0, "{what}");
        is_served(&caller).await;
    }
    let grown = gate.peak_bytes() - before;
    assert!(grown < 32 * MIB, "it grew by {} MiB", grown / MIB);
}
