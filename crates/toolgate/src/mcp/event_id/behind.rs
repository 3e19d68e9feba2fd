//! Places in servers' streams, as they go into the ids of a client's events.
//!
//! A server's session, and with the client's credentials whoever knows it could use it, goes to the client with that;
//! but sealed, so that the client can do no more with it than come back here. It is the client's own session: of
//! connections that callers share no place is told.

use toolgate_mcp::jsonrpc::Id;
use toolgate_mcp::version::Revision;

use crate::config::settings::ServerId;
use crate::mcp::outlet::Place;
use crate::upstream::{RunningRequest, ServerPlace};

/// The most bytes of one id's places, so that the id has 2 KiB at most: it comes back as a header.
const MAX_BYTES: usize = 1472;

/// The call behind a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mcp) struct CallBehind {
    /// The client's id of the call.
    pub(in crate::mcp) id: Id,
    pub(in crate::mcp) server: ServerId,
    pub(in crate::mcp) place: ServerPlace,
    /// The call as the server knows it.
    pub(in crate::mcp) request: RunningRequest,
}

/// The bytes of a call's place; `None` when they are too many.
pub(in crate::mcp) fn call(id: &Id, server: &ServerId, place: &ServerPlace) -> Option<Place> {
    let request = place.request.as_ref()?;
    let mut out = Vec::with_capacity(256);
    put_place(&mut out, server, place)?;
    put(&mut out, id.as_json())?;
    out.extend(request.id.to_be_bytes());
    match &request.token {
        Some((number, own)) => {
            out.extend(number.to_be_bytes());
            put(&mut out, own)?;
        }
        None => out.extend([0; 10]),
    }
    (out.len() <= MAX_BYTES).then(|| Place::from(out))
}

/// The bytes of as many places as have room, from the first on; `None` when there is none.
pub(in crate::mcp) fn servers<'a>(places: impl Iterator<Item = &'a (ServerId, ServerPlace)>) -> Option<Place> {
    let mut out = Vec::with_capacity(256);
    for (server, place) in places {
        let before = out.len();
        if put_place(&mut out, server, place).is_none() || out.len() > MAX_BYTES {
            out.truncate(before);
        }
    }
    (!out.is_empty()).then(|| Place::from(out))
}

pub(in crate::mcp) fn read_call(bytes: &[u8]) -> Option<CallBehind> {
    let mut reader = Reader(bytes);
    let (server, place) = reader.place()?;
    let id = Id::read(serde_json::from_str(reader.text()?).ok()?)?;
    let request_id = reader.number()?;
    let (number, own) = (reader.number()?, reader.text()?);
    let token = (!own.is_empty()).then(|| (number, own.into()));
    let request = RunningRequest { id: request_id, token };
    reader.0.is_empty().then_some(CallBehind { id, server, place, request })
}

pub(in crate::mcp) fn read_servers(bytes: &[u8]) -> Option<Vec<(ServerId, ServerPlace)>> {
    let mut reader = Reader(bytes);
    let mut places = Vec::new();
    while !reader.0.is_empty() {
        places.push(reader.place()?);
    }
    Some(places)
}

fn put_place(out: &mut Vec<u8>, server: &ServerId, place: &ServerPlace) -> Option<()> {
    put(out, server.as_str())?;
    put(out, place.session_id.as_deref().unwrap_or_default())?;
    out.push(u8::try_from(Revision::ALL.iter().position(|revision| *revision == place.revision)?).ok()?);
    put(out, &place.last_event_id)
}

/// A text behind its length.
fn put(out: &mut Vec<u8>, text: &str) -> Option<()> {
    out.extend(u16::try_from(text.len()).ok()?.to_be_bytes());
    out.extend(text.as_bytes());
    Some(())
}

/// What is left to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (read, left) = self.0.split_at_checked(count)?;
        self.0 = left;
        Some(read)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = u16::from_be_bytes(self.bytes(2)?.try_into().ok()?);
        std::str::from_utf8(self.bytes(usize::from(length))?).ok()
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.bytes(8)?.try_into().ok()?))
    }

    fn place(&mut self) -> Option<(ServerId, ServerPlace)> {
        let server = ServerId::from(self.text()?);
        let session_id = Some(self.text()?).filter(|id| !id.is_empty()).map(Box::from);
        let revision = *Revision::ALL.get(usize::from(*self.bytes(1)?.first()?))?;
        let last_event_id = self.text()?.into();
        Some((server, ServerPlace { session_id, revision, last_event_id, request: None }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use secrecy::SecretString;

    use super::super::StreamId;
    use super::*;
    use crate::auth::CallerId;
    use crate::seal::Sealer;
    use crate::upstream::SessionKey;

    fn place(last_event_id: &str, request: Option<RunningRequest>) -> ServerPlace {
        let session_id = Some("a-session".into());
        ServerPlace { session_id, revision: Revision::V2025_11_25, last_event_id: last_event_id.into(), request }
    }

    fn server(name: &str) -> ServerId {
        ServerId::from(name)
    }

    #[test]
    fn a_calls_place_comes_back_as_it_was() {
        let id = Id::from(7);
        for token in [None, Some((1 << 40, Box::from(r#""grüß""#)))] {
            let request = RunningRequest { id: 12, token };
            let written = call(&id, &server("up"), &place("e-1", Some(request.clone()))).unwrap();
            let found = read_call(&written).unwrap();
            assert_eq!((&found.id, &found.server, &found.request), (&id, &server("up"), &request));
            assert_eq!(found.place, place("e-1", None));
            for length in 0..written.len() {
                assert_eq!(read_call(&written[..length]), None, "{length} bytes");
            }
        }
        assert_eq!(call(&id, &server("up"), &place("e-1", None)), None, "it is no call's");
    }

    #[test]
    fn places_of_servers_come_back_as_many_as_have_room() {
        let many: Vec<_> = (0..100).map(|n| (server(&format!("server-{n}")), place(&format!("e-{n}"), None))).collect();
        let found = read_servers(&servers(many.iter()).unwrap()).unwrap();
        assert!(found.len() > 20 && found.len() < 100, "{}", found.len());
        assert_eq!(found, many[..found.len()]);
        assert_eq!(servers([].iter()), None);
    }

    #[test]
    fn what_is_too_long_is_left_out_and_an_id_has_two_kibibytes_at_most() {
        let request = Some(RunningRequest { id: 12, token: None });
        let written = |bytes: usize| call(&Id::from(7), &server("up"), &place(&"x".repeat(bytes), request.clone()));
        let most = (0..4000).rev().find_map(written).unwrap();
        assert!(written(4000).is_none());
        let sealer = Arc::new(Sealer::new(&SecretString::from("a secret")));
        let ids = StreamId::Response(1).ids(&sealer, &CallerId::named("alice"), SessionKey([1; 16]));
        let length = ids(1, Some(&most)).len();
        assert!((2000..=2048).contains(&length), "{length}");
        let long = [(server("one"), place(&"x".repeat(4000), None)), (server("two"), place("e", None))];
        assert_eq!(read_servers(&servers(long.iter()).unwrap()).unwrap(), long[1..]);
    }
}
