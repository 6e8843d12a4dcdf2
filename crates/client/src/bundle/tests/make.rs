//! Bundles of every form that this world makes.

use serde_json::{Value, json};
use tlog::Hash;

use super::world::{ARTIFACT, Key, SIGNED, World, base64};

pub(super) const V03: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
pub(super) const PREDICATE: &str = "https://acme.example/tested/v1";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// What is signed, and whose key and certificate an entry names.
pub(super) struct Signed {
    pub signature: Vec<u8>,
    /// A certificate, or a public key.
    pub verifier_pem: String,
}

impl World {
    pub(super) fn sign(&self, message: &[u8]) -> Signed {
        Signed {
            signature: self.signer.sign(message),
            verifier_pem: self.certificate_pem(),
        }
    }

    /// A signature by certificate in the v1 log.
    pub(super) fn blob(&self) -> Value {
        let signed = self.sign(ARTIFACT);
        let entry = self.v1.take(&hashedrekord(ARTIFACT, &signed));
        message(self.by_certificate(entry), &signed.signature)
    }

    /// A signature by a key alone, in the v1 log.
    pub(super) fn blob_by_key(&self) -> Value {
        let signed = by(&self.signer, ARTIFACT);
        let entry = self.v1.take(&hashedrekord(ARTIFACT, &signed));
        message(by_key(entry), &signed.signature)
    }

    /// A signature by certificate in the v2 log, with a timestamp.
    pub(super) fn blob_v2(&self) -> Value {
        let signature = self.signer.sign(ARTIFACT);
        let leaf = self.hashedrekord_v2(&tlog::sha256(ARTIFACT), &signature);
        let material = self.by_certificate(self.v2.take(&leaf));
        message(self.stamped(material, &signature, SIGNED), &signature)
    }

    /// An attestation in the v1 log.
    pub(super) fn attestation(&self) -> Value {
        self.attest(&statement(&[ARTIFACT]).to_string())
    }

    pub(super) fn attest(&self, payload: &str) -> Value {
        let (envelope, signature) = self.envelope(payload);
        let leaf = self.dsse(payload.as_bytes(), &signature);
        dsse_bundle(self.by_certificate(self.v1.take(&leaf)), &envelope)
    }

    /// An attestation in the v2 log, which takes the digest of what is signed.
    pub(super) fn attestation_v2(&self) -> Value {
        let payload = statement(&[ARTIFACT]).to_string();
        let (envelope, signature) = self.envelope(&payload);
        let leaf = self.hashedrekord_v2(&tlog::sha256(&pae(payload.as_bytes())), &signature);
        let material = self.by_certificate(self.v2.take(&leaf));
        dsse_bundle(self.stamped(material, &signature, SIGNED), &envelope)
    }

    fn envelope(&self, payload: &str) -> (Value, Vec<u8>) {
        let signature = self.signer.sign(&pae(payload.as_bytes()));
        let envelope = json!({
            "payloadType": PAYLOAD_TYPE, "payload": base64(payload), "signatures": [{"sig": base64(&signature)}],
        });
        (envelope, signature)
    }

    pub(super) fn dsse(&self, payload: &[u8], signature: &[u8]) -> Value {
        let hash =
            |bytes: &[u8]| json!({"algorithm": "sha256", "value": tlog::sha256(bytes).to_string()});
        json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
            "envelopeHash": hash(b"as the client sent it"), "payloadHash": hash(payload),
            "signatures": [{"signature": base64(signature), "verifier": base64(self.certificate_pem())}],
        }})
    }

    pub(super) fn hashedrekord_v2(&self, digest: &Hash, signature: &[u8]) -> Value {
        json!({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": {
            "data": {"algorithm": "SHA2_256", "digest": base64(digest)},
            "signature": {"content": base64(signature), "verifier": {
                "keyDetails": "PKIX_ECDSA_P256_SHA_256", "x509Certificate": {"rawBytes": base64(&self.certificate)},
            }},
        }}})
    }

    pub(super) fn by_certificate(&self, entry: Value) -> Value {
        json!({"certificate": {"rawBytes": base64(&self.certificate)}, "tlogEntries": [entry]})
    }

    pub(super) fn stamped(&self, mut material: Value, signature: &[u8], time: i64) -> Value {
        let stamp = base64(self.stamper.stamp(signature, time));
        material["timestampVerificationData"] =
            json!({"rfc3161Timestamps": [{"signedTimestamp": stamp}]});
        material
    }
}

pub(super) fn by(key: &Key, message: &[u8]) -> Signed {
    Signed {
        signature: key.sign(message),
        verifier_pem: key.pem(),
    }
}

pub(super) fn by_key(entry: Value) -> Value {
    json!({"publicKey": {"hint": "k"}, "tlogEntries": [entry]})
}

pub(super) fn hashedrekord(artifact: &[u8], signed: &Signed) -> Value {
    json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": {"algorithm": "sha256", "value": tlog::sha256(artifact).to_string()}},
        "signature": {
            "content": base64(&signed.signature), "publicKey": {"content": base64(&signed.verifier_pem)},
        },
    }})
}

pub(super) fn message(material: Value, signature: &[u8]) -> Value {
    json!({"mediaType": V03, "verificationMaterial": material, "messageSignature": {
        "messageDigest": {"algorithm": "SHA2_256", "digest": base64(tlog::sha256(ARTIFACT))},
        "signature": base64(signature),
    }})
}

pub(super) fn dsse_bundle(material: Value, envelope: &Value) -> Value {
    json!({"mediaType": V03, "verificationMaterial": material, "dsseEnvelope": envelope})
}

pub(super) fn statement(artifacts: &[&[u8]]) -> Value {
    let subject = |artifact: &&[u8]| {
        let digest = tlog::sha256(artifact).to_string();
        json!({"name": "artifact", "digest": {"sha256": digest}})
    };
    let subjects: Vec<Value> = artifacts.iter().map(subject).collect();
    json!({
        "_type": "https://in-toto.io/Statement/v1", "subject": subjects,
        "predicateType": PREDICATE, "predicate": {"passed": true},
    })
}

pub(super) fn pae(payload: &[u8]) -> Vec<u8> {
    pki::dsse::pae(PAYLOAD_TYPE, payload.to_vec())
}
