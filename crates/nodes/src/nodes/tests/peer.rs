//! The other side: a TCP or TLS server that answers by a script, and cuts connections where it is told to.

#![expect(clippy::disallowed_methods, reason = "the other side runs beside the test")]

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
    /// No answer, and the connection stays.
    Silence,
}

/// Where a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cut {
    /// When the first bytes have come, and none was read.
    Unread,
    /// When the head has been read.
    AfterHead,
    /// When all has been read.
    AfterBody,
}

pub(super) struct Peer {
    pub(super) address: String,
    seen: Arc<Mutex<Vec<Received>>>,
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
        Peer::with(move |mut stream, _| async move {
            match cut {
                Cut::Unread => {
                    stream.peek(&mut [0]).await.unwrap();
                }
                Cut::AfterHead => {
                    read_head(&mut stream).await;
                }
                Cut::AfterBody => {
                    read_request(&mut stream).await;
                }
            }
        })
        .await
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

    /// Does this with every connection.
    async fn with<F>(work: impl Fn(TcpStream, Arc<Mutex<Vec<Received>>>) -> F + Send + 'static) -> Peer
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (listener, peer) = Peer::listen().await;
        let seen = peer.seen.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(work(stream, seen.clone()));
            }
        });
        peer
    }

    async fn listen() -> (TcpListener, Peer) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        (listener, Peer { address, seen: Arc::default() })
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
            Reply::Silence => std::future::pending().await,
        }
    }
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
    let length = received.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    received.body = String::from_utf8(body).ok()?;
    Some(received)
}
