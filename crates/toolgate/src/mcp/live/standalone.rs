//! The streams of a session: the one on which its client hears what no request of its own brings about, and responses
//! that the client may take up again.

use std::sync::Arc;

use super::super::event_id::{Position, StreamId};
use super::super::outlet::{Outlet, Reader};
use super::super::scope::Selection;
use super::{Live, Lives, Standalone};
use crate::auth::Caller;
use crate::catalog::Scope;
use crate::seal::Sealer;

/// A client that opens its standalone stream.
pub(in super::super) struct Listener<'a> {
    pub(in super::super) caller: &'a Caller,
    pub(in super::super) selection: Selection,
    /// What that means with the current configuration.
    pub(in super::super) scope: &'a Scope,
    /// Seals the ids of events; `None` where the client's revision has none.
    pub(in super::super) sealer: Option<&'a Arc<Sealer>>,
    /// Where the client left the stream.
    pub(in super::super) after: Option<Position>,
}

/// The configured names of the servers in `scope`.
pub(super) fn names(scope: &Scope) -> Arc<[Arc<str>]> {
    scope.servers().iter().map(|upstream| Arc::from(upstream.settings.name.as_str())).collect()
}

impl Live {
    /// Opens the standalone stream, or takes it over from whoever had it open; gives it, and the place from which it
    /// goes on.
    pub(in super::super) fn listen(self: &Arc<Self>, listener: Listener<'_>) -> (Reader, Position) {
        let (caller, servers) = (listener.caller.clone(), names(listener.scope));
        let mut state = self.lock();
        let standalone = state.standalone.take().filter(|standalone| standalone.outlet.is_open());
        let (outlet, number) = match standalone {
            Some(standalone) => (standalone.outlet, standalone.number),
            None => {
                let (outlet, number) = (Outlet::new(), StreamId::random_number());
                if let Some(sealer) = listener.sealer {
                    outlet.give_ids(StreamId::Standalone(number).ids(sealer, &caller.id, self.session.key));
                }
                (outlet, number)
            }
        };
        let selection = listener.selection;
        state.standalone = Some(Standalone { outlet: Arc::clone(&outlet), number, caller, selection, servers });
        drop(state);
        let reader = match listener.after {
            Some(Position { stream: StreamId::Standalone(stream), number: after }) if stream == number => {
                outlet.reader_after(after)
            }
            // The stream of a former process: what has come since its end is all that can be told.
            _ => outlet.reader(),
        };
        let position = Position { stream: StreamId::Standalone(number), number: outlet.last_read() };
        (reader, position)
    }

    /// The stream on which answers go too, of the transport that has one for everything.
    pub(in super::super) fn only_stream(&self) -> Option<Arc<Outlet>> {
        self.lock().standalone.as_ref().map(|standalone| Arc::clone(&standalone.outlet))
    }

    /// The servers in `scope` may speak from now on, on the standalone stream.
    pub(in super::super) fn hear(self: &Arc<Self>, caller: &Caller, scope: &Scope) {
        let client = self.client();
        for upstream in scope.servers() {
            if let Err(error) = upstream.hear_standalone(caller, &client) {
                tracing::debug!(server.name = upstream.settings.name, %error, "nothing is heard from a server");
            }
        }
    }

    /// The response to a request that its client has begun to read, to be taken up again.
    pub(in super::super) fn response(&self, number: u64) -> Option<Arc<Outlet>> {
        self.lock().kept.find(number)
    }
}

impl Lives {
    /// Gives the response in `outlet` ids, so that the client can take it up again when it is lost; gives the number
    /// by which it is known. `None` when the session has too many such responses.
    pub(in super::super) fn keep(
        &self,
        live: &Live,
        outlet: &Arc<Outlet>,
        sealer: &Arc<Sealer>,
        caller: &Caller,
    ) -> Option<StreamId> {
        let number = StreamId::random_number();
        let stream = StreamId::Response(number);
        let kept = live.lock().kept.begin(number, outlet, &self.kept);
        kept.then(|| outlet.give_ids(stream.ids(sealer, &caller.id, live.session.key)))?;
        Some(stream)
    }

    /// The answer in that response is there.
    pub(in super::super) fn kept_to_its_end(&self, live: &Live, stream: StreamId) {
        if let StreamId::Response(number) = stream {
            live.lock().kept.ended(number, &self.kept);
        }
    }
}
