//! How much a server logs to its client: set for the session in legacy revisions, asked by each request since.
//!
//! Source: MCP 2025-11-25 and 2026-07-28, Logging.

use std::fmt;

use serde_json::value::RawValue;

use crate::edit;
use crate::jsonrpc::string;
use crate::views::ViewError;

/// RFC 5424's severities, the least severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// For whoever looks for a fault in the server.
    Debug,
    /// As it should be.
    Info,
    /// As it should be, and worth a look.
    Notice,
    /// May become an error.
    Warning,
    /// Something failed.
    Error,
    /// A part of the server failed.
    Critical,
    /// Somebody must act at once.
    Alert,
    /// Nothing works.
    Emergency,
}

impl LogLevel {
    /// Every level, the least severe first.
    pub const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// The level called `name`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }

    /// Whether a client that asked for this level wants a message of `level`.
    #[must_use]
    pub fn admits(self, level: Self) -> bool {
        level >= self
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The level of a log message, from the whole `notifications/message`; `None` when it says none that there is.
#[must_use]
pub fn of_message(message: &str) -> Option<LogLevel> {
    let level = edit::get_at(message, &["params", "level"]).ok()??;
    LogLevel::parse(&string(level)?)
}

pub(super) fn read(field: &'static str, raw: Option<&RawValue>) -> Result<Option<LogLevel>, ViewError> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Ok(None) };
    let expected = "a log level: debug, info, notice, warning, error, critical, alert or emergency";
    let level = string(raw).and_then(|name| LogLevel::parse(&name));
    level.map(Some).ok_or(ViewError::WrongType { field, expected })
}

#[cfg(test)]
mod tests {
    use super::{LogLevel, of_message};

    #[test]
    fn levels_are_ordered_by_severity() {
        for level in LogLevel::ALL {
            assert_eq!(LogLevel::parse(level.name()), Some(level));
        }
        assert_eq!(LogLevel::parse("Debug"), None);
        assert!(LogLevel::Warning.admits(LogLevel::Warning) && LogLevel::Warning.admits(LogLevel::Emergency));
        assert!(!LogLevel::Warning.admits(LogLevel::Notice));
    }

    #[test]
    fn a_message_says_its_level() {
        let message =
            |level: &str| format!(r#"{{"method":"notifications/message","params":{{"data":1,"level":{level}}}}}"#);
        assert_eq!(of_message(&message(r#""error""#)), Some(LogLevel::Error));
        assert_eq!(of_message(&message(r#""loud""#)), None);
        assert_eq!(of_message(&message("1")), None);
        assert_eq!(of_message(r#"{"method":"notifications/message"}"#), None);
    }
}
