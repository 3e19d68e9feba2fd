//! Reading the file again when it changes.
//!
//! The *directory* is watched, since editors replace a file by renaming another over it and Kubernetes swaps a symlink
//! beside it; so is the directory that the file really lies in. SIGHUP reads it again at once. What comes of it is
//! handed out whole: a file that is half written or wrong is a [`Loaded`] without settings, and the owner keeps those
//! it has and shows the findings.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use tokio::sync::Notify;

use super::environment::Environment;
use super::{Loaded, load_text, read_file};

/// Changes that follow each other this fast are taken as one: an editor's rename, or a copy being written.
const SETTLE: Duration = Duration::from_millis(150);

fn load_if_changed(path: &Path, environment: &Environment, seen: [u8; 32], asked: bool) -> Option<([u8; 32], Loaded)> {
    let text = read_file(path);
    let now = print(&text);
    // Whoever writes a file in place empties it first. Taken as it is then, it would be a gateway without servers.
    if !asked && text.as_ref().is_ok_and(|text| text.trim().is_empty()) {
        tracing::debug!("the configuration is empty, as one that is being written; SIGHUP takes it as it is");
        return None;
    }
    (asked || now != seen).then(|| (now, load_text(path, text.as_deref(), environment)))
}

/// The directories in which a change can be a change of the file.
fn directories(path: &Path) -> BTreeSet<PathBuf> {
    let real = std::fs::canonicalize(path).ok();
    [Some(path), real.as_deref()].into_iter().flatten().filter_map(directory).collect()
}

fn directory(path: &Path) -> Option<PathBuf> {
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() })
}

/// Tells one content of the file from another, and from its absence.
fn print(text: &Result<String, String>) -> [u8; 32] {
    let (Ok(text) | Err(text)) = text;
    let mut print = [0; 32];
    print.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    print
}

/// Why the file cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The system refuses to watch the directory.
    #[error("cannot watch the directory of the configuration; changes are not seen")]
    Directory(#[from] notify::Error),
    /// The system refuses to hand out signals.
    #[error("cannot listen for SIGHUP")]
    Signal(#[source] std::io::Error),
}

/// Hands out what the file says each time it changes.
pub struct Watcher {
    path: PathBuf,
    environment: Environment,
    seen: [u8; 32],
    /// A call of [`Watcher::next`] was dropped while it read the file: the next one looks at once.
    unfinished: bool,
    changed: Arc<Notify>,
    watched: BTreeSet<PathBuf>,
    debouncer: Debouncer<RecommendedWatcher, RecommendedCache>,
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl Watcher {
    /// Begins to watch the file at `path`, which is loaded with `environment`. Started before the file is first loaded,
    /// it misses no change; at worst the first one is handed out although it was loaded already.
    ///
    /// Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When the system allows no more watches, the directory is not there, or signals cannot be had.
    pub fn start(path: PathBuf, environment: Environment) -> Result<Self, WatchError> {
        let seen = print(&read_file(&path));
        let changed = Arc::new(Notify::new());
        let tell = Arc::clone(&changed);
        let debouncer = new_debouncer(SETTLE, None, move |events: DebounceEventResult| {
            if events.map_or(true, |events| events.iter().any(|event| is_change(event.kind))) {
                tell.notify_one();
            }
        })?;
        let mut watcher = Self {
            path,
            environment,
            seen,
            unfinished: false,
            changed,
            watched: BTreeSet::new(),
            debouncer,
            #[cfg(unix)]
            hangup: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
                .map_err(WatchError::Signal)?,
        };
        watcher.watch_directories()?;
        // A change between the first look and the first watch.
        watcher.changed.notify_one();
        Ok(watcher)
    }

    /// Waits for the next change of the file, or SIGHUP, and loads it.
    ///
    /// Cancel safe: a change whose loading was dropped is found again by the next call, though a SIGHUP is not.
    pub async fn next(&mut self) -> Loaded {
        loop {
            let asked = self.wait().await;
            let (path, environment, seen) = (self.path.clone(), self.environment.clone(), self.seen);
            self.unfinished = true;
            let work = tokio::task::spawn_blocking(move || load_if_changed(&path, &environment, seen, asked));
            let loaded = match work.await {
                Ok(loaded) => loaded,
                Err(failure) if failure.is_panic() => std::panic::resume_unwind(failure.into_panic()),
                // The runtime is shutting down: nobody waits for the answer.
                Err(_) => std::future::pending().await,
            };
            self.unfinished = false;
            if let Err(error) = self.watch_directories() {
                tracing::warn!(%error, "the new place of the configuration cannot be watched");
            }
            let Some((seen, loaded)) = loaded else {
                continue;
            };
            self.seen = seen;
            return loaded;
        }
    }

    /// Whether it was SIGHUP: then the file is loaded even if it is the same.
    async fn wait(&mut self) -> bool {
        if self.unfinished {
            return false;
        }
        #[cfg(unix)]
        tokio::select! {
            signal = self.hangup.recv() => signal.is_some(),
            () = self.changed.notified() => false,
        }
        #[cfg(not(unix))]
        {
            self.changed.notified().await;
            false
        }
    }

    /// A symlink may lead to another directory than before.
    fn watch_directories(&mut self) -> Result<(), notify::Error> {
        let wanted = directories(&self.path);
        for gone in self.watched.difference(&wanted) {
            // A directory that was removed is not watched any more either way.
            let _ = self.debouncer.unwatch(gone);
        }
        for new in wanted.difference(&self.watched) {
            self.debouncer.watch(new, RecursiveMode::NonRecursive)?;
        }
        self.watched = wanted;
        Ok(())
    }
}

/// Reading the file is an event too, and must not lead to reading it.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => true,
    }
}
