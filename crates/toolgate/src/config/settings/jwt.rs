//! Who vouches for callers by JWTs, and what their claims mean.

use std::time::Duration;

use url::Url;

pub use crate::config::file::jwt::InternalRole;

/// `enable_jwt_auth` with `litellm_jwtauth`, `JWT_PUBLIC_KEY_URL`, `JWT_AUDIENCE` and `JWT_ISSUER`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtSettings {
    /// A token is looked at by the first that takes its `iss`.
    pub issuers: Vec<Issuer>,
    /// `admin_jwt_scope`.
    pub admin_scope: String,
    /// `user_id_upsert`.
    pub user_id_upsert: bool,
    /// `user_allowed_email_domain`, lower case.
    pub email_domain: Option<String>,
    /// `user_roles_jwt_field` and `user_allowed_roles`.
    pub allowed_roles: Option<(String, Vec<String>)>,
    /// `roles_jwt_field` and `role_mappings`.
    pub role_mappings: Option<(String, Vec<(String, InternalRole)>)>,
    /// `object_id_jwt_field`.
    pub object_id: Option<String>,
    /// `team_id_default`.
    pub team_default: Option<String>,
    /// `mcp_client_id_jwt_field`.
    pub client_id: Option<String>,
    /// `admin_allowed_routes`; empty where it is not set.
    pub admin_routes: Vec<String>,
    /// `team_allowed_routes`; empty where it is not set.
    pub other_routes: Vec<String>,
    /// `public_key_ttl`.
    pub keys_for: Duration,
    /// `public_key_stale_ttl`.
    pub stale_for: Duration,
}

/// Somebody who signs tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// `iss` of its tokens; `None` takes any.
    pub issuer: Option<String>,
    /// Where its keys are.
    pub keys: Vec<Url>,
    /// `aud` of tokens for this gateway; `None` takes any.
    pub audience: Option<Vec<String>>,
    /// What its claims mean.
    pub fields: Fields,
}

/// The claims that name things, as paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// `user_id_jwt_field`.
    pub user_id: Option<String>,
    /// `user_email_jwt_field`.
    pub user_email: Option<String>,
    /// `team_id_jwt_field`.
    pub team_id: Option<String>,
    /// `team_ids_jwt_field`.
    pub team_ids: Option<String>,
    /// `org_id_jwt_field`.
    pub org_id: Option<String>,
    /// `end_user_id_jwt_field`.
    pub end_user_id: Option<String>,
}

/// `mcp_allowed_clients`: the only clients that are let in, and how they name themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedClients {
    /// The names.
    pub values: Vec<String>,
    /// `mcp_client_id_header`.
    pub header: Option<http::HeaderName>,
}
