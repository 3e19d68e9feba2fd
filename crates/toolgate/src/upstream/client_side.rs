//! The client on whose behalf a server is asked: what it can do for servers, and who hears what they say to it.

use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::value::RawValue;
use toolgate_client::{ClientFacts, Events};
use toolgate_mcp::edit::{self, Fields};
use toolgate_mcp::method;
use toolgate_mcp::session::ClientCapabilities;
use toolgate_mcp::translate::capabilities;
use toolgate_mcp::views::ViewError;

use super::hears::Hears;
use super::lane::SessionKey;
use super::level::LogLevel;

/// The client on whose behalf a server is asked. Cheap to clone.
#[derive(Clone)]
pub struct ClientSide {
    /// The client's session, if it has one. Legacy servers have a session of their own for each of these.
    pub session: Option<SessionKey>,
    /// What the client can do for servers; they are told just this.
    pub capabilities: Arc<Capabilities>,
    /// Who hears what servers say outside of requests: on the stream that is for that, and on stdio and HTTP+SSE
    /// everything that cannot be tied to a request. One client gives the same `Arc` every time, since it is by this that
    /// [`super::Upstream::subscribe`] and its like know it again.
    pub hears: Option<Arc<dyn Hears>>,
    /// How much servers are to log to this client, if it has said so. A server's connection that is shared logs as much
    /// as the most eager of its clients wants; less is for `hears` to see to.
    pub log_level: Option<LogLevel>,
    /// Its requests say themselves who it is, if it wants that to be known: it is of revision 2026-07-28.
    pub speaks_for_itself: bool,
}

/// What a client can do for a server: its `capabilities` as it declared them.
#[derive(Debug)]
pub struct Capabilities {
    raw: Box<RawValue>,
    flags: ClientCapabilities,
    digest: [u8; 16],
    /// They came with a request, so that a modern server is told all of them.
    with_request: bool,
    /// The same for servers that may not ask for all of it: without sampling, without elicitation, without both.
    narrowed: [OnceLock<Arc<Capabilities>>; 3],
    /// As they are declared with each request to a modern server.
    of_requests: OnceLock<Arc<ClientFacts>>,
}

/// A value like any other constant; it never changes.
static NONE: LazyLock<Arc<Capabilities>> = LazyLock::new(|| {
    let raw = RawValue::from_string("{}".to_owned()).expect("an empty object is JSON");
    Arc::new(Capabilities {
        raw,
        flags: ClientCapabilities::default(),
        digest: [0; 16],
        with_request: false,
        narrowed: Default::default(),
        of_requests: OnceLock::new(),
    })
});

impl ClientSide {
    /// Nobody in particular: whatever has no client behind it.
    #[must_use]
    pub fn none() -> Self {
        Self {
            session: None,
            capabilities: Capabilities::none(),
            hears: None,
            log_level: None,
            speaks_for_itself: false,
        }
    }

    /// Nobody in particular among the clients that can do the same: lists are fetched so, since servers may list other
    /// things to those whom they can ask.
    #[must_use]
    pub fn alike(&self) -> Self {
        Self { capabilities: Arc::clone(&self.capabilities), ..Self::none() }
    }

    /// [`ClientSide::hears`], as those know it who have nothing more to tell.
    pub(super) fn events(&self) -> Option<Arc<dyn Events>> {
        self.hears.clone().map(|hears| hears as Arc<dyn Events>)
    }

    /// A client with this session that can do nothing for servers.
    #[must_use]
    pub fn of_session(session: SessionKey) -> Self {
        Self { session: Some(session), ..Self::none() }
    }
}

impl fmt::Debug for ClientSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSide")
            .field("has_session", &self.session.is_some())
            .field("capabilities", &self.capabilities.raw.get())
            .field("hears", &self.hears.is_some())
            .field("log_level", &self.log_level)
            .finish()
    }
}

impl Capabilities {
    /// A client that can do nothing for servers.
    #[must_use]
    pub fn none() -> Arc<Self> {
        Arc::clone(&NONE)
    }

    /// Reads the `capabilities` of `initialize`.
    ///
    /// # Errors
    /// [`ViewError`] when they are no object, or one that is read stands there twice.
    pub fn read(raw: Option<&RawValue>) -> Result<Arc<Self>, ViewError> {
        Self::read_as(raw, false)
    }

    /// Reads the capabilities in a request's `_meta`.
    ///
    /// # Errors
    /// As [`Capabilities::read`].
    pub fn of_request(raw: &RawValue) -> Result<Arc<Self>, ViewError> {
        Self::read_as(Some(raw), true)
    }

    fn read_as(raw: Option<&RawValue>, with_request: bool) -> Result<Arc<Self>, ViewError> {
        let flags = ClientCapabilities::read(raw)?;
        let Some(raw) = raw.filter(|raw| Fields::read(raw.get()).is_ok_and(|fields| !fields.is_empty())) else {
            return Ok(Self::none());
        };
        let mut short = [0; 16];
        short.copy_from_slice(&digest(&SHA256, raw.get().as_bytes()).as_ref()[..16]);
        let (narrowed, of_requests) = (Default::default(), OnceLock::new());
        Ok(Arc::new(Self { raw: raw.to_owned(), flags, digest: short, with_request, narrowed, of_requests }))
    }

    /// What of these a server is told that may ask for so much.
    pub(super) fn narrowed(self: &Arc<Self>, sampling: bool, elicitation: bool) -> Arc<Self> {
        let flags = self.flags;
        let without_sampling = !sampling && flags.sampling;
        let without_elicitation = !elicitation && (flags.elicitation_form || flags.elicitation_url);
        let (at, left_out): (usize, &[&str]) = match (without_sampling, without_elicitation) {
            (false, false) => return Arc::clone(self),
            (true, false) => (0, &["sampling"]),
            (false, true) => (1, &["elicitation"]),
            (true, true) => (2, &["sampling", "elicitation"]),
        };
        let narrow = || {
            let mut kept = self.raw.get().to_owned();
            for key in left_out {
                kept = edit::remove_field(&kept, key).ok()?;
            }
            let kept = RawValue::from_string(kept).ok()?;
            Self::read_as(Some(&kept), self.with_request).ok()
        };
        Arc::clone(self.narrowed[at].get_or_init(|| narrow().unwrap_or_else(Self::none)))
    }

    /// The capabilities of which only the flags are known.
    #[must_use]
    pub fn of_flags(flags: ClientCapabilities) -> Arc<Self> {
        let raw = RawValue::from_string(flags.to_json()).expect("it is written as JSON");
        Self::read(Some(&raw)).unwrap_or_else(|_| Self::none())
    }

    /// The object as the client wrote it.
    #[must_use]
    pub fn raw(&self) -> &RawValue {
        &self.raw
    }

    /// What of it the gateway knows.
    #[must_use]
    pub fn flags(&self) -> ClientCapabilities {
        self.flags
    }

    /// Tells different capabilities apart; all zeros for none.
    pub(super) fn digest(&self) -> [u8; 16] {
        self.digest
    }

    /// What a request to a modern server says of the client. Of its own name it says nothing where `speaks_for_itself`.
    pub(super) fn facts(&self, log_level: Option<LogLevel>, speaks_for_itself: bool) -> Arc<ClientFacts> {
        let facts = self.of_requests.get_or_init(|| {
            let translated = || capabilities::of_client(self.raw.get()).ok();
            let capabilities = if self.with_request { None } else { translated() };
            let capabilities = capabilities.and_then(|text| RawValue::from_string(text.into_owned()).ok());
            let version = env!("CARGO_PKG_VERSION");
            let us = RawValue::from_string(format!(r#"{{"name":"toolgate","version":"{version}"}}"#)).ok();
            let capabilities = capabilities.unwrap_or_else(|| self.raw.clone());
            Arc::new(ClientFacts { capabilities, client_info: us, log_level: None })
        });
        if log_level.is_none() && !speaks_for_itself {
            return Arc::clone(facts);
        }
        let client_info = facts.client_info.clone().filter(|_| !speaks_for_itself);
        let log_level = log_level.map(|level| level.name().to_owned());
        Arc::new(ClientFacts { capabilities: facts.capabilities.clone(), client_info, log_level })
    }

    /// Whether there is something that a server may ask this client to do.
    #[must_use]
    pub fn can_be_asked(&self) -> bool {
        let flags = self.flags;
        flags.roots || flags.sampling || flags.elicitation_form || flags.elicitation_url
    }

    /// Whether a server that was told these may ask for `method`. What the gateway does not know may be of an
    /// extension, and is for the client to judge, if it declared anything.
    #[must_use]
    pub fn allow(&self, method: &str) -> bool {
        match method {
            method::ROOTS_LIST => self.flags.roots,
            method::SAMPLING_CREATE_MESSAGE => self.flags.sampling,
            method::ELICITATION_CREATE => self.flags.elicitation_form || self.flags.elicitation_url,
            _ => self.digest != [0; 16],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Capabilities;

    #[test]
    fn a_client_is_asked_only_for_what_it_declared() {
        let cases = [
            ("{}", false, [false, false, false, false]),
            (r#"{"roots":{"listChanged":true}}"#, true, [true, false, false, true]),
            (r#"{"sampling":{}}"#, true, [false, true, false, true]),
            (r#"{"elicitation":{"url":{}}}"#, true, [false, false, true, true]),
            (r#"{"experimental":{"x":{}}}"#, false, [false, false, false, true]),
        ];
        for (json, can_be_asked, allowed) in cases {
            let capabilities = Capabilities::read(Some(serde_json::from_str(json).unwrap())).unwrap();
            assert_eq!(capabilities.can_be_asked(), can_be_asked, "{json}");
            let methods = ["roots/list", "sampling/createMessage", "elicitation/create", "x/y"];
            assert_eq!(methods.map(|method| capabilities.allow(method)), allowed, "{json}");
        }
        assert_eq!(Capabilities::read(None).unwrap().digest(), [0; 16]);
    }

    #[test]
    fn a_server_is_told_only_of_what_it_may_ask_for() {
        let json = r#"{"roots":{}, "sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},"x":1.50}"#;
        let all = Capabilities::read(Some(serde_json::from_str(json).unwrap())).unwrap();
        let cases = [
            ((true, true), json),
            ((false, true), r#"{"roots":{}, "elicitation":{"form":{},"url":{}},"x":1.50}"#),
            ((true, false), r#"{"roots":{}, "sampling":{"tools":{}},"x":1.50}"#),
            ((false, false), r#"{"roots":{}, "x":1.50}"#),
        ];
        for ((sampling, elicitation), expected) in cases {
            let told = all.narrowed(sampling, elicitation);
            let value = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
            assert_eq!(value(told.raw().get()), value(expected));
            let may_ask = ["sampling/createMessage", "elicitation/create"].map(|method| told.allow(method));
            assert_eq!(may_ask, [sampling, elicitation]);
        }
        let roots = Capabilities::read(Some(serde_json::from_str(r#"{"roots":{}}"#).unwrap())).unwrap();
        assert!(std::sync::Arc::ptr_eq(&roots, &roots.narrowed(false, false)), "there is nothing to leave out");
    }

    #[test]
    fn equal_capabilities_and_only_those_have_equal_digests() {
        let digest = |json: &str| Capabilities::read(Some(serde_json::from_str(json).unwrap())).unwrap().digest();
        assert_eq!(digest("{ }"), [0; 16]);
        assert_eq!(digest(r#"{"roots":{}}"#), digest(r#"{"roots":{}}"#));
        assert_ne!(digest(r#"{"roots":{}}"#), digest(r#"{"roots":{"listChanged":true}}"#));
    }
}
