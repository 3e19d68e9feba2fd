//! Requests to scripted servers over HTTP, and to children that run a few lines of Python.

mod children;
mod credentials;
mod healing;
mod heard;
mod hearing;
mod modern;
mod script;
mod sessions;
mod wishes;

use std::sync::Arc;
use std::time::Duration;

use toolgate_client::Answer;

use super::testing::settings;
use super::{ClientSide, Lane, SessionKey, Upstream, UpstreamError, Upstreams};
use crate::auth::testing::caller;
use crate::config::settings::{ServerSettings, Settings};
use crate::telemetry::Metrics;

/// Longer than anything here takes when it works.
const PATIENCE: Duration = Duration::from_secs(20);

fn upstreams(servers: Vec<ServerSettings>) -> Upstreams {
    upstreams_of(&settings(servers))
}

fn upstreams_of(settings: &Arc<Settings>) -> Upstreams {
    Upstreams::new(settings, &Metrics::new())
}

/// The lane of a caller who sent `headers`, outside any session.
fn lane(server: &Upstream, headers: &[(&str, &str)]) -> Lane {
    server.lane(&caller(headers), &ClientSide::none()).unwrap()
}

fn session_lane(server: &Upstream, session: u8) -> Lane {
    server.lane(&caller(&[]), &ClientSide::of_session(SessionKey([session; 16]))).unwrap()
}

async fn call(server: &Upstream, lane: &Lane, tool: &str) -> Result<String, UpstreamError> {
    let params = format!(r#"{{"name":"{tool}"}}"#);
    server.request(lane, "tools/call", Some(&params), PATIENCE).await.map(text)
}

fn text(answer: Answer) -> String {
    let result: serde_json::Value = serde_json::from_str(&answer.into_result().unwrap()).unwrap();
    result["content"][0]["text"].as_str().unwrap().to_owned()
}
