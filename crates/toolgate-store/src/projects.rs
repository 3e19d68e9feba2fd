//! Projects: between a team and its keys.

use serde_json::{Map, Value};
use toolgate_access::permission::ObjectPermission;

use crate::cell::args;
use crate::page::{Page, PageOf};
use crate::query::Where;
use crate::row::{ChangesOf as _, row};
use crate::{Actor, Noun, OwnBudget, Store, StoreError, Team};

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
    /// Keeps a new project, with its bounds if there are some.
    pub async fn create_project(
        &self,
        actor: &Actor,
        project: Project,
        own: Option<OwnBudget>,
    ) -> Result<Project, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            edit.require::<Team>(project.team_id.as_ref()).await?;
            let project = edit.insert_bounded(project, own).await?;
            edit.commit().await?;
            Ok(project)
        })
        .await
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

    /// Changes a project, and its bounds if some are sent.
    pub async fn update_project(
        &self,
        actor: &Actor,
        project_id: &str,
        changes: ProjectChanges,
        own: Option<OwnBudget>,
    ) -> Result<Project, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let before = edit.existing::<Project>(&[project_id]).await?;
            let mut after = before.clone();
            changes.apply(&mut after);
            if after.team_id != before.team_id {
                edit.require::<Team>(after.team_id.as_ref()).await?;
            }
            let project = edit.write_bounded(&before, after, own).await?;
            edit.commit().await?;
            Ok(project)
        })
        .await
    }

    /// Deletes projects that no key belongs to: all of them, or none.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for one that is not there, [`StoreError::InUse`] for one that has keys.
    pub async fn delete_projects(&self, actor: &Actor, project_ids: &[String]) -> Result<Vec<Project>, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let mut deleted = Vec::new();
            for project_id in project_ids {
                let project = edit.existing::<Project>(&[project_id]).await?;
                let sql = "SELECT COUNT(*) FROM keys WHERE project_id = $1";
                let keys = edit.session.value::<i64>(sql, args![*project_id]).await?.unwrap_or_default();
                if keys > 0 {
                    return Err(StoreError::InUse { id: project_id.clone(), by: keys, what: "keys" });
                }
                edit.delete(&project).await?;
                deleted.push(project);
            }
            edit.commit().await?;
            Ok(deleted)
        })
        .await
    }
}
