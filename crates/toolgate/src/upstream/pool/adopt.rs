//! Going on with sessions that another process of the gateway has opened at the server.
//!
//! A session belongs to one client, whose ids of events name it. It becomes the connection of that client's lane; where
//! the lane has one by now, it serves for what is left of one request, and is not told to the server to be over.

use std::sync::Arc;

use toolgate_client::{Adopted, Options, ServerFacts, Session, Target};
use toolgate_mcp::version::Revision;

use super::{Pool, Step};
use crate::upstream::connection::{Connection, Lease};
use crate::upstream::deadline::Deadline;
use crate::upstream::error::{UpstreamError, Wait};
use crate::upstream::lane::Lane;

/// A session that another process has opened.
#[derive(Clone)]
pub(in crate::upstream) struct Adoption {
    pub(in crate::upstream) session_id: Option<String>,
    pub(in crate::upstream) revision: Revision,
    /// The last event that was heard on the stream on which the server speaks by itself.
    pub(in crate::upstream) listen_after: Option<String>,
    /// On whose connection the server says what it is, which the session's own beginning did.
    pub(in crate::upstream) lists: Lane,
}

/// A connection in a session that was adopted.
pub(in crate::upstream) struct Foster {
    pub(in crate::upstream) lease: Lease,
    /// It is not the lane's connection.
    is_aside: bool,
}

impl Adoption {
    fn is_of(&self, connection: &Connection) -> bool {
        connection.session.id() == self.session_id.as_deref()
    }

    fn listen_on(&self, connection: &Connection) {
        if let Some(after) = self.listen_after.as_deref().filter(|_| self.is_of(connection)) {
            connection.session.listen_after(after);
        }
    }
}

impl Drop for Foster {
    fn drop(&mut self) {
        if self.is_aside {
            self.lease.connection().session.leave();
        }
    }
}

impl Pool {
    /// A connection that goes on with the session of `adoption`.
    pub(in crate::upstream) async fn lease_adopted(
        self: &Arc<Self>,
        lane: &Lane,
        adoption: Adoption,
        deadline: Deadline,
    ) -> Result<Foster, UpstreamError> {
        let name = &self.settings.name;
        let places = self.places()?;
        let step = {
            let mut slots = self.slots();
            match self.look(&mut slots, &lane.key, deadline.began())? {
                None => Err(self.launch(&mut slots, lane, places, Some(adoption))),
                Some(step) => Ok((step, places, adoption)),
            }
        };
        let (step, places, adoption) = match step {
            Ok(taken) => taken,
            Err(flight) => {
                let connection = deadline.wait(name, Wait::Connection, flight).await??;
                return Ok(Foster { lease: Lease::new(&connection), is_aside: false });
            }
        };
        let present = match step {
            Step::Use(lease) => Some(lease),
            // It may be the same session, adopted for another of its requests.
            Step::WaitFor(flight) => {
                deadline.wait(name, Wait::Connection, flight).await?.ok().map(|connection| Lease::new(&connection))
            }
            Step::Pause(_) | Step::MakeSure(_) | Step::Bury(_) => None,
        };
        if let Some(lease) = present.filter(|lease| adoption.is_of(lease.connection())) {
            return Ok(Foster { lease, is_aside: false });
        }
        let number = self.numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let aside = Box::pin(self.connect(lane, number, places, Some(adoption)));
        let connection = deadline.wait(name, Wait::Connection, aside).await??;
        Ok(Foster { lease: Lease::new(&connection), is_aside: true })
    }

    /// Has the stream of `adoption` on which the server speaks by itself go on, unless `lane` has another session by now.
    pub(in crate::upstream) fn listen_again(
        self: &Arc<Self>,
        lane: &Lane,
        adoption: Adoption,
    ) -> Result<(), UpstreamError> {
        let places = self.places()?;
        let mut slots = self.slots();
        match self.look(&mut slots, &lane.key, tokio::time::Instant::now())? {
            // Nobody waits for it; the attempt is a task of its own.
            None => drop(self.launch(&mut slots, lane, places, Some(adoption))),
            Some(Step::Use(lease)) => adoption.listen_on(lease.connection()),
            // It may be the same session, adopted for one of its requests.
            Some(Step::WaitFor(flight)) => {
                self.shared.tasks.spawn(async move {
                    if let Ok(connection) = flight.await {
                        adoption.listen_on(&connection);
                    }
                });
            }
            Some(Step::Pause(_) | Step::MakeSure(_) | Step::Bury(_)) => {}
        }
        Ok(())
    }

    /// Makes the connection out of `adoption`.
    pub(super) async fn adopted(
        self: &Arc<Self>,
        adoption: Adoption,
        lane: &Lane,
        target: &Target,
        options: &Options,
        connection: impl FnOnce(Session) -> Arc<Connection>,
    ) -> Result<Arc<Connection>, UpstreamError> {
        let limit = self.call_timeout();
        let failed = |cause| UpstreamError::connecting(&self.settings.name, cause, limit);
        let Target::Http(target) = target else { return Err(self.closed()) };
        let lists = self.lease(&adoption.lists, Deadline::after(limit)).await?;
        let server = lists.connection().facts();
        if lists.connection().session.is_modern() {
            return Err(self.closed());
        }
        let has_session_id = adoption.session_id.is_some();
        let facts = ServerFacts { revision: adoption.revision, has_session_id, ..ServerFacts::clone(&server) };
        let session = Adopted { session_id: adoption.session_id.clone(), facts };
        let listen = options.listen && adoption.listen_after.is_none();
        let session = Session::adopt(target, &Options { listen, ..options.clone() }, session).map_err(failed)?;
        let connection = connection(session);
        connection.ears.adopted();
        connection.ears.belong_to(lane.client.hears.as_ref());
        adoption.listen_on(&connection);
        self.restore(lane, &connection, limit).await;
        Ok(connection)
    }
}
