//! What the rules tell of themselves while they work: nothing on the way to a tool, everything to `explain`.

use std::fmt;

use serde::Serialize;

use crate::tools::Tools;
use crate::world::ServerSet;

/// Whose word a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The gateway: its settings and its servers.
    Gateway,
    /// The master key.
    MasterKey,
    /// A virtual key.
    Key,
    /// A JWT.
    Token,
    /// A person.
    User,
    /// A team.
    Team,
    /// An organization.
    Organization,
    /// A customer.
    Customer,
    /// A project.
    Project,
    /// An agent.
    Agent,
    /// Who had an agent do it: their team.
    CallerTeam,
    /// Who had an agent do it: themselves.
    CallerUser,
    /// The toolset whose endpoint was called.
    Toolset,
    /// A signed-in client.
    Session,
    /// Somebody without a key.
    Anonymous,
}

/// A level with the name that people know it by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who<'a> {
    pub(crate) level: Level,
    pub(crate) name: &'a str,
}

impl<'a> Who<'a> {
    pub(crate) fn new(level: Level, name: &'a str) -> Self {
        Self { level, name }
    }

    pub(crate) fn gateway() -> Self {
        Self::new(Level::Gateway, "")
    }

    pub(crate) fn is_team(&self) -> bool {
        matches!(self.level, Level::Team | Level::CallerTeam)
    }

    /// Where somebody goes to change what it says.
    pub(crate) fn field(&self, field: &str) -> String {
        format!("`object_permission.{field}` of {self}")
    }
}

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.level {
            Level::Gateway => return f.write_str("the gateway"),
            Level::MasterKey => return f.write_str("the master key"),
            Level::Token => return f.write_str("the token"),
            Level::Anonymous => return f.write_str("a caller without a key"),
            Level::Session => return f.write_str("the session"),
            Level::Key => "key",
            Level::User => "user",
            Level::Team => "team",
            Level::Organization => "organization",
            Level::Customer => "customer",
            Level::Project => "project",
            Level::Agent => "agent",
            Level::CallerTeam => "the calling team",
            Level::CallerUser => "the calling user",
            Level::Toolset => "toolset",
        };
        write!(f, "{word} `{}`", self.name)
    }
}

/// Which rule a step is of, in the order in which they are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// There is no such server.
    UnknownServer,
    /// A row that is named cannot be read, so nothing is reached past it.
    Unreadable,
    /// Whoever is blocked reaches nothing.
    Blocked,
    /// `no-mcp-servers` on a key closes everything to it.
    OptOut,
    /// A toolset's endpoint serves those who hold the toolset.
    ToolsetHeld,
    /// An admin reaches every server, unless their key has a scope or a team.
    Admin,
    /// A key's own permission.
    OwnPermission,
    /// A team grants to a key that has nothing of its own, and bounds one that has.
    Team,
    /// Unified access groups of a key, beyond its team.
    KeyAccessGroups,
    /// A customer's permission narrows.
    Customer,
    /// An agent's permission and access groups narrow.
    Agent,
    /// The team and user who had an agent do it narrow.
    AgentCaller,
    /// A project's permission narrows.
    Project,
    /// A user's permission narrows their keys.
    User,
    /// An organization's permission narrows, and grants where nobody below says anything.
    Organization,
    /// What a person's own permission and each of their teams grant is added up.
    SessionUnion,
    /// `allow_all_keys` opens a server to every key.
    AllowAllKeys,
    /// Whoever proposed a server may use it.
    OwnSubmission,
    /// A caller without a key reaches servers that check the caller's own credential.
    Anonymous,
    /// Nobody granted it.
    DefaultDeny,
    /// A server that is not approved is reached by nobody.
    Approval,
    /// A server that is not on the public internet is reached from internal addresses.
    ClientPlace,
    /// A client's token may be for some servers only.
    SessionResource,
    /// A toolset's endpoint has the toolset's servers and tools, and no others.
    Toolset,
    /// Which tools of a server a level names.
    Tools,
    /// Tools that a level blocks.
    BlockedTools,
}

/// What a step did to what is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It was out, and is in.
    Grants,
    /// It was in, and stays in.
    Keeps,
    /// It is out from here on, or would have been put out here.
    Denies,
    /// It was out, and this level neither grants nor denies it.
    SaysNothing,
}

/// What a step has to say to people.
#[derive(Debug, Default)]
pub(crate) struct Why {
    pub(crate) text: String,
    /// What somebody would have to do for this step not to be in the way.
    pub(crate) remedy: Option<String>,
    /// This level keeps out what does not come from elsewhere.
    pub(crate) denies: bool,
}

impl Why {
    pub(crate) fn says(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub(crate) fn denies(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { text: text.into(), remedy: Some(remedy.into()), denies: true }
    }

    pub(crate) fn denies_for_good(text: impl Into<String>) -> Self {
        Self { text: text.into(), remedy: None, denies: true }
    }
}

/// Who listens to the rules.
pub(crate) trait Record {
    /// A rule made `after` of `before`. `why` is asked with the position of the server in question.
    fn servers(
        &mut self,
        rule: Rule,
        who: Who<'_>,
        before: &ServerSet,
        after: &ServerSet,
        why: impl FnOnce(usize) -> Why,
    );

    /// A rule closed a way to servers, or all of them.
    fn closed(&mut self, closed: &Closed<'_>);

    /// A rule made `after` of `before`, for the server in question. `why` is asked with the tool in question.
    fn tools(&mut self, rule: Rule, who: Who<'_>, before: &Tools<'_>, after: &Tools<'_>, why: impl FnOnce(&str) -> Why);
}

/// Nobody.
pub(crate) struct Silent;

impl Record for Silent {
    fn servers(&mut self, _: Rule, _: Who<'_>, _: &ServerSet, _: &ServerSet, _: impl FnOnce(usize) -> Why) {}

    fn closed(&mut self, _: &Closed<'_>) {}

    fn tools(&mut self, _: Rule, _: Who<'_>, _: &Tools<'_>, _: &Tools<'_>, _: impl FnOnce(&str) -> Why) {}
}

/// What a level names that cannot be read, where it is not a level itself.
pub(crate) const PERMISSION: &str = "permission";

/// Why nothing at all is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed<'a> {
    pub(crate) rule: Rule,
    pub(crate) who: Who<'a>,
    pub(crate) what: &'static str,
    pub(crate) id: &'a str,
}

impl Closed<'_> {
    pub(crate) fn why(&self) -> Why {
        let Self { rule, who, what, id } = self;
        match rule {
            Rule::Unreadable if *what == PERMISSION => Why::denies(
                format!(
                    "the permission `{id}` that {who} names is not there or cannot be read, so what it restricts is not known"
                ),
                format!("give {who} an `object_permission` anew"),
            ),
            Rule::Unreadable => Why::denies(
                format!("{who} is named and is not there or cannot be read, so what it restricts is not known"),
                format!("restore {who}, or take it off what names it"),
            ),
            Rule::Blocked => Why::denies(format!("{who} is blocked"), format!("unblock {who}")),
            Rule::OptOut => Why::denies(
                format!("{who} lists `no-mcp-servers`, which closes every server to it, also those open to all keys"),
                format!("remove `no-mcp-servers` from {}", who.field("mcp_servers")),
            ),
            Rule::Customer => Why::denies(
                format!("{who} has no permission of its own, and `require_end_user_mcp_access_defined` is on"),
                format!("give {who} an `object_permission`"),
            ),
            Rule::ToolsetHeld => Why::denies(
                format!("{who} does not hold the toolset `{id}`, whose endpoint was called"),
                format!("add `{id}` to {}, or of its team if it names no servers itself", who.field("mcp_toolsets")),
            ),
            _ => Why::denies_for_good(format!("{who} reaches nothing")),
        }
    }
}
