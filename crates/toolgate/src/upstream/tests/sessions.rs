//! Sessions over HTTP: when they are opened, shared, lost, healed and closed.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{join, join_all};
use http::StatusCode;
use tokio::time::Instant;

use super::script::{ScriptedServer, lock};
use super::{PATIENCE, call, lane, session_lane, upstreams, upstreams_of};
use toolgate_client::Answer;

use crate::upstream::testing::{http_server, settings, settings_of};
use crate::upstream::{Ask, Blame, SessionKey, Stage, State, UpstreamError, Wait};

#[tokio::test]
async fn concurrent_first_calls_share_one_handshake() {
    let server = ScriptedServer::start().await;
    server.script.doors.forget_permits(usize::MAX);
    let upstreams = upstreams(vec![server.settings("up")]);
    let up = upstreams.find("up").unwrap();
    let lane = lane(up, &[]);

    let calls = join_all((0..50).map(|_| call(up, &lane, "session")));
    let open_when_asked = async {
        server.script.arrivals(1).await;
        server.script.doors.add_permits(1);
    };
    let (answers, ()) = join(calls, open_when_asked).await;

    assert!(answers.into_iter().all(|answer| answer.unwrap() == "session-0"));
    assert_eq!((server.script.initialized(), server.script.called()), (1, 50));
    upstreams.close(None, PATIENCE).await;
    assert_eq!(*lock(&server.script.deleted), ["session-0"], "the session ends with the gateway");
}

#[tokio::test]
async fn concurrent_first_calls_share_one_failure_and_the_next_call_tries_again() {
    let server = ScriptedServer::start().await;
    server.script.doors.forget_permits(usize::MAX);
    *lock(&server.script.refusal) = Some(StatusCode::INTERNAL_SERVER_ERROR);
    let upstreams = upstreams(vec![server.settings("up")]);
    let up = upstreams.find("up").unwrap();
    let lane = lane(up, &[]);

    let calls = join_all((0..20).map(|_| call(up, &lane, "session")));
    let open_when_asked = async {
        server.script.arrivals(1).await;
        server.script.doors.add_permits(1);
    };
    let (answers, ()) = join(calls, open_when_asked).await;
    for answer in answers {
        let why = answer.unwrap_err();
        assert!(matches!(why, UpstreamError::Unavailable { .. }), "{why}");
        assert_eq!((why.outcome_label(), why.may_have_run(), why.blame()), ("upstream_error", false, Blame::Upstream));
    }
    assert_eq!(server.script.initialized(), 1);

    *lock(&server.script.refusal) = None;
    server.script.doors.add_permits(1);
    assert_eq!(call(up, &lane, "session").await.unwrap(), "session-1");
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_end_the_handshake_for_the_others() {
    let server = ScriptedServer::start().await;
    server.script.doors.forget_permits(usize::MAX);
    let upstreams = upstreams(vec![server.settings("up")]);
    let up = upstreams.find("up").unwrap();
    let lane = lane(up, &[]);

    let mut first = Box::pin(call(up, &lane, "session"));
    tokio::select! {
        _ = &mut first => panic!("the doors are shut"),
        () = server.script.arrivals(1) => {}
    }
    drop(first);
    server.script.doors.add_permits(1);
    assert_eq!(call(up, &lane, "session").await.unwrap(), "session-0");
}

#[tokio::test]
async fn a_forgotten_session_is_opened_again_and_each_call_runs_once() {
    let server = ScriptedServer::start().await;
    let upstreams = upstreams(vec![server.settings("up")]);
    let up = upstreams.find("up").unwrap();
    let lane = lane(up, &[]);
    assert_eq!(call(up, &lane, "session").await.unwrap(), "session-0");
    let revision = up.lists_revision();

    server.script.forget_sessions();
    let answers = join_all((0..20).map(|_| call(up, &lane, "session"))).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap() == "session-1"));
    assert_eq!((server.script.initialized(), server.script.called()), (2, 21));
    assert!(up.lists_revision() > revision, "behind the new session there may be other tools");
}

#[tokio::test]
async fn a_restart_that_many_sessions_notice_is_news_once() {
    let server = ScriptedServer::start().await;
    let upstreams = upstreams(vec![server.settings("up")]);
    let up = upstreams.find("up").unwrap();
    let lanes: Vec<_> = (0..5).map(|session| session_lane(up, session)).collect();
    for expected in 0..3 {
        for lane in &lanes {
            call(up, lane, "session").await.unwrap();
        }
        assert_eq!(up.lists_revision(), expected);
        server.script.forget_sessions();
    }
}

#[tokio::test]
async fn a_call_that_may_have_run_is_not_sent_again() {
    let server = ScriptedServer::start().await;
    server.script.cuts_calls.store(true, Ordering::SeqCst);
    let upstreams = upstreams(vec![server.settings("up")]);
    let up = upstreams.find("up").unwrap();

    let why = call(up, &lane(up, &[]), "session").await.unwrap_err();
    assert!(why.may_have_run(), "{why}");
    assert_eq!(server.script.called(), 1);
}

#[tokio::test]
async fn deadlines_hold_for_the_handshake_and_for_the_answer() {
    let server = ScriptedServer::start().await;
    server.script.doors.forget_permits(usize::MAX);
    let upstreams = upstreams(vec![server.settings("up")]);
    let up = upstreams.find("up").unwrap();
    let lane = lane(up, &[]);
    let short = Duration::from_millis(50);

    let began = Instant::now();
    let why = up.request(&lane, "tools/list", None, short).await.unwrap_err();
    assert!(matches!(why, UpstreamError::TimedOut { wait: Wait::Connection, .. }), "{why}");
    assert!(!why.may_have_run() && why.outcome_label() == "timeout");

    server.script.doors.add_permits(1);
    up.facts(&lane, PATIENCE).await.unwrap();
    let why = up.request(&lane, "tools/call", Some(r#"{"name":"wait"}"#), short).await.unwrap_err();
    assert!(matches!(why, UpstreamError::TimedOut { wait: Wait::Answer, .. }), "{why}");
    assert!(why.may_have_run());
    assert!(began.elapsed() < PATIENCE);
}

#[tokio::test]
async fn no_more_requests_run_at_once_than_the_settings_say() {
    let server = ScriptedServer::start().await;
    let mut of_two = server.settings("up");
    of_two.max_concurrent_requests = NonZeroUsize::new(2);
    let upstreams = upstreams(vec![of_two]);
    let up = upstreams.find("up").unwrap();
    let lane = lane(up, &[]);

    let calls = join_all((0..6).map(|_| call(up, &lane, "wait")));
    let late = async {
        // `initialize`, `initialized`, and the two calls.
        server.script.arrivals(4).await;
        let why = up.request(&lane, "tools/list", None, Duration::from_millis(20)).await.unwrap_err();
        assert!(matches!(why, UpstreamError::Busy { .. }), "{why}");
        assert!(!why.may_have_run());
        server.script.tool.add_permits(6);
    };
    let (answers, ()) = join(calls, late).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(server.script.most_running.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn each_client_session_has_its_own_and_takes_it_along_when_it_ends() {
    let server = ScriptedServer::start().await;
    let upstreams = upstreams(vec![server.settings("up")]);
    let up = upstreams.find("up").unwrap();
    let (one, two) = (session_lane(up, 1), session_lane(up, 2));
    assert_eq!(one.fingerprint, two.fingerprint, "both may use the same cached lists");
    assert_eq!(call(up, &one, "session").await.unwrap(), "session-0");
    assert_eq!(call(up, &two, "session").await.unwrap(), "session-1");
    assert_eq!(call(up, &lane(up, &[]), "session").await.unwrap(), "session-2");
    assert_eq!(call(up, &one, "session").await.unwrap(), "session-0");

    up.close_session(&SessionKey([1; 16])).await;
    assert_eq!(*lock(&server.script.deleted), ["session-0"]);
    assert_eq!(call(up, &two, "session").await.unwrap(), "session-1");
}

#[tokio::test]
async fn the_session_unused_for_longest_makes_room() {
    let server = ScriptedServer::start().await;
    let mut of_three = Arc::into_inner(settings(vec![server.settings("up")])).unwrap();
    of_three.limits.upstream_sessions = 3;
    let upstreams = upstreams_of(&Arc::new(of_three));
    let up = upstreams.find("up").unwrap();

    let held = session_lane(up, 1);
    let running = call(up, &held, "wait");
    let others = async {
        server.script.arrivals(3).await;
        for session in [2, 3, 2, 4] {
            call(up, &session_lane(up, session), "session").await.unwrap();
        }
        assert_eq!(call(up, &session_lane(up, 2), "session").await.unwrap(), "session-1", "it was used after 3");
        server.script.tool.add_permits(1);
    };
    let (held, ()) = join(running, others).await;
    assert_eq!(held.unwrap(), "session-0", "what is in use is not closed");

    call(up, &session_lane(up, 3), "session").await.unwrap();
    assert_eq!(server.script.initialized(), 5, "3 had to be opened again");
}

#[tokio::test]
async fn idle_sessions_are_closed_and_opened_again_when_needed() {
    let server = ScriptedServer::start().await;
    let upstreams = upstreams(vec![server.settings("up")]);
    let up = upstreams.find("up").unwrap();
    let lane = lane(up, &[]);
    call(up, &lane, "session").await.unwrap();

    let idle_for = Duration::from_secs(60);
    up.pool.sweep(Instant::now() + Duration::from_secs(30), idle_for);
    assert_eq!(up.status().state, State::Up);
    up.pool.sweep(Instant::now() + Duration::from_secs(61), idle_for);
    assert_eq!(up.status().state, State::Idle);
    assert_eq!(call(up, &lane, "session").await.unwrap(), "session-1");
    upstreams.close(None, PATIENCE).await;
    assert_eq!(server.script.sessions(), 0);
}

#[tokio::test]
async fn a_reload_keeps_servers_that_did_not_change_and_lets_running_calls_end() {
    let server = ScriptedServer::start().await;
    let before = settings(vec![server.settings("kept"), server.settings("gone")]);
    let old = upstreams_of(&before);
    let (kept, gone) = (old.find("kept").unwrap(), old.find("gone").unwrap());
    let (kept_lane, gone_lane) = (lane(kept, &[]), lane(gone, &[]));
    assert_eq!(call(kept, &kept_lane, "session").await.unwrap(), "session-0");

    let mut again = server.settings("kept");
    again.fingerprint = before.servers[0].fingerprint;
    let new = old.reloaded(&settings_of(vec![Arc::new(again), Arc::new(server.settings("new"))]));
    assert!(Arc::ptr_eq(new.find("kept").unwrap(), kept));
    assert!(new.find("gone").is_none() && new.find("new").is_some());

    let running = call(gone, &gone_lane, "wait");
    let closing = async {
        server.script.arrivals(2 + 3 + 1).await;
        let release = async { server.script.tool.add_permits(1) };
        join(old.close(Some(&new), PATIENCE), release).await;
    };
    let (answer, ()) = join(running, closing).await;
    assert_eq!(answer.unwrap(), "session-1", "it ran to its end");
    let why = call(gone, &gone_lane, "session").await.unwrap_err();
    assert!(matches!(why, UpstreamError::Closed { .. }), "{why}");
    assert_eq!(call(kept, &kept_lane, "session").await.unwrap(), "session-0");
}

#[tokio::test]
async fn the_status_tells_what_happened_last() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let upstreams = upstreams(vec![http_server("up", &format!("http://127.0.0.1:{port}/mcp"))]);
    let up = upstreams.find("up").unwrap();
    assert_eq!(up.status().state, State::Idle);

    let why = call(up, &lane(up, &[]), "session").await.unwrap_err();
    assert_eq!((why.outcome_label(), why.may_have_run()), ("unreachable", false));
    let status = up.status();
    let failure = status.last_failure.unwrap();
    assert_eq!((status.state, failure.stage), (State::Down, Stage::Connect));
    assert!(failure.message.contains(&format!("127.0.0.1:{port}")), "{}", failure.message);
}

#[tokio::test]
async fn a_server_that_wants_other_credentials_is_not_down() {
    let server = ScriptedServer::start().await;
    let upstreams = upstreams(vec![server.settings("up")]);
    let up = upstreams.find("up").unwrap();
    for (status, label) in [(StatusCode::UNAUTHORIZED, "auth_required"), (StatusCode::FORBIDDEN, "forbidden")] {
        *lock(&server.script.refusal) = Some(status);
        let why = call(up, &lane(up, &[]), "session").await.unwrap_err();
        assert_eq!((why.outcome_label(), why.http_status(), why.blame()), (label, Some(status), Blame::Caller));
        let UpstreamError::AuthRequired { www_authenticate, .. } = why else { panic!("{why}") };
        assert_eq!(www_authenticate.unwrap(), "Bearer realm=\"up\"");
        assert_eq!(up.status().state, State::Idle);
    }
}

#[tokio::test]
async fn a_request_may_have_headers_of_its_own() {
    let server = ScriptedServer::start().await;
    let upstreams = upstreams(vec![server.settings("up")]);
    let up = upstreams.find("up").unwrap();
    let headers = [("traceparent".parse().unwrap(), "00-abc-def-01".parse().unwrap())].into_iter().collect();
    let ask = Ask { headers: Some(&headers), ..Ask::new("tools/list", None, PATIENCE) };
    up.ask::<Answer>(&lane(up, &[]), ask).await.unwrap();
    assert!(server.script.seen().contains("00-abc-def-01"));
}
