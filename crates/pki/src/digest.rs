//! Digests that clients give instead of the artifact.

use aws_lc_rs::digest;

/// A hash function that an entry may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashAlgorithm {
    /// By the name that entries use, `sha256`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "sha256" => Some(Self::Sha256),
            "sha384" => Some(Self::Sha384),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The name that entries use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The name that refusals use, `SHA-256`.
    pub fn title(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }

    /// Length of a digest in bytes.
    pub fn digest_length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// A digest that the client computed. Its length is that of its algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    algorithm: HashAlgorithm,
    bytes: Vec<u8>,
}

/// Why a text is no digest. Texts are Rekor's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The text has not two digits for each byte of a digest.
    #[error("invalid value for hash")]
    Length,
    /// This byte is no hexadecimal digit.
    #[error("encoding/hex: invalid byte: U+{:04X} '{}'", .0, char::from(*.0))]
    Hex(u8),
}

impl Digest {
    /// From hexadecimal digits of either case.
    pub fn from_hex(algorithm: HashAlgorithm, digits: &str) -> Result<Self, DigestError> {
        if digits.len() != algorithm.digest_length() * 2 {
            return Err(DigestError::Length);
        }
        match hex::decode(digits) {
            Ok(bytes) => Ok(Self { algorithm, bytes }),
            Err(_) => Err(DigestError::Hex(
                digits
                    .bytes()
                    .find(|byte| !byte.is_ascii_hexdigit())
                    .unwrap_or_default(),
            )),
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
