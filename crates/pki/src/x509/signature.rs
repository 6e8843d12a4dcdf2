//! Signatures in the format `x509`: bytes without a form of their own.

use super::Key;
use crate::error::Error;
use crate::format;
use crate::work::Work;

/// A signature over the SHA-256 of a message (ECDSA on any curve, RSA PKCS#1 v1.5), or over the
/// message (Ed25519).
pub struct Signature(Vec<u8>);

impl format::Signature for Signature {
    type Key = Key;

    fn parse(signature: &[u8]) -> Result<Self, Error> {
        Ok(Self(signature.to_vec()))
    }

    fn canonical(&self) -> &[u8] {
        &self.0
    }

    fn verify(&self, message: &[u8], key: &Key, work: &mut Work) -> Result<(), Error> {
        key.verify_message(message, &self.0, work)
    }
}
