//! One HTTP/1.1 connection: as much of it as it takes to find the end of an answer.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer whose head is longer is none.
const MOST_HEAD_BYTES: usize = 64 * 1024;

pub(super) struct Connection {
    stream: TcpStream,
    /// What was read and belongs to the answer that is awaited.
    buffer: Vec<u8>,
}

/// What the head of an answer says.
#[derive(Debug, PartialEq)]
struct Head {
    status: u16,
    /// The bytes of the head, with the empty line.
    bytes: usize,
    body: Body,
    is_last: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Body {
    Length(usize),
    Chunked,
    UntilTheEnd,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a request and reads its answer; gives the status, and the connection if it can be used again.
    pub(super) async fn exchange(mut self, request: &[u8]) -> io::Result<(u16, Option<Connection>)> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            let head = self.read_head().await?;
            self.buffer.drain(..head.bytes);
            // `100 Continue` and its like come before the answer.
            if head.status < 200 {
                continue;
            }
            match head.body {
                Body::Length(bytes) => self.read_until(|buffer| Ok(buffer.len() >= bytes)).await?,
                Body::Chunked => self.read_until(is_whole).await?,
                Body::UntilTheEnd => while self.read().await? > 0 {},
            }
            return Ok((head.status, (!head.is_last).then_some(self)));
        }
    }

    async fn read_head(&mut self) -> io::Result<Head> {
        loop {
            if let Some(head) = Head::parse(&self.buffer)? {
                return Ok(head);
            }
            if self.buffer.len() > MOST_HEAD_BYTES {
                return Err(unreadable("its head is too long"));
            }
            self.read_some().await?;
        }
    }

    async fn read_until(&mut self, is_enough: impl Fn(&[u8]) -> io::Result<bool>) -> io::Result<()> {
        while !is_enough(&self.buffer)? {
            self.read_some().await?;
        }
        Ok(())
    }

    async fn read_some(&mut self) -> io::Result<()> {
        if self.read().await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    async fn read(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.buffer).await
    }
}

impl Head {
    /// The head at the beginning of these bytes, if it is whole.
    fn parse(bytes: &[u8]) -> io::Result<Option<Head>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let text = str::from_utf8(&bytes[..end]).map_err(|_| unreadable("its head is no text"))?;
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
        let status = status.and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| unreadable("it does not begin as one"))?;
        let mut head = Head { status, bytes: end + 4, body: Body::UntilTheEnd, is_last: false };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                let length = value.parse().map_err(|_| unreadable("its length is no number"))?;
                head.body = Body::Length(length);
            } else if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked")
            {
                head.body = Body::Chunked;
            } else if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
                head.is_last = true;
            }
        }
        if matches!(status, 204 | 304) {
            head.body = Body::Length(0);
        }
        head.is_last |= head.body == Body::UntilTheEnd;
        Ok(Some(head))
    }
}

/// Whether a body in chunks has come to its end.
fn is_whole(mut bytes: &[u8]) -> io::Result<bool> {
    loop {
        let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else { return Ok(false) };
        let line = str::from_utf8(&bytes[..end]).unwrap_or_default();
        let size = line.split(';').next().unwrap_or_default().trim();
        let size =
            usize::from_str_radix(size, 16).map_err(|_| unreadable("the size of a chunk is no number"))?;
        let rest = &bytes[end + 2..];
        if size == 0 {
            // Headers behind the body are nobody's habit here.
            return Ok(rest.len() >= 2);
        }
        if rest.len() < size + 2 {
            return Ok(false);
        }
        bytes = &rest[size + 2..];
    }
}

fn unreadable(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("an answer that cannot be read: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_says_where_the_answer_ends() {
        let parse = |text: &str| Head::parse(text.as_bytes()).unwrap();
        assert_eq!(parse("HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n"), None);
        let head = parse("HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        assert_eq!((head.status, head.bytes, head.body, head.is_last), (202, 44, Body::Length(2), false));
        let head =
            parse("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nConnection: close\r\n\r\n").unwrap();
        assert_eq!((head.body, head.is_last), (Body::Chunked, true));
        let head = parse("HTTP/1.1 200 OK\r\n\r\n").unwrap();
        assert_eq!((head.body, head.is_last), (Body::UntilTheEnd, true));
        assert!(Head::parse(b"SSH-2.0-OpenSSH\r\n\r\n").is_err());
    }

    #[test]
    fn chunks_end_with_an_empty_one() {
        let is_whole = |text: &str| is_whole(text.as_bytes()).unwrap();
        assert!(!is_whole("3\r\nabc"));
        assert!(!is_whole("3\r\nabc\r\n0\r\n"));
        assert!(is_whole("3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\n\r\n"));
    }
}
