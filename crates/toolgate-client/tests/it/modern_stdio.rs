//! Revision 2026-07-28 with children.

use tokio::time::{Duration, timeout};
use toolgate_client::{Era, Format, Options, Problem, Session, StdioTarget, Target, Transport, load_mcp_tools};
use toolgate_mcp::version::Revision;

use crate::support::child::server;
use crate::support::script::DISCOVERED;
use crate::support::{PATIENCE, listening, next, shell};

/// A child of revision 2026-07-28 as a shell script; `cases` as in [`server`].
fn modern(cases: &str) -> Target {
    shell(&format!(
        r#"
answer() {{ printf '{{"jsonrpc":"2.0","id":%s,"result":%s}}\n' "$id" "$1"; }}
tell() {{ printf '{{"jsonrpc":"2.0","method":"%s","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":%s}}}}}}\n' "$1" "$2"; }}
while IFS= read -r line; do
  id=${{line#*\"id\":}}; id=${{id%%,*}}
  method=${{line#*\"method\":\"}}; method=${{method%%\"*}}
  case "$method" in
    server/discover) answer '{DISCOVERED}' ;;
    {cases}
  esac
done
"#
    ))
}

async fn result(session: &Session, method: &str) -> String {
    let answer = timeout(PATIENCE, session.request(method, None)).await.expect("no hang").expect("an answer");
    answer.into_result().expect("a result")
}

#[tokio::test]
async fn a_modern_child_gets_metadata_and_no_handshake() {
    let cases = r#"initialize) answer 0 ;;
        version) case "$line" in *'"io.modelcontextprotocol/protocolVersion":"2026-07-28"'*) answer 1 ;; *) answer 2 ;; esac ;;
        first) first=$id ;;
        second) answer 2; id=$first; answer 1 ;;"#;
    let session = Session::connect(modern(cases), Options::default()).await.expect("connects");
    assert!(session.is_modern());
    assert_eq!((session.server().revision, session.server().transport), (Revision::V2026_07_28, Transport::Stdio));
    assert_eq!(result(&session, "version").await, "1");
    let (first, second) = tokio::join!(result(&session, "first"), result(&session, "second"));
    assert_eq!((first.as_str(), second.as_str()), ("1", "2"));
}

#[tokio::test]
async fn a_child_that_dies_of_the_question_is_started_again() {
    for death in ["exit 7", "exec >/dev/null; sleep 1000"] {
        let cases = format!("server/discover) {death} ;;");
        let target = match server("") {
            Target::Stdio(child) => Target::Stdio(StdioTarget {
                args: child
                    .args
                    .iter()
                    .map(|arg| arg.replacen("server/discover) printf", &format!("{cases} x) printf"), 1))
                    .collect(),
                ..child
            }),
            Target::Http(_) => unreachable!("a child"),
        };
        let session = Session::connect(target, Options::default()).await.expect("connects");
        assert!(!session.is_modern());
        assert_eq!(result(&session, "ping").await, "{}");
    }
}

#[tokio::test]
async fn a_child_that_ignores_the_question_is_initialized() {
    let ignorant = r#"while IFS= read -r line; do case "$line" in
        *'"initialize"'*) echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2024-11-05"}}' ;; esac; done"#;
    let options = Options { connect_timeout: Duration::from_secs(3), ..Options::default() };
    let session = Session::connect(shell(ignorant), options).await.expect("connects");
    assert_eq!(session.server().revision, Revision::V2024_11_05);
    let options = Options { era: Era::Modern, connect_timeout: Duration::from_millis(500), ..Options::default() };
    assert!(Session::connect(shell(ignorant), options).await.expect_err("silence").is_timeout());
}

#[tokio::test]
async fn a_child_of_the_other_era_says_so() {
    let options = Options { era: Era::Modern, ..Options::default() };
    assert!(Session::connect(server(""), options).await.expect_err("legacy").is_wrong_era());
    let refusing =
        r#"initialize) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}\n' "$id" ;;"#;
    let options = Options { era: Era::Legacy, ..Options::default() };
    assert!(Session::connect(modern(refusing), options).await.expect_err("modern").is_wrong_era());
}

#[tokio::test]
async fn subscriptions_share_the_output_and_each_hears_its_own() {
    let cases = r#"subscriptions/listen) tell notifications/subscriptions/acknowledged "$id"
            ids="$ids $id" ;;
        change) for one in $ids; do tell "notifications/n$one" "$one"; done; tell notifications/loose 99; answer '{}' ;;
        finish) asked=$id; set -- $ids; id=$1; answer '{}'; id=$asked; answer '{}' ;;
        cancelled) answer "${cancelled:-0}" ;;
        notifications/cancelled) cancelled=${line#*requestId\":}; cancelled=${cancelled%%,*} ;;"#;
    let (options, mut elsewhere) = listening();
    let session = Session::connect(modern(cases), options).await.expect("connects");
    let ((first, mut heard_first), (second, mut heard_second)) = (listening(), listening());
    let first = session.subscribe("{}", first.events).await.expect("acknowledged");
    let second = session.subscribe("{}", second.events).await.expect("acknowledged");
    assert_eq!(result(&session, "change").await, "{}");
    assert_eq!(next(&mut heard_first).await.0, "notifications/n4");
    assert_eq!(next(&mut heard_second).await.0, "notifications/n5");
    assert_eq!(next(&mut elsewhere).await.0, "notifications/loose");
    result(&session, "finish").await;
    timeout(PATIENCE, first.ended()).await.expect("in time").expect("it ended well");
    drop(second);
    let told = async {
        while result(&session, "cancelled").await != "5" {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, told).await.expect("the child is told of the end");
}

#[tokio::test]
async fn a_subscription_ends_with_the_child() {
    let cases = "subscriptions/listen) tell notifications/subscriptions/acknowledged \"$id\" ;; die) exit 3 ;;";
    let session = Session::connect(modern(cases), Options::default()).await.expect("connects");
    let listening = session.subscribe("{}", listening().0.events).await.expect("acknowledged");
    session.request("die", None).await.expect_err("it dies");
    let error = timeout(PATIENCE, listening.ended()).await.expect("in time").expect_err("it died");
    assert!(matches!(error.problem(), Problem::ChildGone { .. } | Problem::Closed), "{error}");
}

#[tokio::test]
async fn the_python_sdk_is_spoken_with_in_both_eras() {
    let command = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.setup/py-mcp2/bin/mcp-server-time");
    assert!(std::path::Path::new(command).exists(), "{command} is missing: run `make setup`");
    for era in [Era::Modern, Era::Legacy] {
        let target = Target::Stdio(StdioTarget {
            command: command.to_owned(),
            args: vec!["--local-timezone".to_owned(), "Etc/UTC".to_owned()],
            env: vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())],
            cwd: None,
        });
        // It has to start an interpreter, perhaps beside a hundred other tests.
        let options = Options { era, connect_timeout: 3 * PATIENCE, timeout: 3 * PATIENCE, ..Options::default() };
        let session = Session::connect(target, options).await.expect("connects");
        assert_eq!(session.is_modern(), era == Era::Modern);
        let tools = load_mcp_tools(&session, Format::Mcp).await.expect("tools");
        assert!(tools.iter().any(|tool| tool["name"] == "get_current_time"), "{tools:?}");
        let params = r#"{"name":"get_current_time","arguments":{"timezone":"Etc/UTC"}}"#;
        let answer = session.request("tools/call", Some(params)).await.expect("an answer");
        assert!(answer.into_result().expect("a result").contains("datetime"));
        session.close().await;
    }
}
