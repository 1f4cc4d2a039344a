//! Knows how far a request got: a body that notes when the transport takes its request up, and keeps back one that was
//! given up.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU16, Ordering};
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use crate::outcome::End;

/// How far a call got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It waits until other calls over the same connection are through.
    Waiting = 0,
    /// It logs in.
    LoggingIn = 1,
    /// It makes or takes a connection; no byte of the request has been written.
    Connecting = 2,
    /// The request may have left.
    Sent = 3,
}

/// How far a call got, for whoever has to give up on it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    stage: AtomicU8,
    status: AtomicU16,
}

/// The call ended before its request left, and it does not leave any more.
const GIVEN_UP: u8 = 4;

impl Progress {
    pub(crate) fn set(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::SeqCst);
        self.status.store(0, Ordering::SeqCst);
    }

    pub(crate) fn answered(&self, status: u16) {
        self.stage.store(Stage::Sent as u8, Ordering::SeqCst);
        self.status.store(status, Ordering::SeqCst);
    }

    /// Says that the request leaves. An error: the call was given up, and the request has to stay.
    fn leave(&self) -> Result<(), GivenUp> {
        let leaves = |stage| (stage != GIVEN_UP).then_some(Stage::Sent as u8);
        let before = self.stage.fetch_update(Ordering::SeqCst, Ordering::SeqCst, leaves);
        before.map(|_| ()).map_err(|_| GivenUp)
    }

    /// Ends the call without an answer, and says how far it got and what it is.
    ///
    /// The connection is another task's: in one step with the verdict, what has not left is kept from leaving.
    pub(crate) fn give_up(&self) -> (Stage, End) {
        let stays = |stage| (stage != Stage::Sent as u8).then_some(GIVEN_UP);
        let before = self.stage.fetch_update(Ordering::SeqCst, Ordering::SeqCst, stays);
        let stage = match before {
            Ok(0) => Stage::Waiting,
            Ok(1) => Stage::LoggingIn,
            Ok(_) => Stage::Connecting,
            Err(_) => Stage::Sent,
        };
        (stage, self.end(stage))
    }

    fn is_given_up(&self) -> bool {
        self.stage.load(Ordering::SeqCst) == GIVEN_UP
    }

    fn end(&self, stage: Stage) -> End {
        let status = self.status.load(Ordering::SeqCst);
        match stage {
            Stage::Waiting | Stage::LoggingIn | Stage::Connecting => End::NotSent,
            Stage::Sent if status == 0 => End::NoAnswer,
            Stage::Sent if (200..300).contains(&status) => End::Unreadable,
            Stage::Sent => End::Refused { status, is_proof: false },
        }
    }
}

/// A body, empty or not, that marks its request as sent before the transport has written a byte of its head.
pub(crate) fn tracked(bytes: Vec<u8>, progress: Arc<Progress>) -> reqwest::Body {
    reqwest::Body::wrap(Tracked { bytes: Some(bytes.into()), progress })
}

struct Tracked {
    bytes: Option<Bytes>,
    progress: Arc<Progress>,
}

/// The transport took the request up when nobody waited for it any more.
#[derive(Debug, thiserror::Error)]
#[error("the call was given up before its request left")]
struct GivenUp;

impl Body for Tracked {
    type Data = Bytes;
    type Error = GivenUp;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        failpoints::reach("send.body");
        if let Err(error) = self.progress.leave() {
            return Poll::Ready(Some(Err(error)));
        }
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    /// Hyper asks this once it has a connection and before it writes the head, and it asks nothing else of an empty body.
    /// One that was given up says that there is more, so that hyper runs into the error before it has written.
    fn is_end_stream(&self) -> bool {
        self.progress.leave().is_ok() && self.bytes.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.bytes.as_ref().map_or(0, Bytes::len) as u64;
        SizeHint::with_exact(if self.progress.is_given_up() { length.max(1) } else { length })
    }
}

impl Drop for Tracked {
    /// The transport lets go of a body when it has passed it on.
    fn drop(&mut self) {
        if self.bytes.is_none() {
            failpoints::reach("send.sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use futures::future::poll_fn;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::settings::Tls;
    use crate::transport::{Client, Route};

    fn body(bytes: &str) -> (Tracked, Arc<Progress>) {
        let progress = Arc::new(Progress::default());
        progress.set(Stage::Connecting);
        (Tracked { bytes: Some(bytes.to_owned().into()), progress: progress.clone() }, progress)
    }

    fn next(body: &mut Tracked) -> Option<Result<Frame<Bytes>, GivenUp>> {
        poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).now_or_never().unwrap()
    }

    #[test]
    fn what_was_given_up_does_not_leave_any_more() {
        for bytes in ["", "x"] {
            let (mut body, progress) = body(bytes);
            assert_eq!(progress.give_up(), (Stage::Connecting, End::NotSent));
            assert!(!body.is_end_stream());
            assert_eq!(body.size_hint().exact(), Some(1));
            assert!(next(&mut body).unwrap().is_err());
        }
    }

    #[tokio::test]
    async fn nothing_of_a_request_that_was_given_up_is_written() {
        let idle_timeout = Duration::from_secs(1);
        let route =
            Route { tls: &Tls::System, proxy: None, connect_timeout: None, idle_timeout, tls_help: None };
        let client = Client::new(&route).unwrap().client;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        for bytes in ["", "x"] {
            let (_, progress) = body(bytes);
            progress.give_up();
            let request = client.put(&url).body(tracked(bytes.into(), progress)).send();
            let received = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut received = String::new();
                stream.read_to_string(&mut received).await.unwrap();
                received
            };
            let (answer, received) = futures::join!(request, received);
            assert!(answer.is_err());
            assert_eq!(received, "");
        }
    }

    #[test]
    fn what_has_begun_to_leave_cannot_be_called_back() {
        let (empty, progress) = body("");
        assert!(empty.is_end_stream());
        assert_eq!(progress.give_up(), (Stage::Sent, End::NoAnswer));
        let (mut full, progress) = body("x");
        assert!(next(&mut full).unwrap().is_ok());
        assert_eq!(progress.give_up(), (Stage::Sent, End::NoAnswer));
        assert!(next(&mut full).is_none());
    }
}
