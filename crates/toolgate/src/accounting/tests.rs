//! Clocks that jump, with a real database behind.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::TimeDelta;
use toolgate_access::key::KeyHash;
use toolgate_store::{Actor, Database, Direction, Key, KeyRing, PageOf, SpendFilter, SpendRow, Store, StoreSettings};

use super::*;
use crate::config::settings::{CallCosts, ServerSettings};
use crate::upstream::testing::http_server;

const KEY: [u8; 32] = [7; 32];

/// One key, in a database whose clock is the accounting's.
struct Scene {
    clock: Arc<AtomicI64>,
    store: Store,
    accounting: Accounting,
    server: Arc<ServerSettings>,
}

impl Scene {
    /// It is noon on the first of March; a call costs half a dollar.
    async fn new(key: Key) -> Self {
        let seconds = Arc::new(AtomicI64::new(time("2026-03-01T12:00:00Z").timestamp()));
        let clock: Clock = {
            let seconds = Arc::clone(&seconds);
            Arc::new(move || DateTime::from_timestamp(seconds.load(Ordering::SeqCst), 0).unwrap())
        };
        let settings = StoreSettings::new(Database::Memory, KeyRing::new("key".into(), vec![]));
        let store = Store::open(StoreSettings { clock: clock.clone(), ..settings }).await.unwrap();
        store.create_key(&Actor::default(), Key { token: KeyHash::from(KEY).to_hex(), ..key }).await.unwrap();
        store.reset_budgets().await.unwrap();
        let metrics = Metrics::new();
        let accounting = Accounting::with_clock(SpendSettings::default(), Some(store.clone()), &metrics, clock);
        let costs = CallCosts { default: 0.5, ..CallCosts::default() };
        let server = Arc::new(ServerSettings { costs, ..http_server("files", "http://127.0.0.1:1/mcp") });
        Self { clock: seconds, store, accounting, server }
    }

    fn set(&self, text: &str) {
        self.clock.store(time(text).timestamp(), Ordering::SeqCst);
    }

    fn advance(&self, by: TimeDelta) {
        self.clock.fetch_add(by.num_seconds(), Ordering::SeqCst);
    }

    /// Who pays, by the rows as they are.
    async fn payers(&self) -> Arc<Payers> {
        let reading = self.accounting.reading();
        let found = self.store.authorization(&KeyHash::from(KEY)).await.unwrap().unwrap();
        self.accounting.payers(&found.principal().unwrap(), reading)
    }

    /// A call, which succeeds if it is let through.
    async fn call(&self) -> Result<(), Refused> {
        let call = Call { server: &self.server, tool: "read", arguments: None, session: None, from: None };
        let charge = self.accounting.begin(&self.payers().await, &call).await?.expect("a database is there");
        charge.settle(&Ended { outcome: Outcome::Success, result: None, error: None });
        Ok(())
    }

    async fn key(&self) -> Key {
        self.store.key(&KeyHash::from(KEY)).await.unwrap().unwrap()
    }

    async fn until(&self, is_so: impl AsyncFn() -> bool) {
        let waiting = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it becomes so");
    }
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn retry_s(refused: &Refused) -> u64 {
    refused.retry_after().expect("time helps").as_secs()
}

#[tokio::test]
async fn a_clock_that_goes_back_opens_nothing_and_locks_nothing_for_longer_than_a_minute() {
    let scene = Scene::new(Key { rpm_limit: Some(2), ..Key::default() }).await;
    let used_up = async |scene: &Scene| {
        let refused = scene.call().await.expect_err("the minute is used up");
        assert!((1..=60).contains(&retry_s(&refused)), "{refused}");
    };
    for back in ["2026-03-01T11:59:59Z", "2016-03-01T12:00:30Z"] {
        scene.call().await.unwrap();
        scene.call().await.unwrap();
        used_up(&scene).await;
        scene.set(back);
        used_up(&scene).await;
        scene.advance(TimeDelta::seconds(60));
    }
    // Forwards it is another minute, and only once.
    scene.set("2036-01-01T00:00:00Z");
    scene.call().await.unwrap();
    scene.call().await.unwrap();
    used_up(&scene).await;
    scene.set("2026-03-01T12:30:00Z");
    used_up(&scene).await;
    scene.advance(TimeDelta::seconds(60));
    scene.call().await.unwrap();
}

#[tokio::test]
async fn a_clock_that_jumps_forgives_no_budget_twice_and_holds_none_for_ever() {
    let budget = Key { max_budget: Some(1.0), budget_duration: Some("1d".into()), ..Key::default() };
    let scene = Scene::new(budget).await;
    scene.accounting.start();
    scene.call().await.unwrap();
    scene.call().await.unwrap();
    let refused = scene.call().await.unwrap_err();
    assert!(refused.is_budget() && retry_s(&refused) <= 86_400, "{refused}");
    scene.until(async || scene.key().await.spend == 1.0).await;

    scene.set("2016-03-01T12:00:00Z");
    scene.call().await.expect_err("what was spent is spent, however early it is");

    // Forwards the period is over, and the database begins the next one because a call has seen that.
    scene.set("2036-03-01T12:00:00Z");
    scene.call().await.unwrap();
    scene.until(async || scene.key().await.budget_reset_at == Some(time("2036-03-02T00:00:00Z"))).await;
    scene.until(async || scene.key().await.spend == 0.5).await;

    // Back again that period ends when one does that begins now, and until then holds what was spent in it.
    scene.set("2026-03-01T13:00:00Z");
    scene.store.reset_budgets().await.unwrap();
    scene.call().await.unwrap();
    let refused = scene.call().await.unwrap_err();
    assert!(retry_s(&refused) <= 86_400, "{refused}");
    scene.until(async || scene.key().await.spend == 1.0).await;
    scene.set("2026-03-02T00:00:00Z");
    scene.call().await.unwrap();
    scene.accounting.close(Duration::from_secs(30)).await;
}

#[tokio::test]
async fn calls_are_written_down_whatever_the_clock_does_and_none_ends_before_it_began() {
    let scene = Scene::new(Key::default()).await;
    scene.accounting.start();
    let call = Call { server: &scene.server, tool: "read", arguments: None, session: None, from: None };
    let payers = scene.payers().await;
    for now in ["2026-03-01T12:00:00Z", "1969-12-31T23:59:59Z", "2999-01-01T00:00:00Z", "2026-03-01T12:00:01Z"] {
        scene.set(now);
        let charge = scene.accounting.begin(&payers, &call).await.unwrap().unwrap();
        scene.advance(TimeDelta::days(-1));
        charge.settle(&Ended { outcome: Outcome::Success, result: None, error: None });
    }
    scene.accounting.close(Duration::from_secs(30)).await;
    let page = scene.store.spend_logs(&SpendFilter::default(), Direction::Ascending, PageOf::new(1, 9)).await.unwrap();
    let ends_in_time = |row: &SpendRow| row.end_time >= row.start_time && row.request_duration_ms >= Some(0);
    assert_eq!((page.total, page.items.iter().filter(|row| ends_in_time(row)).count()), (4, 4), "{:?}", page.items);
    assert_eq!(scene.key().await.spend, 2.0);
}
