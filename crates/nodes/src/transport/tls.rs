//! Whom we trust: the authorities of the system, given ones, or exactly one certificate by its fingerprint.
//!
//! Every refusal carries the fingerprint that was presented, so that the failure can say how to pin it. There is no way
//! to switch the check off.

use std::fmt;
use std::sync::{Arc, LazyLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};
use sha2::{Digest, Sha256};

use crate::settings::Tls;

type Fingerprint = [u8; 32];

/// Why a certificate was refused, and which it was.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{why:?}")]
pub(super) struct Untrusted {
    pub(super) fingerprint: Fingerprint,
    pub(super) why: Distrust,
}

/// Why a certificate was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Distrust {
    /// Another one is pinned.
    NotPinned,
    /// Nobody whom we trust has signed it.
    UnknownAuthority,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYet,
    /// It is for another name.
    OtherName,
    /// Something else.
    Other(String),
}

impl Untrusted {
    /// The refusal inside an error of the handshake.
    pub(super) fn of(error: &rustls::Error) -> Option<&Untrusted> {
        let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = error else {
            return None;
        };
        other.downcast_ref()
    }
}

/// The configuration of a client.
pub(super) fn config(tls: &Tls) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let trust = match tls {
        Tls::System => Trust::System,
        Tls::Authority(pem) => Trust::Given(verifier(given_authorities(pem)?)?),
        Tls::Fingerprint(text) => Trust::Pinned(parse_fingerprint(text)?),
    };
    let verifier = Arc::new(Verifier { trust, provider: provider.clone() });
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// A fingerprint as `openssl x509 -fingerprint -sha256` writes it.
pub(super) fn fingerprint_text(fingerprint: &Fingerprint) -> String {
    fingerprint.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

fn parse_fingerprint(text: &str) -> Result<Fingerprint, String> {
    let refused =
        || format!("`{text}` is not a SHA-256 fingerprint: write 64 hex digits, with or without colons");
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16).ok_or_else(refused))
        .collect::<Result<_, _>>()?;
    let bytes: Vec<u8> =
        digits.chunks(2).filter_map(|pair| u8::try_from(pair.first()? * 16 + pair.get(1)?).ok()).collect();
    if digits.len() != 64 {
        return Err(refused());
    }
    bytes.try_into().map_err(|_| refused())
}

/// The authorities that this machine trusted when they were first asked for; none: nobody is trusted.
static SYSTEM: LazyLock<Option<Arc<WebPkiServerVerifier>>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    verifier(roots).ok()
});

fn given_authorities(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("the authority is not PEM: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("the authority's certificate cannot be used: {error}"))?;
    }
    Ok(roots)
}

fn verifier(roots: RootCertStore) -> Result<Arc<WebPkiServerVerifier>, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    builder.build().map_err(|error| format!("the authority holds no certificate: {error}"))
}

enum Trust {
    System,
    Given(Arc<WebPkiServerVerifier>),
    Pinned(Fingerprint),
}

struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let fingerprint: Fingerprint = Sha256::digest(end_entity).into();
        let authorities = match &self.trust {
            Trust::Pinned(pinned) if *pinned == fingerprint => return Ok(ServerCertVerified::assertion()),
            Trust::Pinned(_) => return Err(untrusted(fingerprint, Distrust::NotPinned)),
            Trust::System => SYSTEM.as_ref(),
            Trust::Given(verifier) => Some(verifier),
        };
        let Some(verifier) = authorities else {
            return Err(untrusted(fingerprint, Distrust::UnknownAuthority));
        };
        let verified =
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        verified.map_err(|error| untrusted(fingerprint, distrust(&error)))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn untrusted(fingerprint: Fingerprint, why: Distrust) -> rustls::Error {
    let other = OtherError(Arc::new(Untrusted { fingerprint, why }));
    rustls::Error::InvalidCertificate(CertificateError::Other(other))
}

fn distrust(error: &rustls::Error) -> Distrust {
    let rustls::Error::InvalidCertificate(error) = error else {
        return Distrust::Other(error.to_string());
    };
    if matches!(error, CertificateError::UnknownIssuer) {
        return Distrust::UnknownAuthority;
    }
    if matches!(error, CertificateError::Expired | CertificateError::ExpiredContext { .. }) {
        return Distrust::Expired;
    }
    if matches!(error, CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) {
        return Distrust::NotYet;
    }
    if matches!(error, CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) {
        return Distrust::OtherName;
    }
    Distrust::Other(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_reads_what_it_writes() {
        let fingerprint: Fingerprint = Sha256::digest("x").into();
        let text = fingerprint_text(&fingerprint);
        assert_eq!(parse_fingerprint(&text).unwrap(), fingerprint);
        assert_eq!(parse_fingerprint(&text.replace(':', "").to_lowercase()).unwrap(), fingerprint);
        for wrong in ["", "aa:bb", &text[1..], "zz"] {
            assert!(parse_fingerprint(wrong).is_err(), "{wrong}");
        }
    }
}
