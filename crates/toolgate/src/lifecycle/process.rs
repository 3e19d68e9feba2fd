//! The gateway as a process: configuration from a file, signals, reloads.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use secrecy::ExposeSecret as _;

use super::{Running, start_with};
use crate::cli::runtime::StopSignals;
use crate::cli::{Exit, Failure, ServeOptions, configured, database};
use crate::config::master_key::{self, NewMasterKey};
use crate::config::{self, Environment, Finding, Loaded, Settings, Severity, Watcher};
use crate::telemetry::Metrics;

/// How long servers' processes are given to end after a second signal.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// Serves until a signal says to stop, and then until the running calls have ended.
///
/// # Errors
/// When the configuration has errors, the master key cannot be settled, or the address cannot be bound.
pub async fn serve(options: ServeOptions) -> anyhow::Result<ExitCode> {
    let Some(file) = options.config.clone() else {
        return Err(Failure::new(Exit::ConfigMissing, "config-missing", "no configuration was given")
            .hint("give one with --config FILE; config.example.yaml is a good start")
            .into());
    };
    become_subreaper();
    // Before anybody is told that the gateway is ready, or a signal that comes at once would kill it.
    let mut signals = StopSignals::listen().context("signals cannot be listened for")?;
    let environment = options.environment.clone();
    // Begun before the file is read, so that no change is missed.
    let watching = Watcher::start(file.clone(), environment.clone());
    let settings = first_settings(&options, &file, &environment)?;
    let mut watcher =
        watching.inspect_err(|error| tracing::warn!("changes of the configuration are not noticed: {error}")).ok();
    let store = database::open(&settings, options.data_dir.as_deref(), &environment).await?;
    let running = start_with(settings, options.bind, Metrics::new(), options.traces.clone(), store).await?;
    announce(&running);
    loop {
        tokio::select! {
            stopped = signals.next() => break stopped.context("signals cannot be listened for")?,
            loaded = changed(&mut watcher) => take(&running, &options, &environment, loaded),
        }
    }
    let gateway = running.gateway().clone();
    tracing::info!("stopping: running calls may finish; a second signal ends at once");
    tokio::select! {
        () = running.stop() => {
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        _ = signals.next() => {
            tracing::warn!("ended by a second signal; running calls are cut off");
            // Children die with us, but what they started would not.
            let snapshot = gateway.snapshot();
            let closing = snapshot.upstreams.close(None, Duration::ZERO);
            if tokio::time::timeout(LAST_MOMENT, closing).await.is_err() {
                tracing::warn!("some servers' processes may be left");
            }
            Ok(Exit::Interrupted.into())
        }
    }
}

/// Children that outlive their parent become ours, so that they can be ended with the server they belong to.
fn become_subreaper() {
    if let Err(error) = toolgate_client::become_subreaper() {
        tracing::warn!(%error, "processes that leave a server's process group cannot be ended with it");
    }
}

/// The next configuration; never, where the system allows no watch.
async fn changed(watcher: &mut Option<Watcher>) -> Loaded {
    match watcher {
        Some(watcher) => watcher.next().await,
        None => std::future::pending().await,
    }
}

fn first_settings(options: &ServeOptions, file: &Path, environment: &Environment) -> anyhow::Result<Settings> {
    let (settings, findings) = configured::settings(config::load(file, environment))?;
    log_findings(&findings);
    let (settings, made) = settle(settings, options, environment)?;
    if let Some(NewMasterKey { key, file }) = made {
        show_once(key.expose_secret(), &file);
    }
    Ok(settings)
}

/// Puts the master key in place and refuses a weak one where others can reach it.
fn settle(
    mut settings: Settings,
    options: &ServeOptions,
    environment: &Environment,
) -> anyhow::Result<(Settings, Option<NewMasterKey>)> {
    let made = master_key::settle(&mut settings.general, options.data_dir.as_deref(), environment)?;
    master_key::check_for_bind(&settings.general, options.bind.host, options.allow_weak_master_key)
        .map_err(|error| Failure::new(Exit::ConfigInvalid, "weak-master-key", error.to_string()))?;
    Ok((settings, made))
}

/// The only time that a key is printed: it was made now, and the person who started the gateway needs it.
#[expect(clippy::print_stderr, reason = "the key is for the person at the terminal, and must not be in a log")]
fn show_once(key: &str, file: &Path) {
    eprintln!("master key (made now, kept in {}): {key}", file.display());
}

#[expect(clippy::print_stdout, reason = "the address is what the person who starts the gateway is waiting for")]
fn announce(running: &Running) {
    let servers = running.gateway().snapshot().upstreams.all().len();
    // Where nobody looks on, standard output is a log, one JSON object a line.
    if std::io::stdout().is_terminal() {
        let noun = if servers == 1 { "server" } else { "servers" };
        println!("listening on http://{} with {servers} {noun}; MCP clients connect to /mcp", running.address());
    }
    if let Some(address) = running.metrics_address() {
        tracing::info!(%address, "metrics are served on a port of their own");
    }
    tracing::info!(address = %running.address(), servers, "ready");
}

/// Takes a configuration that was read again, or keeps the old one and says why.
fn take(running: &Running, options: &ServeOptions, environment: &Environment, loaded: Loaded) {
    let metrics = &running.gateway().metrics;
    let Some(settings) = loaded.settings else {
        log_findings(&loaded.findings);
        tracing::error!("the configuration was not taken: it has errors; the old one stays");
        metrics.config_reload(false);
        return;
    };
    log_findings(&loaded.findings);
    match settle(settings, options, environment) {
        Ok((settings, _)) => {
            running.gateway().reload(settings);
            tracing::info!("the configuration was taken");
            metrics.config_reload(true);
        }
        Err(error) => {
            tracing::error!("the configuration was not taken; the old one stays: {error:#}");
            metrics.config_reload(false);
        }
    }
}

fn log_findings(findings: &[Finding]) {
    for finding in findings {
        let (text, code) = (finding.line(), finding.code);
        let place = finding.place.as_ref().map(ToString::to_string);
        match finding.severity {
            Severity::Error => tracing::error!(code, place, "{text}"),
            Severity::Warning => tracing::warn!(code, place, "{text}"),
            Severity::Note => tracing::info!(code, place, "{text}"),
        }
    }
}
