//! `toolgate audit verify`: whether the audit log is as it was written.

use serde_json::json;
use toolgate_store::{Head, Verdict};

use super::database::{DatabaseArgs, store_failure};
use super::output::Output;
use super::{Exit, Failure, runtime};
use crate::config::Environment;

/// `toolgate audit`.
#[derive(Debug, clap::Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, clap::Subcommand)]
enum AuditCommand {
    /// Check the whole log, and name the first row that was changed, moved or removed
    Verify(VerifyArgs),
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Where the log ended at an earlier check, as this command printed it: shows whether its end was cut off
    #[arg(long, value_name = "SEQ:HASH", value_parser = checkpoint)]
    checkpoint: Option<Head>,

    /// Print JSON, and failures as one line of JSON on standard error
    #[arg(long)]
    json: bool,
}

impl AuditArgs {
    /// Whether failures are to be JSON too.
    pub(super) fn wants_json(&self) -> bool {
        let AuditCommand::Verify(args) = &self.command;
        args.json
    }
}

/// Checks the log: 0 when it is whole, 65 when it is not.
///
/// # Errors
/// When the database cannot be opened, or fails meanwhile.
pub fn run(args: &AuditArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let AuditCommand::Verify(args) = &args.command;
    let verdict = runtime::block_on(async {
        let store = args.database.open(environment).await?;
        let verdict = store.audit_verify(args.checkpoint.as_ref()).await.map_err(|error| store_failure(&error))?;
        store.close().await;
        Ok(verdict)
    })?;
    let (text, told, exit) = match verdict {
        Verdict::Whole { head } => {
            let at = format!("{}:{}", head.seq, head.hash);
            let text = format!("the audit log is whole: {} rows\ncheckpoint {at}", head.seq);
            (text, json!({"whole": true, "rows": head.seq, "checkpoint": at}), Exit::Ok)
        }
        Verdict::Broken { seq, why } => {
            let text = format!("the audit log is broken: row {seq} {why}");
            (text, json!({"whole": false, "seq": seq, "why": why}), Exit::ConfigInvalid)
        }
    };
    output.line(&if args.json { told.to_string() } else { text })?;
    Ok(exit)
}

fn checkpoint(text: &str) -> Result<Head, String> {
    let parts = text.split_once(':').and_then(|(seq, hash)| Some((seq.parse().ok()?, hash)));
    let (seq, hash) = parts.ok_or("it is written SEQ:HASH")?;
    Ok(Head { seq, hash: hash.to_owned() })
}
