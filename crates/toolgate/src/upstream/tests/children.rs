//! Child processes: who shares one, and what happens when it dies.

use std::sync::Arc;

use futures_util::future::join_all;
use http::HeaderName;

use super::{PATIENCE, call, lane, session_lane, upstreams, upstreams_of};
use crate::config::settings::{EnvValue, Isolation, ServerSettings, Transport};
use crate::upstream::testing::{python_server, settings, settings_of};
use crate::upstream::{ClientSide, CredentialError, Stage, State, UpstreamError};

/// Answers `pid`, `token`, and does as it is told: `die` leaves at once, `change` says that its tools have changed.
const SERVER: &str = r#"
import json, os, sys
def say(message):
    print(json.dumps(dict(message, jsonrpc="2.0")), flush=True)
for line in sys.stdin:
    message = json.loads(line)
    method, id = message.get("method"), message.get("id")
    if id is None:
        continue
    if method == "initialize":
        say({"id": id, "result": {"protocolVersion": "2025-06-18", "capabilities": {},
                                  "serverInfo": {"name": "child", "version": "1"}}})
        continue
    tool = (message.get("params") or {}).get("name")
    if tool == "die" or method == "tools/list" and not os.path.exists(os.environ["MARK"]):
        open(os.environ["MARK"], "w").close()
        print("I was told to die", file=sys.stderr, flush=True)
        os._exit(3)
    if tool == "change":
        say({"method": "notifications/tools/list_changed"})
    said = {"pid": str(os.getpid()), "token": os.environ.get("TOKEN", "(none)")}.get(tool, "")
    say({"id": id, "result": {"content": [{"type": "text", "text": said}]}})
"#;

fn fixed(value: &str) -> EnvValue {
    EnvValue::Fixed(value.to_owned().into())
}

fn token() -> EnvValue {
    EnvValue::Header { name: HeaderName::from_static("x-token"), default: None }
}

fn isolated(mut server: ServerSettings, isolation: Isolation) -> ServerSettings {
    let Transport::Stdio(command) = &mut server.transport else { panic!("a child") };
    command.isolation = isolation;
    server
}

#[tokio::test]
async fn callers_share_a_child_only_when_their_environments_are_equal() {
    let upstreams = upstreams(vec![python_server("up", SERVER, vec![("TOKEN", token())])]);
    let up = upstreams.find("up").unwrap();
    let lanes: Vec<_> = ["alice", "bob"].iter().map(|who| lane(up, &[("x-token", who)])).collect();
    let again = lane(up, &[("x-token", "alice"), ("x-other", "1")]);
    assert_ne!(lanes[0].fingerprint, lanes[1].fingerprint);
    assert_eq!(lanes[0].fingerprint, again.fingerprint);

    let answers = join_all((0..40).map(|turn| call(up, &lanes[turn % 2], "token"))).await;
    for (turn, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), ["alice", "bob"][turn % 2]);
    }
    let pids = join_all((0..40).map(|turn| call(up, &lanes[turn % 2], "pid"))).await;
    let pids: Vec<_> = pids.into_iter().map(Result::unwrap).collect();
    assert!(pids.iter().step_by(2).all(|pid| *pid == pids[0]), "one environment, one child");
    assert!(pids.iter().skip(1).step_by(2).all(|pid| *pid == pids[1]));
    assert_ne!(pids[0], pids[1]);
    assert_eq!(call(up, &again, "pid").await.unwrap(), pids[0]);

    let missing = up.lane(&crate::auth::testing::caller(&[]), &ClientSide::none()).unwrap_err();
    assert!(matches!(missing, CredentialError::Missing { .. }), "{missing}");
    upstreams.close(None, PATIENCE).await;
    assert!(pids.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()), "children are gone");
}

#[tokio::test]
async fn isolation_gives_sessions_and_users_children_of_their_own() {
    let shared = python_server("shared", SERVER, vec![]);
    let by_session = isolated(python_server("by_session", SERVER, vec![]), Isolation::Session);
    let by_user = isolated(python_server("by_user", SERVER, vec![]), Isolation::User);
    let upstreams = upstreams(vec![shared, by_session, by_user]);
    for (name, one_for_all) in [("shared", true), ("by_session", false), ("by_user", true)] {
        let up = upstreams.find(name).unwrap();
        let one = call(up, &session_lane(up, 1), "pid").await.unwrap();
        let two = call(up, &session_lane(up, 2), "pid").await.unwrap();
        assert_eq!(one == two, one_for_all, "{name}");
        assert_eq!(call(up, &session_lane(up, 1), "pid").await.unwrap(), one, "{name}");
    }
    upstreams.close(None, PATIENCE).await;
}

#[tokio::test]
async fn a_child_that_dies_fails_its_call_and_is_started_again() {
    let mark = tempfile::tempdir().unwrap();
    let mark = mark.path().join("died");
    let upstreams = upstreams(vec![python_server("up", SERVER, vec![("MARK", fixed(mark.to_str().unwrap()))])]);
    let up = upstreams.find("up").unwrap();
    let lane = lane(up, &[]);
    let first = call(up, &lane, "pid").await.unwrap();

    let why = call(up, &lane, "die").await.unwrap_err();
    assert!(why.may_have_run() && why.to_string().contains("I was told to die"), "{why}");
    assert_eq!(why.outcome_label(), "unreachable");
    let status = up.status();
    assert_eq!((status.state, status.last_failure.unwrap().stage), (State::Down, Stage::Request));

    let second = call(up, &lane, "pid").await.unwrap();
    assert_ne!(first, second);
    assert_eq!(up.status().state, State::Up);
    upstreams.close(None, PATIENCE).await;
}

#[tokio::test]
async fn a_list_is_asked_again_when_the_child_dies_over_it() {
    let mark = tempfile::tempdir().unwrap();
    let mark = mark.path().join("died");
    let upstreams = upstreams(vec![python_server("up", SERVER, vec![("MARK", fixed(mark.to_str().unwrap()))])]);
    let up = upstreams.find("up").unwrap();
    let lane = lane(up, &[]);
    up.request(&lane, "tools/list", None, PATIENCE).await.unwrap();
    assert!(mark.exists(), "the first child died over it");
    upstreams.close(None, PATIENCE).await;
}

#[tokio::test]
async fn a_child_that_keeps_dying_is_left_alone_and_the_error_says_why() {
    let script = "import sys; print('no licence found', file=sys.stderr); sys.exit(3)";
    let upstreams = upstreams(vec![python_server("up", script, vec![])]);
    let up = upstreams.find("up").unwrap();
    let lane = lane(up, &[]);
    let pause = loop {
        let why = call(up, &lane, "pid").await.unwrap_err();
        assert!(why.to_string().contains("no licence found"), "{why}");
        let UpstreamError::Unavailable { retry_in, .. } = why else { panic!("{why}") };
        if let Some(pause) = retry_in {
            break pause;
        }
    };
    assert!(pause <= std::time::Duration::from_secs(30));
    assert_eq!(up.status().state, State::Down);
}

#[tokio::test]
async fn a_command_that_is_not_there_is_named() {
    let mut server = python_server("up", "", vec![]);
    let Transport::Stdio(command) = &mut server.transport else { panic!("a child") };
    command.command = "no-such-command".to_owned();
    let upstreams = upstreams(vec![server]);
    let up = upstreams.find("up").unwrap();
    let why = call(up, &lane(up, &[]), "pid").await.unwrap_err();
    assert!(why.to_string().contains("no-such-command") && why.to_string().contains("/usr/bin"), "{why}");
}

#[tokio::test]
async fn a_reload_keeps_the_child_of_a_server_that_did_not_change() {
    let before = settings(vec![python_server("up", SERVER, vec![])]);
    let old = upstreams_of(&before);
    let up = old.find("up").unwrap();
    let pid = call(up, &lane(up, &[]), "pid").await.unwrap();

    let again = Arc::new(python_server("up", SERVER, vec![]));
    let new = old.reloaded(&settings_of(vec![again]));
    old.close(Some(&new), PATIENCE).await;
    let up = new.find("up").unwrap();
    assert_eq!(call(up, &lane(up, &[]), "pid").await.unwrap(), pid);
    new.close(None, PATIENCE).await;
}

#[tokio::test]
async fn a_server_that_says_so_has_new_lists() {
    let upstreams = upstreams(vec![python_server("up", SERVER, vec![])]);
    let up = upstreams.find("up").unwrap();
    let lane = lane(up, &[]);
    call(up, &lane, "pid").await.unwrap();
    let before = up.lists_revision();
    // The notification comes before the answer, on the same pipe.
    call(up, &lane, "change").await.unwrap();
    assert_eq!(up.lists_revision(), before + 1);
    upstreams.close(None, PATIENCE).await;
}
