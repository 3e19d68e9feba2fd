//! A call that runs, with all that it has taken.

use std::fmt::Display;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use toolgate_access::limits::budget::BudgetExceeded;
use toolgate_access::limits::rate::{ParallelExceeded, RateExceeded};
use toolgate_store::PayerKind;

use super::account::{Bounds, Exceeded, Named};
use super::payers::{Bounded, Noun, Payers};
use super::record::{Call, Outcome, Record};
use super::shared::{Given, Shared, Taken, UsedUp};
use super::{Accounting, Refused};
use crate::config::settings::ServerSettings;

/// What a call has taken of limits and budgets. Dropped before it is settled, the call was cancelled and costs nothing.
#[must_use]
pub struct Charge {
    accounting: Accounting,
    /// What the call will cost if it succeeds.
    price: f64,
    /// `None` once it is settled.
    record: Option<Box<Record>>,
}

/// How a call ended.
pub struct Ended<'a> {
    /// How.
    pub outcome: Outcome,
    /// The result as JSON text, if all of it is there.
    pub result: Option<&'a str>,
    /// What went wrong.
    pub error: Option<&'a dyn Display>,
}

impl Charge {
    /// Begins a call within what this process knows.
    pub(super) fn begin(accounting: &Accounting, payers: &Arc<Payers>, call: &Call<'_>) -> Result<Self, Refused> {
        let wish = Wish::new(accounting, payers, call);
        for (at, bounded) in payers.bounded.iter().enumerate() {
            wish.look_at_period(bounded);
            let reserved = bounded.account.reserve(&bounded.bounds, wish.server, wish.price, wish.now);
            let Err(exceeded) = reserved else { continue };
            for earlier in &payers.bounded[..at] {
                earlier.account.give_back(&earlier.bounds, wish.server, wish.price, wish.now);
            }
            return Err(wish.refused(bounded, exceeded));
        }
        Ok(wish.granted())
    }

    /// Begins a call within what all replicas know; within what this one does when they cannot be asked.
    pub(super) async fn begin_shared(
        accounting: &Accounting,
        shared: &Shared,
        payers: &Arc<Payers>,
        call: &Call<'_>,
    ) -> Result<Self, Refused> {
        let wish = Wish::new(accounting, payers, call);
        let mut parts = Vec::with_capacity(payers.bounded.len());
        for bounded in &payers.bounded {
            wish.look_at_period(bounded);
            match bounded.account.part(&bounded.bounds, wish.server, wish.price, wish.now) {
                Ok(part) => parts.push(part),
                Err(exceeded) => return Err(wish.refused(bounded, exceeded)),
            }
        }
        let over = match shared.take(wish.price, parts.into()).await {
            Taken::All => None,
            Taken::Refused(over) => Some(over),
            Taken::Alone => {
                accounting.0.metrics.counted_alone();
                return Self::begin(accounting, payers, call);
            }
        };
        if let Some((over, bounded)) = over.and_then(|over| payers.bounded.get(over.part).map(|of| (over, of))) {
            return Err(wish.refused(bounded, wish.exceeded(over.what, &bounded.bounds)));
        }
        for bounded in &payers.bounded {
            bounded.account.take(&bounded.bounds, wish.server, wish.price, wish.now);
        }
        Ok(wish.granted())
    }

    /// The call has ended. Only a success costs anything.
    pub fn settle(mut self, ended: &Ended<'_>) {
        let Some(mut record) = self.record.take() else { return };
        if let Some(error) = ended.error {
            record.fail(error);
        }
        if let Some(result) = ended.result.filter(|_| self.accounting.0.settings.load().store_prompts) {
            record.answer(result);
        }
        let cost = if ended.outcome == Outcome::Success { self.price } else { 0.0 };
        self.close(record, ended.outcome, cost);
    }

    fn close(&self, mut record: Box<Record>, outcome: Outcome, cost: f64) {
        record.end(outcome, cost);
        let parts = &self.accounting.0;
        if !record.payers.are_unbounded() {
            let now = self.accounting.now();
            for bounded in &record.payers.bounded {
                if let Some(soft) = bounded.account.settle(&bounded.bounds, self.price, cost, now) {
                    warn(bounded.account.kind, &bounded.name, soft.spent, soft.soft_budget);
                }
            }
        }
        if cost > 0.0 {
            parts.metrics.spent(record.payers.labels(), &record.server().name, record.tool(), cost);
        }
        if let Some(shared) = &parts.shared {
            let rest = self.price - cost;
            shared.give(record.payers.bounded.iter().filter_map(|bounded| given(bounded, rest)).collect());
        }
        if let Some(journal) = &parts.journal {
            journal.push(&self.accounting, record);
        }
    }
}

/// A call that is to begin.
struct Wish<'a> {
    accounting: &'a Accounting,
    payers: &'a Arc<Payers>,
    call: &'a Call<'a>,
    server: Named<'a>,
    price: f64,
    now: DateTime<Utc>,
}

impl<'a> Wish<'a> {
    fn new(accounting: &'a Accounting, payers: &'a Arc<Payers>, call: &'a Call<'a>) -> Self {
        let price = call.server.costs.of(call.tool);
        Self { accounting, payers, call, server: named(call.server), price, now: accounting.now() }
    }

    /// Has a period ended that is over.
    fn look_at_period(&self, bounded: &Bounded) {
        if bounded.bounds.reset_at.is_some_and(|end| end <= self.now) {
            self.accounting.0.ledger.due.notify_one();
        }
    }

    fn granted(self) -> Charge {
        Charge { accounting: self.accounting.clone(), price: self.price, record: Some(self.record()) }
    }

    /// What all replicas together have used up, in the words of one that counts alone.
    fn exceeded(&self, what: UsedUp, bounds: &Bounds) -> Exceeded {
        match what {
            UsedUp::Budget { current_cost } => {
                let max_budget = bounds.max_budget_at(self.now).unwrap_or_default();
                let begins_anew = bounds.reset_at.filter(|at| *at > self.now);
                let budget = BudgetExceeded { current_cost, max_budget, amount: self.price };
                Exceeded::Budget { budget, begins_anew }
            }
            UsedUp::Parallel => Exceeded::Parallel(ParallelExceeded { limit: bounds.parallel.unwrap_or_default() }),
            UsedUp::Requests { retry_after } => {
                Exceeded::Requests(RateExceeded { limit: bounds.rpm.unwrap_or_default(), retry_after })
            }
            UsedUp::Server { retry_after } => {
                let (name, limit) = self.server.limit(&bounds.servers).unwrap_or((self.server.name, 0));
                Exceeded::Server { server: name.to_owned(), rate: RateExceeded { limit, retry_after } }
            }
        }
    }

    /// Counts the refusal, and writes it down where there is room for it.
    fn refused(&self, bounded: &Bounded, exceeded: Exceeded) -> Refused {
        let parts = &self.accounting.0;
        let refused = Refused::new(bounded.account.kind, bounded.name.clone(), exceeded, self.now);
        parts.metrics.limit_refused(refused.limit(), refused.of());
        if let Some(journal) = parts.journal.as_ref().filter(|journal| journal.has_room_to_spare()) {
            let mut record = self.record();
            record.fail(&refused);
            record.end(Outcome::Limited, 0.0);
            journal.push(self.accounting, record);
        }
        refused
    }

    fn record(&self) -> Box<Record> {
        let with_bodies = self.accounting.0.settings.load().store_prompts;
        Box::new(Record::begin(self.payers, self.call, with_bodies, self.now))
    }
}

/// What is given back of a call that has ended, where counts are shared.
fn given(bounded: &Bounded, rest: f64) -> Option<Given> {
    let money = if bounded.bounds.max_budget.is_some() { rest } else { 0.0 };
    let is_something = money > 0.0 || bounded.bounds.parallel.is_some();
    is_something.then(|| Given { money, ended: 1, ..Given::nothing(Arc::clone(&bounded.account)) })
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            self.close(record, Outcome::Cancelled, 0.0);
        }
    }
}

fn named(server: &ServerSettings) -> Named<'_> {
    Named { name: &server.name, alias: server.alias.as_deref() }
}

fn warn(kind: PayerKind, name: &str, spent: f64, soft_budget: f64) {
    let noun = Noun(kind);
    tracing::warn!(spent, soft_budget, "the soft budget of the {noun} {name} is reached");
}
