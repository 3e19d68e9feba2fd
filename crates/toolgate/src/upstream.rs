//! One server behind the gateway, and all of them.
//!
//! A request goes down a [`Lane`]: [`Upstream::lane`] resolves the caller's headers (or a child's environment), and
//! [`Upstream::request`] finds or opens the connection that this credential has, waits for its turn, and asks. Nothing
//! of MCP is understood here; answers are the bytes that came.
//!
//! What the server says meanwhile, or by itself, is heard by whoever it is meant for, and by nobody else.
//!
//! Suggested reading order: `outfit`, `headers` and `environment` (with what), `pool` (over which connection), `ask` (and
//! when once more), `ears` (who hears), `standing` (what is wanted beyond requests).

mod addressing;
mod all;
mod as_task;
mod ask;
mod aws;
mod backoff;
mod circuit;
mod client_side;
mod connection;
mod credential;
mod deadline;
pub mod debug;
mod ears;
mod environment;
mod error;
mod headers;
mod hears;
mod lane;
mod level;
mod listens;
mod news;
pub(crate) mod openapi;
mod outfit;
mod pool;
mod progress;
mod renewed;
mod reply;
mod resume;
mod rounds;
mod shared;
mod standing;
mod status;
mod tasks;
mod tokens;
mod tries;
mod vault;
mod wishes;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use toolgate_access::limits::rate::Window;
use toolgate_client::{Answer, AnswerOutcome, Era, ServerFacts};

pub use all::Upstreams;
pub use ask::{Ask, Rounds};
pub use circuit::CircuitState;
pub use client_side::{Capabilities, ClientSide};
pub use credential::CredentialError;
pub use ears::Lasting;
pub use error::{Blame, Reader, UpstreamError, Wait};
pub use headers::AuthResolution;
pub use hears::{Hears, RunningRequest, ServerPlace};
pub use lane::{Lane, SessionKey};
pub use level::LogLevel;
pub use news::{Changed, News};
pub use reply::{Form, Reply, Streamed, StreamedBody};
pub use resume::Rest;
pub use rounds::error_for_legacy;
pub use status::{Failure, Stage, State, Status};
pub use tasks::TaskWatch;
pub use wishes::Overhearing;

use crate::config::settings::ServerSettings;
use deadline::Deadline;
use lane::Outfit;
use openapi::RestApi;
use pool::Pool;
use reply::HeldByRequest;
use shared::Shared;

/// One server behind the gateway.
pub struct Upstream {
    /// What the configuration says of it.
    pub settings: Arc<ServerSettings>,
    pool: Arc<Pool>,
    /// `max_concurrent_requests`.
    turns: Option<Arc<Semaphore>>,
    /// What was used of `rpm`; held for one computation.
    minute: Mutex<Window>,
    /// Set where there is no MCP server, but a REST API.
    rest_api: Option<Arc<RestApi>>,
    /// What callers get who bring nothing of their own; most callers.
    common: OnceLock<Result<Arc<Outfit>, CredentialError>>,
}

impl Upstream {
    fn new(settings: &Arc<ServerSettings>, shared: &Arc<Shared>) -> Self {
        Self {
            settings: Arc::clone(settings),
            pool: Pool::new(Arc::clone(settings), shared),
            turns: settings
                .max_concurrent_requests
                .map(|most| Arc::new(Semaphore::new(most.get().min(Semaphore::MAX_PERMITS)))),
            minute: Mutex::default(),
            rest_api: RestApi::of(settings),
            common: OnceLock::new(),
        }
    }

    /// Asks the server, connecting first if need be.
    ///
    /// # Errors
    /// When no answer came within `timeout`. A JSON-RPC error is an answer.
    pub async fn request(
        &self,
        lane: &Lane,
        method: &str,
        params: Option<&str>,
        timeout: Duration,
    ) -> Result<Answer, UpstreamError> {
        self.ask(lane, Ask::new(method, params, timeout)).await
    }

    /// As [`Upstream::request`], with headers of the request's own, and the answer whole or as it comes.
    ///
    /// # Errors
    /// As [`Upstream::request`].
    pub async fn ask<F: Form>(&self, lane: &Lane, ask: Ask<'_>) -> Result<F, UpstreamError> {
        if ask.as_task {
            // In a box, since it is rare and every request would carry its size.
            return Box::pin(self.ask_as_task(lane, ask)).await;
        }
        let answer: F = self.ask_once(lane, ask).await?;
        if ask.rounds == Rounds::Pass {
            self.check_questions(lane, &answer)?;
            return Ok(answer);
        }
        if !self.is_modern() {
            return Ok(answer);
        }
        if !rounds::may_be_asked_back(ask.method) {
            return Ok(rounds::for_legacy(ask.method, answer));
        }
        // In a box, since it is rare and every request would carry its size.
        let answer = Box::pin(self.go_rounds(lane, ask, answer)).await?;
        Ok(rounds::for_legacy(ask.method, answer))
    }

    /// Whether the server speaks revision 2026-07-28, as far as is known.
    #[must_use]
    pub fn is_modern(&self) -> bool {
        self.pool.era() == Some(Era::Modern)
    }

    async fn ask_once<F: Form>(&self, lane: &Lane, ask: Ask<'_>) -> Result<F, UpstreamError> {
        let began = Instant::now();
        if let Some(api) = &self.rest_api {
            // In a box, because it is large, and every request would carry its size.
            let answer = Box::pin(self.ask_rest(api, lane, ask)).await;
            let error_type = answer.as_ref().map_or_else(|why| Some(why.outcome_label().to_owned()), rpc_error_code);
            self.count(ask.method, error_type.as_deref(), began);
            return answer.map(F::from);
        }
        match self.try_ask::<F>(lane, ask).await {
            Ok((sent, held)) => Ok(F::finish(sent, HeldByRequest { upstream: self, ask, began, held })),
            Err(why) => {
                self.count(ask.method, Some(why.outcome_label()), began);
                Err(why)
            }
        }
    }

    fn count(&self, method: &str, error_type: Option<&str>, began: Instant) {
        self.pool.shared.metrics.client_operation(&self.settings.name, method, error_type, began.elapsed());
    }

    /// What the server says of itself on this lane's connection, connecting first if need be.
    ///
    /// # Errors
    /// When no connection came about within `timeout`.
    pub async fn facts(&self, lane: &Lane, timeout: Duration) -> Result<Arc<ServerFacts>, UpstreamError> {
        self.check_active()?;
        let _running = self.pool.requests.token();
        let deadline = Deadline::after(timeout);
        if let Some(api) = &self.rest_api {
            return api.facts(&self.pool, deadline).await;
        }
        let _entered = self.enter(deadline)?;
        Ok(self.pool.lease(lane, deadline).await?.connection().facts())
    }

    /// Whether the server answers on this lane, connecting first if need be: MCP's handshake, or a ping on a connection
    /// that is there; of a REST API, its description and anything at its base URL.
    ///
    /// # Errors
    /// When it gave no sign of life within `timeout`.
    pub async fn probe(&self, lane: &Lane, timeout: Duration) -> Result<(), UpstreamError> {
        self.check_active()?;
        let _running = self.pool.requests.token();
        let deadline = Deadline::after(timeout);
        let _entered = self.enter(deadline)?;
        if let Some(api) = &self.rest_api {
            return Box::pin(api.sign_of_life(&self.pool, lane, deadline)).await;
        }
        let probing = self.pool.sign_of_life(lane, deadline);
        deadline.wait(&self.settings.name, Wait::Answer, probing).await?
    }

    /// Grows whenever the server's lists may have changed: it said so, it was restarted or came back after being down,
    /// or another version of it answered.
    #[must_use]
    pub fn lists_revision(&self) -> u64 {
        self.pool.lists_revision()
    }

    /// How the server is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        self.pool.status()
    }

    /// Has the description of a REST API looked at again soon: the configuration was read anew.
    fn refresh_soon(&self) {
        if let Some(api) = &self.rest_api {
            api.refresh_soon();
        }
    }

    /// Closes the connections that a client's session has here.
    pub async fn close_session(&self, session: &SessionKey) {
        self.pool.close_session(*session).await;
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("name", &self.settings.name)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// The `error_type` of an answer that is an error: its JSON-RPC code.
fn rpc_error_code(answer: &Answer) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Code {
        code: i64,
    }
    // Most answers are results, and their text need not be looked at.
    if answer.is_result() {
        return None;
    }
    let AnswerOutcome::Error(error) = answer.outcome() else { return None };
    let code = serde_json::from_str::<Code>(error).map_or_else(|_| "_OTHER".to_owned(), |error| error.code.to_string());
    Some(code)
}
