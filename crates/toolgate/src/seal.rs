//! Sealed tokens: session ids and cursors that carry their own state.
//!
//! A token is AES-256-GCM over a few bytes, so any replica with the same secret can open it in microseconds and without
//! a store. The purpose and the caller's identity are associated data: a token of another purpose or another caller
//! does not open, and looks exactly like a forged one.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

/// What a token is for. One purpose's token never opens as another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `Mcp-Session-Id`.
    Session,
    /// `nextCursor`.
    Cursor,
    /// The `sessionId` of the HTTP+SSE transport's message endpoint.
    SseSession,
    /// The `id` of a stream's event, which comes back as `Last-Event-ID`.
    Event,
    /// The `requestState` of a call that waits for its client.
    RequestState,
    /// The id of a server's task.
    Task,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Session => b"session",
            Self::Cursor => b"cursor",
            Self::SseSession => b"sse-session",
            Self::Event => b"event",
            Self::RequestState => b"request-state",
            Self::Task => b"task",
        }
    }
}

/// Seals and opens tokens under one secret.
pub struct Sealer {
    key: RandomizedNonceKey,
}

/// Longer tokens are not looked at.
const MAX_TOKEN_CHARS: usize = 4096;

/// A length for HKDF that is the AES-256 key's.
struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        32
    }
}

impl Sealer {
    /// A sealer under a key derived from `secret`, so that replicas and restarts with the same secret share it.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        let mut key = [0u8; 32];
        Salt::new(HKDF_SHA256, b"toolgate")
            .extract(secret.expose_secret().as_bytes())
            .expand(&[b"sealed tokens v1"], KeyLength)
            .and_then(|okm| okm.fill(&mut key))
            .expect("HKDF-SHA256 gives 32 bytes");
        Self { key: RandomizedNonceKey::new(&AES_256_GCM, &key).expect("the key is 32 bytes long") }
    }

    /// `plain`, readable only by this sealer, for this purpose, and for the caller called `owner`.
    #[must_use]
    pub fn seal(&self, purpose: Purpose, owner: &str, plain: &[u8]) -> String {
        let mut sealed = plain.to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(associated(purpose, owner)), &mut sealed)
            .expect("a few bytes are within AES-GCM's limits");
        let mut token = nonce.as_ref().to_vec();
        token.append(&mut sealed);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// What was sealed, or `None` for everything that this sealer did not seal for this purpose and owner.
    #[must_use]
    pub fn open(&self, purpose: Purpose, owner: &str, token: &str) -> Option<Vec<u8>> {
        if token.len() > MAX_TOKEN_CHARS {
            return None;
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain_bytes = self.key.open_in_place(nonce, Aad::from(associated(purpose, owner)), sealed).ok()?.len();
        bytes.truncate(NONCE_LEN + plain_bytes);
        bytes.drain(..NONCE_LEN);
        Some(bytes)
    }
}

fn associated(purpose: Purpose, owner: &str) -> Vec<u8> {
    [purpose.label(), b"\0", owner.as_bytes()].concat()
}

#[cfg(test)]
#[path = "seal/bodies.rs"]
mod bodies;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};

    use super::*;

    fn sealer(secret: &str) -> Sealer {
        Sealer::new(&SecretString::from(secret))
    }

    #[test]
    fn opens_only_what_it_sealed_for_that_purpose_and_owner() {
        let ours = sealer("a secret");
        let token = ours.seal(Purpose::Session, "alice", b"state");
        assert_eq!(ours.open(Purpose::Session, "alice", &token).as_deref(), Some(&b"state"[..]));
        assert_eq!(sealer("a secret").open(Purpose::Session, "alice", &token).as_deref(), Some(&b"state"[..]));
        assert_eq!(ours.open(Purpose::Session, "bob", &token), None);
        assert_eq!(ours.open(Purpose::Cursor, "alice", &token), None);
        assert_eq!(sealer("another").open(Purpose::Session, "alice", &token), None);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let ours = sealer("a secret");
        let token = ours.seal(Purpose::Cursor, "alice", b"state");
        let bytes = URL_SAFE_NO_PAD.decode(&token).expect("our own token");
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(ours.open(Purpose::Cursor, "alice", &URL_SAFE_NO_PAD.encode(forged)), None, "bit {bit}");
        }
        for length in 0..token.len() {
            assert_eq!(ours.open(Purpose::Cursor, "alice", &token[..length]), None, "{length} characters");
        }
        assert_eq!(ours.open(Purpose::Cursor, "alice", &"A".repeat(100_000)), None);
        assert_eq!(ours.open(Purpose::Cursor, "alice", "not base64 ü"), None);
    }

    #[test]
    fn two_tokens_for_the_same_state_differ() {
        let ours = sealer("a secret");
        assert_ne!(ours.seal(Purpose::Session, "a", b"x"), ours.seal(Purpose::Session, "a", b"x"));
    }

    proptest! {
        #[test]
        fn any_state_comes_back_and_no_changed_token_opens(
            state in vec(any::<u8>(), 0..300),
            owner in any::<String>(),
            other in any::<String>(),
            bit in any::<usize>(),
            (at, character) in (any::<usize>(), "[A-Za-z0-9_-]"),
        ) {
            let by = character.as_bytes()[0];
            bodies::sealed_and_changed(&sealer("a secret"), &state, &owner, &other, (bit, at), by);
        }

        #[test]
        fn what_was_never_sealed_never_opens(token in any::<String>(), sealed_like in "[A-Za-z0-9_-]{0,200}") {
            bodies::any_text(&sealer("a secret"), "alice", &token);
            bodies::any_text(&sealer("a secret"), "alice", &sealed_like);
        }
    }
}
