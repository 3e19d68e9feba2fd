//! Callers with a JWT of a trusted issuer: what the token says, and the rows that it names.
//!
//! A token is looked at once and remembered by its hash. Its rows are those of the database: a token gives no rights that
//! the user, team or organization it names does not have here. What it names and is not there is refused as an unknown
//! key is.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::digest;
use chrono::{DateTime, Utc};
use moka::future::Cache;
use toolgate_access::principal::{Principal, UserFacts};
use toolgate_access::role::Role;
use toolgate_access::{routes, standing};
use toolgate_store::{Action, Actor, Noun, Occurrence, Store, StoreError, User};

use super::jwks::{KeySets, Unreachable};
use super::known::Held;
use super::{Destination, Identity, NotLetIn};
use crate::accounting::Accounting;
use crate::auth::jwt::{self, BadToken, Claims, Presented};
use crate::auth::{CallerId, Who};
use crate::config::settings::jwt::{Fields, InternalRole, Issuer, JwtSettings};

/// Tokens, and those whom they name, remembered at once.
const MAX_REMEMBERED: u64 = 50_000;

/// How long somebody is remembered whose tokens nobody shows any more.
const IDLE: Duration = Duration::from_secs(3_600);

/// Everything that is known of tokens.
pub(super) struct Tokens {
    keys: KeySets,
    /// Tokens that were found good, by the hash of their whole text.
    good: Cache<[u8; 32], Arc<Good>>,
    /// The rows of those whom tokens name.
    people: Cache<Named, Arc<Held>>,
    /// Who is signed in.
    holders: Cache<CallerId, Arc<Holder>>,
    /// How often rows were forgotten: what was read before is not kept after it.
    forgotten: AtomicU64,
    accounting: Accounting,
}

struct Good {
    id: CallerId,
    named: Named,
    customer: Option<String>,
    client: Option<String>,
    expires: i64,
    /// The configuration by which it is good.
    settings: Arc<JwtSettings>,
}

/// Whom a token names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Named {
    user: Option<String>,
    email: Option<String>,
    /// The first that is there counts.
    teams: Vec<String>,
    organization: Option<String>,
    is_admin: bool,
    /// A user who is not there is made.
    is_made: bool,
}

struct Holder {
    named: Named,
    /// Of the token that is good longest.
    expires: AtomicI64,
}

/// A caller with a token.
pub struct Bearer {
    /// Who.
    pub who: Who,
    /// The customer whom the token names. A header cannot name another.
    pub customer: Option<String>,
    /// The client that the token names, for `mcp_allowed_clients`.
    pub client: Option<String>,
}

/// Why somebody whom a token names is not let in.
#[derive(Debug, Clone)]
enum NoPerson {
    Refused(&'static str),
    Store(Arc<StoreError>),
}

impl From<StoreError> for NoPerson {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl Tokens {
    pub(super) fn none(accounting: &Accounting) -> Self {
        Self {
            keys: KeySets::default(),
            good: Cache::builder().max_capacity(MAX_REMEMBERED).time_to_idle(IDLE).build(),
            people: Cache::builder().max_capacity(MAX_REMEMBERED).time_to_idle(IDLE).build(),
            holders: Cache::builder().max_capacity(MAX_REMEMBERED).time_to_idle(IDLE).build(),
            forgotten: AtomicU64::new(0),
            accounting: accounting.clone(),
        }
    }

    /// The rows that tokens name are read anew.
    pub(super) fn forget_rows(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.people.invalidate_all();
    }

    /// The token, if it is good.
    async fn good(&self, token: &str, settings: &Arc<JwtSettings>, now: i64) -> Result<Arc<Good>, NotGood> {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        let holds = |good: &Arc<Good>| Arc::ptr_eq(&good.settings, settings) && good.expires > now;
        if let Some(good) = self.good.get(&hash).await.filter(holds) {
            return Ok(good);
        }
        let presented = Presented::read(token)?;
        let issuer = presented.issuer(&settings.issuers).ok_or(BadToken::Issuer)?;
        let claims = self.verified(&presented, issuer, settings, now).await?;
        let good = Arc::new(Good::of(&claims, issuer, settings)?);
        self.good.insert(hash, Arc::clone(&good)).await;
        Ok(good)
    }

    async fn verified(
        &self,
        presented: &Presented<'_>,
        issuer: &Issuer,
        settings: &JwtSettings,
        now: i64,
    ) -> Result<Claims, NotGood> {
        let mut unreachable = None;
        for url in &issuer.keys {
            match self.keys.key(url, presented, settings).await {
                Ok(Some(key)) => return Ok(presented.verified(&key, issuer, now)?),
                Ok(None) => {}
                Err(why) => unreachable = Some(why),
            }
        }
        match unreachable {
            Some(Unreachable) => Err(NotGood::Unreachable),
            None => Err(BadToken::Key.into()),
        }
    }

    /// The rows of those whom a token names.
    async fn person(&self, store: &Store, named: &Named) -> Result<Arc<Held>, NoPerson> {
        loop {
            let before = self.forgotten.load(Ordering::SeqCst);
            let read = self.read(store, named);
            let found =
                self.people.try_get_with(named.clone(), read).await.map_err(|why: Arc<NoPerson>| (*why).clone())?;
            if self.forgotten.load(Ordering::SeqCst) == before {
                return Ok(found);
            }
            // It may have been read before the change that something was just forgotten for, and kept after.
            self.people.invalidate(named).await;
        }
    }

    async fn read(&self, store: &Store, named: &Named) -> Result<Arc<Held>, NoPerson> {
        let reading = self.accounting.reading();
        let principal = read(store, named).await?;
        let payers = self.accounting.payers(&principal, reading);
        Ok(Arc::new(Held::new(principal, payers)))
    }

    /// Remembers who is signed in; whether that is new.
    async fn signed_in(&self, good: &Good) -> bool {
        if let Some(holder) = self.holders.get(&good.id).await {
            holder.expires.fetch_max(good.expires, Ordering::Relaxed);
            return false;
        }
        let holder = Holder { named: good.named.clone(), expires: AtomicI64::new(good.expires) };
        self.holders.insert(good.id.clone(), Arc::new(holder)).await;
        true
    }
}

/// Why a token is not taken.
#[derive(Debug)]
enum NotGood {
    Bad(BadToken),
    Unreachable,
}

impl From<BadToken> for NotGood {
    fn from(why: BadToken) -> Self {
        Self::Bad(why)
    }
}

impl Good {
    fn of(claims: &Claims, issuer: &Issuer, settings: &Arc<JwtSettings>) -> Result<Self, BadToken> {
        let fields = &issuer.fields;
        let named = Named::of(claims, fields, settings)?;
        let subject = jwt::text(claims, Some(&"sub".to_owned())).unwrap_or_default();
        let by = claims.get("iss").and_then(serde_json::Value::as_str).unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, reason = "a time further away than i64 is as far away as it gets")]
        let expires = claims.get("exp").and_then(serde_json::Value::as_f64).unwrap_or_default() as i64;
        Ok(Self {
            id: CallerId::of_token(&[by, &subject, &format!("{named:?}")]),
            customer: jwt::text(claims, fields.end_user_id.as_ref()),
            client: jwt::text(claims, settings.client_id.as_ref()),
            named,
            expires,
            settings: Arc::clone(settings),
        })
    }
}

impl Named {
    fn of(claims: &Claims, fields: &Fields, settings: &JwtSettings) -> Result<Self, BadToken> {
        let one = |path: &Option<String>| jwt::text(claims, path.as_ref());
        let mut named = Self {
            user: one(&fields.user_id),
            email: one(&fields.user_email),
            teams: one(&fields.team_id).into_iter().collect(),
            organization: one(&fields.org_id),
            is_admin: jwt::texts(claims, "scope").contains(&settings.admin_scope),
            is_made: settings.user_id_upsert,
        };
        if let Some(path) = &fields.team_ids {
            named.teams.extend(jwt::texts(claims, path));
        }
        if let Some((path, mappings)) = &settings.role_mappings {
            let roles = jwt::texts(claims, path);
            let internal = mappings.iter().find(|(role, _)| roles.contains(role)).map(|(_, internal)| *internal);
            let object = one(&settings.object_id);
            match internal {
                Some(InternalRole::ProxyAdmin) => named.is_admin = true,
                Some(InternalRole::Team) => named.teams.extend(object),
                Some(InternalRole::InternalUser) => named.user = named.user.or(object),
                None => {}
            }
        }
        if named.teams.is_empty() {
            named.teams.extend(settings.team_default.clone());
        }
        named.check(claims, settings).map(|()| named)
    }

    /// Whether the token's user is one of those who are let in, and whether it names anybody at all.
    fn check(&self, claims: &Claims, settings: &JwtSettings) -> Result<(), BadToken> {
        if let Some((path, allowed)) = &settings.allowed_roles
            && !jwt::texts(claims, path).iter().any(|role| allowed.contains(role))
        {
            return Err(BadToken::Audience);
        }
        if let Some(domain) = &settings.email_domain {
            let email = self.email.as_deref().unwrap_or_default().to_lowercase();
            if email.rsplit_once('@').is_none_or(|(_, of)| of != domain) {
                return Err(BadToken::Audience);
            }
        }
        let names_nobody = self.user.is_none() && self.teams.is_empty() && self.organization.is_none();
        if names_nobody && !self.is_admin { Err(BadToken::Audience) } else { Ok(()) }
    }
}

/// The rows that are named. All that a token names must be there, but for teams, of which one must be.
async fn read(store: &Store, named: &Named) -> Result<Principal, NoPerson> {
    if let (Some(user), false) = (&named.user, named.is_admin) {
        existing_user(store, user, named).await?;
    }
    let mut team = None;
    for id in &named.teams {
        if store.team(id).await?.is_some() {
            team = Some(id.as_str());
            break;
        }
    }
    if team.is_none() && !named.teams.is_empty() {
        return Err(NoPerson::Refused("token: unknown team"));
    }
    if let Some(id) = &named.organization
        && store.organization(id).await?.is_none()
    {
        return Err(NoPerson::Refused("token: unknown organization"));
    }
    let rows = store.authorization_of(named.user.as_deref(), team, named.organization.as_deref()).await?;
    let mut principal = rows.token_principal()?;
    if named.is_admin {
        let id = named.user.clone().unwrap_or_else(|| "jwt-admin".to_owned());
        let user = principal.user.get_or_insert_with(|| UserFacts::new(id));
        user.user_role = Some(Role::ProxyAdmin);
    }
    Ok(principal)
}

async fn existing_user(store: &Store, user_id: &str, named: &Named) -> Result<(), NoPerson> {
    if store.user(user_id).await?.is_some() {
        return Ok(());
    }
    if !named.is_made {
        return Err(NoPerson::Refused("token: unknown user"));
    }
    let user = User {
        user_id: user_id.to_owned(),
        user_email: named.email.clone(),
        user_role: Some("internal_user".to_owned()),
        ..User::default()
    };
    let actor = Actor { changed_by: "jwt".to_owned(), ..Actor::default() };
    match store.create_user(&actor, user, Vec::new()).await {
        Ok(_) => Ok(()),
        // Made by another request meanwhile; or the address is somebody else's, who is then not this one.
        Err(StoreError::Conflict { .. }) if store.user(user_id).await?.is_some() => Ok(()),
        Err(StoreError::Conflict { .. }) => Err(NoPerson::Refused("token: the user's address is another user's")),
        Err(error) => Err(error.into()),
    }
}

impl Identity {
    /// The caller with this token, calling from `from` for `destination` at the time `now`.
    ///
    /// # Errors
    /// See [`NotLetIn`].
    pub async fn bearer(
        &self,
        settings: &Arc<JwtSettings>,
        token: &str,
        from: Option<IpAddr>,
        destination: Destination<'_>,
        now: DateTime<Utc>,
    ) -> Result<Bearer, NotLetIn> {
        let Some(store) = self.store.as_ref() else { return Err(self.refused(from, "token: there is no database")) };
        if !self.keys.is_fresh() {
            return Err(NotLetIn::Unavailable(None));
        }
        let good = match self.tokens.good(token, settings, now.timestamp()).await {
            Ok(good) => good,
            Err(NotGood::Bad(why)) => return Err(self.refused(from, &why.to_string())),
            Err(NotGood::Unreachable) => return Err(NotLetIn::Unavailable(None)),
        };
        let held = match self.tokens.person(store, &good.named).await {
            Ok(held) => held,
            Err(NoPerson::Refused(why)) => return Err(self.refused(from, why)),
            Err(NoPerson::Store(why)) => return Err(NotLetIn::Unavailable(Some(why))),
        };
        if let Err(why) = standing::check(held.principal(), now) {
            return Err(self.refused(from, &why.to_string()));
        }
        let routes = if good.named.is_admin { &settings.admin_routes } else { &settings.other_routes };
        routes::check(routes, destination.method, destination.template)?;
        if self.tokens.signed_in(&good).await {
            tell_of_sign_in(store, &good, from).await;
        }
        let who = held.who(good.id.clone(), &self.reach.load(), from);
        Ok(Bearer { who, customer: good.customer.clone(), client: good.client.clone() })
    }

    /// Somebody who came with a token, and what they reach now; `None` when no token of theirs is good any more.
    pub async fn bearer_again(&self, id: &CallerId, from: Option<IpAddr>, now: DateTime<Utc>) -> Option<Who> {
        // Rows are relied on for no longer without the database than those of keys are.
        if !self.keys.is_fresh() {
            return None;
        }
        let holder = self.tokens.holders.get(id).await?;
        if holder.expires.load(Ordering::Relaxed) <= now.timestamp() {
            return None;
        }
        let held = self.tokens.person(self.store.as_ref()?, &holder.named).await.ok()?;
        standing::check(held.principal(), now).ok()?;
        Some(held.who(id.clone(), &self.reach.load(), from))
    }
}

/// Nobody is kept out because it cannot be written down.
async fn tell_of_sign_in(store: &Store, good: &Good, from: Option<IpAddr>) {
    let actor = Actor {
        changed_by: good.named.user.clone().unwrap_or_default(),
        request_id: super::refusals::request_id(),
        ..Actor::default()
    };
    let values = serde_json::json!({
        "by": "jwt",
        "teams": good.named.teams,
        "organization": good.named.organization,
        "is_admin": good.named.is_admin,
        "address": from.map(|from| from.to_string()),
    });
    let object_id = good.named.user.as_deref().unwrap_or_else(|| good.id.as_str());
    let occurrence = Occurrence { noun: Noun::User, object_id, action: Action::SignedIn, values: Some(values) };
    if let Err(error) = store.audit(&actor, occurrence).await {
        tracing::warn!(%error, "a sign-in could not be written into the audit log");
    }
}

#[cfg(test)]
mod tests;
