//! `toolgate check`: everything that is wrong with a configuration, and with `--connect` whether its servers answer.
//!
//! Writes nothing: no master key is made. Servers are reached by the same code as in the running gateway, so a server
//! that answers here answers there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde::Serialize;
use serde_json::{Value, json};
use toolgate_openapi::Api;

use super::output::Output;
use super::{Exit, Failure, openapi, runtime};
use crate::auth::Caller;
use crate::config::settings::{ServerSettings, Transport};
use crate::config::{self, Environment, Loaded, Paint, Settings, Severity};
use crate::telemetry::Metrics;
use crate::telemetry::printable::printable;
use crate::upstream::{ClientSide, Upstream, UpstreamError, Upstreams};

/// How long connections may take to close when all is said.
const CLOSING: Duration = Duration::from_secs(5);

/// Options of `toolgate check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The configuration: LiteLLM's config.yaml
    #[arg(value_name = "FILE", env = "CONFIG_FILE_PATH", default_value = "config.yaml")]
    file: PathBuf,

    /// Connect to each server too
    #[arg(long)]
    connect: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Take warnings for errors
    #[arg(long)]
    strict: bool,
}

impl CheckArgs {
    /// Whether failures are to be JSON too.
    pub(super) fn wants_json(&self) -> bool {
        self.json
    }
}

/// Checks the file, prints what was found, and says by the exit code how bad it is: 0, 65 with errors (or warnings
/// that count as such), 78 when there is no file, 4 when the file is good and a server cannot be reached.
///
/// # Errors
/// When printing fails.
pub fn run(args: &CheckArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let Loaded { settings, findings } = config::load(&args.file, environment);
    let missing = findings.iter().any(|finding| finding.code == "config.unreadable");
    let worst = findings.iter().map(|finding| finding.severity).max();
    let described = settings.as_ref().map(|settings| (settings.servers.clone(), settings.timeouts.listing));
    let probes = match (args.connect, settings) {
        (true, Some(settings)) => Some(runtime::block_on(async { Ok(probe_all(settings).await) })?),
        _ => None,
    };
    let specs = match &described {
        Some((servers, timeout)) => runtime::block_on(async { Ok(read_all(servers, *timeout).await) })?,
        None => Vec::new(),
    };
    if args.json {
        let mut report = json!({"file": args.file.display().to_string(), "findings": findings});
        if let Some(probes) = &probes {
            report["servers"] = json!(probes);
        }
        for spec in &specs {
            report["openapi"][spec.server.as_str()] = spec.as_json();
        }
        output.line(&report.to_string())?;
    } else {
        let paint = if output.colors() { Paint::Colour } else { Paint::Plain };
        let mut text = config::finding::render_all(&findings, paint);
        for probe in probes.iter().flatten() {
            text.push_str(&probe.line());
        }
        for spec in &specs {
            text.push_str(&spec.as_text());
        }
        output.line(text.trim_end())?;
    }
    let unreachable = probes.iter().flatten().any(|probe| probe.outcome == Outcome::Failed)
        || specs.iter().any(|spec| spec.read.is_err());
    Ok(match worst {
        _ if missing => Exit::ConfigMissing,
        Some(Severity::Error) => Exit::ConfigInvalid,
        Some(Severity::Warning) if args.strict => Exit::ConfigInvalid,
        _ if unreachable => Exit::Unreachable,
        _ => Exit::Ok,
    })
}

/// What an OpenAPI document of the configuration becomes.
struct Spec {
    server: String,
    read: Result<Api, String>,
}

impl Spec {
    fn as_json(&self) -> Value {
        match &self.read {
            // It is made of JSON texts.
            Ok(api) => serde_json::from_str(&openapi::as_json(api)).unwrap_or_default(),
            Err(why) => json!({"error": why}),
        }
    }

    fn as_text(&self) -> String {
        let server = printable(&self.server);
        match &self.read {
            Ok(api) => format!("\nOpenAPI server {server}: {}\n", openapi::as_text(api)),
            Err(why) => format!("\nFAILED  OpenAPI server {server}: {}\n", printable(why)),
        }
    }
}

/// Reads the documents of all OpenAPI servers, as the running gateway would.
async fn read_all(servers: &[Arc<ServerSettings>], timeout: Duration) -> Vec<Spec> {
    join_all(servers.iter().filter_map(|server| read_spec(server, timeout))).await
}

fn read_spec(server: &Arc<ServerSettings>, timeout: Duration) -> Option<impl Future<Output = Spec>> {
    let Transport::OpenApi { .. } = &server.transport else { return None };
    let server = Arc::clone(server);
    Some(async move {
        let read = tokio::time::timeout(timeout, crate::upstream::openapi::read_configured(&server)).await;
        let read = read.unwrap_or_else(|_| Err(format!("it did not come within {timeout:?}")));
        Spec { server: server.name.clone(), read }
    })
}

/// What came of connecting to one server.
#[derive(Debug, Serialize)]
struct Probe {
    server: String,
    outcome: Outcome,
    /// What the server said of itself, or why it was not reached.
    detail: String,
    milliseconds: u128,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// It answered.
    Ok,
    /// It did not.
    Failed,
    /// It cannot be tried without a caller, or its kind is not active yet.
    Skipped,
}

impl Probe {
    fn line(&self) -> String {
        let word = match self.outcome {
            Outcome::Ok => "ok     ",
            Outcome::Failed => "FAILED ",
            Outcome::Skipped => "skipped",
        };
        format!("{word} {}: {} ({} ms)\n", printable(&self.server), printable(&self.detail), self.milliseconds)
    }
}

async fn probe_all(settings: Settings) -> Vec<Probe> {
    let timeout = settings.timeouts.health;
    let upstreams = Upstreams::new(&Arc::new(settings), &Metrics::new());
    let probes = join_all(upstreams.all().iter().map(|upstream| probe(upstream, timeout))).await;
    upstreams.close(None, CLOSING).await;
    probes
}

/// Connects as a caller would who sends nothing but the gateway's key.
async fn probe(upstream: &Upstream, timeout: Duration) -> Probe {
    let start = Instant::now();
    let (outcome, detail) = match facts(upstream, timeout).await {
        Ok(detail) => (Outcome::Ok, detail),
        Err(error @ (UpstreamError::Credential(_) | UpstreamError::NotActiveYet { .. })) => {
            (Outcome::Skipped, error.to_string())
        }
        Err(error @ UpstreamError::AuthRequired { .. }) => {
            (Outcome::Failed, format!("{error}; or give the entry an `auth_type` and `auth_value`"))
        }
        Err(error) => (Outcome::Failed, error.to_string()),
    };
    let server = upstream.settings.name.clone();
    Probe { server, outcome, detail, milliseconds: start.elapsed().as_millis() }
}

async fn facts(upstream: &Upstream, timeout: Duration) -> Result<String, UpstreamError> {
    let caller = Caller::local();
    let lane = upstream.lane(&caller, &ClientSide::none())?;
    let facts = upstream.facts(&lane, timeout).await?;
    let info: Option<Value> = facts.server_info.as_ref().and_then(|info| serde_json::from_str(info.get()).ok());
    let said =
        |key: &str| info.as_ref().and_then(|info| info.get(key)).and_then(Value::as_str).unwrap_or("?").to_owned();
    Ok(format!("{} {}, MCP {}", said("name"), said("version"), facts.revision))
}

#[cfg(test)]
mod tests;
