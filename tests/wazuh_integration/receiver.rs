//! An HTTP receiver that answers as a test tells it and remembers every request that it has answered.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

/// What the receiver does with a request.
pub(super) enum Answer {
    Status(u16),
    RetryAfter(u16, u32),
    Redirect(String),
    /// Closes the connection without a word.
    Drop,
    /// Says that the request is here, and never answers it.
    Hang(Sender<()>),
}

pub(super) struct Request {
    pub(super) line: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let headers: Vec<_> = lines[1..]
            .iter()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        Some(Self { line: lines.remove(0), headers, body })
    }

    pub(super) fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn id(&self) -> String {
        alert_id(&self.body)
    }
}

pub(super) fn alert_id(body: &[u8]) -> String {
    let alert: Value = serde_json::from_slice(body).unwrap_or_default();
    alert["id"].as_str().unwrap_or_default().to_owned()
}

type Behaviour = Arc<dyn Fn(&Request) -> Answer + Send + Sync>;

/// A receiver that remembers every request it has answered.
pub(super) struct Receiver {
    address: String,
    behaviour: Arc<Mutex<Behaviour>>,
    answered: Arc<Mutex<Vec<Arc<Request>>>>,
}

impl Receiver {
    pub(super) fn start(behaviour: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap().to_string(),
            behaviour: Arc::new(Mutex::new(Arc::new(behaviour))),
            answered: Arc::default(),
        };
        let (behaviour, answered) = (receiver.behaviour.clone(), receiver.answered.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (behaviour, answered) = (behaviour.clone(), answered.clone());
                thread::spawn(move || converse(stream.unwrap(), &behaviour, &answered));
            }
        });
        receiver
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn answers(&self, behaviour: impl Fn(&Request) -> Answer + Send + Sync + 'static) {
        *self.behaviour.lock().unwrap() = Arc::new(behaviour);
    }

    pub(super) fn forget(&self) {
        self.answered.lock().unwrap().clear();
    }

    pub(super) fn seen(&self) -> Vec<Arc<Request>> {
        self.answered.lock().unwrap().clone()
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.seen().iter().map(|request| request.id()).collect()
    }
}

fn converse(stream: TcpStream, behaviour: &Mutex<Behaviour>, answered: &Mutex<Vec<Arc<Request>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = Request::read(&mut stream) {
        let behaviour = behaviour.lock().unwrap().clone();
        let head = match behaviour(&request) {
            Answer::Status(status) => format!("HTTP/1.1 {status} Said So\r\n"),
            Answer::RetryAfter(status, seconds) => {
                format!("HTTP/1.1 {status} Later\r\nRetry-After: {seconds}\r\n")
            }
            Answer::Redirect(to) => format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n"),
            Answer::Drop => return,
            Answer::Hang(arrived) => {
                arrived.send(()).unwrap();
                let _ = stream.read(&mut [0]);
                return;
            }
        };
        answered.lock().unwrap().push(Arc::new(request));
        let answer = format!("{head}Content-Length: 2\r\n\r\n{{}}");
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
