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
use super::{Loaded, load_text, master_key, read_file};

/// Changes that follow each other this fast are taken as one: an editor's rename, or a copy being written.
const SETTLE: Duration = Duration::from_millis(150);

/// Loads one file with one environment, again and again.
#[derive(Debug, Clone)]
pub struct Loader {
    path: PathBuf,
    environment: Environment,
    data_dir: Option<PathBuf>,
    seen: Option<[u8; 32]>,
}

impl Loader {
    /// A loader of the file at `path`. `data_dir` is the command line's `--data-dir`.
    #[must_use]
    pub fn new(path: PathBuf, environment: Environment, data_dir: Option<PathBuf>) -> Self {
        Self { path, environment, data_dir, seen: None }
    }

    /// Reads and checks the file, and settles the master key: it is made and kept when nobody gave one.
    ///
    /// Blocks on the file system.
    #[must_use]
    pub fn load(&mut self) -> Loaded {
        let text = read_file(&self.path);
        self.seen = Some(print(&text));
        let mut loaded = load_text(&self.path, text.as_deref(), &self.environment);
        master_key::settle(&mut loaded, self.data_dir.as_deref(), &self.environment);
        loaded
    }

    fn load_if_changed(&mut self) -> Option<Loaded> {
        (self.seen != Some(print(&read_file(&self.path)))).then(|| self.load())
    }

    /// The directories in which a change can be a change of the file.
    fn directories(&self) -> BTreeSet<PathBuf> {
        let real = std::fs::canonicalize(&self.path).ok();
        [Some(self.path.clone()), real].into_iter().flatten().filter_map(|path| directory(&path)).collect()
    }
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
    #[error("cannot watch the directory of the configuration; changes are read on SIGHUP only after a restart")]
    Directory(#[from] notify::Error),
    /// The system refuses to hand out signals.
    #[error("cannot listen for SIGHUP")]
    Signal(#[source] std::io::Error),
}

/// Hands out what the file says each time it changes.
pub struct Watcher {
    loader: Option<Loader>,
    changed: Arc<Notify>,
    watched: BTreeSet<PathBuf>,
    debouncer: Debouncer<RecommendedWatcher, RecommendedCache>,
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl Watcher {
    /// Begins to watch. A change since the loader's last [`Loader::load`] counts as one.
    ///
    /// Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When the system allows no more watches, the directory is gone, or signals cannot be had.
    pub fn start(loader: Loader) -> Result<Self, WatchError> {
        let changed = Arc::new(Notify::new());
        let tell = Arc::clone(&changed);
        let debouncer = new_debouncer(SETTLE, None, move |events: DebounceEventResult| {
            if events.is_err() || events.is_ok_and(|events| events.iter().any(|event| is_change(event.kind))) {
                tell.notify_one();
            }
        })?;
        let mut watcher = Self {
            loader: None,
            changed,
            watched: BTreeSet::new(),
            debouncer,
            #[cfg(unix)]
            hangup: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
                .map_err(WatchError::Signal)?,
        };
        watcher.watch_directories(&loader)?;
        watcher.loader = Some(loader);
        watcher.changed.notify_one();
        Ok(watcher)
    }

    /// Waits for the next change of the file, or SIGHUP, and loads it.
    ///
    /// Cancel safe but for one thing: dropped while the file is being read, the next call reads it again.
    pub async fn next(&mut self) -> Loaded {
        loop {
            let asked = self.wait().await;
            let Some(mut loader) = self.loader.clone() else { std::future::pending().await };
            let work = tokio::task::spawn_blocking(move || {
                let loaded = if asked { Some(loader.load()) } else { loader.load_if_changed() };
                (loader, loaded)
            });
            let (loader, loaded) = match work.await {
                Ok(done) => done,
                Err(failure) if failure.is_panic() => std::panic::resume_unwind(failure.into_panic()),
                // The runtime is shutting down: nobody waits for the answer.
                Err(_) => std::future::pending().await,
            };
            if let Err(error) = self.watch_directories(&loader) {
                tracing::warn!(error = %error, "the new place of the configuration cannot be watched");
            }
            self.loader = Some(loader);
            if let Some(loaded) = loaded {
                return loaded;
            }
        }
    }

    /// Whether it was SIGHUP: then the file is loaded even if it is the same.
    async fn wait(&mut self) -> bool {
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
    fn watch_directories(&mut self, loader: &Loader) -> Result<(), notify::Error> {
        let wanted = loader.directories();
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
