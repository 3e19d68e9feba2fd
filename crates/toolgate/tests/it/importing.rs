//! `toolgate import litellm`: the database of a LiteLLM, and a gateway that takes its place. Needs PostgreSQL.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::support::{Entry, FakeMcp, Process, config, script, soon};

const SCHEMA: &str = include_str!("../../../toolgate-store/tests/litellm/schema.sql");
const ROWS: &str = include_str!("../../../toolgate-store/tests/litellm/rows.sql");

/// A LiteLLM database on the tests' server.
struct Litellm {
    server: String,
    name: String,
}

impl Litellm {
    /// `None`, which is said, where there is no server.
    #[expect(clippy::print_stdout, reason = "a test that did not run says so")]
    async fn new() -> Option<Self> {
        let Ok(server) = std::env::var("TEST_POSTGRES_URL") else {
            println!("skipped: TEST_POSTGRES_URL is not set");
            return None;
        };
        let name = format!("toolgate_it_{}", uuid::Uuid::new_v4().simple());
        let mut admin = PgConnection::connect(&server).await.unwrap();
        admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        let litellm = Self { server, name };
        let mut raw = PgConnection::connect(&litellm.url()).await.unwrap();
        raw.execute(SCHEMA).await.unwrap();
        raw.execute(ROWS).await.unwrap();
        Some(litellm)
    }

    fn url(&self) -> String {
        let (base, query) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let (host, _) = base.rsplit_once('/').unwrap();
        format!("{host}/{}?{query}", self.name)
    }
}

impl Drop for Litellm {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // A runtime of its own, since the test's may not wait here.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut admin = PgConnection::connect(&server).await.unwrap();
                admin.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
            });
        });
        dropping.join().unwrap();
    }
}

/// A directory with a configuration that seals as the LiteLLM did.
struct Place(tempfile::TempDir);

impl Place {
    fn new(entry: Entry, salt_key: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write(entry, salt_key);
        place
    }

    /// The file's server has the id that LiteLLM's rows know it by.
    fn write(&self, entry: Entry, salt_key: &str) {
        let yaml = config().server("files", entry.with("server_id: srv-1").with("access_groups: [docs]")).yaml();
        let yaml = format!("{yaml}environment_variables:\n  LITELLM_SALT_KEY: {salt_key}\n");
        std::fs::write(self.config(), yaml).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("config.yaml")
    }

    fn import(&self, url: &str, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_toolgate"));
        command.args(["import", "litellm", "--json", "--database-url", url]).args(words).arg("--config");
        command.arg(self.config()).arg("--data-dir").arg(self.0.path()).env_clear();
        command.output().unwrap()
    }
}

fn told(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[tokio::test]
async fn a_key_of_litellm_is_let_in_and_sees_what_it_saw_there() {
    let Some(litellm) = Litellm::new().await else { return };
    let fake = FakeMcp::start(script().tools(&["read", "list", "remove", "write"])).await;
    let place = Place::new(fake.entry(), "sk-salt-of-litellm");
    let dry = place.import(&litellm.url(), &["--dry-run"]);
    assert_eq!((dry.status.code(), &told(&dry)["tables"]["keys"]["copied"]), (Some(9), &json!(3)), "{dry:?}");
    assert!(!place.0.path().join("toolgate.db").exists());

    let gateway = Process::serve(&place.config(), place.0.path()).await;
    let alice = gateway.caller("sk-litellm-alice-0001");
    assert_eq!(alice.get("/v1/mcp/server").await.status, 401);
    let done = place.import(&litellm.url(), &[]);
    assert_eq!((done.status.code(), &told(&done)["tables"]["keys"]["copied"]), (Some(9), &json!(3)), "{done:?}");
    // The gateway has read of the unknown key, and hears of the new one.
    soon("hearing of the key", async {
        while alice.get("/v1/mcp/server").await.status != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(alice.tool_names().await, ["files-read", "files-list"]);
    let team = gateway.caller("sk-litellm-team-0002");
    assert_eq!(team.tool_names().await, ["files-read", "files-list", "files-remove", "files-write"]);
    let old = gateway.caller("sk-litellm-old-0004");
    assert_eq!(old.tool_names().await, ["files-read", "files-list"]);
    assert_eq!(gateway.caller("sk-litellm-lost-0003").tool_names().await, [""; 0]);
    let twice = place.import(&litellm.url(), &[]);
    assert_eq!(told(&twice)["tables"]["keys"]["present"], 3);
}

#[tokio::test]
async fn a_wrong_salt_key_is_said_before_anything_is_written() {
    let Some(litellm) = Litellm::new().await else { return };
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let place = Place::new(fake.entry(), "sk-not-that-one");
    let wrong = place.import(&litellm.url(), &[]);
    assert_eq!(wrong.status.code(), Some(65), "{wrong:?}");
    let error: Value = serde_json::from_slice(&wrong.stderr).unwrap();
    assert_eq!(error["error"]["code"], "wrong-salt-key");
    assert!(error["error"]["hint"].as_str().unwrap().contains("LITELLM_SALT_KEY"), "{error}");
    let gone = place.import("postgresql://nobody@127.0.0.1:1/none", &[]);
    assert_eq!(gone.status.code(), Some(4), "{gone:?}");
    let without = place.import(&litellm.url(), &["--without-secrets"]);
    assert_eq!(told(&without)["secrets"], json!({"opened": 0, "unreadable": 10}));
}
