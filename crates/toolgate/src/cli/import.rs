//! `toolgate import litellm`: takes over what a LiteLLM database holds, so that nobody's key changes.

use std::io::BufRead as _;

use secrecy::SecretString;
use serde_json::{Value, json};
use toolgate_store::{Import, ImportError, ImportOptions, LitellmDatabase, Skipped};

use super::database::{DatabaseArgs, store_failure};
use super::output::Output;
use super::{Exit, Failure, runtime};
use crate::config::Environment;
use crate::telemetry::printable::printable;

/// Rows that are told of one by one for each table, for people.
const TOLD: usize = 20;

/// `toolgate import`.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, clap::Subcommand)]
enum From {
    /// Copy keys, teams, organizations, users, customers, budgets, projects, servers, toolsets and access groups from
    /// LiteLLM's PostgreSQL, which is only read
    Litellm(LitellmArgs),
}

#[derive(Debug, clap::Args)]
struct LitellmArgs {
    /// LiteLLM's database, - to read it from standard input [default: database_url of the configuration, DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,

    /// Say what would come, and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Go on when LITELLM_SALT_KEY does not open LiteLLM's secrets, and leave them out
    #[arg(long)]
    without_secrets: bool,

    #[command(flatten)]
    database: DatabaseArgs,

    /// Print JSON, and failures as one line of JSON on standard error
    #[arg(long)]
    json: bool,
}

impl ImportArgs {
    /// Whether failures are to be JSON too.
    pub(super) fn wants_json(&self) -> bool {
        let From::Litellm(args) = &self.from;
        args.json
    }
}

/// Imports, and says what came of it: 0, or 9 when something was left out.
///
/// # Errors
/// When one of the databases cannot be opened, or the salt key is the wrong one: then nothing is written.
pub fn run(args: &ImportArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let From::Litellm(args) = &args.from;
    let settings = args.database.settings(environment)?;
    let url = match args.database_url.as_deref() {
        Some("-") => first_line()?,
        Some(url) => SecretString::from(url),
        None => settings.general.database.url.clone().ok_or_else(|| {
            Failure::new(Exit::Usage, "usage", "it is not said where LiteLLM's database is").hint("give --database-url")
        })?,
    };
    let salt_key = args.database.litellm_salt_key(environment)?;
    let options = ImportOptions { dry_run: args.dry_run, without_secrets: args.without_secrets };
    let done = runtime::block_on(async {
        let store = args.database.open_or_make(environment, args.dry_run).await?;
        let done = store.import_litellm(&LitellmDatabase { url, salt_key }, options).await;
        store.close().await;
        done.map_err(|error| failure(&error))
    })?;
    output.line(&if args.json { told(&done, args.dry_run).to_string() } else { shown(&done, args.dry_run) })?;
    let is_whole = done.tables.iter().all(|table| table.left_out == 0 && table.incomplete.is_empty());
    Ok(if is_whole { Exit::Ok } else { Exit::Partial })
}

fn first_line() -> Result<SecretString, Failure> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().into())
}

fn failure(error: &ImportError) -> Failure {
    match error {
        ImportError::Store(error) => store_failure(error),
        ImportError::Source(source) => Failure { message: error.to_string(), ..store_failure(source) },
        ImportError::NotLitellm => Failure::new(Exit::NotFound, "not-litellm", error.to_string()),
        ImportError::WrongSaltKey { .. } => Failure::new(Exit::ConfigInvalid, "wrong-salt-key", error.to_string())
            .hint(
                "give LiteLLM's own LITELLM_SALT_KEY (its master key where it had none); nothing was written. \
             --without-secrets leaves the secrets out",
            ),
    }
}

fn told(done: &Import, dry_run: bool) -> Value {
    let rows = |rows: &[Skipped]| -> Value { rows.iter().map(|row| json!({"id": row.id, "why": row.why})).collect() };
    let tables: serde_json::Map<String, Value> = done
        .tables
        .iter()
        .map(|table| {
            let told = json!({
                "copied": table.copied,
                "present": table.present,
                "left_out": table.left_out,
                "skipped": rows(&table.skipped),
                "incomplete": rows(&table.incomplete),
            });
            (table.noun.table().to_owned(), told)
        })
        .collect();
    let (opened, unreadable) = done.secrets;
    json!({"dry_run": dry_run, "tables": tables, "secrets": {"opened": opened, "unreadable": unreadable}})
}

fn shown(done: &Import, dry_run: bool) -> String {
    let mut lines =
        vec![format!("{:>9} {:>9} {:>9}", if dry_run { "to copy" } else { "copied" }, "present", "left out")];
    for table in &done.tables {
        lines.push(format!("{:>9} {:>9} {:>9}  {}", table.copied, table.present, table.left_out, table.noun.table()));
    }
    for (what, of) in [("left out", true), ("incomplete", false)] {
        for table in &done.tables {
            let rows = if of { &table.skipped } else { &table.incomplete };
            for row in rows.iter().take(TOLD) {
                lines
                    .push(printable(&format!("{what}: {} `{}`: {}", table.noun.table(), row.id, row.why)).into_owned());
            }
            if rows.len() > TOLD {
                lines.push(format!("{what}: {} more of {}; --json has them", rows.len() - TOLD, table.noun.table()));
            }
        }
    }
    let (opened, unreadable) = done.secrets;
    lines.push(format!("{opened} sealed values were opened, {unreadable} could not be"));
    lines.join("\n")
}
