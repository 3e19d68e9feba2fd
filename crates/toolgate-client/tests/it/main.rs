//! The client against real servers, and against servers and children that misbehave.
#![expect(
    clippy::disallowed_methods,
    reason = "the tasks of a test end with its runtime, and children are started with this process's search path"
)]

mod detect;
mod era;
mod hostile;
mod listen;
mod modern;
mod modern_stdio;
mod questions;
mod reach;
mod resume;
mod sse;
mod stdio;
mod stdio_end;
mod streamable;
mod streaming;
mod support;
mod tls;
mod tools;
