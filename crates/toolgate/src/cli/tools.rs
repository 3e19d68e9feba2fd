//! `toolgate tools`: lists and calls the tools of any MCP server, over HTTP or as a child process.

mod arguments;
mod failure;
mod show;
pub(super) mod target;

use std::time::Duration;

use serde_json::Value;
use toolgate_client::{Call, Format, Options, Session, load_mcp_tools};

use self::show::ListForm;
use super::output::Output;
use super::{Exit, Failure, runtime};
use crate::config::Environment;

/// Options of `toolgate tools`.
#[derive(Debug, clap::Args)]
pub struct ToolsArgs {
    #[command(subcommand)]
    command: ToolsCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ToolsCommand {
    /// List the tools
    Ls(LsArgs),
    /// Call a tool
    Call(CallArgs),
}

#[derive(Debug, clap::Args)]
struct LsArgs {
    /// How the list is printed [default: a table on a terminal, tabs in a pipe; json with --json]
    #[arg(short, long, value_name = "FORM", value_enum, conflicts_with = "json")]
    output: Option<ListForm>,

    /// Leave the table's heading out
    #[arg(long)]
    no_headers: bool,

    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, clap::Args)]
struct CallArgs {
    /// The tool's name as it is listed
    name: String,

    /// An argument; the value is JSON where it reads as JSON, else a string ('id="7"' is a string too)
    #[arg(long = "arg", value_name = "NAME=VALUE")]
    args: Vec<String>,

    /// All arguments as a JSON object; @FILE reads a file, - standard input
    #[arg(long, value_name = "JSON")]
    args_json: Option<String>,

    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, clap::Args)]
struct CommonArgs {
    #[command(flatten)]
    target: target::TargetArgs,

    /// How long an answer may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,

    /// Print JSON, and failures as one line of JSON on standard error
    #[arg(long)]
    json: bool,
}

impl ToolsArgs {
    /// Whether failures are to be JSON too.
    pub(super) fn wants_json(&self) -> bool {
        self.common().json
            || matches!(&self.command, ToolsCommand::Ls(LsArgs { output: Some(ListForm::Json | ListForm::Jsonl), .. }))
    }

    fn common(&self) -> &CommonArgs {
        match &self.command {
            ToolsCommand::Ls(args) => &args.common,
            ToolsCommand::Call(args) => &args.common,
        }
    }
}

/// Lists or calls.
///
/// # Errors
/// A wrong command line, and whatever keeps the server from answering; see [`Exit`].
pub fn run(args: &ToolsArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    runtime::block_on(async {
        tokio::select! {
            done = Box::pin(run_to_end(args, environment, output)) => done,
            stopped = runtime::stop_signal() => {
                stopped?;
                Err(Failure::new(Exit::Interrupted, "interrupted", "stopped before the answer came"))
            }
        }
    })
}

async fn run_to_end(args: &ToolsArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let common = args.common();
    // Arguments are read first: a slip in them should not cost a connection.
    let arguments = match &args.command {
        ToolsCommand::Call(call) => Some(arguments::read(&call.args, call.args_json.as_deref())?),
        ToolsCommand::Ls(_) => None,
    };
    let place = target::resolve(&common.target, environment)?;
    if let Some(note) = &place.note {
        output.note(note);
    }
    let timeout = Duration::from_secs(common.timeout);
    let options = Options {
        client_name: "toolgate".to_owned(),
        client_version: env!("CARGO_PKG_VERSION").to_owned(),
        timeout,
        connect_timeout: timeout.min(Options::default().connect_timeout),
        ..Options::default()
    };
    let has_key = place.has_key;
    let failed = |error: &toolgate_client::Error| failure::of_client(error, has_key);
    let session = Session::connect(place.target, options).await.map_err(|error| failed(&error))?;
    let done = match (&args.command, arguments) {
        (ToolsCommand::Call(call), arguments) => {
            call_tool(&session, call, &arguments.unwrap_or_default(), has_key, output).await
        }
        (ToolsCommand::Ls(list), _) => match load_mcp_tools(&session, Format::Mcp).await {
            Ok(tools) => {
                let form = if common.json { ListForm::Json } else { list.output.unwrap_or(ListForm::Table) };
                show::tools(&tools, form, !list.no_headers, output)
            }
            Err(error) => Err(failed(&error)),
        },
    };
    session.close().await;
    done
}

async fn call_tool(
    session: &Session,
    call: &CallArgs,
    arguments: &Value,
    has_key: bool,
    output: &Output,
) -> Result<Exit, Failure> {
    let answer = toolgate_client::call_tool(session, &call.name, &arguments.to_string(), &Call::default()).await;
    let answer = answer.map_err(|error| failure::of_client(&error, has_key))?;
    let result = answer.into_result().map_err(|error| failure::of_rpc(&error, has_key))?;
    show::result(&result, call.common.json, output)
}

#[cfg(test)]
mod tests;
