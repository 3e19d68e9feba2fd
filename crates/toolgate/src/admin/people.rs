//! Members of teams and organizations, as requests name them: by user id or by e-mail address.

use schemars::JsonSchema;
use serde::Deserialize;
use toolgate_store::{Direction, MAX_PAGE_SIZE, PageOf, Store, User, UserFilter, UserOrder};

use super::body::FieldError;
use super::terms::new_id;
use super::{AdminError, Allowed};

/// Members that one request may name.
pub(super) const MAX_MEMBERS: usize = 500;

/// Somebody who is to become a member.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Their id.
    #[serde(default)]
    pub user_id: Option<String>,
    /// Their e-mail address.
    #[serde(default)]
    pub user_email: Option<String>,
    /// What they become.
    pub role: String,
}

/// One member or a list of them.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Members {
    /// One.
    One(Member),
    /// Some.
    Some(Vec<Member>),
}

impl Members {
    pub(super) fn into_list(self) -> Result<Vec<Member>, AdminError> {
        let members = match self {
            Self::One(member) => vec![member],
            Self::Some(members) => members,
        };
        check(&members)?;
        Ok(members)
    }
}

/// Refuses too many, and those who are not named.
pub(super) fn check(members: &[Member]) -> Result<(), AdminError> {
    if members.len() > MAX_MEMBERS {
        return Err(FieldError::wrong("member", format!("at most {MAX_MEMBERS} in one request")).into());
    }
    match members.iter().find(|member| blank(&member.user_id) && blank(&member.user_email)) {
        Some(_) => Err(FieldError::wrong("member", "Either user id or user email must be provided").into()),
        None => Ok(()),
    }
}

fn blank(text: &Option<String>) -> bool {
    text.as_deref().is_none_or(str::is_empty)
}

/// The user with this e-mail address; refused where there are several.
pub(super) async fn by_email(store: &Store, email: &str) -> Result<Option<User>, AdminError> {
    let filter = UserFilter { user_email: Some(email.to_owned()), ..UserFilter::default() };
    let order = (UserOrder::default(), Direction::Ascending);
    let mut found = store.users(&filter, order, PageOf::new(1, 2)).await?.items;
    if found.len() > 1 {
        let text = "Multiple users with this email found in db. Please use 'user_id' instead.";
        return Err(AdminError::Invalid(text.to_owned()));
    }
    Ok(found.pop())
}

/// The ids of all users there are.
///
/// # Errors
/// Where there are more than `most`: then a request would work for minutes, with everybody's rows in memory.
pub(super) async fn everybody(allowed: &Allowed, most: usize) -> Result<Vec<String>, AdminError> {
    let order = (UserOrder::UserId, Direction::Ascending);
    let (filter, mut ids) = (UserFilter::default(), Vec::new());
    for number in 1.. {
        let page = allowed.store.users(&filter, order, PageOf::new(number, MAX_PAGE_SIZE)).await?;
        if usize::try_from(page.total).unwrap_or(usize::MAX) > most {
            let why = format!(
                "there are {} users, and one request takes {most} at most; name them instead, a part at a time, as \
                 /user/list gives them",
                page.total
            );
            return Err(FieldError::wrong("all_users", why).into());
        }
        let pages = page.pages();
        ids.extend(page.items.into_iter().map(|user| user.user_id));
        if i64::from(number) >= pages {
            break;
        }
    }
    Ok(ids)
}

/// The user whom a member is; who is not there yet is made. Only a proxy admin chooses the id of a new user, and brings
/// in anybody; others bring in who is in an organization of theirs, and whom they invite by an address that is new.
pub(super) async fn user_of(allowed: &Allowed, member: &Member) -> Result<User, AdminError> {
    let by_id = match &member.user_id {
        Some(id) => allowed.store.user(id).await?,
        None => None,
    };
    let found = match (by_id, member.user_email.as_deref()) {
        (Some(user), _) => Some(user),
        (None, Some(email)) if member.user_id.is_none() => by_email(&allowed.store, email).await?,
        (None, _) => None,
    };
    if !allowed.is_admin() {
        let is_theirs = match &found {
            Some(user) => is_in_reach(allowed, &user.user_id).await?,
            None => member.user_id.is_none(),
        };
        if !is_theirs {
            return Err(AdminError::Forbidden(format!(
                "Only proxy admins can add a user_id that does not exist yet: {}. Add the member by user_email to \
                 invite a new user, or ask a proxy admin to create the user first.",
                member.user_id.as_deref().or(member.user_email.as_deref()).unwrap_or_default()
            )));
        }
    }
    match found {
        Some(user) => Ok(user),
        None => {
            let user = User {
                user_id: member.user_id.clone().unwrap_or_else(new_id),
                user_email: member.user_email.clone(),
                user_role: Some("internal_user".to_owned()),
                ..User::default()
            };
            Ok(allowed.store.create_user(&allowed.actor, user, Vec::new()).await?)
        }
    }
}

/// Whether a user is somebody of whom the caller, who is no admin, knows anyway: themselves, and who is in an
/// organization or in a team with them.
pub(super) async fn is_in_reach(allowed: &Allowed, user_id: &str) -> Result<bool, AdminError> {
    if allowed.user_id() == Some(user_id) {
        return Ok(true);
    }
    let organizations = allowed.store.organization_memberships_of(user_id).await?;
    if organizations.iter().any(|of| allowed.tenant.is_in_organization(&of.organization_id)) {
        return Ok(true);
    }
    let teams = allowed.store.team_memberships_of(user_id).await?;
    Ok(teams.iter().any(|of| allowed.tenant.is_in_team(&of.team_id)))
}

/// The id of a member whom a request names by id or address.
pub(super) fn named(user_id: Option<String>, user_email: Option<&str>) -> Result<Option<String>, AdminError> {
    match (user_id, user_email) {
        (Some(id), _) => Ok(Some(id)),
        (None, Some(_)) => Ok(None),
        (None, None) => Err(AdminError::Invalid("Either user_id or user_email needs to be passed in".to_owned())),
    }
}
