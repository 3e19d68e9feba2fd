use std::time::Duration;

use toolgate_access::key::{KeyHash, VirtualKey};
use toolgate_store::{Actor, Database, Key, KeyRing, Revision, Store, StoreSettings};

use super::KnownKeys;
use crate::accounting::Accounting;
use crate::config::settings::SpendSettings;
use crate::telemetry::Metrics;

async fn store() -> Store {
    Store::open(StoreSettings::new(Database::Memory, KeyRing::new("key".into(), vec![]))).await.unwrap()
}

fn accounting() -> Accounting {
    Accounting::new(SpendSettings::default(), None, &Metrics::new())
}

async fn key(store: &Store, text: &str) -> KeyHash {
    let hash = VirtualKey::parse(text).unwrap().hash();
    store.create_key(&Actor::default(), Key { token: hash.to_hex(), ..Key::default() }).await.unwrap();
    hash
}

fn revision(store: &Store) -> Revision {
    *store.changes().borrow()
}

#[tokio::test]
async fn news_of_a_change_that_was_read_already_takes_nothing_away() {
    let store = store().await;
    let keys = KnownKeys::none(Duration::from_secs(300), &accounting());
    let hash = key(&store, "sk-a-key-that-is-known").await;
    assert!(keys.find(&store, hash).await.unwrap().is_some());

    // The database is lost before the news of the key's own making have come round.
    let made = revision(&store);
    store.close().await;
    keys.forget(&hash, made).await;
    keys.forget_older(made);
    assert!(keys.find(&store, hash).await.unwrap().is_some());
}

#[tokio::test]
async fn a_later_change_is_read_again() {
    let store = store().await;
    let keys = KnownKeys::none(Duration::from_secs(300), &accounting());
    let (named, other) = (key(&store, "sk-a-key-that-is-named").await, key(&store, "sk-some-other-key").await);
    for hash in [named, other] {
        assert!(keys.find(&store, hash).await.unwrap().is_some());
    }
    store.delete_keys(&Actor::default(), &[named, other]).await.unwrap();

    keys.forget(&named, revision(&store)).await;
    assert!(keys.find(&store, named).await.unwrap().is_none());
    assert!(keys.find(&store, other).await.unwrap().is_some(), "nobody has said yet that it changed");
    keys.forget_older(revision(&store));
    assert!(keys.find(&store, other).await.unwrap().is_none());
}

#[tokio::test]
async fn an_unknown_key_that_is_made_is_found() {
    let store = store().await;
    let keys = KnownKeys::none(Duration::from_secs(300), &accounting());
    let hash = VirtualKey::parse("sk-not-made-yet").unwrap().hash();
    assert!(keys.find(&store, hash).await.unwrap().is_none());
    key(&store, "sk-not-made-yet").await;

    assert!(keys.find(&store, hash).await.unwrap().is_none(), "nobody has said yet that it was made");
    keys.forget(&hash, revision(&store)).await;
    assert!(keys.find(&store, hash).await.unwrap().is_some());
}
