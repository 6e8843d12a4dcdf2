//! Log keys: ECDSA P-256 and Ed25519, for notes and signed entry timestamps.

use ring::rand::SecureRandom;

use crate::Hash;

/// A private log key. `Debug` and errors never show it.
pub struct SigningKey {
    _private: (),
}

/// A public log key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    spki: Vec<u8>,
}

/// A key that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither ECDSA P-256 nor Ed25519, or damaged.
    #[error("not an ECDSA P-256 or Ed25519 key")]
    Unsupported,
}

/// A signature that does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signature does not verify")]
pub struct SignatureError;

impl SigningKey {
    /// A new P-256 key as PKCS#8 DER.
    pub fn generate_p256_pkcs8(_rng: &dyn SecureRandom) -> Vec<u8> {
        todo!()
    }

    /// Reads PKCS#8 DER of an ECDSA P-256 or Ed25519 key.
    pub fn from_pkcs8(_der: &[u8], _rng: &dyn SecureRandom) -> Result<Self, KeyError> {
        todo!()
    }

    /// Its public half.
    pub fn verifying_key(&self) -> &VerifyingKey {
        todo!()
    }

    /// Signs a message: ECDSA over SHA-256 as ASN.1 DER, or pure Ed25519.
    pub fn sign(&self, _message: &[u8], _rng: &dyn SecureRandom) -> Vec<u8> {
        todo!()
    }
}

impl VerifyingKey {
    /// Reads a DER SubjectPublicKeyInfo of an ECDSA P-256 or Ed25519 key.
    pub fn from_spki(_der: &[u8]) -> Result<Self, KeyError> {
        todo!()
    }

    /// DER SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Rekor v1's log ID: SHA-256 of the SPKI. For ECDSA also the untruncated C2SP key ID.
    pub fn log_id(&self) -> Hash {
        crate::sha256(&self.spki)
    }

    /// PEM `PUBLIC KEY`, 64 columns, one final newline.
    pub fn to_pem(&self) -> String {
        todo!()
    }

    /// Verifies what [`SigningKey::sign`] made.
    pub fn verify(&self, _message: &[u8], _signature: &[u8]) -> Result<(), SignatureError> {
        todo!()
    }
}
