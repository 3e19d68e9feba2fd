//! The queue of calls that are to be written down.
//!
//! It is bounded. When the database does not keep up, calls are no longer written down one by one but summed up by who
//! pays for them, so that the sums at each who pays stay right; how many those were is counted, and said in the row that
//! holds their sum.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, Utc};
use serde_json::json;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toolgate_store::{SpendRow, Store};

use super::payers::Payers;
use super::record::Record;
use super::{Accounting, upkeep, writer};

/// Calls that may wait to be written: ten seconds of five thousand a second. More are summed up.
const MOST_WAITING: usize = 50_000;

/// What bodies may take while they wait, in bytes. More are left out.
const MOST_BODY_BYTES: usize = 32 * 1024 * 1024;

/// Calls that a listener may be behind.
const MOST_BEHIND: usize = 1_024;

pub(super) struct Journal {
    pub(super) store: Store,
    queue: mpsc::Sender<Box<Record>>,
    /// Taken by the writer.
    waiting: Mutex<Option<mpsc::Receiver<Box<Record>>>>,
    /// By the address of the payers, which the sum holds. Held for single map operations.
    sums: Mutex<HashMap<usize, Sum>>,
    /// Told when there is a sum to be written.
    pub(super) summed: Notify,
    body_bytes: AtomicUsize,
    /// Rows of the batch that is being written.
    pub(super) writing: AtomicUsize,
    /// Told of calls when they are written.
    pub(super) written: broadcast::Sender<Arc<SpendRow>>,
    /// The first half of the ids of calls, different in each process; the second counts.
    ids: (u64, AtomicU64),
    tasks: TaskTracker,
    closing: CancellationToken,
}

/// Calls that are not written one by one.
pub(super) struct Sum {
    pub(super) payers: Arc<Payers>,
    pub(super) cost: f64,
    calls: u64,
    last: DateTime<Utc>,
}

impl Journal {
    pub(super) fn new(store: Store) -> Self {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        let mut start = [0; 8];
        aws_lc_rs::rand::fill(&mut start).expect("the system's random source works");
        Self {
            store,
            queue,
            waiting: Mutex::new(Some(waiting)),
            sums: Mutex::default(),
            summed: Notify::new(),
            body_bytes: AtomicUsize::new(0),
            writing: AtomicUsize::new(0),
            written: broadcast::Sender::new(MOST_BEHIND),
            ids: (u64::from_le_bytes(start), AtomicU64::new(0)),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        }
    }

    pub(super) fn start(&self, accounting: &Accounting) {
        let Some(waiting) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let closing = &self.closing;
        self.tasks.spawn(writer::run(accounting.clone(), waiting, closing.clone()));
        self.tasks.spawn(upkeep::run(accounting.clone(), closing.clone()));
    }

    pub(super) async fn close(&self, limit: Duration) {
        self.closing.cancel();
        self.tasks.close();
        if tokio::time::timeout(limit, self.tasks.wait()).await.is_err() {
            let (calls, sums) = (self.depth(), self.lock());
            let spent: f64 = sums.values().map(|sum| sum.cost).sum();
            tracing::error!(
                calls,
                spent,
                "the database did not take the last calls in time; they are not in the log, nor in anybody's spend"
            );
        }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<SpendRow>> {
        self.written.subscribe()
    }

    /// How many calls are not written yet.
    pub(super) fn depth(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity() + self.writing.load(Ordering::Relaxed)
    }

    /// Whether there is room for what need not be written: a caller who is refused may come again and again.
    pub(super) fn has_room_to_spare(&self) -> bool {
        self.queue.capacity() > MOST_WAITING / 2
    }

    /// Takes a call that has ended. Never waits.
    pub(super) fn push(&self, accounting: &Accounting, mut record: Box<Record>) {
        if accounting.0.settings.load().disable_logs {
            return self.sum_up(&record, accounting.now());
        }
        let bytes = record.body_bytes();
        if bytes > 0 && self.body_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > MOST_BODY_BYTES {
            self.forget_bodies(bytes);
            record.without_bodies();
        }
        if let Err(TrySendError::Full(record) | TrySendError::Closed(record)) = self.queue.try_send(record) {
            self.forget_bodies(record.body_bytes());
            accounting.0.metrics.spend_rows("summed", 1);
            self.sum_up(&record, accounting.now());
        }
    }

    /// Bodies of this many bytes wait no longer.
    pub(super) fn forget_bodies(&self, bytes: usize) {
        if bytes > 0 {
            self.body_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    fn sum_up(&self, record: &Record, now: DateTime<Utc>) {
        if record.cost <= 0.0 {
            return;
        }
        let mut sums = self.lock();
        let sum = sums.entry(Arc::as_ptr(&record.payers) as usize).or_insert_with(|| Sum {
            payers: Arc::clone(&record.payers),
            cost: 0.0,
            calls: 0,
            last: now,
        });
        (sum.cost, sum.calls, sum.last) = (sum.cost + record.cost, sum.calls + 1, now);
        drop(sums);
        self.summed.notify_one();
    }

    /// The sums so far.
    pub(super) fn take_sums(&self) -> Vec<Sum> {
        let sums = std::mem::take(&mut *self.lock());
        sums.into_values().collect()
    }

    /// An id that no other call has, in any process. Those of one process sort by time.
    pub(super) fn next_id(&self) -> String {
        let (start, count) = &self.ids;
        format!("{start:016x}{:016x}", count.fetch_add(1, Ordering::Relaxed))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<usize, Sum>> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sum {
    pub(super) fn to_row(&self, id: String) -> SpendRow {
        let at = self.last.trunc_subsecs(6);
        let mut row = SpendRow {
            request_id: id,
            call_type: "call_mcp_tool".into(),
            spend: self.cost,
            start_time: at,
            end_time: at,
            model: "MCP: (several)".into(),
            status: Some("success".into()),
            metadata: Some(json!({ "outcome": "success", "calls": self.calls })),
            ..SpendRow::default()
        };
        self.payers.ids.put_into(&mut row);
        row
    }
}
