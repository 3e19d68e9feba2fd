//! The streams of a session: the one on which its client hears what no request of its own brings about, and responses
//! that the client may take up again.

use std::sync::Arc;

use super::super::event_id::{Position, StreamId, behind};
use super::super::outlet::{Outlet, Reader};
use super::super::scope::Selection;
use super::{Live, Lives, Standalone, tending};
use crate::auth::Caller;
use crate::catalog::Scope;
use crate::config::settings::DisabledCapabilities;
use crate::seal::Sealer;
use crate::upstream::Changed;

/// A client that opens its standalone stream.
pub(in super::super) struct Listener<'a> {
    pub(in super::super) caller: &'a Caller,
    pub(in super::super) selection: Selection,
    /// What that means with the current configuration.
    pub(in super::super) scope: &'a Scope,
    /// Seals the ids of events; `None` where the client's revision has none.
    pub(in super::super) sealer: Option<&'a Arc<Sealer>>,
    /// The client's revision has events without data.
    pub(in super::super) tells_places: bool,
    /// Where the client left the stream.
    pub(in super::super) after: Option<&'a Position>,
}

/// A standalone stream that is open.
pub(in super::super) struct Heard {
    pub(in super::super) reader: Reader,
    /// From where it goes on.
    pub(in super::super) from: Position,
    /// The client has left another one, which is not there any more.
    pub(in super::super) is_another: bool,
}

/// A response that another process had begun, and its client comes back to.
pub(in super::super) enum Again {
    /// Nobody goes on with it yet.
    Begins,
    /// That is being done.
    GoesOn(Arc<Outlet>),
    /// The session has too many such responses.
    TooMany,
}

/// The configured names of the servers in `scope`.
pub(super) fn names(scope: &Scope) -> Arc<[Arc<str>]> {
    scope.servers().iter().map(|upstream| Arc::from(upstream.settings.name.as_str())).collect()
}

impl Live {
    /// Opens the standalone stream, or takes it over from whoever had it open.
    pub(in super::super) fn listen(self: &Arc<Self>, listener: Listener<'_>) -> Heard {
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
                outlet.passed(behind::servers(state.places.iter()), false);
                if listener.tells_places {
                    outlet.tell_places();
                }
                (outlet, number)
            }
        };
        let selection = listener.selection;
        state.standalone = Some(Standalone { outlet: Arc::clone(&outlet), number, caller, selection, servers });
        drop(state);
        let (stream, after) = (StreamId::Standalone(number), listener.after);
        let reader = match after.filter(|after| after.stream == stream) {
            Some(after) => outlet.reader_after(after.number),
            None => outlet.reader(),
        };
        let from = Position { stream, number: outlet.last_read(), behind: outlet.behind_last_read() };
        Heard { reader, from, is_another: after.is_some_and(|after| after.stream != stream) }
    }

    /// Any list may have changed while nobody listened for this client.
    pub(in super::super) fn tell_all_lists(&self, disabled: DisabledCapabilities) {
        self.tell_changed(&tending::messages(&Changed::ALL, disabled), |_| true);
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

    /// Keeps the response that goes on, in `outlet`, with what another process had begun under this number.
    pub(in super::super) fn keep_again(
        &self,
        live: &Live,
        number: u64,
        outlet: &Arc<Outlet>,
        sealer: &Arc<Sealer>,
        caller: &Caller,
    ) -> Again {
        let mut state = live.lock();
        if let Some(there) = state.kept.find(number) {
            return Again::GoesOn(there);
        }
        if !state.kept.begin(number, outlet, &self.kept) {
            return Again::TooMany;
        }
        drop(state);
        outlet.give_ids(StreamId::Response(number).ids(sealer, &caller.id, live.session.key));
        Again::Begins
    }

    /// The answer in that response is there.
    pub(in super::super) fn kept_to_its_end(&self, live: &Live, stream: StreamId) {
        if let StreamId::Response(number) = stream {
            live.lock().kept.ended(number, &self.kept);
        }
    }
}
