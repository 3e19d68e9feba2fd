//! What is counted of decisions about calls: `toolgate_policy_decisions_total`.
//!
//! A name that leads nowhere is a decision only where it would lead somewhere for a caller with another grant. The
//! caller is not told which it was.

use super::errors::{CallError, FindError};
use super::find::Found;
use super::list::Kind;
use super::{Catalog, Visit};
use crate::telemetry::Denial;

impl Catalog {
    /// Counts why a call of the tool `name` was refused, if somebody decided that.
    pub(super) async fn count_refusal(&self, visit: Visit<'_>, name: &str, why: &CallError) {
        let denial = match why {
            CallError::Find(FindError::Unknown { .. }) => self.withheld_by_grant(visit, name).await,
            CallError::Find(FindError::NotAllowed { .. }) => Some(Denial::ServerRules),
            CallError::Params { .. } => Some(Denial::AllowedParams),
            CallError::Refused(refused) if refused.is_budget() => Some(Denial::Budget),
            CallError::Refused(_) => Some(Denial::Limit),
            CallError::Find(FindError::Ambiguous { .. } | FindError::Server(_))
            | CallError::BadParams(_)
            | CallError::Arguments(_)
            | CallError::Headers(_)
            | CallError::Upstream(_)
            | CallError::Called(_) => None,
        };
        if let Some(denial) = denial {
            self.metrics.denied(denial);
        }
    }

    /// Which part of the grant is missing for the tool `name`, where that is what is missing.
    async fn withheld_by_grant(&self, visit: Visit<'_>, name: &str) -> Option<Denial> {
        let bare = visit.servers().iter().map(|upstream| Found::new(upstream, name));
        for claim in self.claims(Kind::Tools, visit, name).into_iter().chain(bare) {
            let Ok(lane) = self.lane(visit, &claim.upstream) else { continue };
            // What is not granted was taken out of what the name was looked up in, and is in the list that is kept.
            let whole = self.lists.kept(Kind::Tools, &claim.upstream, &lane).await;
            if whole.is_some_and(|list| list.by_name(&claim.own_name).is_some()) {
                return Some(Denial::ToolNotGranted);
            }
        }
        let grant = &visit.caller.grant;
        let mut withheld = self.settings.servers.iter().filter(|server| grant.server(&server.id).is_none());
        let is_theirs = withheld.any(|server| !self.settings.naming.bare_names(server, name).is_empty());
        is_theirs.then_some(Denial::ServerNotGranted)
    }
}
