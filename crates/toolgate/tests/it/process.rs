//! The binary as an administrator runs it: start, reload, stop.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Config, FakeMcp, MASTER_KEY, Process, Scripted, config, script, soon, teller};

/// A folder with `config.yaml`, and room for made keys.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(config: &Config) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write(&config.yaml());
        folder
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("config.yaml")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.config(), text).unwrap();
    }

    async fn serve(&self) -> Process {
        Process::serve(&self.config(), self.0.path()).await
    }
}

/// Whether a process still runs; one that only waits to be collected does not.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[tokio::test]
async fn the_example_configuration_starts_and_its_first_call_works_offline() {
    let data = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config.example.yaml");
    let process = Process::serve(&example, data.path()).await;
    let key = process.printed_key.clone().expect("the first start prints the key that it made");
    let caller = process.caller(&key);
    let names = caller.tool_names().await;
    assert!(names.iter().any(|name| name == "demo-echo"), "{names:?}");
    let answer = caller.call("demo-echo", json!({"message": "hello", "text": "hello"})).await;
    assert!(answer.tool_text().contains("hello"), "{}", answer.message());
    drop(process);

    let again = Process::serve(&example, data.path()).await;
    assert_eq!(again.printed_key, None, "the key is kept and not shown again");
    assert!(!again.caller(&key).tool_names().await.is_empty());
}

#[tokio::test]
async fn sigterm_lets_a_running_call_finish_and_ends_with_0() {
    let held = json!({"content": [{"type": "text", "text": "done"}]}).to_string();
    let fake = FakeMcp::start(script().tools(&["slow"]).on("tools/call", Scripted::Held(held))).await;
    let folder = Folder::new(&config().server("files", fake.entry()));
    let mut process = folder.serve().await;
    let caller = process.caller(MASTER_KEY);
    let call = tokio::spawn(async move { caller.call("files-slow", json!({})).await.tool_text() });
    fake.came("tools/call", 1).await;
    process.signal(Signal::TERM);
    process.logs("stopping").await;
    assert!(!call.is_finished());
    fake.release();
    assert_eq!(call.await.unwrap(), "done");
    assert_eq!(process.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_call_that_outlasts_the_grace_time_is_cut_off_and_the_end_is_0_all_the_same() {
    let fake = FakeMcp::start(script().tools(&["slow"]).on("tools/call", Scripted::Silence)).await;
    let grace = config().general("shutdown_grace_seconds: 0.1");
    let folder = Folder::new(&grace.server("files", fake.entry()).server("sh", teller()));
    let mut process = folder.serve().await;
    let told = process.caller(MASTER_KEY).call("sh-who", json!({})).await.tool_text();
    let pids: Vec<&str> = told.split(',').skip(1).take(2).collect();
    let caller = process.caller(MASTER_KEY);
    let call = tokio::spawn(async move { caller.call("files-slow", json!({})).await });
    fake.came("tools/call", 1).await;
    process.signal(Signal::TERM);
    process.logs("they are cut off").await;
    assert_eq!(process.ended().await.code(), Some(0));
    assert!(call.await.is_err(), "the call was cut off");
    assert!(!pids.iter().any(|pid| runs(pid)), "{told}");
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let fake = FakeMcp::start(script().tools(&["slow"]).on("tools/call", Scripted::Silence)).await;
    let folder = Folder::new(&config().server("files", fake.entry()));
    let mut process = folder.serve().await;
    let caller = process.caller(MASTER_KEY);
    let call = tokio::spawn(async move { caller.call("files-slow", json!({})).await });
    fake.came("tools/call", 1).await;
    process.signal(Signal::TERM);
    process.logs("stopping").await;
    process.signal(Signal::TERM);
    assert_ne!(process.ended().await.code(), Some(0));
    assert!(call.await.is_err(), "the call was cut off");
}

#[tokio::test]
async fn no_child_and_no_child_of_a_child_outlives_the_gate() {
    let folder = Folder::new(&config().server("sh", teller()));
    let mut process = folder.serve().await;
    let told = process.caller(MASTER_KEY).call("sh-who", json!({})).await.tool_text();
    let pids: Vec<&str> = told.split(',').skip(1).take(2).collect();
    assert!(pids.iter().all(|pid| runs(pid)), "{told}");
    process.signal(Signal::TERM);
    assert_eq!(process.ended().await.code(), Some(0));
    assert!(!pids.iter().any(|pid| runs(pid)), "{told}");
}

#[tokio::test]
async fn no_child_outlives_a_gate_that_is_ended_by_a_second_signal() {
    let fake = FakeMcp::start(script().tools(&["slow"]).on("tools/call", Scripted::Silence)).await;
    let folder = Folder::new(&config().server("files", fake.entry()).server("sh", teller()));
    let mut process = folder.serve().await;
    let told = process.caller(MASTER_KEY).call("sh-who", json!({})).await.tool_text();
    let pids: Vec<&str> = told.split(',').skip(1).take(2).collect();
    let caller = process.caller(MASTER_KEY);
    let _cut_off = tokio::spawn(async move { caller.call("files-slow", json!({})).await });
    fake.came("tools/call", 1).await;
    process.signal(Signal::TERM);
    process.logs("stopping").await;
    process.signal(Signal::INT);
    assert_ne!(process.ended().await.code(), Some(0));
    soon("the children's end", async {
        while pids.iter().any(|pid| runs(pid)) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn sighup_takes_the_new_file_and_leaves_untouched_servers_alone() {
    let old = FakeMcp::start(script().tools(&["old"])).await;
    let new = FakeMcp::start(script().tools(&["new"])).await;
    let folder = Folder::new(&config().server("sh", teller()).server("old", old.entry()));
    let mut process = folder.serve().await;
    let caller = process.caller(MASTER_KEY);
    let child = caller.call("sh-who", json!({})).await.tool_text();
    assert_eq!(caller.tool_names().await, ["sh-who", "old-old"]);

    folder.write(&config().server("sh", teller()).server("new", new.entry()).yaml());
    process.signal(Signal::HUP);
    process.logs("the configuration was taken").await;
    assert_eq!(caller.tool_names().await, ["sh-who", "new-new"]);
    assert_eq!(caller.call("sh-who", json!({})).await.tool_text(), child, "the child is the same");
    assert_eq!(caller.call("old-old", json!({})).await.error_code(), -32602);
}

#[tokio::test]
async fn a_file_with_errors_changes_nothing_and_says_why() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let folder = Folder::new(&config().server("files", fake.entry()));
    let mut process = folder.serve().await;
    folder.write("mcp_servers: {files: {url: 17, transport: carrier_pigeon}}\n");
    process.signal(Signal::HUP);
    process.logs("config.yaml:1:").await;
    assert_eq!(process.caller(MASTER_KEY).tool_names().await, ["files-read"]);
}

#[tokio::test]
async fn a_changed_file_is_taken_without_a_signal() {
    let old = FakeMcp::start(script().tools(&["old"])).await;
    let new = FakeMcp::start(script().tools(&["new"])).await;
    let folder = Folder::new(&config().server("old", old.entry()));
    let process = folder.serve().await;
    let caller = process.caller(MASTER_KEY);
    assert_eq!(caller.tool_names().await, ["old-old"]);
    // Editors and Kubernetes put a new file in the place of the old one.
    let next = folder.0.path().join("next.yaml");
    std::fs::write(&next, config().server("new", new.entry()).yaml()).unwrap();
    std::fs::rename(&next, folder.config()).unwrap();
    soon("the new file being taken", async { while caller.tool_names().await != ["new-new"] {} }).await;
}
