//! Reads the body of a request, within bounds of size and time.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use hyper::body::Body as _;
use tokio::time::timeout;

use crate::problem::{Kind, Problem};

/// Reads a body of at most so many bytes. One that announces more is not read at all.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    most_bytes: usize,
    patience: Duration,
) -> Result<Vec<u8>, Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > most_bytes as u64) {
        return Err(too_large(most_bytes));
    }
    timeout(patience, collect(body, most_bytes)).await.unwrap_or_else(|_| {
        let detail = format!("the body did not arrive within {} s", patience.as_secs());
        Err(Problem::new(Kind::TooSlow, detail))
    })
}

async fn collect(mut body: Body, most_bytes: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let broken = |_| Problem::new(Kind::WrongBody, "the body broke off");
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if bytes.len() + data.len() > most_bytes {
            return Err(too_large(most_bytes));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

fn too_large(most_bytes: usize) -> Problem {
    Problem::new(Kind::TooLarge, format!("more than {most_bytes} bytes are not taken here"))
}
