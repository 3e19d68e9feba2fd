//! The gateway as a process: configuration from a file, signals, reloads.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use secrecy::ExposeSecret as _;

use super::{Running, start_with};
use crate::cli::{Exit, Failure, ServeOptions};
use crate::config::master_key::{self, NewMasterKey};
use crate::config::{self, Environment, Finding, Loaded, Paint, Settings, Severity};
use crate::telemetry::Metrics;

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
    let mut signals = signals::Signals::new().context("signals cannot be listened for")?;
    let settings = first_settings(&options, &file)?;
    let running = start_with(settings, options.bind, Metrics::new(), options.traces.clone()).await?;
    announce(&running);
    while let signals::Signal::Reload = signals.next().await {
        reload(&running, &options, &file);
    }
    tracing::info!("stopping: running calls may finish; a second signal ends at once");
    tokio::select! {
        () = running.stop() => {
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        () = signals.stop() => {
            tracing::warn!("ended by a second signal; running calls are cut off");
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

fn first_settings(options: &ServeOptions, file: &Path) -> anyhow::Result<Settings> {
    let loaded = config::load(file, &Environment::of_process());
    let missing = loaded.findings.iter().any(|finding| finding.code == "config.unreadable");
    let Loaded { settings, findings } = loaded;
    let Some(settings) = settings else {
        let exit = if missing { Exit::ConfigMissing } else { Exit::ConfigInvalid };
        let report = Loaded { settings: None, findings }.render(Paint::Plain);
        return Err(Failure::new(exit, "config-invalid", format!("the configuration has errors\n{report}")).into());
    };
    log_findings(&findings);
    let (settings, made) = settle(settings, options)?;
    if let Some(NewMasterKey { key, file }) = made {
        show_once(key.expose_secret(), &file);
    }
    Ok(settings)
}

/// Puts the master key in place and refuses a weak one where others can reach it.
fn settle(mut settings: Settings, options: &ServeOptions) -> anyhow::Result<(Settings, Option<NewMasterKey>)> {
    let environment = Environment::of_process();
    let made = master_key::settle(&mut settings.general, options.data_dir.as_deref(), &environment)?;
    master_key::check_for_bind(&settings.general, options.bind.host, options.allow_weak_master_key)?;
    if settings.general.weak_master_key {
        tracing::warn!("the master key is well known or short; anybody who can reach this address can guess it");
    }
    Ok((settings, made))
}

/// The only time that a key is printed: it was made now, and the person who started the gateway needs it.
#[expect(clippy::print_stdout, reason = "the key is for the person at the terminal, and must not be in a log")]
fn show_once(key: &str, file: &Path) {
    println!("master key (made now, kept in {}): {key}", file.display());
}

#[expect(clippy::print_stdout, reason = "the address is what the person who starts the gateway is waiting for")]
fn announce(running: &Running) {
    let servers = running.gateway().snapshot().upstreams.all().len();
    println!("listening on http://{} with {servers} servers; MCP clients connect to /mcp", running.address());
    tracing::info!(address = %running.address(), servers, "ready");
}

fn reload(running: &Running, options: &ServeOptions, file: &Path) {
    let loaded = config::load(file, &Environment::of_process());
    take(running, options, loaded);
}

/// Takes a configuration that was read again, or keeps the old one and says why.
fn take(running: &Running, options: &ServeOptions, loaded: Loaded) {
    let metrics = &running.gateway().metrics;
    let Some(settings) = loaded.settings else {
        log_findings(&loaded.findings);
        tracing::error!("the configuration was not taken: it has errors; the old one stays");
        metrics.config_reload(false);
        return;
    };
    log_findings(&loaded.findings);
    match settle(settings, options) {
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
        let text = finding.render(Paint::Plain);
        match finding.severity {
            Severity::Error => tracing::error!(code = finding.code, "{text}"),
            Severity::Warning => tracing::warn!(code = finding.code, "{text}"),
            Severity::Note => tracing::info!(code = finding.code, "{text}"),
        }
    }
}

#[cfg(unix)]
mod signals {
    use std::io;

    use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

    pub(super) enum Signal {
        /// SIGHUP.
        Reload,
        /// SIGINT or SIGTERM.
        Stop,
    }

    pub(super) struct Signals {
        hangup: Stream,
        interrupt: Stream,
        terminate: Stream,
    }

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self {
                hangup: signal(SignalKind::hangup())?,
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
            })
        }

        pub(super) async fn next(&mut self) -> Signal {
            tokio::select! {
                _ = self.hangup.recv() => Signal::Reload,
                _ = self.interrupt.recv() => Signal::Stop,
                _ = self.terminate.recv() => Signal::Stop,
            }
        }

        pub(super) async fn stop(&mut self) {
            while !matches!(self.next().await, Signal::Stop) {}
        }
    }
}

#[cfg(not(unix))]
mod signals {
    use std::io;

    pub(super) enum Signal {
        /// Never: there is no SIGHUP here.
        #[expect(dead_code, reason = "the loop over signals is the same on every system")]
        Reload,
        /// Ctrl-C.
        Stop,
    }

    pub(super) struct Signals;

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn next(&mut self) -> Signal {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
            Signal::Stop
        }

        pub(super) async fn stop(&mut self) {
            self.next().await;
        }
    }
}
