use chrono::TimeDelta;
use toolgate_store::{
    ActivityOf, Budget, Change, Customer, Direction, Key, KeyChanges, Organization, PageOf, PayerKind, SpendBy,
    SpendFilter, SpendRow, Store, Team, TeamChanges, TeamMembership, User,
};

use crate::support::{TestClock, actor, databases, hash, key, stores, time};

fn call(id: &str, spend: f64) -> SpendRow {
    SpendRow {
        request_id: id.into(),
        call_type: "call_mcp_tool".into(),
        api_key: hash(1).to_hex(),
        spend,
        start_time: time("2026-03-01T12:00:00Z"),
        end_time: time("2026-03-01T12:00:01Z"),
        model: "MCP: read".into(),
        user_id: Some("u".into()),
        team_id: Some("t".into()),
        organization_id: Some("o".into()),
        end_user: Some("c".into()),
        mcp_server_id: Some("s".into()),
        mcp_namespaced_tool_name: Some("s/read".into()),
        status: Some("success".into()),
        ..SpendRow::default()
    }
}

/// One of each who pays.
async fn payers(store: &Store) {
    let organization = Organization { organization_id: "o".into(), ..Organization::default() };
    store.create_organization(&actor(), organization, None).await.unwrap();
    let member = TeamMembership { user_id: "u".into(), ..TeamMembership::default() };
    store.create_team(&actor(), Team { team_id: "t".into(), ..Team::default() }, vec![member]).await.unwrap();
    store.create_user(&actor(), User { user_id: "u".into(), ..User::default() }, vec![]).await.unwrap();
    store.create_customer(&actor(), Customer { user_id: "c".into(), ..Customer::default() }, None).await.unwrap();
    store.create_key(&actor(), key(1)).await.unwrap();
}

/// What each has paid.
async fn paid(store: &Store) -> [f64; 6] {
    let key = store.key(&hash(1)).await.unwrap().unwrap();
    assert!((key.spend - key.total_spend).abs() < 1e-9);
    [
        key.spend,
        store.user("u").await.unwrap().unwrap().spend,
        store.team("t").await.unwrap().unwrap().spend,
        store.team_members("t").await.unwrap()[0].spend,
        store.organization("o").await.unwrap().unwrap().spend,
        store.customer("c").await.unwrap().unwrap().spend,
    ]
}

#[tokio::test]
async fn a_call_is_charged_once_to_everybody_however_often_it_is_written() {
    for (_database, store) in stores().await {
        payers(&store).await;
        let batch = [call("r1", 0.5), call("r2", 0.25), call("r1", 0.5)];
        assert_eq!(store.record_spend(&batch).await.unwrap().new, 2);
        assert_eq!(store.record_spend(&batch).await.unwrap().new, 0);
        assert_eq!(store.record_spend(&[call("r2", 9.0), call("r3", 0.25)]).await.unwrap().new, 1);
        assert_eq!(store.record_spend(&[]).await.unwrap().new, 0);
        assert_eq!(paid(&store).await, [1.0; 6]);
        let key = store.key(&hash(1)).await.unwrap().unwrap();
        assert_eq!(key.last_active, Some(time("2026-03-01T12:00:01Z")));
    }
}

#[tokio::test]
async fn replicas_that_write_the_same_calls_at_once_charge_them_once() {
    for database in databases().await {
        let (one, other) = (database.open().await, database.open().await);
        payers(&one).await;
        let batches = (0..8).map(|turn| {
            let store = if turn % 2 == 0 { one.clone() } else { other.clone() };
            // Each batch shares half of its calls with the next.
            let batch: Vec<_> = (turn * 10..turn * 10 + 20).map(|id| call(&format!("r{id}"), 1.0)).collect();
            async move { store.record_spend(&batch).await.unwrap().new }
        });
        let new: usize = futures_util::future::join_all(batches).await.into_iter().sum();
        assert_eq!(new, 90);
        assert_eq!(paid(&one).await, [90.0; 6]);
    }
}

#[tokio::test]
async fn who_does_not_exist_pays_nothing_and_the_call_is_logged() {
    for (_database, store) in stores().await {
        let stranger = SpendRow { api_key: String::new(), team_id: None, ..call("r1", 1.0) };
        assert_eq!(store.record_spend(&[stranger]).await.unwrap().new, 1);
        let page = store.spend_logs(&SpendFilter::default(), Direction::Descending, PageOf::new(1, 9)).await.unwrap();
        assert_eq!((page.total, page.items[0].spend), (1, 1.0));
    }
}

#[tokio::test]
async fn a_batch_tells_what_those_who_paid_have_spent_with_what_others_wrote() {
    for database in databases().await {
        let (one, other) = (database.open().await, database.open().await);
        payers(&one).await;
        one.record_spend(&[call("r1", 1.0)]).await.unwrap();
        let recorded = other.record_spend(&[call("r2", 0.5), call("r3", 0.0)]).await.unwrap();
        let mut spent: Vec<_> =
            recorded.spent.iter().map(|spent| (spent.kind, spent.id.join("/"), spent.spend)).collect();
        spent.sort_by_key(|(kind, ..)| *kind);
        let expected = [
            (PayerKind::Key, hash(1).to_hex(), 1.5),
            (PayerKind::User, "u".to_owned(), 1.5),
            (PayerKind::Team, "t".to_owned(), 1.5),
            (PayerKind::TeamMember, "t/u".to_owned(), 1.5),
            (PayerKind::Organization, "o".to_owned(), 1.5),
            (PayerKind::Customer, "c".to_owned(), 1.5),
        ];
        assert_eq!(spent, expected, "{}", database.engine);
        let again = one.record_spend(&[call("r2", 0.5)]).await.unwrap();
        assert_eq!((again.new, again.spent), (0, vec![]));
    }
}

#[tokio::test]
async fn a_batch_of_any_size_is_written_whole() {
    for (_database, store) in stores().await {
        payers(&store).await;
        let batch: Vec<_> = (0..601).map(|id| call(&format!("r{id}"), 0.5)).collect();
        assert_eq!(store.record_spend(&batch).await.unwrap().new, 601);
        assert_eq!(paid(&store).await, [300.5; 6]);
    }
}

#[tokio::test]
async fn logs_are_filtered_summed_and_kept_for_a_time() {
    for (_database, store) in stores().await {
        let begun = |minute: i64| time("2026-03-01T12:00:00Z") + TimeDelta::minutes(minute);
        let batch: Vec<_> = (0..6)
            .map(|minute| SpendRow {
                start_time: begun(minute),
                metadata: Some(serde_json::json!({ "outcome": if minute % 2 == 0 { "even" } else { "odd" } })),
                team_id: Some(if minute % 2 == 0 { "even" } else { "odd" }.into()),
                total_tokens: 2,
                ..call(&format!("r{minute}"), f64::from(i32::try_from(minute).unwrap()))
            })
            .collect();
        store.record_spend(&batch).await.unwrap();
        let listed = async |filter: SpendFilter| {
            let page = store.spend_logs(&filter, Direction::Ascending, PageOf::new(1, 9)).await.unwrap();
            page.items.into_iter().map(|row| row.request_id).collect::<Vec<_>>()
        };
        let even = SpendFilter { team_id: Some("even".into()), ..SpendFilter::default() };
        assert_eq!(listed(even).await, ["r0", "r2", "r4"]);
        let between = SpendFilter { since: Some(begun(1)), until: Some(begun(3)), ..SpendFilter::default() };
        assert_eq!(listed(between).await, ["r1", "r2"]);
        let nobody = SpendFilter { visible: Some(Default::default()), ..SpendFilter::default() };
        assert_eq!(listed(nobody).await, [""; 0]);

        let sums = store.spend_sums(&SpendFilter::default(), SpendBy::TeamId, 10).await.unwrap();
        let sums: Vec<_> = sums.into_iter().map(|sum| (sum.of, sum.spend, sum.calls, sum.total_tokens)).collect();
        assert_eq!(sums, [("odd".to_owned(), 9.0, 3, 6), ("even".to_owned(), 6.0, 3, 6)]);

        let first = store.calls_before(&SpendFilter::default(), None, 4).await.unwrap();
        let last = first.last().unwrap();
        let (all, place) = (SpendFilter::default(), (last.start_time, last.request_id.clone()));
        let rest = store.calls_before(&all, Some(&place), 4).await.unwrap();
        let ids: Vec<_> = first.iter().chain(&rest).map(|row| row.request_id.as_str()).collect();
        assert_eq!(ids, ["r5", "r4", "r3", "r2", "r1", "r0"]);
        let of_odd = SpendFilter { outcome: Some("odd".into()), ..SpendFilter::default() };
        assert_eq!(store.calls_before(&of_odd, None, 9).await.unwrap().len(), 3);

        let days = store.spend_by_day(&SpendFilter::default(), 9).await.unwrap();
        let day = begun(0).timestamp() / 86_400;
        let days: Vec<_> = days.into_iter().map(|sum| (sum.day, sum.user_id, sum.model, sum.spend)).collect();
        assert_eq!(days, [(day, "u".to_owned(), "MCP: read".to_owned(), 15.0)]);

        assert_eq!(store.forget_calls(&["r0".into(), "r9".into()]).await.unwrap(), 1);
        store.record_spend(&batch[..1]).await.unwrap();

        assert_eq!(store.delete_spend_logs(begun(4), 3).await.unwrap(), 3);
        assert_eq!(store.delete_spend_logs(begun(4), 3).await.unwrap(), 1);
        assert_eq!(listed(SpendFilter::default()).await, ["r4", "r5"]);
    }
}

#[tokio::test]
async fn a_number_that_is_none_is_refused_with_its_whole_batch() {
    for (_database, store) in stores().await {
        payers(&store).await;
        for spend in [f64::NAN, f64::INFINITY] {
            store.record_spend(&[call("r1", 1.0), call("r2", spend)]).await.unwrap_err();
        }
        assert_eq!(paid(&store).await, [0.0; 6]);
    }
}

#[tokio::test]
async fn a_period_that_is_over_begins_anew_once_and_is_told() {
    for database in databases().await {
        let clock = TestClock::at("2026-03-01T12:00:00Z");
        let store = Store::open(clock.settings(&database)).await.unwrap();
        let reset_at = Some(time("2026-03-02T00:00:00Z"));
        let budget = Budget {
            budget_id: "b".into(),
            budget_duration: Some("1d".into()),
            budget_reset_at: reset_at,
            ..Budget::default()
        };
        store.create_budget(&actor(), budget).await.unwrap();
        let customer = Customer { user_id: "c".into(), budget_id: Some("b".into()), spend: 3.0, ..Customer::default() };
        store.create_customer(&actor(), customer, None).await.unwrap();
        let periodic = Key {
            spend: 5.0,
            total_spend: 5.0,
            budget_duration: Some("1d".into()),
            budget_reset_at: reset_at,
            ..key(1)
        };
        store.create_key(&actor(), periodic).await.unwrap();
        store.create_key(&actor(), Key { spend: 7.0, ..key(2) }).await.unwrap();

        assert_eq!(store.reset_budgets().await.unwrap(), 0);
        clock.advance(TimeDelta::hours(12));
        let revision = *store.changes().borrow();
        let both = tokio::join!(store.reset_budgets(), store.reset_budgets());
        assert_eq!(both.0.unwrap() + both.1.unwrap(), 2);
        assert_eq!(*store.changes().borrow(), revision + 2, "keys and budgets");

        let key = store.key(&hash(1)).await.unwrap().unwrap();
        assert_eq!((key.spend, key.total_spend), (0.0, 5.0));
        assert_eq!(key.budget_reset_at, Some(time("2026-03-03T00:00:00Z")));
        assert_eq!(store.key(&hash(2)).await.unwrap().unwrap().spend, 7.0, "without a period, for ever");
        assert_eq!(store.customer("c").await.unwrap().unwrap().spend, 0.0);
    }
}

#[tokio::test]
async fn a_clock_that_jumps_neither_forgives_twice_nor_holds_for_ever() {
    for database in databases().await {
        let clock = TestClock::at("2036-03-01T12:00:00Z");
        let store = Store::open(clock.settings(&database)).await.unwrap();
        let periodic = Key { spend: 5.0, budget_duration: Some("1d".into()), ..key(1) };
        store.create_key(&actor(), periodic).await.unwrap();
        assert_eq!(store.reset_budgets().await.unwrap(), 0, "a period without an end gets one");
        let end = async || store.key(&hash(1)).await.unwrap().unwrap().budget_reset_at.unwrap();
        assert_eq!(end().await, time("2036-03-02T00:00:00Z"));

        // The clock was ten years ahead.
        clock.advance(time("2026-03-01T12:00:00Z") - clock.now());
        assert_eq!(store.reset_budgets().await.unwrap(), 0);
        assert_eq!(end().await, time("2026-03-02T00:00:00Z"));
        assert_eq!(store.key(&hash(1)).await.unwrap().unwrap().spend, 5.0);
        clock.advance(TimeDelta::days(1));
        assert_eq!(store.reset_budgets().await.unwrap(), 1);
        assert_eq!(store.reset_budgets().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn spend_and_changes_of_the_same_rows_do_not_hold_each_other_up() {
    for (_database, store) in stores().await {
        payers(&store).await;
        let spending = async {
            for turn in 0..30 {
                store.record_spend(&[call(&format!("r{turn}"), 1.0)]).await.unwrap();
            }
        };
        let changing = async {
            for turn in 0..30 {
                let changes = TeamChanges { rpm_limit: Change::Set(Some(turn)), ..TeamChanges::default() };
                store.update_team(&actor(), "t", changes).await.unwrap();
                let changes = KeyChanges { rpm_limit: Change::Set(Some(turn)), ..KeyChanges::default() };
                store.update_key(&actor(), &hash(1), changes).await.unwrap();
            }
        };
        tokio::join!(spending, changing);
        assert_eq!(paid(&store).await, [30.0; 6], "no change put an old sum back");
    }
}

#[tokio::test]
async fn each_day_is_summed_up_by_whose_calls_they_were() {
    for (_database, store) in stores().await {
        let at = |id: &str, day: &str, user: &str, status: &str| SpendRow {
            start_time: time(&format!("{day}T23:59:59Z")),
            user_id: Some(user.into()),
            status: Some(status.into()),
            total_tokens: 3,
            ..call(id, 0.5)
        };
        let batch = [
            at("a", "2026-03-01", "u", "success"),
            at("b", "2026-03-01", "u", "failure"),
            at("c", "2026-03-01", "v", "success"),
            at("d", "2026-03-02", "u", "success"),
        ];
        store.record_spend(&batch).await.unwrap();
        let of = |only: Option<&str>, except: &[&str]| ActivityOf {
            by: SpendBy::UserId,
            only: only.map(|id| vec![id.to_owned()]),
            except: except.iter().map(|id| (*id).to_owned()).collect(),
        };
        let asked = async |of: ActivityOf| {
            let rows = store.activity(&SpendFilter::default(), &of, 100).await.unwrap();
            rows.into_iter()
                .map(|row| (row.day, row.entity, row.calls, row.failures, row.total_tokens))
                .collect::<Vec<_>>()
        };
        let day = time("2026-03-01T00:00:00Z").timestamp() / 86_400;
        let (first, other, next) =
            ((day, "u".into(), 2, 1, 6), (day, "v".into(), 1, 0, 3), (day + 1, "u".into(), 1, 0, 3));
        assert_eq!(asked(of(None, &[])).await, [next, first, other.clone()]);
        assert_eq!(asked(of(Some("v"), &[])).await, std::slice::from_ref(&other));
        assert_eq!(asked(of(None, &["u"])).await, [other]);
        assert_eq!(store.activity(&SpendFilter::default(), &of(None, &[]), 1).await.unwrap().len(), 1);
        let since = SpendFilter { since: Some(time("2026-03-02T00:00:00Z")), ..SpendFilter::default() };
        assert_eq!(store.activity(&since, &of(None, &[]), 100).await.unwrap().len(), 1);
    }
}
