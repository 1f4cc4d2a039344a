//! The other side: a TCP or TLS server that answers by a script, and cuts connections where it is told to.

#![expect(clippy::disallowed_methods, reason = "the other side runs beside the test")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) head: String,
    pub(super) body: String,
}

impl Received {
    pub(super) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1")
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// What to do with a request.
pub(super) enum Reply {
    /// This status and JSON.
    Json(u16, String),
    /// These bytes, and the connection is closed.
    Bytes(String),
    /// This answer and these bytes after it that nobody asked for, and the connection stays.
    AndMore(String, String),
    /// No answer, and the connection is closed.
    Cut,
    /// No answer, and the connection stays.
    Silence,
}

/// Where a connection is cut, in the order of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cut {
    /// Before it is accepted: by the system, when the process that listened is gone.
    Unaccepted,
    /// When the first bytes have come, and none was read; with TLS it is the handshake that is cut.
    Unread,
    /// When the head has been read.
    AfterHead,
    /// When half of the body has been read.
    InBody,
    /// When all has been read.
    AfterBody,
    /// In the first line of the answer.
    InStatus,
    /// In the headers of the answer.
    InHeaders,
    /// In the body of the answer.
    InAnswer,
}

pub(super) struct Peer {
    pub(super) address: String,
    seen: Arc<Mutex<Vec<Received>>>,
    connections: Arc<AtomicUsize>,
}

type Script = Arc<dyn Fn(usize, &Received) -> Reply + Send + Sync>;

impl Peer {
    /// Answers each request by the script, which is told its number from 0.
    pub(super) async fn start(script: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> Peer {
        let script: Script = Arc::new(script);
        Peer::with(move |stream, seen| serve(stream, script.clone(), seen)).await
    }

    pub(super) async fn start_tls(
        acceptor: TlsAcceptor,
        script: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static,
    ) -> Peer {
        let script: Script = Arc::new(script);
        Peer::with(move |stream, seen| {
            let (acceptor, script) = (acceptor.clone(), script.clone());
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, script, seen).await;
                }
            }
        })
        .await
    }

    /// Cuts every connection.
    pub(super) async fn cut(cut: Cut) -> Peer {
        if cut == Cut::Unaccepted {
            return Peer::gone_before_accept().await;
        }
        Peer::with(move |stream, _| async move {
            if cut == Cut::Unread {
                stream.peek(&mut [0]).await.unwrap();
            } else {
                cut_later(stream, cut).await;
            }
        })
        .await
    }

    /// Cuts every connection, which speaks TLS.
    pub(super) async fn cut_tls(acceptor: TlsAcceptor, cut: Cut) -> Peer {
        if cut == Cut::Unaccepted {
            return Peer::gone_before_accept().await;
        }
        Peer::with(move |stream, _| {
            let acceptor = acceptor.clone();
            async move {
                if cut == Cut::Unread {
                    stream.peek(&mut [0]).await.unwrap();
                } else if let Ok(stream) = acceptor.accept(stream).await {
                    cut_later(stream, cut).await;
                }
            }
        })
        .await
    }

    /// The system takes a connection and what comes over it; the process that listened goes away before it accepts.
    async fn gone_before_accept() -> Peer {
        let (listener, peer) = Peer::listen().await;
        tokio::spawn(async move {
            // One thread runs both sides: after so many turns the other one has written what it can.
            for _ in 0..10_000 {
                tokio::task::yield_now().await;
            }
            drop(listener);
        });
        peer
    }

    /// Says this to everybody who says something.
    pub(super) async fn saying(words: &'static str) -> Peer {
        Peer::with(move |mut stream, _| async move {
            stream.peek(&mut [0]).await.unwrap();
            stream.write_all(words.as_bytes()).await.unwrap();
            while stream.read_u8().await.is_ok() {}
        })
        .await
    }

    /// Takes connections and says nothing.
    pub(super) async fn silent() -> Peer {
        Peer::with(|mut stream, _| async move { while stream.read_u8().await.is_ok() {} }).await
    }

    /// A port where nobody listens.
    pub(super) async fn nobody() -> Peer {
        Peer::listen().await.1
    }

    pub(super) fn http(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn https(&self) -> String {
        format!("https://{}", self.address)
    }

    pub(super) fn seen(&self) -> Vec<Received> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(|received| received.line().to_owned()).collect()
    }

    /// How many connections were made.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Does this with every connection.
    async fn with<F>(work: impl Fn(TcpStream, Arc<Mutex<Vec<Received>>>) -> F + Send + 'static) -> Peer
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (listener, peer) = Peer::listen().await;
        let (seen, connections) = (peer.seen.clone(), peer.connections.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(work(stream, seen.clone()));
            }
        });
        peer
    }

    async fn listen() -> (TcpListener, Peer) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        (listener, Peer { address, seen: Arc::default(), connections: Arc::default() })
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    script: Script,
    seen: Arc<Mutex<Vec<Received>>>,
) {
    while let Some(received) = read_request(&mut stream).await {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(received.clone());
            seen.len() - 1
        };
        match script(number, &received) {
            Reply::Json(status, json) => {
                let length = json.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
                );
                stream.write_all(format!("{head}{json}").as_bytes()).await.unwrap();
            }
            Reply::Bytes(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                let _ = stream.shutdown().await;
                return;
            }
            Reply::AndMore(answer, more) => {
                stream.write_all(format!("{answer}{more}").as_bytes()).await.unwrap();
            }
            Reply::Cut => return,
            Reply::Silence => std::future::pending().await,
        }
    }
}

/// Goes as far as this with the one request, and drops the connection.
async fn cut_later<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, cut: Cut) {
    let Some(head) = read_head(&mut stream).await else { return };
    let length = content_length(&head);
    let (read, answer) = match cut {
        Cut::Unaccepted | Cut::Unread | Cut::AfterHead => (0, ""),
        Cut::InBody => (length / 2, ""),
        Cut::AfterBody => (length, ""),
        Cut::InStatus => (length, "HTTP/1.1 20"),
        Cut::InHeaders => (length, "HTTP/1.1 201 Created\r\ncontent-ty"),
        Cut::InAnswer => (length, "HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\n{\"_id\":"),
    };
    let mut body = vec![0; read];
    stream.read_exact(&mut body).await.unwrap();
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Received> {
    let mut received = Received { head: read_head(stream).await?, body: String::new() };
    let mut body = vec![0; content_length(&received.head)];
    stream.read_exact(&mut body).await.ok()?;
    received.body = String::from_utf8(body).ok()?;
    Some(received)
}

fn content_length(head: &str) -> usize {
    let received = Received { head: head.to_owned(), body: String::new() };
    received.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)
}
