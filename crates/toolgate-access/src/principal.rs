//! Who calls: a credential with everything that bounds it.
//!
//! These are facts as the store loads them, unjudged. A row that another row names and that is not there, or cannot
//! be read, is a fact too ([`Link::Missing`]), and never the same as one that is not named.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

use crate::id::{AccessGroupId, AgentId, CustomerId, OrganizationId, ProjectId, ServerId, TeamId, UserId};
use crate::key::KeyHash;
use crate::permission::ObjectPermission;
use crate::role::{OrganizationRole, Role, TeamRole};

/// A caller with everything that says what they may reach.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// What they showed.
    pub credential: Credential,
    /// The person behind it. `None` where no user is named, and where LiteLLM's data names one without a row.
    pub user: Option<UserFacts>,
    /// The team that a key or token belongs to.
    pub team: Link<TeamFacts>,
    /// The organization of the key, token or person. A team's own organization hangs on the team.
    pub organization: Link<OrganizationFacts>,
    /// Whom the request is made for.
    pub customer: Option<CustomerFacts>,
    /// The project that a key belongs to.
    pub project: Link<ProjectFacts>,
    /// The agent that a key is bound to.
    pub agent: Link<AgentFacts>,
    /// Who had the agent do it, as the agent says. It can only narrow.
    pub agent_caller: Option<AgentCaller>,
}

impl Principal {
    /// Whoever has the master key.
    pub fn master() -> Self {
        Self::with(Credential::Master)
    }

    /// Somebody without any credential.
    pub fn anonymous() -> Self {
        Self::with(Credential::Anonymous)
    }

    /// A caller of whom nothing more is known.
    pub fn with(credential: Credential) -> Self {
        Self {
            credential,
            user: None,
            team: Link::None,
            organization: Link::None,
            customer: None,
            project: Link::None,
            agent: Link::None,
            agent_caller: None,
        }
    }

    /// The role on the whole gateway. A key has its user's.
    pub fn role(&self) -> Option<Role> {
        match self.credential {
            Credential::Master => Some(Role::ProxyAdmin),
            Credential::Key(_) | Credential::Token(_) | Credential::Session(_) => {
                self.user.as_ref().and_then(|user| user.user_role)
            }
            Credential::Anonymous => None,
        }
    }
}

/// What a caller showed.
#[derive(Clone, Debug, PartialEq)]
pub enum Credential {
    /// The master key.
    Master,
    /// A virtual key.
    Key(Box<KeyFacts>),
    /// A JWT of a trusted issuer, which stands for a user, a team or both.
    Token(TokenFacts),
    /// A person who signed in: the web UI, or an OAuth client admitted in their name.
    Session(SessionFacts),
    /// Nothing.
    Anonymous,
}

/// A row that another one may name.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Link<T> {
    /// None is named.
    #[default]
    None,
    /// The row.
    Found(Box<T>),
    /// One is named, by this id, and is not there or cannot be read. What it would have restricted is not known, so
    /// nothing is reached past it.
    Missing(String),
}

impl<T> Link<T> {
    /// A row that is there.
    pub fn found(row: T) -> Self {
        Self::Found(Box::new(row))
    }

    /// The row, where it is there.
    pub fn row(&self) -> Option<&T> {
        match self {
            Self::Found(row) => Some(row),
            Self::None | Self::Missing(_) => None,
        }
    }
}

/// The permission that a row owns.
pub type Permission = Link<ObjectPermission>;

/// A virtual key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyFacts {
    /// What it is stored under (`token`).
    pub hash: KeyHash,
    /// What people call it.
    pub key_alias: Option<String>,
    /// What lists show of it: `sk-...` and its last characters.
    pub key_name: Option<String>,
    /// The user that it belongs to.
    pub user_id: Option<UserId>,
    /// Its permission.
    pub permission: Permission,
    /// The unified access groups attached to it.
    pub access_group_ids: Vec<AccessGroupId>,
    /// Whether it is blocked.
    pub blocked: bool,
    /// From when on it is refused.
    pub expires: Option<DateTime<Utc>>,
    /// Which models it may use; empty: all.
    pub models: Vec<String>,
    /// Which routes it may use ([`crate::routes`]); empty: all that its role has.
    pub allowed_routes: Vec<String>,
    /// Its bounds.
    pub limits: LimitFacts,
}

impl KeyFacts {
    /// A key that has nothing.
    pub fn new(hash: KeyHash) -> Self {
        Self {
            hash,
            key_alias: None,
            key_name: None,
            user_id: None,
            permission: Permission::None,
            access_group_ids: Vec::new(),
            blocked: false,
            expires: None,
            models: Vec::new(),
            allowed_routes: Vec::new(),
            limits: LimitFacts::default(),
        }
    }
}

/// A JWT that was found to be good.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenFacts {
    /// The user that it names, with or without a row.
    pub user_id: Option<UserId>,
}

/// A person who signed in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionFacts {
    /// The unified access groups attached to the person.
    pub access_group_ids: Vec<AccessGroupId>,
    /// The teams whose roster has the person now. What each grants is added up.
    pub teams: Vec<TeamFacts>,
    /// The servers for which the client's token was made (the `resource` of RFC 8707), if it names any.
    pub resource_servers: Option<Vec<ServerId>>,
}

/// A team.
#[derive(Clone, Debug, PartialEq)]
pub struct TeamFacts {
    /// Its id.
    pub team_id: TeamId,
    /// What people call it.
    pub team_alias: Option<String>,
    /// Its organization.
    pub organization: Link<OrganizationFacts>,
    /// Its permission.
    pub permission: Permission,
    /// The unified access groups attached to it.
    pub access_group_ids: Vec<AccessGroupId>,
    /// Whether it is blocked.
    pub blocked: bool,
    /// Which models it may use; empty: all.
    pub models: Vec<String>,
    /// What the caller is in it, and their own bounds there.
    pub member: Option<MemberFacts>,
    /// Its bounds.
    pub limits: LimitFacts,
}

impl TeamFacts {
    /// A team that has nothing.
    pub fn new(team_id: impl Into<TeamId>) -> Self {
        Self {
            team_id: team_id.into(),
            team_alias: None,
            organization: Link::None,
            permission: Permission::None,
            access_group_ids: Vec::new(),
            blocked: false,
            models: Vec::new(),
            member: None,
            limits: LimitFacts::default(),
        }
    }
}

/// A person in a team.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberFacts {
    /// Their role there.
    pub role: TeamRole,
    /// Their own bounds there.
    pub limits: LimitFacts,
}

/// An organization.
#[derive(Clone, Debug, PartialEq)]
pub struct OrganizationFacts {
    /// Its id.
    pub organization_id: OrganizationId,
    /// What people call it.
    pub organization_alias: Option<String>,
    /// Its permission.
    pub permission: Permission,
    /// Which models it may use; empty: all.
    pub models: Vec<String>,
    /// What the caller is in it.
    pub member_role: Option<OrganizationRole>,
    /// Its bounds.
    pub limits: LimitFacts,
}

impl OrganizationFacts {
    /// An organization that has nothing.
    pub fn new(organization_id: impl Into<OrganizationId>) -> Self {
        Self {
            organization_id: organization_id.into(),
            organization_alias: None,
            permission: Permission::None,
            models: Vec::new(),
            member_role: None,
            limits: LimitFacts::default(),
        }
    }
}

/// An internal user.
#[derive(Clone, Debug, PartialEq)]
pub struct UserFacts {
    /// Their id.
    pub user_id: UserId,
    /// What people call them.
    pub user_alias: Option<String>,
    /// Their role on the whole gateway.
    pub user_role: Option<Role>,
    /// Their permission.
    pub permission: Permission,
    /// Which models they may use; empty: all.
    pub models: Vec<String>,
    /// Their bounds.
    pub limits: LimitFacts,
}

impl UserFacts {
    /// A user who has nothing.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
            user_alias: None,
            user_role: None,
            permission: Permission::None,
            models: Vec::new(),
            limits: LimitFacts::default(),
        }
    }
}

/// A customer (end user). Any id may be named by a caller, so most have no row; they are customers all the same.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomerFacts {
    /// The id that the request named.
    pub user_id: CustomerId,
    /// What people call them.
    pub alias: Option<String>,
    /// Their permission.
    pub permission: Permission,
    /// Whether they are blocked.
    pub blocked: bool,
    /// Their bounds.
    pub limits: LimitFacts,
}

impl CustomerFacts {
    /// A customer without a row.
    pub fn new(user_id: impl Into<CustomerId>) -> Self {
        Self {
            user_id: user_id.into(),
            alias: None,
            permission: Permission::None,
            blocked: false,
            limits: LimitFacts::default(),
        }
    }
}

/// A project.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectFacts {
    /// Its id.
    pub project_id: ProjectId,
    /// What people call it.
    pub project_alias: Option<String>,
    /// Its permission.
    pub permission: Permission,
    /// Whether it is blocked.
    pub blocked: bool,
    /// Which models it may use; empty: all.
    pub models: Vec<String>,
    /// Its bounds.
    pub limits: LimitFacts,
}

impl ProjectFacts {
    /// A project that has nothing.
    pub fn new(project_id: impl Into<ProjectId>) -> Self {
        Self {
            project_id: project_id.into(),
            project_alias: None,
            permission: Permission::None,
            blocked: false,
            models: Vec::new(),
            limits: LimitFacts::default(),
        }
    }
}

/// An agent.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentFacts {
    /// Its id.
    pub agent_id: AgentId,
    /// Its permission.
    pub permission: Permission,
    /// The unified access groups attached to it. They bound the agent and grant it nothing.
    pub access_group_ids: Vec<AccessGroupId>,
}

impl AgentFacts {
    /// An agent that has nothing.
    pub fn new(agent_id: impl Into<AgentId>) -> Self {
        Self { agent_id: agent_id.into(), permission: Permission::None, access_group_ids: Vec::new() }
    }
}

/// Who had an agent do it (`x-litellm-user-id`, `x-litellm-team-id`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentCaller {
    /// The team that the agent names.
    pub team: Link<TeamFacts>,
    /// The user that the agent names.
    pub user: Link<UserFacts>,
}

/// What a row may spend and how fast it may go, as it is stored. [`crate::limits`] judges it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LimitFacts {
    /// The most that may be spent in a period, in USD.
    pub max_budget: Option<f64>,
    /// More may be spent for a time.
    pub temporary: Option<TemporaryIncrease>,
    /// From which spend on somebody is told, in USD.
    pub soft_budget: Option<f64>,
    /// Spent in this period, in USD.
    pub spend: f64,
    /// The period: `30s`, `30m`, `24h`, `7d`, `1mo`. `None`: for ever.
    pub budget_duration: Option<String>,
    /// When the period ends.
    pub budget_reset_at: Option<DateTime<Utc>>,
    /// Requests in a minute.
    pub rpm_limit: Option<u64>,
    /// Tokens in a minute.
    pub tpm_limit: Option<u64>,
    /// Requests at the same time.
    pub max_parallel_requests: Option<u64>,
    /// Requests in a minute for each server, by its name or alias.
    pub mcp_rpm_limit: BTreeMap<String, u64>,
}

/// What LiteLLM keeps as `temp_budget_increase` and `temp_budget_expiry`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TemporaryIncrease {
    /// How much more may be spent, in USD.
    pub amount: f64,
    /// For how long.
    pub until: DateTime<Utc>,
}

impl TemporaryIncrease {
    /// `amount` more until a time in one of LiteLLM's forms: RFC 3339; without an offset, in UTC; or a day, at whose
    /// beginning it ends.
    #[must_use]
    pub fn read(amount: f64, until: &str) -> Option<Self> {
        let day = || until.parse::<NaiveDate>().map(|day| day.and_time(NaiveTime::MIN));
        let naive = || until.replace(' ', "T").parse::<NaiveDateTime>().or_else(|_| day()).map(|time| time.and_utc());
        until.parse().or_else(|_| naive()).ok().map(|until| Self { amount, until })
    }
}
