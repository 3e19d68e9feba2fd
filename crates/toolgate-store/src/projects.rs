//! Projects: between a team and its keys.

use serde_json::{Map, Value};
use toolgate_access::permission::ObjectPermission;

use crate::cell::args;
use crate::keys::delete_keys_where;
use crate::page::{Page, PageOf};
use crate::query::Where;
use crate::row::row;
use crate::{Actor, Budget, Noun, Store, StoreError, Team};

row! {
    /// A project.
    pub struct Project, ProjectChanges in Noun::Project;
    id { project_id }
    free {
        project_alias: Option<String>,
        description: Option<String>,
        team_id: Option<String>,
        budget_id: Option<String>,
        metadata: Map<String, Value>,
        models: Vec<String>,
        /// In this budget period, in USD.
        spend: f64,
        model_spend: Map<String, Value>,
        model_rpm_limit: Map<String, Value>,
        model_tpm_limit: Map<String, Value>,
        blocked: bool,
        object_permission: Option<ObjectPermission>,
    }
}

impl Store {
    /// Keeps a new project.
    pub async fn create_project(&self, actor: &Actor, project: Project) -> Result<Project, StoreError> {
        let mut edit = self.edit(actor).await?;
        edit.require::<Team>(project.team_id.as_ref()).await?;
        edit.require::<Budget>(project.budget_id.as_ref()).await?;
        let project = edit.insert(project).await?;
        edit.commit().await?;
        Ok(project)
    }

    /// The project with this id.
    pub async fn project(&self, project_id: &str) -> Result<Option<Project>, StoreError> {
        self.get(&[project_id]).await
    }

    /// A page of projects, by id; of these teams only, if they are named.
    pub async fn projects(&self, team_ids: Option<&[String]>, page: PageOf) -> Result<Page<Project>, StoreError> {
        let mut session = self.db().read().await?;
        let mut conditions = Where::new(&session);
        conditions.one_of("team_id", team_ids);
        conditions.page_of_rows(&mut session, self.sealer(), "project_id", page).await
    }

    /// Changes a project.
    pub async fn update_project(
        &self,
        actor: &Actor,
        project_id: &str,
        changes: ProjectChanges,
    ) -> Result<Project, StoreError> {
        self.change(actor, &[project_id], changes).await
    }

    /// Deletes projects with their keys; returns those that were there.
    pub async fn delete_projects(&self, actor: &Actor, project_ids: &[String]) -> Result<Vec<Project>, StoreError> {
        let mut edit = self.edit(actor).await?;
        let mut deleted = Vec::new();
        for project_id in project_ids {
            if let Some(project) = edit.find::<Project>(&[project_id]).await? {
                delete_keys_where(&mut edit, "WHERE project_id = $1", args![*project_id]).await?;
                edit.delete(&project).await?;
                deleted.push(project);
            }
        }
        edit.commit().await?;
        Ok(deleted)
    }
}
