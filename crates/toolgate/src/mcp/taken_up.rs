//! Streams that a client has left in another process of the gateway, one that was restarted or a replica with the same
//! key: their events' ids say where the servers' streams behind them can be taken up.
//!
//! MCP 2025-11-25, Transports, Resumability and Redelivery.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use toolgate_mcp::jsonrpc::{self, ErrorObject, code};
use toolgate_mcp::method;
use tracing::Instrument as _;

use super::dispatch;
use super::event_id::StreamId;
use super::event_id::behind::{self, CallBehind};
use super::live::{Again, Hearing, Live, Stopped};
use super::outlet::{Outlet, Place};
use super::refusal::Refusal;
use crate::auth::Caller;
use crate::catalog::Scope;
use crate::config::settings::ServerId;
use crate::faces::jsonrpc as face;
use crate::gateway::{Gateway, Snapshot};
use crate::upstream::{Hears, Reader, Rest, Upstream};

/// What a client has left, and who it is.
pub(super) struct Former<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) snapshot: &'a Arc<Snapshot>,
    pub(super) caller: &'a Caller,
    pub(super) live: &'a Arc<Live>,
    /// What the client may reach by the request with which it comes back.
    pub(super) scope: &'a Scope,
}

impl Former<'_> {
    fn server(&self, id: &ServerId) -> Option<&Arc<Upstream>> {
        self.scope.servers().iter().find(|upstream| upstream.settings.id == *id)
    }

    /// The response `number`, of which the client has read the events up to `read`, from there on. If the server has
    /// forgotten it, the call's answer says so.
    pub(super) fn take_up(&self, number: u64, read: u64, behind: &Place) -> Result<Arc<Outlet>, Refusal> {
        let call = behind::read_call(behind).ok_or(Refusal::EventId)?;
        let upstream = Arc::clone(self.server(&call.server).ok_or(Refusal::EventId)?);
        let Self { gateway, caller, live, .. } = *self;
        let outlet = Outlet::going_on(read, Arc::clone(behind));
        let sealer = gateway.sessions.sealer();
        match gateway.lives.keep_again(live, number, &outlet, sealer, caller) {
            Again::Begins => {}
            Again::GoesOn(there) => return Ok(there),
            Again::TooMany => return Err(Refusal::EventId),
        }
        let rest = self.rest(call, upstream, Arc::clone(&outlet));
        let (gateway_of_task, live_of_task, outlet_of_task) = (gateway.clone(), Arc::clone(live), Arc::clone(&outlet));
        let task = async move {
            outlet_of_task.finish(rest.await);
            gateway_of_task.lives.kept_to_its_end(&live_of_task, StreamId::Response(number));
        };
        gateway.tasks.spawn(task.in_current_span());
        Ok(outlet)
    }

    /// The message that ends the response; `None` when the client cancels the call before that.
    fn rest(
        &self,
        call: CallBehind,
        upstream: Arc<Upstream>,
        outlet: Arc<Outlet>,
    ) -> impl Future<Output = Option<Bytes>> + Send + 'static {
        let (live, caller, snapshot) = (Arc::clone(self.live), self.caller.clone(), Arc::clone(self.snapshot));
        let turn = snapshot.catalog.longest_call(self.scope);
        let client = live.client();
        let timeout = turn.saturating_add(dispatch::patience(&client, &snapshot.settings.clients));
        // From now on it can be cancelled.
        let run = live.begin(&call.id, Some(&outlet), true);
        async move {
            let hears = Arc::new(Hearing { live: Some(live), outlet: Some(outlet) }) as Arc<dyn Hears>;
            let rest = Rest {
                caller: &caller,
                client: &client,
                place: &call.place,
                request: &call.request,
                method: method::TOOLS_CALL,
                timeout,
                hears: &hears,
            };
            let error = |error: &ErrorObject| jsonrpc::error(Some(&call.id), error);
            let message = match run.to_its_end(Some(turn), pin!(upstream.take_up(rest))).await {
                Ok(Ok(answer)) => answer.with_id(&call.id),
                Ok(Err(why)) => error(&face::upstream_error(&why, Reader::of(&caller))),
                Err(Stopped::OutOfTime(turn)) => {
                    let data = Some(json!({ "code": "timeout", "may_have_run": true }));
                    error(&ErrorObject { code: code::TIMEOUT, message: format!("no answer within {turn:?}"), data })
                }
                Err(Stopped::Cancelled) => return None,
            };
            Some(Bytes::from(message))
        }
    }

    /// Has the servers of a former standalone stream go on where they were heard last.
    pub(super) fn listen_again(&self, behind: &Place) {
        let client = self.live.client();
        for (server, place) in behind::read_servers(behind).unwrap_or_default() {
            let Some(upstream) = self.server(&server) else { continue };
            if let Err(error) = upstream.listen_again(self.caller, &client, &place) {
                tracing::debug!(server.name = upstream.settings.name, %error, "a former stream is not gone on with");
            }
        }
    }
}
