//! Something that somebody else issues for a while: an access token, keys of a role.
//!
//! One is kept until shortly before its end. Whoever needs one first fetches it, and the others wait for that. After a
//! failure nobody asks again for some seconds, so that a flood of calls does not become a flood of sign-ins.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long one is used at least, however soon it ends.
const SHORTEST: Duration = Duration::from_secs(10);

/// A longer time is not believed; whoever takes it says when it was right.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a failure stands for those who come later.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// A younger one is not given up: a server that refuses every one would have one fetched per request.
const YOUNG: Duration = Duration::from_secs(1);

/// What is kept, and who fetches it.
pub(super) struct Renewed<T> {
    kept: ArcSwapOption<Kept<T>>,
    /// Held by whoever fetches.
    fetching: Mutex<Option<Failure>>,
}

struct Kept<T> {
    value: T,
    since: Instant,
    until: Instant,
}

struct Failure {
    why: String,
    since: Instant,
}

impl Failure {
    fn stands(&self, now: Instant) -> bool {
        now < self.since + AFTER_FAILURE
    }
}

/// What somebody gave.
#[derive(Debug)]
pub(super) struct Issued<T> {
    pub(super) value: T,
    /// How long it is to be used.
    pub(super) lasts: Duration,
}

impl<T> Issued<T> {
    /// What ends in `ends_in`, and is not used any more for `spare` before that.
    pub(super) fn new(value: T, ends_in: Duration, spare: Duration) -> Self {
        Self { value, lasts: ends_in.min(LONGEST).saturating_sub(spare).max(SHORTEST) }
    }
}

impl<T: Clone> Renewed<T> {
    pub(super) fn none() -> Self {
        Self { kept: ArcSwapOption::empty(), fetching: Mutex::default() }
    }

    /// The one that is kept, if it can still be used.
    pub(super) fn good(&self) -> Option<T> {
        self.good_at(Instant::now())
    }

    fn good_at(&self, now: Instant) -> Option<T> {
        let kept = self.kept.load();
        kept.as_ref().filter(|kept| now < kept.until).map(|kept| kept.value.clone())
    }

    /// The one that is kept, or else what `issue` gives, or the failure of a moment ago.
    pub(super) async fn fetched(&self, issue: impl Future<Output = Result<Issued<T>, String>>) -> Result<T, String> {
        let mut failure = self.fetching.lock().await;
        if let Some(good) = self.good() {
            return Ok(good);
        }
        if let Some(failure) = failure.as_ref().filter(|failure| failure.stands(Instant::now())) {
            return Err(failure.why.clone());
        }
        match issue.await {
            Ok(Issued { value, lasts }) => {
                *failure = None;
                let now = Instant::now();
                self.kept.store(Some(Arc::new(Kept { value: value.clone(), since: now, until: now + lasts })));
                Ok(value)
            }
            Err(why) => {
                *failure = Some(Failure { why: why.clone(), since: Instant::now() });
                Err(why)
            }
        }
    }

    /// Gives up the one that is kept, if it is the one meant and not too young. Whether the next one is another.
    pub(super) fn give_up(&self, is_meant: impl Fn(&T) -> bool) -> bool {
        self.give_up_at(Instant::now(), is_meant)
    }

    fn give_up_at(&self, now: Instant, is_meant: impl Fn(&T) -> bool) -> bool {
        let kept = self.kept.load();
        let Some(current) = kept.as_ref().filter(|kept| is_meant(&kept.value)) else { return true };
        let is_old = now >= current.since + YOUNG;
        if is_old {
            // Unless another has come in between.
            self.kept.compare_and_swap(&*kept, None);
        }
        is_old
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Failure, Issued, Renewed};

    struct Issuer(AtomicU32);

    impl Issuer {
        async fn next(&self, ends_in: u64) -> Result<Issued<u32>, String> {
            tokio::task::yield_now().await;
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            Ok(Issued::new(number, Duration::from_secs(ends_in), Duration::from_secs(60)))
        }
    }

    fn after(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn one_is_fetched_for_all_and_not_used_to_its_end() {
        let (renewed, issuer) = (Renewed::none(), Issuer(AtomicU32::new(0)));
        let all = futures_util::future::join_all((0..9).map(|_| renewed.fetched(issuer.next(3600)))).await;
        assert!(all.iter().all(|one| *one == Ok(0)), "{all:?}");
        assert_eq!((renewed.good_at(after(3500)), renewed.good_at(after(3541))), (Some(0), None));
    }

    #[test]
    fn what_ends_soon_is_used_for_a_moment_and_what_never_ends_is_looked_at_again() {
        let lasts = |ends_in| Issued::new((), ends_in, Duration::from_secs(60)).lasts.as_secs();
        let cases = [(0, 10), (65, 10), (90, 30), (3600, 3540)];
        for (ends_in, expected) in cases {
            assert_eq!(lasts(Duration::from_secs(ends_in)), expected, "{ends_in}");
        }
        assert_eq!(lasts(Duration::MAX), 30 * 24 * 3600 - 60);
    }

    #[tokio::test]
    async fn a_failure_stands_for_a_while() {
        let renewed = Renewed::<u32>::none();
        let fails = |why: &'static str| std::future::ready(Err(why.to_owned()));
        assert_eq!(renewed.fetched(fails("away")).await, Err("away".to_owned()));
        assert_eq!(renewed.fetched(fails("asked again")).await, Err("away".to_owned()));
        let failure = Failure { why: String::new(), since: Instant::now() };
        assert!(failure.stands(after(4)) && !failure.stands(after(6)));
    }

    #[tokio::test]
    async fn the_one_that_was_refused_is_given_up_unless_it_is_new() {
        let (renewed, issuer) = (Renewed::none(), Issuer(AtomicU32::new(0)));
        assert!(renewed.give_up(|_| true), "there is none yet");
        let before = Instant::now();
        renewed.fetched(issuer.next(3600)).await.unwrap();
        assert!(!renewed.give_up_at(before, |kept| *kept == 0));
        assert!(renewed.give_up_at(after(1), |kept| *kept == 7), "it is another already");
        assert_eq!(renewed.good(), Some(0));
        assert!(renewed.give_up_at(after(1), |kept| *kept == 0));
        assert_eq!(renewed.good(), None);
    }
}
