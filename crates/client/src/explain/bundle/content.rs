//! What a bundle signs: a message, or an envelope (DSSE).

use pki::digest::{Digest, HashAlgorithm};
use pki::{Work, dsse, x509};
use serde_json::Value;

use crate::explain::certificate::Facts;
use crate::explain::node::Node;
use crate::explain::report::{ALL, GO_JS, Report};

const STATEMENT: &str = "application/vnd.in-toto+json";

/// The signed content.
pub(super) struct Content {
    place: String,
    /// The first signature.
    pub signature: Vec<u8>,
    pub kind: Kind,
}

pub(super) enum Kind {
    /// The digest of an artifact, if the bundle states it.
    Message(Option<Digest>),
    Envelope {
        payload_type: String,
        payload: Vec<u8>,
    },
}

impl Content {
    /// Reads what was signed, and says what is missing. Returns `None` without a signature.
    pub(super) fn read(report: &mut Report, bundle: &Node<'_>) -> Option<Self> {
        match (bundle.get("messageSignature"), bundle.get("dsseEnvelope")) {
            (Some(message), None) => Self::read_message(report, &message),
            (None, Some(envelope)) => Self::read_envelope(report, &envelope),
            (None, None) => {
                let what = "neither messageSignature nor dsseEnvelope: the bundle has no signature";
                report.error("content-missing", ALL, "", what, "sign again");
                None
            }
            (Some(_), Some(_)) => {
                let what = "both messageSignature and dsseEnvelope: a bundle has one of them";
                report.error("content-twice", ALL, "", what, "make two bundles of it");
                None
            }
        }
    }

    fn read_message(report: &mut Report, message: &Node<'_>) -> Option<Self> {
        let digest = message.bytes_at("messageDigest/digest");
        let algorithm = message
            .text_at("messageDigest/algorithm")
            .unwrap_or_default();
        let place = message.at("messageDigest");
        if digest.is_none() {
            let what =
                "the digest of the artifact is missing; sigstore-go and sigstore-js ask for it";
            let remedy = "write the SHA-256 of the artifact here: \
                {\"algorithm\":\"SHA2_256\",\"digest\":BASE64}";
            report.error("message-digest-missing", GO_JS, &place, what, remedy);
        }
        let hash = hash(algorithm);
        let digest = match (hash, digest) {
            (Some(hash), Some(bytes)) => {
                report.fact(
                    "artifact",
                    format_args!("{}:{}", hash.name(), hex::encode(&bytes)),
                );
                let read = Digest::from_bytes(hash, bytes);
                if read.is_none() {
                    let what = format_args!("the digest has not the length of {algorithm}");
                    report.error(
                        "message-digest-length",
                        ALL,
                        &place,
                        what,
                        "write the whole digest, as bytes and not as hexadecimal text",
                    );
                }
                read
            }
            (None, Some(_)) => {
                let what = format_args!("no client knows the digest algorithm {algorithm:?}");
                report.error(
                    "message-digest-algorithm",
                    ALL,
                    &place,
                    what,
                    "use SHA2_256",
                );
                None
            }
            _ => None,
        };
        Some(Self {
            signature: signature(report, message, "signature")?,
            place: message.place.clone(),
            kind: Kind::Message(digest),
        })
    }

    fn read_envelope(report: &mut Report, envelope: &Node<'_>) -> Option<Self> {
        let payload_type = envelope.text("payloadType").unwrap_or_default();
        report.fact("payload type", payload_type);
        if payload_type != STATEMENT {
            let what =
                format_args!("cosign verifies attestations of the payload type {STATEMENT} alone");
            report.warning(
                "payload-type",
                envelope.at("payloadType"),
                what,
                "sign an in-toto statement",
            );
        }
        let payload = envelope.bytes_at("payload");
        if payload.is_none() {
            let what = "the envelope has no payload";
            report.error(
                "payload-missing",
                ALL,
                envelope.at("payload"),
                what,
                "sign again",
            );
        }
        let signatures = envelope.items("signatures");
        if signatures.len() > 1 {
            let what = format_args!(
                "{} signatures: clients read envelopes with exactly one",
                signatures.len()
            );
            let remedy = "make a bundle for each signature";
            report.error(
                "envelope-signatures",
                ALL,
                envelope.at("signatures"),
                what,
                remedy,
            );
        }
        let payload = payload?;
        describe_statement(report, envelope, payload_type, &payload);
        let first = signatures.first();
        let signature = match first {
            Some(first) => signature(report, first, "sig")?,
            None => signature(report, envelope, "signatures")?,
        };
        Some(Self {
            signature,
            place: envelope.place.clone(),
            kind: Kind::Envelope {
                payload_type: payload_type.to_owned(),
                payload,
            },
        })
    }

    /// Returns the bytes that an envelope's signature covers.
    pub(super) fn envelope_bytes(&self) -> Option<Vec<u8>> {
        match &self.kind {
            Kind::Envelope {
                payload_type,
                payload,
            } => Some(dsse::pae(payload_type, payload.clone())),
            Kind::Message(_) => None,
        }
    }

    /// Checks the signature with the key of the certificate. Of a message only the digest is there.
    pub(super) fn check_signature(&self, report: &mut Report, certificate: &Facts) {
        let Ok(key) = x509::Key::from_certificate_der(certificate.der()) else {
            return;
        };
        let mut work = Work::of_request(self.signature.len() + certificate.der().len());
        let verified = match (&self.kind, self.envelope_bytes()) {
            (Kind::Message(Some(digest)), _) => {
                key.verify_digest(digest, &self.signature, &mut work)
            }
            (_, Some(signed)) => {
                work = Work::of_request(self.signature.len() + signed.len());
                key.verify_message(&signed, &self.signature, &mut work)
            }
            _ => return,
        };
        if let Err(error) = verified {
            let what = format_args!("the signature is not by the key of the certificate: {error}");
            let remedy = "the bundle was put together from parts of several signatures, or \
                changed: sign again";
            report.error("signature-invalid", ALL, &self.place, what, remedy);
        }
    }
}

fn signature(report: &mut Report, node: &Node<'_>, member: &str) -> Option<Vec<u8>> {
    let signature = node.bytes_at(member);
    if signature.is_none() {
        let what = "there is no signature";
        report.error(
            "signature-missing",
            ALL,
            node.at(member),
            what,
            "sign again",
        );
    }
    signature
}

fn hash(algorithm: &str) -> Option<HashAlgorithm> {
    match algorithm {
        "SHA2_256" => Some(HashAlgorithm::Sha256),
        "SHA2_384" => Some(HashAlgorithm::Sha384),
        "SHA2_512" => Some(HashAlgorithm::Sha512),
        _ => None,
    }
}

/// Adds what an in-toto statement says.
fn describe_statement(
    report: &mut Report,
    envelope: &Node<'_>,
    payload_type: &str,
    payload: &[u8],
) {
    /// Most subjects that are shown.
    const MAX_SUBJECTS: usize = 10;
    if payload_type != STATEMENT {
        return;
    }
    let Ok(statement) = serde_json::from_slice::<Value>(payload) else {
        let what = "the payload says that it is an in-toto statement, and is no JSON";
        report.error(
            "statement-unreadable",
            ALL,
            envelope.at("payload"),
            what,
            "sign a statement",
        );
        return;
    };
    let node = Node::root(&statement);
    report.fact("predicate", node.text("predicateType").unwrap_or("none"));
    let subjects = node.items("subject");
    if subjects.is_empty() {
        let what = "the statement has no subject, so it is about no artifact";
        let remedy = "sign a statement whose subject has a name and a digest";
        report.error(
            "statement-without-subject",
            GO_JS,
            envelope.at("payload"),
            what,
            remedy,
        );
    }
    for subject in subjects.iter().take(MAX_SUBJECTS) {
        let digests = subject.value.get("digest").and_then(Value::as_object);
        let digests = digests.into_iter().flatten();
        let digests =
            digests.map(|(name, value)| format!("{name}:{}", value.as_str().unwrap_or_default()));
        let digests: Vec<String> = digests.take(MAX_SUBJECTS).collect();
        let name = subject.text("name").unwrap_or("without a name");
        report.fact("subject", format_args!("{name} {}", digests.join(" ")));
    }
}
