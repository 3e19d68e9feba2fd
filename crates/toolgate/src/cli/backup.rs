//! `toolgate backup` and `toolgate restore`: copies of a SQLite database.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};
use toolgate_store::{Database, Inventory, KeyRing, StoreError, Verdict};

use super::database::{DatabaseArgs, Place, store_failure};
use super::output::Output;
use super::{Exit, Failure, runtime};
use crate::config::Environment;

/// Options of `toolgate backup`.
#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// The file to write, which must not be there yet
    file: PathBuf,

    #[command(flatten)]
    database: DatabaseArgs,

    /// Print JSON, and failures as one line of JSON on standard error
    #[arg(long)]
    json: bool,
}

impl BackupArgs {
    /// Whether failures are to be JSON too.
    pub(super) fn wants_json(&self) -> bool {
        self.json
    }
}

/// Copies the database while it is in use.
///
/// # Errors
/// When the file is there already or cannot be written, and for PostgreSQL.
pub fn backup(args: &BackupArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    args.database.refuse_postgres(environment, "backup", "pg_dump")?;
    runtime::block_on(async {
        let store = args.database.open(environment).await?;
        let copied = store.backup_to(&args.file).await;
        store.close().await;
        copied.map_err(|error| match &error {
            StoreError::Conflict { what } => is_there(what).hint("choose another name"),
            _ => store_failure(&error),
        })
    })?;
    let bytes = std::fs::metadata(&args.file)?.len();
    let told = json!({"file": args.file.display().to_string(), "bytes": bytes});
    let text = format!("{bytes} bytes were written to {}", args.file.display());
    output.line(&if args.json { told.to_string() } else { text })?;
    output.note(
        "the sealing key (LITELLM_SALT_KEY, or `salt_key` in the data directory) is not in it; keep that elsewhere",
    );
    Ok(Exit::Ok)
}

/// Options of `toolgate restore`.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// A file that `toolgate backup` wrote
    file: PathBuf,

    /// Only check it, and leave everything as it is
    #[arg(long)]
    verify: bool,

    #[command(flatten)]
    database: DatabaseArgs,

    /// Print JSON, and failures as one line of JSON on standard error
    #[arg(long)]
    json: bool,
}

impl RestoreArgs {
    /// Whether failures are to be JSON too.
    pub(super) fn wants_json(&self) -> bool {
        self.json
    }
}

/// Checks a copy (the file itself, that the sealing key fits, the audit log) and puts it in the place of a database that
/// is not there: 0; 9 when it was put there though its audit log is broken; 65 when it was not put there.
///
/// # Errors
/// When there is a database already, when the copy cannot be read or opened, and for PostgreSQL.
pub fn restore(args: &RestoreArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    args.database.refuse_postgres(environment, "restore", "pg_restore")?;
    let (target, keys) = args.database.place_for_file(environment)?;
    if !args.file.is_file() {
        return Err(Failure::new(Exit::NotFound, "no-file", format!("there is no file `{}`", args.file.display())));
    }
    if !args.verify {
        refuse_what_is_there(&target)?;
    }
    let scratch = Scratch::beside(&target)?;
    let (inventory, verdict) = runtime::block_on(checked_copy(&args.file, &scratch.file(), keys))?;
    let is_sound = inventory.damage.is_empty();
    let puts_it = is_sound && !args.verify;
    if puts_it {
        scratch.put(&target).context("the copy cannot be put in its place")?;
    }
    let told = told(&inventory, &verdict, puts_it.then_some(&target));
    output.line(&if args.json { told.to_string() } else { text(&inventory, &verdict, &told) })?;
    let is_whole = matches!(verdict, Verdict::Whole { .. });
    Ok(match (is_sound, is_whole) {
        (true, true) => Exit::Ok,
        (true, false) if puts_it => Exit::Partial,
        _ => Exit::ConfigInvalid,
    })
}

fn is_there(file: &str) -> Failure {
    Failure::new(Exit::Conflict, "file-exists", format!("`{file}` is there already"))
}

/// A write-ahead log of another database would be taken for the copy's own.
fn refuse_what_is_there(target: &Path) -> Result<(), Failure> {
    for end in ["", "-wal", "-shm", "-journal"] {
        let mut file = target.as_os_str().to_owned();
        file.push(end);
        let file = PathBuf::from(file);
        if file.exists() {
            return Err(is_there(&file.display().to_string()).hint(
                "stop the gateway and move toolgate.db and what lies beside it under that name (-wal, -shm) away",
            ));
        }
    }
    Ok(())
}

async fn checked_copy(backup: &Path, copy: &Path, keys: KeyRing) -> Result<(Inventory, Verdict), Failure> {
    let failed = |error: StoreError| store_failure(&error);
    toolgate_store::restore_file(backup, copy).await.map_err(failed)?;
    let opened = Place { database: Database::File(copy.to_owned()), keys }.open().await;
    // Nobody knows the scratch file; what they gave is the other one.
    let store = opened.map_err(|failure| Failure {
        message: failure.message.replace(&copy.display().to_string(), &backup.display().to_string()),
        ..failure
    })?;
    let inventory = store.inventory().await.map_err(failed)?;
    let verdict = if inventory.damage.is_empty() {
        store.audit_verify(None).await.map_err(failed)?
    } else {
        Verdict::Broken { seq: 0, why: "was not looked at, since the file is damaged" }
    };
    store.close().await;
    Ok((inventory, verdict))
}

fn told(inventory: &Inventory, verdict: &Verdict, put: Option<&PathBuf>) -> Value {
    let audit = match verdict {
        Verdict::Whole { head } => json!({"whole": true, "checkpoint": format!("{}:{}", head.seq, head.hash)}),
        Verdict::Broken { seq, why } => json!({"whole": false, "seq": seq, "why": why}),
    };
    json!({
        "restored_to": put.map(|file| file.display().to_string()),
        "rows": inventory.rows,
        "damage": inventory.damage,
        "audit": audit,
    })
}

fn text(inventory: &Inventory, verdict: &Verdict, told: &Value) -> String {
    let mut lines: Vec<String> = inventory
        .rows
        .iter()
        .filter(|(_, rows)| **rows > 0)
        .map(|(table, rows)| format!("{rows:>9} {table}"))
        .collect();
    lines.extend(inventory.damage.iter().map(|damage| format!("damaged: {damage}")));
    lines.push(match verdict {
        Verdict::Whole { head } => format!("the audit log is whole: {} rows", head.seq),
        Verdict::Broken { seq: 0, why } => format!("the audit log {why}"),
        Verdict::Broken { seq, why } => format!("the audit log is broken: row {seq} {why}"),
    });
    lines.push(match told["restored_to"].as_str() {
        Some(file) => format!("restored to {file}"),
        None => "nothing was put in place".to_owned(),
    });
    lines.join("\n")
}

/// A directory beside the database's place, gone when this is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn beside(target: &Path) -> Result<Self, Failure> {
        let directory = target.with_file_name(format!("restoring-{}", uuid::Uuid::new_v4()));
        crate::config::master_key::made_directory(&directory)
            .map_err(|error| Failure::new(Exit::Unexpected, "io", error.to_string()))?;
        Ok(Self(directory))
    }

    fn file(&self) -> PathBuf {
        self.0.join("toolgate.db")
    }

    /// Gives the copy its name, unless something has it by now.
    fn put(&self, target: &Path) -> std::io::Result<()> {
        let log = self.0.join("toolgate.db-wal");
        if log.metadata().is_ok_and(|log| log.len() > 0) {
            return Err(std::io::Error::other("its write-ahead log could not be folded into it"));
        }
        std::fs::hard_link(self.file(), target)?;
        let directory = target.parent().unwrap_or_else(|| Path::new("."));
        std::fs::File::open(directory)?.sync_all()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!("`{}` cannot be removed: {error}", self.0.display());
        }
    }
}
