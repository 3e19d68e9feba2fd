use toolgate_store::{Change, Secret, Server, ServerChanges, Store, StoreError, StoreSettings, UserCredential};

use crate::support::{TestDatabase, actor, databases, ring, stores};

const CANARY: &str = "canary-7f3a9";

fn server(id: &str) -> Server {
    Server {
        server_id: id.into(),
        credentials: Some(Secret::new(format!("{{\"auth_value\":\"{CANARY}\"}}"))),
        ..Server::default()
    }
}

async fn open_with_keys(database: &TestDatabase, primary: &str, old: &[&str]) -> Result<Store, StoreError> {
    Store::open(StoreSettings { keys: ring(primary, old), ..database.settings() }).await
}

#[tokio::test]
async fn no_secret_is_in_the_file_or_the_log() {
    for (database, store) in stores().await {
        let kept = store.create_server(&actor(), server("s")).await.unwrap();
        let changes = ServerChanges { env: Change::Set(Some(Secret::new(CANARY))), ..ServerChanges::default() };
        store.update_server(&actor(), "s", changes).await.unwrap();
        assert!(store.server("s").await.unwrap().unwrap().credentials.unwrap().expose().unwrap().contains(CANARY));
        assert!(!serde_json::to_string(&kept).unwrap().contains(CANARY));
        let log = store.audit_log(&Default::default(), toolgate_store::PageOf::new(1, 9)).await.unwrap();
        assert!(!format!("{log:?}").contains(CANARY));
        if database.engine == "sqlite" {
            for end in ["", "-wal"] {
                let bytes = std::fs::read(format!("{}{end}", database.place())).unwrap();
                assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "{end}");
            }
        }
    }
}

#[tokio::test]
async fn a_secret_that_was_moved_to_another_row_does_not_open_and_survives_an_update() {
    for (database, store) in stores().await {
        store.create_server(&actor(), server("s1")).await.unwrap();
        store.create_server(&actor(), server("s2")).await.unwrap();
        database
            .sabotage("UPDATE servers SET credentials = (SELECT credentials FROM servers WHERE server_id = 's1') WHERE server_id = 's2'")
            .await;
        let moved = store.server("s2").await.unwrap().unwrap();
        assert!(matches!(moved.credentials, Some(Secret::Unreadable { .. })));
        assert_eq!(store.servers().await.unwrap().len(), 2, "the others are listed all the same");
        let changes = ServerChanges { description: Change::Set(Some("new".into())), ..ServerChanges::default() };
        store.update_server(&actor(), "s2", changes).await.unwrap();
        let cleared = ServerChanges { credentials: Change::Set(None), ..ServerChanges::default() };
        assert_eq!(store.update_server(&actor(), "s2", cleared).await.unwrap().credentials, None);
    }
}

#[tokio::test]
async fn rekeying_seals_everything_anew_and_the_old_key_can_go() {
    for database in databases().await {
        let store = database.open().await;
        for number in 0..230 {
            let credential = UserCredential {
                user_id: format!("u{number}"),
                server_id: "s".into(),
                credential: Some(Secret::new(CANARY)),
                ..UserCredential::default()
            };
            store.put_user_credential(&actor(), credential).await.unwrap();
        }
        store.create_server(&actor(), server("s")).await.unwrap();
        store.close().await;

        let rotated = open_with_keys(&database, "new", &["a sealing key"]).await.unwrap();
        let done = rotated.rekey().await.unwrap();
        assert_eq!((done.resealed, done.unreadable.len()), (231, 0), "{}", database.engine);
        assert_eq!(rotated.rekey().await.unwrap().resealed, 0);
        assert_eq!(rotated.sealed_by_key().await.unwrap(), [(rotated.primary_key_id().to_owned(), 231)].into());
        rotated.close().await;

        assert_eq!(open_with_keys(&database, "a sealing key", &[]).await.unwrap_err(), StoreError::WrongKey);
        let store = open_with_keys(&database, "new", &[]).await.unwrap();
        let read = store.user_credential("u7", "s").await.unwrap().unwrap();
        assert_eq!(read.credential.unwrap().expose(), Some(CANARY));
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_listed_and_left_and_the_rest_is_sealed_anew() {
    for database in databases().await {
        let store = database.open().await;
        for id in ["s1", "s2", "s3"] {
            store.create_server(&actor(), server(id)).await.unwrap();
        }
        store.close().await;
        database.sabotage("UPDATE servers SET credentials = 'v1:000000000000:AAAA' WHERE server_id = 's2'").await;
        let rotated = open_with_keys(&database, "new", &["a sealing key"]).await.unwrap();
        let done = rotated.rekey().await.unwrap();
        assert_eq!(done.resealed, 2);
        assert_eq!(done.unreadable[0].object_id, "s2");
        rotated.close().await;
        open_with_keys(&database, "a sealing key", &["new"])
            .await
            .expect("the old canary stays while something is left");
    }
}
