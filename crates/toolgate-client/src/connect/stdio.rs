//! A child process: `server/discover` first, and `initialize` to whatever is not proven modern by that.
//!
//! Source: MCP 2026-07-28, Versioning, Dual-Era Clients.

use std::sync::Arc;

use tokio::time::timeout;
use tokio_util::sync::DropGuard;

use super::{Connected, DISCOVER_IDS, Doubt, INITIALIZE_ID};
use crate::context::Context;
use crate::error::{Delivery, Error, Problem};
use crate::handshake::{self, ServerFacts, Transport};
use crate::message;
use crate::modern::{self, ClientFacts, METHOD, Verdict};
use crate::options::{Era, Options};
use crate::session::Wire;
use crate::stdio::Stdio;
use crate::target::StdioTarget;

/// A child that is being spoken with; dropped, it is ended.
struct Child {
    wire: Stdio,
    context: Arc<Context>,
    unless_connected: DropGuard,
}

pub(super) async fn connect(target: &StdioTarget, options: &Options) -> Result<Connected, Error> {
    let attempt = timeout(options.connect_timeout, speak(target, options));
    attempt.await.unwrap_or_else(|_| Err(super::late(&target.command, options)))
}

async fn speak(target: &StdioTarget, options: &Options) -> Result<Connected, Error> {
    let child = Child::start(target, options).await?;
    if options.era == Era::Legacy {
        let facts = child.handshake(options).await?;
        return Ok(child.connected(facts, None));
    }
    let client = Arc::new(ClientFacts::of(options));
    let doubt = match child.discover(options, &client).await {
        Ok(facts) => return Ok(child.connected(*facts, Some(client))),
        Err(doubt) => doubt,
    };
    if options.era == Era::Modern || matches!(doubt, Doubt::Final(_)) {
        return Err(no_modern(doubt));
    }
    let child = if child.context.ended.is_cancelled() {
        // It may be that the unknown question was too much for it.
        tracing::debug!(server = %target.command, "the child did not survive `{METHOD}`, and is started again");
        drop(child);
        Child::start(target, options).await?
    } else {
        child
    };
    match (child.handshake(options).await, doubt) {
        (Ok(facts), _) => Ok(child.connected(facts, None)),
        (Err(_), Doubt::Proven(refused)) => Err(refused),
        // So it is a modern one, which was slow to start.
        (Err(error), _) if error.is_wrong_era() => match child.discover(options, &client).await {
            Ok(facts) => Ok(child.connected(*facts, Some(client))),
            Err(Doubt::Unproven(_)) => Err(error),
            Err(doubt) => Err(doubt.into_error()),
        },
        (Err(error), _) => Err(error),
    }
}

/// What a session that may only be a modern one fails with.
fn no_modern(doubt: Doubt) -> Error {
    match doubt {
        Doubt::Unproven(error) if !error.is_timeout() && !error.session_lost() => {
            let wrong = Problem::WrongEra { modern: true, reason: error.problem().to_string(), status: None };
            Error::new(error.server(), Delivery::NotSent, wrong)
        }
        other => other.into_error(),
    }
}

impl Child {
    async fn start(target: &StdioTarget, options: &Options) -> Result<Self, Error> {
        let context = Context::new(&target.command, options);
        let unless_connected = context.ended.clone().drop_guard();
        let wire = Stdio::open(target, &context).await?;
        Ok(Self { wire, context, unless_connected })
    }

    fn connected(self, facts: ServerFacts, client: Option<Arc<ClientFacts>>) -> Connected {
        self.unless_connected.disarm();
        Connected { facts, wire: Wire::Stdio(self.wire), context: self.context, client }
    }

    async fn handshake(&self, options: &Options) -> Result<ServerFacts, Error> {
        let server = &self.context.server;
        let answer = self.wire.request(server, INITIALIZE_ID, super::initialize(options)).await?;
        let facts = handshake::read(&answer, Transport::Stdio, false, options.revision)
            .map_err(|problem| Error::new(server, Delivery::Answered, problem))?;
        self.wire.send(server, super::initialized())?;
        Ok(facts)
    }

    /// Asks the child what it is. One that is silent may take the question for noise.
    async fn discover(&self, options: &Options, client: &ClientFacts) -> Result<Box<ServerFacts>, Doubt> {
        let server = &self.context.server;
        let failed = |delivery, problem| Error::new(server, delivery, problem);
        let described = super::discover(client).map_err(|problem| Doubt::Final(failed(Delivery::NotSent, problem)))?;
        let patience = super::patience(options);
        let mut refused = None;
        for id in DISCOVER_IDS {
            let message = message::request(id, METHOD, Some(&described.params));
            let answer = timeout(patience, self.wire.request(server, id, message)).await;
            let answer = answer.unwrap_or_else(|_| Err(super::timed_out(server, METHOD, patience)));
            match modern::verdict(&answer.map_err(Doubt::Unproven)?, Transport::Stdio) {
                Verdict::Modern(facts) => return Ok(facts),
                Verdict::Again(error) => refused = Some(error),
                Verdict::Refused(error) => {
                    return Err(Doubt::Proven(failed(Delivery::Answered, modern::refused(error))));
                }
                Verdict::Unproven(problem) => return Err(Doubt::Unproven(failed(Delivery::Answered, problem))),
            }
        }
        let again = refused.map_or(Problem::Closed, modern::refused);
        Err(Doubt::Proven(failed(Delivery::Answered, again)))
    }
}
