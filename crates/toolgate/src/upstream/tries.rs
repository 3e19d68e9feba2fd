//! Whether a request that failed is sent once more.
//!
//! * One that the server certainly did not take is: its session was lost, or no connection came about while the server
//!   may be restarting.
//! * One that may have run is only when running twice does no harm, and once.

use std::time::Duration;

use http::StatusCode;
use toolgate_client::{Delivery, Error, Problem};

/// How often a request may lose its session before it was taken.
const MOST_LOST: u32 = 3;

/// The pauses between the tries to reach a server that may be restarting: 1.55 s in all.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MOST_UNSENT: u32 = 5;

/// What has been tried for one request.
#[derive(Default)]
pub(super) struct Tries {
    lost: u32,
    unsent: u32,
    repeated: bool,
}

impl Tries {
    /// How long to wait before the request is sent again; `None` if it is not.
    ///
    /// `is_repeatable`: running it twice does no harm. `is_patient`: the server was well a moment ago.
    pub(super) fn again(&mut self, cause: &Error, is_repeatable: bool, is_patient: bool) -> Option<Duration> {
        let certainly_not_sent = cause.delivery() == Delivery::NotSent;
        if certainly_not_sent && cause.session_lost() && self.lost < MOST_LOST {
            self.lost += 1;
            return Some(Duration::ZERO);
        }
        if certainly_not_sent && cause.is_connect() && is_patient {
            return self.pause();
        }
        if certainly_not_sent || !is_repeatable || self.repeated || !may_be_gone_the_next_time(cause) {
            return None;
        }
        self.repeated = true;
        Some(if cause.session_lost() { Duration::ZERO } else { FIRST_PAUSE })
    }

    /// The pause before a server is tried that could not be reached.
    pub(super) fn pause(&mut self) -> Option<Duration> {
        if self.unsent == MOST_UNSENT {
            return None;
        }
        self.unsent += 1;
        Some(FIRST_PAUSE * 2u32.pow(self.unsent - 1))
    }
}

fn may_be_gone_the_next_time(cause: &Error) -> bool {
    let broken = matches!(cause.problem(), Problem::Broken { .. } | Problem::StreamEnded { .. });
    let in_between = matches!(
        cause.status(),
        Some(StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
    );
    cause.session_lost() || broken || in_between
}
