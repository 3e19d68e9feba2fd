//! The management API: LiteLLM's routes for keys and what hangs on them.
//!
//! A handler takes [`Allowed`], which has let the caller in with the role that the table of routes asks for, and
//! narrows to what is the caller's own by [`Tenant`]. What it may not see and what is not there answer alike. Errors
//! are [`AdminError`]s, of which `faces::admin` makes LiteLLM's bodies.

pub mod access_groups;
pub mod activity;
pub mod audit;
pub mod body;
pub mod budgets;
pub mod calls;
pub mod customers;
pub mod error;
pub mod explain;
pub mod keys;
pub mod organizations;
mod people;
pub mod projects;
pub mod servers;
pub mod spend;
pub mod teams;
mod tenant;
mod terms;
pub mod toolsets;
pub mod users;
pub mod vault;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use toolgate_access::issue::Giver;
use toolgate_access::principal::{Credential, Principal};
use toolgate_access::role::Role;
use toolgate_store::{Actor, Store};

use crate::auth::Caller;
use crate::faces::admission::Admitted;
use crate::gateway::{Gateway, Snapshot};
use crate::identity::vaults::MASTER_USER_ID;
use crate::server::routes::Access;
use crate::telemetry::{Denial, request_id};

pub use error::AdminError;
pub use tenant::Tenant;

/// Who an admin's script acts for, as LiteLLM's audit log has it.
const CHANGED_BY: HeaderName = HeaderName::from_static("litellm-changed-by");

/// The longest name that `litellm-changed-by` may give.
const MAX_CHANGED_BY: usize = 256;

/// Whom a management route is for. Beyond the gateway's admins, a handler narrows to what is the caller's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Least {
    /// Admins of the gateway (`proxy_admin`), and whoever has the master key.
    Admin,
    /// They, and who sees all that they see (`proxy_admin_viewer`).
    AdminViewer,
    /// Who manages something: their own keys, a team or an organization.
    Manager,
    /// Whoever has a key; they see what is theirs.
    Holder,
}

/// Somebody who may use a management route. A handler that takes this is guarded.
pub struct Allowed {
    /// Who.
    pub caller: Caller,
    /// The configuration that the whole request is served by.
    pub snapshot: Arc<Snapshot>,
    /// The gateway.
    pub gateway: Gateway,
    /// The database.
    pub store: Store,
    /// In whose name changes are written down.
    pub actor: Actor,
    /// What the caller is on the whole gateway.
    pub role: Option<Role>,
    /// What the caller is in teams and organizations. Empty for those who see everything anyway.
    pub tenant: Tenant,
}

impl Allowed {
    /// May change everything of everybody.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.role.is_some_and(Role::manages_everything)
    }

    /// May see everything of everybody.
    #[must_use]
    pub fn sees_everything(&self) -> bool {
        self.role.is_some_and(Role::sees_everything)
    }

    /// The caller's user, if there is one.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        user_id(&self.caller.principal)
    }

    /// The caller as somebody who gives.
    #[must_use]
    pub fn giver(&self) -> Giver {
        let principal = &self.caller.principal;
        let user = principal.user.as_ref();
        let (user_id, own, allowed_routes) = match &principal.credential {
            Credential::Key(key) => (key.user_id.clone(), key.limits.max_budget, key.allowed_routes.clone()),
            Credential::Token(token) => (token.user_id.clone(), None, Vec::new()),
            Credential::Master | Credential::Session(_) | Credential::Anonymous => {
                (user.map(|user| user.user_id.clone()), None, Vec::new())
            }
        };
        let budgets = [own, user.and_then(|user| user.limits.max_budget)];
        let max_budget = budgets.into_iter().flatten().min_by(f64::total_cmp);
        Giver { role: self.role, user_id, max_budget, allowed_routes }
    }

    /// The error for who is not let on with this text.
    fn check(&self, least: Least, route: &str) -> Result<(), AdminError> {
        let role = self.role;
        let is_viewer = role == Some(Role::ProxyAdminViewer);
        let may = match least {
            Least::Admin => self.is_admin(),
            Least::AdminViewer => self.sees_everything(),
            Least::Manager => {
                let manages = role.is_some_and(Role::manages_own_keys) || self.tenant.manages_something();
                self.is_admin() || !is_viewer && manages
            }
            Least::Holder => true,
        };
        if may {
            return Ok(());
        }
        let user_id = user_id(&self.caller.principal);
        Err(AdminError::Role { route: route.to_owned(), role, user_id: user_id.map(ToOwned::to_owned) })
    }
}

impl FromRequestParts<Gateway> for Allowed {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, AdminError> {
        let Admitted { caller, snapshot } =
            Admitted::for_management(parts, gateway).await.map_err(AdminError::NotAdmitted)?;
        // A route that has no row in the table has no handler either; if it had, it would be an admin's.
        let least = match parts.extensions.get() {
            Some(Access::Role(least)) => *least,
            Some(Access::Public | Access::Key) | None => Least::Admin,
        };
        let role = caller.principal.role();
        let is_refused_anyway =
            matches!(least, Least::Admin | Least::AdminViewer) && !role.is_some_and(|role| role.sees_everything());
        let Some(store) = gateway.identity.store().cloned() else { return Err(AdminError::NoDatabase) };
        let tenant = match user_id(&caller.principal) {
            Some(user) if !is_refused_anyway && !role.is_some_and(Role::sees_everything) => {
                Tenant::of(&store, user).await?
            }
            _ => Tenant::default(),
        };
        let actor = actor(&caller.principal, role, &parts.headers);
        let allowed = Self { caller, snapshot, gateway: gateway.clone(), store, actor, role, tenant };
        allowed.check(least, parts.uri.path()).inspect_err(|_| gateway.metrics.denied(Denial::Role))?;
        Ok(allowed)
    }
}

/// The user behind what was shown.
fn user_id(principal: &Principal) -> Option<&str> {
    let named = match &principal.credential {
        Credential::Key(key) => key.user_id.as_ref(),
        Credential::Token(token) => token.user_id.as_ref(),
        Credential::Master | Credential::Session(_) | Credential::Anonymous => None,
    };
    named.or(principal.user.as_ref().map(|user| &user.user_id)).map(|user| user.as_str())
}

/// An admin may say for whom a change is made; anybody else acts for themselves.
fn actor(principal: &Principal, role: Option<Role>, headers: &HeaderMap) -> Actor {
    let says = headers.get(CHANGED_BY).and_then(|value| value.to_str().ok()).filter(|name| !name.is_empty());
    let says = says.filter(|name| name.len() <= MAX_CHANGED_BY && role.is_some_and(Role::manages_everything));
    let (hash, by) = match &principal.credential {
        Credential::Master => (String::new(), MASTER_USER_ID.to_owned()),
        Credential::Key(key) => (key.hash.to_hex(), user_id(principal).unwrap_or_default().to_owned()),
        Credential::Token(_) | Credential::Session(_) | Credential::Anonymous => {
            (String::new(), user_id(principal).unwrap_or_default().to_owned())
        }
    };
    Actor {
        changed_by: says.map_or(by, ToOwned::to_owned),
        changed_by_api_key: hash,
        request_id: request_id::current().and_then(|id| Some(id.to_str().ok()?.to_owned())).unwrap_or_default(),
    }
}
