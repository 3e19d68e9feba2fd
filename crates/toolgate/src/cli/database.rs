//! Which database the configuration names, and opening it: for `serve`, and for the commands that work on it.
//!
//! PostgreSQL where one is named, else a file in the data directory.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use secrecy::SecretString;
use toolgate_store::{Database, KeyRing, Store, StoreError, StoreSettings};

use super::{Exit, Failure, configured};
use crate::config::settings::{DatabaseSettings, MasterKeyOrigin};
use crate::config::{self, Environment, Settings, master_key};

/// The database's file in the data directory.
const FILE_NAME: &str = "toolgate.db";

/// The sealing key's file there, where `LITELLM_SALT_KEY` is not set.
const SALT_FILE_NAME: &str = "salt_key";

/// Opens the database for the gateway. `None` when none is named and there is no place for one: then there is only the
/// master key.
///
/// # Errors
/// When the data directory that was named cannot be used, and when the database cannot be opened.
pub async fn open(
    settings: &Settings,
    data_dir: Option<&Path>,
    environment: &Environment,
) -> anyhow::Result<Option<Store>> {
    let database = &settings.general.database;
    let place = match &database.url {
        Some(url) => Some(Place { database: Database::Postgres(url.clone()), keys: of_postgres(settings) }),
        None => made(database, data_dir, environment)?,
    };
    match place {
        Some(place) => Ok(Some(place.open().await?)),
        None => Ok(None),
    }
}

/// Replicas have to seal with the same key. LiteLLM takes the master key where no other is set.
fn of_postgres(settings: &Settings) -> KeyRing {
    let key = settings.general.database.salt_key.clone().unwrap_or_else(|| {
        tracing::warn!(
            "LITELLM_SALT_KEY is not set: secrets in the database are sealed with a key derived from the master key, \
             and cannot be read with another one"
        );
        settings.general.master_key.clone()
    });
    ring(&settings.general.database, key)
}

fn ring(database: &DatabaseSettings, key: SecretString) -> KeyRing {
    KeyRing::new(key, database.old_salt_keys.clone())
}

/// A file in the data directory; that, and the sealing key, are made where they are not there.
fn made(
    database: &DatabaseSettings,
    data_dir: Option<&Path>,
    environment: &Environment,
) -> anyhow::Result<Option<Place>> {
    let made = master_key::data_directory(data_dir, environment)
        .and_then(|directory| master_key::made_directory(&directory).map(|()| directory));
    let directory = match made {
        Ok(directory) => directory,
        Err(error) if data_dir.is_none() => {
            tracing::warn!("there is no database, so the master key is the only one: {error}");
            return Ok(None);
        }
        Err(error) => return Err(error).context("the data directory cannot be used"),
    };
    let salt_key = match &database.salt_key {
        Some(key) => key.clone(),
        None => master_key::kept(&directory.join(SALT_FILE_NAME)).context("the sealing key cannot be kept")?,
    };
    Ok(Some(Place { database: Database::File(directory.join(FILE_NAME)), keys: ring(database, salt_key) }))
}

/// A database, and what its secrets are sealed with.
pub(super) struct Place {
    pub(super) database: Database,
    pub(super) keys: KeyRing,
}

impl Place {
    pub(super) async fn open(self) -> Result<Store, Failure> {
        let opened = Store::open(StoreSettings::new(self.database.clone(), self.keys)).await;
        opened.map_err(|error| cannot_open(&self.database, &error))
    }
}

/// Options of the commands that work on the gateway's database.
#[derive(Debug, clap::Args)]
pub struct DatabaseArgs {
    /// The configuration that names the database [default: none; the environment and the data directory say]
    #[arg(short, long, value_name = "FILE", env = "CONFIG_FILE_PATH")]
    config: Option<PathBuf>,

    /// Where the database and made keys are kept [default: toolgate in the user's data directory]
    #[arg(long, value_name = "DIR", env = "TOOLGATE_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

impl DatabaseArgs {
    /// Opens the database that is there. Nothing is made: no file, no key.
    pub(super) async fn open(&self, environment: &Environment) -> Result<Store, Failure> {
        let settings = self.settings(environment)?;
        let place = match &settings.general.database.url {
            Some(url) => {
                let keys = self.keys_of_postgres(settings.as_ref(), environment)?;
                Place { database: Database::Postgres(url.clone()), keys }
            }
            None => {
                let directory = self.directory(environment)?;
                let file = directory.join(FILE_NAME);
                if !file.is_file() {
                    let message = format!("there is no database at `{}`", file.display());
                    return Err(Failure::new(Exit::NotFound, "no-database", message).hint(
                        "name the configuration with --config and the data directory with --data-dir, as for serve",
                    ));
                }
                let keys = keys_of_file(&settings.general.database, &directory)?;
                Place { database: Database::File(file), keys }
            }
        };
        place.open().await
    }

    /// The same, made where it is not there. What is only to be looked at is in memory then.
    pub(super) async fn open_or_make(&self, environment: &Environment, only_to_look: bool) -> Result<Store, Failure> {
        let settings = self.settings(environment)?;
        if settings.general.database.url.is_some() {
            return self.open(environment).await;
        }
        if self.directory(environment)?.join(FILE_NAME).is_file() {
            return self.open(environment).await;
        }
        if only_to_look {
            let keys = KeyRing::new(master_key::generate(), Vec::new());
            return Place { database: Database::Memory, keys }.open().await;
        }
        let made = made(&settings.general.database, self.data_dir.as_deref(), environment)?;
        let missing = || Failure::new(Exit::ConfigMissing, "data-directory", "there is no place for a database");
        made.ok_or_else(missing)?.open().await
    }

    /// What LiteLLM seals with where it is started with the same configuration.
    pub(super) fn litellm_salt_key(&self, environment: &Environment) -> Result<SecretString, Failure> {
        let settings = self.settings(environment)?;
        let given = settings.general.master_key_origin != MasterKeyOrigin::NotGiven;
        let master = || given.then(|| settings.general.master_key.clone());
        let missing = || {
            let message = "LiteLLM's secrets need its LITELLM_SALT_KEY, or its master key where it had none";
            Failure::new(Exit::ConfigMissing, "no-salt-key", message).hint("set LITELLM_SALT_KEY or LITELLM_MASTER_KEY")
        };
        settings.general.database.salt_key.clone().or_else(master).ok_or_else(missing)
    }

    /// Where a database file is to be put, and what it must be sealed with.
    pub(super) fn place_for_file(&self, environment: &Environment) -> Result<(PathBuf, KeyRing), Failure> {
        let settings = self.settings(environment)?;
        let directory = self.directory(environment)?;
        master_key::made_directory(&directory).map_err(config_failure)?;
        let keys = keys_of_file(&settings.general.database, &directory)?;
        Ok((directory.join(FILE_NAME), keys))
    }

    /// Refuses what only a file can be asked for; `instead` is PostgreSQL's own program for it.
    pub(super) fn refuse_postgres(
        &self,
        environment: &Environment,
        command: &str,
        instead: &str,
    ) -> Result<(), Failure> {
        if self.settings(environment)?.general.database.url.is_none() {
            return Ok(());
        }
        let message = format!("the database is PostgreSQL, for which there is no `toolgate {command}`");
        Err(Failure::new(Exit::Usage, "postgres", message)
            .hint(format!("use PostgreSQL's own {instead}; keep LITELLM_SALT_KEY beside, it is not in the database")))
    }

    pub(super) fn settings(&self, environment: &Environment) -> Result<Box<Settings>, Failure> {
        let loaded = match &self.config {
            Some(file) => config::load(file, environment),
            None => config::parse("", "the environment", environment),
        };
        Ok(Box::new(configured::settings(loaded)?.0))
    }

    fn directory(&self, environment: &Environment) -> Result<PathBuf, Failure> {
        master_key::data_directory(self.data_dir.as_deref(), environment).map_err(config_failure)
    }

    fn keys_of_postgres(&self, settings: &Settings, environment: &Environment) -> Result<KeyRing, Failure> {
        let database = &settings.general.database;
        let key = match (&database.salt_key, &settings.general.master_key_origin) {
            (Some(key), _) => Some(key.clone()),
            (None, MasterKeyOrigin::NotGiven) => {
                let directory = self.directory(environment)?;
                master_key::find_master(&directory).map_err(config_failure)?
            }
            (None, _) => Some(settings.general.master_key.clone()),
        };
        let missing = || {
            Failure::new(Exit::ConfigMissing, "no-salt-key", "neither LITELLM_SALT_KEY nor a master key is given")
                .hint("give what the gateway is started with")
        };
        Ok(ring(database, key.ok_or_else(missing)?))
    }
}

fn keys_of_file(database: &DatabaseSettings, directory: &Path) -> Result<KeyRing, Failure> {
    let file = directory.join(SALT_FILE_NAME);
    let key = match &database.salt_key {
        Some(key) => Some(key.clone()),
        None => master_key::find(&file).map_err(config_failure)?,
    };
    let missing = || {
        let message =
            format!("there is no sealing key: LITELLM_SALT_KEY is not set and `{}` is not there", file.display());
        Failure::new(Exit::ConfigMissing, "no-salt-key", message)
            .hint("put the key back that the database was written with")
    };
    Ok(ring(database, key.ok_or_else(missing)?))
}

fn config_failure(error: master_key::MasterKeyError) -> Failure {
    Failure::new(Exit::ConfigInvalid, "data-directory", error.to_string())
}

/// A failure of the store, for the person at the terminal.
pub(super) fn store_failure(error: &StoreError) -> Failure {
    let exit = match error {
        StoreError::Unavailable { .. } | StoreError::Full { .. } => Exit::Unreachable,
        StoreError::Conflict { .. } | StoreError::InUse { .. } => Exit::Conflict,
        StoreError::NotFound { .. } => Exit::NotFound,
        StoreError::Invalid { .. } => Exit::Usage,
        StoreError::WrongKey | StoreError::NewerSchema { .. } | StoreError::Corrupt { .. } => Exit::ConfigInvalid,
    };
    Failure::new(exit, "database", error.to_string())
}

/// The failure for a database that does not open.
pub(super) fn cannot_open(database: &Database, error: &StoreError) -> Failure {
    let place = match database {
        Database::File(file) => format!("the database `{}`", file.display()),
        Database::Memory => "the database in memory".to_owned(),
        // Its URL may hold a password.
        Database::Postgres(_) => "the database of `database_url`".to_owned(),
    };
    let exit = if error.is_retryable() { Exit::Unreachable } else { Exit::ConfigInvalid };
    let failure = Failure::new(exit, "database", format!("{place} cannot be opened: {error}"));
    let hint = match (error, database) {
        (StoreError::WrongKey, Database::File(_)) => {
            "without LITELLM_SALT_KEY the key is the one in `salt_key` beside the database; former keys may be named in TOOLGATE_OLD_SALT_KEYS"
        }
        (StoreError::WrongKey, _) => {
            "without LITELLM_SALT_KEY it is derived from the master key; former keys may be named in TOOLGATE_OLD_SALT_KEYS"
        }
        (StoreError::Unavailable { .. }, Database::Postgres(_)) => {
            "is PostgreSQL running where the URL says, and does it take the user and password?"
        }
        _ => return failure,
    };
    failure.hint(hint)
}
