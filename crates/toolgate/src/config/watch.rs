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
use super::{Loaded, Unreadable, load_text, read_file};

/// Changes that follow each other this fast are taken as one: an editor's rename, or a copy being written.
const SETTLE: Duration = Duration::from_millis(150);

/// A file is taken for written when it reads the same twice, this far apart; a writer in place empties it first, and
/// half a file can be a configuration too.
const STEADY: Duration = Duration::from_millis(50);

/// How often a file that keeps changing is read before it is taken as it is.
const STEADY_TRIES: usize = 20;

/// What the file says once it has stopped changing.
async fn steady_text(path: &Path) -> Result<String, Unreadable> {
    let mut text = read(path).await;
    for _ in 0..STEADY_TRIES {
        tokio::time::sleep(STEADY).await;
        let again = read(path).await;
        if again == text {
            break;
        }
        text = again;
    }
    match text {
        Ok(text) if text.trim().is_empty() => Err(Unreadable {
            code: "config.unreadable",
            message: "the file is empty, as a file is that is being written".to_owned(),
            help: "write the whole file, or rename a whole one over it",
        }),
        text => text,
    }
}

async fn read(path: &Path) -> Result<String, Unreadable> {
    let path = path.to_owned();
    in_thread(move || read_file(&path)).await
}

/// Runs what blocks outside the runtime's own threads.
async fn in_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failure) if failure.is_panic() => std::panic::resume_unwind(failure.into_panic()),
        // The runtime is shutting down: nobody waits for the answer.
        Err(_) => std::future::pending().await,
    }
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
fn print(text: &Result<String, Unreadable>) -> [u8; 32] {
    let (Ok(text) | Err(Unreadable { message: text, .. })) = text;
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
            self.unfinished = true;
            let text = steady_text(&self.path).await;
            let now = print(&text);
            if !asked && now == self.seen {
                self.unfinished = false;
                self.follow_the_file();
                continue;
            }
            let (path, environment) = (self.path.clone(), self.environment.clone());
            let loaded = in_thread(move || load_text(&path, text.as_deref(), &environment)).await;
            self.unfinished = false;
            self.follow_the_file();
            self.seen = now;
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

    fn follow_the_file(&mut self) {
        if let Err(error) = self.watch_directories() {
            tracing::warn!(%error, "the new place of the configuration cannot be watched");
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
