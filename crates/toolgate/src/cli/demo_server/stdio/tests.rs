use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};

use super::*;

/// A server with both ends of its pipes.
struct Client {
    input: WriteHalf<DuplexStream>,
    output: Lines<BufReader<ReadHalf<DuplexStream>>>,
    server: JoinSet<io::Result<()>>,
}

impl Client {
    fn start() -> Self {
        Self::start_with(GRACE)
    }

    fn start_with(grace: Duration) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (read, write) = tokio::io::split(theirs);
        let mut server = JoinSet::new();
        server.spawn(serve_with(read, write, grace));
        let (output, input) = tokio::io::split(ours);
        Self { input, output: BufReader::new(output).lines(), server }
    }

    async fn send(&mut self, line: &str) {
        self.input.write_all(line.as_bytes()).await.expect("the server reads");
        self.input.write_all(b"\n").await.expect("the server reads");
    }

    async fn next(&mut self) -> Option<Value> {
        let line = self.output.next_line().await.expect("the server writes")?;
        Some(serde_json::from_str(&line).expect("JSON"))
    }

    async fn end(mut self) -> Vec<Value> {
        self.input.shutdown().await.expect("the server reads");
        let mut rest = Vec::new();
        while let Some(message) = self.next().await {
            rest.push(message);
        }
        self.server.join_next().await.expect("one task").expect("no panic").expect("no error");
        rest
    }
}

fn slow(id: u32, delay_ms: u32) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"slow","arguments":{{"steps":2,"delay_ms":{delay_ms}}},"_meta":{{"progressToken":{id}}}}}}}"#
    )
}

#[tokio::test]
async fn each_line_is_a_message_and_blank_lines_are_skipped() {
    let mut client = Client::start();
    client.send(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await;
    client.send("\r").await;
    client.send("nonsense").await;
    assert_eq!(client.next().await.expect("an answer")["id"], 1);
    assert_eq!(client.next().await.expect("an answer")["error"]["code"], code::PARSE_ERROR);
    assert!(client.end().await.is_empty());
}

#[tokio::test]
async fn a_last_line_without_its_end_is_answered() {
    let mut client = Client::start();
    client.input.write_all(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await.expect("the server reads");
    assert_eq!(client.end().await[0]["id"], 1);
}

#[tokio::test]
async fn a_slow_call_reports_its_progress_before_its_answer() {
    let mut client = Client::start();
    client.send(&slow(1, 1)).await;
    assert_eq!(client.next().await.expect("progress")["params"]["progress"], 1);
    assert_eq!(client.next().await.expect("progress")["params"]["progress"], 2);
    assert_eq!(client.next().await.expect("an answer")["id"], 1);
}

#[tokio::test]
async fn a_slow_call_does_not_hold_up_the_others_and_has_no_answer_when_it_is_cancelled() {
    let mut client = Client::start();
    client.send(&slow(1, 50_000)).await;
    client.send(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#).await;
    assert_eq!(client.next().await.expect("an answer")["id"], 2);
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#).await;
    assert!(client.end().await.is_empty());
}

#[tokio::test]
async fn calls_that_run_when_the_input_ends_finish_within_the_grace() {
    let mut client = Client::start();
    client.send(&slow(1, 1)).await;
    assert_eq!(client.end().await.pop().expect("an answer")["id"], 1);
}

#[tokio::test]
async fn calls_that_outlast_the_grace_are_dropped() {
    let mut client = Client::start_with(Duration::from_millis(1));
    client.send(&slow(2, 50_000)).await;
    assert!(client.end().await.is_empty());
}

#[tokio::test]
async fn a_line_that_is_too_long_is_refused_and_the_next_is_read() {
    let text = format!("{}\nshort\nlast", "x".repeat(100));
    let mut input = BufReader::with_capacity(16, text.as_bytes());
    assert!(matches!(next_line(&mut input, 10).await, Ok(Some(Line::TooLong))));
    assert!(matches!(next_line(&mut input, 10).await, Ok(Some(Line::Whole(line))) if line == b"short"));
    assert!(matches!(next_line(&mut input, 10).await, Ok(Some(Line::Whole(line))) if line == b"last"));
    assert!(matches!(next_line(&mut input, 10).await, Ok(None)));
}

#[tokio::test]
async fn a_reader_that_goes_away_is_an_end_and_no_error() {
    let (input, mut kept) = tokio::io::duplex(1024);
    let (output, gone) = tokio::io::duplex(1024);
    drop(gone);
    kept.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n").await.expect("the server reads");
    serve(input, output).await.expect("no error");
}
