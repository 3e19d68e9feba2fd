//! Counts that replicas share, in Redis or Valkey, so that limits and budgets are exact over all of them.
//!
//! One task owns the connection ([`link`]) and everything passes through its queue in order: a call that was given back
//! before another is begun has made room for it. Who begins a call waits for one answer. When there is none within
//! [`link::ANSWER_TIMEOUT`], everybody is told to count alone, as a replica without Redis does; the task tries to come
//! back, and then says what this replica holds.
//!
//! A replica has a name of its own for each connection and says every two seconds that it is alive. What one that fell
//! silent held is free again within [`link::ALIVE_S`] seconds, and what it had spent and not written is nobody's, as it is
//! without Redis.

mod link;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Accounting;
use super::account::Account;
use crate::config::settings::RedisSettings;
use crate::telemetry::Metrics;
use link::Link;

/// Messages that may wait for the connection: several for each call that can run at once.
const MOST_WAITING: usize = 65_536;

/// Messages that are sent together.
const AT_ONCE: usize = 256;

/// How long is waited before it is tried again to connect.
const RETRY: Duration = Duration::from_millis(500);

/// How often a replica says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(2);

pub(super) struct Shared {
    settings: RedisSettings,
    queue: mpsc::Sender<Message>,
    /// Taken by the task.
    waiting: std::sync::Mutex<Option<mpsc::Receiver<Message>>>,
    is_up: AtomicBool,
    /// Something was given back and not said: what this replica holds must be said anew.
    is_behind: AtomicBool,
    tasks: TaskTracker,
    closing: CancellationToken,
}

/// What becomes of a wish to begin a call.
pub(super) enum Taken {
    /// It may begin, and has taken its part of everything.
    All,
    /// Something is used up; nothing was taken.
    Refused(Over),
    /// Nobody answered: this replica counts alone.
    Alone,
}

/// What is used up.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Over {
    /// Of which part.
    pub(super) part: usize,
    pub(super) what: UsedUp,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum UsedUp {
    Budget {
        /// Spent and reserved, in USD.
        current_cost: f64,
    },
    Parallel,
    Requests {
        retry_after: Duration,
    },
    Server {
        retry_after: Duration,
    },
}

/// What a call wants of one account. What does not bound it is `None`.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) account: Arc<Account>,
    pub(super) budget: Option<f64>,
    /// What the database has of what was spent, as far as is known here.
    pub(super) known: f64,
    pub(super) parallel: Option<u64>,
    pub(super) rpm: Option<u64>,
    pub(super) server: Option<(String, u64)>,
}

/// What an account gets back, or has in the database now.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) account: Arc<Account>,
    /// By how much less is reserved or not written, in USD.
    pub(super) money: f64,
    /// Calls that have ended.
    pub(super) ended: u64,
    pub(super) spent: Option<Spent>,
}

/// What the database has of what somebody has spent, in USD.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spent {
    pub(super) amount: f64,
    /// It is so although it may be less than was said: a period has begun, or somebody has forgiven some. Otherwise the
    /// larger amount counts, since batches of several replicas are told of in any order.
    pub(super) anew: bool,
}

impl Given {
    pub(super) fn nothing(account: Arc<Account>) -> Self {
        Self { account, money: 0.0, ended: 0, spent: None }
    }
}

enum Message {
    Take { price: f64, parts: Arc<[Part]>, answer: oneshot::Sender<Option<Over>> },
    Give(Vec<Given>),
}

impl Shared {
    pub(super) fn new(settings: RedisSettings) -> Self {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        Self {
            settings,
            queue,
            waiting: std::sync::Mutex::new(Some(waiting)),
            is_up: AtomicBool::new(false),
            is_behind: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        }
    }

    pub(super) fn start(&self, accounting: &Accounting) {
        let waiting = self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some(waiting) = waiting else { return };
        self.tasks.spawn(run(accounting.clone(), waiting, self.closing.clone()));
    }

    pub(super) async fn close(&self, limit: Duration) {
        self.closing.cancel();
        self.tasks.close();
        // Whatever this replica still holds there is free once it is not heard of any more.
        let _ = tokio::time::timeout(limit, self.tasks.wait()).await;
    }

    /// Whether counts are shared at the moment.
    pub(super) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    fn up(&self, metrics: &Metrics) {
        self.is_behind.store(false, Ordering::Relaxed);
        self.is_up.store(true, Ordering::Relaxed);
        metrics.shared_limits(true);
    }

    fn down(&self, metrics: &Metrics) {
        self.is_up.store(false, Ordering::Relaxed);
        metrics.shared_limits(false);
    }

    /// Takes a call's part of all these, or of none.
    ///
    /// Dropped before it has an answer, it gives back what was taken.
    pub(super) async fn take(&self, price: f64, parts: Arc<[Part]>) -> Taken {
        if !self.is_up() {
            return Taken::Alone;
        }
        let (answer, answered) = oneshot::channel();
        if self.queue.try_send(Message::Take { price, parts: Arc::clone(&parts), answer }).is_err() {
            return Taken::Alone;
        }
        let mut waiting = Waiting { shared: self, price, parts, answered };
        match (&mut waiting.answered).await {
            Ok(None) => Taken::All,
            Ok(Some(over)) => Taken::Refused(over),
            Err(_) => Taken::Alone,
        }
    }

    fn give_back(&self, price: f64, parts: &[Part]) {
        let given = |part: &Part| Given { money: price, ended: 1, ..Given::nothing(Arc::clone(&part.account)) };
        self.give(parts.iter().map(given).collect());
    }

    /// Never waits. Where it cannot be said now, it is said with all that this replica holds when it comes back.
    pub(super) fn give(&self, given: Vec<Given>) {
        if !given.is_empty() && self.is_up() && self.queue.try_send(Message::Give(given)).is_err() {
            self.is_behind.store(true, Ordering::Relaxed);
        }
    }
}

/// A call that waits for the answer.
struct Waiting<'a> {
    shared: &'a Shared,
    price: f64,
    parts: Arc<[Part]>,
    answered: oneshot::Receiver<Option<Over>>,
}

impl Drop for Waiting<'_> {
    /// An answer that came and was not looked at is given back here; one that is still to come, where it is given out.
    fn drop(&mut self) {
        self.answered.close();
        if let Ok(None) = self.answered.try_recv() {
            self.shared.give_back(self.price, &self.parts);
        }
    }
}

/// Serves the queue until it is told to close.
async fn run(accounting: Accounting, mut waiting: mpsc::Receiver<Message>, closing: CancellationToken) {
    let Some(shared) = &accounting.0.shared else { return };
    let metrics = &accounting.0.metrics;
    let mut is_told = false;
    metrics.shared_limits(false);
    loop {
        let connected = tokio::select! {
            () = closing.cancelled() => return,
            connected = Link::connect(&shared.settings) => connected,
            () = turn_away(&mut waiting) => continue,
        };
        let failed = match connected {
            Ok(mut link) => {
                // Before this replica says what it holds: what changes meanwhile is queued behind that.
                shared.up(metrics);
                let served = match link.say_all(&accounting.0.ledger).await {
                    Ok(()) => {
                        let redis = shared.settings.place();
                        tracing::info!(redis, "limits and budgets are counted for all replicas");
                        is_told = false;
                        serve(shared, &mut link, &mut waiting, &closing).await
                    }
                    Err(error) => Some(error),
                };
                shared.down(metrics);
                served
            }
            Err(error) => Some(error),
        };
        let Some(error) = failed else { return };
        if !is_told {
            tracing::warn!(
                redis = shared.settings.place(),
                error = &error as &dyn std::error::Error,
                "Redis cannot be used; until it can, each replica counts limits and budgets for itself"
            );
            is_told = true;
        }
        tokio::select! {
            () = closing.cancelled() => return,
            () = tokio::time::sleep(RETRY) => {}
            () = turn_away(&mut waiting) => {}
        }
    }
}

/// Tells everybody who waits, and still comes, that nobody answers.
async fn turn_away(waiting: &mut mpsc::Receiver<Message>) {
    while waiting.recv().await.is_some() {}
}

/// Serves the queue over one connection. `None` when it is told to close.
async fn serve(
    shared: &Shared,
    link: &mut Link,
    waiting: &mut mpsc::Receiver<Message>,
    closing: &CancellationToken,
) -> Option<link::Error> {
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut messages = Vec::new();
    loop {
        let done = tokio::select! {
            biased;
            () = closing.cancelled() => {
                link.leave().await;
                return None;
            }
            _ = heartbeat.tick() => link.say_alive().await,
            _ = waiting.recv_many(&mut messages, AT_ONCE) => exchange(shared, link, &mut messages).await,
        };
        if let Err(error) = done {
            return Some(error);
        }
        if shared.is_behind.load(Ordering::Relaxed) {
            return Some(link::Error::Behind);
        }
    }
}

/// Sends messages and hands out the answers. Whoever waits when it fails is told so by the end of their channel.
async fn exchange(shared: &Shared, link: &mut Link, messages: &mut Vec<Message>) -> Result<(), link::Error> {
    let mut answers = link.send(messages).await?.into_iter();
    for message in messages.drain(..) {
        let Message::Take { price, parts, answer } = message else { continue };
        let over = answers.next().ok_or(link::Error::Answer)?;
        if let Err(None) = answer.send(over) {
            // Nobody waits for it any more: the call does not begin.
            shared.give_back(price, &parts);
        }
    }
    Ok(())
}
