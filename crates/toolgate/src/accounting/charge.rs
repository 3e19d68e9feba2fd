//! A call that runs, with all that it has taken.

use std::fmt::Display;

use toolgate_store::PayerKind;

use super::account::Named;
use super::payers::{Noun, Payers};
use super::record::{Call, Outcome, Record};
use super::{Accounting, Refused};
use crate::config::settings::ServerSettings;
use std::sync::Arc;

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
    pub(super) fn begin(accounting: &Accounting, payers: &Arc<Payers>, call: &Call<'_>) -> Result<Self, Refused> {
        let now = accounting.now();
        let price = call.server.costs.of(call.tool);
        let server = named(call.server);
        let parts = &accounting.0;
        let with_bodies = parts.settings.load().store_prompts;
        let record = |with_bodies| Box::new(Record::begin(payers, call, with_bodies, now));
        for (at, bounded) in payers.bounded.iter().enumerate() {
            if bounded.bounds.reset_at.is_some_and(|end| end <= now) {
                parts.ledger.due.notify_one();
            }
            let Err(exceeded) = bounded.account.reserve(&bounded.bounds, server, price, now) else { continue };
            for earlier in &payers.bounded[..at] {
                earlier.account.give_back(&earlier.bounds, server, price, now);
            }
            let refused = Refused::new(bounded.account.kind, bounded.name.clone(), exceeded, now);
            parts.metrics.limit_refused(refused.limit(), refused.of());
            if let Some(journal) = parts.journal.as_ref().filter(|journal| journal.has_room_to_spare()) {
                let mut record = record(with_bodies);
                record.fail(&refused);
                record.end(Outcome::Limited, 0.0);
                journal.push(accounting, record);
            }
            return Err(refused);
        }
        Ok(Self { accounting: accounting.clone(), price, record: Some(record(with_bodies)) })
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
            parts.metrics.spent(&record.server().name, cost);
        }
        if let Some(journal) = &parts.journal {
            journal.push(&self.accounting, record);
        }
    }
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
