//! Import from a LiteLLM database. Needs PostgreSQL, which is what LiteLLM keeps things in.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use toolgate_access::key::{KeyHash, VirtualKey};
use toolgate_store::{
    Import, ImportError, ImportOptions, KeyFilter, LitellmDatabase, PageOf, Secret, ServerChanges, Store, Verdict,
};

use crate::support::{TestDatabase, actor, databases, stores};

const SCHEMA: &str = include_str!("../litellm/schema.sql");
const ROWS: &str = include_str!("../litellm/rows.sql");

/// A PostgreSQL database with these statements in it; `None` where there is no server.
async fn litellm(statements: &[&str]) -> Option<TestDatabase> {
    let database = databases().await.into_iter().find(|database| database.engine == "postgres")?;
    let mut raw = PgConnection::connect(&database.place()).await.unwrap();
    for statement in statements {
        raw.execute(AssertSqlSafe((*statement).to_owned())).await.unwrap();
    }
    raw.close().await.unwrap();
    Some(database)
}

fn source(database: &TestDatabase, salt_key: &str) -> LitellmDatabase {
    LitellmDatabase { url: database.place().into(), salt_key: salt_key.into() }
}

async fn import(store: &Store, database: &TestDatabase) -> Import {
    store.import_litellm(&source(database, "sk-salt-of-litellm"), ImportOptions::default()).await.unwrap()
}

fn hash(key: &str) -> KeyHash {
    VirtualKey::parse(key).unwrap().hash()
}

fn counts(import: &Import) -> Value {
    import
        .by_table()
        .into_iter()
        .map(|(name, told)| (name, json!([told.copied, told.present, told.left_out])))
        .collect()
}

fn opened(secret: &Option<Secret>) -> Value {
    let text = secret.as_ref().and_then(Secret::expose).unwrap_or("null");
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

#[tokio::test]
async fn everything_comes_with_its_id_and_is_not_copied_twice() {
    let Some(litellm) = litellm(&[SCHEMA, ROWS]).await else { return };
    for (_database, store) in stores().await {
        let done = import(&store, &litellm).await;
        let expected = json!({
            "budgets": [1, 0, 0], "organizations": [1, 0, 0], "users": [2, 0, 0], "organization_memberships": [1, 0, 0],
            "teams": [1, 0, 0], "team_memberships": [2, 0, 1], "projects": [1, 0, 0], "access_groups": [1, 0, 0],
            "servers": [3, 0, 0], "toolsets": [1, 0, 0], "server_oauth_clients": [1, 0, 0],
            "user_credentials": [2, 0, 0], "user_env_vars": [1, 0, 0], "customers": [1, 0, 0], "keys": [3, 0, 2],
            "deprecated_keys": [1, 0, 0],
        });
        assert_eq!(counts(&done), expected);
        assert_eq!(done.secrets, (9, 1));
        let again = import(&store, &litellm).await;
        assert!(again.tables.iter().all(|told| told.copied == 0), "{again:?}");
        assert_eq!(again.by_table()["keys"].present, 3);
        assert!(matches!(store.audit_verify(None).await.unwrap(), Verdict::Whole { head } if head.seq == 23));
    }
}

#[tokio::test]
async fn a_key_leads_to_what_it_led_to_before() {
    let Some(litellm) = litellm(&[SCHEMA, ROWS]).await else { return };
    for (_database, store) in stores().await {
        import(&store, &litellm).await;
        let alice = store.authorization(&hash("sk-litellm-alice-0001")).await.unwrap().unwrap();
        assert_eq!(alice.user.as_ref().unwrap().user_email.as_deref(), Some("Alice@Example.com"));
        assert_eq!((alice.key.max_budget, alice.key.spend), (Some(5.0), 0.25));
        assert_eq!(alice.key.created_at.to_rfc3339(), "2025-01-02T03:04:05.678+00:00");
        assert_eq!((alice.key.created_by.as_deref(), &alice.key.access_group_ids), (Some("bob"), &vec!["ag-1".into()]));
        let permission = serde_json::to_value(&alice.key.object_permission).unwrap();
        assert_eq!(permission["mcp_tool_permissions"], json!({"srv-1": ["read", "list"]}));
        assert_eq!(
            (&permission["blocked_tools"], &permission["mcp_toolsets"]),
            (&json!(["remove"]), &json!(["set-1"]))
        );
        let old = store.authorization(&hash("sk-litellm-old-0004")).await.unwrap().unwrap();
        assert_eq!(old.key, alice.key, "a regenerated key is good for its grace period");

        let team = store.authorization(&hash("sk-litellm-team-0002")).await.unwrap().unwrap();
        let member = team.team_membership.as_ref().unwrap();
        assert_eq!((member.role.as_str(), member.spend, member.total_spend), ("admin", 3.5, 4.5));
        assert_eq!(team.team_organization.as_ref().unwrap().organization_alias, "House");
        let crew = team.team.as_ref().unwrap();
        assert_eq!(
            (&crew.metadata["mcp_rpm_limit"], &crew.model_aliases),
            (&json!({"files": 5}), &Some(json!({"fast": "m1"})))
        );
        let budget = store.budget("b-org").await.unwrap().unwrap();
        assert_eq!((budget.tpm_limit, budget.allowed_models), (Some(9_000_000_000), vec!["m1".to_owned()]));

        let lost = store.authorization(&hash("sk-litellm-lost-0003")).await.unwrap().unwrap();
        let closed = serde_json::to_value(&lost.key.object_permission).unwrap();
        assert_eq!(closed["mcp_servers"], json!(["no-mcp-servers"]), "nobody knows what it restricted");
    }
}

#[tokio::test]
async fn secrets_are_opened_and_sealed_anew_and_what_cannot_be_read_is_told() {
    let Some(litellm) = litellm(&[SCHEMA, ROWS]).await else { return };
    for (_database, store) in stores().await {
        let done = import(&store, &litellm).await;
        let files = store.server("srv-1").await.unwrap().unwrap();
        assert_eq!(opened(&files.credentials), json!({"auth_value": "upstream-token", "scopes": ["a"]}));
        assert_eq!(opened(&files.static_headers), json!({"X-Key": "header-value"}));
        let variables =
            json!([{"name": "G", "value": "global-value", "scope": "global"}, {"name": "U", "scope": "user"}]);
        assert_eq!(opened(&files.env_vars), variables);
        let local = store.server("srv-2").await.unwrap().unwrap();
        assert_eq!(
            (opened(&local.static_headers), opened(&local.env)),
            (json!({"X-Plain": "as it is"}), json!({"TOKEN": "env-value"}))
        );
        assert_eq!(local.credentials, None);
        let client = store.server_oauth_client("config-server").await.unwrap().unwrap();
        assert_eq!(opened(&client.credentials), json!({"client_id": "client-id", "client_secret": "client-secret"}));
        let credential = store.user_credential("alice", "srv-1").await.unwrap().unwrap();
        assert_eq!(opened(&credential.credential)["access_token"], "at-1");
        let old = store.user_credential("bob", "srv-1").await.unwrap().unwrap();
        assert_eq!(old.credential, Some(Secret::new("short")));
        let own = store.user_env_vars("alice", "srv-1").await.unwrap().unwrap();
        assert_eq!(opened(&own.env_values), json!({"PERSONAL": "own-value"}));

        let broken = store.server("srv-3").await.unwrap().unwrap();
        assert_eq!(opened(&broken.credentials), json!({"client_id": "client-id"}));
        let why = |of: &[toolgate_store::Skipped]| {
            of.iter().map(|row| format!("{}: {}", row.id, row.why)).collect::<Vec<_>>()
        };
        assert_eq!(why(&done.by_table()["servers"].incomplete), ["srv-3: credentials.client_secret cannot be read"]);
        let skipped = why(&done.by_table()["keys"].skipped);
        assert!(skipped.iter().any(|line| line == "not-a-hash: its `token` is no hash of a key"), "{skipped:?}");
        assert!(skipped.iter().any(|line| line.ends_with("signed in to LiteLLM's dashboard")), "{skipped:?}");
        assert_eq!(why(&done.by_table()["team_memberships"].skipped), ["team-1: a member without a user"]);
    }
}

#[tokio::test]
async fn a_wrong_salt_key_and_a_dry_run_write_nothing() {
    let Some(litellm) = litellm(&[SCHEMA, ROWS]).await else { return };
    for (_database, store) in stores().await {
        let wrong = store.import_litellm(&source(&litellm, "sk-wrong"), ImportOptions::default()).await;
        assert_eq!(wrong.unwrap_err(), ImportError::WrongSaltKey { sealed: 10 });
        let dry = ImportOptions { dry_run: true, ..ImportOptions::default() };
        let would = store.import_litellm(&source(&litellm, "sk-salt-of-litellm"), dry).await.unwrap();
        assert_eq!(store.audit_head().await.unwrap().seq, 0);
        assert_eq!(store.keys(&KeyFilter::default(), Default::default(), PageOf::new(1, 10)).await.unwrap().total, 0);
        let without = ImportOptions { without_secrets: true, ..ImportOptions::default() };
        let done = store.import_litellm(&source(&litellm, "sk-wrong"), without).await.unwrap();
        assert_eq!(done.by_table()["keys"], would.by_table()["keys"]);
        assert_eq!(store.server("srv-1").await.unwrap().unwrap().static_headers, None);
    }
}

#[tokio::test]
async fn what_is_here_already_and_names_that_are_taken_stay() {
    let Some(litellm) = litellm(&[SCHEMA, ROWS]).await else { return };
    for (_database, store) in stores().await {
        let own = toolgate_store::Server {
            server_id: "own".into(),
            server_name: Some("local".into()),
            ..toolgate_store::Server::default()
        };
        store.create_server(&actor(), own).await.unwrap();
        let first = import(&store, &litellm).await;
        assert_eq!(first.by_table()["servers"].skipped[0].why, "another row here has its `server_name`");
        let changes =
            ServerChanges { url: toolgate_store::Change::Set(Some("http://here".into())), ..Default::default() };
        store.update_server(&actor(), "srv-1", changes).await.unwrap();
        import(&store, &litellm).await;
        assert_eq!(store.server("srv-1").await.unwrap().unwrap().url.as_deref(), Some("http://here"));
    }
}

#[tokio::test]
async fn other_releases_and_other_databases_are_told_apart() {
    let older = "ALTER TABLE \"LiteLLM_VerificationToken\" DROP COLUMN rotation_count, DROP COLUMN total_spend, \
                 ADD COLUMN from_the_future TEXT; DROP TABLE \"LiteLLM_ProjectTable\", \"LiteLLM_MCPToolsetTable\";";
    let Some(old) = litellm(&[SCHEMA, ROWS, older]).await else { return };
    let empty = litellm(&[]).await.unwrap();
    let (_database, store) = stores().await.remove(0);
    let nothing = store.import_litellm(&source(&empty, "sk-1"), ImportOptions::default()).await;
    assert_eq!(nothing.unwrap_err(), ImportError::NotLitellm);
    assert_eq!(import(&store, &old).await.by_table()["keys"].copied, 3);
    let gone = LitellmDatabase { url: "postgres://nobody@127.0.0.1:1/none".into(), salt_key: "sk-1".into() };
    let unreachable = store.import_litellm(&gone, ImportOptions::default()).await;
    assert!(matches!(unreachable.unwrap_err(), ImportError::Source(_)));
}
