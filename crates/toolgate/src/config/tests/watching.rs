//! The file changes in the ways in which files change.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::super::{Loaded, Paint, Watcher, load};
use super::environment;

/// How long a change may take to be seen on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn config(server: &str) -> String {
    format!("mcp_servers: {{{server}: {{url: 'http://127.0.0.1:9/mcp'}}}}\n")
}

fn write(path: &Path, server: &str) {
    std::fs::write(path, config(server)).unwrap();
}

struct Watched {
    directory: TempDir,
    file: PathBuf,
    watcher: Watcher,
}

/// A watched file with the server `first` in it.
fn watched() -> Watched {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    write(&file, "first");
    let watcher = start(&file);
    Watched { directory, file, watcher }
}

fn start(file: &Path) -> Watcher {
    assert_eq!(servers(&load(file, &environment())), Some(vec!["first".to_owned()]));
    Watcher::start(file.to_owned(), environment()).unwrap()
}

fn servers(loaded: &Loaded) -> Option<Vec<String>> {
    Some(loaded.settings.as_ref()?.servers.iter().map(|server| server.name.clone()).collect())
}

/// Waits until the watcher hands out these servers; `None` is a file that is no good. Another test in this process may
/// send SIGHUP, so what is handed out before may be anything.
async fn until(watcher: &mut Watcher, expected: Option<&str>) -> Loaded {
    let expected = expected.map(|name| vec![name.to_owned()]);
    tokio::time::timeout(PATIENCE, async {
        loop {
            let loaded = watcher.next().await;
            if servers(&loaded) == expected {
                return loaded;
            }
        }
    })
    .await
    .expect("the change is seen in time")
}

#[tokio::test]
async fn a_write_in_place_is_seen() {
    let mut watched = watched();
    write(&watched.file, "second");
    until(&mut watched.watcher, Some("second")).await;
}

#[tokio::test]
async fn a_rename_over_the_file_is_seen() {
    let mut watched = watched();
    for name in ["second", "third"] {
        let other = watched.directory.path().join(".config.yaml.swp");
        write(&other, name);
        std::fs::rename(&other, &watched.file).unwrap();
        until(&mut watched.watcher, Some(name)).await;
    }
}

#[tokio::test]
async fn a_bad_file_is_reported_and_a_good_one_then_taken() {
    let mut watched = watched();
    std::fs::write(&watched.file, "mcp_servers: {second: {ur").unwrap();
    let bad = until(&mut watched.watcher, None).await;
    assert!(bad.findings.iter().any(|finding| finding.code == "config.syntax"));
    write(&watched.file, "second");
    until(&mut watched.watcher, Some("second")).await;
}

#[tokio::test]
async fn a_file_that_was_emptied_is_no_configuration() {
    let mut watched = watched();
    std::fs::write(&watched.file, "").unwrap();
    let emptied = until(&mut watched.watcher, None).await;
    assert!(emptied.render(Paint::Plain).contains("the file is empty"), "{}", emptied.render(Paint::Plain));
    write(&watched.file, "second");
    until(&mut watched.watcher, Some("second")).await;
}

#[tokio::test]
async fn a_file_that_is_removed_and_made_again_is_seen() {
    let mut watched = watched();
    std::fs::remove_file(&watched.file).unwrap();
    let gone = until(&mut watched.watcher, None).await;
    assert_eq!(gone.findings[0].code, "config.unreadable");
    write(&watched.file, "second");
    until(&mut watched.watcher, Some("second")).await;
}

/// Kubernetes mounts `config.yaml -> ..data/config.yaml` and `..data -> ..<time>`, and swaps `..data` by a rename.
#[cfg(unix)]
#[tokio::test]
async fn a_swapped_symlink_of_kubernetes_is_seen() {
    use std::os::unix::fs::symlink;

    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let version = |name: &str, server: &str| {
        std::fs::create_dir(root.join(name)).unwrap();
        write(&root.join(name).join("config.yaml"), server);
    };
    version("..1", "first");
    symlink("..1", root.join("..data")).unwrap();
    symlink("..data/config.yaml", root.join("config.yaml")).unwrap();
    let mut watcher = start(&root.join("config.yaml"));
    for (name, server) in [("..2", "second"), ("..3", "third")] {
        version(name, server);
        symlink(name, root.join("..data_tmp")).unwrap();
        std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        until(&mut watcher, Some(server)).await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_write_behind_a_symlink_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let (real, link) = (directory.path().join("real"), directory.path().join("link"));
    std::fs::create_dir(&real).unwrap();
    std::fs::create_dir(&link).unwrap();
    write(&real.join("gate.yaml"), "first");
    std::os::unix::fs::symlink(real.join("gate.yaml"), link.join("config.yaml")).unwrap();
    let mut watcher = start(&link.join("config.yaml"));
    write(&real.join("gate.yaml"), "second");
    until(&mut watcher, Some("second")).await;
}

#[cfg(unix)]
#[tokio::test]
async fn sighup_loads_the_same_file_again() {
    let mut watched = watched();
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP).unwrap();
    until(&mut watched.watcher, Some("first")).await;
}
