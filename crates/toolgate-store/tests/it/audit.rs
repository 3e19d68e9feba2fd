use chrono::TimeDelta;
use serde_json::json;
use toolgate_store::{
    Action, AuditFilter, Change, Direction, Head, Key, KeyChanges, Noun, Occurrence, PageOf, Store, Team, Touched,
    Verdict,
};

use crate::support::{TestClock, actor, databases, hash, key, stores};

async fn five_entries(store: &Store) {
    store.create_key(&actor(), Key { key_alias: Some("a".into()), ..key(1) }).await.unwrap();
    for budget in [1.0, 2.0, 3.0] {
        let changes = KeyChanges { max_budget: Change::Set(Some(budget)), ..KeyChanges::default() };
        store.update_key(&actor(), &hash(1), changes).await.unwrap();
    }
    store.delete_keys(&actor(), &[hash(1)]).await.unwrap();
}

#[tokio::test]
async fn every_change_is_logged_with_who_and_what() {
    for (_database, store) in stores().await {
        five_entries(&store).await;
        let signed_in = Occurrence {
            noun: Noun::User,
            object_id: "alice",
            action: Action::SignedIn,
            values: Some(json!({"n": 1})),
        };
        let before = *store.changes().borrow();
        store.audit(&actor(), signed_in).await.unwrap();
        assert_eq!(store.changes_since(before).await.unwrap().touched, Touched::These(vec![]), "no cache forgets");
        let log = store.audit_log(&AuditFilter::default(), PageOf::new(1, 10)).await.unwrap();
        let actions: Vec<_> = log.items.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["signed_in", "deleted", "updated", "updated", "updated", "created"]);
        let update = &log.items[2];
        assert_eq!((update.changed_by.as_str(), update.request_id.as_str()), ("alice", "req-1"));
        assert_eq!((update.table_name.as_str(), &update.object_id), ("keys", &hash(1).to_hex()));
        assert_eq!(update.before_value.as_ref().unwrap()["max_budget"], json!(2.0));
        assert_eq!(update.updated_values.as_ref().unwrap()["max_budget"], json!(3.0));
        assert_eq!(update.updated_values.as_ref().unwrap().get("key_alias"), None, "only what changed");

        let filter = AuditFilter { action: Some("deleted".into()), ..AuditFilter::default() };
        assert_eq!(store.audit_log(&filter, PageOf::new(1, 10)).await.unwrap().total, 1);
        assert!(matches!(store.audit_verify(None).await.unwrap(), Verdict::Whole { head } if head.seq == 6));
    }
}

#[tokio::test]
async fn the_log_is_read_by_row_by_key_and_by_team_from_either_end() {
    for (_database, store) in stores().await {
        five_entries(&store).await;
        store.create_team(&actor(), Team { team_id: "50%".into(), ..Team::default() }, vec![]).await.unwrap();
        store.create_team(&actor(), Team { team_id: "50".into(), ..Team::default() }, vec![]).await.unwrap();
        store.create_key(&actor(), Key { team_id: Some("50%".into()), ..key(2) }).await.unwrap();
        let found = async |filter: AuditFilter| {
            let filter = AuditFilter { direction: Direction::Ascending, ..filter };
            let found = store.audit_log(&filter, PageOf::new(1, 10)).await.unwrap();
            found.items.iter().map(|entry| entry.seq).collect::<Vec<_>>()
        };
        let of_team = AuditFilter { team_id: Some("50%".into()), ..AuditFilter::default() };
        assert_eq!(found(of_team).await, [6, 8]);
        let of_key = AuditFilter { key_hash: Some(hash(1).to_hex()), ..AuditFilter::default() };
        assert_eq!(found(of_key).await, [1, 2, 3, 4, 5]);
        assert_eq!(store.audit_entry(8).await.unwrap().unwrap().object_id, hash(2).to_hex());
        assert_eq!(store.audit_entry(9).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_log_that_was_tampered_with_names_the_first_bad_row() {
    let cases = [
        ("UPDATE audit_log SET changed_by = 'mallory' WHERE seq = 3", 3, "was changed"),
        ("UPDATE audit_log SET updated_values = '{}' WHERE seq = 2", 2, "the value after was changed"),
        ("UPDATE audit_log SET before_value = '{}' WHERE seq = 4", 4, "the value before was changed"),
        ("DELETE FROM audit_log WHERE seq = 2", 2, "is missing"),
        ("DELETE FROM audit_log WHERE seq = 5", 5, "is missing"),
        ("DELETE FROM audit_log WHERE seq = 1", 1, "is missing"),
        ("UPDATE audit_log SET prev_hash = hash WHERE seq = 3", 3, "does not follow the row before it"),
        (
            "UPDATE audit_log SET seq = 99 WHERE seq = 3; UPDATE audit_log SET seq = 3 WHERE seq = 4; \
             UPDATE audit_log SET seq = 4 WHERE seq = 99",
            3,
            "does not follow the row before it",
        ),
    ];
    for (sql, seq, why) in cases {
        for (database, store) in stores().await {
            five_entries(&store).await;
            database.sabotage(sql).await;
            assert_eq!(store.audit_verify(None).await.unwrap(), Verdict::Broken { seq, why }, "{sql}");
        }
    }
}

#[tokio::test]
async fn a_cut_off_end_shows_against_a_head_that_was_kept_elsewhere() {
    for (database, store) in stores().await {
        five_entries(&store).await;
        let kept = store.audit_head().await.unwrap();
        database.sabotage("DELETE FROM audit_log WHERE seq > 3").await;
        database
            .sabotage("UPDATE gateway_state SET audit_seq = 3, audit_hash = (SELECT hash FROM audit_log WHERE seq = 3)")
            .await;
        assert!(matches!(store.audit_verify(None).await.unwrap(), Verdict::Whole { .. }), "by itself it looks whole");
        let verdict = store.audit_verify(Some(&kept)).await.unwrap();
        assert_eq!(verdict, Verdict::Broken { seq: 4, why: "is missing" });
        let other = Head { seq: 2, hash: "x".into() };
        let verdict = store.audit_verify(Some(&other)).await.unwrap();
        assert_eq!(verdict, Verdict::Broken { seq: 2, why: "is not the row that was there before" });
    }
}

#[tokio::test]
async fn values_can_be_dropped_and_the_chain_holds() {
    for database in databases().await {
        let clock = TestClock::at("2026-03-01T12:00:00Z");
        let store = Store::open(clock.settings(&database)).await.unwrap();
        five_entries(&store).await;
        clock.advance(TimeDelta::days(1));
        store.create_key(&actor(), key(2)).await.unwrap();
        assert_eq!(store.audit_drop_values(clock.now()).await.unwrap(), 5);
        assert_eq!(store.audit_drop_values(clock.now()).await.unwrap(), 0);
        assert!(matches!(store.audit_verify(None).await.unwrap(), Verdict::Whole { .. }));
        let log = store.audit_log(&AuditFilter::default(), PageOf::new(1, 9)).await.unwrap();
        let kept = log.items.iter().filter(|entry| entry.updated_values.is_some()).count();
        assert_eq!((log.total, kept), (6, 1));
    }
}

#[tokio::test]
async fn replicas_that_write_at_once_never_fork_the_chain() {
    for database in databases().await {
        let (one, other) = (database.open().await, database.open().await);
        let writes = (0..20_u8).map(|number| {
            let store = if number % 2 == 0 { one.clone() } else { other.clone() };
            async move { store.create_key(&actor(), key(number)).await }
        });
        for outcome in futures_util::future::join_all(writes).await {
            outcome.unwrap();
        }
        assert!(matches!(one.audit_verify(None).await.unwrap(), Verdict::Whole { head } if head.seq == 20));
    }
}
