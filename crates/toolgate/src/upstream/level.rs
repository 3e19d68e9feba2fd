//! How much a server logs to a client.

use std::sync::atomic::{AtomicU8, Ordering};

pub use toolgate_mcp::translate::log_level::LogLevel;

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
        let (told, level) = (self.level.load(Ordering::Relaxed), number(level));
        self.can_log && told != level && !(self.is_shared && told != 0 && told < level)
    }

    /// Notes that the server is being told of `level`; gives back what was said before.
    pub(super) fn tell(&self, level: LogLevel) -> u8 {
        self.level.swap(number(level), Ordering::Relaxed)
    }

    /// The server could not be told of `level`.
    pub(super) fn take_back(&self, level: LogLevel, before: u8) {
        // Unless somebody has told it another since.
        let _ = self.level.compare_exchange(number(level), before, Ordering::Relaxed, Ordering::Relaxed);
    }
}

fn number(level: LogLevel) -> u8 {
    level as u8 + 1
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
}
