//! Who may see and change which key, and what they may give it.

use toolgate_access::id::AccessGroupId;
use toolgate_access::issue::{self, KeyScope};
use toolgate_access::permission::ObjectPermission;
use toolgate_access::principal::{Credential, LimitFacts, MemberFacts, TeamFacts};
use toolgate_access::role::{Role, TeamRole};
use toolgate_store::{Key, Team, team_facts};

use crate::admin::{AdminError, Allowed};

/// What members may do with their team's keys when the team says nothing else.
const MEMBERS_ALWAYS_MAY: [&str; 2] = ["/key/info", "/key/health"];

/// Lets members attach unified access groups to keys.
const ACCESS_GROUP_ASSIGNMENT: &str = "/key/access_group_assignment";

/// What of the metadata bounds a key.
const BOUNDS_IN_METADATA: [&str; 7] = [
    "mcp_rpm_limit",
    "model_rpm_limit",
    "model_tpm_limit",
    "tag_rpm_limit",
    "guardrails",
    "temp_budget_increase",
    "temp_budget_expiry",
];

/// The key that the request itself was let in with.
pub(super) fn is_own_credential(allowed: &Allowed, key: &Key) -> bool {
    matches!(&allowed.caller.principal.credential, Credential::Key(own) if own.hash.to_hex() == key.token)
}

fn is_owner(allowed: &Allowed, key: &Key) -> bool {
    key.user_id.is_some() && key.user_id == allowed.tenant.user_id
}

/// Manages the key by a place in its team or organization.
fn manages(allowed: &Allowed, key: &Key, team: Option<&Team>) -> bool {
    let tenant = &allowed.tenant;
    let by_team = team.is_some_and(|team| tenant.manages_team(&team.team_id, team.organization_id.as_deref()));
    by_team || key.organization_id.as_deref().is_some_and(|id| tenant.manages_organization(id))
}

/// May see the key.
pub(super) fn may_see(allowed: &Allowed, key: &Key, team: Option<&Team>) -> bool {
    allowed.sees_everything()
        || is_own_credential(allowed, key)
        || is_owner(allowed, key)
        || key.team_id.as_deref().is_some_and(|team| allowed.tenant.is_in_team(team))
        || manages(allowed, key, team)
}

/// May change the key in any way at all.
///
/// # Errors
/// 401 for a member whose team does not let members do this, 403 for anybody else.
pub(super) fn check_change(
    allowed: &Allowed,
    key: &Key,
    team: Option<&Team>,
    route: &'static str,
) -> Result<(), AdminError> {
    if allowed.is_admin() || manages(allowed, key, team) {
        return Ok(());
    }
    if !is_owner(allowed, key) || !allowed.role.is_some_and(Role::manages_own_keys) {
        return Err(AdminError::Forbidden(format!("You are not authorized to change this key with {route}")));
    }
    team.map_or(Ok(()), |team| check_member(team, route))
}

/// Blocking and unblocking is for admins of the gateway, the team or its organization.
///
/// # Errors
/// 403.
pub(super) fn check_block(
    allowed: &Allowed,
    key: &Key,
    team: Option<&Team>,
    route: &'static str,
) -> Result<(), AdminError> {
    if allowed.is_admin() || manages(allowed, key, team) {
        return Ok(());
    }
    Err(AdminError::Forbidden(format!(
        "Only proxy admins, team admins, or org admins can call {route}. user_role={}, user_id={}",
        allowed.role.map_or("None", Role::as_str),
        allowed.tenant.user_id.as_deref().unwrap_or("None")
    )))
}

fn check_member(team: &Team, route: &'static str) -> Result<(), AdminError> {
    if MEMBERS_ALWAYS_MAY.contains(&route) || team.team_member_permissions.iter().any(|may| may == route) {
        return Ok(());
    }
    Err(AdminError::Member { route, team_id: team.team_id.clone() })
}

/// A key before and after what is asked for, and the teams that it is then and now in.
pub(super) struct Giving<'a> {
    pub allowed: &'a Allowed,
    /// `None` for a key that is made.
    pub before: Option<&'a Key>,
    pub after: &'a Key,
    /// The team of the key after the change.
    pub team: Option<&'a Team>,
    pub route: &'static str,
}

impl Giving<'_> {
    /// Whether the caller may give all this. Whoever is to have the key is looked at by [`check_assigned_user`].
    ///
    /// # Errors
    /// LiteLLM's 400, 401 and 403.
    pub(super) fn check(&self) -> Result<(), AdminError> {
        let facts = self.team.map(|team| self.facts(team));
        self.check_place(facts.as_ref())?;
        self.check_fields()?;
        self.check_bounds()?;
        self.check_scope(facts.as_ref())
    }

    fn is_new_in_team(&self) -> bool {
        self.before.is_none_or(|before| before.team_id != self.after.team_id)
    }

    /// The team as the caller stands to it: an organization's admin is its teams' admin.
    fn facts(&self, team: &Team) -> TeamFacts {
        let tenant = &self.allowed.tenant;
        let role = if tenant.manages_team(&team.team_id, team.organization_id.as_deref()) {
            Some(TeamRole::Admin)
        } else {
            tenant.is_in_team(&team.team_id).then_some(TeamRole::User)
        };
        let member = role.map(|role| MemberFacts { role, limits: LimitFacts::default() });
        TeamFacts { member, ..team_facts(team) }
    }

    fn manages_team(&self) -> bool {
        self.team.is_some_and(|team| self.allowed.tenant.manages_team(&team.team_id, team.organization_id.as_deref()))
    }

    fn check_place(&self, team: Option<&TeamFacts>) -> Result<(), AdminError> {
        let (allowed, after) = (self.allowed, self.after);
        if allowed.is_admin() {
            return Ok(());
        }
        let giver = allowed.giver();
        match (self.team, team) {
            (Some(row), Some(facts)) if self.is_new_in_team() => {
                issue::check_team(&giver, facts)?;
                if !self.manages_team() {
                    check_member(row, self.route)?;
                }
            }
            _ => {}
        }
        if self.before.is_none() && !self.manages_team() && !allowed.role.is_some_and(Role::manages_own_keys) {
            return Err(AdminError::Forbidden("Your role does not make keys".to_owned()));
        }
        let owner = |key: &Key| key.user_id.as_deref().map(Into::into);
        let (before, now) = (self.before.map(owner), owner(after));
        issue::check_owner(&giver, before.as_ref().map(Option::as_ref), now.as_ref(), self.manages_team())?;
        let organization_before = self.before.and_then(|before| before.organization_id.as_deref());
        let is_changed = organization_before != after.organization_id.as_deref();
        let of_team = self.team.and_then(|team| team.organization_id.as_deref());
        let may_assign = after
            .organization_id
            .as_deref()
            .is_none_or(|id| of_team == Some(id) || allowed.tenant.is_in_organization(id));
        let may_leave = organization_before.is_none_or(|id| allowed.tenant.manages_organization(id));
        if is_changed && !(may_assign && may_leave) {
            let text = "You are not authorized to assign keys to this organization";
            return Err(AdminError::Forbidden(text.to_owned()));
        }
        Ok(())
    }

    /// What only admins of the gateway may set.
    fn check_fields(&self) -> Result<(), AdminError> {
        let fresh = Key::default();
        let (before, after) = (self.before.unwrap_or(&fresh), self.after);
        let giver = self.allowed.giver();
        let routes_before = self.before.map(|before| before.allowed_routes.as_slice());
        issue::check_allowed_routes(&giver, routes_before, &after.allowed_routes)?;
        if self.allowed.is_admin() {
            return Ok(());
        }
        let passthrough = |key: &Key| key.metadata.get("allowed_passthrough_routes").cloned();
        let admins_own = [
            ("permissions", before.permissions != after.permissions),
            ("spend", before.spend.total_cmp(&after.spend).is_ne()),
            ("budget_id", before.budget_id != after.budget_id),
            ("agent_id", before.agent_id != after.agent_id),
            ("allowed_passthrough_routes", passthrough(before) != passthrough(after)),
        ];
        match admins_own.into_iter().find(|(_, changed)| *changed) {
            Some((name, _)) => Err(AdminError::Forbidden(format!("Only proxy admins can set `{name}`."))),
            None => Ok(()),
        }
    }

    /// Budgets and limits: nobody gives more than they have, and who only owns a key does not loosen what somebody else
    /// bound it by.
    fn check_bounds(&self) -> Result<(), AdminError> {
        let (allowed, after) = (self.allowed, self.after);
        if !(after.spend.is_finite() && after.spend >= 0.0) {
            return Err(AdminError::Invalid(format!(
                "spend must be a non-negative finite number. Received: {}",
                after.spend
            )));
        }
        if self.before.is_none_or(|before| before.max_budget != after.max_budget) {
            issue::check_max_budget(&allowed.giver(), after.max_budget)?;
        }
        let Some(before) = self.before else { return Ok(()) };
        let made_it = before.created_by.is_some() && before.created_by == allowed.tenant.user_id;
        if allowed.is_admin() || made_it || manages(allowed, before, self.team) {
            return Ok(());
        }
        let loosened = [
            ("max_budget", is_looser(before.max_budget, after.max_budget)),
            ("budget_duration", before.budget_duration != after.budget_duration),
            ("rpm_limit", is_looser(before.rpm_limit, after.rpm_limit)),
            ("tpm_limit", is_looser(before.tpm_limit, after.tpm_limit)),
            ("tpd_limit", is_looser(before.tpd_limit, after.tpd_limit)),
            ("max_parallel_requests", is_looser(before.max_parallel_requests, after.max_parallel_requests)),
            ("duration", is_looser(before.expires, after.expires)),
            ("blocked", before.blocked == Some(true) && after.blocked != Some(true)),
            ("object_permission", before.object_permission != after.object_permission),
            ("team_id", before.team_id != after.team_id),
            ("models", before.models != after.models),
            ("metadata", BOUNDS_IN_METADATA.iter().any(|name| before.metadata.get(*name) != after.metadata.get(*name))),
        ];
        match loosened.into_iter().find(|(_, loosened)| *loosened) {
            Some((name, _)) => Err(AdminError::Forbidden(format!(
                "`{name}` of this key was set by somebody else; only its team's admins and proxy admins can change it so."
            ))),
            None => Ok(()),
        }
    }

    fn check_scope(&self, team: Option<&TeamFacts>) -> Result<(), AdminError> {
        let (allowed, after) = (self.allowed, self.after);
        let giver = allowed.giver();
        // In another team everything is judged anew.
        let before = self.before.filter(|before| before.team_id == after.team_id);
        let existing = before.and_then(|before| before.object_permission.as_ref());
        let nothing = ObjectPermission::default();
        let requested = after.object_permission.as_ref().unwrap_or(&nothing);
        let members_may =
            self.team.is_some_and(|team| team.team_member_permissions.iter().any(|may| may == ACCESS_GROUP_ASSIGNMENT));
        let ids = |key: &Key| key.access_group_ids.iter().map(|id| id.as_str().into()).collect::<Vec<AccessGroupId>>();
        let groups_before = before.map(ids).unwrap_or_default();
        allowed.gateway.identity.with_world(|world| {
            issue::check_tool_keys(world, existing, requested)?;
            issue::check_key_scope(world, &giver, KeyScope { requested, existing, team })?;
            issue::check_access_groups(world, &giver, team, members_may, &groups_before, &ids(after))
        })?;
        Ok(())
    }
}

/// `None` is no bound at all.
fn is_looser<T: PartialOrd>(before: Option<T>, after: Option<T>) -> bool {
    match (before, after) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(before), Some(after)) => after > before,
    }
}

/// Routes of a key with which nothing is managed.
const WITHOUT_MANAGEMENT: [&str; 4] = ["llm_api_routes", "mcp_routes", "mcp_inference_routes", "info_routes"];

/// What a key for another member has that a team's admin makes: with all routes it would manage whatever else the member
/// manages.
pub(super) const MEMBERS_KEY_ROUTES: &str = WITHOUT_MANAGEMENT[0];

/// Whether the caller, who is no admin, would come to hold a key of this user's, who is somebody else.
pub(super) fn is_of_another(allowed: &Allowed, user_id: Option<&str>) -> bool {
    !allowed.is_admin() && user_id.is_some() && user_id != allowed.tenant.user_id.as_deref()
}

/// Whoever is told the text of another's key acts as them. So it must be one that manages nothing, of a user who
/// administers nothing.
///
/// # Errors
/// 403.
pub(super) async fn check_held(allowed: &Allowed, key: &Key) -> Result<(), AdminError> {
    let Some(user_id) = key.user_id.as_deref().filter(|user| is_of_another(allowed, Some(user))) else {
        return Ok(());
    };
    let user = allowed.store.user(user_id).await?;
    let role = user.and_then(|user| Role::from_name(user.user_role.as_deref()?));
    let manages_nothing = !key.allowed_routes.is_empty()
        && key.allowed_routes.iter().all(|route| WITHOUT_MANAGEMENT.contains(&route.as_str()));
    if manages_nothing && !role.is_some_and(|role| role.sees_everything() || role == Role::OrgAdmin) {
        return Ok(());
    }
    Err(AdminError::Forbidden(format!(
        "Only proxy admins and user={user_id} can hold this key, which may manage what they manage."
    )))
}

/// Whoever is to have a key in a team is in it.
///
/// # Errors
/// LiteLLM's 400.
pub(super) async fn check_assigned_user(
    allowed: &Allowed,
    user_id: Option<&str>,
    team: Option<&Team>,
) -> Result<(), AdminError> {
    let (Some(user), Some(team)) = (user_id, team) else { return Ok(()) };
    let places = allowed.store.team_memberships_of(user).await?;
    if places.iter().any(|place| place.team_id == team.team_id) {
        return Ok(());
    }
    Err(AdminError::Invalid(format!("User={user} not assigned to team={}", team.team_id)))
}

/// A key that comes into a project is in the project's team, and whoever puts it there manages that team.
///
/// # Errors
/// 400 for a project of another team, and for one that is not there or not the caller's to know of.
pub(super) async fn check_project(allowed: &Allowed, before: Option<&Key>, after: &Key) -> Result<(), AdminError> {
    let Some(project_id) = &after.project_id else { return Ok(()) };
    let same = |before: &Key| before.project_id == after.project_id && before.team_id == after.team_id;
    if before.is_some_and(same) {
        return Ok(());
    }
    let absent = || AdminError::Invalid(format!("Project not found, project_id={project_id}"));
    let project = allowed.store.project(project_id).await?.ok_or_else(absent)?;
    let team = match &project.team_id {
        Some(id) => allowed.store.team(id).await?,
        None => None,
    };
    let manages = |team: &Team| allowed.tenant.manages_team(&team.team_id, team.organization_id.as_deref());
    if !allowed.is_admin() && !team.as_ref().is_some_and(manages) {
        return Err(absent());
    }
    if project.team_id != after.team_id {
        let (theirs, its) = (project.team_id.as_deref().unwrap_or("none"), after.team_id.as_deref().unwrap_or("none"));
        let text =
            format!("project_id={project_id} is of team {theirs}, the key of team {its}; give it the same team_id");
        return Err(AdminError::Invalid(text));
    }
    Ok(())
}
