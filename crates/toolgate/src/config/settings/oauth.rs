//! How the gateway signs in at a server's authorization server.

use secrecy::SecretString;
use url::Url;

/// `auth_type: oauth2` with `oauth2_flow: client_credentials` (RFC 6749, section 4.4): the gateway signs in for itself,
/// and all callers use the server with the token that it is given.
#[derive(Debug, Clone)]
pub struct ClientCredentials {
    /// `client_id`.
    pub client_id: String,
    /// `client_secret`.
    pub client_secret: SecretString,
    /// `token_url` or `issuer`: the secret is sent nowhere else.
    pub authority: Authority,
    /// `token_endpoint_auth_method`.
    pub method: ClientAuthMethod,
    /// `scopes`, separated by blanks.
    pub scope: Option<String>,
    /// `audience`, which some authorization servers want.
    pub audience: Option<String>,
    /// `upstream_resource` (RFC 8707).
    pub resource: Option<String>,
}

/// Where tokens are issued.
#[derive(Debug, Clone)]
pub enum Authority {
    /// `token_url`.
    TokenUrl(Url),
    /// `issuer`, whose metadata (RFC 8414) names the token endpoint.
    Issuer(Url),
}

/// How the client shows who it is (RFC 6749, section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthMethod {
    /// `client_secret_post`: in the form.
    Post,
    /// `client_secret_basic`: in `Authorization`.
    Basic,
}
