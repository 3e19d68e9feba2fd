//! `toolgate config`: about the configuration file as such; `toolgate check` looks at one.

use super::output::Output;
use super::{Exit, Failure};
use crate::config::schema::json_schema;

/// Options of `toolgate config`.
#[derive(Debug, clap::Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ConfigCommand {
    /// Print the JSON Schema of the file, for editors
    Schema,
}

/// Prints what was asked for.
///
/// # Errors
/// When standard output cannot be written to.
pub fn run(args: &ConfigArgs, output: &Output) -> Result<Exit, Failure> {
    let ConfigCommand::Schema = args.command;
    output.line(&format!("{:#}", json_schema()))?;
    Ok(Exit::Ok)
}
