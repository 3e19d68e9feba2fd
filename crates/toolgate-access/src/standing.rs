//! Whether a caller is let in at all: blocked and expired rows.
//!
//! This is asked at every request, since expiry hangs on the time. What a blocked row reaches is nothing in a grant
//! too ([`crate::grant::compile`]).

use chrono::{DateTime, Utc};

use crate::id::{CustomerId, ProjectId, TeamId};
use crate::principal::{Credential, Link, Principal};

/// Why a caller is not let in, with LiteLLM's words where it has some. They are for logs and the audit: the caller is
/// told the same as with an unknown key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The key is blocked.
    #[error("Key is blocked. Update via `/key/unblock` if you're admin.")]
    KeyBlocked,
    /// The key is no longer good.
    #[error("Authentication Error - Expired Key. Key Expiry time {expires} and current time {now}")]
    KeyExpired {
        /// Until when it was good.
        expires: DateTime<Utc>,
        /// The time it is.
        now: DateTime<Utc>,
    },
    /// The team is blocked.
    #[error("Team={0} is blocked. Update via `/team/unblock` if your admin.")]
    TeamBlocked(TeamId),
    /// The customer is blocked.
    #[error("User blocked from making LLM API Calls. User={0}")]
    CustomerBlocked(CustomerId),
    /// The project is blocked.
    #[error("Project={0} is blocked.")]
    ProjectBlocked(ProjectId),
    /// A row is named that is not there.
    #[error("{what} `{id}` is named and is not there or cannot be read")]
    Missing {
        /// Which kind of row.
        what: &'static str,
        /// Its id.
        id: String,
    },
}

/// Whether a caller is let in now.
///
/// # Errors
/// The first [`Refusal`]: key, team, project, customer.
pub fn check(principal: &Principal, now: DateTime<Utc>) -> Result<(), Refusal> {
    if let Credential::Key(key) = &principal.credential {
        if key.blocked {
            return Err(Refusal::KeyBlocked);
        }
        if let Some(expires) = key.expires.filter(|expires| *expires <= now) {
            return Err(Refusal::KeyExpired { expires, now });
        }
    }
    if let Some(team) = principal.team.row().filter(|team| team.blocked) {
        return Err(Refusal::TeamBlocked(team.team_id.clone()));
    }
    match &principal.project {
        Link::Found(project) if project.blocked => return Err(Refusal::ProjectBlocked(project.project_id.clone())),
        Link::Missing(id) => return Err(Refusal::Missing { what: "project", id: id.clone() }),
        Link::Found(_) | Link::None => {}
    }
    match principal.customer.as_ref().filter(|customer| customer.blocked) {
        Some(customer) => Err(Refusal::CustomerBlocked(customer.user_id.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::principal::TeamFacts;
    use crate::testing::{key, team};

    #[test]
    fn blocked_and_expired_callers_are_not_let_in() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let expiring = |at: DateTime<Utc>| {
            let mut principal = key("");
            principal.facts().expires = Some(at);
            principal
        };
        let mut blocked = key("");
        blocked.facts().blocked = true;
        let mut customer = key("").customer("");
        customer.customer.as_mut().unwrap().blocked = true;
        let of_blocked_team = key("").team_is(TeamFacts { blocked: true, ..team("dev", "") });
        let of_no_project = Principal { project: Link::Missing("p".into()), ..key("") };
        let cases = [
            ("a key", key("").team("").project("").customer(""), Ok(())),
            ("the master key", Principal::master(), Ok(())),
            ("a blocked key", blocked, Err(Refusal::KeyBlocked)),
            ("a key that still lives", expiring(now + TimeDelta::microseconds(1)), Ok(())),
            ("one that does not", expiring(now), Err(Refusal::KeyExpired { expires: now, now })),
            ("of a blocked team", of_blocked_team, Err(Refusal::TeamBlocked("dev".into()))),
            ("for a blocked customer", customer, Err(Refusal::CustomerBlocked("bob".into()))),
            ("of a missing project", of_no_project, Err(Refusal::Missing { what: "project", id: "p".into() })),
        ];
        for (case, principal, expected) in cases {
            assert_eq!(check(&principal, now), expected, "{case}");
        }
    }
}
