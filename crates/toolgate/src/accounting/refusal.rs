//! Why a call is refused: which limit of whom, and when to come again.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use toolgate_store::PayerKind;

use super::account::Exceeded;
use super::payers::Noun;

/// A call is refused because a limit or budget is used up. Cheap to move.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Refused(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: PayerKind,
    name: String,
    exceeded: Exceeded,
    now: DateTime<Utc>,
}

impl Refused {
    pub(super) fn new(kind: PayerKind, name: String, exceeded: Exceeded, now: DateTime<Utc>) -> Self {
        Self(Box::new(Inner { kind, name, exceeded, now }))
    }

    /// When it may be tried again, where time alone helps: 1 s or more.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.0.exceeded {
            Exceeded::Requests(rate) | Exceeded::Tokens(rate) | Exceeded::Server { rate, .. } => Some(rate.retry_after),
            // Whichever call ends first makes room.
            Exceeded::Parallel(_) => Some(Duration::from_secs(1)),
            Exceeded::Budget { begins_anew, .. } => {
                let left = (*begins_anew)?.signed_duration_since(self.0.now).to_std().ok()?;
                Some(Duration::from_secs(left.as_secs() + 1))
            }
        }
    }

    /// Whether money is what is used up.
    #[must_use]
    pub fn is_budget(&self) -> bool {
        matches!(self.0.exceeded, Exceeded::Budget { .. })
    }

    /// A stable word for it, for programs and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        if self.is_budget() { "budget_exceeded" } else { "rate_limit_exceeded" }
    }

    /// Which limit, in LiteLLM's words.
    #[must_use]
    pub fn limit(&self) -> &'static str {
        match &self.0.exceeded {
            Exceeded::Requests(_) => "requests",
            Exceeded::Tokens(_) => "tokens",
            Exceeded::Server { .. } => "mcp_requests",
            Exceeded::Parallel(_) => "max_parallel_requests",
            Exceeded::Budget { .. } => "budget",
        }
    }

    /// Whose limit, as a word.
    #[must_use]
    pub fn of(&self) -> &'static str {
        Noun(self.0.kind).word()
    }
}

impl fmt::Display for Inner {
    /// The beginnings are LiteLLM's, since its clients may look at them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noun, name) = (Noun(self.kind), &self.name);
        match &self.exceeded {
            Exceeded::Budget { budget, begins_anew } => {
                write!(f, "{budget} ({noun}: {name}). {}. ", Price(budget.amount))?;
                match begins_anew {
                    Some(at) => write!(f, "It begins anew at {}", time(*at)),
                    None => write!(f, "It has no period; whoever manages it must raise it"),
                }
            }
            Exceeded::Parallel(parallel) => {
                write!(f, "Rate limit exceeded for {noun}: {name}. Limit type: {}. ", self.limit())?;
                write!(f, "Current limit: {}, Remaining: 0. Try again when a running call has ended", parallel.limit)
            }
            Exceeded::Requests(rate) | Exceeded::Tokens(rate) => {
                write!(f, "Rate limit exceeded for {noun}: {name}. Limit type: {}. ", self.limit())?;
                self.rest(f, rate.limit, rate.retry_after)
            }
            Exceeded::Server { server, rate } => {
                write!(f, "Rate limit exceeded for server {server} of {noun}: {name}. Limit type: requests. ")?;
                self.rest(f, rate.limit, rate.retry_after)
            }
        }
    }
}

impl Inner {
    fn limit(&self) -> &'static str {
        match &self.exceeded {
            Exceeded::Tokens(_) => "tokens",
            Exceeded::Parallel(_) => "max_parallel_requests",
            Exceeded::Requests(_) | Exceeded::Server { .. } | Exceeded::Budget { .. } => "requests",
        }
    }

    fn rest(&self, f: &mut fmt::Formatter<'_>, limit: u64, after: Duration) -> fmt::Result {
        let at = self.now + TimeDelta::from_std(after).unwrap_or_default();
        write!(f, "Current limit: {limit}, Remaining: 0. Limit resets at: {}", time(at))
    }
}

/// What the call that is refused would cost: without it, `Current cost: 0.04, Max budget: 0.05` refuses for no reason.
struct Price(f64);

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0.0 {
            f.write_str("This call is free, and who has used a budget up makes no free calls either")
        } else {
            write!(f, "This call costs {:?}", self.0)
        }
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.trunc_subsecs(0).format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
