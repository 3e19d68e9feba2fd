//! Why something was refused, for `toolgate_policy_decisions_total`.

/// A reason to refuse, from the door to the call.
///
/// A closed set: nothing of what was asked for is in it. Of names that lead nowhere only those are here that would lead
/// somewhere for others; a slip of the pen is no decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The request's `Host` is not one of the gateway's.
    Host,
    /// It comes from a page that may not call.
    Origin,
    /// No key was shown.
    NoKey,
    /// What was shown cannot be read.
    MalformedKey,
    /// What was shown is no key in force: unknown, expired, blocked, or of something that is.
    UnknownKey,
    /// The same, too often from one address.
    TooManyBadKeys,
    /// The database cannot be asked whether the key is good.
    DatabaseUnavailable,
    /// The key is not for this route.
    Route,
    /// The key's holder has not the role that the route asks for.
    Role,
    /// The MCP client is not one of `mcp_allowed_clients`.
    Client,
    /// The customer for whom the request is made is blocked.
    CustomerBlocked,
    /// The caller has no grant for the server.
    ServerNotGranted,
    /// The caller has a grant for the server, and not for the tool.
    ToolNotGranted,
    /// The server's entry keeps the tool back: `allowed_tools`, `disallowed_tools`, `pinned_tools`.
    ServerRules,
    /// `allowed_params` of the server's entry forbids an argument.
    AllowedParams,
    /// A limit of the caller is used up.
    Limit,
    /// A budget of the caller is used up.
    Budget,
}

impl Denial {
    /// As the metric names it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Origin => "origin",
            Self::NoKey => "no_key",
            Self::MalformedKey => "malformed_key",
            Self::UnknownKey => "unknown_key",
            Self::TooManyBadKeys => "too_many_bad_keys",
            Self::DatabaseUnavailable => "database_unavailable",
            Self::Route => "route",
            Self::Role => "role",
            Self::Client => "client",
            Self::CustomerBlocked => "customer_blocked",
            Self::ServerNotGranted => "server_not_granted",
            Self::ToolNotGranted => "tool_not_granted",
            Self::ServerRules => "server_rules",
            Self::AllowedParams => "allowed_params",
            Self::Limit => "limit",
            Self::Budget => "budget",
        }
    }
}
