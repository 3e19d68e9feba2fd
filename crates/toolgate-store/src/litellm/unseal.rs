//! Values that LiteLLM sealed (`encrypt_decrypt_utils.py`).
//!
//! Three forms, all under LiteLLM's salt key: `v3:gcm:` and base64url of nonce and AES-256-GCM under HKDF-SHA256 of the
//! key; `v2:gcm:`, the same under its plain SHA-256; and bare base64 of a NaCl secret box under its SHA-256. Older rows
//! hold some values as they are.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{digest, hkdf};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use crypto_secretbox::aead::{Aead as _, KeyInit as _};
use crypto_secretbox::{Key, Nonce as BoxNonce, XSalsa20Poly1305};
use secrecy::{ExposeSecret as _, SecretString};

use crate::StoreError;

const V3: &str = "v3:gcm:";
const V2: &str = "v2:gcm:";

/// Nonce and tag of a secret box: nothing shorter is one.
const SHORTEST_BOX_BYTES: usize = 40;

/// Opens what LiteLLM sealed, and counts.
pub(super) struct Unsealer {
    hashed: [u8; 32],
    derived: [u8; 32],
    opened: AtomicU64,
    unreadable: AtomicU64,
}

/// What a stored text turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unsealed {
    /// It was sealed, and this was in it.
    Open(String),
    /// It never was sealed.
    Plain(String),
    /// It is sealed with another key.
    Unreadable,
}

impl Unsealed {
    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Open(text) | Self::Plain(text) => Some(text),
            Self::Unreadable => None,
        }
    }
}

impl Unsealer {
    pub(super) fn new(salt_key: &SecretString) -> Result<Self, StoreError> {
        let salt_key = salt_key.expose_secret().as_bytes();
        let mut hashed = [0; 32];
        hashed.copy_from_slice(digest::digest(&digest::SHA256, salt_key).as_ref());
        let mut derived = [0; 32];
        // Without a salt, as RFC 5869 has it: as many zeros as the hash is long.
        hkdf::Salt::new(hkdf::HKDF_SHA256, &[0; 32])
            .extract(salt_key)
            .expand(&[b"litellm-at-rest-v3"], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut derived))
            .map_err(|_| StoreError::Invalid { what: "this salt key" })?;
        Ok(Self { hashed, derived, opened: AtomicU64::new(0), unreadable: AtomicU64::new(0) })
    }

    /// How many values were opened, and how many could not be.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.opened.load(Ordering::Relaxed), self.unreadable.load(Ordering::Relaxed))
    }

    pub(super) fn open(&self, stored: &str) -> Unsealed {
        let outcome = if let Some(sealed) = stored.strip_prefix(V3) {
            gcm(&self.derived, sealed).map_or(Unsealed::Unreadable, Unsealed::Open)
        } else if let Some(sealed) = stored.strip_prefix(V2) {
            gcm(&self.hashed, sealed).map_or(Unsealed::Unreadable, Unsealed::Open)
        } else {
            match decoded(stored).filter(|bytes| bytes.len() >= SHORTEST_BOX_BYTES) {
                Some(sealed) => secret_box(&self.hashed, &sealed).map_or(Unsealed::Unreadable, Unsealed::Open),
                None => Unsealed::Plain(stored.to_owned()),
            }
        };
        let _counted = match outcome {
            Unsealed::Open(_) => self.opened.fetch_add(1, Ordering::Relaxed),
            Unsealed::Unreadable => self.unreadable.fetch_add(1, Ordering::Relaxed),
            Unsealed::Plain(_) => 0,
        };
        outcome
    }

    /// A user's credential, which older rows hold as bare base64.
    pub(super) fn open_credential(&self, stored: &str) -> Option<String> {
        match self.open(stored) {
            Unsealed::Open(text) => Some(text),
            Unsealed::Plain(text) => decoded(&text).and_then(|bytes| String::from_utf8(bytes).ok()),
            Unsealed::Unreadable => None,
        }
    }
}

/// Newer values are base64url, older ones plain base64.
fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE.decode(text).or_else(|_| STANDARD.decode(text)).ok().filter(|bytes| !bytes.is_empty())
}

fn gcm(key: &[u8; 32], sealed: &str) -> Option<String> {
    let mut bytes = URL_SAFE.decode(sealed).ok()?;
    if bytes.len() < 12 {
        return None;
    }
    let mut rest = bytes.split_off(12);
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
    let nonce = Nonce::try_assume_unique_for_key(&bytes).ok()?;
    let plain = key.open_in_place(nonce, Aad::empty(), &mut rest).ok()?;
    String::from_utf8(plain.to_vec()).ok()
}

fn secret_box(key: &[u8; 32], sealed: &[u8]) -> Option<String> {
    let (nonce, sealed) = sealed.split_first_chunk::<24>()?;
    let opened = XSalsa20Poly1305::new(&Key::from(*key)).decrypt(&BoxNonce::from(*nonce), sealed).ok()?;
    String::from_utf8(opened).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsealer(key: &str) -> Unsealer {
        Unsealer::new(&key.into()).unwrap()
    }

    /// Made with PyNaCl 1.6.2 and cryptography 50.0.2, as LiteLLM calls them.
    const SEALED: [(&str, &str); 7] = [
        ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXn6uhYr_J-05Ph10DUb-AXb2M_JC-D5f_BRte4SlB", "upstream-token"),
        ("////////////////////////////////RsFZCULTp7vQRLb1OioExKf86ns+S80/My3uaV0K", "upstream-token"),
        ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXBz0nRvjr43P5LtXyjcidJA==", ""),
        ("v2:gcm:AAECAwQFBgcICQoLiBXgtxawZpAtP1ze1jf52f3sAFBfEBwWAHIobHYD", "upstream-token"),
        ("v2:gcm:AAECAwQFBgcICQoLJmDa1B2RypO4VLzm1LmDhg==", ""),
        ("v3:gcm:AAECAwQFBgcICQoLUH7EtuEKblzzIH88JzyB1_FbRQJEaednQWEbd7sm", "upstream-token"),
        ("v3:gcm:AAECAwQFBgcICQoLMlor-8UhZt0kdzh6fdKasg==", ""),
    ];

    #[test]
    fn every_form_that_litellm_writes_opens_under_its_key_alone() {
        let (right, wrong) = (unsealer("sk-salt-of-litellm"), unsealer("sk-another"));
        for (sealed, plain) in SEALED {
            assert_eq!(right.open(sealed), Unsealed::Open(plain.to_owned()), "{sealed}");
            assert_eq!(wrong.open(sealed), Unsealed::Unreadable, "{sealed}");
        }
        assert_eq!((right.counts(), wrong.counts()), ((7, 0), (0, 7)));
    }

    #[test]
    fn what_was_never_sealed_is_as_it_is() {
        let unsealer = unsealer("sk-salt-of-litellm");
        for plain in ["", "ghp_short", "Bearer with blanks", "c2hvcnQ="] {
            assert_eq!(unsealer.open(plain), Unsealed::Plain(plain.to_owned()));
        }
        assert_eq!(unsealer.open_credential("c2hvcnQ="), Some("short".to_owned()));
        for broken in ["v2:gcm:", "v3:gcm:AAAA", "v2:gcm:%%%"] {
            assert_eq!(unsealer.open(broken), Unsealed::Unreadable, "{broken}");
        }
    }
}
