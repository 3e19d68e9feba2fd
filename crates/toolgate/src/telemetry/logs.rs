//! Log lines: JSON for machines, plain lines for people.
//!
//! A JSON line has `ts` (RFC 3339, milliseconds, UTC), `level`, `target`, `msg`, then the event's fields, then those of
//! the spans around it, then the `request_id` of the request that it is about. No value can break out of its line: both
//! forms escape control characters.

mod layer;

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub use self::layer::LogLayer;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// For reading on a terminal.
    Pretty,
}

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// Standard output: a server has no other data there.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What is logged, how and where.
#[derive(Debug)]
pub struct LogOptions {
    /// `None`: JSON unless a terminal reads.
    pub format: Option<Format>,
    /// Made by [`filter`].
    pub filter: EnvFilter,
    /// Where to.
    pub destination: Destination,
    /// Whether plain lines may have colours.
    pub colors: bool,
}

/// A log filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("log filter `{text}` from {origin} cannot be read")]
pub struct BadFilter {
    /// The filter as it was given.
    pub text: String,
    /// Where it was given.
    pub origin: &'static str,
}

/// The process has a logger already.
#[derive(Debug, thiserror::Error)]
#[error("logs are set up already")]
pub struct AlreadySetUp(#[source] tracing_subscriber::util::TryInitError);

/// Which lines are logged: `--log-level`, else `RUST_LOG`, else `LITELLM_LOG`, else `default`.
///
/// Each may be a level, which is then ours and other crates log from `warn` on, or directives as `RUST_LOG` has them.
/// `variable` looks an environment variable up.
///
/// # Errors
/// When the first that is given cannot be read.
pub fn filter(
    flag: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
    default: &str,
) -> Result<EnvFilter, BadFilter> {
    let given = |name: &'static str| variable(name).filter(|text| !text.is_empty()).map(|text| (name, text));
    let flag = flag.map(|text| ("--log-level", text.to_owned()));
    let (origin, text) = flag
        .or_else(|| given("RUST_LOG"))
        .or_else(|| given("LITELLM_LOG"))
        .unwrap_or_else(|| ("the default", default.to_owned()));
    let directives = match level(&text) {
        // `toolgate` is the start of the names of all our crates.
        Some(level) => format!("warn,toolgate={level}"),
        None => text.clone(),
    };
    // A lone unknown word is read as a target, so a misspelt level would silence the gateway.
    let misspelt = level(&text).is_none() && !text.contains(['=', ',', '[']);
    match EnvFilter::try_new(directives) {
        Ok(filter) if !misspelt => Ok(filter),
        _ => Err(BadFilter { text, origin }),
    }
}

/// A level in tracing's or in Python's words.
fn level(text: &str) -> Option<&'static str> {
    Some(match text.trim().to_ascii_lowercase().as_str() {
        "off" => "off",
        "critical" | "fatal" | "error" => "error",
        "warning" | "warn" => "warn",
        "info" => "info",
        "debug" => "debug",
        "trace" => "trace",
        _ => return None,
    })
}

/// Sets up the process's logger.
///
/// # Errors
/// When there is one already.
pub fn init(options: LogOptions) -> Result<(), AlreadySetUp> {
    let terminal = match options.destination {
        Destination::Stdout => io::stdout().is_terminal(),
        Destination::Stderr => io::stderr().is_terminal(),
    };
    let format = options.format.unwrap_or(if terminal { Format::Pretty } else { Format::Json });
    let registry = tracing_subscriber::registry().with(options.filter);
    let done = match options.destination {
        Destination::Stdout => registry.with(LogLayer::new(format, options.colors, io::stdout)).try_init(),
        Destination::Stderr => registry.with(LogLayer::new(format, options.colors, io::stderr)).try_init(),
    };
    done.map_err(AlreadySetUp)
}

#[cfg(test)]
mod tests;
