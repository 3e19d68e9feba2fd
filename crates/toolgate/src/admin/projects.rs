//! `/project/*`: between a team and its keys, with bounds and a permission that narrow the team's. LiteLLM:
//! `project_endpoints.py`.
//!
//! A team's admins make projects of their team and change them; they neither lift a block nor move a project, and
//! change no budget that others may share. To everybody else a project that is not theirs is one that is not there.

use axum::Json;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use toolgate_access::permission::ObjectPermissionUpdate;
use toolgate_store::{Budget, Change, MAX_PAGE_SIZE, OwnBudget, PageOf, Project, ProjectChanges, StoreError, Team};

use super::body::{FieldError, JsonBody, QueryOf};
use super::budgets::Bounds;
use super::terms::{self, Sent, or_empty, shown, value};
use super::{AdminError, Allowed};

/// The team's list of models that stands for all of them.
const ALL_MODELS: &str = "all-proxy-models";

/// The fields of a project, as they are sent to make or change one.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProjectBody {
    project_id: Option<String>,
    project_alias: Sent<String>,
    description: Sent<String>,
    team_id: Option<String>,
    budget_id: Sent<String>,
    metadata: Sent<Map<String, Value>>,
    models: Sent<Vec<String>>,
    blocked: Option<bool>,
    object_permission: Option<ObjectPermissionUpdate>,
    max_budget: Sent<f64>,
    soft_budget: Sent<f64>,
    max_parallel_requests: Sent<i64>,
    tpm_limit: Sent<i64>,
    rpm_limit: Sent<i64>,
    model_max_budget: Sent<Value>,
    budget_duration: Sent<String>,
    model_rpm_limit: Sent<Map<String, Value>>,
    model_tpm_limit: Sent<Map<String, Value>>,
    // LiteLLM keeps these in `metadata`.
    tags: Sent<Value>,
    mcp_rpm_limit: Sent<Map<String, Value>>,
}

impl ProjectBody {
    fn bounds(&self) -> Bounds {
        Bounds {
            max_budget: self.max_budget,
            soft_budget: self.soft_budget,
            max_parallel_requests: self.max_parallel_requests,
            tpm_limit: self.tpm_limit,
            rpm_limit: self.rpm_limit,
            model_max_budget: self.model_max_budget.clone(),
            budget_duration: self.budget_duration.clone(),
            ..Bounds::default()
        }
    }

    /// What a project may have is at most what its team has. The texts are LiteLLM's.
    fn check_within(&self, team: &Team) -> Result<(), AdminError> {
        terms::check_soft_budget(value(&self.soft_budget), value(&self.max_budget))?;
        terms::check_mcp_rpm_limit(&self.mcp_rpm_limit)?;
        let of = &team.team_id;
        let every = team.models.is_empty() || team.models.iter().any(|model| model == ALL_MODELS);
        if let Some(model) = value(&self.models).unwrap_or_default().iter().find(|model| !team.models.contains(*model))
            && !every
        {
            let has = &team.models;
            let text = format!("Model '{model}' not in team's allowed models. Team allowed models={has:?}. Team: {of}");
            return Err(AdminError::Invalid(text));
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "limits are told as LiteLLM tells them; they are far below 2^52"
        )]
        let limits = [
            ("max_budget", value(&self.max_budget), team.max_budget),
            ("tpm_limit", value(&self.tpm_limit).map(|limit| limit as f64), team.tpm_limit.map(|limit| limit as f64)),
            ("rpm_limit", value(&self.rpm_limit).map(|limit| limit as f64), team.rpm_limit.map(|limit| limit as f64)),
        ];
        for (field, asked, most) in limits {
            if let (Some(asked), Some(most)) = (asked, most)
                && asked > most
            {
                let text = format!("Project {field} ({asked}) exceeds team's {field} ({most}). Team: {of}");
                return Err(AdminError::Invalid(text));
            }
        }
        Ok(())
    }

    fn metadata_after(&self, before: &Map<String, Value>) -> Map<String, Value> {
        let mut metadata = match &self.metadata {
            Change::Keep => before.clone(),
            Change::Set(sent) => sent.clone().unwrap_or_default(),
        };
        let mcp_rpm_limit = match &self.mcp_rpm_limit {
            Change::Keep => Change::Keep,
            Change::Set(limits) => Change::Set(limits.clone().map(Value::Object)),
        };
        terms::put_into(&mut metadata, vec![("tags", self.tags.clone()), ("mcp_rpm_limit", mcp_rpm_limit)]);
        metadata
    }
}

fn absent(project_id: &str) -> AdminError {
    AdminError::NotFound(format!("Project not found, project_id={project_id}"))
}

/// The budget that a project has to itself: nobody but proxy admins gives a budget an id.
fn own_budget_id(project_id: &str) -> String {
    format!("project:{project_id}")
}

fn own_budget(project_id: &str, body: &ProjectBody) -> Result<OwnBudget, AdminError> {
    Ok(OwnBudget { new_id: own_budget_id(project_id), changes: body.bounds().changes()? })
}

/// The team that the caller manages; what is not theirs is not there.
async fn managed_team(allowed: &Allowed, team_id: &str) -> Result<Team, AdminError> {
    let team = allowed.store.team(team_id).await?;
    let manages =
        |team: &Team| allowed.is_admin() || allowed.tenant.manages_team(&team.team_id, team.organization_id.as_deref());
    team.filter(manages).ok_or_else(|| AdminError::NotFound(format!("Team not found, team_id={team_id}")))
}

/// A project that the caller manages, and its team.
async fn managed(allowed: &Allowed, project_id: &str) -> Result<(Project, Option<Team>), AdminError> {
    let project = allowed.store.project(project_id).await?.ok_or_else(|| absent(project_id))?;
    let team = match &project.team_id {
        Some(id) => allowed.store.team(id).await?,
        None => None,
    };
    let manages = |team: &Team| allowed.tenant.manages_team(&team.team_id, team.organization_id.as_deref());
    if allowed.is_admin() || team.as_ref().is_some_and(manages) { Ok((project, team)) } else { Err(absent(project_id)) }
}

fn only_admins(what: &str) -> AdminError {
    AdminError::Forbidden(format!("Only proxy admins can set `{what}` of a project"))
}

/// `POST /project/new`. Without `budget_id` it gets a budget of its own.
pub async fn new(allowed: Allowed, JsonBody(body): JsonBody<ProjectBody>) -> Result<Json<Value>, AdminError> {
    let team_id = body.team_id.as_deref().filter(|id| !id.is_empty());
    let team_id = team_id.ok_or_else(|| FieldError::wrong("team_id", "it is needed"))?;
    let team = managed_team(&allowed, team_id).await?;
    body.check_within(&team)?;
    terms::check_given_budget(&allowed, &body.max_budget)?;
    let project_id = body.project_id.clone().filter(|id| !id.is_empty()).unwrap_or_else(terms::new_id);
    let budget_id = value(&body.budget_id);
    let own = match &budget_id {
        Some(_) if !allowed.is_admin() => return Err(only_admins("budget_id")),
        Some(_) if body.bounds().is_sent() => {
            return Err(FieldError::wrong("budget_id", "give either it or the bounds of a new budget").into());
        }
        Some(_) => None,
        None => Some(own_budget(&project_id, &body)?),
    };
    let object_permission = terms::narrowing_permission(None, body.object_permission.clone());
    let project = Project {
        project_id: project_id.clone(),
        project_alias: value(&body.project_alias),
        description: value(&body.description),
        team_id: Some(team.team_id),
        budget_id,
        metadata: body.metadata_after(&Map::new()),
        models: value(&body.models).unwrap_or_default(),
        model_rpm_limit: value(&body.model_rpm_limit).unwrap_or_default(),
        model_tpm_limit: value(&body.model_tpm_limit).unwrap_or_default(),
        blocked: body.blocked.unwrap_or_default(),
        object_permission: value(&object_permission),
        ..Project::default()
    };
    match allowed.store.create_project(&allowed.actor, project, own).await {
        Ok(project) => whole(&allowed, &project).await.map(Json),
        Err(StoreError::Conflict { .. }) => Err(AdminError::Taken(format!(
            "Project id = {project_id} already exists. Please use a different project id."
        ))),
        Err(why) => Err(why.into()),
    }
}

/// `POST /project/update`: what is not sent stays, null clears.
pub async fn update(allowed: Allowed, JsonBody(body): JsonBody<ProjectBody>) -> Result<Json<Value>, AdminError> {
    let id = body.project_id.clone().ok_or_else(|| AdminError::Invalid("project_id is required".to_owned()))?;
    let (before, team) = managed(&allowed, &id).await?;
    check_admins_own(&allowed, &before, &body)?;
    let team = match body.team_id.as_deref() {
        Some(other) => Some(managed_team(&allowed, other).await?),
        None => team,
    };
    if let Some(team) = &team {
        body.check_within(team)?;
    }
    terms::check_given_budget(&allowed, &body.max_budget)?;
    let own = if body.bounds().is_sent() { Some(own_budget(&id, &body)?) } else { None };
    let object_permission =
        terms::narrowing_permission(before.object_permission.as_ref(), body.object_permission.clone());
    let metadata = body.metadata_after(&before.metadata);
    let changes = ProjectChanges {
        project_alias: body.project_alias,
        description: body.description,
        team_id: body.team_id.map(Some).into(),
        budget_id: body.budget_id,
        metadata: Change::Set(metadata),
        models: or_empty(body.models),
        model_rpm_limit: or_empty(body.model_rpm_limit),
        model_tpm_limit: or_empty(body.model_tpm_limit),
        blocked: body.blocked.into(),
        object_permission,
        ..ProjectChanges::default()
    };
    let after = allowed.store.update_project(&allowed.actor, &id, changes, own).await?;
    whole(&allowed, &after).await.map(Json)
}

/// What was set for a team's admins is not theirs to undo.
fn check_admins_own(allowed: &Allowed, before: &Project, body: &ProjectBody) -> Result<(), AdminError> {
    if allowed.is_admin() {
        return Ok(());
    }
    let is_shared = before.budget_id.as_ref().is_some_and(|id| *id != own_budget_id(&before.project_id));
    let admins_own = [
        ("team_id", body.team_id.is_some() && body.team_id != before.team_id),
        ("budget_id", body.budget_id != Change::Keep),
        ("blocked", body.blocked.is_some_and(|blocked| blocked != before.blocked)),
        ("max_budget", is_shared && body.bounds().is_sent()),
    ];
    match admins_own.into_iter().find(|(_, sent)| *sent) {
        Some((name, _)) => Err(only_admins(name)),
        None => Ok(()),
    }
}

/// The query of `/project/info`.
#[derive(Deserialize, JsonSchema)]
pub struct Asked {
    project_id: String,
}

/// `GET /project/info?project_id=`: for those who see everything, and the members of its team.
pub async fn info(allowed: Allowed, QueryOf(query): QueryOf<Asked>) -> Result<Json<Value>, AdminError> {
    let project = allowed.store.project(&query.project_id).await?.filter(|project| sees(&allowed, project));
    let project = project.ok_or_else(|| absent(&query.project_id))?;
    whole(&allowed, &project).await.map(Json)
}

fn sees(allowed: &Allowed, project: &Project) -> bool {
    allowed.sees_everything() || project.team_id.as_ref().is_some_and(|id| allowed.tenant.is_in_team(id))
}

/// The query of `/project/list`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Listed {
    #[schemars(with = "Option<u32>")]
    page: Option<String>,
    #[schemars(with = "Option<u32>")]
    page_size: Option<String>,
}

/// `GET /project/list`: those of the caller's teams. LiteLLM has no pages here, so all of them come where none is asked
/// for.
pub async fn list(allowed: Allowed, QueryOf(query): QueryOf<Listed>) -> Result<Json<Vec<Value>>, AdminError> {
    let of_teams = || allowed.tenant.teams.iter().map(|of| of.team_id.clone()).collect::<Vec<_>>();
    let visible = (!allowed.sees_everything()).then(of_teams);
    let everything = query.page.is_none() && query.page_size.is_none();
    let mut at = terms::page_of(query.page.as_deref(), query.page_size.as_deref(), MAX_PAGE_SIZE, MAX_PAGE_SIZE)?;
    let mut projects = Vec::new();
    loop {
        let page = allowed.store.projects(visible.as_deref(), at).await?;
        let ids: Vec<_> = page.items.iter().filter_map(|project| project.budget_id.clone()).collect();
        let budgets = if ids.is_empty() { Vec::new() } else { allowed.store.budgets_by_id(&ids).await? };
        for project in &page.items {
            let budget = budgets.iter().find(|budget| project.budget_id.as_ref() == Some(&budget.budget_id));
            projects.push(of(project, budget));
        }
        if !everything || i64::from(at.page()) >= page.pages() {
            return Ok(Json(projects));
        }
        at = PageOf::new(at.page() + 1, at.size());
    }
}

/// The body of `/project/delete`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ProjectsDeleted")]
pub struct Deleted {
    project_ids: Vec<String>,
}

/// `DELETE /project/delete`: all of them, or none if one is not there or has keys.
pub async fn delete(allowed: Allowed, JsonBody(body): JsonBody<Deleted>) -> Result<Json<Vec<Value>>, AdminError> {
    match allowed.store.delete_projects(&allowed.actor, &body.project_ids).await {
        Ok(deleted) => Ok(Json(deleted.iter().map(|project| of(project, None)).collect())),
        Err(StoreError::NotFound { id, .. }) => Err(absent(&id)),
        Err(StoreError::InUse { id, by, .. }) => Err(AdminError::Invalid(format!(
            "Cannot delete project {id}. {by} key(s) are associated with it. Please delete or reassign the keys first."
        ))),
        Err(why) => Err(why.into()),
    }
}

async fn whole(allowed: &Allowed, project: &Project) -> Result<Value, AdminError> {
    let budget = match &project.budget_id {
        Some(id) => allowed.store.budget(id).await?,
        None => None,
    };
    Ok(of(project, budget.as_ref()))
}

fn of(project: &Project, budget: Option<&Budget>) -> Value {
    shown(project, json!({ "litellm_budget_table": budget }))
}
