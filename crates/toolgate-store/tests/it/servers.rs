use serde_json::json;
use toolgate_store::{
    AccessGroup, Change, Health, Secret, Server, ServerChanges, ServerOauthClient, StoreError, Toolset, ToolsetChanges,
    ToolsetTool, UserCredential, UserEnvVars,
};

use crate::support::{actor, stores, time};

fn server(id: &str, alias: &str) -> Server {
    Server { server_id: id.into(), alias: Some(alias.into()), ..Server::default() }
}

#[tokio::test]
async fn a_server_is_kept_with_its_defaults_and_its_names_are_its_own() {
    for (_database, store) in stores().await {
        let kept = store
            .create_server(&actor(), Server { pinned_tools: Some(json!({ "a": "b" })), ..server("s1", "github") })
            .await
            .unwrap();
        assert!(kept.available_on_public_internet);
        assert_eq!((kept.transport.as_str(), kept.approval_status.as_deref()), ("sse", Some("active")));
        assert_eq!(store.server("s1").await.unwrap(), Some(kept));
        let taken = store.create_server(&actor(), server("s2", "github")).await.unwrap_err();
        assert_eq!(taken, StoreError::Conflict { what: "alias".into() });
        store.create_server(&actor(), server("s2", "gitlab")).await.unwrap();
        let changes = ServerChanges { alias: Change::Set(Some("github".into())), ..ServerChanges::default() };
        assert!(matches!(store.update_server(&actor(), "s2", changes).await, Err(StoreError::Conflict { .. })));
    }
}

#[tokio::test]
async fn a_health_check_is_written_without_a_revision() {
    for (_database, store) in stores().await {
        store.create_server(&actor(), server("s", "a")).await.unwrap();
        let revision = *store.changes().borrow();
        let health = Health { status: "healthy".into(), error: None, at: time("2026-03-01T12:00:00Z") };
        store.record_server_health("s", &health).await.unwrap();
        assert_eq!(store.server("s").await.unwrap().unwrap().status.as_deref(), Some("healthy"));
        assert_eq!(*store.changes().borrow(), revision);
    }
}

#[tokio::test]
async fn what_users_keep_for_a_server_is_replaced_and_goes_with_it() {
    for (_database, store) in stores().await {
        store.create_server(&actor(), server("s", "a")).await.unwrap();
        for value in ["one", "two"] {
            let credential = UserCredential {
                user_id: "u".into(),
                server_id: "s".into(),
                credential: Some(Secret::new(value)),
                ..UserCredential::default()
            };
            store.put_user_credential(&actor(), credential).await.unwrap();
        }
        let values = UserEnvVars {
            user_id: "u".into(),
            server_id: "s".into(),
            env_values: Some(Secret::new("{}")),
            ..UserEnvVars::default()
        };
        store.put_user_env_vars(&actor(), values).await.unwrap();
        let client =
            ServerOauthClient { server_id: "s".into(), credentials: Some(Secret::new("{}")), ..Default::default() };
        store.put_server_oauth_client(&actor(), client).await.unwrap();
        let kept = store.user_credential("u", "s").await.unwrap().unwrap();
        assert_eq!(kept.credential.unwrap().expose(), Some("two"));
        assert_eq!(store.user_credentials("u").await.unwrap().len(), 1);

        store.delete_server(&actor(), "s").await.unwrap().unwrap();
        assert_eq!(store.user_credential("u", "s").await.unwrap(), None);
        assert_eq!(store.user_env_vars("u", "s").await.unwrap(), None);
        assert_eq!(store.server_oauth_client("s").await.unwrap(), None);
        assert!(!store.delete_user_credential(&actor(), "u", "s").await.unwrap());
        assert!(!store.delete_user_env_vars(&actor(), "u", "s").await.unwrap());
    }
}

#[tokio::test]
async fn groups_and_toolsets_have_names_of_their_own() {
    for (_database, store) in stores().await {
        let group = |id: &str| AccessGroup {
            access_group_id: id.into(),
            access_group_name: "dev".into(),
            access_mcp_server_ids: vec!["s".into()],
            ..AccessGroup::default()
        };
        store.create_access_group(&actor(), group("g1")).await.unwrap();
        let taken = store.create_access_group(&actor(), group("g2")).await.unwrap_err();
        assert_eq!(taken, StoreError::Conflict { what: "access_group_name".into() });
        assert_eq!(store.access_groups().await.unwrap().len(), 1);

        let tool = ToolsetTool { server_id: "s".into(), tool_name: "read".into() };
        let toolset =
            Toolset { toolset_id: "t".into(), toolset_name: "readers".into(), tools: vec![tool], ..Toolset::default() };
        store.create_toolset(&actor(), toolset.clone()).await.unwrap();
        assert_eq!(store.toolset("t").await.unwrap().unwrap().tools, toolset.tools);
        let changes = ToolsetChanges { tools: Change::Set(vec![]), ..ToolsetChanges::default() };
        assert_eq!(store.update_toolset(&actor(), "t", changes).await.unwrap().tools, []);
        store.delete_toolset(&actor(), "t").await.unwrap().unwrap();
        store.delete_access_group(&actor(), "g1").await.unwrap().unwrap();
        assert_eq!((store.toolsets().await.unwrap().len(), store.access_groups().await.unwrap().len()), (0, 0));
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_keeps_no_other_from_being_read_and_can_be_deleted() {
    for (database, store) in stores().await {
        for (id, alias) in [("a", "first"), ("b", "second"), ("c", "third")] {
            store.create_server(&actor(), server(id, alias)).await.unwrap();
        }
        database.sabotage("UPDATE servers SET mcp_access_groups = '5' WHERE server_id = 'b'").await;
        assert!(matches!(store.servers().await, Err(StoreError::Corrupt { .. })));
        let each = store.servers_each().await.unwrap();
        let read: Vec<_> =
            each.iter().map(|server| server.as_ref().map_or(None, |server| server.alias.as_deref())).collect();
        assert_eq!(read, [Some("first"), None, Some("third")]);
        let damaged = each[1].as_ref().unwrap_err();
        assert!(damaged.server_id == "b" && damaged.why.contains("mcp_access_groups"), "{damaged:?}");
        assert!(store.delete_server(&actor(), "b").await.unwrap().is_some());
        assert_eq!(store.servers().await.unwrap().len(), 2);
    }
}
