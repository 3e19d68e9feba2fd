//! `toolgate completion`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::output::Output;
use super::{Cli, Exit, Failure};

/// Options of `toolgate completion`.
#[derive(Debug, clap::Args)]
pub struct CompletionArgs {
    /// Which shell
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(["bash", "zsh", "fish", "powershell"]))]
    shell: String,
}

/// Prints the script.
///
/// # Errors
/// When standard output cannot be written to.
pub fn run(args: &CompletionArgs, output: &Output) -> Result<Exit, Failure> {
    let shell: Shell = args.shell.parse().map_err(|error: String| Failure::new(Exit::Usage, "usage", error))?;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "toolgate", &mut script);
    output.line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Ok)
}
