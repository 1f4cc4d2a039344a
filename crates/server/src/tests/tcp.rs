//! Real connections: clients that are slow, too many, or send too much. No test waits for a time to pass but for a
//! connection to end.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::bench::{Bench, HOOK_SECRET, soon};
use crate::serve::{Error, Limits, serve_within};

struct Server {
    bench: Bench,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), Error>>,
}

impl Server {
    async fn new(limits: Limits) -> Server {
        Server::over(Bench::new().await, limits).await
    }

    async fn over(bench: Bench, limits: Limits) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let router = bench.router.clone();
        #[expect(clippy::disallowed_methods, reason = "the test is the other end")]
        let task = tokio::spawn(async move { serve_within(limits, listener, router, shutdown).await });
        Server { bench, address, stop, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        soon(self.task).await.unwrap().unwrap();
    }
}

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

/// Everything that comes until the connection ends; what came before an abrupt end counts too.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = soon(stream.read_to_end(&mut bytes)).await;
    String::from_utf8(bytes).unwrap()
}

async fn read_some(stream: &mut TcpStream) -> String {
    let mut buffer = [0; 4096];
    let length = soon(stream.read(&mut buffer)).await.unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

fn alert_head(length: usize) -> String {
    format!(
        "POST /hooks/any HTTP/1.1\r\nhost: x\r\nx-portcullis-secret: {HOOK_SECRET}\r\ncontent-length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_is_cut_off() {
    let brief = Duration::from_millis(50);
    let server = Server::new(Limits { head_timeout: brief, linger: brief, ..Limits::default() }).await;
    let mut silent = server.connect().await;
    assert_eq!(read_to_end(&mut silent).await, "");
    let mut slow = server.connect().await;
    slow.write_all(b"GET /healthz HTTP/1.1\r\nx: ").await.unwrap();
    assert!(!read_to_end(&mut slow).await.contains(" 200 "));
    let mut idle = server.connect().await;
    idle.write_all(HEALTH).await.unwrap();
    assert!(read_to_end(&mut idle).await.starts_with("HTTP/1.1 200 OK"));
    server.stop().await;
}

#[tokio::test]
async fn a_connection_beyond_the_bound_waits_for_its_turn() {
    let server = Server::new(Limits { most_connections: 1, ..Limits::default() }).await;
    let mut first = server.connect().await;
    first.write_all(HEALTH).await.unwrap();
    assert!(read_some(&mut first).await.starts_with("HTTP/1.1 200 OK"));
    let mut second = server.connect().await;
    second.write_all(HEALTH).await.unwrap();
    first.write_all(HEALTH).await.unwrap();
    assert!(read_some(&mut first).await.starts_with("HTTP/1.1 200 OK"));
    assert_eq!(second.try_read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    assert!(read_some(&mut second).await.starts_with("HTTP/1.1 200 OK"));
    drop(second);
    server.stop().await;
}

#[tokio::test]
async fn who_is_to_come_again_keeps_its_connection_unless_connections_are_rare() {
    let bench = Bench::with(|settings| settings.most_alerts = 0).await;
    let server = Server::over(bench, Limits { most_connections: 4, ..Limits::default() }).await;
    let mut first = server.connect().await;
    for _ in 0..2 {
        first.write_all(format!("{}{{}}", alert_head(2)).as_bytes()).await.unwrap();
        let answer = read_some(&mut first).await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && !answer.contains("connection: close"), "{answer}");
    }
    let mut second = server.connect().await;
    second.write_all(format!("{}{{}}", alert_head(2)).as_bytes()).await.unwrap();
    let answer = read_to_end(&mut second).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("connection: close"), "{answer}");
    drop((first, second));
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_too_much_hears_why() {
    let server = Server::new(Limits::default()).await;
    let mut client = server.connect().await;
    client.write_all(alert_head(8 * 1024 * 1024).as_bytes()).await.unwrap();
    client.write_all(&vec![b' '; 8 * 1024 * 1024]).await.unwrap();
    let answer = read_to_end(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 413 Payload Too Large"), "{answer}");
    assert!(answer.ends_with("}"), "{answer}");
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let server = Server::new(Limits::default()).await;
    let mut client = server.connect().await;
    let head = format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(128 * 1024));
    client.write_all(head.as_bytes()).await.unwrap();
    assert!(read_to_end(&mut client).await.starts_with("HTTP/1.1 431 "));
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn a_request_that_is_under_way_ends_before_the_server_does() {
    let long = Duration::from_secs(3600);
    let limits = Limits { head_timeout: long, patience: long, ..Limits::default() };
    let server = Server::new(limits).await;
    let held = server.bench.store.gate.acquire().await.unwrap();
    let mut client = server.connect().await;
    client.write_all(alert_head(2).as_bytes()).await.unwrap();
    client.write_all(b"{}").await.unwrap();
    server.bench.store.reached.notified().await;
    server.stop.send(()).unwrap();
    drop(held);
    let answer = read_to_end(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 202 Accepted"), "{answer}");
    drop(client);
    soon(server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_does_not_end_does_not_hold_up_the_shutdown() {
    let limits = Limits { patience: Duration::from_millis(50), ..Limits::default() };
    let server = Server::new(limits).await;
    let mut client = server.connect().await;
    client.write_all(alert_head(2).as_bytes()).await.unwrap();
    server.stop().await;
    read_to_end(&mut client).await;
}
