//! Calls as they end, as server-sent events: those that this process writes down. Behind several replicas, each tells
//! of its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use serde_json::json;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;
use toolgate_mcp::sse;
use toolgate_store::{SpendFilter, SpendRow, SpendScope};

use super::super::spend::visible;
use super::super::{AdminError, Allowed, Tenant};
use super::shown;
use crate::places::Place;

/// How long nothing may be said, before a comment says that the stream is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) async fn stream(allowed: Allowed, filter: SpendFilter) -> Result<Response, AdminError> {
    let most = allowed.snapshot.settings.clients.streams;
    let too_many = || AdminError::Unavailable("as many streams are open as `max_streams` allows".to_owned());
    let place = allowed.gateway.streams.place(most).ok_or_else(too_many)?;
    let calls = allowed.gateway.accounting.calls().ok_or(AdminError::NoDatabase)?;
    let changes = allowed.gateway.reloads.subscribe();
    let listener = Listener { allowed, filter, calls, changes, _place: place };
    let events = futures_util::stream::unfold(listener, async |mut listener| {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    let first = futures_util::stream::iter([Ok(Bytes::from_static(b": calls as they end\n\n"))]);
    let mut response = Response::new(Body::from_stream(futures_util::StreamExt::chain(first, Box::pin(events))));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

struct Listener {
    allowed: Allowed,
    filter: SpendFilter,
    calls: broadcast::Receiver<Arc<SpendRow>>,
    /// Told when keys, or what they may, have changed.
    changes: watch::Receiver<u64>,
    _place: Place,
}

impl Listener {
    /// The next event; `None` when the stream ends.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            tokio::select! {
                biased;
                () = self.allowed.gateway.stopping.cancelled() => return None,
                changed = self.changes.changed() => {
                    changed.ok()?;
                    self.look_again().await?;
                }
                call = self.calls.recv() => match call {
                    Ok(row) if matches(&self.filter, &row) => {
                        let data = shown(&row).to_string();
                        return Some(sse::encode(Some("call"), Some(&row.request_id), data.as_bytes()).into());
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(missed)) => {
                        let data = json!({ "missed": missed }).to_string();
                        return Some(sse::encode(Some("missed"), None, data.as_bytes()).into());
                    }
                    Err(RecvError::Closed) => return None,
                },
                () = tokio::time::sleep(KEEP_ALIVE) => return Some(Bytes::from_static(b": alive\n\n")),
            }
        }
    }

    /// What the listener may see now; `None` when their key is not in force any more.
    async fn look_again(&mut self) -> Option<()> {
        let allowed = &mut self.allowed;
        let principal = allowed.gateway.principal_anew(&allowed.caller).await?;
        allowed.role = principal.role();
        allowed.caller.principal = principal;
        if let (false, Some(user)) = (allowed.sees_everything(), allowed.user_id().map(str::to_owned)) {
            allowed.tenant = Tenant::of(&allowed.store, &user).await.ok()?;
        }
        self.filter.visible = visible(allowed);
        Some(())
    }
}

/// Whether the call is one of those that the filter would find.
fn matches(filter: &SpendFilter, row: &SpendRow) -> bool {
    let SpendFilter {
        request_id,
        api_key,
        user_id,
        team_id,
        organization_id,
        end_user,
        session_id,
        call_type,
        status,
        outcome,
        model,
        mcp_server_id,
        mcp_namespaced_tool_name,
        since,
        until,
        visible,
    } = filter;
    let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
    let may_be = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
    let of_metadata = row.metadata.as_ref().and_then(|metadata| metadata.get("outcome")?.as_str());
    is(request_id, &row.request_id)
        && is(api_key, &row.api_key)
        && is(call_type, &row.call_type)
        && is(model, &row.model)
        && is(outcome, of_metadata.unwrap_or_default())
        && may_be(user_id, &row.user_id)
        && may_be(team_id, &row.team_id)
        && may_be(organization_id, &row.organization_id)
        && may_be(end_user, &row.end_user)
        && may_be(session_id, &row.session_id)
        && may_be(status, &row.status)
        && may_be(mcp_server_id, &row.mcp_server_id)
        && may_be(mcp_namespaced_tool_name, &row.mcp_namespaced_tool_name)
        && since.is_none_or(|since| row.start_time >= since)
        && until.is_none_or(|until| row.start_time < until)
        && visible.as_ref().is_none_or(|scope| is_of(scope, row))
}

fn is_of(scope: &SpendScope, row: &SpendRow) -> bool {
    let SpendScope { api_keys, user_ids, team_ids, organization_ids } = scope;
    let is_one = |ids: &[String], id: &Option<String>| id.as_ref().is_some_and(|id| ids.contains(id));
    api_keys.contains(&row.api_key)
        || is_one(user_ids, &row.user_id)
        || is_one(team_ids, &row.team_id)
        || is_one(organization_ids, &row.organization_id)
}
