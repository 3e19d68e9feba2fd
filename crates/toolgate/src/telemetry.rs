//! What the gateway tells about itself: [`Metrics`].
//!
//! All three are values made at start-up and handed down; nothing here is global but the log subscriber, of which a
//! process can only have one.

pub mod metrics;

pub use metrics::Metrics;
