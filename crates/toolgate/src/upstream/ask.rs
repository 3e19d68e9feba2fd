//! One request: its turn, its connection, and sending it, once more where that is safe.
//!
//! When it is sent again is for [`super::tries`] to say, and whether at all for [`super::circuit`].

use std::borrow::Cow;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use tokio::sync::OwnedSemaphorePermit;
use toolgate_access::limits::rate::RateExceeded;
use toolgate_client::{Call, Delivery, GivenUp};
use toolgate_mcp::headers::PARAM_PREFIX;
use toolgate_mcp::method;
use toolgate_mcp::stream::Translation;
use toolgate_mcp::translate::request;
use toolgate_mcp::views::META_CLIENT_INFO;
use toolgate_mcp::word::Word;

use super::Upstream;
use super::circuit::{Circuit, Passage, Shut};
use super::connection::Lease;
use super::deadline::Deadline;
use super::ears::Lasting;
use super::error::{UpstreamError, Wait};
use super::hears::Hears;
use super::lane::Lane;
use super::reply::{Form, Held};
use super::status::Stage;
use super::tries::Tries;

const CLIENT_INFO: Word = Word::new(META_CLIENT_INFO);

/// One request to a server.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The method.
    pub method: &'a str,
    /// The parameters as JSON text.
    pub params: Option<&'a str>,
    /// For everything together: the wait for a turn, the connection, the answer.
    pub timeout: Duration,
    /// Headers of this request alone, such as `traceparent`; without meaning for a child process.
    pub headers: Option<&'a HeaderMap>,
    /// Who hears what the server says while this request runs.
    pub hears: Option<&'a Arc<dyn Hears>>,
    /// Knows why the request is given up, if it is.
    pub given_up: Option<&'a Arc<dyn GivenUp>>,
    /// What becomes of a modern server's `input_required`.
    pub rounds: Rounds,
    /// Running it twice does no harm: the tool says that it only reads or is idempotent.
    pub may_repeat: bool,
    /// The tool that it calls only runs as a task of 2025-11-25, whose result is waited for.
    pub as_task: bool,
    /// Keeps its progress token known to the requests that follow.
    pub lasting: Option<&'a Lasting>,
    /// What becomes of the result of an answer that is passed on while it comes; a whole one stays as it is.
    pub translation: Option<&'a Translation>,
}

/// What becomes of an answer in which a modern server asks for the client's input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rounds {
    /// It is the answer: the client is modern too.
    #[default]
    Pass,
    /// Its questions are asked of [`Ask::hears`], and the request is sent again with the answers. The client speaks
    /// revisions with `initialize`, so the answer is given without what only modern results say.
    Ask,
}

impl<'a> Ask<'a> {
    /// A request that nobody hears of but by its answer.
    #[must_use]
    pub fn new(method: &'a str, params: Option<&'a str>, timeout: Duration) -> Self {
        Self {
            method,
            params,
            timeout,
            headers: None,
            hears: None,
            given_up: None,
            rounds: Rounds::Pass,
            may_repeat: false,
            as_task: false,
            lasting: None,
            translation: None,
        }
    }

    /// Whether sending it twice does no harm.
    fn is_repeatable(&self) -> bool {
        self.may_repeat || only_reads(self.method)
    }
}

impl Upstream {
    pub(super) async fn try_ask<F: Form>(&self, lane: &Lane, ask: Ask<'_>) -> Result<(F::Sent, Held), UpstreamError> {
        self.check_active()?;
        let deadline = Deadline::after(ask.timeout);
        self.take_of_rpm()?;
        let running = self.pool.requests.token();
        let turn = self.turn(deadline).await?;
        let mut tries = Tries::default();
        let mut passage = self.enter(deadline)?;
        let answers = self.pool.answers();
        loop {
            let lease = self.pool.lease(lane, deadline).await?;
            self.set_level_first(lane, &lease, deadline).await;
            let cause = match self.send::<F>(lane, &lease, ask, deadline).await {
                Ok(sent) => {
                    self.pool.note_answer(lease.connection());
                    passage.verdict();
                    return Ok((sent, Held { _lease: lease, _running: running, _turn: turn }));
                }
                Err(cause) => cause,
            };
            if cause.session_lost() || (cause.is_timeout() && lease.connection().is_past_hope()) {
                self.pool.lost(&lane.key, lease.connection(), Some(&cause), Stage::Request);
            }
            if cause.is_wrong_era() {
                self.pool.forget_era();
            }
            let is_patient = self.pool.watch.was_well_lately();
            let Some(pause) = tries.again(&cause, ask.is_repeatable(), is_patient) else {
                if self.pool.request_failed(lane, &cause, answers) {
                    passage.verdict();
                }
                let why = UpstreamError::asking(&self.settings.name, cause, deadline.limit());
                self.pool.note_failure(&why, Stage::Request);
                return Err(why);
            };
            drop(lease);
            if !pause.is_zero() {
                deadline.wait(&self.settings.name, Wait::Connection, tokio::time::sleep(pause)).await?;
            }
        }
    }

    /// One request of the server's `rpm`, whoever asks for what.
    fn take_of_rpm(&self) -> Result<(), UpstreamError> {
        let Some(limit) = self.settings.rpm else { return Ok(()) };
        let mut window = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        let now = chrono::Utc::now();
        // Also a refusal must see the minute: a clock that went back would else be waited for.
        *window = window.at(now);
        match window.take(1, limit.get(), now) {
            Ok(taken) => *window = taken,
            Err(RateExceeded { limit, retry_after }) => {
                let server = self.settings.name.clone();
                return Err(UpstreamError::RateLimited { server, limit, retry_after });
            }
        }
        Ok(())
    }

    /// Lets a request through, unless the server is left alone for now.
    pub(super) fn enter(&self, deadline: Deadline) -> Result<Entered<'_>, UpstreamError> {
        match self.pool.circuit.pass(deadline.began()) {
            Ok(passage) => Ok(Entered { circuit: &self.pool.circuit, is_probe: matches!(passage, Passage::Probe) }),
            Err(Shut { why, retry_in }) => {
                let server = self.settings.name.clone();
                Err(UpstreamError::Unavailable { server, cause: why, retry_in: Some(retry_in) })
            }
        }
    }

    /// A client says once how much it wants to hear, and the server of a new connection has not been told yet.
    async fn set_level_first(&self, lane: &Lane, lease: &Lease, deadline: Deadline) {
        let Some(level) = lane.client.log_level else { return };
        let connection = lease.connection();
        if !connection.told.lacks(level) {
            return;
        }
        // In a box, since it is rare and every request would carry its size. If it fails, the request will tell why.
        if let Err(error) = Box::pin(connection.log_at(level, deadline.remaining())).await {
            tracing::debug!(server.name = self.settings.name, %error, "the log level could not be set");
        }
    }

    async fn send<F: Form>(
        &self,
        lane: &Lane,
        lease: &Lease,
        ask: Ask<'_>,
        deadline: Deadline,
    ) -> Result<F::Sent, toolgate_client::Error> {
        let connection = lease.connection();
        if lane.key.session.is_some() && lane.offered.can_be_asked() {
            // A question that the server asks before somebody listens would be lost.
            connection.session.listening().await;
        }
        let mut call = Call::with_timeout(deadline.remaining());
        if let Some(headers) = ask.headers {
            call.headers = understood(headers, connection.session.is_modern());
        }
        let (params, attended) = connection.ears.attend(&self.pool.shared.numbers, ask.params, ask.hears);
        if connection.session.is_modern() {
            call.meta = Some(lane.client.capabilities.facts(lane.client.log_level, lane.client.speaks_for_itself));
        }
        let params = if connection.session.is_modern() { params } else { params.map(without_client) };
        call.given_up = ask.given_up.cloned();
        call.translation = match ask.translation {
            None if ask.rounds == Rounds::Ask && connection.session.is_modern() => Some(Translation::to_legacy()),
            wanted => wanted.cloned(),
        };
        let lasting = ask.lasting.and_then(|lasting| lasting.on(&connection.ears, ask.hears));
        let told = attended.as_ref().or(lasting.as_deref());
        call.events = ask.hears.and_then(|hears| connection.ears.on_own_stream(hears, told));
        let sent = F::send(&connection.session, Ask { params: params.as_deref(), ..ask }, &call).await;
        let is_settled = sent.as_ref().err().is_none_or(|cause| cause.delivery() != Delivery::Unknown);
        if let Some(attended) = attended.filter(|_| is_settled) {
            match ask.lasting.filter(|_| sent.is_ok()) {
                Some(lasting) => lasting.answered(attended),
                None => attended.answered(),
            }
        }
        sent
    }

    pub(super) async fn turn(&self, deadline: Deadline) -> Result<Option<OwnedSemaphorePermit>, UpstreamError> {
        let Some(turns) = &self.turns else { return Ok(None) };
        match deadline.wait(&self.settings.name, Wait::Turn, Arc::clone(turns).acquire_owned()).await {
            Ok(turn) => Ok(Some(turn.expect("nobody closes this semaphore"))),
            Err(_) => Err(UpstreamError::Busy {
                server: self.settings.name.clone(),
                limit: format!("`max_concurrent_requests` are running and none ended within {:?}", deadline.limit()),
            }),
        }
    }
}

/// `params` for a server that was told in `initialize` who asks.
fn without_client(params: Cow<'_, str>) -> Cow<'_, str> {
    if !CLIENT_INFO.is_in(params.as_bytes()) {
        return params;
    }
    match request::without_client(&params) {
        Ok(Cow::Owned(without)) => Cow::Owned(without),
        // There was nothing of the kind, or it cannot be read, which is for the server to say.
        Ok(Cow::Borrowed(_)) | Err(_) => params,
    }
}

/// Those of `headers` that a server understands: older revisions do not repeat arguments in headers.
fn understood(headers: &HeaderMap, is_modern: bool) -> HeaderMap {
    let mut kept = headers.clone();
    if !is_modern {
        let repeats: Vec<HeaderName> =
            kept.keys().filter(|name| name.as_str().starts_with(PARAM_PREFIX)).cloned().collect();
        for name in repeats {
            kept.remove(name);
        }
    }
    kept
}

/// A request that the circuit let through.
pub(super) struct Entered<'a> {
    circuit: &'a Circuit,
    /// It finds out whether the server is well again, and has not yet.
    is_probe: bool,
}

impl Entered<'_> {
    /// The circuit knows how it ended.
    pub(super) fn verdict(&mut self) {
        self.is_probe = false;
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.circuit.let_go();
        }
    }
}

/// Whether the method changes nothing at the server, whatever its parameters.
fn only_reads(method: &str) -> bool {
    matches!(
        method,
        method::PING
            | method::SERVER_DISCOVER
            | method::PROMPTS_GET
            | method::RESOURCES_READ
            | method::COMPLETION_COMPLETE
            | method::TASKS_RESULT
            | method::LOGGING_SET_LEVEL
            | method::RESOURCES_SUBSCRIBE
            | method::RESOURCES_UNSUBSCRIBE
    ) || method.ends_with("/list")
}
