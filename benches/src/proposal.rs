//! Entries to post: `hashedrekord` 0.0.1 or 0.0.2 with ECDSA P-256.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ring::rand::{SecureRandom, SystemRandom};
use tlog::SigningKey;

use crate::api::Api;

/// Signers of a run. Few enough that their index keys have many hits, as build machines have.
const SIGNERS: usize = 64;

/// `count` request bodies, each over an artifact of its own.
pub(crate) fn sign(api: Api, count: usize) -> Result<Vec<Bytes>> {
    let rng = SystemRandom::new();
    let mut run = [0; 16];
    rng.fill(&mut run).ok().context("no randomness")?;
    let signers = (0..SIGNERS).map(|_| Signer::generate(&rng)).collect::<Result<Vec<_>>>()?;
    (0..count)
        .map(|number| signers[number % SIGNERS].propose(api, format!("{} {number}", hex::encode(run)).as_bytes(), &rng))
        .collect()
}

struct Signer {
    key: SigningKey,
    /// Base64 of the PEM, as the wire has it.
    public_key: String,
}

impl Signer {
    fn generate(rng: &SystemRandom) -> Result<Self> {
        let key = SigningKey::from_pkcs8(&SigningKey::generate_p256_pkcs8(rng)?, rng)?;
        let public_key = STANDARD.encode(key.verifying_key().to_pem());
        Ok(Self { key, public_key })
    }

    fn propose(&self, api: Api, artifact: &[u8], rng: &SystemRandom) -> Result<Bytes> {
        let hash = tlog::sha256(artifact);
        let signature = STANDARD.encode(self.key.sign(artifact, rng)?);
        if api == Api::V2 {
            let (digest, key) = (STANDARD.encode(hash.0), STANDARD.encode(self.key.verifying_key().spki()));
            return Ok(format!(
                r#"{{"hashedRekordRequestV002":{{"digest":"{digest}","signature":{{"content":"{signature}","verifier":{{"publicKey":{{"rawBytes":"{key}"}},"keyDetails":"PKIX_ECDSA_P256_SHA_256"}}}}}}}}"#
            )
            .into());
        }
        let key = &self.public_key;
        Ok(format!(
            r#"{{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{{"data":{{"hash":{{"algorithm":"sha256","value":"{hash}"}}}},"signature":{{"content":"{signature}","publicKey":{{"content":"{key}"}}}}}}}}"#
        )
        .into())
    }
}
