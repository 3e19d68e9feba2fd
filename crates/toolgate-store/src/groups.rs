//! What servers and tools are collected in: unified access groups and toolsets.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use toolgate_access::permission::ToolPermissions;

use crate::cell::json_column;
use crate::edit::Edit;
use crate::query::Where;
use crate::row::{ChangesOf as _, Row, row};
use crate::{Actor, Key, Noun, Store, StoreError, Team};

row! {
    /// A unified access group, attached to keys and teams by their `access_group_ids`.
    pub struct AccessGroup, AccessGroupChanges in Noun::AccessGroup;
    id { access_group_id }
    free {
        access_group_name: String,
        description: Option<String>,
        access_model_names: Vec<String>,
        access_mcp_server_ids: Vec<String>,
        mcp_tool_permissions: Option<ToolPermissions>,
        access_agent_ids: Vec<String>,
        access_skill_names: Vec<String>,
        assigned_team_ids: Vec<String>,
        assigned_key_ids: Vec<String>,
    }
}

/// A tool of a toolset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ToolsetToolShown")]
pub struct ToolsetTool {
    /// The server's id.
    pub server_id: String,
    /// The tool's bare name.
    pub tool_name: String,
}

json_column! { Vec<ToolsetTool> }

row! {
    /// A toolset.
    pub struct Toolset, ToolsetChanges in Noun::Toolset;
    id { toolset_id }
    free {
        toolset_name: String,
        description: Option<String>,
        tools: Vec<ToolsetTool>,
    }
}

impl Store {
    /// Keeps a new access group; the teams and keys that it is assigned to name it from then on.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when its id or name is taken.
    pub async fn create_access_group(&self, actor: &Actor, group: AccessGroup) -> Result<AccessGroup, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let group = edit.insert(group).await?;
            edit.assign(&AccessGroup::default(), &group).await?;
            edit.commit().await?;
            Ok(group)
        })
        .await
    }

    /// The access group with this id.
    pub async fn access_group(&self, access_group_id: &str) -> Result<Option<AccessGroup>, StoreError> {
        self.get(&[access_group_id]).await
    }

    /// All access groups, by name.
    pub async fn access_groups(&self) -> Result<Vec<AccessGroup>, StoreError> {
        self.db().read().await?.select(self.sealer(), "ORDER BY access_group_name", vec![]).await
    }

    /// Changes an access group; teams and keys that it is assigned to now or no longer follow.
    pub async fn update_access_group(
        &self,
        actor: &Actor,
        access_group_id: &str,
        changes: AccessGroupChanges,
    ) -> Result<AccessGroup, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let before = edit.existing::<AccessGroup>(&[access_group_id]).await?;
            let mut after = before.clone();
            changes.apply(&mut after);
            let after = edit.write(&before, after).await?;
            edit.assign(&before, &after).await?;
            edit.commit().await?;
            Ok(after)
        })
        .await
    }

    /// Deletes an access group; no team or key names it any more. `None` when there was none.
    pub async fn delete_access_group(
        &self,
        actor: &Actor,
        access_group_id: &str,
    ) -> Result<Option<AccessGroup>, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let Some(group) = edit.find::<AccessGroup>(&[access_group_id]).await? else { return Ok(None) };
            let id = group.access_group_id.clone();
            for team in edit.naming::<Team>(&id).await? {
                edit.name_in_team(&team.team_id, &id, false).await?;
            }
            for key in edit.naming::<Key>(&id).await? {
                edit.name_in_key(&key.token, &id, false).await?;
            }
            edit.delete(&group).await?;
            edit.commit().await?;
            Ok(Some(group))
        })
        .await
    }

    /// Keeps a new toolset.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when its id or name is taken.
    pub async fn create_toolset(&self, actor: &Actor, toolset: Toolset) -> Result<Toolset, StoreError> {
        self.create(actor, toolset).await
    }

    /// The toolset with this id.
    pub async fn toolset(&self, toolset_id: &str) -> Result<Option<Toolset>, StoreError> {
        self.get(&[toolset_id]).await
    }

    /// All toolsets, by name.
    pub async fn toolsets(&self) -> Result<Vec<Toolset>, StoreError> {
        self.db().read().await?.select(self.sealer(), "ORDER BY toolset_name", vec![]).await
    }

    /// Changes a toolset.
    pub async fn update_toolset(
        &self,
        actor: &Actor,
        toolset_id: &str,
        changes: ToolsetChanges,
    ) -> Result<Toolset, StoreError> {
        self.change(actor, &[toolset_id], changes).await
    }

    /// Deletes a toolset. `None` when there was none.
    pub async fn delete_toolset(&self, actor: &Actor, toolset_id: &str) -> Result<Option<Toolset>, StoreError> {
        self.remove(actor, &[toolset_id]).await
    }
}

impl Edit<'_> {
    /// Has teams and keys name the group or not, as far as it was assigned to other ones before. One that is not there
    /// is left out.
    async fn assign(&mut self, before: &AccessGroup, after: &AccessGroup) -> Result<(), StoreError> {
        let id = &after.access_group_id;
        for team_id in differing(&before.assigned_team_ids, &after.assigned_team_ids) {
            self.name_in_team(team_id, id, after.assigned_team_ids.contains(team_id)).await?;
        }
        for token in differing(&before.assigned_key_ids, &after.assigned_key_ids) {
            self.name_in_key(token, id, after.assigned_key_ids.contains(token)).await?;
        }
        Ok(())
    }

    /// The rows that name the group.
    async fn naming<R: Row>(&mut self, access_group_id: &String) -> Result<Vec<R>, StoreError> {
        let mut condition = Where::new(&self.session);
        condition.lists("access_group_ids", Some(access_group_id));
        let (sql, args) = condition.into_sql();
        self.select(&sql, args).await
    }

    async fn name_in_team(&mut self, team_id: &str, id: &String, names: bool) -> Result<(), StoreError> {
        let Some(team) = self.find::<Team>(&[team_id]).await? else { return Ok(()) };
        let Some(access_group_ids) = with(&team.access_group_ids, id, names) else { return Ok(()) };
        self.write(&team, Team { access_group_ids, ..team.clone() }).await.map(|_| ())
    }

    async fn name_in_key(&mut self, token: &str, id: &String, names: bool) -> Result<(), StoreError> {
        let Some(key) = self.find::<Key>(&[token]).await? else { return Ok(()) };
        let Some(access_group_ids) = with(&key.access_group_ids, id, names) else { return Ok(()) };
        self.write(&key, Key { access_group_ids, ..key.clone() }).await.map(|_| ())
    }
}

/// What is in one list and not in the other.
fn differing<'a>(before: &'a [String], after: &'a [String]) -> BTreeSet<&'a String> {
    let (before, after): (BTreeSet<_>, BTreeSet<_>) = (before.iter().collect(), after.iter().collect());
    before.symmetric_difference(&after).copied().collect()
}

/// The list with or without the id, if that is another list.
fn with(ids: &[String], id: &String, has_it: bool) -> Option<Vec<String>> {
    if ids.contains(id) == has_it {
        return None;
    }
    let others = ids.iter().filter(|other| *other != id).cloned();
    Some(others.chain(has_it.then(|| id.clone())).collect())
}
