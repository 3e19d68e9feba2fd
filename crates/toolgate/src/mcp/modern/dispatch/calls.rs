//! Calls: requests that one server answers, and before that may ask the client something.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::value::RawValue;
use toolgate_client::Answer;
use toolgate_mcp::jsonrpc::{self, ErrorObject, Id, code};
use toolgate_mcp::session::ClientCapabilities;
use toolgate_mcp::stream::Translation;
use toolgate_mcp::translate::questions::{self, Answers};
use toolgate_mcp::translate::tokens;
use toolgate_mcp::views::{Located, Named, ViewError};
use toolgate_mcp::{edit, method};

use super::super::answer::Done;
use super::super::call::{Call, Turn};
use super::super::hearing::{Hearing, Open};
use super::super::parking::Parking;
use super::super::tasks;
use super::{Modern, not_found};
use crate::catalog::{Alone, CallError, Called, Visit};
use crate::faces::jsonrpc as face;
use crate::mcp::dispatch::Exchange;
use crate::mcp::ended::{Ended, ErrorType};
use crate::mcp::outlet::Outlet;
use crate::telemetry::OperationSpan;
use crate::upstream::{Hears, Reader, Reply};

/// What a call may take longer because its client may be asked: each turn of the server's own has the usual limit.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

impl Modern {
    /// A request to one server, which may ask something before it answers.
    pub(super) async fn call(self: Arc<Self>, id: &Id, span: OperationSpan, outlet: Arc<Outlet>) -> Ended {
        // The work has the span of the request that began it; of one that goes on with it, it is here.
        let mut span = Some(span);
        let ended = match self.begin_or_resume(&mut span, outlet).await {
            Ok(call) => self.turn_by_turn(call, id).await,
            Err(error) => Ended::error(id, &error),
        };
        if let Some(span) = span {
            span.finish(ended.error.as_ref().map(ErrorType::label).as_deref());
        }
        ended
    }

    async fn turn_by_turn(&self, mut call: Call, id: &Id) -> Ended {
        loop {
            match call.turn().await {
                Turn::Done(done) => return done.ended(id),
                Turn::Asked => match self.park(call, id) {
                    Ok(ended) => return ended,
                    Err(back) => call = *back,
                },
            }
        }
    }

    /// Takes the span where it begins.
    async fn begin_or_resume(
        self: &Arc<Self>,
        span: &mut Option<OperationSpan>,
        outlet: Arc<Outlet>,
    ) -> Result<Call, ErrorObject> {
        let params = self.params.as_deref();
        let invalid = |error: &ViewError| ErrorObject::new(code::INVALID_PARAMS, error.to_string());
        let answers = Answers::read(params).map_err(|error| invalid(&error))?;
        let token = params.and_then(|params| tokens::progress_token(params.get()).ok().flatten()).map(Box::from);
        let open = Open { outlet, log_level: self.log_level, token };
        let Some(state) = answers.request_state.as_deref() else {
            return Ok(self.begin(taken(span), open));
        };
        let Exchange { gateway, caller, .. } = &self.exchange;
        if let Some(ticket) = Parking::ticket(gateway.sessions.sealer(), &caller.id, state) {
            let call = gateway.parking.fetch(&ticket, &self.digest()).await;
            let mut call = call.ok_or_else(bad_state)?;
            call.hearing.attach(Some(open));
            call.deliver(&answers);
            return Ok(call);
        }
        let unseen = OperationSpan::none();
        let visit = self.visit(span.as_ref().unwrap_or(&unseen));
        let is_servers = self.exchange.snapshot.catalog.keeps_state(visit, &self.method, params);
        if !is_servers.await.map_err(|error| face::call_error(&error, Reader::of(caller)))? {
            return Err(bad_state());
        }
        Ok(self.begin(taken(span), open))
    }

    fn begin(self: &Arc<Self>, span: OperationSpan, open: Open) -> Call {
        let can = if questions::may_ask(&self.method) { self.can } else { ClientCapabilities::default() };
        let may_be_asked = can.roots || can.sampling || can.elicitation_form || can.elicitation_url;
        let hearing = Hearing::new(can, open);
        let hears: Arc<dyn Hears> = hearing.clone();
        let modern = Arc::clone(self);
        let work = async move {
            let done = modern.ask(&span, &hears, may_be_asked).await;
            span.finish(done.error.as_ref().map(ErrorType::label).as_deref());
            done
        };
        Call::new(
            Box::pin(work),
            hearing,
            self.exchange.snapshot.catalog.longest_call(&self.exchange.scope),
            self.digest(),
        )
    }

    /// Asks the server, and waits however often it asks back.
    async fn ask(&self, span: &OperationSpan, hears: &Arc<dyn Hears>, may_be_asked: bool) -> Done {
        let Exchange { gateway, caller, client, .. } = &self.exchange;
        let slot = if may_be_asked { gateway.slots.take(&caller.id, &client.capabilities) } else { None };
        let mut client = client.clone();
        if let Some(slot) = &slot {
            client.session = Some(slot.key);
            client.hears = Some(Arc::clone(hears));
        }
        let patience = if may_be_asked { PATIENCE } else { Duration::ZERO };
        let translation = Translation::to_modern(&self.method, &self.server_info, self.knows_tasks);
        let alone = Some(Alone { headers: &self.headers, translation: &translation });
        let visit = Visit { client: &client, hears: Some(hears), patience, alone, ..self.visit(span) };
        let catalog = &self.exchange.snapshot.catalog;
        let disabled = self.exchange.snapshot.settings.general.disabled;
        let params = self.params.as_deref();
        match &*self.method {
            method::TOOLS_CALL => self.of_tool(catalog.call_tool(visit, params).await),
            method::PROMPTS_GET if !disabled.prompts => {
                self.of_call(catalog.get_prompt(visit, params).await.map(|(answer, _)| answer))
            }
            method::RESOURCES_READ if !disabled.resources => self.of_call(catalog.read_resource(visit, params).await),
            method::COMPLETION_COMPLETE => self.of_call(catalog.complete(visit, params).await.map(Reply::Whole)),
            method => Done::refused(&not_found(method)),
        }
    }

    fn of_tool(&self, answer: Result<(Reply, Called), CallError>) -> Done {
        let (reply, called) = match answer {
            Ok(answered) => answered,
            Err(error) => return Done::failed(&error, Reader::of(&self.exchange.caller)),
        };
        let mut done = match reply {
            Reply::Whole(answer) => self.of_whole_tool(&answer, &called),
            Reply::Streamed(streamed) => Done::streamed(*streamed),
        };
        done.called = Some(called);
        done
    }

    fn of_whole_tool(&self, answer: &Answer, called: &Called) -> Done {
        let Exchange { gateway, caller, .. } = &self.exchange;
        let listed = |own: &str| Some(tasks::listed(gateway.sessions.sealer(), &caller.id, &called.server, own));
        let mut done = Done::answered(self.request(None), answer);
        if self.knows_tasks {
            done = done.about_task(listed);
        }
        if called.is_tool_error {
            done.error = Some(ErrorType::Tool);
        }
        done
    }

    fn of_call(&self, answer: Result<Reply, CallError>) -> Done {
        let located = match &*self.method {
            method::RESOURCES_READ => Located::read(self.params.as_deref()).ok(),
            _ => None,
        };
        match answer {
            Ok(Reply::Streamed(streamed)) => Done::streamed(*streamed),
            Ok(Reply::Whole(answer)) => {
                Done::answered(self.request(located.as_ref().map(|located| &*located.uri)), &answer)
            }
            Err(error) => Done::failed(&error, Reader::of(&self.exchange.caller)),
        }
    }

    /// Parks the call, and answers with its questions. Without room the questions are refused and the call comes back.
    fn park(&self, call: Call, id: &Id) -> Result<Ended, Box<Call>> {
        let Exchange { gateway, caller, .. } = &self.exchange;
        // Written before the call is gone, and completed with the token.
        let asking = match call.input_required() {
            Ok(asking) => asking,
            Err(error) => {
                let text = format!("the server's question cannot be read: {error}");
                return Ok(Ended::error(id, &ErrorObject::new(code::UPSTREAM_UNAVAILABLE, text)));
            }
        };
        let sealer = gateway.sessions.sealer();
        match gateway.parking.park(sealer, &caller.id, call, &gateway.tasks, &gateway.stopping) {
            Ok(state) => {
                let asking = edit::set_field(&asking, "requestState", &jsonrpc::quote(&state)).unwrap_or(asking);
                Ok(Done::result(self.request(None), &asking).ended(id))
            }
            Err(mut back) => {
                back.refuse("too many calls wait for their clients already");
                Err(back)
            }
        }
    }

    /// What the request is about: the same in every request of one call, and different in all others.
    fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        let mut part = |text: &str| {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        };
        part(&self.method);
        let params = self.params.as_deref();
        match &*self.method {
            method::RESOURCES_READ => part(Located::read(params).map_or("", |located| located.uri_text)),
            _ => {
                let named = Named::read(params).ok();
                part(named.as_ref().map_or("", |named| &named.name));
                part(named.and_then(|named| named.arguments).map_or("{}", RawValue::get));
            }
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

fn taken(span: &mut Option<OperationSpan>) -> OperationSpan {
    span.take().unwrap_or_else(OperationSpan::none)
}

/// One that is over and one that is forged are refused alike.
fn bad_state() -> ErrorObject {
    let why = "it is over, or none that this gateway gave to this caller for this request";
    ErrorObject::new(code::INVALID_PARAMS, format!("`requestState` cannot be used: {why}; send the request anew"))
}
