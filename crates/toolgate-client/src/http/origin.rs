//! The connections to one `http:` origin, driven by those who wait for their answers.
//!
//! A general pool has a task for each connection and hands every request from one task to another. Most servers stand
//! beside the gateway and answer at once, so that costs as much as the request itself. Here a connection rests while
//! nobody needs it; a request takes it, polls it until its answer has been read, and puts it back. It is hyper's
//! connection all the same: what is ours is only where it rests and who polls it.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tower_service::Service as _;

use super::client::{IDLE_PER_HOST, IDLE_TIMEOUT};
use super::tcp::Tcp;
use crate::error::{Delivery, Error, Problem, root_cause};

/// How often it is looked for connections that have rested too long.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// One origin, and the connections to it that nobody uses at the moment.
pub(crate) struct Origin {
    connector: Tcp,
    /// Any URI there.
    uri: Uri,
    /// Held for a few lines at a time, never while a connection is polled or closed.
    resting: Mutex<Resting>,
}

#[derive(Default)]
struct Resting {
    /// The one that has rested longest comes first.
    connections: Vec<(Instant, Box<Connection>)>,
    /// Closes those that rest too long; there is one as long as any rests.
    sweeper: Option<AbortOnDropHandle<()>>,
}

/// A connection, and the way to put a request on it.
struct Connection {
    requests: http1::SendRequest<Full<Bytes>>,
    driver: http1::Connection<TokioIo<TcpStream>, Full<Bytes>>,
    is_over: bool,
}

/// The body of an answer.
pub(crate) struct Body {
    incoming: Incoming,
    /// The connection that it comes on, which is for the reader to poll; `None` where a task does that.
    on: Option<(Arc<Origin>, Box<Connection>)>,
    was_read: bool,
}

impl Origin {
    /// The origin of `uri`, whose scheme must be `http`.
    pub(crate) fn new(connector: Tcp, uri: Uri) -> Self {
        Self { connector, uri, resting: Mutex::default() }
    }

    /// Sends `request`, whose URI is a path and whose headers have a `Host`, to `server`, which is only the name for
    /// errors. When this is dropped, or the body before its end, the connection is closed.
    pub(crate) async fn send(
        self: &Arc<Self>,
        server: &str,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Body>, Error> {
        loop {
            let rested = self.wake().await;
            let is_new = rested.is_none();
            let mut connection = match rested {
                Some(connection) => connection,
                None => Box::pin(self.connect(server)).await?,
            };
            let failed = match connection.exchange(request).await {
                Ok(response) => {
                    let on = Some((Arc::clone(self), connection));
                    return Ok(response.map(|incoming| Body { incoming, on, was_read: false }));
                }
                Err(failed) => failed,
            };
            let mut failed = failed;
            match failed.take_message() {
                // The server closed the connection while it rested, and has seen nothing of this.
                Some(unsent) if !is_new => request = unsent,
                unsent => {
                    let delivery = if unsent.is_some() { Delivery::NotSent } else { Delivery::Unknown };
                    let reason = root_cause(failed.error());
                    return Err(Error::new(server, delivery, Problem::Broken { reason }));
                }
            }
        }
    }

    async fn connect(&self, server: &str) -> Result<Box<Connection>, Error> {
        let refused = |error: &(dyn std::error::Error + 'static)| {
            Error::new(server, Delivery::NotSent, Problem::Connect { reason: root_cause(error) })
        };
        let stream = self.connector.clone().call(self.uri.clone()).await.map_err(|error| refused(&*error))?;
        let (requests, driver) = http1::handshake(stream).await.map_err(|error| refused(&error))?;
        Ok(Box::new(Connection { requests, driver, is_over: false }))
    }

    /// A connection that rested and is still good.
    async fn wake(&self) -> Option<Box<Connection>> {
        std::future::poll_fn(|context| {
            while let Some(mut connection) = self.take() {
                connection.drive(context);
                if !connection.is_over && connection.requests.is_ready() {
                    return Poll::Ready(Some(connection));
                }
            }
            Poll::Ready(None)
        })
        .await
    }

    /// The one that rested last, since it is the least likely to have been closed.
    fn take(&self) -> Option<Box<Connection>> {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, connection) = resting.connections.pop()?;
        if since.elapsed() < IDLE_TIMEOUT {
            return Some(connection);
        }
        let older = std::mem::take(&mut resting.connections);
        drop(resting);
        drop(older);
        None
    }

    fn rest(self: &Arc<Self>, connection: Box<Connection>) {
        if connection.is_over {
            return;
        }
        // Outside a runtime nothing could close it in time.
        let Ok(runtime) = Handle::try_current() else { return };
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        if resting.connections.len() >= IDLE_PER_HOST {
            return;
        }
        resting.connections.push((Instant::now(), connection));
        if resting.sweeper.is_none() {
            resting.sweeper = Some(AbortOnDropHandle::new(runtime.spawn(sweep(Arc::downgrade(self)))));
        }
    }

    /// Closes what rests too long. Whether anything is left.
    fn sweep(&self) -> bool {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let young = resting.connections.partition_point(|(since, _)| since.elapsed() >= IDLE_TIMEOUT);
        let old: Vec<_> = resting.connections.drain(..young).collect();
        let is_any_left = !resting.connections.is_empty();
        let sweeper = if is_any_left { None } else { resting.sweeper.take() };
        drop(resting);
        drop((old, sweeper));
        is_any_left
    }
}

async fn sweep(origin: Weak<Origin>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        if !origin.upgrade().is_some_and(|origin| origin.sweep()) {
            return;
        }
    }
}

impl Connection {
    /// Sends `request` and waits for the head of its answer.
    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        let mut answer = pin!(self.requests.try_send_request(request));
        std::future::poll_fn(|context| {
            self.drive(context);
            answer.as_mut().poll(&mut quietly())
        })
        .await
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        // How it ends is told to the request or the body that was on it.
        self.is_over = self.is_over || Pin::new(&mut self.driver).poll(context).is_ready();
    }
}

/// For what becomes ready only while its connection is polled, which is done by the same task: to be woken by it would
/// have the task polled once more for nothing.
fn quietly() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl Body {
    /// A body whose connection a task polls.
    pub(crate) fn of_a_task(incoming: Incoming) -> Self {
        Self { incoming, on: None, was_read: false }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let body = self.get_mut();
        let Some((_, connection)) = &mut body.on else { return Pin::new(&mut body.incoming).poll_frame(context) };
        // Twice, because asking for a piece is what lets the connection read one.
        for _ in 0..2 {
            connection.drive(context);
            if let Poll::Ready(frame) = Pin::new(&mut body.incoming).poll_frame(&mut quietly()) {
                body.was_read |= frame.is_none();
                return Poll::Ready(frame);
            }
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.was_read || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some((origin, connection)) = self.on.take()
            && self.is_end_stream()
        {
            origin.rest(connection);
        }
    }
}
