//! The public key of a log in a trusted root.

use pki::public_key::{Curve, KeyKind};
use pki::x509;

use crate::explain::node::Node;
use crate::explain::report::{ALL, GO_PYTHON, JS, Report};

/// The names that sigstore-go and sigstore-python take for the key of a log.
const DETAILS: [&str; 8] = [
    "PKIX_ECDSA_P256_SHA_256",
    "PKIX_ECDSA_P384_SHA_384",
    "PKIX_ECDSA_P521_SHA_512",
    "PKIX_ED25519",
    "PKIX_RSA_PKCS1V15_2048_SHA256",
    "PKIX_RSA_PKCS1V15_3072_SHA256",
    "PKIX_RSA_PKCS1V15_4096_SHA256",
    "PKCS1_RSA_PKCS1V5",
];

/// Returns the algorithm of a public key in DER.
pub(crate) fn spki_kind(spki: &[u8]) -> Result<KeyKind, String> {
    let key = x509::Key::from_spki_der(spki).map_err(|error| error.to_string())?;
    Ok(key.public_key().kind())
}

/// Reads the key of a log and checks it. Returns its DER.
pub(super) fn check(report: &mut Report, log: &Node<'_>) -> Option<(Vec<u8>, KeyKind)> {
    let place = log.at("publicKey");
    let Some(spki) = log.bytes_at("publicKey/rawBytes") else {
        let what = "the log has no public key, so nothing that it signed can be verified";
        report.error(
            "log-key-missing",
            ALL,
            &place,
            what,
            "write the key in DER (SubjectPublicKeyInfo), in base64",
        );
        return None;
    };
    let details = log.text_at("publicKey/keyDetails").unwrap_or_default();
    let details_place = format!("{place}/keyDetails");
    if !DETAILS.contains(&details) {
        let what =
            format_args!("sigstore-go and sigstore-python know no log key of the kind {details:?}");
        let remedy = "write PKIX_ECDSA_P256_SHA_256 or PKIX_ED25519, whichever the key is";
        report.error(
            "key-details-unknown",
            GO_PYTHON,
            &details_place,
            what,
            remedy,
        );
    }
    let kind = match spki_kind(&spki) {
        Ok(kind) => kind,
        Err(_) if details == "PKCS1_RSA_PKCS1V5" => return None,
        Err(error) => {
            let what = format_args!("the public key cannot be read: {error}");
            let remedy = "rawBytes is the key in DER (SubjectPublicKeyInfo), in base64: not PEM, \
                not base64 of PEM, not a certificate";
            report.error("log-key-unreadable", ALL, &place, what, remedy);
            return None;
        }
    };
    check_details(report, &details_place, details, kind);
    if let KeyKind::Ecdsa(Curve::P384 | Curve::P521 | Curve::P224) = kind {
        let what = "the log key is ECDSA on another curve than P-256: Go verifies with the hash \
            of the curve, sigstore-js with \
                    SHA-256, so they disagree about every signature of the log";
        let remedy = "run the log with an ECDSA P-256 key (v1) or an Ed25519 key (v2)";
        report.error("log-key-curve", JS, &place, what, remedy);
    }
    Some((spki, kind))
}

fn check_details(report: &mut Report, place: &str, details: &str, kind: KeyKind) {
    let wanted = match kind {
        KeyKind::Ecdsa(Curve::P256) => "PKIX_ECDSA_P256",
        KeyKind::Ecdsa(Curve::P384) => "PKIX_ECDSA_P384",
        KeyKind::Ecdsa(Curve::P521) => "PKIX_ECDSA_P521",
        KeyKind::Ecdsa(Curve::P224) => return,
        KeyKind::Ed25519 => "PKIX_ED25519",
        KeyKind::Rsa { .. } => "PKIX_RSA",
    };
    if DETAILS.contains(&details) && !details.starts_with(wanted) {
        let what = format_args!("keyDetails says {details}, and the key is of the kind {wanted}");
        let remedy = "correct keyDetails";
        report.error("key-details-mismatch", GO_PYTHON, place, what, remedy);
    }
}
