//! Digests that clients give instead of the artifact.

use aws_lc_rs::digest;

use crate::error::Error;

pub use crate::algorithms::HashAlgorithm;
pub use crate::error::DigestError;

/// A digest that the client computed. Its length is that of its algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    algorithm: HashAlgorithm,
    bytes: Vec<u8>,
}

impl Digest {
    /// From hexadecimal digits of either case.
    pub fn from_hex(algorithm: HashAlgorithm, digits: &str) -> Result<Self, Error> {
        if digits.len() != algorithm.digest_length() * 2 {
            return Err(DigestError::Length.into());
        }
        match hex::decode(digits) {
            Ok(bytes) => Ok(Self { algorithm, bytes }),
            Err(_) => {
                let first = digits.bytes().find(|byte| !byte.is_ascii_hexdigit());
                Err(DigestError::Hex(first.unwrap_or_default()).into())
            }
        }
    }

    /// The SHA-256 of what was submitted itself.
    pub fn sha256(message: &[u8]) -> Self {
        Self {
            algorithm: HashAlgorithm::Sha256,
            bytes: sha256(message).to_vec(),
        }
    }

    /// From the bytes of a digest; none if they are not as many as `algorithm` makes.
    pub fn from_bytes(algorithm: HashAlgorithm, bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() == algorithm.digest_length()).then_some(Self { algorithm, bytes })
    }

    /// Of a message.
    pub fn of(algorithm: HashAlgorithm, message: &[u8]) -> Self {
        let function = match algorithm {
            HashAlgorithm::Sha256 => &digest::SHA256,
            HashAlgorithm::Sha384 => &digest::SHA384,
            HashAlgorithm::Sha512 => &digest::SHA512,
        };
        Self {
            algorithm,
            bytes: digest::digest(function, message).as_ref().to_vec(),
        }
    }

    /// Returns the hash function.
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// Returns the bytes of the digest.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Returns the SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}
