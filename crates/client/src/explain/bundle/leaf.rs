//! Whether the leaf of the log is about the signature in the bundle.

use pki::digest::{Digest, HashAlgorithm};
use pki::pem;
use serde_json::Value;

use super::content::{Content, Kind};
use crate::explain::certificate::Facts;
use crate::explain::node;
use crate::explain::report::{ALL, Report};

const OTHER: &str = "the entry belongs to another signature: take the entry of this one from the \
    log, or sign again";

/// What a leaf states. `None`: it states no such thing, or not in a form that is known.
#[derive(Default)]
struct Stated {
    signature: Option<Vec<u8>>,
    /// A certificate or a public key, in DER.
    key: Option<Vec<u8>>,
    digest: Option<Vec<u8>>,
    payload_hash: Option<Vec<u8>>,
}

/// Compares the leaf of an entry with the bundle around it.
pub(super) fn compare(
    report: &mut Report,
    entry: &str,
    body: &Value,
    content: &Content,
    certificate: Option<&Facts>,
) {
    let place = format!("{entry}/canonicalizedBody");
    let stated = Stated::of(body);
    if stated
        .signature
        .as_ref()
        .is_some_and(|signature| *signature != content.signature)
    {
        let what = "the leaf has another signature than the bundle";
        report.error("body-other-signature", ALL, &place, what, OTHER);
    }
    if let (Some(key), Some(certificate)) = (&stated.key, certificate)
        && key != certificate.der()
    {
        let what = "the leaf has another certificate than the bundle";
        report.error("body-other-certificate", ALL, &place, what, OTHER);
    }
    match &content.kind {
        Kind::Message(digest) => {
            let of_bundle = digest.as_ref().map(Digest::bytes);
            if let (Some(of_leaf), Some(of_bundle)) = (&stated.digest, of_bundle)
                && of_leaf != of_bundle
            {
                let what = "the leaf has the digest of another artifact than the bundle";
                report.error("body-other-digest", ALL, &place, what, OTHER);
            }
            if stated.digest.is_none() && stated.payload_hash.is_some() {
                other_kind(
                    report,
                    &place,
                    "an attestation, and the bundle has the signature of an artifact",
                );
            }
        }
        Kind::Envelope { payload, .. } => {
            compare_envelope(report, &place, &stated, content, payload);
        }
    }
}

fn compare_envelope(
    report: &mut Report,
    place: &str,
    stated: &Stated,
    content: &Content,
    payload: &[u8],
) {
    if let Some(hash) = &stated.payload_hash {
        if *hash != Digest::sha256(payload).bytes() {
            let what = "the leaf has the hash of another payload than the envelope";
            report.error("body-other-payload", ALL, place, what, OTHER);
        }
        return;
    }
    let (Some(digest), Some(signed)) = (&stated.digest, content.envelope_bytes()) else {
        return;
    };
    // A hashedrekord of an attestation is over the bytes that the signature covers.
    let hash = match digest.len() {
        32 => HashAlgorithm::Sha256,
        48 => HashAlgorithm::Sha384,
        _ => HashAlgorithm::Sha512,
    };
    if Digest::of(hash, &signed).bytes() != digest.as_slice() {
        other_kind(
            report,
            place,
            "another message than the envelope of the bundle",
        );
    }
}

fn other_kind(report: &mut Report, place: &str, about: &str) {
    let what = format_args!("the leaf is about {about}");
    report.error("body-other-content", ALL, place, what, OTHER);
}

impl Stated {
    fn of(body: &Value) -> Self {
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
        let base64 = |pointer: &str| node::base64(text(pointer)?);
        let hexadecimal = |pointer: &str| hex::decode(text(pointer)?).ok();
        match text("/kind") {
            Some("hashedrekord") if body.pointer("/spec/hashedRekordV002").is_some() => Self {
                signature: base64("/spec/hashedRekordV002/signature/content"),
                key: base64("/spec/hashedRekordV002/signature/verifier/x509Certificate/rawBytes"),
                digest: base64("/spec/hashedRekordV002/data/digest"),
                payload_hash: None,
            },
            Some("hashedrekord") => Self {
                signature: base64("/spec/signature/content"),
                key: base64("/spec/signature/publicKey/content").and_then(|pem| certificate(&pem)),
                digest: hexadecimal("/spec/data/hash/value"),
                payload_hash: None,
            },
            Some("dsse") if body.pointer("/spec/dsseV002").is_some() => Self {
                signature: base64("/spec/dsseV002/signatures/0/content"),
                key: base64("/spec/dsseV002/signatures/0/verifier/x509Certificate/rawBytes"),
                digest: None,
                payload_hash: base64("/spec/dsseV002/payloadHash/digest"),
            },
            Some("dsse") => Self {
                signature: base64("/spec/signatures/0/signature"),
                key: base64("/spec/signatures/0/verifier").and_then(|pem| certificate(&pem)),
                digest: None,
                payload_hash: hexadecimal("/spec/payloadHash/value"),
            },
            Some("intoto") => Self {
                // The envelope in it has its base64 in base64 once more.
                signature: base64("/spec/content/envelope/signatures/0/sig")
                    .and_then(|text| node::base64(&String::from_utf8(text).ok()?)),
                key: base64("/spec/content/envelope/signatures/0/publicKey")
                    .and_then(|pem| certificate(&pem)),
                digest: None,
                payload_hash: hexadecimal("/spec/content/payloadHash/value"),
            },
            _ => Self::default(),
        }
    }
}

/// Returns the first certificate of a PEM text. A bare key cannot be compared with a certificate
/// byte by byte.
fn certificate(text: &[u8]) -> Option<Vec<u8>> {
    let (block, _) = pem::decode(text)?;
    (block.label == b"CERTIFICATE").then_some(block.bytes)
}
