//! The ids of events on streams that can be taken up again: sealed, so that only the caller they were given to can name
//! a place in a stream, and only of the same session.

use std::sync::Arc;

use crate::auth::CallerId;
use crate::seal::{Purpose, Sealer};
use crate::upstream::SessionKey;

use super::outlet::EventIds;

/// A place in one of a session's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// Which stream.
    pub(super) stream: StreamId,
    /// The event that was last read there; 0 before the first.
    pub(super) number: u64,
}

/// One of a session's streams. The numbers are random, so those of a former process lead nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamId {
    /// On which the client hears what no request of its own brings about.
    Standalone(u64),
    /// The response to a request.
    Response(u64),
}

/// The layout of an id's plain text; a change of layout is a new number.
const LAYOUT: u8 = 1;
const BYTES: usize = 1 + 16 + 1 + 8 + 8;

impl StreamId {
    /// A number that no other stream has.
    pub(super) fn random_number() -> u64 {
        let mut bytes = [0u8; 8];
        aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works");
        u64::from_ne_bytes(bytes)
    }

    /// Makes the ids of this stream's events.
    pub(super) fn ids(self, sealer: &Arc<Sealer>, caller: &CallerId, session: SessionKey) -> EventIds {
        let (sealer, caller) = (Arc::clone(sealer), caller.clone());
        Box::new(move |number| Position { stream: self, number }.seal(&sealer, &caller, session))
    }
}

impl Position {
    pub(super) fn seal(self, sealer: &Sealer, caller: &CallerId, session: SessionKey) -> String {
        let (kind, stream) = match self.stream {
            StreamId::Standalone(stream) => (0, stream),
            StreamId::Response(stream) => (1, stream),
        };
        let mut plain = Vec::with_capacity(BYTES);
        plain.push(LAYOUT);
        plain.extend(session.0);
        plain.push(kind);
        plain.extend(stream.to_be_bytes());
        plain.extend(self.number.to_be_bytes());
        sealer.seal(Purpose::Event, caller.as_str(), &plain)
    }

    /// The place that `id` names; `None` for whatever was not given to this caller in this session.
    pub(super) fn open(sealer: &Sealer, caller: &CallerId, session: SessionKey, id: &str) -> Option<Self> {
        let plain = sealer.open(Purpose::Event, caller.as_str(), id)?;
        let plain: [u8; BYTES] = plain.try_into().ok()?;
        if plain[0] != LAYOUT || plain[1..17] != session.0 {
            return None;
        }
        let stream = u64::from_be_bytes(plain[18..26].try_into().ok()?);
        let stream = match plain[17] {
            0 => StreamId::Standalone(stream),
            1 => StreamId::Response(stream),
            _ => return None,
        };
        Some(Self { stream, number: u64::from_be_bytes(plain[26..].try_into().ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn an_id_leads_its_caller_back_to_the_place_and_nobody_else() {
        let sealer = Arc::new(Sealer::new(&SecretString::from("a secret")));
        let (alice, bob) = (CallerId::named("alice"), CallerId::named("bob"));
        let (one, other) = (SessionKey([1; 16]), SessionKey([2; 16]));
        for stream in [StreamId::Standalone(7), StreamId::Response(u64::MAX)] {
            let id = stream.ids(&sealer, &alice, one)(42);
            let found = Position::open(&sealer, &alice, one, &id);
            assert_eq!(found, Some(Position { stream, number: 42 }));
            assert_eq!(Position::open(&sealer, &bob, one, &id), None);
            assert_eq!(Position::open(&sealer, &alice, other, &id), None);
            assert_eq!(Position::open(&sealer, &alice, one, &id[1..]), None);
        }
        let session = sealer.seal(Purpose::Session, "alice", &[0; BYTES]);
        assert_eq!(Position::open(&sealer, &alice, one, &session), None);
    }
}
