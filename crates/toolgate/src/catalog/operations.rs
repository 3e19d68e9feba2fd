//! What callers do with the catalog: list, call, get, read, complete, and learn what is on offer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use serde_json::value::RawValue;
use toolgate_client::{Answer, AnswerOutcome};
use toolgate_mcp::edit::Edit;
use toolgate_mcp::jsonrpc::{self, quote};
use toolgate_mcp::translate::errors;
use toolgate_mcp::views::{Completion, Located, Named, Reference};
use toolgate_mcp::word::Word;
use toolgate_mcp::{method, views};

use super::errors::{CallError, FailedCall, FindError, ListError};
use super::fetch::Want;
use super::find::{self, Found};
use super::last_good::Given;
use super::list::{Kind, ServerList};
use super::merge::{ListedPage, Outcome, Position};
use super::owners::Owners;
use super::{Catalog, Scope, Visit, charged, repeats, rules, spans};
use crate::accounting::Charge;
use crate::upstream::{Ask, Form, Reader, Rounds, Upstream, UpstreamError, error_for_legacy};

/// One server's tools.
pub struct ToolsOfServer {
    /// The server.
    pub upstream: Arc<Upstream>,
    /// As raw JSON under their own names; `None` when there is not even a last good list.
    pub tools: Option<Vec<Box<str>>>,
    /// What became of the server.
    pub outcome: Outcome,
}

/// What was called, for metrics and traces: known names only.
#[derive(Debug, Clone)]
pub struct Called {
    /// The server's configured name.
    pub server: String,
    /// The server's own name for the tool or prompt.
    pub name: String,
    /// The same with the server's prefix.
    pub listed: String,
    /// How long the upstream took; the rest of a call's time is the gateway's own.
    pub upstream_took: Duration,
    /// The tool says that it failed.
    pub is_tool_error: bool,
}

/// How a request is sent, beside what it says.
#[derive(Default)]
pub(super) struct How {
    /// Sending it twice does no harm.
    may_repeat: bool,
    /// The tool only runs as a task of 2025-11-25.
    as_task: bool,
    /// Headers of its own.
    headers: Option<HeaderMap>,
}

impl How {
    pub(super) fn repeatable() -> Self {
        Self { may_repeat: true, ..Self::default() }
    }
}

const IS_ERROR: Word = Word::new("\"isError\"");

/// Whether a tool was called and says that it failed (`isError`). Most do not have the word with that value, and are not parsed.
#[must_use]
pub fn is_tool_error(answer: &Answer) -> bool {
    if !answer.is_result() {
        return false;
    }
    let result = answer.outcome_bytes();
    let is_true = |end: usize| {
        let value = result[end..].trim_ascii_start().strip_prefix(b":");
        value.is_some_and(|value| value.trim_ascii_start().starts_with(b"true"))
    };
    IS_ERROR.ends(result).any(is_true) && std::str::from_utf8(result).is_ok_and(views::is_error)
}

impl Catalog {
    /// One page of the list of `kind` over all servers in scope.
    ///
    /// Servers that fail or are late are named in the page's `_meta`, and are there with the last good list that they
    /// gave, if they gave one.
    ///
    /// # Errors
    /// [`ListError`] for a stale position, or when no server in scope has a list, not even an old one.
    pub async fn list(
        &self,
        kind: Kind,
        visit: Visit<'_>,
        position: Option<Position>,
    ) -> Result<ListedPage, ListError> {
        let asked = self.ask_all(Want::Items, kind, visit).await;
        let failures = find::failures(&asked);
        let merged = self.merged_of(kind, &asked);
        if merged.is_empty_of_servers() && !failures.is_empty() {
            return Err(ListError::NoneAnswered { what: kind.field(), outcomes: failures });
        }
        merged
            .page(kind, position, &failures, Reader::of(visit.caller))
            .ok_or(ListError::Cursor("the list has changed since it was given; list again from the start"))
    }

    /// Each server's tools, after its rules.
    pub async fn tools_by_server(&self, visit: Visit<'_>) -> Vec<ToolsOfServer> {
        let asked = self.ask_all(Want::Items, Kind::Tools, visit).await;
        let items = |list: &Arc<ServerList>| list.entries().iter().map(|entry| entry.raw.clone()).collect();
        let of = |(upstream, given): (Arc<Upstream>, Given)| {
            let outcome = Outcome::of(&upstream, &given);
            ToolsOfServer { tools: given.list().map(items), outcome, upstream }
        };
        asked.into_iter().map(of).collect()
    }

    /// Calls a tool, within what its caller may use and spend.
    ///
    /// # Errors
    /// [`CallError`] when there is no answer of the upstream; an error answer of the upstream is an `Ok`.
    pub async fn call_tool<F: Form>(
        &self,
        visit: Visit<'_>,
        params: Option<&RawValue>,
    ) -> Result<(F, Called), CallError> {
        let call = Named::read(params)?;
        let (found, headers, charge) = match self.admit(visit, &call).await {
            Ok(admitted) => admitted,
            Err(why) => {
                // In a box, because it is rare and large, and every call would carry its size.
                Box::pin(self.count_refusal(visit, &call.name, &why)).await;
                return Err(why);
            }
        };
        self.metrics.allowed();
        let upstream = Arc::clone(&found.upstream);
        let mut called = self.send_named::<F>(visit, method::TOOLS_CALL, params, &call, found, headers).await;
        // The code means something else, or nothing, to a server of an older revision, which has run the call.
        if called.as_ref().is_ok_and(|(answer, _)| is_header_mismatch(answer)) && upstream.is_modern() {
            // In a box, since it is rare and every call would carry its size.
            called = Box::pin(self.call_again(visit, params, &call)).await;
        }
        if let Some(charge) = charge {
            charged::settle(charge, &called);
        }
        called
    }

    /// Finds what is called, and has everybody agree to it who has a say.
    async fn admit(&self, visit: Visit<'_>, call: &Named<'_>) -> Result<(Found, HeaderMap, Option<Charge>), CallError> {
        let found = self.find(Kind::Tools, visit, &call.name).await?;
        rules::check_arguments(&found.upstream.settings, &found.own_name, call.arguments.map(RawValue::get))?;
        let sent = visit.alone.map(|alone| alone.headers);
        let headers = repeats::headers(sent, found.param_headers.as_deref(), call)?;
        let charge = charged::begin(visit, &found, call).await?;
        Ok((found, headers, charge))
    }

    /// The tool marks other arguments than when it was listed; see MCP 2026-07-28, Custom Headers.
    async fn call_again<F: Form>(
        &self,
        visit: Visit<'_>,
        params: Option<&RawValue>,
        call: &Named<'_>,
    ) -> Result<(F, Called), CallError> {
        let found = self.find_anew(Kind::Tools, visit, &call.name).await?;
        let sent = visit.alone.map(|alone| alone.headers);
        let headers = repeats::headers(sent, found.param_headers.as_deref(), call)?;
        let (answer, called) = self.send_named(visit, method::TOOLS_CALL, params, call, found, headers).await?;
        let answer = if visit.rounds == Rounds::Pass { answer } else { error_for_legacy(answer) };
        Ok((answer, called))
    }

    /// Gets a prompt.
    ///
    /// # Errors
    /// As [`Catalog::call_tool`].
    pub async fn get_prompt<F: Form>(
        &self,
        visit: Visit<'_>,
        params: Option<&RawValue>,
    ) -> Result<(F, Called), CallError> {
        let call = Named::read(params)?;
        let found = self.find(Kind::Prompts, visit, &call.name).await?;
        self.send_named(visit, method::PROMPTS_GET, params, &call, found, HeaderMap::new()).await
    }

    async fn send_named<F: Form>(
        &self,
        visit: Visit<'_>,
        method: &str,
        params: Option<&RawValue>,
        call: &Named<'_>,
        found: Found,
        headers: HeaderMap,
    ) -> Result<(F, Called), CallError> {
        let params = params.map(RawValue::get).unwrap_or("{}");
        let mut edit = Edit::new(params);
        if call.name != found.own_name {
            edit.replace(call.name_text, quote(&found.own_name));
        }
        let may_repeat = method != method::TOOLS_CALL || found.may_repeat;
        let headers = (!headers.is_empty()).then_some(headers);
        let how = How { may_repeat, as_task: found.as_task, headers };
        let sent = Instant::now();
        let answer = self.send(visit, &found.upstream, method, &edit.finish(), how).await;
        let upstream_took = sent.elapsed();
        let server = &found.upstream.settings;
        let listed = self.settings.naming.prefixed(server, &found.own_name);
        let is_tool_error = method == method::TOOLS_CALL
            && answer.as_ref().is_ok_and(|answer| F::whole(answer).is_some_and(is_tool_error));
        let called = Called { server: server.name.clone(), name: found.own_name, listed, upstream_took, is_tool_error };
        match answer {
            Ok(answer) => Ok((answer, called)),
            Err(CallError::Upstream(error)) => Err(CallError::Called(Box::new(FailedCall { called, error }))),
            Err(error) => Err(error),
        }
    }

    /// Reads a resource: the servers that may have it are asked one after another until one does.
    ///
    /// # Errors
    /// As [`Catalog::call_tool`].
    pub async fn read_resource<F: Form>(&self, visit: Visit<'_>, params: Option<&RawValue>) -> Result<F, CallError> {
        let read = Located::read(params)?;
        let text = params.map(RawValue::get).unwrap_or("{}");
        let owners = match self.owners(visit, &read.uri).await? {
            // Whoever lists it answers for it: others would only say that they do not have it.
            Owners::Known(owner) => vec![owner],
            Owners::Likely(owners) => owners,
        };
        let mut first = None;
        for owner in owners {
            let answered = if read.uri == owner.own_name {
                self.send(visit, &owner.upstream, method::RESOURCES_READ, text, How::repeatable()).await
            } else {
                let mut edit = Edit::new(text);
                edit.replace(read.uri_text, quote(&owner.own_name));
                let asked = edit.finish();
                // In a box, since it is rare and every read would carry its size.
                let read = self.read_renamed(visit, &owner.upstream, &asked, &owner.own_name, &read.uri);
                Box::pin(read).await.map(F::from)
            };
            match answered {
                Ok(answer) if answer.is_result() => return Ok(answer),
                // The first server is the likeliest owner: what it says is the answer when nobody has the resource.
                other => {
                    first.get_or_insert(other);
                }
            }
        }
        first.unwrap_or_else(|| Err(unknown(Kind::Resources, &read.uri)))
    }

    /// Completes an argument of a prompt or resource template.
    ///
    /// # Errors
    /// As [`Catalog::call_tool`].
    pub async fn complete(&self, visit: Visit<'_>, params: Option<&RawValue>) -> Result<Answer, CallError> {
        let completion = Completion::read(params)?;
        let text = params.map(RawValue::get).unwrap_or("{}");
        let disabled = self.settings.general.disabled;
        let (found, wire, asked) = match &completion.reference {
            Reference::Prompt { name, .. } if disabled.prompts => return Err(unknown(Kind::Prompts, name)),
            Reference::Resource { uri, .. } if disabled.resources => return Err(unknown(Kind::Templates, uri)),
            Reference::Prompt { name_text, name } => (self.find(Kind::Prompts, visit, name).await?, *name_text, name),
            Reference::Resource { uri_text, uri } => (self.owner_of_template(visit, uri).await?, *uri_text, uri),
        };
        let mut edit = Edit::new(text);
        if **asked != *found.own_name {
            edit.replace(wire, quote(&found.own_name));
        }
        self.send(visit, &found.upstream, method::COMPLETION_COMPLETE, &edit.finish(), How::repeatable()).await
    }

    async fn send<F: Form>(
        &self,
        visit: Visit<'_>,
        upstream: &Arc<Upstream>,
        method: &str,
        params: &str,
        how: How,
    ) -> Result<F, CallError> {
        if self.merged.has_renamed() {
            // In a box, since it is rare and every request would carry its size.
            return Box::pin(self.send_renaming(visit, upstream, method, params, how)).await.map(F::from);
        }
        self.send_plainly(visit, upstream, method, params, how).await
    }

    pub(super) async fn send_plainly<F: Form>(
        &self,
        visit: Visit<'_>,
        upstream: &Arc<Upstream>,
        method: &str,
        params: &str,
        how: How,
    ) -> Result<F, CallError> {
        let How { may_repeat, as_task, headers } = how;
        let lane = upstream.lane(visit.caller, visit.client).map_err(UpstreamError::from)?;
        // What is asked on the client's own connection meanwhile is about this call.
        let _overhearing = visit.alone.and_then(|_| upstream.overhear(&lane));
        let timeout = self.call_timeout(upstream).saturating_add(visit.patience);
        let (hears, rounds) = (visit.hears, visit.rounds);
        let ask = Ask {
            hears,
            rounds,
            may_repeat,
            as_task,
            given_up: visit.given_up,
            headers: headers.as_ref(),
            translation: visit.alone.map(|alone| alone.translation),
            ..Ask::new(method, None, timeout)
        };
        if !visit.span.is_on() {
            return Ok(upstream.ask(&lane, Ask { params: Some(params), ..ask }).await?);
        }
        let span = spans::of_request(visit.span, &upstream.settings, method, params);
        let mut headers = headers.clone().unwrap_or_default();
        span.inject_headers(&mut headers);
        let params = span.inject_meta(Some(params));
        let ask = Ask { params: params.as_deref(), headers: Some(&headers), ..ask };
        let answer: Result<F, _> = upstream.ask(&lane, ask).await;
        span.finish(answer.as_ref().err().map(UpstreamError::outcome_label));
        Ok(answer?)
    }

    /// Sends a request about something that `server`, a configured name, has made for this caller; `None` when it is not
    /// in scope.
    ///
    /// # Errors
    /// As [`Catalog::call_tool`].
    pub async fn ask_server(
        &self,
        visit: Visit<'_>,
        server: &str,
        method: &str,
        params: &str,
    ) -> Result<Option<Answer>, CallError> {
        match visit.servers().iter().find(|upstream| upstream.settings.name == server) {
            Some(upstream) => self.send(visit, upstream, method, params, How::default()).await.map(Some),
            None => Ok(None),
        }
    }

    /// The longest that a call of any of these servers may take.
    #[must_use]
    pub fn longest_call(&self, scope: &Scope) -> Duration {
        let limits = scope.servers().iter().map(|upstream| self.call_timeout(upstream));
        limits.max().unwrap_or(self.settings.timeouts.call)
    }

    /// Whether the server that a request is for keeps a state with its client (`requestState`): it is of a revision that
    /// has one.
    ///
    /// # Errors
    /// As [`Catalog::call_tool`].
    pub async fn keeps_state(
        &self,
        visit: Visit<'_>,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<bool, CallError> {
        let upstream = match method {
            method::TOOLS_CALL => self.find(Kind::Tools, visit, &Named::read(params)?.name).await?.upstream,
            method::PROMPTS_GET => self.find(Kind::Prompts, visit, &Named::read(params)?.name).await?.upstream,
            method::RESOURCES_READ => match self.owners(visit, &Located::read(params)?.uri).await? {
                Owners::Known(owner) => owner.upstream,
                Owners::Likely(owners) => match owners.into_iter().next() {
                    Some(owner) => owner.upstream,
                    None => return Ok(false),
                },
            },
            _ => return Ok(false),
        };
        let lane = upstream.lane(visit.caller, visit.client).map_err(UpstreamError::from)?;
        let facts = upstream.facts(&lane, self.call_timeout(&upstream)).await?;
        Ok(!facts.revision.has_handshake())
    }

    pub(super) fn call_timeout(&self, upstream: &Upstream) -> Duration {
        upstream.settings.timeout.unwrap_or(self.settings.timeouts.call)
    }
}

/// Whether a modern server says that headers and arguments do not fit.
fn is_header_mismatch<F: Form>(answer: &F) -> bool {
    match answer.whole().filter(|answer| !answer.is_result()).map(Answer::outcome) {
        Some(AnswerOutcome::Error(error)) => errors::code_of(error) == Some(jsonrpc::code::HEADER_MISMATCH),
        _ => false,
    }
}

pub(super) fn unknown(kind: Kind, name: &str) -> CallError {
    FindError::Unknown { noun: kind.noun(), name: name.to_owned() }.into()
}
