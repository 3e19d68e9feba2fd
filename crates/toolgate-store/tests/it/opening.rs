use toolgate_store::{Database, Noun, PageOf, Setting, Store, StoreError, StoreSettings};

use crate::support::{actor, databases, file, ring, stores};

#[tokio::test]
async fn a_new_database_is_made_and_found_again() {
    for database in databases().await {
        let store = database.open().await;
        let setting = Setting { param_name: "colour".into(), param_value: Some("red".into()), ..Setting::default() };
        store.put_setting(&actor(), setting).await.unwrap();
        store.close().await;

        let store = database.open().await;
        assert_eq!(store.setting("colour").await.unwrap().unwrap().param_value, Some("red".into()));
        assert_eq!(store.setting("shape").await.unwrap(), None);
        store.close().await;
        assert!(store.ping().await.unwrap_err().is_retryable(), "closed on {}", database.engine);
    }
}

#[tokio::test]
async fn two_that_open_at_once_migrate_once() {
    for database in databases().await {
        let opened = futures_util::future::join_all((0..12).map(|_| Store::open(database.settings()))).await;
        for store in opened {
            store.unwrap().ping().await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_wrong_key_is_refused_and_nothing_is_written() {
    for database in databases().await {
        database.open().await.close().await;
        let before = database.engine.eq("sqlite").then(|| std::fs::read(database.path()).unwrap());

        let wrong = StoreSettings { keys: ring("another key", &[]), ..database.settings() };
        assert_eq!(Store::open(wrong).await.unwrap_err(), StoreError::WrongKey);

        if let Some(before) = before {
            assert!(before == std::fs::read(database.path()).unwrap(), "the file is as it was");
        }
        let rotated = StoreSettings { keys: ring("another key", &["a sealing key"]), ..database.settings() };
        Store::open(rotated).await.unwrap();
    }
}

#[tokio::test]
async fn a_newer_schema_that_took_something_away_is_refused() {
    for database in databases().await {
        database.open().await.close().await;
        database.sabotage("INSERT INTO toolgate_migrations VALUES (9999, '9999_drop_needs_9990', 'x', 0)").await;
        let error = Store::open(database.settings()).await.unwrap_err();
        assert!(matches!(error, StoreError::NewerSchema { found: 9999, .. }), "{error}");
    }
}

#[tokio::test]
async fn a_migration_that_was_edited_is_noticed() {
    for database in databases().await {
        database.open().await.close().await;
        database.sabotage("UPDATE toolgate_migrations SET checksum = 'another'").await;
        let error = Store::open(database.settings()).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    }
}

#[tokio::test]
async fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let database = file();
    let _store = database.open().await;
    for end in ["", "-wal", "-shm"] {
        let path = format!("{}{end}", database.place());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path}");
    }
}

#[tokio::test]
async fn a_database_in_memory_is_one_for_all_clones() {
    let store = Store::open(StoreSettings::new(Database::Memory, ring("key", &[]))).await.unwrap();
    let setting = Setting { param_name: "colour".into(), ..Setting::default() };
    store.clone().put_setting(&actor(), setting).await.unwrap();
    assert!(store.setting("colour").await.unwrap().is_some());
}

#[tokio::test]
async fn a_backup_holds_what_was_acknowledged_and_opens_with_the_same_key_only() {
    let database = file();
    let store = database.open().await;
    let setting = Setting { param_name: "colour".into(), ..Setting::default() };
    store.put_setting(&actor(), setting).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (backup, restored) = (directory.path().join("backup.db"), directory.path().join("restored.db"));

    store.backup_to(&backup).await.unwrap();
    assert!(matches!(store.backup_to(&backup).await.unwrap_err(), StoreError::Conflict { .. }));
    toolgate_store::restore_file(&backup, &restored).await.unwrap();
    assert!(matches!(toolgate_store::restore_file(&backup, &restored).await.unwrap_err(), StoreError::Conflict { .. }));

    let wrong = StoreSettings::new(Database::File(restored.clone()), ring("another", &[]));
    assert_eq!(Store::open(wrong).await.unwrap_err(), StoreError::WrongKey);
    let settings = StoreSettings { database: Database::File(restored), ..database.settings() };
    let copy = Store::open(settings).await.unwrap();
    assert_eq!(copy.inventory().await.unwrap(), store.inventory().await.unwrap());
    assert!(copy.inventory().await.unwrap().damage.is_empty());
    assert_eq!(
        std::fs::read_dir(directory.path())
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().file_name().to_str().unwrap().contains(".part-") })
            .count(),
        0,
        "no part is left"
    );
}

#[tokio::test]
async fn what_no_database_can_keep_is_refused() {
    for (_database, store) in stores().await {
        let nul = Setting { param_name: "a\0b".into(), ..Setting::default() };
        let inner = Setting { param_name: "a".into(), param_value: Some("\0".into()), ..Setting::default() };
        for setting in [nul, inner] {
            let error = store.put_setting(&actor(), setting).await.unwrap_err();
            assert!(matches!(error, StoreError::Invalid { .. }), "{error}");
        }
        assert_eq!(store.settings().await.unwrap(), []);
        assert_eq!(store.audit_log(&Default::default(), PageOf::new(1, 10)).await.unwrap().total, 0);
        assert_eq!(store.changes_since(0).await.unwrap().revision, 0, "{}", Noun::Setting);
    }
}
