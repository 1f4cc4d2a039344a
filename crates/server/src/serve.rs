//! Serves a router over TCP: HTTP/1.1, so many connections, and no client that keeps one by doing nothing.
//!
//! A connection ends when its next header takes too long, when its client does not take an answer, or on shutdown after
//! the request that is under way. A refused body is still read for a moment: closing a socket with unread bytes in it
//! would destroy the answer that says why.

mod stall;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{self, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt as _;
use tracing::{debug, warn};

use crate::problem::Kind;
use crate::router::Peer;
use crate::serve::stall::Unstalled;

/// The most bytes of the head of a request.
const MOST_HEAD_BYTES: usize = 64 * 1024;
/// The most bytes of a refused body that are read and thrown away.
const MOST_LINGER_BYTES: u64 = 16 * 1024 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often the log says that there are too many connections.
const WARN_PAUSE: Duration = Duration::from_secs(10);

/// Why nothing is served any more.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket does not listen.
    #[error("cannot accept connections")]
    Listener(#[source] io::Error),
}

/// What bounds a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How many connections there may be at once; the next one waits in the system's queue.
    pub(crate) most_connections: usize,
    /// How long the head of a request may take, and how long a connection may wait for the next one.
    pub(crate) head_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub(crate) stall_timeout: Duration,
    /// How long a refused body is read and thrown away.
    pub(crate) linger: Duration,
    /// How long requests may take to end on shutdown.
    pub(crate) patience: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            most_connections: 1024,
            head_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            linger: Duration::from_secs(3),
            patience: Duration::from_secs(10),
        }
    }
}

/// Serves until the shutdown is there, then takes nothing more and gives the requests that are under way ten seconds.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    serve_within(Limits::default(), listener, router, shutdown).await
}

pub(crate) async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let mut shutdown = pin!(shutdown);
    let mut connections = JoinSet::new();
    let (stop, stopped) = watch::channel(());
    let mut warned = None;
    let service = Service { limits, router, open: Arc::default() };
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => service.count(connections.len()),
            accepted = listener.accept(), if connections.len() < limits.most_connections => {
                if let Some((stream, peer)) = check_accepted(accepted).await? {
                    connections.spawn(converse(service.clone(), stream, peer, stopped.clone()));
                    service.count(connections.len());
                    let is_full = connections.len() == limits.most_connections;
                    if is_full && warned.is_none_or(|at: Instant| at.elapsed() >= WARN_PAUSE) {
                        warned = Some(Instant::now());
                        warn!(connections = connections.len(), "further connections have to wait");
                    }
                }
            }
        }
    }
    drop(listener);
    let _ = stop.send(());
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.patience, all).await.is_err() {
        warn!(connections = connections.len(), "connections were cut off on shutdown");
    }
    Ok(())
}

/// A connection; none where only this one failed, or where the system has no room for it at the moment.
async fn check_accepted(
    accepted: io::Result<(TcpStream, SocketAddr)>,
) -> Result<Option<(TcpStream, SocketAddr)>, Error> {
    match accepted {
        Ok(accepted) => Ok(Some(accepted)),
        // What `accept` says of a socket that does not listen.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(Error::Listener(error)),
        Err(error) => {
            warn!(%error, "connection not accepted");
            sleep(ACCEPT_PAUSE).await;
            Ok(None)
        }
    }
}

async fn converse(service: Service, stream: TcpStream, peer: SocketAddr, mut stopped: watch::Receiver<()>) {
    let limits = service.limits;
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "nodelay not set");
    }
    let io = TokioIo::new(Unstalled::new(stream, limits.stall_timeout));
    let service = service_fn(move |request| Box::pin(service.clone().respond(request, peer)));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(MOST_HEAD_BYTES)
        .serve_connection(io, service);
    let ended = tokio::select! {
        ended = poll_fn(|context| connection.poll_without_shutdown(context)) => ended,
        _ = stopped.changed() => {
            pin::Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|context| connection.poll_without_shutdown(context)).await
        }
    };
    if let Err(error) = ended {
        debug!(%error, %peer, "connection broke off");
    }
    linger(connection.into_parts().io.into_inner(), limits.linger).await;
}

/// What the connections share.
#[derive(Clone)]
struct Service {
    limits: Limits,
    router: Router,
    /// How many connections there are.
    open: Arc<AtomicUsize>,
}

impl Service {
    fn count(&self, open: usize) {
        self.open.store(open, Ordering::Relaxed);
    }

    async fn respond(self, mut request: Request<Incoming>, peer: SocketAddr) -> Result<Response, Infallible> {
        request.extensions_mut().insert(Peer(peer));
        let mut response = self.router.oneshot(request.map(Body::new)).await?;
        // A connection anew for each time that somebody is asked to come again costs more than to say so. But where
        // connections become rare, they leave their place to others, people above all.
        let is_crowded = self.open.load(Ordering::Relaxed) >= self.limits.most_connections.div_ceil(2);
        if is_crowded && response.extensions().get() == Some(&Kind::Busy) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// Says that nothing more comes, and reads what the client still sends until it says so too.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin, patience: Duration) {
    let drain = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(MOST_LINGER_BYTES), &mut tokio::io::sink()).await
    };
    if let Ok(Err(error)) = timeout(patience, drain).await {
        debug!(%error, "connection not closed cleanly");
    }
}
