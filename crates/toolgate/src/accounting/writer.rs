//! Writes calls down in batches, off the path of every call.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use toolgate_store::{PayerKind, Recorded, SpendRow, Store, StoreError};

use super::Accounting;
use super::account::Account;
use super::journal::Journal;
use super::payers::Payers;
use super::record::Record;
use super::shared::{Given, Spent};

/// How long the calls of a batch gather after the first.
const GATHER: Duration = Duration::from_millis(250);

/// Calls in one transaction.
const BATCH: usize = 1_000;

/// How long is waited before a batch that the database did not take is written again.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Writes until it is told to close, and then what is left.
pub(super) async fn run(accounting: Accounting, mut waiting: mpsc::Receiver<Box<Record>>, closing: CancellationToken) {
    let Some(journal) = &accounting.0.journal else { return };
    let mut records = Vec::new();
    loop {
        tokio::select! {
            _ = waiting.recv_many(&mut records, 1) => {}
            () = journal.summed.notified() => {}
            () = closing.cancelled() => {}
        }
        tokio::select! {
            () = tokio::time::sleep(GATHER) => {}
            () = closing.cancelled() => {}
        }
        loop {
            while records.len() < BATCH
                && let Ok(record) = waiting.try_recv()
            {
                records.push(record);
            }
            let batch = Batch::of(journal, &mut records);
            if batch.rows.is_empty() {
                break;
            }
            journal.writing.store(batch.rows.len(), Ordering::Relaxed);
            batch.write(&accounting, journal).await;
            journal.writing.store(0, Ordering::Relaxed);
            accounting.0.metrics.spend_queue(journal.depth());
        }
        if closing.is_cancelled() {
            return;
        }
    }
}

/// Calls that are written together.
struct Batch {
    rows: Vec<SpendRow>,
    /// Rows of them that hold sums.
    sums: Vec<String>,
    /// Who pays what for them.
    paid: Vec<(Arc<Payers>, f64)>,
}

impl Batch {
    #[expect(clippy::vec_box, reason = "they come in boxes, and are taken out of them one by one")]
    fn of(journal: &Journal, records: &mut Vec<Box<Record>>) -> Self {
        let (mut rows, mut paid) = (Vec::with_capacity(records.len()), Vec::new());
        for record in records.drain(..) {
            journal.forget_bodies(record.body_bytes());
            if record.cost > 0.0 {
                paid.push((Arc::clone(&record.payers), record.cost));
            }
            rows.push(record.into_row(journal.next_id()));
        }
        let mut sums = Vec::new();
        for sum in journal.take_sums() {
            let row = sum.to_row(journal.next_id());
            sums.push(row.request_id.clone());
            rows.push(row);
            paid.push((sum.payers, sum.cost));
        }
        Self { rows, sums, paid }
    }

    /// Writes it however long that takes. A batch whose outcome is not known is written again under the same ids, and
    /// what is there already adds nothing.
    async fn write(self, accounting: &Accounting, journal: &Journal) {
        let (store, metrics) = (&journal.store, &accounting.0.metrics);
        let mut pause = RETRY.0;
        let began = Instant::now();
        let mut is_told = false;
        let recorded = loop {
            match self.record(accounting, store).await {
                Ok(recorded) => break recorded,
                Err(error) if error.is_retryable() => {
                    metrics.spend_write_failed();
                    metrics.spend_queue(journal.depth());
                    if !is_told {
                        tracing::error!(%error, "calls cannot be written down for now; they are kept and tried again");
                        is_told = true;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY.1);
                }
                Err(error) => break one_by_one(&self.rows, accounting, journal, &error).await,
            }
        };
        if is_told {
            tracing::info!(after_s = began.elapsed().as_secs(), "calls are written down again");
        }
        metrics.spend_rows("written", recorded.new);
        metrics.spend_write(began.elapsed());
        self.settle(accounting, &recorded);
        self.tell(accounting, journal).await;
    }

    /// Writes it once. A period that is over ends before: what was spent since belongs to the next.
    async fn record(&self, accounting: &Accounting, store: &Store) -> Result<Recorded, StoreError> {
        let now = accounting.now();
        let mut bounded = self.paid.iter().flat_map(|(payers, _)| &payers.bounded);
        if bounded.any(|bounded| bounded.bounds.reset_at.is_some_and(|end| end <= now)) {
            store.reset_budgets().await?;
        }
        store.record_spend(&self.rows).await
    }

    /// The accounts learn what is in the database now.
    fn settle(&self, accounting: &Accounting, recorded: &Recorded) {
        let reading = accounting.reading();
        let mut amounts: HashMap<*const Account, (&Arc<Account>, f64)> = HashMap::new();
        for (payers, cost) in &self.paid {
            for bounded in &payers.bounded {
                amounts.entry(Arc::as_ptr(&bounded.account)).or_insert((&bounded.account, 0.0)).1 += cost;
            }
        }
        let spent: HashMap<(PayerKind, &[String]), f64> =
            recorded.spent.iter().map(|spent| ((spent.kind, spent.id.as_slice()), spent.spend)).collect();
        let mut told = Vec::new();
        for (account, amount) in amounts.into_values() {
            account.written(amount, spent.get(&(account.kind, account.id.as_slice())).copied(), reading);
            let spent = Some(Spent { amount: account.held().known, anew: false });
            told.push(Given { money: amount, spent, ..Given::nothing(Arc::clone(account)) });
        }
        if let Some(shared) = &accounting.0.shared {
            shared.give(told);
        }
    }

    /// Those who listen hear of the calls. Where no log is kept, the rows have done their part.
    async fn tell(self, accounting: &Accounting, journal: &Journal) {
        if accounting.0.settings.load().disable_logs && !self.sums.is_empty() {
            if let Err(error) = journal.store.forget_calls(&self.sums).await {
                tracing::warn!(%error, "rows that hold nothing but sums could not be deleted from the log of calls");
            }
            return;
        }
        if journal.written.receiver_count() > 0 {
            for row in self.rows {
                // Whoever listened may have gone meanwhile.
                let _ = journal.written.send(Arc::new(row));
            }
        }
    }
}

/// Something in a batch cannot be stored: the others are, and what cannot is counted and logged.
async fn one_by_one(rows: &[SpendRow], accounting: &Accounting, journal: &Journal, why: &StoreError) -> Recorded {
    tracing::error!(error = %why, "a batch of calls was refused by the database; they are written one by one");
    let mut all = Recorded::default();
    for row in rows {
        loop {
            match journal.store.record_spend(std::slice::from_ref(row)).await {
                Ok(recorded) => {
                    all.new += recorded.new;
                    all.spent.extend(recorded.spent);
                }
                Err(error) if error.is_retryable() => {
                    tokio::time::sleep(RETRY.0).await;
                    continue;
                }
                Err(error) => {
                    accounting.0.metrics.spend_rows("refused", 1);
                    tracing::error!(%error, request_id = row.request_id, spend = row.spend, "a call cannot be written down");
                }
            }
            break;
        }
    }
    all
}
