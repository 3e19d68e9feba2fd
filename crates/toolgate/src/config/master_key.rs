//! The master key where nobody gave one: made at first start and kept in the data directory, readable by its owner
//! alone. There is never a gateway without a key.

use std::io;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use super::Loaded;
use super::environment::Environment;
use super::finding::{Finding, Severity};
use super::settings::General;

/// The key's file in the data directory.
const FILE_NAME: &str = "master_key";

/// Keys that stand in LiteLLM's documentation, and with them in many a script.
const WELL_KNOWN: [&str; 4] = ["sk-1234", "sk-12345", "sk-master", "sk-litellm"];
const SHORTEST_STRONG: usize = 32;

/// A key that was just made: shown once, and kept in `file`.
#[derive(Debug)]
pub struct NewMasterKey {
    /// The key.
    pub key: SecretString,
    /// Where it is kept.
    pub file: PathBuf,
}

/// Where the master key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterKeyOrigin {
    /// `general_settings.master_key`.
    File,
    /// `LITELLM_MASTER_KEY`, or the file that `LITELLM_MASTER_KEY_FILE` names.
    Environment,
    /// This file in the data directory.
    DataDirectory(PathBuf),
    /// Nowhere yet: the key in the settings is random and known to nobody.
    NotGiven,
}

/// Why there is no master key, or not one that may be used.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// Nothing says where the data directory is.
    #[error("no master key is given, and no data directory in which one could be kept")]
    NoDataDirectory,
    /// The file cannot be read or written.
    #[error("cannot keep the master key in `{}`", file.display())]
    Io {
        /// The key's file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("`{}` does not hold a master key: remove it to have a new one made", .0.display())]
    NotAKey(PathBuf),
    /// A weak key on an address that others reach.
    #[error(
        "the master key is well known or shorter than {SHORTEST_STRONG} characters, and `{0}` can be reached by others: use a longer key, bind to 127.0.0.1, or pass --allow-weak-master-key"
    )]
    Weak(IpAddr),
}

impl MasterKeyError {
    fn finding(&self) -> Finding {
        let cause = std::error::Error::source(self).map(|source| format!(": {source}")).unwrap_or_default();
        Finding {
            severity: Severity::Error,
            code: "config.no_master_key",
            path: "general_settings.master_key".to_owned(),
            place: None,
            message: format!("{self}{cause}"),
            help: Some(
                "give a key as LITELLM_MASTER_KEY, or a data directory that can be written as --data-dir".to_owned(),
            ),
        }
    }
}

/// The directory for the embedded database and made keys: `flag`, `TOOLGATE_DATA_DIR`, `$XDG_DATA_HOME/toolgate` or
/// `~/.local/share/toolgate`.
///
/// # Errors
/// [`MasterKeyError::NoDataDirectory`] when none of them is known.
pub fn data_directory(flag: Option<&Path>, environment: &Environment) -> Result<PathBuf, MasterKeyError> {
    let variable = |name: &str| environment.get(name).map(PathBuf::from);
    flag.map(Path::to_owned)
        .or_else(|| variable("TOOLGATE_DATA_DIR"))
        .or_else(|| variable("XDG_DATA_HOME").filter(|path| path.is_absolute()).map(|path| path.join("toolgate")))
        .or_else(|| variable("HOME").map(|path| path.join(".local/share/toolgate")))
        .ok_or(MasterKeyError::NoDataDirectory)
}

/// Puts the key of the data directory in place where the configuration gave none, making it if need be.
///
/// A key that was just made is left in `loaded.new_master_key`, to be shown to the person who started the gateway.
/// Safe when several processes start at once: one makes the key, the others read it. A failure becomes an error among
/// the findings, and there are no settings then.
pub fn settle(loaded: &mut Loaded, data_dir: Option<&Path>, environment: &Environment) {
    let Some(settings) = loaded.settings.as_mut().filter(|_| loaded.master_key_origin == MasterKeyOrigin::NotGiven)
    else {
        return;
    };
    match of_directory(data_dir, environment) {
        Ok((key, file, is_new)) => {
            settings.general.master_key = key.clone();
            loaded.master_key_origin = MasterKeyOrigin::DataDirectory(file.clone());
            loaded.new_master_key = is_new.then_some(NewMasterKey { key, file });
        }
        Err(error) => {
            loaded.settings = None;
            loaded.findings.push(error.finding());
        }
    }
}

/// Refuses a weak key on an address that is not loopback, unless `allow_weak`.
///
/// # Errors
/// [`MasterKeyError::Weak`].
pub fn check_for_bind(general: &General, host: IpAddr, allow_weak: bool) -> Result<(), MasterKeyError> {
    if is_weak(&general.master_key) && !allow_weak && !host.is_loopback() {
        return Err(MasterKeyError::Weak(host));
    }
    Ok(())
}

/// Whether a key is well known or short.
#[must_use]
pub fn is_weak(key: &SecretString) -> bool {
    let key = key.expose_secret();
    key.len() < SHORTEST_STRONG || WELL_KNOWN.contains(&key)
}

/// `sk-` and 256 random bits.
pub(crate) fn generate() -> SecretString {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works, or no key could ever be made");
    format!("sk-{}", URL_SAFE_NO_PAD.encode(bytes)).into()
}

/// The key in the data directory, its file, and whether it was just made.
fn of_directory(
    data_dir: Option<&Path>,
    environment: &Environment,
) -> Result<(SecretString, PathBuf, bool), MasterKeyError> {
    let directory = data_directory(data_dir, environment)?;
    let file = directory.join(FILE_NAME);
    if let Some(key) = read(&file)? {
        return Ok((key, file, false));
    }
    let io = |source| MasterKeyError::Io { file: file.clone(), source };
    create_directory(&directory).map_err(io)?;
    let made = generate();
    if create(&file, &made).map_err(io)? {
        return Ok((made, file, true));
    }
    let key = read(&file)?.ok_or_else(|| MasterKeyError::NotAKey(file.clone()))?;
    Ok((key, file, false))
}

fn read(file: &Path) -> Result<Option<SecretString>, MasterKeyError> {
    match std::fs::read_to_string(file) {
        Ok(text) => {
            let key = text.trim();
            let plausible = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
            plausible.then(|| Some(key.into())).ok_or_else(|| MasterKeyError::NotAKey(file.to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(MasterKeyError::Io { file: file.to_owned(), source }),
    }
}

fn create_directory(directory: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Writes the key beside its place and links it there, so that nobody ever sees half a key. `false` when another
/// process was quicker.
fn create(file: &Path, key: &SecretString) -> io::Result<bool> {
    let scratch = file.with_extension(format!("new-{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&scratch).and_then(|mut out| {
        out.write_all(key.expose_secret().as_bytes())?;
        out.write_all(b"\n")?;
        out.sync_all()
    });
    let linked = written.and_then(|()| match std::fs::hard_link(&scratch, file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    });
    // A scratch file that stays behind is overwritten next time; it must not hide why linking failed.
    let removed = std::fs::remove_file(&scratch);
    linked.and_then(|linked| removed.map(|()| linked))
}
