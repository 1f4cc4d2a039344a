//! Knows how far a request got: a body that notes when it is first asked for its bytes.

use std::convert::Infallible;
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
    /// It makes or takes a connection; the body has not been touched.
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

impl Progress {
    pub(crate) fn set(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::SeqCst);
        self.status.store(0, Ordering::SeqCst);
    }

    pub(crate) fn answered(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::SeqCst) {
            0 => Stage::Waiting,
            1 => Stage::LoggingIn,
            2 => Stage::Connecting,
            _ => Stage::Sent,
        }
    }

    /// What the call is if it ends here without an answer.
    pub(crate) fn end(&self) -> End {
        let status = self.status.load(Ordering::SeqCst);
        match self.stage() {
            Stage::Waiting | Stage::LoggingIn | Stage::Connecting => End::NotSent,
            Stage::Sent if status == 0 => End::NoAnswer,
            Stage::Sent if (200..300).contains(&status) => End::Unreadable,
            Stage::Sent => End::Refused { status, is_proof: false },
        }
    }
}

/// A body that marks its request as sent when the transport first asks for its bytes.
pub(crate) fn tracked(bytes: Vec<u8>, progress: Arc<Progress>) -> reqwest::Body {
    reqwest::Body::wrap(Tracked { bytes: Some(bytes.into()), progress })
}

struct Tracked {
    bytes: Option<Bytes>,
    progress: Arc<Progress>,
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.progress.set(Stage::Sent);
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, Bytes::len) as u64)
    }
}
