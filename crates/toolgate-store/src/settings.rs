//! Settings that are changed through the API.

use serde_json::Value;

use crate::row::row;
use crate::{Actor, Noun, Store, StoreError};

row! {
    /// A setting, as LiteLLM keeps sections of its configuration.
    pub struct Setting, SettingChanges in Noun::Setting;
    id { param_name }
    free {
        param_value: Option<Value>,
    }
}

impl Store {
    /// The setting of this name.
    pub async fn setting(&self, param_name: &str) -> Result<Option<Setting>, StoreError> {
        self.get(&[param_name]).await
    }

    /// All settings, by name.
    pub async fn settings(&self) -> Result<Vec<Setting>, StoreError> {
        self.db().read().await?.select(self.sealer(), "ORDER BY param_name", vec![]).await
    }

    /// Keeps a setting, in place of what it was.
    pub async fn put_setting(&self, actor: &Actor, setting: Setting) -> Result<Setting, StoreError> {
        let mut edit = self.edit(actor).await?;
        let setting = edit.upsert(setting).await?;
        edit.commit().await?;
        Ok(setting)
    }

    /// Deletes a setting. `None` when there was none.
    pub async fn delete_setting(&self, actor: &Actor, param_name: &str) -> Result<Option<Setting>, StoreError> {
        self.remove(actor, &[param_name]).await
    }
}
