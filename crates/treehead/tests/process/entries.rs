//! Signed entries, and whether the log still has them.

use std::net::SocketAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::{EncodePublicKey, LineEnding};
use serde_json::{Value, json};

use crate::http;

/// Signs artifacts with one throw-away key.
pub(crate) struct Author {
    name: String,
    key: SigningKey,
    public_pem: String,
}

/// A proposed entry with what it must be found by.
pub(crate) struct Proposal {
    /// The request of v1.
    pub json: String,
    /// The request of v2.
    pub v2: String,
    pub artifact_hash: String,
}

/// An entry that the log acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub uuid: String,
    pub log_index: u64,
    pub entry: Value,
    pub artifact_hash: String,
}

impl Author {
    /// The same name gives the same key.
    pub(crate) fn new(name: &str) -> Self {
        // Unwrap safety: a SHA-256 digest is a valid scalar but for a chance of 2^-32.
        let key = SigningKey::from_slice(&tlog::sha256(name.as_bytes()).0).unwrap();
        let public_pem = key
            .verifying_key()
            .to_public_key_pem(LineEnding::LF)
            .unwrap();
        Self {
            name: name.to_owned(),
            key,
            public_pem,
        }
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }

    pub(crate) fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// A hashedrekord over this artifact.
    pub(crate) fn sign(&self, artifact: &str) -> Proposal {
        self.sign_with(artifact, &self.public_pem)
    }

    /// The same with another PEM, such as a certificate over the key. Artifacts of two authors
    /// differ.
    pub(crate) fn sign_with(&self, artifact: &str, pem: &str) -> Proposal {
        let artifact = format!("{} by {}", artifact, self.name);
        let artifact_hash = tlog::sha256(artifact.as_bytes()).to_string();
        let signature: DerSignature = self.key.sign(artifact.as_bytes());
        let json = json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": {"hash": {"algorithm": "sha256", "value": artifact_hash}},
                "signature": {
                    "content": BASE64_STANDARD.encode(signature.as_bytes()),
                    "publicKey": {"content": BASE64_STANDARD.encode(pem)},
                },
            },
        });
        let kind = match pem.contains("CERTIFICATE") {
            true => "x509Certificate",
            false => "publicKey",
        };
        let lines = pem.lines().filter(|line| !line.starts_with("-----"));
        let v2 = json!({"hashedRekordRequestV002": {
            "digest": BASE64_STANDARD.encode(tlog::sha256(artifact.as_bytes()).0),
            "signature": {
                "content": BASE64_STANDARD.encode(signature.as_bytes()),
                "verifier": {
                    kind: {"rawBytes": lines.collect::<String>()},
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                },
            },
        }});
        Proposal {
            json: json.to_string(),
            v2: v2.to_string(),
            artifact_hash,
        }
    }
}

/// Logs it; anything but 201 fails.
pub(crate) fn log(server: SocketAddr, proposal: &Proposal) -> Acknowledged {
    let answer = http::post(server, "/api/v1/log/entries", &proposal.json);
    assert_eq!(answer.status, 201, "{answer:?}");
    acknowledged(&answer, proposal)
}

/// Logs it by v2; anything but 201 fails. Returns the entry as it is proved.
pub(crate) fn log_v2(server: SocketAddr, proposal: &Proposal) -> Value {
    let answer = http::post(server, "/api/v2/log/entries", &proposal.v2);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

/// Entries that v2 acknowledged are at their indexes of this tree, as they were acknowledged.
pub(crate) fn assert_logged_v2(server: SocketAddr, tree: &str, acknowledged: &[Value]) {
    for wanted in acknowledged {
        let index = wanted["logIndex"].as_str().unwrap_or("0");
        let answer = http::get(server, &format!("/trees/{tree}/entries/{index}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let found = answer.json();
        assert_eq!(
            found["canonicalizedBody"], wanted["canonicalizedBody"],
            "{index}"
        );
    }
}

/// Reads a 201.
pub(crate) fn acknowledged(answer: &http::Answer, proposal: &Proposal) -> Acknowledged {
    let Value::Object(entries) = answer.json() else {
        panic!("{answer:?}")
    };
    let (uuid, entry) = entries.into_iter().next().unwrap();
    let log_index = entry["logIndex"].as_u64().unwrap();
    Acknowledged {
        uuid,
        log_index,
        entry,
        artifact_hash: proposal.artifact_hash.clone(),
    }
}

/// It is there under its UUID, its log index and its index keys, as it was acknowledged.
pub(crate) fn assert_logged(server: SocketAddr, author: &Author, wanted: &Acknowledged) {
    assert_all_logged(server, author, std::slice::from_ref(wanted));
}

/// It is there under its UUID and its log index, as it was acknowledged.
pub(crate) fn assert_shown(server: SocketAddr, wanted: &Acknowledged) {
    let uuid = &wanted.uuid;
    for path in [
        format!("/api/v1/log/entries/{uuid}"),
        format!("/api/v1/log/entries?logIndex={}", wanted.log_index),
    ] {
        let answer = http::get(server, &path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let found = &answer.json()[uuid];
        for member in ["body", "integratedTime", "logID", "logIndex"] {
            assert_eq!(found[member], wanted.entry[member], "{path}: {member}");
        }
    }
}

/// All entries of one author; the key they share is searched once.
pub(crate) fn assert_all_logged(server: SocketAddr, author: &Author, all: &[Acknowledged]) {
    let key = BASE64_STANDARD.encode(author.public_pem());
    let by_key = search(
        server,
        &json!({"publicKey": {"format": "x509", "content": key}}),
    );
    for wanted in all {
        let uuid = &wanted.uuid;
        assert_shown(server, wanted);
        let by_hash = search(
            server,
            &json!({"hash": format!("sha256:{}", wanted.artifact_hash)}),
        );
        assert_eq!(by_hash, json!([uuid]), "by the artifact's hash");
        assert!(
            by_key.as_array().unwrap().contains(&json!(uuid)),
            "by the key: {uuid} is not in {by_key}"
        );
    }
}

fn search(server: SocketAddr, query: &Value) -> Value {
    let answer = http::post(server, "/api/v1/index/retrieve", &query.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}
