//! The ids of events on streams that can be taken up again: sealed, so that only the caller they were given to can name
//! a place in a stream, and only of the same session.
//!
//! An id says at which event of which of the session's streams the client is, which is enough for the process that has
//! the stream. Where servers say how their own streams can be taken up, it also says that, so that any process with the
//! same key can go on; see [`behind`].

pub(super) mod behind;

use std::sync::Arc;

use crate::auth::CallerId;
use crate::seal::{Purpose, Sealer};
use crate::upstream::SessionKey;

use super::outlet::{EventIds, Place};

/// A place in one of a session's streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// Which stream.
    pub(super) stream: StreamId,
    /// The event that was last read there; 0 before the first.
    pub(super) number: u64,
    /// The places in servers' streams that are behind it, if they have any, as [`behind`] writes them.
    pub(super) behind: Option<Place>,
}

/// One of a session's streams. The numbers are random, so those of a former process lead nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamId {
    /// On which the client hears what no request of its own brings about.
    Standalone(u64),
    /// The response to a request.
    Response(u64),
}

/// The layout of an id's plain text; a change of layout is a new number. What is behind it follows.
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
        Box::new(move |number, behind| seal(&sealer, &caller, session, self, number, behind))
    }
}

fn seal(
    sealer: &Sealer,
    caller: &CallerId,
    session: SessionKey,
    stream: StreamId,
    number: u64,
    behind: Option<&[u8]>,
) -> String {
    let (kind, stream) = match stream {
        StreamId::Standalone(stream) => (0, stream),
        StreamId::Response(stream) => (1, stream),
    };
    let behind = behind.unwrap_or_default();
    let mut plain = Vec::with_capacity(BYTES + behind.len());
    plain.push(LAYOUT);
    plain.extend(session.0);
    plain.push(kind);
    plain.extend(stream.to_be_bytes());
    plain.extend(number.to_be_bytes());
    plain.extend(behind);
    sealer.seal(Purpose::Event, caller.as_str(), &plain)
}

impl Position {
    pub(super) fn seal(&self, sealer: &Sealer, caller: &CallerId, session: SessionKey) -> String {
        seal(sealer, caller, session, self.stream, self.number, self.behind.as_deref())
    }

    /// The place that `id` names; `None` for whatever was not given to this caller in this session.
    pub(super) fn open(sealer: &Sealer, caller: &CallerId, session: SessionKey, id: &str) -> Option<Self> {
        let plain = sealer.open(Purpose::Event, caller.as_str(), id)?;
        let (plain, behind) = plain.split_at_checked(BYTES)?;
        if plain[0] != LAYOUT || plain[1..17] != session.0 {
            return None;
        }
        let stream = u64::from_be_bytes(plain[18..26].try_into().ok()?);
        let stream = match plain[17] {
            0 => StreamId::Standalone(stream),
            1 => StreamId::Response(stream),
            _ => return None,
        };
        let behind = Some(behind).filter(|behind| !behind.is_empty()).map(Place::from);
        Some(Self { stream, number: u64::from_be_bytes(plain[26..].try_into().ok()?), behind })
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
            for behind in [None, Some(Place::from(&b"behind"[..]))] {
                let id = stream.ids(&sealer, &alice, one)(42, behind.as_deref());
                let found = Position::open(&sealer, &alice, one, &id);
                assert_eq!(found, Some(Position { stream, number: 42, behind }));
                assert_eq!(Position::open(&sealer, &bob, one, &id), None);
                assert_eq!(Position::open(&sealer, &alice, other, &id), None);
                assert_eq!(Position::open(&sealer, &alice, one, &id[1..]), None);
            }
        }
        let session = sealer.seal(Purpose::Session, "alice", &[0; BYTES]);
        assert_eq!(Position::open(&sealer, &alice, one, &session), None);
    }
}
