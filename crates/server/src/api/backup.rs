//! A copy of the store, as it is written.

use std::io::{self, Write};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures::stream;
use tokio::sync::mpsc;

use crate::access::Caller;
use crate::problem::Problem;
use crate::router::App;

/// So many pieces wait for whoever takes the copy.
const PIECES: usize = 4;

/// The other end of a body: what is written here is sent. Waits while the receiver is slower.
struct Pipe(mpsc::Sender<Bytes>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "whoever takes the copy is gone");
        self.0.blocking_send(Bytes::copy_from_slice(bytes)).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything that the server keeps, but for secrets, which are not in the store. A copy that breaks off lacks its end,
/// and shows that.
pub(crate) async fn take(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    caller.require_admin()?;
    let (sender, receiver) = mpsc::channel(PIECES);
    app.runner.back_up(caller.person(None)?, Box::new(Pipe(sender)));
    let pieces = stream::unfold(receiver, async |mut receiver| {
        let piece = receiver.recv().await?;
        Some((Ok::<_, io::Error>(piece), receiver))
    });
    Ok(([(CONTENT_TYPE, "application/x-tar")], Body::from_stream(pieces)).into_response())
}
