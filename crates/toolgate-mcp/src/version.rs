//! The protocol's revisions, and what each of them has, in one table.
//!
//! The rest of the code asks this table and never compares revisions: a new revision is a new row.

use std::fmt;

/// A released revision of the Model Context Protocol, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// The first: HTTP+SSE and stdio.
    V2024_11_05,
    /// Brought Streamable HTTP, and JSON-RPC batches for this revision alone.
    V2025_03_26,
    /// Brought structured content, elicitation, the version header.
    V2025_06_18,
    /// Brought URL elicitation, resumable polling, icons, experimental tasks.
    V2025_11_25,
    /// Without sessions and handshake: every request carries its own metadata.
    V2026_07_28,
}

/// What one revision has.
struct Row {
    revision: Revision,
    name: &'static str,
    handshake: bool,
    batches: bool,
    version_header: bool,
    event_ids: bool,
    priming_events: bool,
}

const TABLE: [Row; 5] = [
    Row {
        revision: Revision::V2024_11_05,
        name: "2024-11-05",
        handshake: true,
        batches: false,
        version_header: false,
        event_ids: false,
        priming_events: false,
    },
    Row {
        revision: Revision::V2025_03_26,
        name: "2025-03-26",
        handshake: true,
        batches: true,
        version_header: false,
        event_ids: true,
        priming_events: false,
    },
    Row {
        revision: Revision::V2025_06_18,
        name: "2025-06-18",
        handshake: true,
        batches: false,
        version_header: true,
        event_ids: true,
        priming_events: false,
    },
    Row {
        revision: Revision::V2025_11_25,
        name: "2025-11-25",
        handshake: true,
        batches: false,
        version_header: true,
        event_ids: true,
        priming_events: true,
    },
    Row {
        revision: Revision::V2026_07_28,
        name: "2026-07-28",
        handshake: false,
        batches: false,
        version_header: true,
        event_ids: false,
        priming_events: false,
    },
];

impl Revision {
    /// Every revision, oldest first.
    pub const ALL: [Self; 5] =
        [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25, Self::V2026_07_28];

    /// The newest revision that begins with `initialize`.
    pub const NEWEST_WITH_HANDSHAKE: Self = Self::V2025_11_25;

    /// What a request without a version header speaks (MCP 2025-06-18, Transports, Protocol Version Header).
    pub const ASSUMED_WITHOUT_HEADER: Self = Self::V2025_03_26;

    fn row(self) -> &'static Row {
        TABLE.iter().find(|row| row.revision == self).expect("every revision has its row")
    }

    /// The revision called `name`, such as `2025-11-25`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.revision)
    }

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether a connection begins with `initialize` and may have a session.
    #[must_use]
    pub fn has_handshake(self) -> bool {
        self.row().handshake
    }

    /// Whether a POST may carry a JSON-RPC batch.
    #[must_use]
    pub fn has_batches(self) -> bool {
        self.row().batches
    }

    /// Whether the events of a stream may have ids, after which a client takes up a stream that it lost.
    #[must_use]
    pub fn has_event_ids(self) -> bool {
        self.row().event_ids
    }

    /// Whether clients know the event without data that begins a stream, so that it can be taken up again from there.
    #[must_use]
    pub fn has_priming_events(self) -> bool {
        self.row().priming_events
    }

    /// Whether requests after `initialize` carry the `MCP-Protocol-Version` header.
    #[must_use]
    pub fn has_version_header(self) -> bool {
        self.row().version_header
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Revision;

    #[test]
    fn every_revision_has_a_row_and_its_name_leads_back() {
        for revision in Revision::ALL {
            assert_eq!(Revision::parse(revision.name()), Some(revision));
        }
        assert_eq!(Revision::parse("2099-01-01"), None);
    }
}
