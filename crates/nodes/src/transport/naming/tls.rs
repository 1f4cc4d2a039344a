//! Names what went wrong with TLS: whose certificate was refused, why, and how to trust it nevertheless.

use model::{Failure, FailureClass};

use crate::transport::tls::{Distrust, Untrusted, fingerprint_text};

/// The failure for an error of the handshake; `tls_help` is what the product says about its certificate.
pub(super) fn failure(error: &rustls::Error, host: &str, tls_help: Option<&str>) -> Failure {
    let failure = |message: String| Failure::new(FailureClass::Tls, message);
    if let Some(untrusted) = Untrusted::of(error) {
        let (message, help) = words(untrusted, host);
        let help = tls_help.map_or(help.clone(), |tls_help| format!("{help}; {tls_help}"));
        return failure(message).help(help);
    }
    if matches!(error, rustls::Error::InvalidMessage(_)) {
        return failure(format!("{host} does not speak TLS on this port")).help(
            "it may speak plain HTTP there (then the URL begins with http://), or the port belongs to another service",
        );
    }
    if let rustls::Error::AlertReceived(alert) = error {
        return failure(format!("{host} broke the TLS handshake off: {alert:?}"))
            .help("it may want a client certificate, another name, or a TLS version older than 1.2");
    }
    failure(format!("the TLS handshake with {host} failed: {error}"))
}

fn words(untrusted: &Untrusted, host: &str) -> (String, String) {
    let shown = fingerprint_text(&untrusted.fingerprint);
    let pin = format!(
        "to trust exactly this certificate, compare its fingerprint on the server and pin it: `tls: {{ fingerprint: \"{shown}\" }}`"
    );
    let its = format!("its SHA-256 is {shown}");
    match &untrusted.why {
        Distrust::NotPinned => (
            format!("{host} shows another certificate than the pinned one: {its}"),
            format!("somebody is in between, or the certificate was renewed: {pin}"),
        ),
        Distrust::UnknownAuthority => (
            format!("the certificate of {host} comes from an authority that is not trusted here: {its}"),
            format!("give the authority's certificate as `tls: {{ ca_file }}`; or {pin}"),
        ),
        Distrust::Expired => {
            (format!("the certificate of {host} has expired: {its}"), format!("renew it; or {pin}"))
        }
        Distrust::NotYet => (
            format!("the certificate of {host} is not valid yet: {its}"),
            "compare the clock of this machine with the certificate".to_owned(),
        ),
        Distrust::OtherName => (
            format!("the certificate of {host} is for another name: {its}"),
            format!("call it by a name that stands in the certificate; or {pin}"),
        ),
        Distrust::Other(detail) => {
            (format!("the certificate of {host} is not trusted: {detail}: {its}"), pin)
        }
    }
}
