//! How children end: with all that came of them, and never as zombies.

use std::path::Path;

use tokio::time::{Duration, Instant, timeout};
use toolgate_client::{Options, Session, Target};

use crate::support::PATIENCE;
use crate::support::child::{is_there, lives, pid_in, server_after, until};

async fn connect(target: Target) -> Session {
    Session::connect(target, Options::default()).await.expect("connects")
}

/// Commands that write the shell's own number into `child` in `folder`.
fn own_pid(folder: &Path) -> String {
    format!("echo $$ > {}/child", folder.display())
}

/// Commands that start a process which leaves the group, the session and its parent, and write its number.
fn daemon(folder: &Path, streams: &str) -> String {
    let file = folder.join("daemon").display().to_string();
    format!("(setsid sh -c 'echo $$ > {file}; exec sleep 1000' {streams} &)")
}

#[tokio::test]
async fn a_child_ends_with_its_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let session = connect(server_after(&own_pid(folder.path()), "")).await;
    let child = pid_in(&folder.path().join("child")).await;
    assert!(lives(child));
    let began = Instant::now();
    session.close().await;
    assert!(!is_there(child), "closed means gone, and no zombie");
    assert!(began.elapsed() < Duration::from_secs(2), "no signal was needed");
}

#[tokio::test]
async fn a_child_that_ignores_everything_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let stubborn = format!("trap '' TERM; {}", own_pid(folder.path()));
    let session = connect(server_after(&stubborn, "hold) while :; do sleep 0.1; done ;;")).await;
    let child = pid_in(&folder.path().join("child")).await;
    session.notify("hold", None).await.expect("taken");
    let began = Instant::now();
    timeout(PATIENCE, session.close()).await.expect("it ends");
    assert!(!is_there(child));
    // Two seconds after the end of its input it is asked, three seconds after that it is killed.
    assert!((Duration::from_millis(4900)..Duration::from_secs(9)).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_child_is_asked_before_it_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let polite = format!("trap 'echo bye >&2; exit 0' TERM; {}", own_pid(folder.path()));
    let session = connect(server_after(&polite, "hold) while :; do sleep 0.1; done ;;")).await;
    let child = pid_in(&folder.path().join("child")).await;
    session.notify("hold", None).await.expect("taken");
    timeout(PATIENCE, session.close()).await.expect("it ends");
    assert!(!is_there(child));
    assert!(session.stderr_tail().contains(&"bye".to_owned()));
}

#[tokio::test]
async fn dropping_the_last_clone_ends_the_child() {
    let folder = tempfile::tempdir().expect("a folder");
    let session = connect(server_after(&own_pid(folder.path()), "")).await;
    let child = pid_in(&folder.path().join("child")).await;
    let clone = session.clone();
    drop(session);
    clone.request("ping", None).await.expect("it lives");
    drop(clone);
    until("the child is gone", || !is_there(child)).await;
}

#[tokio::test]
async fn giving_up_on_connecting_ends_the_child() {
    let folder = tempfile::tempdir().expect("a folder");
    let mute = crate::support::shell(&format!("{}; exec cat >/dev/null", own_pid(folder.path())));
    let file = folder.path().join("child");
    let child = tokio::select! {
        _ = Session::connect(mute, Options::default()) => panic!("it never answers"),
        child = pid_in(&file) => child,
    };
    until("the child is gone", || !is_there(child)).await;
}

#[tokio::test]
async fn a_grandchild_in_the_group_ends_with_the_child_even_when_that_crashes() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("daemon").display().to_string();
    let grandchild = format!("sh -c 'echo $$ > {file}; exec sleep 1000' </dev/null &");
    let session = connect(server_after(&grandchild, "crash) kill -9 $$ ;;")).await;
    let grandchild = pid_in(&folder.path().join("daemon")).await;
    // It holds the pipes open, which must not keep the news of the crash from us.
    let crash = timeout(PATIENCE, session.request("crash", None)).await.expect("in time");
    assert!(crash.expect_err("no answer").session_lost());
    until("the grandchild is gone", || !lives(grandchild)).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_daemon_that_left_the_group_ends_with_the_session() {
    for streams in ["", "</dev/null >/dev/null 2>&1"] {
        let folder = tempfile::tempdir().expect("a folder");
        let session = connect(server_after(&daemon(folder.path(), streams), "")).await;
        let daemon = pid_in(&folder.path().join("daemon")).await;
        assert!(lives(daemon));
        session.close().await;
        until("the daemon is gone", || !lives(daemon)).await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_daemon_that_holds_the_pipes_ends_with_a_child_that_crashed() {
    let folder = tempfile::tempdir().expect("a folder");
    let session = connect(server_after(&daemon(folder.path(), ""), "crash) kill -9 $$ ;;")).await;
    let daemon = pid_in(&folder.path().join("daemon")).await;
    assert!(session.request("crash", None).await.expect_err("no answer").session_lost());
    until("the daemon is gone", || !lives(daemon)).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_daemon_that_let_go_of_everything_ends_with_a_child_that_crashed_later() {
    // The descendants are looked at half a second after the start; on a busy machine that may be late, so that the
    // crash is given more time when it came too early.
    for patience in [1, 3, 9] {
        let folder = tempfile::tempdir().expect("a folder");
        let daemon = daemon(folder.path(), "</dev/null >/dev/null 2>&1");
        let session = connect(server_after(&daemon, "crash) kill -9 $$ ;;")).await;
        let daemon = pid_in(&folder.path().join("daemon")).await;
        tokio::time::sleep(Duration::from_secs(patience)).await;
        assert!(session.request("crash", None).await.expect_err("no answer").session_lost());
        session.close().await;
        if !lives(daemon) {
            return;
        }
        let daemon = rustix::process::Pid::from_raw(daemon.cast_signed()).expect("not zero");
        rustix::process::kill_process(daemon, rustix::process::Signal::KILL).expect("it lives");
    }
    panic!("the daemon outlived the child every time");
}

/// Not a test of its own: the program that the next one runs, because adopting orphans is a trait of a whole process.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_program_that_adopts() {
    let Some(folder) = std::env::var_os("ADOPT") else { return };
    toolgate_client::become_subreaper().expect("allowed");
    let folder = Path::new(&folder);
    let session = connect(server_after(&daemon(folder, "</dev/null >/dev/null 2>&1"), "")).await;
    let daemon = pid_in(&folder.join("daemon")).await;
    assert!(lives(daemon));
    session.close().await;
    assert!(!is_there(daemon), "it is dead, and collected");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_program_that_adopts_orphans_collects_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = tokio::process::Command::new(std::env::current_exe().expect("a path"))
        .args(["stdio_end::a_program_that_adopts", "--exact"])
        .env("ADOPT", folder.path())
        .kill_on_drop(true)
        .output()
        .await
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(folder.path().join("daemon").exists(), "it did run");
}

#[test]
fn the_end_of_the_runtime_ends_the_child() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (session, child) = runtime.block_on(async {
        let session = connect(server_after(&format!("trap '' TERM; {}", own_pid(folder.path())), "")).await;
        (session, pid_in(&folder.path().join("child")).await)
    });
    drop(runtime);
    let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    waiting.block_on(until("the child is dead", || !lives(child)));
    drop(session);
}

/// Not a test of its own: the program that the next one starts and kills.
#[test]
fn a_program_to_be_killed() {
    let Some(folder) = std::env::var_os("HOLD_A_CHILD") else { return };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let session = connect(server_after(&format!("trap '' TERM; {}", own_pid(Path::new(&folder))), "")).await;
        session.closed().await;
    });
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_sudden_death_of_our_program_is_the_childs_death() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut program = tokio::process::Command::new(std::env::current_exe().expect("a path"))
        .args(["stdio_end::a_program_to_be_killed", "--exact"])
        .env("HOLD_A_CHILD", folder.path())
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let child = pid_in(&folder.path().join("child")).await;
    assert!(lives(child));
    program.kill().await.expect("killed");
    until("the child is dead", || !lives(child)).await;
}
