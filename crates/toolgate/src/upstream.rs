//! One server behind the gateway, and all of them.
//!
//! A request goes down a [`Lane`]: [`Upstream::lane`] resolves the caller's headers (or a child's environment), and
//! [`Upstream::request`] finds or opens the connection that this credential has, waits for its turn, and asks. Nothing
//! of MCP is understood here; answers are the bytes that came.
//!
//! A request that may have run is never sent twice. It is sent again, once, when its session was lost and the server
//! certainly did not take it, or when it only reads (lists and `ping`).
//!
//! Suggested reading order: `lane`, `headers` and `environment` (with what), `pool` (over which connection).

mod addressing;
mod all;
mod backoff;
mod connection;
mod credential;
mod deadline;
pub mod debug;
mod environment;
mod error;
mod headers;
mod lane;
mod pool;
mod reply;
mod shared;
mod status;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use toolgate_client::{Answer, AnswerOutcome, Call, Delivery, ServerFacts};

pub use all::Upstreams;
pub use credential::CredentialError;
pub use error::{Blame, UpstreamError, Wait};
pub use headers::AuthResolution;
pub use lane::{Lane, SessionKey};
pub use reply::{Form, Reply, Streamed, StreamedBody};
pub use status::{Failure, Stage, State, Status};

use crate::auth::Caller;
use crate::config::settings::{Isolation, ServerSettings, Transport, UpstreamAuth};
use connection::Lease;
use deadline::Deadline;
use lane::{Key, Outfit, Wear};
use pool::Pool;
use reply::{Held, HeldByRequest};
use shared::Shared;

/// One server behind the gateway.
pub struct Upstream {
    /// What the configuration says of it.
    pub settings: Arc<ServerSettings>,
    pool: Arc<Pool>,
    /// `max_concurrent_requests`.
    turns: Option<Arc<Semaphore>>,
    /// What callers get who bring nothing of their own; most callers.
    common: OnceLock<Result<Arc<Outfit>, CredentialError>>,
}

/// One request to a server.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The method.
    pub method: &'a str,
    /// The parameters as JSON text.
    pub params: Option<&'a str>,
    /// For everything together: the wait for a turn, the connection, the answer.
    pub timeout: Duration,
    /// Headers of this request alone, such as `traceparent`; without meaning for a child process.
    pub headers: Option<&'a HeaderMap>,
}

impl Upstream {
    fn new(settings: &Arc<ServerSettings>, shared: &Arc<Shared>) -> Self {
        Self {
            settings: Arc::clone(settings),
            pool: Pool::new(Arc::clone(settings), shared),
            turns: settings
                .max_concurrent_requests
                .map(|most| Arc::new(Semaphore::new(most.get().min(Semaphore::MAX_PERMITS)))),
            common: OnceLock::new(),
        }
    }

    /// Resolves with what `caller` goes to this server, within `session` if it has one.
    ///
    /// # Errors
    /// When the request does not hold what the server needs, or holds something that may not be sent.
    pub fn lane(&self, caller: &Caller, session: Option<&SessionKey>) -> Result<Lane, CredentialError> {
        let outfit = self.outfit(&caller.headers)?;
        let session = session.copied();
        let (session, owner) = match &self.settings.transport {
            Transport::Stdio(command) => match (command.isolation, session) {
                (Isolation::Shared, _) => (None, None),
                (Isolation::Session, Some(session)) => (Some(session), None),
                // A request without a session has no other bounds than its caller.
                (Isolation::Session, None) | (Isolation::User, _) => (None, Some(caller.id.clone())),
            },
            Transport::Http { .. } | Transport::OpenApi { .. } => (session, None),
        };
        let fingerprint = outfit.fingerprint;
        Ok(Lane { fingerprint, key: Key { session, caller: owner, fingerprint }, outfit })
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
        self.ask(lane, Ask { method, params, timeout, headers: None }).await
    }

    /// As [`Upstream::request`], with headers of the request's own, and the answer whole or as it comes.
    ///
    /// # Errors
    /// As [`Upstream::request`].
    pub async fn ask<F: Form>(&self, lane: &Lane, ask: Ask<'_>) -> Result<F, UpstreamError> {
        let began = Instant::now();
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
        Ok(self.pool.lease(lane, Deadline::after(timeout)).await?.connection().facts())
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
        self.pool.watch.status()
    }

    /// Closes the connections that a client's session has here.
    pub async fn close_session(&self, session: &SessionKey) {
        self.pool.close_session(*session).await;
    }

    async fn try_ask<F: Form>(&self, lane: &Lane, ask: Ask<'_>) -> Result<(F::Sent, Held), UpstreamError> {
        self.check_active()?;
        let deadline = Deadline::after(ask.timeout);
        let running = self.pool.requests.token();
        let turn = self.turn(deadline).await?;
        let mut sent_before = false;
        loop {
            let lease = self.pool.lease(lane, deadline).await?;
            let cause = match self.send::<F>(&lease, ask, deadline).await {
                Ok(sent) => {
                    self.pool.note_up();
                    return Ok((sent, Held { _lease: lease, _running: running, _turn: turn }));
                }
                Err(cause) => cause,
            };
            if cause.session_lost() {
                self.pool.lost(&lane.key, lease.connection(), Some(&cause), Stage::Request);
            }
            if sent_before || !may_send_again(&cause, ask.method) {
                let why = UpstreamError::asking(&self.settings.name, cause, deadline.limit());
                self.pool.note_failure(&why, Stage::Request);
                return Err(why);
            }
            sent_before = true;
        }
    }

    async fn send<F: Form>(
        &self,
        lease: &Lease,
        ask: Ask<'_>,
        deadline: Deadline,
    ) -> Result<F::Sent, toolgate_client::Error> {
        let mut call = Call::with_timeout(deadline.remaining());
        if let Some(headers) = ask.headers {
            call.headers = headers.clone();
        }
        F::send(&lease.connection().session, ask, &call).await
    }

    async fn turn(&self, deadline: Deadline) -> Result<Option<OwnedSemaphorePermit>, UpstreamError> {
        let Some(turns) = &self.turns else { return Ok(None) };
        match deadline.wait(&self.settings.name, Wait::Turn, Arc::clone(turns).acquire_owned()).await {
            Ok(turn) => Ok(Some(turn.expect("nobody closes this semaphore"))),
            Err(_) => Err(UpstreamError::Busy {
                server: self.settings.name.clone(),
                limit: format!("`max_concurrent_requests` are running and none ended within {:?}", deadline.limit()),
            }),
        }
    }

    fn check_active(&self) -> Result<(), UpstreamError> {
        match self.not_active_yet() {
            None => Ok(()),
            Some(what) => Err(UpstreamError::NotActiveYet { server: self.settings.name.clone(), what }),
        }
    }

    fn not_active_yet(&self) -> Option<String> {
        match (&self.settings.transport, &self.settings.auth) {
            (Transport::OpenApi { .. }, _) => Some("`spec_path` (OpenAPI)".to_owned()),
            (Transport::Http { .. }, UpstreamAuth::NotActiveYet { auth_type }) => {
                // A plain word is an `auth_type`; anything else says by itself what it is.
                let is_word = !auth_type.contains(' ');
                Some(if is_word { format!("`auth_type: {auth_type}`") } else { auth_type.clone() })
            }
            // A child has an environment and no use for an `auth_type`.
            (Transport::Http { .. } | Transport::Stdio(_), _) => None,
        }
    }

    fn outfit(&self, caller: &HeaderMap) -> Result<Arc<Outfit>, CredentialError> {
        let current = self.pool.shared.current();
        let own = match &self.settings.transport {
            Transport::Http { .. } => headers::depends_on(caller, &self.settings, &current.addressing),
            Transport::Stdio(command) => environment::depends_on_caller(command),
            Transport::OpenApi { .. } => false,
        };
        if own {
            return self.make_outfit(caller, &current).map(Arc::new);
        }
        self.common.get_or_init(|| self.make_outfit(&HeaderMap::new(), &current).map(Arc::new)).clone()
    }

    fn make_outfit(&self, caller: &HeaderMap, current: &shared::Current) -> Result<Outfit, CredentialError> {
        if self.not_active_yet().is_some() {
            return Ok(Outfit::new(Wear::Nothing, AuthResolution::Unresolved));
        }
        match &self.settings.transport {
            Transport::Http { .. } => {
                let resolved = headers::resolve(&self.settings, &current.addressing, caller)?;
                Ok(Outfit::new(Wear::Headers(resolved.headers), resolved.resolution))
            }
            Transport::Stdio(command) => {
                let environment = environment::render(command, &self.settings.name, caller)?;
                Ok(Outfit::new(Wear::Environment(environment), AuthResolution::NotApplicable))
            }
            Transport::OpenApi { .. } => Ok(Outfit::new(Wear::Nothing, AuthResolution::Unresolved)),
        }
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

/// Only after the loss of a session: anything else is for the caller to decide.
fn may_send_again(cause: &toolgate_client::Error, method: &str) -> bool {
    let only_reads = method == "ping" || method.ends_with("/list");
    cause.session_lost() && (cause.delivery() == Delivery::NotSent || only_reads)
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
