//! Work on a request where it came in: polled by the client's own connection, without a task of its own.
//!
//! Hanging up is not cancelling in the revisions with a handshake (MCP 2025-11-25, Transports, Sending Messages to the
//! Server): when the client goes away before the answer, what is left of the work goes on as a task of the gateway.
//! Later revisions mean the opposite, and there the work is dropped with its client.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, CatchUnwind};
use tokio::runtime::Handle;
use tokio::time::Sleep;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::outlet::Outlet;

/// Work that can be moved about; a panic in it is an outcome.
type Work<T> = CatchUnwind<AssertUnwindSafe<BoxFuture<'static, T>>>;

/// Work that a client waits for.
pub(super) struct InPlace<T: Send + 'static> {
    work: Option<Work<T>>,
    /// Where the work goes on without its client; `None` if it ends with it.
    tasks: Option<TaskTracker>,
    /// Given up when the client goes away, since nobody will read it.
    outlet: Option<Arc<Outlet>>,
}

/// What came first.
pub(super) enum Came<T> {
    /// The end of the work.
    End(Result<T, Panicked>),
    /// Something to stream, or enough time for it. The rest of the work is the receiver's to run.
    Stream(Rest<T>),
}

/// The rest of some work.
pub(super) struct Rest<T>(Left<T>);

enum Left<T> {
    Work(Work<T>),
    Nothing(Result<T, Panicked>),
}

/// The work panicked; the text is for the log.
#[derive(Debug)]
pub(super) struct Panicked(String);

impl<T: Send + 'static> InPlace<T> {
    /// Work that goes on among `tasks` when the client goes away.
    pub(super) fn that_goes_on(work: BoxFuture<'static, T>, tasks: &TaskTracker) -> Self {
        Self { work: Some(AssertUnwindSafe(work).catch_unwind()), tasks: Some(tasks.clone()), outlet: None }
    }

    /// Work that is dropped when the client goes away.
    pub(super) fn that_ends_with_its_client(work: BoxFuture<'static, T>) -> Self {
        Self { work: Some(AssertUnwindSafe(work).catch_unwind()), tasks: None, outlet: None }
    }

    /// Waits for the end, or for the time to begin a stream: when `outlet` has something, or after `patience`.
    /// Without patience the client takes no streams, and only the end counts.
    pub(super) async fn wait(mut self, outlet: &Arc<Outlet>, patience: Option<Duration>) -> Came<T> {
        self.outlet = Some(Arc::clone(outlet));
        let mut timer = pin!(None::<Sleep>);
        std::future::poll_fn(move |context| {
            let work = self.work.as_mut().expect("it is taken only together with the end of this wait");
            if let Poll::Ready(end) = work.poll_unpin(context) {
                self.work = None;
                return Poll::Ready(Came::End(end.map_err(Panicked::new)));
            }
            let Some(patience) = patience else { return Poll::Pending };
            if timer.is_none() {
                // Only now, because what ends at once needs none.
                timer.set(Some(tokio::time::sleep(patience)));
            }
            let timer = timer.as_mut().as_pin_mut().expect("it was just set");
            let is_time =
                outlet.poll_begin(context).is_ready() || (timer.poll(context).is_ready() && outlet.may_begin());
            match self.work.take_if(|_| is_time) {
                Some(rest) => Poll::Ready(Came::Stream(Rest(Left::Work(rest)))),
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl<T: Send + 'static> Drop for InPlace<T> {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        if let Some(outlet) = &self.outlet {
            outlet.desert();
        }
        let Some(tasks) = self.tasks.take() else { return };
        // Without a runtime nothing is left that could go on.
        if let Ok(runtime) = Handle::try_current() {
            tasks.spawn_on(work.map(drop).in_current_span(), &runtime);
        }
    }
}

impl<T> Rest<T> {
    /// Of work that has come to its end already.
    pub(super) fn over(end: Result<T, Panicked>) -> Self {
        Self(Left::Nothing(end))
    }

    /// The end of the work.
    pub(super) async fn end(self) -> Result<T, Panicked> {
        match self.0 {
            Left::Work(work) => work.await.map_err(Panicked::new),
            Left::Nothing(end) => end,
        }
    }
}

impl Panicked {
    fn new(payload: Box<dyn Any + Send>) -> Self {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        Self(text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default())
    }
}

impl std::fmt::Display for Panicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::sync::oneshot;

    use super::*;

    const LONG: Option<Duration> = Some(Duration::from_secs(3600));

    fn outlet() -> Arc<Outlet> {
        let outlet = Outlet::new();
        outlet.let_begin();
        outlet
    }

    #[tokio::test]
    async fn the_end_comes_as_it_is() {
        let work = InPlace::that_goes_on(async { 7 }.boxed(), &TaskTracker::new());
        assert!(matches!(work.wait(&outlet(), LONG).await, Came::End(Ok(7))));
    }

    #[tokio::test]
    async fn a_panic_is_an_end_and_says_why() {
        let work: InPlace<()> = InPlace::that_goes_on(async { panic!("for a test") }.boxed(), &TaskTracker::new());
        let Came::End(Err(panicked)) = work.wait(&outlet(), LONG).await else { panic!("it did not panic") };
        assert_eq!(panicked.to_string(), "for a test");
    }

    #[tokio::test]
    async fn an_event_makes_it_a_stream_and_the_work_goes_on_from_where_it_was() {
        let outlet = outlet();
        let (go, gone) = oneshot::channel::<()>();
        let work = InPlace::that_goes_on(async { gone.await.is_ok() }.boxed(), &TaskTracker::new());
        outlet.notify(Bytes::from_static(b"{}"));
        let Came::Stream(rest) = work.wait(&outlet, LONG).await else { panic!("nothing has ended") };
        go.send(()).expect("the work waits for it");
        assert!(rest.end().await.expect("no panic"));
    }

    #[tokio::test]
    async fn time_makes_it_a_stream_unless_it_may_not_be_one() {
        let never = || InPlace::that_goes_on(std::future::pending::<()>().boxed(), &TaskTracker::new());
        let soon = Some(Duration::from_millis(1));
        assert!(matches!(never().wait(&outlet(), soon).await, Came::Stream(_)));
        let (go, gone) = oneshot::channel::<()>();
        let work = InPlace::that_goes_on(gone.boxed(), &TaskTracker::new());
        let held = Outlet::new();
        let mut wait = pin!(work.wait(&held, soon));
        assert!(tokio::time::timeout(Duration::from_millis(20), wait.as_mut()).await.is_err());
        go.send(()).expect("the work waits for it");
        assert!(matches!(wait.await, Came::End(Ok(Ok(())))));
    }

    #[tokio::test]
    async fn work_whose_client_goes_away_goes_on_and_is_waited_for() {
        let tasks = TaskTracker::new();
        let (go, gone) = oneshot::channel::<()>();
        let (done, mut is_done) = oneshot::channel();
        let work = async move {
            gone.await.expect("the test says so");
            done.send(()).expect("the test listens");
        };
        drop(InPlace::that_goes_on(work.boxed(), &tasks));
        assert!(is_done.try_recv().is_err());
        go.send(()).expect("the work was not dropped");
        tasks.close();
        tasks.wait().await;
        is_done.try_recv().expect("it went on to its end");
    }
}
