//! Resources that a client subscribed to and of which its servers do not know any more: it was not used for a while, its
//! servers were replaced by a reload, or its caller may reach other servers. They are asked for again by whatever the
//! client does next, or at once where its stream is open.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde_json::value::RawValue;
use toolgate_mcp::jsonrpc::quote;

use super::Live;
use crate::accounting::Accounting;
use crate::auth::Caller;
use crate::catalog::{Scope, Visit};
use crate::gateway::{Gateway, Snapshot};
use crate::telemetry::OperationSpan;
use crate::upstream::{LogLevel, Rounds, Upstream};

/// Servers are asked for so many subscriptions of one session at once.
const AT_ONCE: usize = 8;

/// What is known of a session that was forgotten for want of use.
#[derive(Clone)]
pub(super) struct Forgotten {
    pub(super) log_level: Option<LogLevel>,
    /// Under the URIs that the client knows.
    pub(super) resources: Arc<[Box<str>]>,
}

impl Forgotten {
    /// What it takes of the memory for all of them, its place in the cache included.
    pub(super) fn bytes(&self) -> u32 {
        let resources: usize = self.resources.iter().map(|uri| uri.len() + 16).sum();
        u32::try_from(resources + 160).unwrap_or(u32::MAX)
    }
}

/// What a subscription is asked for again with.
#[derive(Clone, Copy)]
struct Again<'a> {
    snapshot: &'a Snapshot,
    caller: &'a Caller,
    scope: &'a Scope,
    accounting: &'a Accounting,
}

/// While it lives, the session is not forgotten: what it subscribed to is nowhere else.
struct TakingUp(Arc<Live>);

impl Drop for TakingUp {
    fn drop(&mut self) {
        self.0.lock().taking_up -= 1;
    }
}

impl Live {
    /// The resources that the client has subscribed to at these servers.
    pub(super) fn subscribed<'u>(
        self: &Arc<Self>,
        upstreams: impl Iterator<Item = &'u Arc<Upstream>>,
    ) -> Vec<Box<str>> {
        let client = self.client();
        upstreams.flat_map(|upstream| upstream.subscribed(&client)).collect()
    }

    /// These are to be asked for again.
    pub(super) fn lost(&self, resources: impl IntoIterator<Item = Box<str>>) {
        let mut state = self.lock();
        state.lost.extend(resources);
        self.has_lost.store(!state.lost.is_empty(), Ordering::Relaxed);
    }

    /// Asks for what was lost, as far as it is in `scope`, without being waited for.
    pub(in super::super) fn subscribe_again(
        self: &Arc<Self>,
        gateway: &Gateway,
        snapshot: &Arc<Snapshot>,
        caller: &Caller,
        scope: &Scope,
    ) {
        if !self.has_lost.load(Ordering::Relaxed) {
            return;
        }
        let lost = {
            let mut state = self.lock();
            self.has_lost.store(false, Ordering::Relaxed);
            state.taking_up += 1;
            std::mem::take(&mut state.lost)
        };
        let taking_up = TakingUp(Arc::clone(self));
        let (live, snapshot, caller, scope) = (Arc::clone(self), Arc::clone(snapshot), caller.clone(), scope.clone());
        let (accounting, stopping) = (gateway.accounting.clone(), gateway.stopping.clone());
        gateway.tasks.spawn(async move {
            let _taking_up = taking_up;
            let again = Again { snapshot: &snapshot, caller: &caller, scope: &scope, accounting: &accounting };
            let ask = stream::iter(&lost).for_each_concurrent(AT_ONCE, |uri| live.ask_again(again, uri));
            tokio::select! {
                () = ask => {}
                () = stopping.cancelled() => {}
            }
        });
    }

    async fn ask_again(self: &Arc<Self>, again: Again<'_>, uri: &str) {
        let Again { snapshot, caller, scope, accounting } = again;
        let (span, client) = (OperationSpan::none(), self.client());
        let (hears, given_up, rounds, patience, alone) = (None, None, Rounds::Pass, Duration::ZERO, None);
        let client = &client;
        let span = &span;
        let visit = Visit { caller, client, hears, given_up, rounds, patience, alone, scope, span, accounting };
        let params = RawValue::from_string(format!("{{\"uri\":{}}}", quote(uri))).expect("it is written as JSON");
        match snapshot.catalog.subscribe(visit, Some(&params)).await {
            Ok(answer) if answer.as_ref().is_none_or(|answer| answer.is_result()) => {}
            Ok(_) => tracing::info!("a server does not take a subscription again that a session had"),
            Err(error) => tracing::info!(%error, "a session has lost a subscription"),
        }
    }
}
