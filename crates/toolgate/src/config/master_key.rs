//! The master key where nobody gave one: made at first start and kept in the data directory, readable by its owner
//! alone. There is never a gateway without a key.

use std::io;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use super::environment::Environment;
use super::settings::{General, MasterKeyOrigin};

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

/// Why there is no master key, or not one that may be used.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// Nothing says where the data directory is.
    #[error("no data directory: set --data-dir, TOOLGATE_DATA_DIR or HOME, or give a master key as LITELLM_MASTER_KEY")]
    NoDataDirectory,
    /// The file cannot be read or written.
    #[error("cannot keep the master key in `{}`: set --data-dir to a directory that can be written, or give a key as LITELLM_MASTER_KEY", file.display())]
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

/// Makes the data directory, if it is not there.
///
/// # Errors
/// [`MasterKeyError::Io`].
pub fn made_directory(directory: &Path) -> Result<(), MasterKeyError> {
    create_directory(directory).map_err(|source| MasterKeyError::Io { file: directory.to_owned(), source })
}

/// The key in `file`, which is made if it is not there: random, and readable by nobody else.
///
/// # Errors
/// When it can be neither read nor kept.
pub fn kept(file: &Path) -> Result<SecretString, MasterKeyError> {
    if let Some(key) = read(file)? {
        return Ok(key);
    }
    let made = generate();
    match create(file, &made).map_err(|source| MasterKeyError::Io { file: file.to_owned(), source })? {
        true => Ok(made),
        false => read(file)?.ok_or_else(|| MasterKeyError::NotAKey(file.to_owned())),
    }
}

/// The key in `file`; `None` when it is not there.
///
/// # Errors
/// When it cannot be read.
pub fn find(file: &Path) -> Result<Option<SecretString>, MasterKeyError> {
    read(file)
}

/// The master key that is kept in a data directory; `None` when none is.
///
/// # Errors
/// When it cannot be read.
pub fn find_master(directory: &Path) -> Result<Option<SecretString>, MasterKeyError> {
    read(&directory.join(FILE_NAME))
}

/// Puts the key of the data directory in place where the configuration gave none, making it if need be.
///
/// The key that was made is returned, to be shown to the person who started the gateway. Safe when several processes
/// start at once: one makes the key, the others read it.
///
/// # Errors
/// When the key can be neither read nor kept.
pub fn settle(
    general: &mut General,
    data_dir: Option<&Path>,
    environment: &Environment,
) -> Result<Option<NewMasterKey>, MasterKeyError> {
    if general.master_key_origin != MasterKeyOrigin::NotGiven {
        return Ok(None);
    }
    let directory = data_directory(data_dir, environment)?;
    let file = directory.join(FILE_NAME);
    let io = |source| MasterKeyError::Io { file: file.clone(), source };
    if let Some(key) = read(&file)? {
        adopt(general, key, &file);
        return Ok(None);
    }
    create_directory(&directory).map_err(io)?;
    let made = generate();
    if create(&file, &made).map_err(io)? {
        adopt(general, made.clone(), &file);
        return Ok(Some(NewMasterKey { key: made, file }));
    }
    let key = read(&file)?.ok_or_else(|| MasterKeyError::NotAKey(file.clone()))?;
    adopt(general, key, &file);
    Ok(None)
}

/// Refuses a weak key on an address that is not loopback, unless `allow_weak`.
///
/// # Errors
/// [`MasterKeyError::Weak`].
pub fn check_for_bind(general: &General, host: IpAddr, allow_weak: bool) -> Result<(), MasterKeyError> {
    if general.weak_master_key && !allow_weak && !host.is_loopback() {
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

fn adopt(general: &mut General, key: SecretString, file: &Path) {
    general.weak_master_key = is_weak(&key);
    general.master_key = key;
    general.master_key_origin = MasterKeyOrigin::DataDirectory(file.to_owned());
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
    let mut tag = [0_u8; 8];
    aws_lc_rs::rand::fill(&mut tag).map_err(io::Error::other)?;
    let scratch = file.with_extension(format!("new-{}", URL_SAFE_NO_PAD.encode(tag)));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
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
    // Why linking failed matters more than why the scratch file stays.
    let removed = std::fs::remove_file(&scratch);
    linked.and_then(|linked| removed.map(|()| linked))
}
