//! A client's session: a sealed token that says what the client told in `initialize`.
//!
//! Nothing is kept for a session until it is used, so ten thousand idle ones cost nothing, and any replica with the same
//! secret can serve any of them. Another caller's use of a token is an unknown session like any other. What is kept is
//! the keys of sessions that ended early, until their tokens would have expired anyway.

mod opened;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use moka::sync::Cache;
use secrecy::SecretString;
use serde_json::value::RawValue;
use toolgate_mcp::session::ClientCapabilities;
use toolgate_mcp::version::Revision;

use crate::auth::CallerId;
use crate::seal::{Purpose, Sealer};
use crate::upstream::{Capabilities, SessionKey};

use opened::Opened;

/// How long a session's token is good for. A client whose token expires is told 404 and opens a new one.
pub const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Ended sessions remembered at once.
const MAX_ENDED: u64 = 100_000;

/// What a session's token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSession {
    /// Names the session's connections to upstreams.
    pub key: SessionKey,
    /// What was negotiated.
    pub revision: Revision,
    opened_s: u64,
    declared: Declared,
}

/// What the client declared in `initialize`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Declared {
    Nothing,
    /// The object as it stood there.
    Raw(Arc<str>),
    /// Of an object that is too long for a token: what the gateway knows of it.
    Flags(ClientCapabilities),
}

/// Opens, finds and ends sessions.
pub struct Sessions {
    sealer: Arc<Sealer>,
    lifetime: Duration,
    opened: Opened,
    ended: Cache<[u8; 16], ()>,
}

/// The layout of a token's plain text; a change of layout is a new number.
const LAYOUT: u8 = 2;

/// Layout, revision, key, time, and in what form the capabilities follow.
const HEAD_BYTES: usize = 1 + 1 + 16 + 8 + 1;

/// Capabilities from this length on are kept as flags: the token travels with every request.
const MAX_RAW_BYTES: usize = 1024;

impl Sessions {
    /// Sessions sealed under a key derived from `secret`, good for `lifetime`.
    #[must_use]
    pub fn new(secret: &SecretString, lifetime: Duration) -> Self {
        Self {
            sealer: Arc::new(Sealer::new(secret)),
            lifetime,
            opened: Opened::none(),
            ended: Cache::builder().max_capacity(MAX_ENDED).time_to_live(lifetime).build(),
        }
    }

    /// The sealer, for the other tokens of the face.
    #[must_use]
    pub fn sealer(&self) -> &Arc<Sealer> {
        &self.sealer
    }

    /// A new session of `caller`, and the id that the client gets for it.
    #[must_use]
    pub fn open(
        &self,
        caller: &CallerId,
        revision: Revision,
        capabilities: &Capabilities,
        now: SystemTime,
    ) -> (ClientSession, String) {
        let mut key = [0u8; 16];
        aws_lc_rs::rand::fill(&mut key).expect("the system's random source works");
        let declared = Declared::of(capabilities);
        let session = ClientSession { key: SessionKey(key), revision, opened_s: seconds(now), declared };
        let token = self.sealer.seal(Purpose::Session, caller.as_str(), &session.to_bytes());
        (session, token)
    }

    /// The session behind `token`; `None` when it is forged, another caller's, expired or ended.
    #[must_use]
    pub fn find(&self, caller: &CallerId, token: &str, now: SystemTime) -> Option<ClientSession> {
        let session = match self.opened.find(caller, token) {
            Some(session) => session,
            None => {
                let plain = self.sealer.open(Purpose::Session, caller.as_str(), token)?;
                let session = ClientSession::from_bytes(&plain)?;
                self.opened.keep(caller, token, &session);
                session
            }
        };
        self.is_open(&session, now).then_some(session)
    }

    /// Whether `session` has neither expired nor ended.
    #[must_use]
    pub fn is_open(&self, session: &ClientSession, now: SystemTime) -> bool {
        let expired = seconds(now) >= session.opened_s.saturating_add(self.lifetime.as_secs());
        !expired && !self.ended.contains_key(&session.key.0)
    }

    /// Ends `session`: its token is unknown from now on, on this replica.
    pub fn end(&self, session: &ClientSession) {
        self.ended.insert(session.key.0, ());
    }
}

impl ClientSession {
    /// The session that an open HTTP+SSE stream is; it lives as long as the stream and has no token.
    #[must_use]
    pub fn of_stream(key: SessionKey, now: SystemTime) -> Self {
        Self { key, revision: Revision::V2024_11_05, opened_s: seconds(now), declared: Declared::Nothing }
    }

    /// When it was opened, to the second.
    #[must_use]
    pub fn opened(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.opened_s)
    }

    /// How long ago that was.
    #[must_use]
    pub fn age(&self, now: SystemTime) -> Duration {
        Duration::from_secs(seconds(now).saturating_sub(self.opened_s))
    }

    /// What the client can do for servers.
    #[must_use]
    pub fn capabilities(&self) -> Arc<Capabilities> {
        match &self.declared {
            Declared::Nothing => Capabilities::none(),
            Declared::Raw(json) => {
                let raw: Option<&RawValue> = serde_json::from_str(json).ok();
                Capabilities::read(raw).unwrap_or_else(|_| Capabilities::none())
            }
            Declared::Flags(flags) => Capabilities::of_flags(*flags),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let revision = Revision::ALL.iter().position(|revision| *revision == self.revision).unwrap_or_default() as u8;
        let mut bytes = Vec::with_capacity(HEAD_BYTES);
        bytes.extend([LAYOUT, revision]);
        bytes.extend(self.key.0);
        bytes.extend(self.opened_s.to_be_bytes());
        match &self.declared {
            Declared::Nothing => bytes.push(0),
            Declared::Flags(flags) => bytes.extend([1, flags.to_bits()]),
            Declared::Raw(json) => {
                bytes.push(2);
                bytes.extend(json.bytes());
            }
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, declared) = bytes.split_at_checked(HEAD_BYTES)?;
        if head[0] != LAYOUT {
            return None;
        }
        Some(Self {
            revision: *Revision::ALL.get(usize::from(head[1]))?,
            key: SessionKey(head[2..18].try_into().ok()?),
            opened_s: u64::from_be_bytes(head[18..26].try_into().ok()?),
            declared: match (head[26], declared) {
                (0, []) => Declared::Nothing,
                (1, [bits]) => Declared::Flags(ClientCapabilities::from_bits(*bits)),
                (2, json) => Declared::Raw(std::str::from_utf8(json).ok()?.into()),
                _ => return None,
            },
        })
    }
}

impl Declared {
    fn of(capabilities: &Capabilities) -> Self {
        match capabilities.raw().get() {
            "{}" => Self::Nothing,
            raw if raw.len() <= MAX_RAW_BYTES => Self::Raw(raw.into()),
            _ => Self::Flags(capabilities.flags()),
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> Sessions {
        Sessions::new(&SecretString::from("a secret"), Duration::from_secs(60))
    }

    fn caller(name: &str) -> CallerId {
        CallerId::named(name)
    }

    fn capabilities(json: &str) -> Arc<Capabilities> {
        Capabilities::read(Some(serde_json::from_str(json).expect("JSON"))).expect("an object")
    }

    #[test]
    fn what_the_client_can_do_travels_with_the_session() {
        let sessions = sessions();
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let long = format!(r#"{{"roots":{{}},"x":"{}"}}"#, "x".repeat(MAX_RAW_BYTES));
        let cases =
            [("{}", "{}"), (r#"{ "sampling":{"y":1} }"#, r#"{ "sampling":{"y":1} }"#), (&long, r#"{"roots":{}}"#)];
        for (declared, found) in cases {
            let (_, token) = sessions.open(&caller("alice"), Revision::V2025_11_25, &capabilities(declared), now);
            let session = sessions.find(&caller("alice"), &token, now).expect("it is open");
            assert_eq!(session.capabilities().raw().get(), found);
        }
    }

    #[test]
    fn a_session_is_found_by_its_caller_until_it_expires() {
        let sessions = sessions();
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let (session, token) = sessions.open(&caller("alice"), Revision::V2025_06_18, &Capabilities::none(), now);
        for _ in 0..2 {
            // The second time it is remembered.
            assert_eq!(sessions.find(&caller("alice"), &token, now), Some(session.clone()));
        }
        assert_eq!(sessions.find(&caller("bob"), &token, now), None);
        assert_eq!(sessions.find(&caller("alice"), "deadbeef", now), None);
        assert_eq!(sessions.find(&caller("alice"), &token, now + Duration::from_secs(60)), None);
    }

    #[test]
    fn an_ended_session_is_unknown() {
        let sessions = sessions();
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let (session, token) = sessions.open(&caller("alice"), Revision::V2025_11_25, &Capabilities::none(), now);
        assert_eq!(sessions.find(&caller("alice"), &token, now).as_ref(), Some(&session));
        sessions.end(&session);
        assert_eq!(sessions.find(&caller("alice"), &token, now), None);
    }
}
