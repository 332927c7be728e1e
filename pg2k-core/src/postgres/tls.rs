//! TLS towards PostgreSQL, as libpq's `sslmode` means it.
//!
//! Settings come in and a rustls connector leaves, and after the handshake the bytes that bind a log-in to this
//! connection. What the mode does not ask to be verified is not, and nothing less.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    self, ClientConfig, DigitallySignedStruct, Error as RustlsError, RootCertStore, SignatureScheme,
};

use super::settings::{Roots, Verify};

/// A TLS configuration that cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("root certificates {}: expected a PEM file", path.display())]
    Read { path: PathBuf, source: pem::Error },
    #[error("root certificates {}: expected certificates in PEM, found none that can be used", path.display())]
    Empty { path: PathBuf },
    #[error("root certificates of the operating system: found none")]
    NoSystemRoots,
    #[error("tls: no usable protocol version")]
    Versions(#[source] rustls::Error),
}

/// Makes the connector for one connection. Reads the root certificates, so that replaced ones are picked up.
///
/// # Errors
///
/// Fails where the root certificates cannot be read.
pub(crate) fn connector(verify: &Verify) -> Result<TlsConnector, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let roots = match verify {
        Verify::Nothing => None,
        Verify::Chain(roots) => Some(Trust { roots: read(roots)?, name: false }),
        Verify::ChainAndName(roots) => Some(Trust { roots: read(roots)?, name: true }),
    };
    let verifier = Arc::new(Verifier { trust: roots, provider: Arc::clone(&provider) });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Versions)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    // PostgreSQL 17 checks it where it is sent; older servers ignore it.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

struct Certificates {
    store: RootCertStore,
    whole: Vec<CertificateDer<'static>>,
}

fn read(roots: &Roots) -> Result<Certificates, TlsError> {
    let whole = match roots {
        Roots::File(path) => CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|source| TlsError::Read { path: path.clone(), source })?,
        Roots::System => rustls_native_certs::load_native_certs().certs,
    };
    let mut store = RootCertStore::empty();
    // Those that cannot be used (some old roots of some systems) must not shut out the others.
    store.add_parsable_certificates(whole.iter().cloned());
    match (store.is_empty() && whole.is_empty(), roots) {
        (false, _) => Ok(Certificates { store, whole }),
        (true, Roots::File(path)) => Err(TlsError::Empty { path: path.clone() }),
        (true, Roots::System) => Err(TlsError::NoSystemRoots),
    }
}

struct Trust {
    roots: Certificates,
    name: bool,
}

struct Verifier {
    trust: Option<Trust>,
    provider: Arc<CryptoProvider>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl Verifier {
    /// Lets a handshake's signature by a certificate that cannot be parsed pass where nothing is verified anyway.
    ///
    /// PostgreSQL's own manual once led to version 1 certificates, which webpki does not read, and `require` must
    /// work with them. [`channel_binding`] makes nothing of such a certificate.
    fn forgive(
        &self,
        result: Result<HandshakeSignatureValid, RustlsError>,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        match result {
            Err(RustlsError::InvalidCertificate(_)) if self.trust.is_none() => Ok(HandshakeSignatureValid::assertion()),
            other => other,
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        let Some(Trust { roots, name }) = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        let parsed = ParsedCertificate::try_from(end_entity)?;
        // A self-signed certificate that is its own root, as PostgreSQL's manual makes them, is a certification
        // authority to webpki and so no server. Being the very certificate that the user trusts is proof enough.
        if !roots.whole.contains(end_entity) {
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&parsed, &roots.store, intermediates, now, algorithms)?;
        }
        if *name {
            verify_server_name(&parsed, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.forgive(verify_tls12_signature(message, cert, dss, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.forgive(verify_tls13_signature(message, cert, dss, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Computes the `tls-server-end-point` channel binding of a server's certificate (RFC 5929, section 4.1), by which
/// SCRAM-SHA-256-PLUS finds out a man in the middle even where no certificate is verified.
///
/// There is none for signatures without a hash of their own (Ed25519, RSA-PSS), nor for certificates whose key rustls
/// did not check.
pub(crate) fn channel_binding(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    ParsedCertificate::try_from(certificate).ok()?;
    let algorithm = hash_of(signature_algorithm(certificate)?)?;
    Some(::ring::digest::digest(algorithm, certificate).as_ref().to_vec())
}

/// The hash of a signature algorithm, given as the content of its object identifier; SHA-1 and MD5 count as SHA-256.
fn hash_of(algorithm: &[u8]) -> Option<&'static ::ring::digest::Algorithm> {
    use ::ring::digest::{SHA256, SHA384, SHA512};
    match algorithm {
        // 1.2.840.113549.1.1.n, RSA (RFC 8017, appendix A.2.4): 4 is MD5, 5 SHA-1, 11 SHA-256, 12 SHA-384, 13 SHA-512.
        [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, hash] => match hash {
            4 | 5 | 11 => Some(&SHA256),
            12 => Some(&SHA384),
            13 => Some(&SHA512),
            _ => None,
        },
        // 1.2.840.10045.4.1, ECDSA with SHA-1, and 1.2.840.10045.4.3.n (RFC 5758, section 3.2): 2 is SHA-256, 3
        // SHA-384, 4 SHA-512.
        [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x01] => Some(&SHA256),
        [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, hash] => match hash {
            2 => Some(&SHA256),
            3 => Some(&SHA384),
            4 => Some(&SHA512),
            _ => None,
        },
        _ => None,
    }
}

/// Finds the object identifier in `Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE {
/// OID … } … }`.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (_, after_tbs) = element(certificate, SEQUENCE)?;
    let (algorithm, _) = element(after_tbs, SEQUENCE)?;
    let (oid, _) = element(algorithm, OBJECT_IDENTIFIER)?;
    Some(oid)
}

/// Splits one DER element off: its content, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let ([found, first], mut rest) = bytes.split_first_chunk::<2>()?;
    if *found != tag {
        return None;
    }
    let length = if *first < 0x80 {
        usize::from(*first)
    } else {
        // More than four bytes of length would be a certificate of 4 GiB.
        let (digits, tail) =
            rest.split_at_checked(usize::from(first & 0x7F)).filter(|(digits, _)| digits.len() <= 4)?;
        rest = tail;
        digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit))
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::{element, hash_of, signature_algorithm};

    #[test]
    fn der_elements() {
        assert_eq!(element(&[0x30, 2, 1, 2, 3], 0x30), Some((&[1, 2][..], &[3][..])));
        assert_eq!(element(&[0x30, 0x81, 1, 9, 8], 0x30), Some((&[9][..], &[8][..])));
        assert_eq!(element(&[0x30, 0x82, 0, 1, 9], 0x30), Some((&[9][..], &[][..])));
        for bad in [&[][..], &[0x30], &[0x31, 0], &[0x30, 1], &[0x30, 0x82, 1], &[0x30, 0x85, 0, 0, 0, 0, 1, 9]] {
            assert_eq!(element(bad, 0x30), None, "{bad:?}");
        }
    }

    #[test]
    fn the_signature_algorithm_comes_after_the_signed_part() {
        let der = [0x30, 11, 0x30, 2, 5, 0, 0x30, 5, 0x06, 3, 1, 2, 3];
        assert_eq!(signature_algorithm(&der), Some(&[1, 2, 3][..]));
        for end in 0..der.len() {
            assert_eq!(signature_algorithm(&der[..end]), None);
        }
    }

    #[test]
    fn hashes() {
        let rsa = |n| [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, n];
        let length = |oid: &[u8]| hash_of(oid).map(::ring::digest::Algorithm::output_len);
        assert_eq!(length(&rsa(5)), Some(32));
        assert_eq!(length(&rsa(11)), Some(32));
        assert_eq!(length(&rsa(12)), Some(48));
        assert_eq!(length(&rsa(13)), Some(64));
        assert_eq!(length(&rsa(10)), None); // RSA-PSS
        assert_eq!(length(&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 3]), Some(48));
        assert_eq!(length(&[0x2B, 0x65, 0x70]), None); // Ed25519
    }
}
