//! Opening the database that keys live in: PostgreSQL where one is named, else a file in the data directory.

use anyhow::Context as _;
use secrecy::SecretString;
use toolgate_store::{Database, KeyRing, Store, StoreError, StoreSettings};

use crate::cli::{Exit, Failure, ServeOptions};
use crate::config::settings::DatabaseSettings;
use crate::config::{Environment, Settings, master_key};

/// The database's file in the data directory.
const FILE_NAME: &str = "toolgate.db";

/// The sealing key's file there, where `LITELLM_SALT_KEY` is not set.
const SALT_FILE_NAME: &str = "salt_key";

/// Opens the database. `None` when none is named and there is no place for one: then there is only the master key.
pub(super) async fn open(
    settings: &Settings,
    options: &ServeOptions,
    environment: &Environment,
) -> anyhow::Result<Option<Store>> {
    let database = &settings.general.database;
    let place = match &database.url {
        Some(url) => Some((Database::Postgres(url.clone()), of_postgres(settings))),
        None => of_file(database, options, environment)?,
    };
    let Some((database, salt_key)) = place else { return Ok(None) };
    let keys = KeyRing::new(salt_key, settings.general.database.old_salt_keys.clone());
    let opened = Store::open(StoreSettings::new(database.clone(), keys)).await;
    opened.map(Some).map_err(|error| explained(&database, error))
}

/// Replicas have to seal with the same key. LiteLLM takes the master key where no other is set.
fn of_postgres(settings: &Settings) -> SecretString {
    settings.general.database.salt_key.clone().unwrap_or_else(|| {
        tracing::warn!(
            "LITELLM_SALT_KEY is not set: secrets in the database are sealed with a key derived from the master key, \
             and cannot be read with another one"
        );
        settings.general.master_key.clone()
    })
}

fn of_file(
    database: &DatabaseSettings,
    options: &ServeOptions,
    environment: &Environment,
) -> anyhow::Result<Option<(Database, SecretString)>> {
    let made = master_key::data_directory(options.data_dir.as_deref(), environment)
        .and_then(|directory| master_key::made_directory(&directory).map(|()| directory));
    let directory = match made {
        Ok(directory) => directory,
        Err(error) if options.data_dir.is_none() => {
            tracing::warn!("there is no database, so the master key is the only one: {error}");
            return Ok(None);
        }
        Err(error) => return Err(error).context("the data directory cannot be used"),
    };
    let salt_key = match &database.salt_key {
        Some(key) => key.clone(),
        None => master_key::kept(&directory.join(SALT_FILE_NAME)).context("the sealing key cannot be kept")?,
    };
    Ok(Some((Database::File(directory.join(FILE_NAME)), salt_key)))
}

fn explained(database: &Database, error: StoreError) -> anyhow::Error {
    let place = match database {
        Database::File(file) => format!("the database `{}`", file.display()),
        Database::Memory => "the database in memory".to_owned(),
        // Its URL may hold a password.
        Database::Postgres(_) => "the database of `database_url`".to_owned(),
    };
    let exit = if error.is_retryable() { Exit::Unreachable } else { Exit::ConfigInvalid };
    let failure = Failure::new(exit, "database", format!("{place} cannot be opened: {error}"));
    let hint = match (&error, database) {
        (StoreError::WrongKey, Database::File(_)) => {
            "without LITELLM_SALT_KEY the key is the one in `salt_key` beside the database; former keys may be named in TOOLGATE_OLD_SALT_KEYS"
        }
        (StoreError::WrongKey, _) => {
            "without LITELLM_SALT_KEY it is derived from the master key; former keys may be named in TOOLGATE_OLD_SALT_KEYS"
        }
        (StoreError::Unavailable { .. }, Database::Postgres(_)) => {
            "is PostgreSQL running where the URL says, and does it take the user and password?"
        }
        _ => return failure.into(),
    };
    failure.hint(hint).into()
}
