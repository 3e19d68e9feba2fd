//! Values that are sealed at rest: AES-256-GCM under a key made from `LITELLM_SALT_KEY`.
//!
//! A sealed value is the text `v1:{key id}:{base64 of nonce and ciphertext}`. Table, column, row id and key id are its
//! associated data, so that a value that somebody moved to another row does not open.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, hkdf};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, Serializer};

use crate::StoreError;

const VERSION: &str = "v1";
const NONCE_BYTES: usize = 12;

/// A value that is sealed in the database. Its text is never printed and never serialized.
#[derive(Clone)]
pub enum Secret {
    /// What was sealed.
    Open(SecretString),
    /// It was sealed under a key that is not in the key ring, or was moved here from another row.
    Unreadable {
        /// The key that it was sealed with.
        key_id: String,
    },
}

impl Secret {
    /// A secret to be kept.
    pub fn new(text: impl Into<String>) -> Self {
        Self::Open(SecretString::from(text.into()))
    }

    /// The text, unless it cannot be read.
    pub fn expose(&self) -> Option<&str> {
        match self {
            Self::Open(text) => Some(text.expose_secret()),
            Self::Unreadable { .. } => None,
        }
    }
}

impl Secret {
    pub(crate) fn into_text(self) -> Option<String> {
        self.expose().map(str::to_owned)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Open(one), Self::Open(other)) => one.expose_secret() == other.expose_secret(),
            (Self::Unreadable { key_id: one }, Self::Unreadable { key_id: other }) => one == other,
            _ => false,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open(_) => "Secret",
            Self::Unreadable { .. } => "Secret(unreadable)",
        })
    }
}

/// A row goes into the audit log and into answers; its secrets do not.
/// As it is shown: covered.
impl schemars::JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Open(_) => "[sealed]",
            Self::Unreadable { .. } => "[unreadable]",
        })
    }
}

/// The keys that values are sealed with.
#[derive(Clone)]
pub struct KeyRing {
    primary: SecretString,
    old: Vec<SecretString>,
}

impl KeyRing {
    /// New values are sealed with `primary`; values that were sealed with one of `old` can be read.
    pub fn new(primary: SecretString, old: Vec<SecretString>) -> Self {
        Self { primary, old }
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("old", &self.old.len()).finish_non_exhaustive()
    }
}

/// Where a sealed value belongs.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub table: &'a str,
    pub column: &'a str,
    pub row: &'a str,
}

impl Place<'_> {
    /// No part contains a NUL, which no text in the database does, so no two places are alike.
    fn associated(&self, key_id: &str) -> Vec<u8> {
        [VERSION, self.table, self.column, self.row, key_id].join("\0").into_bytes()
    }
}

/// The key ring, ready for use.
pub(crate) struct Sealer {
    primary: SealingKey,
    old: Vec<SealingKey>,
}

struct SealingKey {
    id: String,
    key: RandomizedNonceKey,
}

impl Sealer {
    pub(crate) fn new(ring: &KeyRing) -> Result<Self, StoreError> {
        Ok(Self {
            primary: SealingKey::derive(&ring.primary)?,
            old: ring.old.iter().map(SealingKey::derive).collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn primary_id(&self) -> &str {
        &self.primary.id
    }

    pub(crate) fn seal(&self, text: &str, place: Place<'_>) -> Result<String, StoreError> {
        let key = &self.primary;
        let mut bytes = text.as_bytes().to_vec();
        let nonce = key
            .key
            .seal_in_place_append_tag(Aad::from(place.associated(&key.id)), &mut bytes)
            .map_err(|_| StoreError::Invalid { what: "a secret of this size" })?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut bytes);
        Ok(format!("{VERSION}:{}:{}", key.id, BASE64.encode(sealed)))
    }

    /// What was sealed for this place, or whose key is missing.
    pub(crate) fn open(&self, sealed: &str, place: Place<'_>) -> Secret {
        let key_id = key_id_of(sealed).unwrap_or_default().to_owned();
        match self.try_open(sealed, place) {
            Some(text) => Secret::new(text),
            None => Secret::Unreadable { key_id },
        }
    }

    fn try_open(&self, sealed: &str, place: Place<'_>) -> Option<String> {
        let key_id = key_id_of(sealed)?;
        let key = std::iter::once(&self.primary).chain(&self.old).find(|key| key.id == key_id)?;
        let mut bytes = BASE64.decode(sealed.rsplit(':').next()?).ok()?;
        let mut ciphertext = bytes.split_off(NONCE_BYTES.min(bytes.len()));
        let nonce = Nonce::try_assume_unique_for_key(&bytes).ok()?;
        let plain = key.key.open_in_place(nonce, Aad::from(place.associated(key_id)), &mut ciphertext).ok()?;
        String::from_utf8(plain.to_vec()).ok()
    }
}

/// The id of the key that a value was sealed with.
fn key_id_of(sealed: &str) -> Option<&str> {
    let mut parts = sealed.split(':');
    (parts.next() == Some(VERSION)).then(|| parts.next()).flatten()
}

impl SealingKey {
    fn derive(secret: &SecretString) -> Result<Self, StoreError> {
        let invalid = |_| StoreError::Invalid { what: "this sealing key" };
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"toolgate store");
        let derived = salt.extract(secret.expose_secret().as_bytes());
        let mut key = [0; 32];
        derived.expand(&[b"seal v1"], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut key)).map_err(invalid)?;
        let mut id = [0; 32];
        derived.expand(&[b"key id v1"], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut id)).map_err(invalid)?;
        Ok(Self { id: hex(&id[..6]), key: RandomizedNonceKey::new(&AES_256_GCM, &key).map_err(invalid)? })
    }
}

/// The SHA-256 of the bytes, in hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{KeyRing, Place, Sealer, Secret};

    fn sealer(primary: &str, old: &[&str]) -> Sealer {
        Sealer::new(&KeyRing::new(primary.into(), old.iter().map(|key| (*key).into()).collect())).unwrap()
    }

    const HERE: Place<'static> = Place { table: "servers", column: "credentials", row: "s1" };

    #[test]
    fn what_was_sealed_opens_under_the_same_key_as_primary_or_old() {
        let sealed = sealer("a key", &[]).seal("token", HERE).unwrap();
        assert!(!sealed.contains("token"));
        assert_eq!(sealer("a key", &[]).open(&sealed, HERE), Secret::new("token"));
        assert_eq!(sealer("another", &["a key"]).open(&sealed, HERE), Secret::new("token"));
    }

    #[test]
    fn a_value_moved_to_another_place_or_key_does_not_open() {
        let one = sealer("a key", &[]);
        let sealed = one.seal("token", HERE).unwrap();
        for place in
            [Place { row: "s2", ..HERE }, Place { column: "env", ..HERE }, Place { table: "user_credentials", ..HERE }]
        {
            assert!(matches!(one.open(&sealed, place), Secret::Unreadable { .. }));
        }
        assert!(matches!(sealer("another", &[]).open(&sealed, HERE), Secret::Unreadable { .. }));
        for broken in ["", "v1", "v1::", "v2:00:AAAA", "v1:0:%%%", &sealed[..sealed.len() - 2]] {
            assert!(matches!(one.open(broken, HERE), Secret::Unreadable { .. }), "{broken}");
        }
    }

    #[test]
    fn a_secret_is_neither_printed_nor_serialized() {
        let secret = Secret::new("token");
        assert!(!format!("{secret:?}{}", serde_json::to_string(&secret).unwrap()).contains("token"));
    }
}
