//! Bad networks and servers that come and go: what fails is one call, and only if it must; nothing runs twice, and the
//! client's session outlives everything.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::support::{
    Caller, Direction, End, Entry, FakeMcp, Fault, FaultProxy, Script, Scripted, TestGateway, config, script,
};

/// What the gate waits for an answer here, and what a caller may have to wait.
const DEADLINE: Duration = Duration::from_secs(1);
const AT_MOST: Duration = Duration::from_secs(10);

/// What a client sends is the same whatever form the answer has, and need be cut for one of them only.
const BOTH_WAYS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

const UNAVAILABLE: i64 = -32010;
const TIMED_OUT: i64 = -32001;

/// A client with a session, a gate, and the server `files` with the tool `act` behind a bad network.
struct Scene {
    server: FakeMcp,
    network: FaultProxy,
    caller: Caller,
    _gate: TestGateway,
}

impl Scene {
    async fn new(script: Script) -> Self {
        let server = FakeMcp::start(script.tools(&["act"])).await;
        let network = FaultProxy::start(&server.url()).await;
        let entry = Entry::http(&network.url(&server.url())).with(&format!("timeout: {}", DEADLINE.as_secs_f32()));
        let gate = TestGateway::start(config().server("files", entry)).await;
        let caller = gate.admin().initialized_at("/mcp").await;
        let scene = Self { server, network, caller, _gate: gate };
        scene.answers().await;
        scene
    }

    /// Fails unless the tool answers.
    async fn answers(&self) {
        let answer = self.caller.call("files-act", json!({"word": "here"})).await;
        assert!(answer.tool_text().contains("here"), "{}", answer.message());
    }

    /// The code of the error that a call ends with.
    async fn error(&self) -> i64 {
        self.failure().await["code"].as_i64().unwrap()
    }

    /// The error that a call ends with.
    async fn failure(&self) -> Value {
        let began = Instant::now();
        let failed = self.caller.call("files-act", json!({"word": "lost"})).await;
        assert!(began.elapsed() < AT_MOST, "it took {:?}", began.elapsed());
        failed.error().clone()
    }

    /// How often the tool ran.
    fn runs(&self) -> usize {
        self.server.count_of("tools/call")
    }
}

/// Answers as JSON.
fn json() -> Script {
    script()
}

/// Answers as a stream.
fn stream() -> Script {
    let result = json!({"content": [{"type": "text", "text": "here"}]}).to_string();
    script().on("tools/call", Scripted::Streamed(result))
}

#[tokio::test]
async fn a_network_that_is_late_or_gives_byte_by_byte_only_costs_time() {
    for script in [json(), stream()] {
        let scene = Scene::new(script).await;
        for fault in [Fault::Latency(Duration::from_millis(20)), Fault::Slow] {
            scene.network.set(fault);
            scene.answers().await;
        }
    }
}

#[tokio::test]
async fn a_server_that_hangs_costs_one_deadline_and_serves_again_when_it_is_back() {
    for fault in [Fault::Hang, Fault::HalfOpen] {
        let scene = Scene::new(script()).await;
        let before = scene.runs();
        scene.network.set(fault);
        assert_eq!(scene.error().await, TIMED_OUT, "{fault:?}");
        scene.network.set(Fault::None);
        scene.answers().await;
        assert!(scene.runs() <= before + 2, "{fault:?}: the tool ran {} times", scene.runs() - before);
    }
}

#[tokio::test]
async fn a_server_that_resets_connections_fails_calls_and_serves_again_when_it_is_back() {
    let scene = Scene::new(script()).await;
    scene.network.set(Fault::Reset);
    assert_eq!(scene.error().await, UNAVAILABLE);
    scene.network.set(Fault::None);
    scene.answers().await;
}

/// How many gates are cut at a time: each waits for most of its time.
const LANES: usize = 6;

/// Breaks a call off after every byte in these directions, of it and of its answer, by turns with a close and with a reset.
async fn cut_everywhere(script: impl Fn() -> Script, directions: &[Direction]) {
    let lanes = (0..LANES).map(|lane| cut_in_lane(script(), directions, lane));
    futures_util::future::join_all(lanes).await;
}

/// Breaks off what falls to this lane. After each break the server is found to be up again, so that the next call begins
/// with a fetch of its list, and that is cut as well.
async fn cut_in_lane(script: Script, directions: &[Direction], lane: usize) {
    let scene = Scene::new(script).await;
    scene.network.set(Fault::Reset);
    scene.error().await;
    scene.network.set(Fault::None);
    scene.answers().await;
    scene.network.set(Fault::None);
    scene.answers().await;
    let lengths: Vec<_> = directions.iter().map(|way| (*way, scene.network.passed(*way))).collect();
    for (direction, length) in lengths {
        assert!(length > 100, "{direction:?}: {length} bytes");
        for after in (lane..length).step_by(LANES) {
            let end = if after % 2 == 0 { End::Close } else { End::Reset };
            cut_once(&scene, direction, after, end).await;
        }
    }
}

async fn cut_once(scene: &Scene, direction: Direction, after: usize, end: End) {
    let before = scene.runs();
    scene.network.set(Fault::CutBytes(direction, after, end));
    let error = scene.failure().await;
    let (at, runs) = (format!("{direction:?} after {after}: {error}"), scene.runs() - before);
    assert_eq!(error["code"], UNAVAILABLE, "{at}");
    assert!(runs <= 1, "{at}: it ran {runs}");
    assert!(runs == 0 || error["data"]["may_have_run"] == true, "{at}: it ran");
    scene.network.set(Fault::None);
    scene.answers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cut_at_any_byte_runs_at_most_once_if_its_answer_is_json() {
    cut_everywhere(json, &BOTH_WAYS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cut_at_any_byte_runs_at_most_once_if_its_answer_is_a_stream() {
    cut_everywhere(stream, &[Direction::ToClient]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cut_at_any_byte_runs_at_most_once_if_a_modern_servers_answer_is_json() {
    cut_everywhere(|| json().modern(), &BOTH_WAYS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cut_at_any_byte_runs_at_most_once_if_a_modern_servers_answer_is_a_stream() {
    cut_everywhere(|| stream().modern(), &[Direction::ToClient]).await;
}

/// Takes or gives so many bytes of a call's exchange as `CUT` says, `in-7` or `out-7`, and ends; notes the calls that it
/// has taken in a file of that name.
const CUT_SHORT: &str = r#"
while read -r line; do
    id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
    answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
    case "$line" in
        *'"initialize"'*) answer '{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"sh","version":"1"}}' ;;
        *'"tools/list"'*)
            answer '{"tools":[{"name":"act","inputSchema":{"type":"object"}}]}'
            case "$CUT" in in-*) head -c "${CUT#in-}" > /dev/null; exit 1 ;; esac ;;
        *'"tools/call"'*)
            printf '%s\n' "$line" >> "FOLDER/$CUT"
            full=$(answer '{"content":[{"type":"text","text":"here"}]}')
            case "$CUT" in out-*) printf '%s' "$full" | head -c "${CUT#out-}"; exit 1 ;; esac
            printf '%s\n' "$full" ;;
        *'"id"'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}\n' "$id" ;;
    esac
done"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cut_at_any_byte_runs_at_most_once_at_a_child_process() {
    let folder = tempfile::tempdir().unwrap();
    let runs = |cut: &str| std::fs::read_to_string(folder.path().join(cut)).unwrap_or_default();
    let script = CUT_SHORT.replace("FOLDER", folder.path().to_str().unwrap());
    let gate = TestGateway::start(config().server("sh", Entry::shell(&script).with("env: {CUT: \"${X-CUT}\"}"))).await;
    let call = async |cut: &str| gate.admin().with("x-cut", cut).call("sh-act", json!({})).await;
    let whole = call("none").await;
    assert_eq!(whole.tool_text(), "here");
    let lengths = [("in", runs("none").len()), ("out", whole.http.body.len())];
    let cuts = lengths.into_iter().flat_map(|(way, length)| (0..length).map(move |after| format!("{way}-{after}")));
    let cuts = futures_util::stream::iter(cuts).map(async |cut| {
        let answer = call(&cut).await;
        let taken = runs(&cut).lines().count();
        assert!(taken <= 1, "{cut}: it ran {taken} times");
        match answer.message().get("error") {
            Some(error) => assert!(taken == 0 || error["data"]["may_have_run"] == true, "{cut}: {error}"),
            None => assert_eq!(taken, 1, "{cut}: {}", answer.message()),
        }
    });
    cuts.buffer_unordered(8).collect::<Vec<()>>().await;
    assert_eq!(call("none").await.tool_text(), "here");
    gate.stop().await;
}

#[tokio::test]
async fn a_server_that_forgets_its_sessions_costs_its_callers_nothing() {
    let unknown =
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}"#;
    for (status, text) in [(404, "Session not found"), (400, unknown)] {
        let scene = Scene::new(script().forgets_with(status, text)).await;
        let (runs, greetings) = (scene.runs(), scene.server.count_of("initialize"));
        scene.server.restart();
        scene.answers().await;
        assert_eq!(scene.server.count_of("initialize"), greetings + 1, "{status}");
        assert_eq!(scene.runs(), runs + 2, "{status}: the call that was refused, and the one that was served");
    }
}
