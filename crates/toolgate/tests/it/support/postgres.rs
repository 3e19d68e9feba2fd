//! A PostgreSQL database of the test's own, where there is a server for tests.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use toolgate_store::{Database, KeyRing, Store, StoreSettings};

use super::soon;

/// An empty database, dropped with this.
pub(crate) struct PgDatabase {
    server: String,
    name: String,
}

impl PgDatabase {
    /// A new one. `None`, and a printed line, where no server was named.
    #[expect(clippy::print_stdout, reason = "what was not tested is said")]
    pub(crate) fn create() -> Option<Self> {
        let Ok(server) = std::env::var("TEST_POSTGRES_URL") else {
            println!("skipped on PostgreSQL: TEST_POSTGRES_URL is not set");
            return None;
        };
        let name = format!("toolgate_it_{}", uuid::Uuid::new_v4().simple());
        run(&server, &format!("CREATE DATABASE {name}"));
        Some(Self { server, name })
    }

    /// One process's way to it.
    pub(crate) async fn open(&self) -> Store {
        let keys = KeyRing::new("a sealing key of a test".to_owned().into(), Vec::new());
        Store::open(StoreSettings::new(Database::Postgres(self.url().into()), keys)).await.unwrap()
    }

    /// Cuts every connection that anybody has to it, those that listen too.
    pub(crate) fn cut_connections(&self) {
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        run(&self.url(), cut);
    }

    pub(crate) fn url(&self) -> String {
        let (base, query) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let (host, _) = base.rsplit_once('/').unwrap();
        format!("{host}/{}?{query}", self.name)
    }
}

/// A server that is nobody else's, so that it may be stopped in its tracks. It ends with this.
pub(crate) struct OwnPostgres {
    /// It holds the server as long as its input is open.
    holder: Child,
    url: String,
    /// The server, where it was started again.
    again: Option<Child>,
}

impl OwnPostgres {
    /// Starts one. `None`, and a printed line, where PostgreSQL is not installed.
    #[expect(clippy::print_stdout, reason = "what was not tested is said")]
    pub(crate) fn start() -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/with-postgres.sh");
        let mut command = Command::new(script);
        command.args(["sh", "-c", r#"echo "${TEST_POSTGRES_URL:-}"; exec cat"#]).env_remove("TEST_POSTGRES_URL");
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let own = Self { holder, url: url.trim().to_owned(), again: None };
        if own.url.is_empty() {
            println!("skipped: PostgreSQL is not installed");
            return None;
        }
        Some(own)
    }

    /// One process's way to it, on which nothing takes longer than `deadline`.
    pub(crate) async fn open(&self, deadline: Duration) -> Store {
        let keys = KeyRing::new("a sealing key of a test".to_owned().into(), Vec::new());
        let settings = StoreSettings::new(Database::Postgres(self.url.clone().into()), keys);
        Store::open(StoreSettings { deadline, ..settings }).await.unwrap()
    }

    /// Stops all of its processes: it takes connections and requests, and answers nothing.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets them go on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends it as a crash does: connections are cut, and nobody answers new ones.
    pub(crate) async fn stop(&mut self) {
        let server = self.server().expect("it runs");
        kill_process(Pid::from_raw(server).unwrap(), Signal::QUIT).unwrap();
        soon("the end of PostgreSQL", async {
            while self.server().is_some() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        if let Some(mut again) = self.again.take() {
            again.wait().unwrap();
        }
    }

    /// Starts it again where it was, and waits until it answers.
    pub(crate) async fn start_again(&mut self) {
        let place = self.place();
        let owner = std::fs::metadata(place.join("data")).unwrap();
        // What it was started with, written down by itself in words for a shell.
        let mut command = Command::new("sh");
        command.args(["-c", r#"eval "exec $(cat data/postmaster.opts)""#]).current_dir(&place).env_clear();
        if rustix::process::geteuid().is_root() {
            command.uid(owner.uid()).gid(owner.gid());
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.again = Some(command.spawn().unwrap());
        soon("PostgreSQL answering", async {
            while !succeeds(&self.url, "SELECT 1") {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    fn place(&self) -> PathBuf {
        self.url.split("host=").nth(1).unwrap().into()
    }

    /// The process that all others are children of.
    fn server(&self) -> Option<i32> {
        let server = std::fs::read_to_string(self.place().join("data/postmaster.pid")).ok()?;
        Some(server.lines().next()?.parse().unwrap())
    }

    /// To the server first, so that no child is born meanwhile.
    fn signal(&self, signal: Signal) {
        let Some(server) = self.server() else { return };
        kill_process(Pid::from_raw(server).unwrap(), signal).unwrap();
        for child in children(server) {
            // One may have ended meanwhile.
            let _already_gone = kill_process(Pid::from_raw(child).unwrap(), signal);
        }
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        if !self.url.is_empty() {
            self.thaw();
        }
        drop(self.holder.stdin.take());
        self.holder.wait().unwrap();
        if let Some(mut again) = self.again.take() {
            again.wait().unwrap();
        }
    }
}

/// The processes that this one has started.
fn children(of: i32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parent = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before it may have blanks and brackets.
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<i32>().ok()
    };
    pids.filter(|pid| parent(pid) == Some(of)).collect()
}

impl Drop for PgDatabase {
    fn drop(&mut self) {
        run(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

fn run(url: &str, sql: &str) {
    assert!(succeeds(url, sql), "{sql}");
}

fn succeeds(url: &str, sql: &str) -> bool {
    let mut command = Command::new("psql");
    command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command", sql, url]).stdout(Stdio::null());
    command.stderr(Stdio::null()).status().expect("psql is there where PostgreSQL is").success()
}
