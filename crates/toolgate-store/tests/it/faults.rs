//! A database that does not answer, a process that dies.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use toolgate_access::key::KeyHash;
use toolgate_store::{Database, Store, StoreError, StoreSettings, Verdict};

use crate::support::{TestDatabase, actor, databases, file, hash, key, soon};

const DEADLINE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_locked_file_is_unavailable_for_writing_and_can_be_read() {
    use sqlx::{Connection as _, Executor as _};
    let database = file();
    let store = Store::open(StoreSettings { deadline: DEADLINE, ..database.settings() }).await.unwrap();
    store.create_key(&actor(), key(1)).await.unwrap();
    let mut other = sqlx::SqliteConnection::connect(&format!("sqlite://{}", database.place())).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();

    let began = Instant::now();
    let error = store.create_key(&actor(), key(2)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(began.elapsed() < DEADLINE * 10);
    assert!(store.authorization(&hash(1)).await.unwrap().is_some());
    other.execute("ROLLBACK").await.unwrap();
    soon(async { while store.create_key(&actor(), key(2)).await.is_err() {} }).await;
}

#[tokio::test]
async fn a_file_that_is_none_of_ours_is_not_touched() {
    let database = file();
    std::fs::write(database.path(), "this is a letter, and no database at all. ".repeat(100)).unwrap();
    let before = std::fs::read(database.path()).unwrap();
    let error = Store::open(database.settings()).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(before == std::fs::read(database.path()).unwrap());
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_unavailable() {
    let settings = StoreSettings { database: Database::File("/nonexistent/toolgate.db".into()), ..file().settings() };
    assert!(matches!(Store::open(settings).await.unwrap_err(), StoreError::Unavailable { .. }));
}

#[tokio::test]
async fn no_server_is_unavailable_and_the_password_is_in_no_error() {
    for url in ["postgres://u:hunter2@127.0.0.1:1/db", "postgres://u:hunter2@[broken"] {
        let database = Database::Postgres(url.to_owned().into());
        let settings = StoreSettings { database, deadline: DEADLINE, ..file().settings() };
        let error = Store::open(settings.clone()).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }));
        assert!(!format!("{error:?} {error} {settings:?}").contains("hunter2"));
    }
}

/// A way to the database that can be frozen: bytes are taken and not passed on, as when its process is stopped.
struct Freezer {
    url: String,
    frozen: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Freezer {
    async fn before(database: &TestDatabase) -> Self {
        let place = database.place();
        let socket = place.split("host=").nth(1).map(|path| format!("{path}/.s.PGSQL.5432"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (base, _) = place.split_once('?').unwrap_or((&place, ""));
        let name = base.rsplit('/').next().unwrap().to_owned();
        let (frozen, is_frozen) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let direct = Arc::new(place.clone());
        tasks.spawn(async move {
            let mut links = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                links.spawn(link(client, socket.clone(), direct.clone(), is_frozen.clone()));
            }
        });
        let user = base.trim_start_matches("postgres://").split(['@', ':']).next().unwrap();
        Self { url: format!("postgres://{user}@127.0.0.1:{port}/{name}?sslmode=disable"), frozen, _tasks: tasks }
    }
}

async fn link(mut client: TcpStream, socket: Option<String>, direct: Arc<String>, mut frozen: watch::Receiver<bool>) {
    frozen.wait_for(|frozen| !frozen).await.unwrap();
    let mut halves: Box<dyn Duplex> = match socket {
        Some(path) => Box::new(UnixStream::connect(path).await.unwrap()),
        None => {
            let host = direct.split('@').nth(1).unwrap().split('/').next().unwrap().to_owned();
            Box::new(TcpStream::connect(host).await.unwrap())
        }
    };
    loop {
        frozen.wait_for(|frozen| !frozen).await.unwrap();
        tokio::select! {
            // Dropping it between two waits loses nothing: what it read, it wrote.
            _ = copy_bidirectional(&mut client, &mut halves) => return,
            _ = frozen.wait_for(|frozen| *frozen) => {}
        }
    }
}

trait Duplex: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Duplex for T {}

#[tokio::test]
async fn a_frozen_server_is_unavailable_in_time_and_used_again_when_it_thaws() {
    for database in databases().await.into_iter().filter(|database| database.engine == "postgres") {
        let freezer = Freezer::before(&database).await;
        let settings = StoreSettings {
            database: Database::Postgres(freezer.url.clone().into()),
            deadline: DEADLINE,
            connections: 2,
            ..database.settings()
        };
        let store = soon(async {
            loop {
                // The first connections may take longer than the short deadline on a busy machine.
                if let Ok(store) = Store::open(settings.clone()).await {
                    return store;
                }
            }
        })
        .await;
        soon(async { while store.create_key(&actor(), key(1)).await.is_err() {} }).await;

        freezer.frozen.send(true).unwrap();
        for _ in 0..3 {
            let began = Instant::now();
            let read = store.authorization(&hash(1)).await.unwrap_err();
            let write = store.create_key(&actor(), key(2)).await.unwrap_err();
            assert!(read.is_retryable() && write.is_retryable(), "{read} {write}");
            assert!(store.ping().await.is_err());
            assert!(began.elapsed() < DEADLINE * 15, "{:?}", began.elapsed());
        }
        freezer.frozen.send(false).unwrap();
        soon(async { while store.authorization(&hash(1)).await.is_err() {} }).await;
        soon(async {
            // What was sent while it froze may have been carried out since.
            while !matches!(store.create_key(&actor(), key(2)).await, Ok(_) | Err(StoreError::Conflict { .. })) {}
        })
        .await;
    }
}

/// The example that writes without end.
fn writer(database: &TestDatabase) -> Command {
    let target = std::env::current_exe().unwrap();
    let target = target.parent().unwrap().parent().unwrap();
    let mut command = Command::new(target.join("examples/writer"));
    command.arg(database.place()).stdout(Stdio::piped());
    command
}

#[tokio::test]
async fn a_process_that_is_killed_loses_no_acknowledged_write() {
    for database in databases().await {
        let mut acknowledged = Vec::new();
        for turn in 0..4 {
            let mut child = writer(&database).spawn().expect("the example `writer` is built with the tests");
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            for _ in 0..20 + turn {
                acknowledged.push(lines.next().unwrap().unwrap());
            }
            // In the middle of the next write, or of what surrounds it.
            child.kill().unwrap();
            acknowledged.extend(lines.map_while(Result::ok).filter(|line| line.len() == 64));
            child.wait().unwrap();
        }
        assert!(acknowledged.len() > 80);

        let store = database.open().await;
        for token in &acknowledged {
            let hash: KeyHash = token.parse().unwrap();
            assert!(store.key(&hash).await.unwrap().is_some(), "{token} was acknowledged on {}", database.engine);
        }
        let inventory = store.inventory().await.unwrap();
        let keys = usize::try_from(inventory.rows["keys"]).unwrap();
        assert!(keys - acknowledged.len() <= 4, "at most one more in each turn");
        assert_eq!(inventory.rows["keys"], inventory.rows["audit_log"], "each with its audit entry");
        assert_eq!(inventory.damage, Vec::<String>::new());
        assert!(matches!(store.audit_verify(None).await.unwrap(), Verdict::Whole { .. }));
    }
}
