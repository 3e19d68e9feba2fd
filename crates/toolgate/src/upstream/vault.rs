//! What a user keeps for a server, on its way there.

use secrecy::{ExposeSecret, SecretString};

use super::credential::CredentialError;
use crate::auth::vault::Own;
use crate::config::settings::{Piece, ServerSettings, Template};

/// The credential that the user keeps for `server`.
pub(super) fn credential<'v>(server: &ServerSettings, own: Own<'v>) -> Result<&'v SecretString, CredentialError> {
    own.kept().and_then(|kept| kept.credential.as_ref()).ok_or_else(|| match own {
        Own::Closed => CredentialError::VaultClosed { server: server.name.clone() },
        Own::Known(_) => {
            CredentialError::NoOwnCredential { server: server.name.clone(), server_id: server.id.as_str().to_owned() }
        }
    })
}

/// `template` with the user's values in it. The error names all variables of the server that have no value.
pub(super) fn fill(template: &Template, server: &ServerSettings, own: Own<'_>) -> Result<String, CredentialError> {
    let mut text = String::new();
    for piece in &template.0 {
        match piece {
            Piece::Text(part) => text.push_str(part.expose_secret()),
            Piece::Own(name) => text.push_str(value(name, own).ok_or_else(|| missing(server, own))?),
        }
    }
    Ok(text)
}

fn value<'v>(name: &str, own: Own<'v>) -> Option<&'v str> {
    let value = own.kept()?.values.get(name)?.expose_secret();
    Some(value).filter(|value| !value.is_empty())
}

fn missing(server: &ServerSettings, own: Own<'_>) -> CredentialError {
    if matches!(own, Own::Closed) {
        return CredentialError::VaultClosed { server: server.name.clone() };
    }
    let names = server.own.variables.iter().map(|variable| &variable.name);
    CredentialError::NoOwnValues {
        server: server.name.clone(),
        server_id: server.id.as_str().to_owned(),
        missing: names.filter(|name| value(name, own).is_none()).cloned().collect(),
    }
}
