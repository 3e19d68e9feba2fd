//! What the gateway tells about itself: [`Metrics`], [`logs`] with the [`calls`] in them, and [`traces`].
//!
//! All three are values made at start-up and handed down; nothing here is global but the log subscriber, of which a
//! process can only have one, and the [`request_id`] that a task carries.

pub mod calls;
pub mod logs;
pub mod metrics;
pub mod printable;
pub mod request_id;
pub mod traces;

pub use metrics::{
    CallerLabels, Denial, LiteLlmRequest, Metrics, RequestCount, ServerOperation, SessionGuard, Status, StreamGuard,
    ToolChanges,
};
pub use traces::{OperationSpan, SpanFacts, Traces};
