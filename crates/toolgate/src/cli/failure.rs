//! Exit codes, and failures as the command line shows them.

use std::fmt;
use std::process::ExitCode;

use crate::telemetry::logs::{AlreadySetUp, BadFilter};

/// How the program ends. The numbers are stable: scripts depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Something that none of the others names.
    Unexpected = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The key is missing or refused.
    Auth = 3,
    /// The server cannot be reached, or does not answer in time.
    Unreachable = 4,
    /// The tool ran and says that it failed (`isError`).
    ToolError = 5,
    /// A rule forbids it.
    Denied = 6,
    /// There is no such thing.
    NotFound = 7,
    /// It is there already, or has changed meanwhile.
    Conflict = 8,
    /// Some of it failed.
    Partial = 9,
    /// The configuration, or what was to be checked, has errors (`EX_DATAERR`).
    ConfigInvalid = 65,
    /// The configuration is missing or cannot be read (`EX_CONFIG`).
    ConfigMissing = 78,
    /// Stopped from the keyboard.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed, for the person who typed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// A word to search for; stable.
    pub code: &'static str,
    /// What went wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without advice.
    pub fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self { exit, code, message: message.into(), hint: None }
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<anyhow::Error> for Failure {
    /// A [`Failure`] anywhere in the chain keeps its exit code; anything else is unexpected.
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(failure) => failure,
            Err(error) => Self::new(Exit::Unexpected, "unexpected", format!("{error:#}")),
        }
    }
}

impl From<BadFilter> for Failure {
    fn from(error: BadFilter) -> Self {
        Self::new(Exit::Usage, "log-filter", error.to_string())
            .hint("give error, warn, info, debug or trace, or directives such as toolgate=debug,hyper=warn")
    }
}

impl From<AlreadySetUp> for Failure {
    fn from(error: AlreadySetUp) -> Self {
        Self::new(Exit::Unexpected, "logs", error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Unexpected, "io", error.to_string())
    }
}
