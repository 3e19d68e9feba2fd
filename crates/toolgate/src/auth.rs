//! Who is asking: the gateway's key becomes a [`Caller`], browsers are held to `Host` and `Origin`.
//!
//! Nothing here does I/O, and nothing here is a response: the faces turn [`AuthError`] and [`origin::Refused`] into one.
//! Whose a key is, [`crate::identity`] knows. A `Caller` is made only by [`Gatekeeper::caller`], from somebody who is
//! known there, so code that holds one has passed the gate.
//!
//! LiteLLM's rules for where a key may be: `auth/user_api_key_auth.py` and `mcp_server/auth/user_api_key_auth_mcp.py`.

pub mod client_ip;
pub mod clients;
mod gatekeeper;
pub mod jwt;
pub mod mask;
pub mod origin;
pub(crate) mod passing;
pub mod vault;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use toolgate_access::grant::{self, Grant, Place};
use toolgate_access::id::ToolsetId;
use toolgate_access::key::KeyHash;
use toolgate_access::principal::Principal;
use toolgate_access::rules::{ClientPlace, Rules};
use toolgate_access::world::World;

use crate::accounting::Payers;

pub use gatekeeper::{AuthError, Gatekeeper, Shown};
pub use vault::Vault;

/// Somebody whom the gateway has let in.
#[derive(Clone)]
pub struct Caller {
    /// Who, in logs, in cache keys and as associated data of sealed tokens.
    pub id: CallerId,
    /// The request's headers that may be looked at for upstreams: without the gateway's own credential, and without
    /// framing, hop-by-hop, cookie, forwarding and gateway headers. Module `passing` has the lists.
    pub headers: Arc<HeaderMap>,
    /// What `x-mcp-debug-inbound-auth` answers; empty unless [`Caller::debug`].
    pub inbound_auth: String,
    /// The request carried `x-litellm-mcp-debug: true`.
    pub debug: bool,
    /// The rows behind what was shown: the key, its team, organization and user.
    pub principal: Arc<Principal>,
    /// What may be reached.
    pub grant: Arc<Grant>,
    /// Who pays for what is called.
    pub payers: Arc<Payers>,
    /// The toolset at whose endpoint the request came in; what may be reached is within it.
    pub toolset: Option<ToolsetId>,
    /// Where the request came from.
    pub from: Option<IpAddr>,
    /// What the user behind the key keeps for servers.
    pub vault: Arc<Vault>,
}

/// Somebody who is known, and what they reach.
#[derive(Clone)]
pub struct Who {
    /// Names them without being a secret.
    pub id: CallerId,
    /// The rows behind what they showed.
    pub principal: Arc<Principal>,
    /// What they reach.
    pub grant: Arc<Grant>,
    /// Who pays for what they call.
    pub payers: Arc<Payers>,
}

/// The address at the other end of a request's connection; an extension of the request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

impl Caller {
    /// Whoever sits before the machine, with all its rights: the command line.
    pub(crate) fn local() -> Self {
        let (principal, place) = (Principal::master(), Place::from(ClientPlace::Internal));
        let grant = grant::compile(&World::default(), &principal, &Rules::default(), &place);
        Self {
            id: CallerId::master(),
            headers: Arc::default(),
            inbound_auth: String::new(),
            debug: false,
            principal: Arc::new(principal),
            grant: Arc::new(grant),
            payers: Payers::nobody(),
            toolset: None,
            from: None,
            vault: Arc::default(),
        }
    }
}

impl fmt::Debug for Caller {
    /// Names of headers only: their values are other people's credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("id", &self.id)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("debug", &self.debug)
            .finish_non_exhaustive()
    }
}

/// Names a caller without being a secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallerId(Arc<str>);

impl CallerId {
    /// Any caller, for tests.
    #[cfg(test)]
    pub(crate) fn named(name: &str) -> Self {
        Self(name.into())
    }

    /// The holder of the master key.
    pub fn master() -> Self {
        Self("master".into())
    }

    /// The holder of a virtual key.
    pub(crate) fn of_key(hash: &KeyHash) -> Self {
        Self(format!("key:{}", hash.to_hex()).into())
    }

    /// Whom a token names. Whoever is named otherwise is somebody else.
    pub(crate) fn of_token(parts: &[&str]) -> Self {
        use std::fmt::Write as _;
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, parts.join("\0").as_bytes());
        let hex = hash.as_ref().iter().fold(String::from("token:"), |mut hex, byte| {
            let _infallible = write!(hex, "{byte:02x}");
            hex
        });
        Self(hex.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
pub(crate) mod testing;
