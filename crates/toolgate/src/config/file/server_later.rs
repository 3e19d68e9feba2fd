//! Types of `mcp_servers` keys that are read but not acted on yet.

use schemars::JsonSchema;
use serde::Deserialize;

/// One text, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
pub enum OneOrMany {
    /// One, or several separated by blanks.
    One(String),
    /// A list.
    Many(Vec<String>),
}

/// `oauth_identity_binding`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct IdentityBinding {
    /// Whether the binding is checked and enforced.
    #[schemars(extend("default" = "disabled"))]
    pub mode: Option<BindingMode>,
    /// The issuer of identity tokens.
    pub issuer: Option<String>,
    /// Where its keys are.
    pub jwks_url: Option<String>,
    /// The audiences that are accepted.
    pub audiences: Option<Vec<String>>,
    /// The claim that names the user.
    #[schemars(extend("default" = "email"))]
    pub principal_claim: Option<String>,
    /// What of the caller it is compared with.
    #[schemars(extend("default" = "user_email"))]
    pub caller_field: Option<String>,
    /// Whether the address must be verified.
    #[schemars(extend("default" = true))]
    pub require_email_verified: Option<bool>,
}

/// `oauth_identity_binding.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BindingMode {
    /// Off.
    Disabled,
    /// Logged only.
    Audit,
    /// A mismatch is refused.
    Enforce,
}
