//! `mcp_allowed_clients`: which programs may connect. LiteLLM: `client_allowlist.py`.
//!
//! A caller with a JWT is told by the claim that the issuer vouches for, if there is one to look at; everybody else by a
//! header that the program itself sends, which is a rule for the well-meaning and no wall.

use http::HeaderMap;

use crate::config::settings::jwt::AllowedClients;

/// What a token says of the program behind it.
#[derive(Debug, Clone, Copy)]
pub enum Vouched<'a> {
    /// The caller has no token, or no claim is configured.
    Nothing,
    /// What the claim of this name says.
    Claim {
        /// The claim.
        field: &'a str,
        /// Its value.
        value: Option<&'a str>,
    },
}

/// Why a program is not let in, in LiteLLM's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ClientRefused(String);

/// Whether the program may connect.
///
/// # Errors
/// [`ClientRefused`].
pub fn check(allowed: &AllowedClients, vouched: Vouched<'_>, headers: &HeaderMap) -> Result<(), ClientRefused> {
    let unidentified = |reason: String| {
        ClientRefused(format!("{reason} This gateway only admits client applications listed in mcp_allowed_clients."))
    };
    let (value, place) = match vouched {
        Vouched::Claim { field, value: Some(value) } => (value, format!("JWT claim '{field}'")),
        Vouched::Claim { field, value: None } => {
            return Err(unidentified(format!(
                "The JWT presented has no '{field}' claim naming the client application."
            )));
        }
        Vouched::Nothing => {
            let Some(name) = &allowed.header else {
                return Err(unidentified(
                    "No client identity source is configured for this request; set \
                     litellm_jwtauth.mcp_client_id_jwt_field for JWT callers or mcp_client_id_header in \
                     general_settings."
                        .to_owned(),
                ));
            };
            // Of two values nobody could say which one counts.
            let mut values = headers.get_all(name).iter();
            let value = values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok());
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                return Err(unidentified(format!("The request has no '{name}' header naming the client application.")));
            };
            (value, format!("header '{name}'"))
        }
    };
    if allowed.values.iter().any(|known| known == value) {
        return Ok(());
    }
    let shown: String = value.chars().take(128).collect();
    Err(ClientRefused(format!(
        "MCP client '{shown}' (from {place}) is not listed in this gateway's mcp_allowed_clients."
    )))
}
