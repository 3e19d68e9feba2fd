//! With what a caller goes to a server: the credential, and whose connection it may use.

use std::sync::Arc;

use http::HeaderMap;

use super::client_side::{Capabilities, ClientSide};
use super::credential::CredentialError;
use super::error::UpstreamError;
use super::headers::AuthResolution;
use super::lane::{Key, Lane, Outfit, Wear};
use super::shared::Current;
use super::{Upstream, environment, headers};
use crate::auth::vault::Own;
use crate::auth::{Caller, CallerId};
use crate::config::settings::{Isolation, Transport, UpstreamAuth};

/// Whose a connection is, and what is said there of the client.
struct Owner<'a> {
    session: bool,
    caller: Option<&'a CallerId>,
    offered: Arc<Capabilities>,
}

impl Upstream {
    /// Resolves with what `caller` goes to this server, on behalf of `client`.
    ///
    /// # Errors
    /// When the request does not hold what the server needs, or holds something that may not be sent.
    pub fn lane(&self, caller: &Caller, client: &ClientSide) -> Result<Lane, CredentialError> {
        let outfit = self.outfit(caller)?;
        let (sampling, elicitation) = (self.settings.allow_sampling, self.settings.allow_elicitation);
        if !(sampling && elicitation) {
            let capabilities = client.capabilities.narrowed(sampling, elicitation);
            return Ok(self.lane_of(outfit, caller, &ClientSide { capabilities, ..client.clone() }));
        }
        Ok(self.lane_of(outfit, caller, client))
    }

    fn lane_of(&self, outfit: Arc<Outfit>, caller: &Caller, client: &ClientSide) -> Lane {
        let owner = match &self.settings.transport {
            Transport::Stdio(command) => owner_of_child(command.isolation, &caller.id, client),
            // Its requests say themselves on whose behalf they are, so one connection serves all.
            Transport::Http { .. } if self.is_modern() => {
                Owner { session: false, caller: None, offered: Capabilities::none() }
            }
            // Nothing of a client goes to a REST API but its credential.
            Transport::OpenApi { .. } => Owner { session: false, caller: None, offered: Capabilities::none() },
            Transport::Http { .. } => Owner { session: true, caller: None, offered: Arc::clone(&client.capabilities) },
        };
        let fingerprint = outfit.fingerprint;
        let key = Key {
            session: client.session.filter(|_| owner.session),
            caller: owner.caller.cloned(),
            capabilities: owner.offered.digest(),
            fingerprint,
        };
        let lists = lists_fingerprint(fingerprint, &owner.offered);
        Lane { fingerprint: lists, key, outfit, client: client.clone(), offered: owner.offered }
    }

    /// Whether there is an MCP server that connections can be opened to.
    pub(super) fn check_speaks_mcp(&self) -> Result<(), UpstreamError> {
        self.check_active()?;
        match &self.settings.transport {
            Transport::Http { .. } | Transport::Stdio(_) => Ok(()),
            Transport::OpenApi { .. } => {
                let why = "it is a REST API, which has no sessions, subscriptions and tasks".to_owned();
                Err(UpstreamError::Description { server: self.settings.name.clone(), why })
            }
        }
    }

    pub(super) fn check_active(&self) -> Result<(), UpstreamError> {
        self.unusable().map_or(Ok(()), Err)
    }

    /// Why nobody can use the server as it is configured.
    fn unusable(&self) -> Option<UpstreamError> {
        if matches!(self.settings.transport, Transport::Stdio(_)) {
            // A child has an environment and no use for an `auth_type`.
            return None;
        }
        let server = self.settings.name.clone();
        match &self.settings.auth {
            UpstreamAuth::NotActiveYet { auth_type } => {
                // A plain word is an `auth_type`; anything else says by itself what it is.
                let is_word = !auth_type.contains(' ');
                let what = if is_word { format!("`auth_type: {auth_type}`") } else { auth_type.clone() };
                Some(UpstreamError::NotActiveYet { server, what })
            }
            UpstreamAuth::Incomplete { auth_type, missing } => {
                let why = format!("`auth_type: {auth_type}` needs {missing}");
                Some(UpstreamError::Description { server, why })
            }
            UpstreamAuth::None
            | UpstreamAuth::Static { .. }
            | UpstreamAuth::ClientCredentials(_)
            | UpstreamAuth::AwsSigv4(_) => None,
        }
    }

    fn outfit(&self, caller: &Caller) -> Result<Arc<Outfit>, CredentialError> {
        let current = self.pool.shared.current();
        let is_own = match &self.settings.transport {
            Transport::Http { .. } | Transport::OpenApi { .. } => {
                !self.settings.own.is_empty()
                    || headers::depends_on(&caller.headers, &self.settings, &current.addressing)
            }
            Transport::Stdio(command) => environment::depends_on_caller(command),
        };
        if is_own {
            let own = caller.vault.of_server(&self.settings.id);
            return self.make_outfit(&caller.headers, own, &current).map(Arc::new);
        }
        let common = || self.make_outfit(&HeaderMap::new(), Own::Known(None), &current).map(Arc::new);
        self.common.get_or_init(common).clone()
    }

    fn make_outfit(&self, caller: &HeaderMap, own: Own<'_>, current: &Current) -> Result<Outfit, CredentialError> {
        if self.unusable().is_some() {
            return Ok(Outfit::new(Wear::Nothing, AuthResolution::Unresolved));
        }
        match &self.settings.transport {
            Transport::Http { .. } | Transport::OpenApi { .. } => {
                let resolved = headers::resolve(&self.settings, &current.addressing, caller, own)?;
                let wear = if resolved.is_authorized { Wear::Authorized } else { Wear::Headers };
                Ok(Outfit::new(wear(resolved.headers), resolved.resolution))
            }
            Transport::Stdio(command) => {
                let environment = environment::render(command, &self.settings, caller, own)?;
                Ok(Outfit::new(Wear::Environment(environment), AuthResolution::NotApplicable))
            }
        }
    }
}

/// Servers may list other things to clients that can do other things.
fn lists_fingerprint(mut credential: [u8; 32], offered: &Capabilities) -> [u8; 32] {
    for (byte, digest) in credential.iter_mut().zip(offered.digest()) {
        *byte ^= digest;
    }
    credential
}

/// A child that several clients share can ask none of them anything, since a question does not say whose it is. So a
/// client that can be asked has a child to itself, where the configuration leaves the choice.
fn owner_of_child<'a>(isolation: Isolation, caller: &'a CallerId, client: &ClientSide) -> Owner<'a> {
    let everybodys = |offered| Owner { session: false, caller: None, offered };
    let own = || Owner {
        session: true,
        // A request without a session has no other bounds than its caller.
        caller: Some(caller).filter(|_| client.session.is_none()),
        offered: Arc::clone(&client.capabilities),
    };
    match isolation {
        Isolation::Shared => everybodys(Capabilities::none()),
        Isolation::Auto if !client.capabilities.can_be_asked() => everybodys(Arc::clone(&client.capabilities)),
        Isolation::Auto | Isolation::Session => own(),
        Isolation::User => Owner { session: false, caller: Some(caller), offered: Arc::clone(&client.capabilities) },
    }
}
