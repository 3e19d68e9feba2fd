//! `toolgate serve`: options, logs, traces and the runtime; the gateway itself is handed in.

mod health;
mod litellm;

use std::future::Future;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;

use super::output::Output;
use super::{Exit, Failure, runtime};
use crate::config::Environment;
use crate::config::settings::Bind;
use crate::telemetry::Traces;
use crate::telemetry::logs::{self, Destination, Format, LogOptions};

/// Options of `toolgate serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// The configuration: LiteLLM's config.yaml
    #[arg(short, long, value_name = "FILE", env = "CONFIG_FILE_PATH")]
    config: Option<PathBuf>,

    /// The address to listen on, or a name for it
    #[arg(long, env = "HOST", default_value = "127.0.0.1", value_parser = host)]
    host: IpAddr,

    /// The port to listen on; 0 takes a free one
    #[arg(long, env = "PORT", default_value_t = 4000)]
    port: u16,

    /// Serve /metrics on this port too, without a key, and nothing else there; 9464 is usual
    #[arg(
        long = "prometheus_metrics_port",
        alias = "prometheus-metrics-port",
        value_name = "PORT",
        env = "PROMETHEUS_METRICS_PORT",
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    prometheus_metrics_port: Option<u16>,

    /// Where the database and made keys are kept [default: toolgate in the user's data directory]
    #[arg(long, value_name = "DIR", env = "TOOLGATE_DATA_DIR")]
    data_dir: Option<PathBuf>,

    /// Accept a short or well-known master key on an address that others reach
    #[arg(long)]
    allow_weak_master_key: bool,

    /// Ask the gateway that listens on --host and --port whether it is ready, and exit
    #[arg(long)]
    health: bool,

    /// What to log: error, warn, info, debug, trace, or directives such as toolgate=debug,hyper=warn
    /// [default: RUST_LOG, LITELLM_LOG or info]
    #[arg(long, value_name = "FILTER")]
    log_level: Option<String>,

    /// How log lines look [default: pretty on a terminal, else json]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<Format>,

    /// The same as --log-level debug
    #[arg(long, visible_alias = "detailed_debug", overrides_with = "debug", conflicts_with = "log_level")]
    debug: bool,

    #[command(flatten)]
    litellm: litellm::LiteLlmArgs,
}

/// What the gateway is started with.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--host` and `--port`.
    pub bind: Bind,
    /// `--data-dir`; `None` means the user's data directory.
    pub data_dir: Option<PathBuf>,
    /// `--allow-weak-master-key`.
    pub allow_weak_master_key: bool,
    /// The environment that the process was started with.
    pub environment: Environment,
    /// Set up already, and sent off after the gateway has ended.
    pub traces: Traces,
}

/// Sets up logs, traces and the runtime, and runs `gateway` to its end.
///
/// # Errors
/// When a log filter cannot be read, when the system gives no threads, and what `gateway` fails with.
pub fn run<G, F>(args: ServeArgs, environment: Environment, output: &Output, gateway: G) -> Result<ExitCode, Failure>
where
    G: FnOnce(ServeOptions) -> F,
    F: Future<Output = anyhow::Result<ExitCode>>,
{
    let bind = Bind { host: args.host, port: args.port, metrics_port: args.prometheus_metrics_port };
    if bind.metrics_port == Some(bind.port) {
        let text = format!("--prometheus_metrics_port and --port are both {}", bind.port);
        return Err(Failure::new(Exit::Usage, "usage", text).hint("give metrics another port; 9464 is usual"));
    }
    if args.health {
        return runtime::block_on(health::ask(SocketAddr::new(bind.host, bind.port), output)).map(ExitCode::from);
    }
    start_logs(&args, &environment, output)?;
    for flag in args.litellm.given() {
        tracing::info!("{flag} is LiteLLM's and has no effect here");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(async {
        let traces = traces(&environment);
        let options = ServeOptions {
            config: args.config,
            bind,
            data_dir: args.data_dir,
            allow_weak_master_key: args.allow_weak_master_key,
            environment,
            traces: traces.clone(),
        };
        let exit = Box::pin(gateway(options)).await;
        traces.shutdown().await;
        exit
    });
    // What the gateway left running has no owner any more, and must not keep the process.
    runtime.shutdown_background();
    Ok(exit?)
}

fn start_logs(args: &ServeArgs, environment: &Environment, output: &Output) -> Result<(), Failure> {
    let flag = args.log_level.as_deref().or(args.debug.then_some("debug"));
    let filter = logs::filter(flag, |name| environment.get(name).map(str::to_owned), "info")?;
    // LiteLLM's switch, which it takes for exactly this word.
    let json =
        environment.get("JSON_LOGS").is_some_and(|value| value.eq_ignore_ascii_case("true")).then_some(Format::Json);
    let format = args.log_format.or(json);
    Ok(logs::init(LogOptions { format, filter, destination: Destination::Stdout, colors: output.colors() })?)
}

/// Traces that cannot be set up are no reason not to serve.
fn traces(environment: &Environment) -> Traces {
    Traces::from_variables(|name| environment.get(name).map(str::to_owned)).unwrap_or_else(|error| {
        let error = anyhow::Error::from(error);
        tracing::warn!("traces are off: {error:#}");
        Traces::disabled()
    })
}

/// An address, or the first one that a name has.
fn host(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse() {
        return Ok(address);
    }
    let mut found = (text, 0).to_socket_addrs().map_err(|error| format!("no address for this name: {error}"))?;
    found.next().map(|address| address.ip()).ok_or_else(|| "no address for this name".to_owned())
}

#[cfg(test)]
mod tests;
