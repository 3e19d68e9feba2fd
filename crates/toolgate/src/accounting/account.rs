//! What one of those who pay has used, and what they may.
//!
//! The amounts are those of the database at one moment (`known`), and what was settled here and is not in them yet
//! (`unwritten`). When a batch is written, its part leaves the second for the first, which then is what the database has,
//! with what other replicas have written. So a budget is never charged less than what this process knows of, and what
//! replicas do at the same time is seen within a batch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use toolgate_access::limits::budget::{Budget, BudgetExceeded};
use toolgate_access::limits::period::Period;
use toolgate_access::limits::rate::{Parallel, ParallelExceeded, RateExceeded, Window};
use toolgate_access::principal::{LimitFacts, TemporaryIncrease};
use toolgate_store::PayerKind;

use super::ledger::Reading;
use super::shared::{Part, Spent};

/// What a row may spend and how fast it may go, in the form that is judged.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Bounds {
    pub(super) max_budget: Option<f64>,
    pub(super) temporary: Option<TemporaryIncrease>,
    pub(super) soft_budget: Option<f64>,
    /// When the period ends, where there is one.
    pub(super) reset_at: Option<DateTime<Utc>>,
    pub(super) rpm: Option<u64>,
    pub(super) tpm: Option<u64>,
    pub(super) parallel: Option<u64>,
    /// By server's name or alias.
    pub(super) servers: BTreeMap<String, u64>,
}

impl Bounds {
    pub(super) fn of(facts: &LimitFacts) -> Self {
        let has_period = facts.budget_duration.as_deref().is_some_and(|text| text.parse::<Period>().is_ok());
        Self {
            max_budget: facts.max_budget,
            temporary: facts.temporary,
            soft_budget: facts.soft_budget,
            reset_at: facts.budget_reset_at.filter(|_| has_period),
            rpm: facts.rpm_limit,
            tpm: facts.tpm_limit,
            parallel: facts.max_parallel_requests,
            servers: facts.mcp_rpm_limit.clone(),
        }
    }

    pub(super) fn are_none(&self) -> bool {
        let Self { max_budget, temporary: _, soft_budget, reset_at: _, rpm, tpm, parallel, servers } = self;
        max_budget.is_none()
            && soft_budget.is_none()
            && rpm.is_none()
            && tpm.is_none()
            && parallel.is_none()
            && servers.is_empty()
    }

    /// What may be spent now.
    pub(super) fn max_budget_at(&self, now: DateTime<Utc>) -> Option<f64> {
        let more = self.temporary.filter(|more| more.until > now).map_or(0.0, |more| more.amount);
        self.max_budget.map(|max| max + more)
    }
}

/// A server, as `mcp_rpm_limit` may name it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) alias: Option<&'a str>,
}

impl Named<'_> {
    /// The limit for it, under the alias if that has one.
    pub(super) fn limit(self, limits: &BTreeMap<String, u64>) -> Option<(&str, u64)> {
        let of = |name: &str| limits.get_key_value(name).map(|(name, limit)| (name.as_str(), *limit));
        self.alias.and_then(of).or_else(|| of(self.name))
    }
}

/// A limit that is used up.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Exceeded {
    Requests(RateExceeded),
    Tokens(RateExceeded),
    Server { server: String, rate: RateExceeded },
    Parallel(ParallelExceeded),
    Budget { budget: BudgetExceeded, begins_anew: Option<DateTime<Utc>> },
}

/// What one of those who pay has used.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) kind: PayerKind,
    pub(super) id: Vec<String>,
    /// Held for a few computations only.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    requests: Window,
    tokens: Window,
    parallel: Parallel,
    /// By the names in `mcp_rpm_limit`.
    servers: BTreeMap<String, Window>,
    /// What the database had, and since when that is known.
    known: f64,
    reading: Reading,
    /// Settled here, and not in `known`.
    unwritten: f64,
    reserved: f64,
    /// What was spent in a period that is over, while the database has not begun the next, and when it ended.
    forgiven: Option<(DateTime<Utc>, f64)>,
    /// Somebody was told that the soft budget is used up.
    is_warned: bool,
    /// Rows were read, and those who share counts are to hear what they say: it may be less than anybody has told them.
    is_news: bool,
}

/// What this process holds of an account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Held {
    /// What the database has of what was spent.
    pub(super) known: f64,
    /// What is reserved or not written yet.
    pub(super) pending: f64,
    /// Calls that run.
    pub(super) running: u64,
}

/// What is to be told of a settled call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SoftBudgetReached {
    pub(super) spent: f64,
    pub(super) soft_budget: f64,
}

impl Account {
    pub(super) fn new(kind: PayerKind, id: Vec<String>) -> Self {
        Self { kind, id, state: Mutex::default() }
    }

    /// What the database says was spent, by rows that were read after `reading` was asked for.
    pub(super) fn read(&self, reading: Reading, spent: f64) {
        let mut state = self.lock();
        if reading > state.reading {
            state.is_news = true;
            state.reading = reading;
            state.known = spent;
        }
    }

    /// Takes a call's part of everything.
    ///
    /// # Errors
    /// [`Exceeded`]; then nothing is taken.
    pub(super) fn reserve(
        &self,
        bounds: &Bounds,
        server: Named<'_>,
        cost: f64,
        now: DateTime<Utc>,
    ) -> Result<(), Exceeded> {
        let mut state = self.lock();
        let state = &mut *state;
        state.look_at_minutes(bounds, server, now);
        let budget = state.budget(bounds, now).reserve(cost).map_err(|budget| {
            let begins_anew = bounds.reset_at.filter(|at| *at > now);
            Exceeded::Budget { budget, begins_anew }
        })?;
        let parallel = match bounds.parallel {
            Some(limit) => state.parallel.begin(limit).map_err(Exceeded::Parallel)?,
            None => Parallel { running: state.parallel.running + 1 },
        };
        if let Some(limit) = bounds.tpm {
            state.tokens.check(limit, now).map_err(Exceeded::Tokens)?;
        }
        let requests = match bounds.rpm {
            Some(limit) => state.requests.take(1, limit, now).map_err(Exceeded::Requests)?,
            None => state.requests,
        };
        if let Some((name, limit)) = server.limit(&bounds.servers) {
            let window = state.servers.get(name).copied().unwrap_or_default();
            let taken =
                window.take(1, limit, now).map_err(|rate| Exceeded::Server { server: name.to_owned(), rate })?;
            match state.servers.get_mut(name) {
                Some(window) => *window = taken,
                None => drop(state.servers.insert(name.to_owned(), taken)),
            }
        }
        (state.reserved, state.parallel, state.requests) = (budget.reserved, parallel, requests);
        Ok(())
    }

    /// Gives back all that a call took, because another account refused it.
    pub(super) fn give_back(&self, bounds: &Bounds, server: Named<'_>, cost: f64, now: DateTime<Utc>) {
        let mut state = self.lock();
        state.end(cost, 0.0);
        if bounds.rpm.is_some() {
            state.requests = state.requests.give_back(1, now);
        }
        if let Some((name, _)) = server.limit(&bounds.servers)
            && let Some(window) = state.servers.get_mut(name)
        {
            *window = window.give_back(1, now);
        }
    }

    /// What a call wants of it, where counts are shared.
    ///
    /// # Errors
    /// [`Exceeded`] for what no other replica need be asked about.
    pub(super) fn part(
        self: &Arc<Self>,
        bounds: &Bounds,
        server: Named<'_>,
        cost: f64,
        now: DateTime<Utc>,
    ) -> Result<Part, Exceeded> {
        let mut state = self.lock();
        if let Some(limit) = bounds.tpm {
            state.tokens.check(limit, now).map_err(Exceeded::Tokens)?;
        }
        // Until the database begins the next period, each replica knows for itself what is spent in it.
        let is_over = bounds.reset_at.is_some_and(|end| end <= now);
        let budget = state.budget(bounds, now);
        if is_over {
            budget.reserve(cost).map_err(|budget| Exceeded::Budget { budget, begins_anew: None })?;
        }
        Ok(Part {
            account: Arc::clone(self),
            budget: budget.max.filter(|_| !is_over),
            known: state.known,
            parallel: bounds.parallel,
            rpm: bounds.rpm,
            server: server.limit(&bounds.servers).map(|(name, limit)| (name.to_owned(), limit)),
        })
    }

    /// Notes a call's part of everything, which others have allowed.
    pub(super) fn take(&self, bounds: &Bounds, server: Named<'_>, cost: f64, now: DateTime<Utc>) {
        let mut state = self.lock();
        state.reserved += cost;
        state.parallel.running += 1;
        if bounds.rpm.is_some() {
            state.requests = state.requests.add(1, now);
        }
        if let Some((name, _)) = server.limit(&bounds.servers) {
            let window = state.servers.get(name).copied().unwrap_or_default().add(1, now);
            state.servers.insert(name.to_owned(), window);
        }
    }

    /// What this process holds of it.
    pub(super) fn held(&self) -> Held {
        let state = self.lock();
        let pending = state.unwritten + state.reserved;
        Held { known: state.known, pending, running: state.parallel.running }
    }

    /// What the database has, if those who share counts must hear of it, and have not.
    pub(super) fn take_news(&self) -> Option<Spent> {
        let mut state = self.lock();
        std::mem::take(&mut state.is_news).then_some(Spent { amount: state.known, anew: true })
    }

    /// A call has ended, and cost what it cost.
    pub(super) fn settle(
        &self,
        bounds: &Bounds,
        reserved: f64,
        cost: f64,
        now: DateTime<Utc>,
    ) -> Option<SoftBudgetReached> {
        let mut state = self.lock();
        state.end(reserved, cost);
        let soft_budget = bounds.soft_budget?;
        let spent = state.budget(bounds, now).spent;
        let is_reached = spent >= soft_budget;
        let is_new = is_reached && !state.is_warned;
        state.is_warned = is_reached;
        is_new.then_some(SoftBudgetReached { spent, soft_budget })
    }

    /// `amount` of what was settled is in the database now, which has `spent` in all; where that is not known, it is
    /// what it was and the amount.
    pub(super) fn written(&self, amount: f64, spent: Option<f64>, reading: Reading) {
        let mut state = self.lock();
        // Sums in another order differ in the last digits, and what is left of them is nobody's debt.
        let rest = state.unwritten - amount;
        state.unwritten = if rest.abs() < 1e-9 { 0.0 } else { rest.max(0.0) };
        state.known = spent.unwrap_or(state.known + amount);
        state.reading = state.reading.max(reading);
    }

    /// Whether it holds nothing that would be missed.
    pub(super) fn is_idle(&self, now: DateTime<Utc>) -> bool {
        let state = self.lock();
        let is_past = |window: &Window| window.at(now).used == 0;
        state.unwritten == 0.0
            && state.reserved == 0.0
            && state.parallel.running == 0
            && is_past(&state.requests)
            && is_past(&state.tokens)
            && state.servers.values().all(is_past)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned one still holds a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Also a refusal must see the minute: a clock that went back would else be waited for.
    fn look_at_minutes(&mut self, bounds: &Bounds, server: Named<'_>, now: DateTime<Utc>) {
        (self.requests, self.tokens) = (self.requests.at(now), self.tokens.at(now));
        if let Some((name, _)) = server.limit(&bounds.servers)
            && let Some(window) = self.servers.get_mut(name)
        {
            *window = window.at(now);
        }
    }

    /// The budget as it stands. A period that is over is over at once: the database may begin the next one later.
    fn budget(&mut self, bounds: &Bounds, now: DateTime<Utc>) -> Budget {
        let spent = self.known + self.unwritten;
        match (bounds.reset_at.filter(|at| *at <= now), self.forgiven) {
            (Some(ended), Some((known, _))) if ended == known => {}
            (Some(ended), _) => {
                self.forgiven = Some((ended, spent));
                self.is_warned = false;
            }
            (None, _) => self.forgiven = None,
        }
        let forgiven = self.forgiven.map_or(0.0, |(_, amount)| amount);
        Budget { max: bounds.max_budget_at(now), spent: (spent - forgiven).max(0.0), reserved: self.reserved }
    }

    fn end(&mut self, reserved: f64, cost: f64) {
        let settled = Budget { max: None, spent: self.unwritten, reserved: self.reserved }.settle(reserved, cost);
        (self.unwritten, self.reserved) = (settled.spent, settled.reserved);
        self.parallel = self.parallel.end();
    }
}

#[cfg(test)]
mod tests;
