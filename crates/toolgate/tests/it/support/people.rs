//! Holders of virtual keys, in a database in memory.

use std::time::Duration;

use serde_json::Value;
use toolgate_access::key::VirtualKey;
use toolgate_store::{Actor, Key, Store, Team, Toolset, User};

use super::{Caller, Config, TestGateway, memory, soon};

/// A database with whom a test puts into it.
pub(crate) struct People {
    pub(crate) store: Store,
}

impl People {
    pub(crate) async fn new() -> Self {
        Self { store: memory().await }
    }

    /// A gateway on this database.
    pub(crate) async fn gateway(&self, config: Config) -> TestGateway {
        TestGateway::start_with_store(config, self.store.clone()).await
    }

    /// A key `sk-{alias}...` with this object permission.
    pub(crate) async fn key(&self, alias: &str, permission: Value) -> String {
        self.key_of(alias, permission, Key::default()).await
    }

    /// The same with what else `key` says.
    pub(crate) async fn key_of(&self, alias: &str, permission: Value, key: Key) -> String {
        let text = format!("sk-{alias}-{}", "0123456789abcdef".repeat(2));
        let key = Key {
            token: hash(&text),
            key_alias: Some(alias.to_owned()),
            object_permission: serde_json::from_value(permission).unwrap(),
            ..key
        };
        self.store.create_key(&actor(), key).await.unwrap();
        text
    }

    /// A key of a user with this role.
    pub(crate) async fn key_of_role(&self, role: &str) -> String {
        let user_id = format!("user-{role}");
        let user = User { user_id: user_id.clone(), user_role: Some(role.to_owned()), ..User::default() };
        self.store.create_user(&actor(), user, Vec::new()).await.unwrap();
        self.key_of(role, Value::Null, Key { user_id: Some(user_id), ..Key::default() }).await
    }

    /// A team with this object permission.
    pub(crate) async fn team(&self, team_id: &str, permission: Value) {
        let object_permission = serde_json::from_value(permission).unwrap();
        let team = Team { team_id: team_id.to_owned(), object_permission, ..Team::default() };
        self.store.create_team(&actor(), team, Vec::new()).await.unwrap();
    }

    /// A toolset of these tools, each `server_id/tool`.
    pub(crate) async fn toolset(&self, id: &str, name: &str, tools: &[&str]) {
        let tools = tools.iter().map(|tool| tool.split_once('/').unwrap()).map(|(server_id, tool_name)| {
            toolgate_store::ToolsetTool { server_id: server_id.to_owned(), tool_name: tool_name.to_owned() }
        });
        let toolset = Toolset {
            toolset_id: id.to_owned(),
            toolset_name: name.to_owned(),
            tools: tools.collect(),
            ..Toolset::default()
        };
        self.store.create_toolset(&actor(), toolset).await.unwrap();
    }
}

/// The hash under which a key is kept.
pub(crate) fn hash(key: &str) -> String {
    VirtualKey::parse(key).unwrap().hash().to_hex()
}

/// Whoever does something in the database beside the gateway.
pub(crate) fn actor() -> Actor {
    Actor { changed_by: "test".to_owned(), ..Actor::default() }
}

impl TestGateway {
    /// A caller with this key.
    pub(crate) fn holder(&self, key: &str) -> Caller {
        self.anonymous().with("x-litellm-api-key", &format!("Bearer {key}"))
    }

    /// Asks until it is so: what is changed in the database beside the gateway is heard of within a moment.
    pub(crate) async fn until(&self, is_so: impl AsyncFn() -> bool) {
        soon("hearing of a change in the database", async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}
