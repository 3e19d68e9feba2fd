//! The commands that work on the database, as an administrator runs them: rekey, backup, restore, audit.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use toolgate_store::{Actor, Database, Key, KeyRing, Secret, Server, Store, StoreSettings, User, UserCredential};

use crate::support::postgres::PgDatabase;
use crate::support::{Config, FakeMcp, MASTER_KEY, Process, config, key_of, people, script, soon};

const KEY: &str = "sk-of-somebody-0123456789abcdef";

/// A data directory with a configuration beside it.
struct Place(tempfile::TempDir);

impl Place {
    fn new(yaml: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write(yaml);
        place
    }

    /// One that seals with these keys, the first one's own.
    fn sealing(keys: &str) -> Self {
        Self::new(&yaml(keys))
    }

    fn write(&self, yaml: &str) {
        std::fs::write(self.config(), yaml).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("config.yaml")
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.data().join(name)
    }

    async fn serve(&self) -> Process {
        Process::serve(&self.config(), &self.data()).await
    }

    /// The database, without a gateway.
    async fn store(&self, salt_key: &str) -> Store {
        std::fs::create_dir_all(self.data()).unwrap();
        let keys = KeyRing::new(salt_key.into(), Vec::new());
        Store::open(StoreSettings::new(Database::File(self.file("toolgate.db")), keys)).await.unwrap()
    }

    /// Runs `toolgate WORDS` on this place.
    fn toolgate(&self, words: &[&str]) -> Ran {
        Ran(self.command(words).output().unwrap())
    }

    /// The same while the test's own servers go on.
    async fn toolgate_beside(&self, words: &[&str]) -> Ran {
        Ran(tokio::process::Command::from(self.command(words)).output().await.unwrap())
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_toolgate"));
        command.args(words).arg("--config").arg(self.config()).arg("--data-dir").arg(self.data()).env_clear();
        command
    }
}

struct Ran(Output);

impl Ran {
    fn code(&self) -> i32 {
        self.0.status.code().unwrap()
    }

    fn out(&self) -> &str {
        std::str::from_utf8(&self.0.stdout).unwrap()
    }

    fn err(&self) -> &str {
        std::str::from_utf8(&self.0.stderr).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(self.out()).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

impl std::fmt::Debug for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}{}", self.code(), self.out(), self.err())
    }
}

/// Sealed with the first of `keys`, able to read what was sealed with the others.
fn yaml(keys: &str) -> String {
    sealed(&config(), keys)
}

fn sealed(config: &Config, keys: &str) -> String {
    let (primary, old) = keys.split_once(' ').unwrap_or((keys, ""));
    format!(
        "{}environment_variables:\n  LITELLM_SALT_KEY: \"{primary}\"\n  TOOLGATE_OLD_SALT_KEYS: \"{old}\"\n",
        config.yaml()
    )
}

fn server(id: &str) -> Server {
    Server {
        server_id: id.into(),
        transport: "http".into(),
        credentials: Some(Secret::new(format!("token of {id}"))),
        ..Server::default()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn secrets_are_sealed_anew_while_the_gateway_runs_and_the_old_key_is_not_needed_any_more() {
    let place = Place::sealing("first-key");
    let store = place.store("first-key").await;
    for id in ["a", "b", "c"] {
        store.create_server(&people::actor(), server(id)).await.unwrap();
    }
    key_of(&store, KEY, Key::default()).await;
    store.close().await;

    place.write(&yaml("second-key first-key"));
    let gateway = place.serve().await;
    let caller = gateway.caller(KEY);
    assert_eq!(caller.tool_names().await, [""; 0]);
    let ran = place.toolgate(&["rekey", "--json"]);
    assert_eq!((ran.code(), &ran.json()["resealed"], &ran.json()["unreadable"]), (0, &json!(3), &json!([])), "{ran:?}");
    let sealed = ran.json()["sealed_with"].clone();
    assert_eq!(sealed, json!({ ran.json()["primary_key"].as_str().unwrap(): 3 }));
    let again = place.toolgate(&["rekey"]);
    assert!(again.out().starts_with("0 values were sealed anew"), "{again:?}");
    assert_eq!(caller.tool_names().await, [""; 0]);
    drop(gateway);

    place.write(&yaml("second-key"));
    drop(place.serve().await);
    let store = place.store("second-key").await;
    assert_eq!(store.server("b").await.unwrap().unwrap().credentials, Some(Secret::new("token of b")));
    store.close().await;
    place.write(&yaml("first-key"));
    let refused = place.toolgate(&["rekey"]);
    assert_eq!(refused.code(), 65, "{refused:?}");
    assert!(refused.err().contains("does not match this database"), "{refused:?}");
}

/// Users who keep a credential: ten times what is sealed anew at once.
const USERS: usize = 1_000;

/// Of these, who calls.
const CALLERS: usize = 50;

fn user_id(number: usize) -> String {
    format!("user-{number:04}")
}

fn key_text(user_id: &str) -> String {
    format!("sk-of-{user_id}-0123456789abcdef")
}

/// The number of the user who makes this call: each is somebody else, from everywhere among the rows.
fn caller_of(call: usize) -> usize {
    call * 7 % CALLERS * (USERS / CALLERS)
}

async fn keep_credentials(store: &Store) {
    let actor = people::actor();
    for user_id in (0..USERS).map(user_id) {
        let credential = Some(Secret::new(format!("secret-of-{user_id}")));
        let kept = UserCredential { user_id, server_id: "own".into(), credential, ..UserCredential::default() };
        store.put_user_credential(&actor, kept).await.unwrap();
    }
    for call in 0..CALLERS {
        let user_id = user_id(caller_of(call));
        let user = User { user_id: user_id.clone(), ..User::default() };
        store.create_user(&actor, user, Vec::new()).await.unwrap();
        let reach = serde_json::from_value(json!({"mcp_servers": ["own"]})).unwrap();
        let key = Key { object_permission: reach, user_id: Some(user_id.clone()), ..Key::default() };
        key_of(store, &key_text(&user_id), key).await;
    }
}

/// Kills `toolgate rekey` in its middle, again and again, while a gateway serves on the same database; the next begins
/// where it came to, and nobody's call fails.
async fn killed_rekeys(postgres: Option<&PgDatabase>) {
    let fake = FakeMcp::start(script().tools(&["find"])).await;
    let entry = fake.entry().with("server_id: own").with("is_byok: true").with("auth_type: api_key");
    let config = config().server("byok", entry);
    let config = match postgres {
        Some(postgres) => config.general(&format!("database_url: \"{}\"", postgres.url())),
        None => config,
    };
    let place = Place::new(&sealed(&config, "old-key"));
    std::fs::create_dir_all(place.data()).unwrap();
    let database = match postgres {
        Some(postgres) => Database::Postgres(postgres.url().into()),
        None => Database::File(place.file("toolgate.db")),
    };
    let open = async |primary: &str, old: &[&str]| {
        let keys = KeyRing::new(primary.into(), old.iter().map(|key| (*key).into()).collect());
        Store::open(StoreSettings::new(database.clone(), keys)).await.unwrap()
    };
    let store = open("old-key", &[]).await;
    keep_credentials(&store).await;
    let old_id = store.primary_key_id().to_owned();
    store.close().await;

    place.write(&sealed(&config, "new-key old-key"));
    let gateway = place.serve().await;
    let call = async || {
        let before = fake.count_of("tools/call");
        let user_id = user_id(caller_of(before));
        gateway.caller(&key_text(&user_id)).call("byok-find", json!({})).await.result();
        let seen = fake.seen_of("tools/call");
        assert_eq!(seen[before].header("x-api-key"), Some(format!("secret-of-{user_id}").as_str()));
    };
    call().await;
    let watch = open("new-key", &["old-key"]).await;
    let sealed_with = async |id: &str| watch.sealed_by_key().await.unwrap().get(id).copied().unwrap_or_default();
    let mut kills = 0;
    while kills < 3 {
        let before = sealed_with(&old_id).await;
        let mut rekey = tokio::process::Command::from(place.command(&["rekey"]));
        let mut rekey = rekey.stdout(std::process::Stdio::null()).kill_on_drop(true).spawn().unwrap();
        soon("some are sealed anew", async { while sealed_with(&old_id).await == before {} }).await;
        rekey.kill().await.unwrap();
        let sealed_now = watch.sealed_by_key().await.unwrap();
        call().await;
        if sealed_now.contains_key(&old_id) {
            kills += 1;
            assert_eq!(sealed_now.values().sum::<i64>(), 1_000, "{sealed_now:?}");
        } else {
            // It was faster than the test. All is begun again.
            place.write(&sealed(&config, "old-key new-key"));
            let ran = place.toolgate_beside(&["rekey"]).await;
            assert_eq!(ran.code(), 0, "{ran:?}");
            place.write(&sealed(&config, "new-key old-key"));
        }
    }
    // What is kept meanwhile is sealed with the new key at once.
    let caller = gateway.caller(&key_text(&user_id(caller_of(0))));
    let kept = json!({"credential": "another-secret"}).to_string();
    assert_eq!(caller.post("/v1/mcp/server/own/user-credential", kept).await.status, 200);
    let left = sealed_with(&old_id).await;
    let ran = place.toolgate_beside(&["rekey", "--json"]).await;
    assert_eq!(
        (ran.code(), &ran.json()["resealed"], &ran.json()["unreadable"]),
        (0, &json!(left), &json!([])),
        "{ran:?}"
    );
    assert_eq!(watch.sealed_by_key().await.unwrap(), [(watch.primary_key_id().to_owned(), 1_000)].into());
    while fake.count_of("tools/call") < CALLERS {
        call().await;
    }
    drop(gateway);
    watch.close().await;

    // The old key is not needed any more, and nothing was lost.
    let store = open("new-key", &[]).await;
    for number in 0..USERS {
        let kept = store.user_credential(&user_id(number), "own").await.unwrap().unwrap();
        let secret = if number == caller_of(0) { "another-secret" } else { &format!("secret-of-{}", user_id(number)) };
        assert_eq!(kept.credential.unwrap().expose(), Some(secret));
    }
    store.close().await;
}

#[tokio::test]
async fn sealing_anew_that_is_killed_goes_on_where_it_came_to_while_a_gateway_serves() {
    killed_rekeys(None).await;
}

#[tokio::test]
async fn sealing_anew_on_postgresql_that_is_killed_goes_on_where_it_came_to_while_gateways_serve() {
    let Some(database) = PgDatabase::create() else { return };
    killed_rekeys(Some(&database)).await;
}

#[tokio::test]
async fn values_whose_key_is_lost_are_named_and_stay() {
    let place = Place::sealing("first-key");
    let store = place.store("first-key").await;
    store.create_server(&people::actor(), server("kept")).await.unwrap();
    store.close().await;
    // Opened with both keys, so that the second has its canary; then without the first.
    place.write(&yaml("second-key first-key"));
    drop(place.serve().await);
    place.write(&yaml("second-key"));
    let ran = place.toolgate(&["rekey", "--json"]);
    assert_eq!(ran.code(), 9, "{ran:?}");
    let lost = json!([{"table": "servers", "object_id": "kept", "column": "credentials"}]);
    assert_eq!((&ran.json()["resealed"], &ran.json()["unreadable"]), (&json!(0), &lost));
    assert!(ran.err().contains("TOOLGATE_OLD_SALT_KEYS"), "{ran:?}");
    place.write(&yaml("second-key first-key"));
    assert_eq!(place.toolgate(&["rekey", "--json"]).json()["resealed"], 1);
}

#[tokio::test]
async fn a_copy_made_while_the_gateway_runs_is_restored_elsewhere_and_its_keys_work() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let entry = fake.entry().with("allow_all_keys: true");
    let place = Place::new(&config().server("files", entry).yaml());
    let gateway = place.serve().await;
    let admin = gateway.caller(MASTER_KEY);
    let made = admin.post("/key/generate", r#"{"key_alias":"alice"}"#).await.json();
    let key = made["key"].as_str().unwrap();
    let copy = place.0.path().join("copy.db");
    let ran = place.toolgate(&["backup", text(&copy)]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    assert!(ran.err().contains("the sealing key"), "{ran:?}");
    let twice = place.toolgate(&["backup", text(&copy)]);
    assert_eq!((twice.code(), twice.err().contains("is there already")), (8, true), "{twice:?}");
    admin.post("/key/generate", r#"{"key_alias":"later"}"#).await;
    drop(gateway);

    let other = Place::new(&std::fs::read_to_string(place.config()).unwrap());
    let keyless = other.toolgate(&["restore", text(&copy)]);
    assert_eq!((keyless.code(), keyless.err().contains("no sealing key")), (78, true), "{keyless:?}");
    std::fs::copy(place.file("salt_key"), other.file("salt_key")).unwrap();
    let looked = other.toolgate(&["restore", text(&copy), "--verify", "--json"]);
    assert_eq!((looked.code(), &looked.json()["restored_to"]), (0, &Value::Null), "{looked:?}");
    assert_eq!((&looked.json()["rows"]["keys"], &looked.json()["audit"]["whole"]), (&json!(1), &json!(true)));
    assert!(!other.file("toolgate.db").exists());
    let put = other.toolgate(&["restore", text(&copy)]);
    assert_eq!((put.code(), put.out().contains("restored to")), (0, true), "{put:?}");
    let left: Vec<_> = std::fs::read_dir(other.data()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    let gateway = other.serve().await;
    assert_eq!(gateway.caller(key).tool_names().await, ["files-read"]);
    assert_eq!(gateway.caller("sk-nobody-knows-this-key").get("/v1/mcp/server").await.status, 401);
}

#[tokio::test]
async fn a_copy_is_put_nowhere_where_it_would_destroy_or_be_destroyed() {
    let place = Place::sealing("a-key");
    place.store("a-key").await.close().await;
    let copy = place.0.path().join("copy.db");
    assert_eq!(place.toolgate(&["backup", text(&copy)]).code(), 0);
    let there = place.toolgate(&["restore", text(&copy)]);
    assert_eq!((there.code(), there.err().contains("toolgate.db` is there already")), (8, true), "{there:?}");
    // SQLite would take what another database left beside for the copy's own.
    std::fs::remove_file(place.file("toolgate.db")).unwrap();
    std::fs::write(place.file("toolgate.db-wal"), "of another").unwrap();
    let log = place.toolgate(&["restore", text(&copy)]);
    assert_eq!((log.code(), log.err().contains("toolgate.db-wal` is there already")), (8, true), "{log:?}");
    std::fs::remove_file(place.file("toolgate.db-wal")).unwrap();

    place.write(&yaml("another-key"));
    let wrong = place.toolgate(&["restore", text(&copy)]);
    assert_eq!((wrong.code(), wrong.err().contains("does not match this database")), (65, true), "{wrong:?}");
    assert!(wrong.err().contains("copy.db"), "{wrong:?}");
    place.write(&yaml("a-key"));
    let garbage = place.0.path().join("garbage.db");
    std::fs::write(&garbage, "no database at all, however long one reads").unwrap();
    let refused = place.toolgate(&["restore", text(&garbage)]);
    assert!(!matches!(refused.code(), 0 | 9), "{refused:?}");
    assert_eq!(place.toolgate(&["restore", "/no/such/file"]).code(), 7);
    assert!(!place.file("toolgate.db").exists());
    assert_eq!(place.toolgate(&["restore", text(&copy)]).code(), 0);
}

#[tokio::test]
async fn the_first_bad_row_of_the_audit_log_is_named() {
    let place = Place::sealing("a-key");
    let store = place.store("a-key").await;
    for (id, by) in [("a", "alice"), ("b", "mallory-was-here"), ("c", "alice")] {
        let actor = Actor { changed_by: by.into(), ..Actor::default() };
        store.create_server(&actor, server(id)).await.unwrap();
    }
    store.close().await;
    let whole = place.toolgate(&["audit", "verify", "--json"]);
    assert_eq!((whole.code(), &whole.json()["rows"]), (0, &json!(3)), "{whole:?}");
    let checkpoint = whole.json()["checkpoint"].as_str().unwrap().to_owned();
    let copy = place.0.path().join("copy.db");
    assert_eq!(place.toolgate(&["backup", text(&copy)]).code(), 0);

    // Behind SQLite's back: it keeps no checksums.
    for file in [place.file("toolgate.db"), copy.clone()] {
        let bytes = std::fs::read(&file).unwrap();
        let edited = replaced(&bytes, b"mallory-was-here", b"nobody--was-here");
        assert_ne!(edited, bytes);
        std::fs::write(&file, edited).unwrap();
    }
    let broken = place.toolgate(&["audit", "verify", "--checkpoint", &checkpoint]);
    assert_eq!((broken.code(), broken.out()), (65, "the audit log is broken: row 2 was changed\n"));
    let told = place.toolgate(&["audit", "verify", "--json"]).json();
    assert_eq!(told, json!({"whole": false, "seq": 2, "why": "was changed"}));

    // A database with a broken log is better than none, and is not called good.
    let other = Place::sealing("a-key");
    let looked = other.toolgate(&["restore", text(&copy), "--verify"]);
    assert_eq!((looked.code(), looked.out().contains("row 2 was changed")), (65, true), "{looked:?}");
    assert_eq!(other.toolgate(&["restore", text(&copy)]).code(), 9);
    assert!(other.file("toolgate.db").exists());
}

fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len().saturating_sub(old.len()) {
        if bytes[at..].starts_with(old) {
            bytes[at..at + new.len()].copy_from_slice(new);
        }
    }
    bytes
}

#[test]
fn nothing_is_made_where_there_is_no_database_and_postgresql_has_its_own_tools() {
    let place = Place::sealing("a-key");
    for words in [&["rekey"][..], &["backup", "/tmp/never-written.db"], &["audit", "verify"]] {
        let ran = place.toolgate(words);
        assert_eq!((ran.code(), ran.err().contains("there is no database at")), (7, true), "{words:?}: {ran:?}");
    }
    assert!(!place.data().exists());
    let bad = place.toolgate(&["audit", "verify", "--checkpoint", "17"]);
    assert_eq!(bad.code(), 2, "{bad:?}");
    place.write(&config().general("database_url: postgresql://nobody@127.0.0.1:1/none").yaml());
    for (words, instead) in
        [(&["backup", "/tmp/never-written.db"][..], "pg_dump"), (&["restore", "/no/such/file"], "pg_restore")]
    {
        let ran = place.toolgate(words);
        assert_eq!((ran.code(), ran.err().contains(instead)), (2, true), "{words:?}: {ran:?}");
    }
    let unreachable = place.toolgate(&["audit", "verify", "--json"]);
    assert_eq!(unreachable.code(), 4, "{unreachable:?}");
    let told: Value = serde_json::from_str(unreachable.err().trim()).unwrap();
    assert_eq!(told["error"]["code"], "database");
}
