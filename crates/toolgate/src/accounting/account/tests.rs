use proptest::prelude::*;

use super::*;

const FILES: Named<'static> = Named { name: "files", alias: Some("f") };
const CLOCK: Named<'static> = Named { name: "clock", alias: None };

fn account() -> Account {
    Account::new(PayerKind::Key, vec!["k".to_owned()])
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).unwrap()
}

fn budget(max: f64) -> Bounds {
    Bounds { max_budget: Some(max), ..Bounds::default() }
}

/// As many calls as are let through, all running at once.
fn begun(account: &Account, bounds: &Bounds, cost: f64, tries: usize) -> usize {
    (0..tries).filter(|_| account.reserve(bounds, FILES, cost, at(0)).is_ok()).count()
}

#[test]
fn calls_at_once_spend_no_more_than_there_is_and_what_fails_is_given_back() {
    let (account, bounds) = (account(), budget(1.0));
    assert_eq!(begun(&account, &bounds, 0.1, 100), 10);
    account.settle(&bounds, 0.1, 0.0, at(0));
    assert_eq!(begun(&account, &bounds, 0.1, 100), 1);
    for _ in 0..10 {
        account.settle(&bounds, 0.1, 0.1, at(0));
    }
    assert_eq!(begun(&account, &bounds, 0.0, 1), 0, "what is used up refuses calls that cost nothing too");
}

#[test]
fn a_refusal_of_one_limit_takes_nothing_of_the_others() {
    let account = account();
    let bounds = Bounds {
        parallel: Some(1),
        rpm: Some(2),
        servers: BTreeMap::from([("f".to_owned(), 1), ("files".to_owned(), 9)]),
        ..budget(1.0)
    };
    account.reserve(&bounds, FILES, 0.5, at(0)).unwrap();
    for _ in 0..5 {
        assert!(matches!(account.reserve(&bounds, FILES, 0.5, at(0)), Err(Exceeded::Parallel(_))));
    }
    account.settle(&bounds, 0.5, 0.5, at(0));
    for _ in 0..5 {
        let refused = account.reserve(&bounds, FILES, 0.5, at(0));
        assert!(matches!(refused, Err(Exceeded::Server { server, .. }) if server == "f"), "the alias counts");
    }
    account.reserve(&bounds, CLOCK, 0.25, at(0)).unwrap();
    account.give_back(&bounds, CLOCK, 0.25, at(0));
    account.reserve(&bounds, CLOCK, 0.25, at(0)).unwrap();
    account.settle(&bounds, 0.25, 0.25, at(0));
    assert!(matches!(account.reserve(&bounds, CLOCK, 0.0, at(0)), Err(Exceeded::Requests(_))));
    let next_minute = account.reserve(&bounds, CLOCK, 0.3, at(60));
    assert!(matches!(next_minute, Err(Exceeded::Budget { .. })), "{next_minute:?}");
    account.reserve(&bounds, CLOCK, 0.25, at(60)).unwrap();
}

#[test]
fn tokens_that_were_not_used_are_no_limit_but_none_at_all_are() {
    let none = Bounds { tpm: Some(0), ..Bounds::default() };
    assert!(matches!(account().reserve(&none, FILES, 0.0, at(0)), Err(Exceeded::Tokens(_))));
    let some = Bounds { tpm: Some(10), ..Bounds::default() };
    account().reserve(&some, FILES, 0.0, at(0)).unwrap();
}

#[test]
fn what_others_wrote_counts_and_what_was_written_counts_once() {
    let (account, bounds) = (account(), budget(1.0));
    account.read(Reading::number(1), 0.5);
    account.reserve(&bounds, FILES, 0.25, at(0)).unwrap();
    account.settle(&bounds, 0.25, 0.25, at(0));
    // The batch with that call finds that a replica has spent 0.1 as well.
    account.written(0.25, Some(0.85), Reading::number(5));
    assert_eq!(begun(&account, &bounds, 0.1, 3), 1);
    account.settle(&bounds, 0.1, 0.0, at(0));
    // Rows that were read before the batch was written are older than what is known.
    account.read(Reading::number(4), 0.5);
    assert_eq!(begun(&account, &bounds, 0.1, 3), 1);
    account.settle(&bounds, 0.1, 0.0, at(0));
    // An admin has forgiven some.
    account.read(Reading::number(6), 0.0);
    assert_eq!(begun(&account, &bounds, 0.1, 20), 10);
}

#[test]
fn a_batch_that_was_written_before_moves_its_part_all_the_same() {
    let (account, bounds) = (account(), budget(1.0));
    account.reserve(&bounds, FILES, 0.5, at(0)).unwrap();
    account.settle(&bounds, 0.5, 0.5, at(0));
    account.written(0.5, None, Reading::number(2));
    assert_eq!(begun(&account, &bounds, 0.25, 9), 2);
}

#[test]
fn a_period_that_is_over_is_over_at_once_and_only_once() {
    let account = account();
    let ending = |second| Bounds { reset_at: Some(at(second)), ..budget(1.0) };
    account.read(Reading::number(1), 1.0);
    let exceeded = account.reserve(&ending(100), FILES, 0.5, at(99)).unwrap_err();
    assert!(matches!(exceeded, Exceeded::Budget { begins_anew: Some(end), .. } if end == at(100)), "{exceeded:?}");
    // The database has not begun the next one yet.
    account.reserve(&ending(100), FILES, 0.5, at(100)).unwrap();
    account.settle(&ending(100), 0.5, 0.5, at(100));
    account.reserve(&ending(100), FILES, 0.5, at(101)).unwrap();
    account.settle(&ending(100), 0.5, 0.5, at(101));
    account.reserve(&ending(100), FILES, 0.5, at(102)).unwrap_err();
    // It has begun, and what was spent since is written.
    account.read(Reading::number(2), 0.0);
    account.written(1.0, Some(1.0), Reading::number(3));
    account.reserve(&ending(200), FILES, 0.5, at(103)).unwrap_err();
    account.reserve(&ending(200), FILES, 0.5, at(200)).unwrap();
}

#[test]
fn a_clock_that_goes_back_does_not_forgive_what_was_spent() {
    let account = account();
    let bounds = Bounds { reset_at: Some(at(100)), ..budget(1.0) };
    account.read(Reading::number(1), 1.0);
    account.reserve(&bounds, FILES, 0.5, at(1_000)).unwrap();
    account.settle(&bounds, 0.5, 0.0, at(1_000));
    account.reserve(&bounds, FILES, 0.5, at(50)).unwrap_err();
}

#[test]
fn what_may_be_spent_for_a_time_may_be_spent_until_then() {
    let account = account();
    let temporary = TemporaryIncrease { amount: 0.5, until: at(100) };
    let bounds = Bounds { temporary: Some(temporary), ..budget(1.0) };
    account.read(Reading::number(1), 1.0);
    account.reserve(&bounds, FILES, 0.25, at(99)).unwrap();
    account.settle(&bounds, 0.25, 0.25, at(99));
    account.reserve(&bounds, FILES, 0.25, at(100)).unwrap_err();
    assert!(Bounds { temporary: Some(temporary), ..Bounds::default() }.are_none(), "more than no bound is no bound");
}

#[test]
fn a_clock_that_goes_back_locks_no_minute_for_longer_than_one() {
    let account = account();
    let servers = BTreeMap::from([("clock".to_owned(), 1)]);
    for bounds in [Bounds { rpm: Some(1), ..Bounds::default() }, Bounds { servers, ..Bounds::default() }] {
        account.reserve(&bounds, CLOCK, 0.0, at(6_000)).unwrap();
        account.reserve(&bounds, CLOCK, 0.0, at(60)).unwrap_err();
        account.reserve(&bounds, CLOCK, 0.0, at(120)).unwrap();
    }
}

#[test]
fn a_soft_budget_is_told_of_once() {
    let account = account();
    let bounds = Bounds { soft_budget: Some(0.2), ..Bounds::default() };
    let told: Vec<bool> = (0..4)
        .map(|_| {
            account.reserve(&bounds, FILES, 0.1, at(0)).unwrap();
            account.settle(&bounds, 0.1, 0.1, at(0)).is_some()
        })
        .collect();
    assert_eq!(told, [false, true, false, false]);
}

#[test]
fn an_account_is_idle_when_nothing_of_it_would_be_missed() {
    let (account, bounds) = (account(), Bounds { rpm: Some(5), ..budget(1.0) });
    assert!(account.is_idle(at(0)));
    account.reserve(&bounds, FILES, 0.5, at(0)).unwrap();
    assert!(!account.is_idle(at(300)));
    account.settle(&bounds, 0.5, 0.5, at(0));
    account.written(0.5, Some(0.5), Reading::number(1));
    assert!(!account.is_idle(at(30)), "the minute is not over");
    assert!(account.is_idle(at(60)));
}

proptest! {
    /// Whatever order calls end in and batches are written in, what was let through never costs more than there is.
    #[test]
    fn no_order_of_events_spends_more_than_there_is(
        max in 0u32..30,
        events in proptest::collection::vec((0u8..4, 1u32..6, any::<bool>()), 0..120),
    ) {
        let (account, bounds) = (account(), budget(f64::from(max)));
        let (mut running, mut unwritten, mut database, mut reading) = (Vec::new(), Vec::new(), 0.0f64, 1u64);
        for (event, cost, succeeds) in events {
            let cost = f64::from(cost);
            reading += 1;
            match event {
                0 | 1 => running.extend(account.reserve(&bounds, FILES, cost, at(0)).ok().map(|()| cost)),
                2 => if let Some(reserved) = running.pop() {
                    let cost = if succeeds { reserved } else { 0.0 };
                    account.settle(&bounds, reserved, cost, at(0));
                    unwritten.push(cost);
                },
                _ => {
                    let amount: f64 = unwritten.drain(..).sum();
                    database += amount;
                    account.written(amount, succeeds.then_some(database), Reading::number(reading));
                }
            }
            let spent = database + unwritten.iter().sum::<f64>() + running.iter().sum::<f64>();
            prop_assert!(spent <= f64::from(max) + 1e-6, "{spent} of {max}");
        }
    }
}
