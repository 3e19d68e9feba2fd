use chrono::TimeDelta;
use serde_json::json;
use toolgate_access::permission::ObjectPermission;
use toolgate_access::principal::{Credential, Link, TemporaryIncrease};
use toolgate_store::{
    Budget, Change, Direction, Key, KeyChanges, KeyFilter, KeyOrder, KeyScope, Organization, PageOf, Regenerated,
    Store, StoreError, Team, TeamChanges, TeamMembership, User,
};

use crate::support::{TestClock, actor, databases, hash, key, stores, time};

const NEWEST: (KeyOrder, Direction) = (KeyOrder::CreatedAt, Direction::Descending);

#[tokio::test]
async fn a_key_is_read_back_as_it_was_written_to_the_microsecond() {
    for database in databases().await {
        let clock = TestClock::at("2026-03-01T12:00:00.123456Z");
        let store = Store::open(clock.settings(&database)).await.unwrap();
        let written = Key {
            key_alias: Some("alias".into()),
            models: vec!["a".into(), "b".into()],
            metadata: json!({ "z": 1, "a": { "deep": [true, null, 1.5, "ü"] } }).as_object().unwrap().clone(),
            max_budget: Some(0.1 + 0.2),
            rpm_limit: Some(i64::MAX),
            expires: Some(time("2027-01-01T00:00:00.123456789Z")),
            blocked: None,
            object_permission: Some(ObjectPermission { mcp_servers: Some(vec![]), ..ObjectPermission::default() }),
            ..key(1)
        };
        let kept = store.create_key(&actor(), written.clone()).await.unwrap();
        let read = store.key(&hash(1)).await.unwrap().unwrap();

        assert_eq!(read.created_at, time("2026-03-01T12:00:00.123456Z"), "{}", database.engine);
        assert_eq!(read.expires, Some(time("2027-01-01T00:00:00.123456Z")));
        assert_eq!(read.created_by.as_deref(), Some("alice"));
        assert_eq!(read, Key { expires: read.expires, ..kept });
        assert_eq!(read.object_permission.unwrap().mcp_servers, Some(vec![]), "an empty list is not an absent one");
        assert_eq!(read.metadata, written.metadata);
    }
}

#[tokio::test]
async fn sql_in_any_field_is_text() {
    let nasty = ["'; DROP TABLE keys; --", "\" OR 1=1 --", "$1", "%", "_", "\\", "{}", "é\u{202e}", ""];
    for (_database, store) in stores().await {
        for (number, text) in (1..).zip(nasty) {
            let key = Key { key_alias: Some(text.into()), user_id: Some(text.into()), ..key(number) };
            store.create_key(&actor(), key).await.unwrap();
        }
        for (number, text) in (1..).zip(nasty) {
            let text = text.to_owned();
            let filters = [
                KeyFilter { key_alias: Some(text.clone()), ..KeyFilter::default() },
                KeyFilter { user_id: Some(text.clone()), ..KeyFilter::default() },
                KeyFilter {
                    visible: Some(KeyScope { user_ids: vec![text.clone()], ..KeyScope::default() }),
                    ..KeyFilter::default()
                },
            ];
            for filter in filters {
                let found = store.keys(&filter, NEWEST, PageOf::new(1, 100)).await.unwrap();
                assert_eq!(found.items.iter().map(|key| &key.token).collect::<Vec<_>>(), [&hash(number).to_hex()]);
            }
            let part = KeyFilter { key_alias_contains: Some(text.clone()), ..KeyFilter::default() };
            let found = store.keys(&part, NEWEST, PageOf::new(1, 100)).await.unwrap();
            let expected = nasty.iter().filter(|other| other.contains(&text)).count();
            assert_eq!(found.items.len(), expected, "{text:?} is part of so many");
        }
        let group = KeyFilter { access_group_id: Some("x' OR '1'='1".into()), ..KeyFilter::default() };
        assert_eq!(store.keys(&group, NEWEST, PageOf::new(1, 100)).await.unwrap().total, 0);
    }
}

#[tokio::test]
async fn a_hash_or_an_alias_is_given_once() {
    for (_database, store) in stores().await {
        let alias = Some("mine".to_owned());
        store.create_key(&actor(), Key { key_alias: alias.clone(), ..key(1) }).await.unwrap();
        let again = store.create_key(&actor(), key(1)).await.unwrap_err();
        assert_eq!(again, StoreError::Conflict { what: "token".into() });
        let taken = store.create_key(&actor(), Key { key_alias: alias.clone(), ..key(2) }).await.unwrap_err();
        assert_eq!(taken, StoreError::Conflict { what: "key_alias".into() });
        store.create_key(&actor(), key(2)).await.unwrap();
        let changes = KeyChanges { key_alias: Change::Set(alias), ..KeyChanges::default() };
        let taken = store.update_key(&actor(), &hash(2), changes.clone()).await.unwrap_err();
        assert_eq!(taken, StoreError::Conflict { what: "key_alias".into() });
        store.update_key(&actor(), &hash(1), changes).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_belongs_to_what_exists() {
    for (_database, store) in stores().await {
        let nowhere = Key { team_id: Some("nowhere".into()), ..key(1) };
        let error = store.create_key(&actor(), nowhere).await.unwrap_err();
        assert_eq!(error, StoreError::NotFound { what: "teams", id: "nowhere".into() });
        assert_eq!(store.key(&hash(1)).await.unwrap(), None);
        let error = store.update_key(&actor(), &hash(1), KeyChanges::default()).await.unwrap_err();
        assert!(matches!(error, StoreError::NotFound { what: "keys", .. }));
    }
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_an_empty_one_nothing() {
    for (_database, store) in stores().await {
        let before =
            store.create_key(&actor(), Key { max_budget: Some(1.0), rpm_limit: Some(5), ..key(1) }).await.unwrap();
        let revision = store.changes_since(0).await.unwrap().revision;
        let same = store.update_key(&actor(), &hash(1), KeyChanges::default()).await.unwrap();
        assert_eq!(same, before);
        assert_eq!(store.changes_since(0).await.unwrap().revision, revision);

        let changes =
            KeyChanges { max_budget: Change::Set(None), tpm_limit: Change::Set(Some(7)), ..KeyChanges::default() };
        store.update_key(&actor(), &hash(1), changes).await.unwrap();
        let after = store.key(&hash(1)).await.unwrap().unwrap();
        assert_eq!((after.max_budget, after.tpm_limit, after.rpm_limit), (None, Some(7), Some(5)));
    }
}

#[tokio::test]
async fn pages_come_in_order_and_count_all() {
    for (_database, store) in stores().await {
        for number in 1..=7 {
            let key = Key { key_alias: Some(format!("key {}", 9 - number)), ..key(number) };
            store.create_key(&actor(), key).await.unwrap();
        }
        let by_alias = (KeyOrder::KeyAlias, Direction::Ascending);
        let page = store.keys(&KeyFilter::default(), by_alias, PageOf::new(2, 3)).await.unwrap();
        let aliases: Vec<_> = page.items.iter().map(|key| key.key_alias.clone().unwrap()).collect();
        assert_eq!(aliases, ["key 5", "key 6", "key 7"]);
        assert_eq!((page.total, page.pages()), (7, 3));
        let beyond = store.keys(&KeyFilter::default(), by_alias, PageOf::new(4, 3)).await.unwrap();
        assert_eq!((beyond.items.len(), beyond.total), (0, 7));
    }
}

#[tokio::test]
async fn one_query_gives_a_key_with_everything_that_bounds_it() {
    for (_database, store) in stores().await {
        let budget = Budget { budget_id: "b".into(), max_budget: Some(9.0), ..Budget::default() };
        store.create_budget(&actor(), budget).await.unwrap();
        let organization = Organization {
            organization_id: "o".into(),
            organization_alias: "org".into(),
            budget_id: Some("b".into()),
            ..Organization::default()
        };
        store.create_organization(&actor(), organization, None).await.unwrap();
        let team =
            Team { team_id: "t".into(), organization_id: Some("o".into()), rpm_limit: Some(3), ..Team::default() };
        let member = TeamMembership { user_id: "u".into(), role: "admin".into(), ..TeamMembership::default() };
        store.create_team(&actor(), team, vec![member]).await.unwrap();
        let user = User { user_id: "u".into(), user_role: Some("internal_user".into()), ..User::default() };
        store.create_user(&actor(), user, vec![]).await.unwrap();
        let metadata = serde_json::json!({
            "soft_budget": 0.5, "temp_budget_increase": 2.0, "temp_budget_expiry": "2026-03-01 12:00:00",
        });
        let metadata = metadata.as_object().unwrap().clone();
        let key = Key { team_id: Some("t".into()), user_id: Some("u".into()), metadata, ..key(1) };
        store.create_key(&actor(), key).await.unwrap();

        let all = store.authorization(&hash(1)).await.unwrap().unwrap();
        let principal = all.principal().unwrap();
        let team = principal.team.row().unwrap();
        assert_eq!(team.limits.rpm_limit, Some(3));
        let Credential::Key(key) = &principal.credential else { panic!("{principal:?}") };
        let increase = TemporaryIncrease { amount: 2.0, until: time("2026-03-01T12:00:00Z") };
        assert_eq!((key.limits.soft_budget, key.limits.temporary), (Some(0.5), Some(increase)));
        assert!(team.member.as_ref().unwrap().role.manages());
        assert_eq!(team.organization.row().unwrap().limits.max_budget, Some(9.0));
        assert_eq!(principal.user.unwrap().user_id.as_str(), "u");
        assert_eq!(principal.organization, Link::None);
        assert_eq!(store.authorization(&hash(2)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_team_that_is_gone_is_missing_and_not_none() {
    for (database, store) in stores().await {
        let team = Team { team_id: "t".into(), ..Team::default() };
        store.create_team(&actor(), team, vec![]).await.unwrap();
        store.create_key(&actor(), Key { team_id: Some("t".into()), ..key(1) }).await.unwrap();
        database.sabotage("DELETE FROM teams").await;
        let all = store.authorization(&hash(1)).await.unwrap().unwrap();
        assert_eq!(all.principal().unwrap().team, Link::Missing("t".into()));
    }
}

#[tokio::test]
async fn deleting_a_team_takes_its_keys_along() {
    for (_database, store) in stores().await {
        let team = Team { team_id: "t".into(), ..Team::default() };
        let member = TeamMembership { user_id: "u".into(), ..TeamMembership::default() };
        store.create_team(&actor(), team, vec![member]).await.unwrap();
        store.create_key(&actor(), Key { team_id: Some("t".into()), ..key(1) }).await.unwrap();
        store.create_key(&actor(), key(2)).await.unwrap();

        let deleted = store.delete_teams(&actor(), &["t".into(), "unknown".into()]).await.unwrap();
        assert_eq!(deleted.len(), 1);
        assert_eq!(store.authorization(&hash(1)).await.unwrap(), None);
        assert!(store.authorization(&hash(2)).await.unwrap().is_some());
        assert_eq!(store.team_memberships_of("u").await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_regenerated_key_works_beside_the_new_one_until_its_grace_ends() {
    for database in databases().await {
        let clock = TestClock::at("2026-03-01T12:00:00Z");
        let store = Store::open(clock.settings(&database)).await.unwrap();
        store.create_key(&actor(), Key { spend: 2.5, ..key(1) }).await.unwrap();
        let regenerated = |number, old_until| Regenerated {
            hash: hash(number),
            key_name: "sk-...abcd".into(),
            old_until,
            changes: KeyChanges::default(),
        };
        let until = clock.now() + TimeDelta::hours(1);
        store.regenerate_key(&actor(), &hash(1), regenerated(2, Some(until))).await.unwrap();
        // Regenerated again within the grace: the first hash leads to the third.
        store.regenerate_key(&actor(), &hash(2), regenerated(3, None)).await.unwrap();

        let old = store.authorization(&hash(1)).await.unwrap().unwrap();
        assert_eq!((old.key.token, old.key.spend, old.key.rotation_count), (hash(3).to_hex(), 2.5, 2));
        assert_eq!(store.authorization(&hash(2)).await.unwrap(), None, "no grace");
        let taken = store.create_key(&actor(), key(1)).await.unwrap_err();
        assert_eq!(taken, StoreError::Conflict { what: "token".into() });

        clock.advance(TimeDelta::hours(1));
        assert_eq!(store.authorization(&hash(1)).await.unwrap(), None, "its grace is over");
        assert!(store.authorization(&hash(3)).await.unwrap().is_some());
        assert_eq!(store.prune_deprecated_keys(&actor()).await.unwrap(), 1);

        store.delete_keys(&actor(), &[hash(3)]).await.unwrap();
        assert_eq!(store.authorization(&hash(3)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn the_state_of_a_key_is_filtered_by_the_stores_clock() {
    for database in databases().await {
        let clock = TestClock::at("2026-03-01T12:00:00Z");
        let store = Store::open(clock.settings(&database)).await.unwrap();
        let expires = Some(time("2026-03-01T13:00:00Z"));
        store.create_key(&actor(), Key { expires, ..key(1) }).await.unwrap();
        store.create_key(&actor(), Key { blocked: Some(true), ..key(2) }).await.unwrap();
        let count = async |filter: KeyFilter| store.keys(&filter, NEWEST, PageOf::new(1, 9)).await.unwrap().total;
        let expired = |expired| KeyFilter { expired: Some(expired), ..KeyFilter::default() };
        assert_eq!((count(expired(true)).await, count(expired(false)).await), (0, 2));
        clock.advance(TimeDelta::hours(1));
        assert_eq!((count(expired(true)).await, count(expired(false)).await), (1, 1));
        let blocked = |blocked| KeyFilter { blocked: Some(blocked), ..KeyFilter::default() };
        assert_eq!((count(blocked(true)).await, count(blocked(false)).await), (1, 1));
    }
}

#[tokio::test]
async fn a_team_may_leave_an_organization_and_not_join_an_unknown_one() {
    for (_database, store) in stores().await {
        store.create_team(&actor(), Team { team_id: "t".into(), ..Team::default() }, vec![]).await.unwrap();
        let join = |id: Option<&str>| TeamChanges {
            organization_id: Change::Set(id.map(str::to_owned)),
            ..TeamChanges::default()
        };
        let error = store.update_team(&actor(), "t", join(Some("x"))).await.unwrap_err();
        assert_eq!(error, StoreError::NotFound { what: "organizations", id: "x".into() });
        store.update_team(&actor(), "t", join(None)).await.unwrap();
    }
}
