//! The cost of one submission before the ledger: JSON, signature, canonical leaf bytes, index keys.

#![expect(
    clippy::expect_used,
    reason = "what cannot be set up cannot be measured"
)]

use std::hint::black_box;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::{Digest as _, Sha512};
use entry::{Policy, ProposedEntry, UnixSeconds, index_keys_of_leaf};
use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256,
    SanType, SigningKey,
};
use ring::digest::{SHA256, SHA384, digest};
use serde_json::json;

const ARTIFACT: &[u8] = b"artifact";
/// The statements that Fulcio puts into a certificate for a workflow.
const SUBJECT: &str =
    "https://github.com/example/project/.github/workflows/release.yml@refs/heads/main";
/// The PKCS#8 form of an Ed25519 key, before its 32 bytes (RFC 8410 section 7).
const ED25519_PKCS8: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];

/// A key with what it signed.
struct Signed {
    name: &'static str,
    key: KeyPair,
    hash: &'static str,
    digest: Vec<u8>,
    signature: Vec<u8>,
}

fn submissions(c: &mut Criterion) {
    let policy = Policy::default();
    let mut group = c.benchmark_group("submission");
    group.throughput(Throughput::Elements(1));
    for signed in [ecdsa_p256(), ecdsa_p384(), rsa_2048(), ed25519ph()] {
        for (signer, pem) in [
            ("key", signed.key.public_key_pem()),
            ("certificate", certificate(&signed.key)),
        ] {
            let body = signed.body(&pem);
            let leaf = verify(&body, &policy);
            group.bench_function(format!("{} {signer}", signed.name), |b| {
                b.iter(|| verify(black_box(&body), &policy))
            });
            // The same without the signature: what fsck does.
            if signed.name == "P-256" {
                group.bench_function(format!("index keys of leaf, {signer}"), |b| {
                    b.iter(|| index_keys_of_leaf(black_box(&leaf)));
                });
            }
        }
    }
    group.finish();
}

fn verify(body: &[u8], policy: &Policy) -> Vec<u8> {
    let verified =
        ProposedEntry::from_json(body).and_then(|entry| entry.verify(policy, UnixSeconds(0)));
    verified.expect("a valid entry").into_parts().0
}

impl Signed {
    fn body(&self, pem: &str) -> Vec<u8> {
        let body = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": {"hash": {"algorithm": self.hash, "value": hex::encode(&self.digest)}},
            "signature": {"content": STANDARD.encode(&self.signature), "publicKey": {"content": STANDARD.encode(pem)}},
        }});
        body.to_string().into_bytes()
    }
}

fn ecdsa_p256() -> Signed {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let signature = key.sign(ARTIFACT).expect("a signature");
    Signed {
        name: "P-256",
        key,
        hash: "sha256",
        digest: digest(&SHA256, ARTIFACT).as_ref().to_vec(),
        signature,
    }
}

fn ecdsa_p384() -> Signed {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("a key");
    let signature = key.sign(ARTIFACT).expect("a signature");
    Signed {
        name: "P-384",
        key,
        hash: "sha384",
        digest: digest(&SHA384, ARTIFACT).as_ref().to_vec(),
        signature,
    }
}

fn rsa_2048() -> Signed {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key");
    let signature = key.sign(ARTIFACT).expect("a signature");
    Signed {
        name: "RSA-2048",
        key,
        hash: "sha256",
        digest: digest(&SHA256, ARTIFACT).as_ref().to_vec(),
        signature,
    }
}

fn ed25519ph() -> Signed {
    let signer = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let pkcs8 = [&ED25519_PKCS8[..], &signer.to_bytes()].concat();
    let prehash = Sha512::new_with_prefix(ARTIFACT);
    let signature = signer
        .sign_prehashed(prehash.clone(), None)
        .expect("a signature")
        .to_vec();
    let key = KeyPair::try_from(pkcs8).expect("a key");
    Signed {
        name: "Ed25519ph",
        key,
        hash: "sha512",
        digest: prehash.finalize().to_vec(),
        signature,
    }
}

fn certificate(key: &KeyPair) -> String {
    let mut params = CertificateParams::new([]).expect("parameters");
    params.subject_alt_names = vec![SanType::URI(SUBJECT.try_into().expect("ASCII"))];
    params.self_signed(key).expect("a certificate").pem()
}

criterion_group!(benches, submissions);
criterion_main!(benches);
