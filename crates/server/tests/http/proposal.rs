//! Entries to send: a `hashedrekord` over any artifact, by a key made for it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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
        Self { key: SigningKey::from_pkcs8(&key, &rng).expect("the key just made"), rng }
    }

    /// base64 of the public key's PEM.
    pub(crate) fn public_key(&self) -> String {
        STANDARD.encode(self.key.verifying_key().to_pem())
    }

    /// A new entry each time: ECDSA signatures differ.
    pub(crate) fn proposal(&self, artifact: &[u8]) -> String {
        let signature = self.key.sign(artifact, &self.rng).expect("randomness");
        json!({
            "kind": "hashedrekord",
            "apiVersion": "0.0.1",
            "spec": {
                "signature": {"content": STANDARD.encode(signature), "publicKey": {"content": self.public_key()}},
                "data": {"hash": {"algorithm": "sha256", "value": sha256(artifact).to_string()}},
            },
        })
        .to_string()
    }
}
