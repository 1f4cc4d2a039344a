//! Names what went wrong between us and the other side, and says what to do about it.

mod tls;

use std::error::Error;
use std::io;
use std::time::Duration;

use model::{Failure, FailureClass};
use reqwest::Url;

use crate::outcome::End;
use crate::transport::Unresolved;

/// What is known about the way that a request took.
pub(super) struct Way<'a> {
    pub(super) url: &'a Url,
    pub(super) end: End,
    pub(super) connect_timeout: Duration,
    pub(super) tls_help: Option<&'a str>,
}

/// The failure for an error of the transport.
pub(super) fn name(error: &reqwest::Error, way: &Way<'_>) -> Failure {
    let host = authority(way.url);
    if let Some(tls) = find::<rustls::Error>(error) {
        return tls::failure(tls, &host, way.tls_help);
    }
    if let Some(Unresolved(detail)) = find(error) {
        let name = way.url.host_str().unwrap_or_default();
        return Failure::new(FailureClass::Dns, format!("the host name {name} cannot be resolved: {detail}"))
            .help("look for a typing error in the connection's URL, and at the DNS of this machine");
    }
    if error.is_connect() {
        return connect_failure(error, &host, way);
    }
    if way.end == End::NotSent {
        return Failure::new(
            FailureClass::Connect,
            format!("the connection to {host} was closed before the request left"),
        );
    }
    if find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
        let message = format!("the answer of {host} is not HTTP: {}", innermost(error));
        return Failure::new(FailureClass::Response, message)
            .help("the port belongs to another service, or it speaks TLS and the URL begins with http://");
    }
    lost(error, &host, way)
}

fn connect_failure(error: &reqwest::Error, host: &str, way: &Way<'_>) -> Failure {
    if error.is_timeout() {
        let limit = expr::duration::display(way.connect_timeout);
        return Failure::new(FailureClass::Connect, format!("no connection to {host} within {limit}")).help(
            "nothing answers there: a firewall drops the packets, the host is down, or the URL is wrong",
        );
    }
    let kind = find(error).map(io::Error::kind);
    let detail = innermost(error);
    let failure = |message: String| Failure::new(FailureClass::Connect, message);
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => failure(format!("{host} refuses connections")).help(
            "the host is there and nothing listens on this port: is the service running, is the port right?",
        ),
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
            if way.url.scheme() == "https" =>
        {
            Failure::new(FailureClass::Tls, format!("{host} closed the connection during the TLS handshake"))
                .help("the port may not speak TLS, or something on the way cuts it")
        }
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
            failure(format!("there is no route to {host}"))
                .help("look at the network between this machine and that one")
        }
        _ => failure(format!("no connection to {host}: {detail}")),
    }
}

fn lost(error: &reqwest::Error, host: &str, way: &Way<'_>) -> Failure {
    let detail = innermost(error);
    let message = match way.end {
        End::Unreadable | End::Refused { .. } => format!("the answer of {host} broke off: {detail}"),
        End::NotSent | End::NoAnswer | End::Rejected => {
            format!("the connection to {host} was lost before an answer came: {detail}")
        }
    };
    let failure = Failure::new(FailureClass::Reset, message);
    if way.url.scheme() == "http" && way.end == End::NoAnswer {
        return failure.help(
            "the URL begins with http://: a server that speaks TLS on this port closes such connections",
        );
    }
    failure
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The errors behind an error, from the outside in. An `io::Error` hides the error it wraps from its sources.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| inside(*error))
}

fn inside<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| error.source())
}

/// The innermost error of this type.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    chain(error).filter_map(|error| error.downcast_ref()).last()
}

/// What the innermost error says, without the page of the library's manual that rustls adds to it.
fn innermost(error: &reqwest::Error) -> String {
    let text = chain(error).skip(1).last().map(ToString::to_string);
    let text = text.and_then(|text| text.split(": https://").next().map(str::to_owned));
    text.unwrap_or_else(|| "no more is known".to_owned())
}
