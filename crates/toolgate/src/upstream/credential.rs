//! Checks on values from a caller's request that are about to become somebody's credential, and what to say when they
//! fail. The texts name the header, never the value.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// A longer value is no credential.
pub(super) const LONGEST_VALUE_BYTES: usize = 4096;

/// Why the headers or the environment for a server cannot be made from this request. The caller's to mend, but for
/// [`CredentialError::Configured`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// A child's environment needs it.
    #[error("server `{server}` needs the header `{header}`; send it with the request")]
    Missing {
        /// The server.
        server: String,
        /// The header.
        header: HeaderName,
    },
    /// It is there, without a value.
    #[error("server `{server}` needs a value in the header `{header}`, which is empty")]
    Empty {
        /// The server.
        server: String,
        /// The header.
        header: HeaderName,
    },
    /// Two values, and no rule says which one counts.
    #[error("header `{header}`, for server `{server}`, was sent more than once; send it once")]
    Duplicate {
        /// The server.
        server: String,
        /// The header.
        header: HeaderName,
    },
    /// Control characters, or for an environment anything that is not printable ASCII.
    #[error("header `{header}`, for server `{server}`, holds characters that may not be in it; send printable ASCII")]
    Unclean {
        /// The server.
        server: String,
        /// The header.
        header: HeaderName,
    },
    /// Over 4 KiB.
    #[error("header `{header}`, for server `{server}`, is longer than {LONGEST_VALUE_BYTES} bytes")]
    TooLong {
        /// The server.
        server: String,
        /// The header.
        header: HeaderName,
    },
    /// The configured value cannot be sent.
    #[error(
        "the configured credential of server `{server}` cannot be sent in the header `{header}`; check it for line breaks"
    )]
    Configured {
        /// The server.
        server: String,
        /// The header that it would be in.
        header: HeaderName,
    },
    /// `is_byok`, and the user keeps no credential for the server.
    #[error(
        "server `{server}` is used with a credential of your own, and you keep none for it; send it once to \
         POST /v1/mcp/server/{server_id}/user-credential"
    )]
    NoOwnCredential {
        /// The server.
        server: String,
        /// Its id.
        server_id: String,
    },
    /// `env_vars` with scope `user` without a value of the user's.
    #[error(
        "server `{server}` needs values of your own for {}; send them once to POST /v1/mcp/server/{server_id}/user-env-vars",
        missing.join(", ")
    )]
    NoOwnValues {
        /// The server.
        server: String,
        /// Its id.
        server_id: String,
        /// The names of the variables.
        missing: Vec<String>,
    },
    /// What the user keeps is in the database, which does not answer.
    #[error("what you keep for server `{server}` cannot be read at the moment; send the request again")]
    VaultClosed {
        /// The server.
        server: String,
    },
}

impl CredentialError {
    /// The server that it is about.
    #[must_use]
    pub fn server(&self) -> &str {
        match self {
            Self::Missing { server, .. }
            | Self::Empty { server, .. }
            | Self::Duplicate { server, .. }
            | Self::Unclean { server, .. }
            | Self::TooLong { server, .. }
            | Self::Configured { server, .. }
            | Self::NoOwnCredential { server, .. }
            | Self::NoOwnValues { server, .. }
            | Self::VaultClosed { server } => server,
        }
    }
}

/// The value of a header that may be there once. An empty one counts as absent.
pub(super) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    server: &str,
) -> Result<Option<&'a HeaderValue>, CredentialError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(CredentialError::Duplicate { server: server.to_owned(), header: name.clone() });
    }
    Ok(Some(value).filter(|value| !value.as_bytes().trim_ascii().is_empty()))
}

/// Refuses what no header of ours may hold. HTTP lets tabs through, which are control characters all the same.
pub(super) fn check_value(value: &HeaderValue, name: &HeaderName, server: &str) -> Result<(), CredentialError> {
    let bytes = value.as_bytes();
    if bytes.len() > LONGEST_VALUE_BYTES {
        return Err(CredentialError::TooLong { server: server.to_owned(), header: name.clone() });
    }
    if bytes.iter().any(u8::is_ascii_control) {
        return Err(CredentialError::Unclean { server: server.to_owned(), header: name.clone() });
    }
    Ok(())
}
