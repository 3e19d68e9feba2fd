//! The client against real servers, and against servers and children that misbehave.

mod detect;
mod hostile;
mod listen;
mod resume;
mod sse;
mod stdio;
mod stdio_end;
mod streamable;
mod support;
mod tls;
mod tools;
