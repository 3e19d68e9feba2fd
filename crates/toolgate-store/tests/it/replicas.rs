//! Two stores on one database, as two replicas have it.

use std::time::Duration;

use toolgate_store::{Change, KeyChanges, Noun, Store, StoreSettings, Touched};

use crate::support::{TestDatabase, actor, databases, hash, key, soon, stores};

/// A poll that no test waits for.
const NEVER: Duration = Duration::from_secs(3_600);

async fn open_with_poll(database: &TestDatabase, poll: Duration) -> Store {
    Store::open(StoreSettings { poll, ..database.settings() }).await.unwrap()
}

#[tokio::test]
async fn a_change_is_known_here_at_once_and_says_what_to_forget() {
    for (_database, store) in stores().await {
        let watched = store.changes();
        let before = *watched.borrow();
        store.create_key(&actor(), key(1)).await.unwrap();
        store.delete_keys(&actor(), &[hash(1)]).await.unwrap();
        assert_eq!(*watched.borrow(), before + 2);
        let changes = store.changes_since(before).await.unwrap();
        assert_eq!(changes.revision, before + 2);
        let twice = vec![(Noun::Key, hash(1).to_hex()); 2];
        assert_eq!(changes.touched, Touched::These(twice));
        let nothing = store.changes_since(changes.revision).await.unwrap();
        assert_eq!(nothing.touched, Touched::These(vec![]));
        let ahead = store.changes_since(changes.revision + 1).await.unwrap();
        assert_eq!(ahead.touched, Touched::Everything, "a database that was put back");
    }
}

#[tokio::test]
async fn a_change_that_failed_is_not_told() {
    for (_database, store) in stores().await {
        store.create_key(&actor(), key(1)).await.unwrap();
        let watched = store.changes();
        let before = *watched.borrow();
        store.create_key(&actor(), key(1)).await.unwrap_err();
        store.update_key(&actor(), &hash(9), KeyChanges::default()).await.unwrap_err();
        let revision = store.changes_since(0).await.unwrap().revision;
        assert_eq!((*watched.borrow(), revision), (before, before));
    }
}

#[tokio::test]
async fn another_replica_finds_a_change_by_polling() {
    for database in databases().await {
        let writer = open_with_poll(&database, NEVER).await;
        let reader = open_with_poll(&database, Duration::from_millis(20)).await;
        let mut watched = reader.changes();
        writer.create_key(&actor(), key(1)).await.unwrap();
        soon(watched.wait_for(|revision| *revision == 1)).await.unwrap();
    }
}

#[tokio::test]
async fn postgres_tells_other_replicas_without_a_poll_and_again_after_the_connection_was_cut() {
    for database in databases().await.into_iter().filter(|database| database.engine == "postgres") {
        let writer = open_with_poll(&database, NEVER).await;
        let reader = open_with_poll(&database, NEVER).await;
        let mut watched = reader.changes();
        // What is written before the listener is there is read when it is.
        writer.create_key(&actor(), key(1)).await.unwrap();
        soon(watched.wait_for(|revision| *revision == 1)).await.unwrap();

        // Every connection of both, the listeners' too. What comes meanwhile is found on connecting again.
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        database.sabotage(cut).await;
        let changes = KeyChanges { blocked: Change::Set(Some(true)), ..KeyChanges::default() };
        soon(async {
            while let Err(error) = writer.update_key(&actor(), &hash(1), changes.clone()).await {
                assert!(error.is_retryable(), "{error}");
            }
        })
        .await;
        soon(watched.wait_for(|revision| *revision == 2)).await.unwrap();
        let changes = KeyChanges { blocked: Change::Set(None), ..KeyChanges::default() };
        writer.update_key(&actor(), &hash(1), changes).await.unwrap();
        soon(watched.wait_for(|revision| *revision == 3)).await.unwrap();
    }
}

#[tokio::test]
async fn who_is_far_behind_forgets_everything() {
    for (database, store) in stores().await {
        store.create_key(&actor(), key(1)).await.unwrap();
        database.sabotage("UPDATE gateway_state SET revision = 20479").await;
        store.create_key(&actor(), key(2)).await.unwrap();
        assert_eq!(store.changes_since(1).await.unwrap().touched, Touched::Everything);
        let recent = store.changes_since(20_479).await.unwrap();
        assert_eq!(recent.touched, Touched::These(vec![(Noun::Key, hash(2).to_hex())]));
    }
}
