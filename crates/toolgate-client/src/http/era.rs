//! Whether an answer says that the server speaks revisions of the other kind than we do.
//!
//! A server may be another one than when the session began: it was updated, or put back. Its refusals tell, and since
//! what it refuses in this way it has not begun to do, the message may be sent again to whatever it is now.

use http::StatusCode;
use toolgate_mcp::jsonrpc::code;

use super::request::Place;
use crate::answer::{Answer, AnswerOutcome, RpcError};
use crate::error::{Delivery, Error, Problem, Refusal};

/// `outcome`, or [`Problem::WrongEra`] in its place. `modern` is what we speak.
pub(super) fn checked(place: &Place, modern: bool, outcome: Result<Answer, Error>) -> Result<Answer, Error> {
    let (reason, status) = match &outcome {
        Ok(answer) => match answer.outcome() {
            AnswerOutcome::Error(error) => {
                let error = RpcError::read(error);
                if !refuses_the_revision(&error) {
                    return outcome;
                }
                (error.to_string(), None)
            }
            AnswerOutcome::Result(_) => return outcome,
        },
        Err(error) => match error.problem() {
            Problem::Status(refusal) if of_another_era(refusal, modern) => {
                (problem_text(refusal), Some(refusal.status))
            }
            _ => return outcome,
        },
    };
    Err(place.error(Delivery::NotSent, Problem::WrongEra { modern, reason, status }))
}

/// Legacy servers may have given the code a meaning of their own, but hardly with the same data.
fn refuses_the_revision(error: &RpcError) -> bool {
    error.code == i64::from(code::UNSUPPORTED_PROTOCOL_VERSION)
        && error.data.as_deref().is_some_and(|data| data.get().contains("\"supported\""))
}

fn of_another_era(refusal: &Refusal, modern: bool) -> bool {
    match &refusal.rpc {
        Some(rpc) if rpc.is_of_modern_era() => !modern || rpc.code == i64::from(code::UNSUPPORTED_PROTOCOL_VERSION),
        // What a legacy server says to a request without a session, or to a path or method it does not have. A modern
        // one would have answered with an error that has our id, and that is no refusal.
        _ => {
            let statuses = [
                StatusCode::BAD_REQUEST,
                StatusCode::NOT_FOUND,
                StatusCode::METHOD_NOT_ALLOWED,
                StatusCode::NOT_ACCEPTABLE,
            ];
            modern && statuses.contains(&refusal.status)
        }
    }
}

fn problem_text(refusal: &Refusal) -> String {
    Problem::Status(Box::new(refusal.clone())).to_string()
}
