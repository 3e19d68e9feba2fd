//! What a migration may do. Replicas are replaced one by one, so the release before must run on the schema that it leaves;
//! and a file that was published stays as it is. `migrations/README.md` says how to write one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use toolgate_store::{
    Change, KeyChanges, PageOf, Secret, Server, ServerChanges, Setting, SpendRow, Store, Team, TeamMembership, User,
    Verdict,
};

use crate::support::{TestDatabase, actor, databases, hash, key};

const ENGINES: [&str; 2] = ["postgres", "sqlite"];

fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations")
}

/// The texts of an engine's migrations, by the names of their files.
fn history(engine: &str) -> BTreeMap<String, String> {
    let files = std::fs::read_dir(place().join(engine)).unwrap().map(|file| file.unwrap().path());
    files
        .map(|file| (file.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&file).unwrap()))
        .collect()
}

/// The statements of a file in upper case, without comments and with a blank around what is no word.
fn statements(text: &str) -> Vec<Vec<String>> {
    let (mut all, mut statement, mut quoted) = (Vec::new(), String::new(), false);
    for line in text.lines() {
        for (at, c) in line.char_indices() {
            quoted ^= c == '\'';
            match c {
                '-' if !quoted && line[at..].starts_with("--") => break,
                ';' if !quoted => all.push(std::mem::take(&mut statement)),
                '(' | ')' | ',' | '=' if !quoted => statement.extend([' ', c, ' ']),
                c => statement.extend(c.to_uppercase()),
            }
        }
        statement.push(' ');
    }
    all.push(statement);
    let words = |text: &String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    all.iter().map(words).filter(|words| !words.is_empty()).collect()
}

/// What a file has added so far: nothing of it is used by the release before.
#[derive(Default)]
struct Added {
    tables: BTreeSet<String>,
    columns: BTreeSet<(String, String)>,
}

/// Indexes that were dropped, none of them unique: without one the release before is slower at most.
const ONLY_FASTER: [&str; 4] = ["SPEND_LOGS_SERVER", "SPEND_LOGS_TEAM", "SPEND_LOGS_USER", "SPEND_LOGS_END_USER"];

/// Why the release before does not run on what a statement leaves, if it does not.
fn harm(statement: &[String], added: &mut Added) -> Option<&'static str> {
    let words: Vec<&str> = statement.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["CREATE", "TABLE", table, ..] => {
            added.tables.insert((*table).to_owned());
            None
        }
        ["CREATE", "INDEX", ..] | ["INSERT", "INTO", ..] => None,
        ["DROP", "INDEX", index] if ONLY_FASTER.contains(index) => None,
        ["CREATE", "UNIQUE", "INDEX", _, "ON", table, ..] if added.tables.contains(*table) => None,
        ["CREATE", "UNIQUE", ..] => Some("the release before may write the same twice"),
        ["ALTER", "TABLE", table, "ADD", "COLUMN", column, rest @ ..] => {
            added.columns.insert(((*table).to_owned(), (*column).to_owned()));
            harm_of_column(rest)
        }
        ["ALTER", "TABLE", _, "RENAME", ..] => Some("the release before knows the old name"),
        ["ALTER", "TABLE", _, "DROP", ..] | ["DROP", ..] => Some("the release before may use it"),
        ["ALTER", "TABLE", _, "ALTER", ..] => Some("the release before reads and writes it as it was"),
        ["UPDATE", table, "SET", column, "=", rest @ ..] => {
            let is_new = added.columns.contains(&((*table).to_owned(), (*column).to_owned()));
            let sets_more = rest.iter().take_while(|word| **word != "WHERE").any(|word| *word == "=");
            (!is_new || sets_more).then_some("the release before may rely on it; one new column is filled at a time")
        }
        _ => Some("nobody has judged what this does to the release before; do so in this test"),
    }
}

fn harm_of_column(rest: &[&str]) -> Option<&'static str> {
    let has = |word: &str| rest.contains(&word);
    let must_be_there = rest.windows(2).any(|two| two == ["NOT", "NULL"]);
    if must_be_there && !has("DEFAULT") {
        return Some("the release before does not write it, and it has no default");
    }
    if has("UNIQUE") || has("PRIMARY") || has("REFERENCES") || has("CHECK") {
        return Some("the release before does not know what it is bound by");
    }
    has("ADD").then_some("one column at a time can be judged")
}

#[test]
fn what_the_release_before_cannot_bear_is_refused() {
    let bearable = [
        "CREATE TABLE later (id TEXT PRIMARY KEY, other TEXT NOT NULL UNIQUE);",
        "CREATE TABLE later (id TEXT); CREATE UNIQUE INDEX later_id ON later (id);",
        "CREATE INDEX keys_later ON keys (alias);",
        "INSERT INTO settings (param_name) VALUES ('it''s; -- no comment');",
        "alter table keys add column later text; -- DROP TABLE keys;",
        "ALTER TABLE keys ADD COLUMN later TEXT NOT NULL DEFAULT '';",
        "ALTER TABLE keys ADD COLUMN later BIGINT; UPDATE keys SET later = 1 WHERE spend = 0;",
    ];
    let unbearable = [
        "DROP TABLE keys;",
        "DROP INDEX keys_alias;",
        "ALTER TABLE keys DROP COLUMN alias;",
        "ALTER TABLE keys DROP CONSTRAINT keys_alias_key;",
        "ALTER TABLE keys RENAME TO virtual_keys;",
        "ALTER TABLE keys RENAME COLUMN alias TO name;",
        "ALTER TABLE keys ALTER COLUMN spend TYPE NUMERIC;",
        "ALTER TABLE keys ALTER COLUMN alias SET NOT NULL;",
        "ALTER TABLE keys ADD COLUMN later TEXT NOT NULL;",
        "ALTER TABLE keys ADD COLUMN later TEXT UNIQUE;",
        "ALTER TABLE keys ADD COLUMN later TEXT REFERENCES teams (team_id);",
        "ALTER TABLE keys ADD COLUMN a TEXT, ADD COLUMN b TEXT;",
        "ALTER TABLE keys ADD CONSTRAINT positive CHECK (spend >= 0);",
        "CREATE UNIQUE INDEX keys_alias ON keys (alias);",
        "CREATE TRIGGER later BEFORE INSERT ON keys EXECUTE FUNCTION f();",
        "UPDATE keys SET alias = 'x';",
        "ALTER TABLE keys ADD COLUMN later TEXT; UPDATE keys SET later = '', alias = '' WHERE spend = 0;",
        "DELETE FROM keys;",
        "/* hidden */ DROP TABLE keys;",
    ];
    let first_harm = |text: &str| {
        let mut added = Added::default();
        statements(text).iter().find_map(|statement| harm(statement, &mut added))
    };
    for text in bearable {
        assert_eq!(first_harm(text), None, "{text}");
    }
    for text in unbearable {
        assert!(first_harm(text).is_some(), "{text}");
    }
}

#[test]
fn no_migration_breaks_the_release_before_it_unless_its_name_says_so() {
    for engine in ENGINES {
        for (name, text) in history(engine) {
            let mut added = Added::default();
            let harms: Vec<_> = statements(&text)
                .iter()
                .filter_map(|statement| harm(statement, &mut added).map(|why| (statement.join(" "), why)))
                .collect();
            if name.contains("_needs_") {
                assert!(text.starts_with("-- "), "{engine}/{name} begins with the reason, as a comment");
                assert_ne!(harms, [], "{engine}/{name} takes nothing away; leave `_needs_` out of its name");
            } else {
                assert_eq!(harms, [], "{engine}/{name}: see migrations/README.md");
            }
        }
    }
}

#[test]
fn a_published_migration_stays_as_it_is() {
    let listed = std::fs::read_to_string(place().join("published.sha256")).unwrap();
    let there = ENGINES.map(|engine| {
        history(engine).into_iter().map(move |(name, text)| {
            let digest = digest::digest(&digest::SHA256, text.as_bytes());
            let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{hex}  {engine}/{name}\n")
        })
    });
    let there: String = there.into_iter().flatten().collect();
    assert_eq!(
        listed, there,
        "a migration that is in somebody's database already cannot be changed, only followed by another; \
         the sums of new ones are added by `cd migrations && sha256sum postgres/* sqlite/* > published.sha256`"
    );
}

/// The schema as a later release may leave it: a column more in every table, and a table more.
async fn expand(database: &TestDatabase) {
    let first = &history(database.engine)["0001_first.sql"];
    for statement in statements(first) {
        let [create, table, name, ..] = statement.as_slice() else { continue };
        if (create.as_str(), table.as_str()) == ("CREATE", "TABLE") {
            database.sabotage(&format!("ALTER TABLE {name} ADD COLUMN later TEXT NOT NULL DEFAULT 'x'")).await;
        }
    }
    database.sabotage("CREATE TABLE later (id TEXT PRIMARY KEY)").await;
    database.sabotage("INSERT INTO toolgate_migrations VALUES (9998, '9998_later', 'x', 0, 'x')").await;
    database.sabotage("INSERT INTO toolgate_migrations VALUES (9999, '9999_drop_needs_0001', 'x', 0, 'x')").await;
}

#[tokio::test]
async fn an_older_release_starts_and_works_on_the_schema_of_a_newer_one() {
    for database in databases().await {
        let store = database.open().await;
        store.create_key(&actor(), key(1)).await.unwrap();
        database.sabotage("ALTER TABLE toolgate_migrations ADD COLUMN later TEXT").await;
        expand(&database).await;
        // One that runs goes on, and one that starts works.
        works(&store, 2).await;
        store.close().await;
        let store = database.open().await;
        works(&store, 3).await;
        let inventory = store.inventory().await.unwrap();
        assert_eq!((inventory.rows["keys"], inventory.damage), (3, vec![]), "{}", database.engine);
        assert!(matches!(store.audit_verify(None).await.unwrap(), Verdict::Whole { .. }));
        store.close().await;
    }
}

/// Makes, reads, changes, lists and deletes something of everything.
async fn works(store: &Store, number: u8) {
    let name = format!("it-{number}");
    store.create_key(&actor(), key(number)).await.unwrap();
    let changes = KeyChanges { rpm_limit: Change::Set(Some(7)), ..KeyChanges::default() };
    store.update_key(&actor(), &hash(number), changes).await.unwrap();
    assert_eq!(store.authorization(&hash(number)).await.unwrap().unwrap().key.rpm_limit, Some(7));
    assert!(store.authorization(&hash(1)).await.unwrap().is_some());
    let user = User { user_id: name.clone(), ..User::default() };
    store.create_user(&actor(), user, Vec::new()).await.unwrap();
    let member = TeamMembership { user_id: name.clone(), ..TeamMembership::default() };
    store.create_team(&actor(), Team { team_id: name.clone(), ..Team::default() }, vec![member]).await.unwrap();
    assert_eq!(store.team_members(&name).await.unwrap().len(), 1);
    let server = Server { server_id: name.clone(), credentials: Some(Secret::new("a")), ..Server::default() };
    store.create_server(&actor(), server).await.unwrap();
    let changes = ServerChanges { env: Change::Set(Some(Secret::new("b"))), ..ServerChanges::default() };
    let server = store.update_server(&actor(), &name, changes).await.unwrap();
    assert_eq!(server.env, Some(Secret::new("b")));
    assert!(store.servers().await.unwrap().contains(&server));
    let setting = Setting { param_name: name.clone(), param_value: Some("x".into()), ..Setting::default() };
    store.put_setting(&actor(), setting).await.unwrap();
    assert!(store.audit_log(&Default::default(), PageOf::new(1, 50)).await.unwrap().total > 5);
    let call = SpendRow { request_id: name.clone(), api_key: hash(number).to_hex(), spend: 0.5, ..SpendRow::default() };
    store.record_spend(&[call]).await.unwrap();
    assert_eq!(store.key(&hash(number)).await.unwrap().unwrap().spend, 0.5);
    store.rekey().await.unwrap();
    assert_eq!(store.delete_teams(&actor(), std::slice::from_ref(&name)).await.unwrap().len(), 1);
    store.delete_server(&actor(), &name).await.unwrap().unwrap();
}
