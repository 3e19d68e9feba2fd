//! What outlives a connection: subscriptions, the log level, listening.

use serde_json::json;

use super::heard::{Heard, client};
use super::script::ScriptedServer;
use super::{PATIENCE, call, lane, upstreams};
use crate::auth::testing::caller;
use crate::upstream::{Changed, ClientSide, LogLevel, SessionKey};

#[tokio::test]
async fn a_subscription_is_asked_for_again_when_the_session_was_lost() {
    let server = ScriptedServer::start().await;
    let upstreams = upstreams(vec![server.settings("up")]);
    let up = upstreams.find("up").unwrap();
    let alice = Heard::new("alice");
    let side = ClientSide { log_level: Some(LogLevel::Warning), ..client(Some(1), "{}", &alice) };
    let lane = up.lane(&caller(&[]), &side).unwrap();
    let asked = up.subscribe(&lane, "test://a", "up+test://a", PATIENCE).await.unwrap();
    assert!(asked.unwrap().is_result());
    assert!(up.subscribe(&lane, "test://a", "up+test://a", PATIENCE).await.unwrap().is_none(), "asked once");
    assert_eq!(server.script.count("resources/subscribe"), 1);

    server.script.forget_sessions();
    assert_eq!(call(up, &lane, "update").await.unwrap(), "session-1");
    assert_eq!(server.script.count("resources/subscribe"), 2);
    assert_eq!(server.script.count("logging/setLevel"), 2);
    alice.next().await;
    assert_eq!(alice.of("uri"), [("notifications/resources/updated".to_owned(), json!("up+test://a"))]);

    up.unsubscribe(&lane, "test://a", PATIENCE).await.unwrap().unwrap();
    call(up, &lane, "update").await.unwrap();
    assert_eq!(alice.of("uri").len(), 1);
}

#[tokio::test]
async fn a_shared_session_subscribes_once_for_all_and_tells_each() {
    let server = ScriptedServer::start().await;
    let upstreams = upstreams(vec![server.settings("up")]);
    let up = upstreams.find("up").unwrap();
    let (alice, bob) = (Heard::new("alice"), Heard::new("bob"));
    let (alices, bobs) = (client(None, "{}", &alice), client(None, "{}", &bob));
    for side in [&alices, &bobs] {
        let lane = up.lane(&caller(&[]), side).unwrap();
        up.subscribe(&lane, "test://a", "test://a", PATIENCE).await.unwrap();
    }
    assert_eq!(server.script.count("resources/subscribe"), 1);
    call(up, &lane(up, &[]), "update").await.unwrap();
    assert_eq!((alice.of("uri").len(), bob.of("uri").len()), (1, 1));

    up.leave(&alices);
    call(up, &lane(up, &[]), "update").await.unwrap();
    assert_eq!((alice.of("uri").len(), bob.of("uri").len()), (1, 2));
    assert_eq!(server.script.count("resources/unsubscribe"), 0, "bob still wants it");
}

#[tokio::test]
async fn changed_lists_are_news_to_everybody_and_a_restart_is_too() {
    let server = ScriptedServer::start().await;
    let upstreams = upstreams(vec![server.settings("up")]);
    let mut news = upstreams.news();
    let up = upstreams.find("up").unwrap();
    let alice = Heard::new("alice");
    let lane = up.lane(&caller(&[]), &client(Some(1), "{}", &alice)).unwrap();
    call(up, &lane, "change").await.unwrap();
    let told = news.recv().await.unwrap();
    assert_eq!((&*told.server, told.what), ("up", Changed::Tools));
    assert!(alice.of("x").is_empty());

    server.script.forget_sessions();
    call(up, &lane, "session").await.unwrap();
    for what in Changed::ALL {
        assert_eq!(news.recv().await.unwrap().what, what);
    }
}

#[tokio::test]
async fn what_is_listened_to_is_not_closed_for_want_of_use() {
    let server = ScriptedServer::start().await;
    let upstreams = upstreams(vec![server.settings("up")]);
    let up = upstreams.find("up").unwrap();
    let alice = Heard::new("alice");
    let side = client(Some(1), "{}", &alice);
    let lane = up.lane(&caller(&[]), &side).unwrap();
    call(up, &lane, "session").await.unwrap();
    up.hear_standalone(&caller(&[]), &side).unwrap();
    let later = tokio::time::Instant::now() + std::time::Duration::from_secs(7200);
    up.pool.sweep(later, std::time::Duration::from_secs(60));
    assert_eq!(call(up, &lane, "session").await.unwrap(), "session-0");
    up.close_session(&SessionKey([1; 16])).await;
    assert_eq!(server.script.sessions(), 1, "the lists' stays");
}
