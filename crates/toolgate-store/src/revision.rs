//! One number counts all changes. Each replica watches it, and learns from the table `changes` what to forget.
//!
//! In one process a change is known at once. PostgreSQL tells other replicas by NOTIFY, which carries the number only;
//! what a lost connection or a crowded one swallows, the poll finds. A file may be changed by another process, such as
//! `toolgate rekey`, and is polled as well.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::audit::Head;
use crate::cell::{Cell, Kind, args};
use crate::db::{Database, Listener, Notices, Session};
use crate::noun::Noun;
use crate::{Store, StoreError};

/// How many changes the database has seen.
pub type Revision = i64;

const CHANNEL: &str = "toolgate_revision";

/// So many of the last revisions say what they changed; who is further behind forgets everything.
const REMEMBERED: i64 = 10_000;

/// How often what is no longer remembered is deleted, in revisions.
const PRUNE_EVERY: i64 = 256;

/// The most that one answer names before it says `Everything`.
const NAMED_AT_MOST: i64 = 10_000;

/// How long is waited before what failed is tried again: the notification connection, reading the revision.
const RECONNECT: Duration = Duration::from_millis(500);

/// What changed since a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The revision that this leads to.
    pub revision: Revision,
    /// What to forget.
    pub touched: Touched,
}

/// What to forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched {
    /// These rows, by kind and id; one may come more than once.
    These(Vec<(Noun, String)>),
    /// Too much to be named, or the database was put back to an earlier state.
    Everything,
}

impl Store {
    /// The latest revision that this process knows. It is told at once of changes made here, and within a second or so
    /// of others.
    pub fn changes(&self) -> watch::Receiver<Revision> {
        self.revision_sender().subscribe()
    }

    /// What changed after the revision `since`.
    pub async fn changes_since(&self, since: Revision) -> Result<Changes, StoreError> {
        let mut session = self.db().read().await?;
        let state = session
            .rows("SELECT revision, changes_from FROM gateway_state WHERE id = 1", args![], vec![Kind::Int, Kind::Int])
            .await?;
        let Some([Cell::Int(revision), Cell::Int(remembered_from)]) = state.first().map(Vec::as_slice) else {
            return Err(StoreError::corrupt("gateway_state has no row"));
        };
        let (revision, remembered_from) = (*revision, *remembered_from);
        if since > revision || since < remembered_from {
            return Ok(Changes { revision, touched: Touched::Everything });
        }
        let sql =
            "SELECT noun, object_id FROM changes WHERE revision > $1 AND revision <= $2 ORDER BY revision LIMIT $3";
        let rows = session.rows(sql, args![since, revision, NAMED_AT_MOST + 1], vec![Kind::Text, Kind::Text]).await?;
        if i64::try_from(rows.len()).unwrap_or(i64::MAX) > NAMED_AT_MOST {
            return Ok(Changes { revision, touched: Touched::Everything });
        }
        let named = rows.into_iter().map(|row| match <[Cell; 2]>::try_from(row) {
            Ok([Cell::Text(noun), Cell::Text(id)]) => Noun::of_table(&noun).map(|noun| (noun, id)),
            _ => None,
        });
        // A kind that this release does not know: it has no cache of it, but others may hang on it.
        Ok(Changes { revision, touched: named.collect::<Option<_>>().map_or(Touched::Everything, Touched::These) })
    }
}

/// Takes the next revision, and with it the right to change things until the transaction ends.
pub(crate) async fn next(session: &mut Session) -> Result<(Revision, Head), StoreError> {
    session.exclude_writers().await?;
    let sql = "UPDATE gateway_state SET revision = revision + 1 WHERE id = 1 RETURNING revision, audit_seq, audit_hash";
    let rows = session.rows(sql, args![], vec![Kind::Int, Kind::Int, Kind::Text]).await?;
    match rows.into_iter().next().map(<[Cell; 3]>::try_from) {
        Some(Ok([Cell::Int(revision), Cell::Int(seq), Cell::Text(hash)])) => Ok((revision, Head { seq, hash })),
        _ => Err(StoreError::corrupt("gateway_state has no row")),
    }
}

/// Writes down what a revision changed, and where the audit log stands.
pub(crate) async fn note(
    session: &mut Session,
    revision: Revision,
    head: &Head,
    touched: &[(Noun, String)],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let sql = "UPDATE gateway_state SET audit_seq = $1, audit_hash = $2 WHERE id = 1";
    session.execute(sql, args![head.seq, head.hash]).await?;
    for (noun, id) in touched {
        let sql = "INSERT INTO changes (revision, noun, object_id, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        session.execute(sql, args![revision, noun.table(), *id, now]).await?;
    }
    if revision % PRUNE_EVERY == 0 {
        let from = (revision - REMEMBERED).max(0);
        session.execute("DELETE FROM changes WHERE revision <= $1", args![from]).await?;
        session.execute("UPDATE gateway_state SET changes_from = $1 WHERE id = 1", args![from]).await?;
    }
    if session.is_postgres() {
        // Told at the commit, and not at all without one.
        session.execute("SELECT pg_notify($1, $2)", args![CHANNEL, revision.to_string()]).await?;
    }
    Ok(())
}

/// The database's revision.
pub(crate) async fn current(db: &Database) -> Result<Revision, StoreError> {
    let revision = db.read().await?.value("SELECT revision FROM gateway_state WHERE id = 1", args![]).await?;
    revision.ok_or_else(|| StoreError::corrupt("gateway_state has no row"))
}

/// Says a revision to everybody who watches; never an older one than was said, since answers may overtake each other.
pub(crate) fn announce(sender: &watch::Sender<Revision>, revision: Revision) {
    sender.send_if_modified(|known| {
        let newer = revision > *known;
        if newer {
            *known = revision;
        }
        newer
    });
}

/// Follows the database's revision until it is told to stop.
pub(crate) async fn follow(
    db: Database,
    notices: Option<Notices>,
    sender: watch::Sender<Revision>,
    poll: Duration,
    stop: CancellationToken,
) {
    let mut listener = None;
    let mut ask_again = Instant::now() + poll;
    loop {
        if listener.is_none()
            && let Some(notices) = &notices
        {
            tokio::select! {
                () = stop.cancelled() => return,
                connected = notices.listen(CHANNEL) => listener = connected,
            }
            // What was told while nobody listened is read now; without a connection, the number is all there is.
            ask_again = Instant::now() + if listener.is_some() { Duration::ZERO } else { RECONNECT.min(poll) };
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(ask_again) => {}
            heard = hear(&mut listener) => if !heard {
                listener = None;
            },
        }
        ask_again = match current(&db).await {
            Ok(revision) => {
                announce(&sender, revision);
                Instant::now() + poll
            }
            Err(error) => {
                tracing::debug!(%error, "the revision could not be read");
                Instant::now() + RECONNECT.min(poll)
            }
        };
    }
}

/// Waits for a notification; false when the connection is lost. Without a connection it waits forever.
async fn hear(listener: &mut Option<Listener>) -> bool {
    match listener {
        Some(listener) => listener.hear().await,
        None => std::future::pending().await,
    }
}
