//! Virtual keys: what one looks like, how one is made, and what is kept of it.
//!
//! A key is kept as the SHA-256 of the whole `sk-...` text in hex, as LiteLLM does, so that keys can be taken over.
//! A slow hash would add nothing: keys made here have 256 random bits, and a look-up must be one indexed query.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What every virtual key begins with.
pub const PREFIX: &str = "sk-";

/// The longest key, in bytes.
pub const MAX_LENGTH: usize = 256;

/// How many random bytes a new key is made from.
pub const RANDOM_BYTES: usize = 32;

/// A text that has the shape of a virtual key. Whether such a key exists is not known by it.
///
/// `Debug` prints the masked name.
#[derive(Clone)]
pub struct VirtualKey(SecretString);

impl VirtualKey {
    /// Makes a new key of random bytes, which have to come from the operating system's generator.
    pub fn from_random(bytes: &[u8; RANDOM_BYTES]) -> Self {
        Self(SecretString::from(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// Checks what a caller presented, or what an admin wants as a key's own text, before anything is looked up.
    ///
    /// Printable ASCII without spaces, quotes and backslashes is taken, more than a key that is made here has:
    /// LiteLLM takes any text beginning with `sk-` as a custom key.
    ///
    /// # Errors
    /// [`KeyShapeError`]; it never holds the text.
    pub fn parse(text: &str) -> Result<Self, KeyShapeError> {
        let Some(rest) = text.strip_prefix(PREFIX) else { return Err(KeyShapeError::Prefix) };
        if rest.is_empty() {
            return Err(KeyShapeError::Empty);
        }
        if text.len() > MAX_LENGTH {
            return Err(KeyShapeError::TooLong { length: text.len() });
        }
        if !text.bytes().all(may_be_in_a_key) {
            return Err(KeyShapeError::Character);
        }
        Ok(Self(SecretString::from(text)))
    }

    /// What the key is stored and found by.
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.0.expose_secret().as_bytes()).into())
    }

    /// What lists show of it (`key_name`): `sk-...` and the last four characters. A key of fewer than sixteen
    /// characters shows none of its own.
    pub fn masked(&self) -> String {
        let text = self.0.expose_secret();
        let shown = if text.len() < 16 { "" } else { &text[text.len() - 4..] };
        format!("{PREFIX}...{shown}")
    }

    /// The key itself, to be shown once to whoever had it made.
    pub fn secret(&self) -> &SecretString {
        &self.0
    }
}

impl fmt::Debug for VirtualKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtualKey({})", self.masked())
    }
}

fn may_be_in_a_key(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b'%' | b';')
}

/// Why a text is no virtual key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyShapeError {
    /// It begins with something else.
    #[error("a key begins with `sk-`")]
    Prefix,
    /// Nothing follows the prefix.
    #[error("a key has more than its prefix `sk-`")]
    Empty,
    /// It is longer than [`MAX_LENGTH`].
    #[error("a key has at most 256 bytes, not {length}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// It holds a character that no key has.
    #[error("a key has only letters, digits and signs of ASCII, without spaces, quotes, `\\`, `%` and `;`")]
    Character,
}

/// SHA-256 of a whole key: LiteLLM's `token`. Written as 64 lower-case hex digits.
///
/// Comparing takes the same time wherever two differ.
#[derive(Clone, Copy, Eq, PartialOrd, Ord)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash's bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The form in which LiteLLM stores and shows it.
    pub fn to_hex(&self) -> String {
        self.to_string()
    }
}

impl From<[u8; 32]> for KeyHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for KeyHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({self})")
    }
}

/// A text is not the hash of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key's hash has 64 hex digits")]
pub struct KeyHashError;

impl FromStr for KeyHash {
    type Err = KeyHashError;

    fn from_str(text: &str) -> Result<Self, KeyHashError> {
        let text = text.as_bytes();
        if text.len() != 64 {
            return Err(KeyHashError);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

fn hex_digit(digit: u8) -> Result<u8, KeyHashError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(KeyHashError),
    }
}

impl Serialize for KeyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_the_hash_that_litellm_stores() {
        let key = VirtualKey::parse("sk-1234").unwrap();

        assert_eq!(key.hash().to_hex(), "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b");
        assert_eq!(key.hash().to_hex().parse(), Ok(key.hash()));
    }

    #[test]
    fn a_made_key_has_the_shape_of_a_key_and_shows_its_last_four_characters() {
        let key = VirtualKey::from_random(&[0xfb; RANDOM_BYTES]);
        let text = key.secret().expose_secret();

        assert_eq!(text.len(), PREFIX.len() + 43);
        assert_eq!(VirtualKey::parse(text).unwrap().hash(), key.hash());
        assert_eq!(key.masked(), format!("sk-...{}", &text[text.len() - 4..]));
        assert_eq!(format!("{key:?}"), format!("VirtualKey({})", key.masked()));
    }

    #[test]
    fn a_short_key_shows_nothing_of_itself() {
        assert_eq!(VirtualKey::parse("sk-1234").unwrap().masked(), "sk-...");
    }

    #[test]
    fn what_has_not_the_shape_of_a_key_is_refused_before_anything_is_looked_up() {
        let long = format!("sk-{}", "a".repeat(64 * 1024));
        let longest = format!("sk-{}", "a".repeat(MAX_LENGTH - 3));
        let cases: [(&str, Result<(), KeyShapeError>); 12] = [
            ("sk-my_team.key-1/2+3=", Ok(())),
            (&longest, Ok(())),
            ("", Err(KeyShapeError::Prefix)),
            ("SK-abc", Err(KeyShapeError::Prefix)),
            ("bearer sk-abc", Err(KeyShapeError::Prefix)),
            ("sk-", Err(KeyShapeError::Empty)),
            (&long, Err(KeyShapeError::TooLong { length: long.len() })),
            ("sk-' OR '1'='1", Err(KeyShapeError::Character)),
            ("sk-'; DROP TABLE keys;--", Err(KeyShapeError::Character)),
            ("sk-%00", Err(KeyShapeError::Character)),
            ("sk-a\0b", Err(KeyShapeError::Character)),
            ("sk-ключ", Err(KeyShapeError::Character)),
        ];
        for (text, expected) in cases {
            assert_eq!(VirtualKey::parse(text).map(|_| ()), expected, "{:.40}", text);
        }
    }

    #[test]
    fn a_text_that_is_no_hash_is_refused() {
        for text in ["", "88dc", &"g".repeat(64), &"ä".repeat(32)] {
            assert_eq!(text.parse::<KeyHash>(), Err(KeyHashError), "{text}");
        }
    }
}
