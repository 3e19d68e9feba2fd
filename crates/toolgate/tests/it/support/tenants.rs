//! Two tenants on one gateway, for what one of them must not see of the other.

use http::Method;
use serde_json::{Value, json};
use toolgate_store::{Key, Store};

use super::{Caller, FakeMcp, TestGateway, config, key_of, memory, script};

/// Two organizations with a team and an admin each, and members of the first.
pub(crate) struct Tenants {
    pub(crate) gate: TestGateway,
    pub(crate) store: Store,
    _files: FakeMcp,
}

impl Tenants {
    pub(crate) async fn start() -> Self {
        let files = FakeMcp::start(script().tools(&["read", "write", "delete"])).await;
        let store = memory().await;
        let gate = TestGateway::start_with_store(config().server("files", files.entry()), store.clone()).await;
        let this = Self { gate, store, _files: files };
        for (house, team, boss) in [("red", "red-crew", "ann"), ("blue", "blue-crew", "bob")] {
            let organization = json!({ "organization_id": house, "organization_alias": house, "max_budget": 100.0 });
            this.did("/organization/new", organization).await;
            this.did("/user/new", json!({ "user_id": boss, "organizations": [house], "auto_create_key": false })).await;
            let role = json!({ "organization_id": house, "user_id": boss, "role": "org_admin" });
            this.done(Method::PATCH, "/organization/member_update", role).await;
            this.did("/team/new", json!({ "team_id": team, "organization_id": house })).await;
        }
        for (user, role) in [("tina", "admin"), ("max", "user")] {
            let body = json!({ "user_id": user, "organizations": ["red"], "auto_create_key": false });
            this.did("/user/new", body).await;
            let member = json!({ "team_id": "red-crew", "member": { "user_id": user, "role": role } });
            this.did("/team/member_add", member).await;
        }
        this
    }

    pub(crate) async fn did(&self, path: &str, body: Value) -> Value {
        self.done(Method::POST, path, body).await
    }

    pub(crate) async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        let reply = self.gate.admin().send(method, path, body.to_string()).await;
        assert!(reply.status.is_success(), "{path}: {reply:?}");
        reply.json()
    }

    /// Somebody with a key of their own.
    pub(crate) async fn user(&self, user: &str) -> Caller {
        let key = format!("sk-of-{user}");
        key_of(&self.store, &key, Key { user_id: Some(user.into()), ..Key::default() }).await;
        self.holder(&key)
    }

    pub(crate) fn holder(&self, key: &str) -> Caller {
        self.gate.anonymous().with("authorization", &format!("Bearer {key}"))
    }
}
