//! Servers that go away and come back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use toolgate_client::Answer;

use super::script::ScriptedServer;
use super::{PATIENCE, call, lane, text, upstreams, upstreams_of};
use crate::auth::testing::caller;
use crate::upstream::testing::{http_server, settings};
use crate::upstream::{Ask, CircuitState, ClientSide, SessionKey, Stage, State, UpstreamError};

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_left_alone_until_a_probe_finds_it_well() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let upstreams = upstreams(vec![http_server("up", &format!("http://127.0.0.1:{port}/mcp"))]);
    let mut news = upstreams.news();
    let up = upstreams.find("up").unwrap();
    let lane = lane(up, &[]);
    for turn in 0..5 {
        let why = call(up, &lane, "session").await.unwrap_err();
        let UpstreamError::Unavailable { retry_in, .. } = &why else { panic!("{why}") };
        assert_eq!(*retry_in, None, "{turn}");
    }
    let why = call(up, &lane, "session").await.unwrap_err();
    let UpstreamError::Unavailable { retry_in: Some(_), .. } = &why else { panic!("{why}") };
    assert!(!why.may_have_run());
    let status = up.status();
    assert_eq!((status.state, status.stage()), (State::Down, Some(Stage::Connect)));
    assert_ne!(status.circuit, CircuitState::Closed);

    let server = ScriptedServer::start_on(port).await;
    news.recv().await.unwrap();
    let status = up.status();
    assert_eq!((status.state, status.stage(), status.circuit), (State::Up, None, CircuitState::Closed));
    assert_eq!(call(up, &lane, "session").await.unwrap(), "session-0");
    assert_eq!(server.script.initialized(), 1, "the probe's connection serves");
}

#[tokio::test]
async fn a_call_that_does_no_harm_is_sent_again_and_no_other() {
    for (may_repeat, sent) in [(false, 1), (true, 2)] {
        let server = ScriptedServer::start().await;
        server.script.cuts_calls.store(true, Ordering::SeqCst);
        let upstreams = upstreams(vec![server.settings("up")]);
        let up = upstreams.find("up").unwrap();
        let ask = Ask { may_repeat, ..Ask::new("tools/call", Some(r#"{"name":"session"}"#), PATIENCE) };
        let why = up.ask::<Answer>(&lane(up, &[]), ask).await.unwrap_err();
        assert!(why.may_have_run(), "{why}");
        assert_eq!(server.script.called(), sent);
    }
}

#[tokio::test]
async fn a_thousand_sessions_survive_a_restart_with_one_handshake_each() {
    const SESSIONS: u16 = 1000;
    let server = ScriptedServer::start().await;
    let mut of_many = Arc::into_inner(settings(vec![server.settings("up")])).unwrap();
    of_many.limits.upstream_sessions = usize::from(SESSIONS) * 2;
    let upstreams = upstreams_of(&Arc::new(of_many));
    let up = upstreams.find("up").unwrap();
    let lanes: Vec<_> = (0..SESSIONS)
        .map(|number| {
            let mut key = [0; 16];
            key[..2].copy_from_slice(&number.to_be_bytes());
            up.lane(&caller(&[]), &ClientSide::of_session(SessionKey(key))).unwrap()
        })
        .collect();
    let params = Some(r#"{"name":"session"}"#);
    for round in 1..=2 {
        let calls = lanes.iter().map(|lane| up.request(lane, "tools/call", params, PATIENCE));
        for answer in join_all(calls).await {
            text(answer.unwrap());
        }
        assert_eq!(server.script.initialized(), usize::from(SESSIONS) * round);
        assert_eq!(server.script.called(), usize::from(SESSIONS) * round);
        server.script.forget_sessions();
    }
}

#[tokio::test]
async fn a_connection_that_was_quiet_for_long_is_asked_for_a_sign_of_life() {
    let server = ScriptedServer::start().await;
    let upstreams = upstreams(vec![server.settings("up")]);
    let up = upstreams.find("up").unwrap();
    let lane = lane(up, &[]);
    call(up, &lane, "session").await.unwrap();
    call(up, &lane, "session").await.unwrap();
    assert_eq!(server.script.count("\"ping\""), 0);
    let lease = up.pool.ready(&lane.key).unwrap();
    let connection = Arc::clone(lease.connection());
    drop(lease);
    connection.age(std::time::Duration::from_secs(120));
    server.script.forget_sessions();
    assert_eq!(call(up, &lane, "session").await.unwrap(), "session-1");
    assert_eq!(server.script.count("\"ping\""), 1);
    assert_eq!(server.script.count("tools/call"), 3, "none met the session that was gone");
}
