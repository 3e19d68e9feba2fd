//! The command line: `toolgate serve`, `tools`, `demo-server` and the rest.
//!
//! Standard output carries data, standard error everything else; exit codes are those of [`Exit`]. LiteLLM's way to
//! start, `--config FILE --port 4000` without a command, means `serve`.

pub mod audit;
pub mod backup;
pub mod check;
pub mod completion;
pub mod config;
pub mod configured;
pub mod database;
pub mod demo_server;
pub mod explain;
pub mod failure;
pub mod import;
pub mod openapi;
pub mod output;
pub mod rekey;
pub mod runtime;
pub mod serve;
pub mod tools;
pub mod version;

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use self::failure::{Exit, Failure};
use self::output::Output;
pub use self::serve::ServeOptions;
use crate::config::Environment;
use crate::telemetry::logs::{self, Destination, Format, LogOptions};

/// An MCP gateway: one endpoint and one key in front, every tool behind it
#[derive(Debug, Parser)]
#[command(name = "toolgate", version, arg_required_else_help = true)]
#[command(after_help = "Without a command, `toolgate --config FILE --port PORT` means `toolgate serve`.")]
pub struct Cli {
    /// Whether output has colours [default: on terminals, unless NO_COLOR says otherwise]
    #[arg(long, global = true, value_name = "WHEN", value_enum)]
    color: Option<output::Color>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve(Box<serve::ServeArgs>),
    /// Check a configuration: every problem, with its place and what to do
    #[command(visible_alias = "validate")]
    Check(check::CheckArgs),
    /// List and call the tools of any MCP server, this gateway included
    Tools(tools::ToolsArgs),
    /// Ask a running gateway why a key may or may not use a server or a tool
    Explain(explain::ExplainArgs),
    /// Take over what another gateway's database holds
    Import(import::ImportArgs),
    /// Seal all secrets in the database anew with the sealing key of now, while the gateway runs
    Rekey(rekey::RekeyArgs),
    /// Copy the SQLite database into a file, while the gateway runs
    Backup(backup::BackupArgs),
    /// Check a copy that `backup` wrote, and put it in the place of the database
    Restore(backup::RestoreArgs),
    /// Check the audit log
    Audit(audit::AuditArgs),
    /// See what an OpenAPI document becomes
    Openapi(openapi::OpenApiArgs),
    /// Run a small MCP server to try things with
    DemoServer(demo_server::DemoServerArgs),
    /// Print the JSON Schema of the configuration file
    Config(config::ConfigArgs),
    /// Print a completion script for a shell
    Completion(completion::CompletionArgs),
    /// Print the version
    Version(version::VersionArgs),
}

impl Command {
    /// Whether the caller is a program, which wants failures as JSON.
    fn wants_json(&self) -> bool {
        match self {
            Self::Check(args) => args.wants_json(),
            Self::Tools(args) => args.wants_json(),
            Self::Explain(args) => args.wants_json(),
            Self::Import(args) => args.wants_json(),
            Self::Rekey(args) => args.wants_json(),
            Self::Backup(args) => args.wants_json(),
            Self::Restore(args) => args.wants_json(),
            Self::Audit(args) => args.wants_json(),
            Self::Openapi(args) => args.wants_json(),
            Self::Serve(_) | Self::DemoServer(_) | Self::Config(_) | Self::Completion(_) | Self::Version(_) => false,
        }
    }
}

/// Runs the program with these arguments, its own name first. `gateway` is what `serve` runs.
#[must_use]
pub fn run<G, F>(arguments: Vec<OsString>, gateway: G) -> ExitCode
where
    G: FnOnce(ServeOptions) -> F,
    F: Future<Output = anyhow::Result<ExitCode>>,
{
    let environment = Environment::of_process();
    let output = Output::of_process(&environment);
    let cli = match parse(arguments, output.colors()) {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe is nobody's to be told.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    let output = cli.color.map_or(output.clone(), |color| output.with(color));
    let json = cli.command.wants_json();
    dispatch(cli.command, environment, &output, gateway).unwrap_or_else(|failure| {
        output.failure(&failure, json);
        failure.exit.into()
    })
}

fn parse(arguments: Vec<OsString>, colors: bool) -> Result<Cli, clap::Error> {
    let command = Cli::command().color(if colors { ColorChoice::Auto } else { ColorChoice::Never });
    Cli::from_arg_matches(&command.try_get_matches_from(with_command(arguments))?)
}

/// `toolgate --port 4000` is `toolgate serve --port 4000`.
///
/// Done here and not by clap, so that a wrong `PORT` in the environment concerns nobody but `serve`.
fn with_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let text = |at: usize| arguments.get(at).and_then(|argument| argument.to_str()).unwrap_or_default();
    // The one option that may stand before every command.
    let at = match text(1) {
        "--color" => 3,
        first if first.starts_with("--color=") => 2,
        _ => 1,
    };
    let first = text(at);
    if first.starts_with('-') && !matches!(first, "-h" | "--help" | "-V" | "--version") {
        arguments.insert(at, "serve".into());
    }
    arguments
}

fn dispatch<G, F>(command: Command, environment: Environment, output: &Output, gateway: G) -> Result<ExitCode, Failure>
where
    G: FnOnce(ServeOptions) -> F,
    F: Future<Output = anyhow::Result<ExitCode>>,
{
    match command {
        Command::Serve(_) => {}
        // It tells of each server that fails itself.
        Command::Check(_) => start_logs("error", &environment, output)?,
        _ => start_logs("warn", &environment, output)?,
    }
    match command {
        Command::Serve(args) => serve::run(*args, environment, output, gateway),
        Command::Check(args) => check::run(&args, &environment, output).map(ExitCode::from),
        Command::Tools(args) => tools::run(&args, &environment, output).map(ExitCode::from),
        Command::Explain(args) => explain::run(&args, &environment, output).map(ExitCode::from),
        Command::Import(args) => import::run(&args, &environment, output).map(ExitCode::from),
        Command::Rekey(args) => rekey::run(&args, &environment, output).map(ExitCode::from),
        Command::Backup(args) => backup::backup(&args, &environment, output).map(ExitCode::from),
        Command::Restore(args) => backup::restore(&args, &environment, output).map(ExitCode::from),
        Command::Audit(args) => audit::run(&args, &environment, output).map(ExitCode::from),
        Command::Openapi(args) => openapi::run(&args, output).map(ExitCode::from),
        Command::DemoServer(args) => demo_server::run(&args, output).map(ExitCode::from),
        Command::Config(args) => config::run(&args, output).map(ExitCode::from),
        Command::Completion(args) => completion::run(&args, output).map(ExitCode::from),
        Command::Version(args) => version::run(&args, output).map(ExitCode::from),
    }
}

/// Logs of the commands whose standard output is data: to standard error, and little.
fn start_logs(level: &str, environment: &Environment, output: &Output) -> Result<(), Failure> {
    let filter = logs::filter(None, |name| environment.get(name).map(str::to_owned), level)?;
    let (format, colors) = (Some(Format::Pretty), output.error_colors());
    Ok(logs::init(LogOptions { format, filter, destination: Destination::Stderr, colors })?)
}

#[cfg(test)]
mod tests;
