//! What servers and tools are collected in: unified access groups and toolsets.

use serde::{Deserialize, Serialize};
use toolgate_access::permission::ToolPermissions;

use crate::cell::json_column;
use crate::row::row;
use crate::{Actor, Noun, Store, StoreError};

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Keeps a new access group.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when its id or name is taken.
    pub async fn create_access_group(&self, actor: &Actor, group: AccessGroup) -> Result<AccessGroup, StoreError> {
        self.create(actor, group).await
    }

    /// The access group with this id.
    pub async fn access_group(&self, access_group_id: &str) -> Result<Option<AccessGroup>, StoreError> {
        self.get(&[access_group_id]).await
    }

    /// All access groups, by name.
    pub async fn access_groups(&self) -> Result<Vec<AccessGroup>, StoreError> {
        self.db().read().await?.select(self.sealer(), "ORDER BY access_group_name", vec![]).await
    }

    /// Changes an access group.
    pub async fn update_access_group(
        &self,
        actor: &Actor,
        access_group_id: &str,
        changes: AccessGroupChanges,
    ) -> Result<AccessGroup, StoreError> {
        self.change(actor, &[access_group_id], changes).await
    }

    /// Deletes an access group. `None` when there was none.
    pub async fn delete_access_group(
        &self,
        actor: &Actor,
        access_group_id: &str,
    ) -> Result<Option<AccessGroup>, StoreError> {
        self.remove(actor, &[access_group_id]).await
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
