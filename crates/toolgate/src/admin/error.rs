//! Why a management request was not carried out.

use toolgate_access::issue::IssueError;
use toolgate_access::role::Role;
use toolgate_store::StoreError;

use super::body::FieldError;
use crate::body::BodyError;
use crate::faces::admission::NotAdmitted;

/// What a rule has to say about one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFinding {
    /// The field, with dots between names.
    pub param: String,
    /// What is wrong there.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// What kind of refusal a [`AdminError::Detail`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The request makes no sense, whoever sends it.
    Invalid,
    /// The caller may not do this, or nobody may here.
    Forbidden,
    /// It is not there, or not the caller's to know of.
    NotFound,
    /// A server did not do its part.
    Upstream,
}

fn fields(findings: &[FieldFinding]) -> String {
    let one = |finding: &FieldFinding| match &finding.hint {
        Some(hint) => format!("`{}`: {}; {hint}", finding.param, finding.message),
        None => format!("`{}`: {}", finding.param, finding.message),
    };
    findings.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Why a management request was not carried out. The texts are LiteLLM's where its clients may look at them.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The key is not good.
    #[error("not admitted")]
    NotAdmitted(NotAdmitted),
    /// There is only the configuration file.
    #[error(
        "no database: keys, teams and what they may reach are kept in one; set general_settings.database_url or a data directory"
    )]
    NoDatabase,
    /// The route is for others.
    #[error(
        "Authentication Error, Only proxy admin can be used to generate, delete, update info for new keys/users/teams. \
         Route={route}. Your role={}. Your user_id={}",
        .role.map_or("unknown", Role::as_str), .user_id.as_deref().unwrap_or("unknown")
    )]
    Role {
        /// The path.
        route: String,
        /// The caller's role.
        role: Option<Role>,
        /// The caller's user.
        user_id: Option<String>,
    },
    /// The body did not come as it must.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// A field of the body or the query is wrong.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The caller may not give this.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The caller may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// A member of a team, which does not let its members do this.
    #[error(
        "Team member does not have permissions for endpoint: {route}. To use it in team {team_id}, ask a team or proxy \
         admin to add it to the team's team_member_permissions."
    )]
    Member {
        /// The path.
        route: &'static str,
        /// The team.
        team_id: String,
    },
    /// The request makes no sense, whoever sends it.
    #[error("{0}")]
    Invalid(String),
    /// It is not there, or not the caller's to know of.
    #[error("{0}")]
    NotFound(String),
    /// Something else has this id or name.
    #[error("{0}")]
    Taken(String),
    /// The same, where LiteLLM answers 409.
    #[error("{0}")]
    Conflict(String),
    /// Fields that break rules: 422, each by its name.
    #[error("{}", fields(.0))]
    Fields(Vec<FieldFinding>),
    /// The same kinds of refusal in the form that LiteLLM's MCP routes have: `{"detail": {"error": ...}}`.
    #[error("{1}")]
    Detail(Detail, String),
    /// There is no room for it now.
    #[error("{0}")]
    Unavailable(String),
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
