//! Entries to send: a `hashedrekord` over any artifact, by a key made for it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, CustomExtension, KeyPair, SanType, SigningKey as _};
use ring::rand::SystemRandom;
use serde_json::json;
use tlog::{SigningKey, sha256};

/// Who signs.
pub(crate) struct Signer {
    key: SigningKey,
    rng: SystemRandom,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let rng = SystemRandom::new();
        let key = SigningKey::generate_p256_pkcs8(&rng).expect("randomness");
        Self {
            key: SigningKey::from_pkcs8(&key, &rng).expect("the key just made"),
            rng,
        }
    }

    /// The public key.
    pub(crate) fn pem(&self) -> String {
        self.key.verifying_key().to_pem()
    }

    /// base64 of the public key's PEM.
    pub(crate) fn public_key(&self) -> String {
        STANDARD.encode(self.pem())
    }

    /// The same as a request of Rekor v2.
    pub(crate) fn proposal_v2(&self, artifact: &[u8]) -> String {
        let signature = self.key.sign(artifact, &self.rng).expect("randomness");
        json!({
            "hashedRekordRequestV002": {
                "digest": STANDARD.encode(sha256(artifact).0),
                "signature": {"content": STANDARD.encode(signature), "verifier": {
                    "publicKey": {"rawBytes": STANDARD.encode(self.key.verifying_key().spki())},
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                }},
            },
        })
        .to_string()
    }

    /// A new entry each time: ECDSA signatures differ.
    pub(crate) fn proposal(&self, artifact: &[u8]) -> String {
        proposal(artifact, &self.sign(artifact), &self.pem())
    }

    /// ECDSA with SHA-256.
    pub(crate) fn sign(&self, artifact: &[u8]) -> Vec<u8> {
        self.key.sign(artifact, &self.rng).expect("randomness")
    }
}

/// Who signs with a certificate like Fulcio's.
pub(crate) struct CertifiedSigner {
    key: KeyPair,
    certificate: String,
}

impl CertifiedSigner {
    /// `ann@example.com`, whose build of `org/repo` at `c0ffee` runs in the workflow `release`.
    pub(crate) fn new() -> Self {
        Self::with_extension(&[])
    }

    /// The same with an extension besides, which makes the certificate and the entry larger.
    pub(crate) fn with_extension(content: &[u8]) -> Self {
        let key = KeyPair::generate().expect("randomness");
        let mut params = CertificateParams::new([]).expect("no names");
        params.subject_alt_names = vec![SanType::Rfc822Name(
            "ann@example.com".try_into().expect("ASCII"),
        )];
        let claims = [
            (8, "https://issuer.example.com"),
            (12, "https://github.com/org/repo"),
            (13, "c0ffee"),
            (18, "https://github.com/org/repo/release@refs/heads/main"),
        ];
        params.custom_extensions = claims.map(|(number, text)| fulcio(number, text)).to_vec();
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(
                &oid(4),
                b"Release".to_vec(),
            ));
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(
                &oid(1_000),
                content.to_vec(),
            ));
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Self { key, certificate }
    }

    /// An entry.
    pub(crate) fn proposal(&self, artifact: &[u8]) -> String {
        let signature = self.key.sign(artifact).expect("randomness");
        proposal(artifact, &signature, &self.certificate)
    }
}

fn oid(number: u64) -> [u64; 9] {
    [1, 3, 6, 1, 4, 1, 57264, 1, number]
}

/// An extension whose value is a UTF8String.
fn fulcio(number: u64, text: &str) -> CustomExtension {
    let length = u8::try_from(text.len()).expect("short");
    CustomExtension::from_oid_content(&oid(number), [&[0x0c, length], text.as_bytes()].concat())
}

fn proposal(artifact: &[u8], signature: &[u8], key: &str) -> String {
    json!({
        "kind": "hashedrekord",
        "apiVersion": "0.0.1",
        "spec": {
            "signature": {"content": STANDARD.encode(signature), "publicKey": {"content": STANDARD.encode(key)}},
            "data": {"hash": {"algorithm": "sha256", "value": sha256(artifact).to_string()}},
        },
    })
    .to_string()
}
