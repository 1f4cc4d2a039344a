//! The certificate of the simulated Wazuh API: self-signed, CN `wazuh.com`, valid for the name `localhost` only.
//!
//! Its key is P-256 and not RSA, because ring cannot make RSA keys; a client that pins it sees no difference.

use std::sync::Arc;

use chrono::{DateTime, Datelike, Days, Utc};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;

use crate::clock::now_ms;
use crate::lab::Error;

pub(crate) struct Certificate {
    pub(crate) pem: String,
    pub(crate) fingerprint: String,
    pub(crate) acceptor: TlsAcceptor,
}

const VALID_DAYS: u64 = 365;

pub(crate) fn create() -> Result<Certificate, Error> {
    let key = KeyPair::generate().map_err(Error::Certificate)?;
    let certificate = parameters()?.self_signed(&key).map_err(Error::Certificate)?;
    let private_key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], private_key.into())
        })
        .map_err(Error::Tls)?;
    Ok(Certificate {
        pem: certificate.pem(),
        fingerprint: hex(&Sha256::digest(certificate.der())),
        acceptor: TlsAcceptor::from(Arc::new(config)),
    })
}

fn parameters() -> Result<CertificateParams, Error> {
    let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).map_err(Error::Certificate)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CountryName, "US");
    name.push(DnType::StateOrProvinceName, "California");
    name.push(DnType::OrganizationName, "Wazuh");
    name.push(DnType::CommonName, "wazuh.com");
    parameters.distinguished_name = name;
    let today: DateTime<Utc> =
        DateTime::from_timestamp_millis(i64::try_from(now_ms()).unwrap_or_default()).unwrap_or_default();
    let last = today.checked_add_days(Days::new(VALID_DAYS)).unwrap_or(today);
    parameters.not_before = date_time_ymd(today.year(), month(today), day(today));
    parameters.not_after = date_time_ymd(last.year(), month(last), day(last));
    Ok(parameters)
}

fn month(at: DateTime<Utc>) -> u8 {
    u8::try_from(at.month()).expect("a month is at most 12")
}

fn day(at: DateTime<Utc>) -> u8 {
    u8::try_from(at.day()).expect("a day is at most 31")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
