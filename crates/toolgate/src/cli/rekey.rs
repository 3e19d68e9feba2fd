//! `toolgate rekey`: seals everything anew with the sealing key of now, while the gateway runs.

use serde_json::json;

use super::database::{DatabaseArgs, store_failure};
use super::output::Output;
use super::{Exit, Failure, runtime};
use crate::config::Environment;

/// Options of `toolgate rekey`.
#[derive(Debug, clap::Args)]
pub struct RekeyArgs {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Print JSON, and failures as one line of JSON on standard error
    #[arg(long)]
    json: bool,
}

impl RekeyArgs {
    /// Whether failures are to be JSON too.
    pub(super) fn wants_json(&self) -> bool {
        self.json
    }
}

/// Seals anew, and says what was done: 0, or 9 when there are values whose key is not at hand.
///
/// It may be broken off at any time and begun again.
///
/// # Errors
/// When the database cannot be opened, or fails meanwhile.
pub fn run(args: &RekeyArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let (done, sealed, primary) = runtime::block_on(async {
        let store = args.database.open(environment).await?;
        let done = store.rekey().await.map_err(|error| store_failure(&error))?;
        let sealed = store.sealed_by_key().await.map_err(|error| store_failure(&error))?;
        let primary = store.primary_key_id().to_owned();
        store.close().await;
        Ok((done, sealed, primary))
    })?;
    let unreadable = done.unreadable.iter();
    if args.json {
        let unreadable: Vec<_> = unreadable
            .map(|place| json!({"table": place.noun.table(), "object_id": place.object_id, "column": place.column}))
            .collect();
        let told =
            json!({"resealed": done.resealed, "unreadable": unreadable, "primary_key": primary, "sealed_with": sealed});
        output.line(&told.to_string())?;
    } else {
        output.line(&format!("{} values were sealed anew", done.resealed))?;
        for (key, count) in &sealed {
            let which = if *key == primary { "the key of now" } else { "a former key" };
            output.line(&format!("{count} values are sealed with {key}, {which}"))?;
        }
        for place in unreadable {
            output.line(&format!("unreadable: {} of {} `{}`", place.column, place.noun.table(), place.object_id))?;
        }
    }
    if done.unreadable.is_empty() {
        return Ok(Exit::Ok);
    }
    output.note("the values that cannot be read are as they were; name the key that they are sealed with in TOOLGATE_OLD_SALT_KEYS and run this again");
    Ok(Exit::Partial)
}
