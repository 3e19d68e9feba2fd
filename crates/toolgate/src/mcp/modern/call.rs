//! One call of a server, from the client's first request to the answer, with the questions between them.
//!
//! A server of an older revision asks while its call runs. The call then waits, parked, while the client's request is
//! answered with `input_required`; the client's next request brings the answers and waits for what the server says to
//! them. A call that is dropped is cancelled at the server.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use toolgate_client::Question;
use toolgate_mcp::jsonrpc::{ErrorObject, code};
use toolgate_mcp::translate::questions::{self, Answers};
use toolgate_mcp::views::ViewError;

use super::answer::Done;
use super::hearing::{Asked, Hearing};

/// How long to wait for more questions after the first, since servers ask several at once.
const GATHER: Duration = Duration::from_millis(20);

/// A call that has not ended.
pub(super) struct Call {
    work: BoxFuture<'static, Done>,
    /// How it ended, if that was while it was parked.
    done: Option<Done>,
    pub(super) hearing: Arc<Hearing>,
    /// The questions that the client has been asked, or is to be.
    open: Vec<Asked>,
    /// How long the server may take for each turn of its own.
    limit: Duration,
    /// What the call is about, so that nothing else can be answered in its name.
    pub(super) digest: [u8; 32],
}

/// What came of waiting for the server.
pub(super) enum Turn {
    /// The answer.
    Done(Done),
    /// Questions for the client; see [`Call::input_required`].
    Asked,
}

impl Call {
    /// Begins a call; `work` hears through `hearing`.
    pub(super) fn new(
        work: BoxFuture<'static, Done>,
        hearing: Arc<Hearing>,
        limit: Duration,
        digest: [u8; 32],
    ) -> Self {
        Self { work, done: None, hearing, open: Vec::new(), limit, digest }
    }

    /// Waits until the server has answered or asks something.
    pub(super) async fn turn(&mut self) -> Turn {
        if let Some(done) = self.done.take() {
            return Turn::Done(done);
        }
        let limit = tokio::time::sleep(self.limit);
        tokio::pin!(limit);
        while self.open.is_empty() {
            tokio::select! {
                biased;
                done = &mut self.work => return Turn::Done(done),
                () = self.hearing.asked() => {}
                () = &mut limit => return Turn::Done(timed_out(self.limit)),
            }
            tokio::select! {
                biased;
                done = &mut self.work => return Turn::Done(done),
                () = tokio::time::sleep(GATHER) => {}
            }
            self.open = self.hearing.take();
        }
        Turn::Asked
    }

    /// Runs while the client has not answered, until the end if that comes first. Cancel safe.
    pub(super) async fn run(&mut self) {
        if self.done.is_none() {
            self.done = Some((&mut self.work).await);
        }
        std::future::pending().await
    }

    /// The result that asks the client all open questions; the state that it is to keep is still missing.
    pub(super) fn input_required(&self) -> Result<String, ViewError> {
        let params = |question: &Question| questions::to_modern(question.params().unwrap_or("{}")).map(String::from);
        let params: Vec<String> = self.open.iter().map(|asked| params(&asked.question)).collect::<Result<_, _>>()?;
        let asked = self.open.iter().zip(&params);
        let asked = asked.map(|(asked, params)| (asked.key.as_str(), asked.question.method(), Some(params.as_str())));
        Ok(questions::input_required(asked, None))
    }

    /// Gives the server those answers that are there. What is no answer leaves its question open.
    pub(super) fn deliver(&mut self, answers: &Answers<'_>) {
        let is_answer = |raw: &&RawValue| raw.get().starts_with('{');
        for asked in std::mem::take(&mut self.open) {
            match answers.get(&asked.key).filter(is_answer) {
                Some(answer) => asked.question.answer(answer.get()),
                None => self.open.push(asked),
            }
        }
    }

    /// Refuses all open questions to the server, which goes on without answers.
    pub(super) fn refuse(&mut self, why: &str) {
        for asked in self.open.drain(..) {
            asked.question.refuse(&ErrorObject::new(code::BUSY, why));
        }
    }
}

fn timed_out(limit: Duration) -> Done {
    Done::refused(&ErrorObject::new(code::TIMEOUT, format!("no answer from the server within {limit:?}")))
}
