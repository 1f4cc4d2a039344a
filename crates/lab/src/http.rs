//! Serves an [`Endpoint`] over HTTP/1.1: connections, body limits, faults, recording.
//!
//! An endpoint is a function from request to answer; nothing below this module knows of sockets. A dropped
//! connection is an error of the service: hyper then closes the socket without having written a byte.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as AnswerBody;
use axum::extract::Query;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use crate::faults::{Kind, Orders, System};
use crate::record::Recorder;

/// A simulated server.
pub(crate) trait Endpoint: Send + Sync {
    /// Does what the request asks for, at once and completely, and answers.
    fn answer(&self, request: &Request) -> Answer;
    /// Words a refusal as this product does. It must not have an effect.
    fn refuse(&self, refusal: Refusal) -> Answer;
}

/// A request whose body has arrived.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) peer: IpAddr,
}

/// Why a request is not looked at, or not answered as it should be.
#[derive(Clone, Copy)]
pub(crate) enum Refusal {
    /// The body is over the limit.
    TooLarge { read: u64 },
    /// The client announced such a body and waits for leave to send it.
    ExpectationFailed { announced: u64 },
    /// A fault: the credentials are called expired.
    TokenExpired,
    /// A fault: the work was done, the answer was not ready in time.
    TimedOut,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: Vec<u8>,
}

pub(crate) const JSON: &str = "application/json";

/// The limit of the Wazuh API (`max_upload_size`), taken for all.
pub(crate) const BODY_LIMIT: u64 = 10_485_760;

const BODY_TIMEOUT: Duration = Duration::from_secs(30);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The decoded query parameters in the order in which they came.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let uri = Uri::builder().path_and_query(format!("/?{}", self.query)).build().unwrap_or_default();
        Query::try_from_uri(&uri).map(|Query(parameters)| parameters).unwrap_or_default()
    }
}

impl Answer {
    pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Answer {
        let body = serde_json::to_vec(body).expect("an answer has string keys only");
        Answer { status, content_type: JSON, headers: Vec::new(), body }
    }

    pub(crate) fn empty(status: StatusCode) -> Answer {
        Answer { status, content_type: "", headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn text(status: StatusCode, body: String) -> Answer {
        Answer {
            status,
            content_type: "text/plain; charset=utf-8",
            headers: Vec::new(),
            body: body.into_bytes(),
        }
    }

    fn into_response(self) -> hyper::Response<AnswerBody> {
        let mut response = hyper::Response::new(AnswerBody::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if !self.content_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        for (name, value) in self.headers {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// What a port needs to know to be served.
pub(crate) struct Server {
    pub(crate) endpoint: Arc<dyn Endpoint>,
    /// Absent for the control API, which neither fails nor is recorded.
    pub(crate) observer: Option<Observer>,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) keep_alive: Duration,
    /// Each answer that nobody observes comes so much later.
    pub(crate) delay: Duration,
}

pub(crate) struct Observer {
    pub(crate) system: System,
    pub(crate) orders: Arc<Orders>,
    pub(crate) recorder: Arc<Recorder>,
}

/// Serves until the returned task is aborted, which closes its connections too.
pub(crate) fn serve(listener: TcpListener, server: Server) -> JoinHandle<Infallible> {
    let server = Arc::new(server);
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        connections.spawn(accept(server.clone(), stream, peer.ip()));
                    }
                    Err(error) => {
                        warn!(%error, "connection not accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
    })
}

async fn accept(server: Arc<Server>, stream: TcpStream, peer: IpAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "nodelay not set");
    }
    let Some(tls) = server.tls.clone() else {
        return converse(server, stream, peer).await;
    };
    match timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => converse(server, stream, peer).await,
        Ok(Err(error)) => debug!(%error, "TLS handshake failed"),
        Err(_) => debug!("TLS handshake timed out"),
    }
}

async fn converse(server: Arc<Server>, stream: impl AsyncRead + AsyncWrite + Unpin, peer: IpAddr) {
    // The header timeout also runs between two requests, so it is what closes an idle connection.
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(server.keep_alive)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(|incoming| {
                let server = server.clone();
                async move { respond(&server, incoming, peer).await }
            }),
        )
        .await;
    if let Err(error) = served {
        debug!(%error, "connection closed");
    }
}

#[derive(Debug, thiserror::Error)]
#[error("dropped by order")]
struct Dropped;

async fn respond(
    server: &Server,
    incoming: hyper::Request<Incoming>,
    peer: IpAddr,
) -> Result<hyper::Response<AnswerBody>, Dropped> {
    let (request, refusal) = receive(incoming, peer).await?;
    let Some(observer) = &server.observer else {
        let answer = answer(server, &request, refusal);
        if !server.delay.is_zero() {
            sleep(server.delay).await;
        }
        return Ok(answer.into_response());
    };
    let seq = observer.recorder.arrived(observer.system, &request);
    let fault = observer.orders.take(observer.system, request.method.as_str(), &request.path);
    let answer = match fault {
        None => answer(server, &request, refusal),
        Some(Kind::Delay { ms }) => {
            let answer = answer(server, &request, refusal);
            sleep(Duration::from_millis(ms)).await;
            answer
        }
        Some(Kind::DropBefore) => return Err(Dropped),
        Some(Kind::DropAfter) => {
            answer(server, &request, refusal);
            return Err(Dropped);
        }
        Some(Kind::Status { status, body }) => ordered_answer(status, body),
        Some(Kind::TokenExpired) => server.endpoint.refuse(Refusal::TokenExpired),
        Some(Kind::ApiTimeout) => {
            answer(server, &request, refusal);
            server.endpoint.refuse(Refusal::TimedOut)
        }
    };
    observer.recorder.answered(seq, answer.status.as_u16());
    Ok(answer.into_response())
}

fn answer(server: &Server, request: &Request, refusal: Option<Refusal>) -> Answer {
    match refusal {
        None => server.endpoint.answer(request),
        Some(refusal) => server.endpoint.refuse(refusal),
    }
}

fn ordered_answer(status: u16, body: Value) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match body {
        Value::Null => Answer::empty(status),
        Value::String(text) => Answer::text(status, text),
        body @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Answer::json(status, &body)
        }
    }
}

async fn receive(
    incoming: hyper::Request<Incoming>,
    peer: IpAddr,
) -> Result<(Request, Option<Refusal>), Dropped> {
    let (head, mut body) = incoming.into_parts();
    let mut request = Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: Bytes::new(),
        peer,
    };
    if let Some(announced) = announced_too_much(&request) {
        return Ok((request, Some(Refusal::ExpectationFailed { announced })));
    }
    match timeout(BODY_TIMEOUT, read(&mut body)).await {
        Err(_) | Ok(Err(Unread::Broken)) => Err(Dropped),
        Ok(Err(Unread::TooLarge { read })) => Ok((request, Some(Refusal::TooLarge { read }))),
        Ok(Ok(bytes)) => {
            request.body = bytes;
            Ok((request, None))
        }
    }
}

fn announced_too_much(request: &Request) -> Option<u64> {
    request.header(EXPECT.as_str()).filter(|value| value.eq_ignore_ascii_case("100-continue"))?;
    let announced = request.header(CONTENT_LENGTH.as_str())?.parse().ok()?;
    (announced > BODY_LIMIT).then_some(announced)
}

enum Unread {
    Broken,
    TooLarge { read: u64 },
}

async fn read(body: &mut Incoming) -> Result<Bytes, Unread> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else {
            continue;
        };
        bytes.extend_from_slice(&data);
        let read = bytes.len() as u64;
        if read > BODY_LIMIT {
            return Err(Unread::TooLarge { read });
        }
    }
    Ok(bytes.into())
}
