//! Whom we trust, and what is said when we do not.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;

use super::peer::{Cut, Peer, Reply};
use super::*;

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(
        config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap(),
    ))
}

/// A self-signed certificate for a name that the server is not called by, as Wazuh makes it; and its fingerprint.
pub(super) static SELF_SIGNED: LazyLock<(TlsAcceptor, String)> = LazyLock::new(|| {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let digest = Sha256::digest(certificate.der());
    let fingerprint = digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
    (acceptor(certificate.der().clone(), &key), fingerprint)
});

async fn self_signed() -> (Peer, String) {
    let (acceptor, fingerprint) = SELF_SIGNED.clone();
    (answering(acceptor).await, fingerprint)
}

async fn answering(acceptor: TlsAcceptor) -> Peer {
    Peer::start_tls(acceptor, |_, _| Reply::Json(201, r#"{"_id":"~9"}"#.to_owned())).await
}

/// A server whose certificate an authority has signed; and the authority, in PEM.
async fn signed(names: &[&str], is_expired: bool) -> (Peer, String) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params =
        CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    if is_expired {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }
    let certificate = params.signed_by(&key, &authority).unwrap();
    (answering(acceptor(certificate.der().clone(), &key)).await, authority.pem())
}

async fn comment(peer: &Peer, tls: Tls) -> String {
    let nodes = nodes(ConnectionSettings { tls, ..connection("thehive", peer.https()) });
    let outcome = call(&nodes, "thehive.add_comment", json!({ "case": "~1", "message": "x" })).await;
    assert!(!matches!(outcome, Outcome::Unknown(_)));
    shown(&outcome)
}

#[tokio::test]
async fn a_pinned_certificate_is_trusted_whatever_its_name() {
    let (peer, fingerprint) = self_signed().await;
    assert_eq!(comment(&peer, Tls::Fingerprint(fingerprint)).await, r#"succeeded {"_id":"~9"}"#);
}

#[tokio::test]
async fn another_certificate_is_refused_and_shown() {
    let (peer, fingerprint) = self_signed().await;
    let shown = comment(&peer, Tls::Fingerprint("00".repeat(32))).await;
    assert_snapshot!(shown.replace(&fingerprint, "FINGERPRINT"), @r#"
    failed tls: peer shows another certificate than the pinned one: its SHA-256 is FINGERPRINT
      help: somebody is in between, or the certificate was renewed: to trust exactly this certificate, compare its fingerprint on the server and pin it: `tls: { fingerprint: "FINGERPRINT" }`
    "#);
    assert!(peer.seen().is_empty());
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_shown() {
    let (peer, fingerprint) = self_signed().await;
    assert_snapshot!(comment(&peer, Tls::System).await.replace(&fingerprint, "FINGERPRINT"), @r#"
    failed tls: the certificate of peer comes from an authority that is not trusted here: its SHA-256 is FINGERPRINT
      help: give the authority's certificate as `tls: { ca_file }`; or to trust exactly this certificate, compare its fingerprint on the server and pin it: `tls: { fingerprint: "FINGERPRINT" }`
    "#);
    let wazuh = nodes(connection("wazuh", peer.https()));
    let outcome = call(&wazuh, "wazuh.get_agent", json!({ "agent": "001" })).await;
    assert_snapshot!(shown(&outcome).replace(&fingerprint, "FINGERPRINT"), @r#"
    failed tls: the certificate of peer comes from an authority that is not trusted here: its SHA-256 is FINGERPRINT
      help: give the authority's certificate as `tls: { ca_file }`; or to trust exactly this certificate, compare its fingerprint on the server and pin it: `tls: { fingerprint: "FINGERPRINT" }`; a Wazuh manager makes its own certificate, for the names wazuh.com and localhost: its fingerprint is shown by `openssl x509 -noout -fingerprint -sha256 -in /var/ossec/api/configuration/ssl/server.crt` on the manager
    "#);
}

#[tokio::test]
async fn a_given_authority_is_trusted_for_its_names_and_times() {
    let (peer, authority) = signed(&["127.0.0.1"], false).await;
    assert_eq!(comment(&peer, Tls::Authority(authority)).await, r#"succeeded {"_id":"~9"}"#);
    let (peer, authority) = signed(&["thehive.example"], false).await;
    let shown = comment(&peer, Tls::Authority(authority)).await;
    assert!(
        shown.starts_with("failed tls: the certificate of peer is for another name: its SHA-256 is "),
        "{shown}"
    );
    let (peer, authority) = signed(&["127.0.0.1"], true).await;
    let shown = comment(&peer, Tls::Authority(authority)).await;
    assert!(shown.starts_with("failed tls: the certificate of peer has expired: its SHA-256 is "), "{shown}");
}

#[tokio::test]
async fn a_port_that_does_not_speak_tls_is_named() {
    let peer = Peer::saying("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert_snapshot!(comment(&peer, Tls::System).await, @"
    failed tls: peer does not speak TLS on this port
      help: it may speak plain HTTP there (then the URL begins with http://), or the port belongs to another service
    ");
    let peer = Peer::cut(Cut::Unread).await;
    assert_snapshot!(comment(&peer, Tls::System).await, @"
    failed tls: peer closed the connection during the TLS handshake
      help: the port may not speak TLS, or something on the way cuts it
    ");
}
