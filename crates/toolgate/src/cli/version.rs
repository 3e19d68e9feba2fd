//! `toolgate version`.

use serde_json::json;
use toolgate_mcp::version::Revision;

use super::output::Output;
use super::{Exit, Failure};

/// Options of `toolgate version`.
#[derive(Debug, clap::Args)]
pub struct VersionArgs {
    /// Print JSON, with the protocol revisions that the gateway serves
    #[arg(long)]
    json: bool,
}

/// Prints the version.
///
/// # Errors
/// When standard output cannot be written to.
pub fn run(args: &VersionArgs, output: &Output) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if args.json {
        let revisions = Revision::ALL.map(Revision::name);
        let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        let facts = json!({"name": "toolgate", "version": version, "mcp_revisions": revisions, "target": target});
        output.line(&facts.to_string())?;
    } else {
        output.line(&format!("toolgate {version}"))?;
    }
    Ok(Exit::Ok)
}
