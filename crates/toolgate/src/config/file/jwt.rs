//! `general_settings.litellm_jwtauth`: how JWTs become callers.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::server_later::OneOrMany;

/// `litellm_jwtauth`. Names of claims may be paths, with dots between the names.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct JwtAuthSection {
    /// A token with this scope is an admin's.
    #[schemars(extend("default" = "litellm_proxy_admin"))]
    pub admin_jwt_scope: Option<String>,
    /// The claim that names the user.
    pub user_id_jwt_field: Option<String>,
    /// The claim with the user's e-mail address.
    pub user_email_jwt_field: Option<String>,
    /// The only domain whose users are let in.
    pub user_allowed_email_domain: Option<String>,
    /// A user who is not there yet is made.
    #[schemars(extend("default" = false))]
    pub user_id_upsert: Option<bool>,
    /// The claim with the roles of a user, of which `user_allowed_roles` must have one.
    pub user_roles_jwt_field: Option<String>,
    /// The roles whose users are let in.
    pub user_allowed_roles: Option<Vec<String>>,
    /// The claim that names the team.
    pub team_id_jwt_field: Option<String>,
    /// The claim that lists teams; the first of them that is there counts.
    pub team_ids_jwt_field: Option<String>,
    /// The team of tokens that name none.
    pub team_id_default: Option<String>,
    /// The claim that names the organization.
    pub org_id_jwt_field: Option<String>,
    /// The claim that names the customer.
    pub end_user_id_jwt_field: Option<String>,
    /// The claim with the roles that `role_mappings` maps.
    pub roles_jwt_field: Option<String>,
    /// What a role at the identity provider is here.
    pub role_mappings: Option<Vec<RoleMapping>>,
    /// The claim that names the user or the team, as `role_mappings` says which.
    pub object_id_jwt_field: Option<String>,
    /// The claim that names the client for `mcp_allowed_clients`.
    pub mcp_client_id_jwt_field: Option<String>,
    /// How long the issuer's keys are kept, in seconds.
    #[schemars(extend("default" = 600))]
    pub public_key_ttl: Option<f64>,
    /// How much longer they are used while the issuer cannot be reached, in seconds.
    #[schemars(extend("default" = 3600))]
    pub public_key_stale_ttl: Option<f64>,
    /// The routes that tokens of admins are good for, as in a key's `allowed_routes`. Absent: all.
    pub admin_allowed_routes: Option<Vec<String>>,
    /// The routes that other tokens are good for. Absent: those of the user's role.
    pub team_allowed_routes: Option<Vec<String>>,
    /// Issuers with keys, audience and claims of their own.
    pub issuers: Option<Vec<IssuerEntry>>,

    // What follows is read but not acted on yet.
    /// A team that is not there yet is made.
    #[schemars(extend("default" = false, "x-status" = "not active yet"))]
    pub team_id_upsert: Option<bool>,
    /// Users become members of the token's teams.
    #[schemars(extend("default" = false, "x-status" = "not active yet"))]
    pub upsert_sso_user_to_team: Option<bool>,
    /// The claim with the team's alias.
    #[schemars(extend("x-status" = "not active yet"))]
    pub team_alias_jwt_field: Option<String>,
    /// The claim with the organization's alias.
    #[schemars(extend("x-status" = "not active yet"))]
    pub org_alias_jwt_field: Option<String>,
    /// The claim that names the agent.
    #[schemars(extend("x-status" = "not active yet"))]
    pub agent_id_jwt_field: Option<String>,
    /// Routes of tokens that say nothing else.
    #[schemars(extend("x-status" = "not active yet"))]
    pub public_allowed_routes: Option<Vec<String>>,
    /// Roles bound routes and models.
    #[schemars(extend("default" = false, "x-status" = "not active yet"))]
    pub enforce_rbac: Option<bool>,
    /// Scopes bound models.
    #[schemars(extend("x-status" = "not active yet"))]
    pub scope_mappings: Option<Vec<Value>>,
    /// The same.
    #[schemars(extend("default" = false, "x-status" = "not active yet"))]
    pub enforce_scope_based_access: Option<bool>,
    /// A team that has the model is chosen.
    #[schemars(extend("default" = false, "x-status" = "not active yet"))]
    pub enforce_team_based_model_access: Option<bool>,
    /// Python code that looks at the token.
    #[schemars(extend("x-status" = "not active yet"))]
    pub custom_validate: Option<String>,
    /// Roles of users follow those at the identity provider.
    #[schemars(extend("x-status" = "not active yet"))]
    pub jwt_litellm_role_map: Option<Vec<Value>>,
    /// The same, and teams.
    #[schemars(extend("default" = false, "x-status" = "not active yet"))]
    pub sync_user_role_and_teams: Option<bool>,
    /// Where facts of the user are asked for.
    #[schemars(extend("x-status" = "not active yet"))]
    pub oidc_userinfo_endpoint: Option<String>,
    /// Whether they are.
    #[schemars(extend("default" = false, "x-status" = "not active yet"))]
    pub oidc_userinfo_enabled: Option<bool>,
    /// How long they are kept.
    #[schemars(extend("x-status" = "not active yet"))]
    pub oidc_userinfo_cache_ttl: Option<f64>,
    /// The claim that names a virtual key.
    #[schemars(extend("x-status" = "not active yet"))]
    pub virtual_key_claim_field: Option<String>,
    /// How long such names are kept.
    #[schemars(extend("x-status" = "not active yet"))]
    pub virtual_key_mapping_cache_ttl: Option<f64>,
    /// What becomes of those without a key.
    #[schemars(extend("x-status" = "not active yet"))]
    pub unregistered_jwt_client_behavior: Option<String>,
    /// A token whose team is not there is its user's.
    #[schemars(extend("default" = false, "x-status" = "not active yet"))]
    pub team_claim_fallback: Option<bool>,
    /// A token without a team is of one of its user's.
    #[schemars(extend("default" = false, "x-status" = "not active yet"))]
    pub fallback_to_db_teams: Option<bool>,
    /// Tokens that are looked at in other ways.
    #[schemars(extend("x-status" = "not active yet"))]
    pub routing_overrides: Option<Vec<Value>>,
    /// Programs that exchange assertions for tokens.
    #[schemars(extend("x-status" = "not active yet"))]
    pub id_jag_requesting_apps: Option<Vec<Value>>,
}

/// One of `role_mappings`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RoleMapping {
    /// The role in the token.
    pub role: Option<String>,
    /// What it is here.
    pub internal_role: Option<InternalRole>,
}

/// `role_mappings[].internal_role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InternalRole {
    /// An admin.
    ProxyAdmin,
    /// A team: `object_id_jwt_field` names it.
    Team,
    /// A user: `object_id_jwt_field` names them.
    InternalUser,
}

/// One of `issuers`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct IssuerEntry {
    /// `iss` of its tokens.
    pub issuer: Option<String>,
    /// Where its keys are. Absent: its discovery document says.
    pub jwks_url: Option<String>,
    /// `aud` of tokens for this gateway.
    pub audience: Option<OneOrMany>,
    /// The audience is not looked at.
    pub disable_audience_validation: Option<bool>,
    /// In place of the general one.
    pub user_id_jwt_field: Option<String>,
    /// In place of the general one.
    pub user_email_jwt_field: Option<String>,
    /// In place of the general one.
    pub team_id_jwt_field: Option<String>,
    /// In place of the general one.
    pub team_ids_jwt_field: Option<String>,
    /// In place of the general one.
    pub org_id_jwt_field: Option<String>,
    /// In place of the general one.
    pub end_user_id_jwt_field: Option<String>,
}
