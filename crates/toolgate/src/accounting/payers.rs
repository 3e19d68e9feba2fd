//! Who pays for one caller's calls.

use std::fmt;
use std::sync::Arc;

use toolgate_access::principal::{Credential, LimitFacts, Link, OrganizationFacts, Principal};
use toolgate_store::{PayerKind, SpendRow};

use super::account::{Account, Bounds};
use super::ledger::{Ledger, Reading};
use crate::telemetry::CallerLabels;

/// Who pays for a caller's calls, and within which bounds. Made when the caller's rows are read.
#[derive(Debug, Default)]
pub struct Payers {
    pub(super) ids: Ids,
    /// Those that have bounds.
    pub(super) bounded: Box<[Bounded]>,
}

/// The columns of a call that say who pays.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Ids {
    pub(super) api_key: String,
    pub(super) key_alias: Option<String>,
    pub(super) user_id: Option<String>,
    pub(super) team_id: Option<String>,
    pub(super) team_alias: Option<String>,
    pub(super) organization_id: Option<String>,
    pub(super) project_id: Option<String>,
    pub(super) end_user: Option<String>,
    pub(super) agent_id: Option<String>,
}

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Bounded {
    /// What people call it.
    pub(super) name: String,
    pub(super) bounds: Bounds,
    pub(super) account: Arc<Account>,
}

impl Payers {
    /// Nobody: calls are written down, and nothing bounds them.
    #[must_use]
    pub fn nobody() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Those behind `principal`.
    pub(super) fn of(principal: &Principal, ledger: &Ledger, reading: Reading) -> Self {
        let ids = Ids::of(principal);
        let mut making = Making { ledger, reading, bounded: Vec::new() };
        if let Credential::Key(key) = &principal.credential {
            let name = key.key_alias.clone().or_else(|| key.key_name.clone()).unwrap_or_else(|| ids.api_key.clone());
            making.add(PayerKind::Key, vec![ids.api_key.clone()], name, &key.limits);
        }
        if let Some(team) = principal.team.row() {
            let team_id = team.team_id.as_str().to_owned();
            let name = team.team_alias.clone().unwrap_or_else(|| team_id.clone());
            if let (Some(member), Some(user_id)) = (&team.member, &ids.user_id) {
                let id = vec![team_id.clone(), user_id.clone()];
                making.add(PayerKind::TeamMember, id, format!("{user_id} in {name}"), &member.limits);
            }
            making.add(PayerKind::Team, vec![team_id], name, &team.limits);
        }
        if let Some(user) = &principal.user {
            let mut limits = user.limits.clone();
            if !matches!(principal.team, Link::None) {
                // A key of a team spends of the team's budget, and of the member's there, as in LiteLLM.
                (limits.max_budget, limits.soft_budget) = (None, None);
            }
            let id = user.user_id.as_str().to_owned();
            making.add(PayerKind::User, vec![id.clone()], user.user_alias.clone().unwrap_or(id), &limits);
        }
        if let Some(organization) = organization(principal) {
            let id = organization.organization_id.as_str().to_owned();
            let name = organization.organization_alias.clone().unwrap_or_else(|| id.clone());
            making.add(PayerKind::Organization, vec![id], name, &organization.limits);
        }
        if let Some(project) = principal.project.row() {
            let id = project.project_id.as_str().to_owned();
            let name = project.project_alias.clone().unwrap_or_else(|| id.clone());
            making.add(PayerKind::Project, vec![id], name, &project.limits);
        }
        making.add_customer(principal);
        Self { ids, bounded: making.bounded.into() }
    }

    /// These, and the customer of `principal`.
    pub(super) fn for_customer(&self, principal: &Principal, ledger: &Ledger, reading: Reading) -> Self {
        let mut making = Making { ledger, reading, bounded: self.bounded.to_vec() };
        making.add_customer(principal);
        Self { ids: Ids::of(principal), bounded: making.bounded.into() }
    }

    /// As the metrics name them.
    #[must_use]
    pub fn labels(&self) -> CallerLabels<'_> {
        let Ids { api_key, key_alias, user_id, team_id, team_alias, end_user, .. } = &self.ids;
        CallerLabels {
            hashed_api_key: api_key,
            api_key_alias: key_alias.as_deref().unwrap_or_default(),
            team: team_id.as_deref().unwrap_or_default(),
            team_alias: team_alias.as_deref().unwrap_or_default(),
            user: user_id.as_deref().unwrap_or_default(),
            end_user: end_user.as_deref().unwrap_or_default(),
        }
    }

    /// Whether nothing bounds them.
    #[must_use]
    pub fn are_unbounded(&self) -> bool {
        self.bounded.is_empty()
    }
}

struct Making<'a> {
    ledger: &'a Ledger,
    reading: Reading,
    bounded: Vec<Bounded>,
}

impl Making<'_> {
    fn add(&mut self, kind: PayerKind, id: Vec<String>, name: String, limits: &LimitFacts) {
        let bounds = Bounds::of(limits);
        if bounds.are_none() {
            return;
        }
        let account = self.ledger.account(kind, id);
        account.read(self.reading, limits.spend);
        self.bounded.push(Bounded { name, bounds, account });
    }

    fn add_customer(&mut self, principal: &Principal) {
        let Some(customer) = &principal.customer else { return };
        let id = customer.user_id.as_str().to_owned();
        let name = customer.alias.clone().unwrap_or_else(|| id.clone());
        self.add(PayerKind::Customer, vec![id], name, &customer.limits);
    }
}

/// The one organization that pays: the key's own, else its team's.
fn organization(principal: &Principal) -> Option<&OrganizationFacts> {
    match &principal.organization {
        Link::Found(organization) => Some(organization),
        Link::Missing(_) => None,
        Link::None => principal.team.row().and_then(|team| team.organization.row()),
    }
}

impl Ids {
    fn of(principal: &Principal) -> Self {
        let user = principal.user.as_ref().map(|user| user.user_id.as_str().to_owned());
        let (api_key, key_alias, user_id) = match &principal.credential {
            Credential::Key(key) => {
                let user = key.user_id.as_ref().map(|user| user.as_str().to_owned());
                (key.hash.to_hex(), key.key_alias.clone(), user)
            }
            Credential::Token(token) => {
                (String::new(), None, token.user_id.as_ref().map(|user| user.as_str().to_owned()))
            }
            Credential::Master | Credential::Session(_) | Credential::Anonymous => (String::new(), None, None),
        };
        let team = principal.team.row();
        Self {
            api_key,
            key_alias,
            user_id: user_id.or(user),
            team_id: named(&principal.team, |team| team.team_id.as_str()),
            team_alias: team.and_then(|team| team.team_alias.clone()),
            organization_id: named(&principal.organization, |row| row.organization_id.as_str())
                .or_else(|| named(&team?.organization, |row| row.organization_id.as_str())),
            project_id: named(&principal.project, |row| row.project_id.as_str()),
            end_user: principal.customer.as_ref().map(|customer| customer.user_id.as_str().to_owned()),
            agent_id: named(&principal.agent, |row| row.agent_id.as_str()),
        }
    }

    /// Writes them into a call.
    pub(super) fn put_into(&self, row: &mut SpendRow) {
        row.api_key.clone_from(&self.api_key);
        row.user_id.clone_from(&self.user_id);
        row.team_id.clone_from(&self.team_id);
        row.organization_id.clone_from(&self.organization_id);
        row.project_id.clone_from(&self.project_id);
        row.end_user.clone_from(&self.end_user);
        row.agent_id.clone_from(&self.agent_id);
    }
}

fn named<T>(link: &Link<T>, id: impl FnOnce(&T) -> &str) -> Option<String> {
    match link {
        Link::None => None,
        Link::Found(row) => Some(id(row).to_owned()),
        Link::Missing(id) => Some(id.clone()),
    }
}

/// A kind of row, as people call it.
pub(super) struct Noun(pub(super) PayerKind);

impl Noun {
    pub(super) const fn word(&self) -> &'static str {
        match self.0 {
            PayerKind::Key => "key",
            PayerKind::User => "user",
            PayerKind::Team => "team",
            PayerKind::TeamMember => "team member",
            PayerKind::Organization => "organization",
            PayerKind::OrganizationMember => "organization member",
            PayerKind::Project => "project",
            PayerKind::Customer => "customer",
        }
    }
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
