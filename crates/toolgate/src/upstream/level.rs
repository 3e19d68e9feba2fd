//! How much a server logs to a client.

use std::sync::atomic::{AtomicU8, Ordering};

/// The levels of RFC 5424 as MCP names them, from most to least talkative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LogLevel {
    /// Everything.
    Debug = 1,
    /// Normal operation.
    Info,
    /// Normal, and worth a look.
    Notice,
    /// Something may be wrong.
    Warning,
    /// Something is.
    Error,
    /// A part does not work.
    Critical,
    /// Somebody must act at once.
    Alert,
    /// Nothing works.
    Emergency,
}

impl LogLevel {
    /// From most to least talkative.
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

    /// The level with MCP's word `name`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }

    /// MCP's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
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
}

/// How much the server of one connection was told to log.
pub(super) struct Told {
    /// 0: nothing was said.
    level: AtomicU8,
    /// Whether it knows the matter at all.
    can_log: bool,
    /// Several clients share the connection: the most eager of them decides.
    is_shared: bool,
}

impl Told {
    pub(super) fn nothing(can_log: bool, is_shared: bool) -> Self {
        Self { level: AtomicU8::new(0), can_log, is_shared }
    }

    /// Whether the server has to be told of `level`.
    pub(super) fn lacks(&self, level: LogLevel) -> bool {
        let (told, level) = (self.level.load(Ordering::Relaxed), level as u8);
        self.can_log && told != level && !(self.is_shared && told != 0 && told < level)
    }

    /// Notes that the server is being told of `level`; gives back what was said before.
    pub(super) fn tell(&self, level: LogLevel) -> u8 {
        self.level.swap(level as u8, Ordering::Relaxed)
    }

    /// The server could not be told of `level`.
    pub(super) fn take_back(&self, level: LogLevel, before: u8) {
        // Unless somebody has told it another since.
        let _ = self.level.compare_exchange(level as u8, before, Ordering::Relaxed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{LogLevel, Told};

    #[test]
    fn a_shared_connection_logs_for_the_most_eager() {
        let (shared, own, mute) = (Told::nothing(true, true), Told::nothing(true, false), Told::nothing(false, false));
        for told in [&shared, &own] {
            assert!(told.lacks(LogLevel::Warning));
            told.tell(LogLevel::Warning);
            assert!(!told.lacks(LogLevel::Warning) && told.lacks(LogLevel::Info));
        }
        assert!(!shared.lacks(LogLevel::Error) && own.lacks(LogLevel::Error));
        assert!(!mute.lacks(LogLevel::Debug));
        let before = own.tell(LogLevel::Error);
        own.take_back(LogLevel::Error, before);
        assert!(own.lacks(LogLevel::Error) && !own.lacks(LogLevel::Warning));
    }

    #[test]
    fn levels_are_known_by_their_words_and_ordered() {
        for level in LogLevel::ALL {
            assert_eq!(LogLevel::parse(level.as_str()), Some(level));
        }
        assert_eq!(LogLevel::parse("verbose"), None);
        assert!(LogLevel::ALL.is_sorted());
    }
}
