//! Going on, in this process, with what another process of the gateway had begun: the rest of a call, and the stream
//! on which a server speaks by itself.
//!
//! Source: MCP 2025-11-25, Transports, Resumability and Redelivery.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use toolgate_client::{Answer, Call};
use toolgate_mcp::method;

use super::deadline::Deadline;
use super::error::UpstreamError;
use super::hears::{Hears, RunningRequest, ServerPlace};
use super::lane::Lane;
use super::pool::{Adoption, Pool};
use super::status::Stage;
use super::{ClientSide, Upstream, rpc_error_code};
use crate::auth::Caller;

/// A request that another process had sent, whose answer is still to come.
pub struct Rest<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// The client, whose session at the server it is in.
    pub client: &'a ClientSide,
    /// Where the other process had come to in the server's stream.
    pub place: &'a ServerPlace,
    /// The request.
    pub request: &'a RunningRequest,
    /// The request's method.
    pub method: &'a str,
    /// How long the rest may take.
    pub timeout: Duration,
    /// Who hears what the server says on the stream.
    pub hears: &'a Arc<dyn Hears>,
}

impl Upstream {
    /// The answer to a request of a former process.
    ///
    /// # Errors
    /// When the server has forgotten the stream or the session, or no answer came.
    pub async fn take_up(&self, rest: Rest<'_>) -> Result<Answer, UpstreamError> {
        let began = Instant::now();
        let answered = self.try_take_up(&rest).await;
        let error_type = match &answered {
            Ok(answer) => rpc_error_code(answer),
            Err(why) => Some(why.outcome_label().to_owned()),
        };
        self.count(rest.method, error_type.as_deref(), began);
        answered
    }

    /// Has the stream on which the server speaks by itself go on in the session of `place`, which another process had
    /// opened for this client, unless the client has a new one by now.
    ///
    /// # Errors
    /// When the caller's credential cannot be had, or there is no room for the connection.
    pub fn listen_again(&self, caller: &Caller, client: &ClientSide, place: &ServerPlace) -> Result<(), UpstreamError> {
        self.check_speaks_mcp()?;
        let lane = self.lane(caller, client)?;
        if lane.key.session.is_none() {
            return Ok(());
        }
        let listen_after = Some(place.last_event_id.to_string());
        self.pool.listen_again(&lane, Adoption { listen_after, ..self.adoption(caller, client, place)? })
    }

    fn adoption(&self, caller: &Caller, client: &ClientSide, place: &ServerPlace) -> Result<Adoption, UpstreamError> {
        Ok(Adoption {
            session_id: place.session_id.as_deref().map(str::to_owned),
            revision: place.revision,
            listen_after: None,
            lists: self.lane(caller, &client.alike())?,
        })
    }

    async fn try_take_up(&self, rest: &Rest<'_>) -> Result<Answer, UpstreamError> {
        self.check_speaks_mcp()?;
        let deadline = Deadline::after(rest.timeout);
        let _running = self.pool.requests.token();
        let mut passage = self.enter(deadline)?;
        let lane = self.lane(rest.caller, rest.client)?;
        if lane.key.session.is_none() {
            return Err(UpstreamError::Closed { server: self.settings.name.clone() });
        }
        let adoption = self.adoption(rest.caller, rest.client, rest.place)?;
        let mut unless_taken_up = CancelsFormer {
            pool: Arc::clone(&self.pool),
            lane: lane.clone(),
            adoption: Some(adoption.clone()),
            request: rest.request.id,
            deadline,
        };
        let foster = self.pool.lease_adopted(&lane, adoption, deadline).await;
        // From here on the client library sees to it, if there is a connection.
        unless_taken_up.adoption = None;
        let foster = foster?;
        match self.go_on(rest, &lane, &foster.lease, deadline).await {
            Ok(answer) => {
                self.pool.note_answer(foster.lease.connection());
                passage.verdict();
                Ok(answer)
            }
            Err(cause) => {
                if cause.session_lost() {
                    self.pool.lost(&lane.key, foster.lease.connection(), Some(&cause), Stage::Request);
                }
                let why = UpstreamError::asking(&self.settings.name, cause, deadline.limit());
                self.pool.note_failure(&why, Stage::Request);
                Err(why)
            }
        }
    }

    async fn go_on(
        &self,
        rest: &Rest<'_>,
        lane: &Lane,
        lease: &super::connection::Lease,
        deadline: Deadline,
    ) -> Result<Answer, toolgate_client::Error> {
        let connection = lease.connection();
        connection.ears.belong_to(lane.client.hears.as_ref());
        let attended = connection.ears.attend_again(rest.request.token.as_ref(), rest.hears);
        let mut call = Call::with_timeout(deadline.remaining());
        call.events = connection.ears.on_own_stream(rest.hears, attended.as_ref());
        connection.session.take_up(rest.request.id, rest.method, &rest.place.last_event_id, &call).await
    }
}

/// Dropped before the request was taken up, it cancels it at the server all the same.
struct CancelsFormer {
    pool: Arc<Pool>,
    lane: Lane,
    adoption: Option<Adoption>,
    request: u64,
    deadline: Deadline,
}

impl Drop for CancelsFormer {
    fn drop(&mut self) {
        let Some(adoption) = self.adoption.take() else { return };
        let (pool, lane, request, deadline) = (Arc::clone(&self.pool), self.lane.clone(), self.request, self.deadline);
        self.pool.shared.tasks.spawn(async move {
            let cancel = async {
                let foster = pool.lease_adopted(&lane, adoption, deadline).await.ok()?;
                let params = format!("{{\"requestId\":{request}}}");
                foster.lease.connection().session.notify(method::CANCELLED, Some(&params)).await.ok()
            };
            if cancel.await.is_none() {
                tracing::debug!(server.name = pool.settings.name, "a former request could not be cancelled");
            }
        });
    }
}
