//! A tool call's charge: begun when it is known what is called, settled when it is known how that ended.

use serde_json::value::RawValue;
use toolgate_client::AnswerOutcome;
use toolgate_mcp::translate::results::{ResultType, result_type};
use toolgate_mcp::views::Named;
use toolgate_mcp::word::Word;

use super::Visit;
use super::errors::CallError;
use super::find::Found;
use super::operations::Called;
use crate::accounting::{Call, Charge, Ended, Outcome};
use crate::upstream::Form;

const INPUT_REQUIRED: Word = Word::new("\"input_required\"");

/// Takes the call's part of the caller's limits and budgets.
pub(super) async fn begin(visit: Visit<'_>, found: &Found, call: &Named<'_>) -> Result<Option<Charge>, CallError> {
    let call = Call {
        server: &found.upstream.settings,
        tool: &found.own_name,
        arguments: call.arguments.map(RawValue::get),
        // A request that stands alone has none, whatever its server is asked in.
        session: visit.client.session.filter(|_| !visit.client.speaks_for_itself),
        from: visit.caller.from,
    };
    Ok(visit.accounting.begin(&visit.caller.payers, &call).await?)
}

/// Settles it.
pub(super) fn settle<F: Form>(charge: Charge, called: &Result<(F, Called), CallError>) {
    let (answer, called) = match called {
        Ok(answered) => answered,
        Err(error) => {
            return charge.settle(&Ended { outcome: Outcome::Error, result: None, error: Some(error) });
        }
    };
    match answer.whole().map(|answer| answer.outcome()) {
        Some(AnswerOutcome::Result(result)) => {
            let outcome = if called.is_tool_error {
                Outcome::ToolError
            } else if asks_back(result) {
                Outcome::InputRequired
            } else {
                Outcome::Success
            };
            charge.settle(&Ended { outcome, result: Some(result), error: None });
        }
        Some(AnswerOutcome::Error(error)) => {
            charge.settle(&Ended { outcome: Outcome::Error, result: None, error: Some(&error) });
        }
        // One that is still coming is taken for what its beginning says.
        None => {
            let outcome = if answer.is_result() { Outcome::Success } else { Outcome::Error };
            charge.settle(&Ended { outcome, result: None, error: None });
        }
    }
}

/// Most results do not have the word, and are not parsed.
fn asks_back(result: &str) -> bool {
    INPUT_REQUIRED.is_in(result.as_bytes()) && matches!(result_type(result), Ok(ResultType::InputRequired))
}
