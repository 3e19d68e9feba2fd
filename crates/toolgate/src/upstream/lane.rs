//! One caller's way to one server: the credential it goes with, and with whom it may share connections and lists.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use http::HeaderMap;

use super::client_side::{Capabilities, ClientSide};
use super::headers::AuthResolution;
use crate::auth::CallerId;

/// The random part of a client's sealed session id. Upstream sessions that hang on it are its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(pub [u8; 16]);

impl fmt::Display for SessionKey {
    /// Hexadecimal, for traces. It opens nothing: the id that a client shows is a sealed token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One caller's way to one server; made by [`super::Upstream::lane`] for each request.
#[derive(Clone)]
pub struct Lane {
    /// SHA-256 over the resolved headers or environment, changed by what the client can do. Lanes of one server with
    /// equal fingerprints present the same credential and the same client, so they may share cached lists.
    pub fingerprint: [u8; 32],
    pub(super) key: Key,
    pub(super) outfit: Arc<Outfit>,
    pub(super) client: ClientSide,
    /// What the server is told that the client can do, on connections with this key.
    pub(super) offered: Arc<Capabilities>,
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.fingerprint;
        f.debug_struct("Lane")
            .field("fingerprint", &format_args!("{a:02x}{b:02x}{c:02x}{d:02x}.."))
            .field("resolution", &self.outfit.resolution)
            .finish_non_exhaustive()
    }
}

/// Which connection of a server serves a lane. The client's session comes first, so that its connections are
/// neighbours in a sorted map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) session: Option<SessionKey>,
    pub(super) caller: Option<CallerId>,
    /// Of what the server is told that the client can do.
    pub(super) capabilities: [u8; 16],
    pub(super) fingerprint: [u8; 32],
}

/// What a connection is opened with.
pub(super) struct Outfit {
    pub(super) fingerprint: [u8; 32],
    pub(super) wear: Wear,
    pub(super) resolution: AuthResolution,
}

/// The credential in the form that the transport wants.
pub(super) enum Wear {
    /// Sent with every request.
    Headers(HeaderMap),
    /// The same, and with them what the gateway authorizes each request with in its own name.
    Authorized(HeaderMap),
    /// The whole environment of the child.
    Environment(Vec<(String, String)>),
    /// The server cannot be connected to by this version.
    Nothing,
}

impl Outfit {
    pub(super) fn new(wear: Wear, resolution: AuthResolution) -> Self {
        Self { fingerprint: fingerprint(&wear), wear, resolution }
    }
}

/// Every part goes in with its length, so that no two different lists hash alike.
fn fingerprint(wear: &Wear) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    let mut put = |part: &[u8]| {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    };
    match wear {
        Wear::Headers(headers) | Wear::Authorized(headers) => {
            put(if matches!(wear, Wear::Authorized(_)) { b"authorized" } else { b"headers" });
            let mut pairs: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
            // Stable, because the order of two values of one name means something.
            pairs.sort_by_key(|(name, _)| *name);
            for (name, value) in pairs {
                put(name.as_bytes());
                put(value);
            }
        }
        Wear::Environment(environment) => {
            put(b"environment");
            for (name, value) in environment {
                put(name.as_bytes());
                put(value.as_bytes());
            }
        }
        Wear::Nothing => put(b"nothing"),
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{Wear, fingerprint};

    fn headers(pairs: &[(&'static str, &'static str)]) -> [u8; 32] {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        fingerprint(&Wear::Headers(headers))
    }

    #[test]
    fn equal_credentials_and_only_those_have_equal_fingerprints() {
        assert_eq!(headers(&[("a", "1"), ("b", "2")]), headers(&[("b", "2"), ("a", "1")]));
        let different = [
            headers(&[]),
            headers(&[("a", "1")]),
            headers(&[("a", "2")]),
            headers(&[("a", "1"), ("a", "2")]),
            headers(&[("a", "2"), ("a", "1")]),
            headers(&[("a1", "")]),
            headers(&[("a", ""), ("1", "")]),
            fingerprint(&Wear::Environment(vec![("a".to_owned(), "1".to_owned())])),
            fingerprint(&Wear::Authorized(HeaderMap::new())),
            fingerprint(&Wear::Environment(vec![])),
            fingerprint(&Wear::Nothing),
        ];
        for (index, one) in different.iter().enumerate() {
            assert!(!different[..index].contains(one), "{index}");
        }
    }
}
