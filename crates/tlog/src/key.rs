//! Log keys: ECDSA P-256 and Ed25519, for notes and signed entry timestamps.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::rand::SecureRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED, ED25519,
    EcdsaKeyPair, Ed25519KeyPair, KeyPair, UnparsedPublicKey, VerificationAlgorithm,
};

use crate::{Hash, sha256};

/// DER of a SubjectPublicKeyInfo up to the key: id-ecPublicKey, the named curve P-256, an
/// uncompressed point (RFC 5480).
const P256_SPKI_PREFIX: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
/// Bytes of the two coordinates after it.
const P256_COORDINATES: usize = 64;
/// The algorithm identifier of Ed25519 (RFC 8410).
const ED25519_SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
const ED25519_KEY: usize = 32;
/// PKCS#8 DER of a private Ed25519 key up to its seed, which has as many bytes (RFC 8410, section
/// 7).
const ED25519_PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// Bytes of `r` and `s` of ECDSA P-256, and of an Ed25519 signature.
const FIXED_SIGNATURE: usize = 64;
/// Columns of PEM (RFC 7468 section 2).
const PEM_COLUMNS: usize = 64;

/// A private log key. `Debug` and errors never show it.
pub struct SigningKey {
    pair: Pair,
    public: VerifyingKey,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A public log key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    spki: Vec<u8>,
    algorithm: KeyAlgorithm,
}

/// The algorithm of a log key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 over SHA-256, signatures as ASN.1 DER.
    EcdsaP256,
    /// Pure Ed25519.
    Ed25519,
}

/// A key cannot be used.
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

/// The source of randomness failed, so nothing was signed or generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source of randomness failed")]
pub struct RandomnessError;

impl SigningKey {
    /// Generates a P-256 key as PKCS#8 DER. It is secret: the caller stores it with mode 0600.
    pub fn generate_p256_pkcs8(rng: &dyn SecureRandom) -> Result<Vec<u8>, RandomnessError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, rng)
            .map_err(|_| RandomnessError)?;
        Ok(document.as_ref().to_vec())
    }

    /// Generates an Ed25519 key as PKCS#8 DER. It is secret: the caller stores it with mode 0600.
    ///
    /// The public key is not in it (RFC 5208 and not RFC 5958), because OpenSSL 3.0 reads no file
    /// that has it.
    pub fn generate_ed25519_pkcs8(rng: &dyn SecureRandom) -> Result<Vec<u8>, RandomnessError> {
        let mut seed = [0; ED25519_KEY];
        rng.fill(&mut seed).map_err(|_| RandomnessError)?;
        Ok([&ED25519_PKCS8_PREFIX[..], &seed].concat())
    }

    /// Reads PKCS#8 DER of an ECDSA P-256 or Ed25519 key. A P-256 key must contain its public key,
    /// as the keys of OpenSSL, Go and [`Self::generate_p256_pkcs8`] do. If an Ed25519 key contains
    /// one, it must match.
    pub fn from_pkcs8(der: &[u8], rng: &dyn SecureRandom) -> Result<Self, KeyError> {
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der, rng) {
            // ring writes the uncompressed point, of which the prefix has the first byte.
            let coordinates = pair.public_key().as_ref().get(1..).unwrap_or_default();
            let public = VerifyingKey::from_spki(&[&P256_SPKI_PREFIX, coordinates].concat())?;
            return Ok(Self {
                pair: Pair::P256(pair),
                public,
            });
        }
        let pair =
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| KeyError::Unsupported)?;
        let public = VerifyingKey::from_ed25519(pair.public_key().as_ref())?;
        Ok(Self {
            pair: Pair::Ed25519(pair),
            public,
        })
    }

    /// Returns the public half.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    /// Signs a message: ECDSA over SHA-256 as ASN.1 DER, or pure Ed25519.
    pub fn sign(&self, message: &[u8], rng: &dyn SecureRandom) -> Result<Vec<u8>, RandomnessError> {
        match &self.pair {
            Pair::P256(pair) => pair
                .sign(rng, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| RandomnessError),
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }

    /// Signs a message with a signature of 64 bytes: ECDSA as `r` and `s` (RFC 9053 section 2.1), or
    /// pure Ed25519.
    pub fn sign_fixed(
        &self,
        message: &[u8],
        rng: &dyn SecureRandom,
    ) -> Result<Vec<u8>, RandomnessError> {
        let signature = self.sign(message, rng)?;
        match &self.pair {
            Pair::P256(_) => Ok(fixed(&signature)),
            Pair::Ed25519(_) => Ok(signature),
        }
    }
}

/// Returns `r` and `s` of an ASN.1 DER signature as 32 bytes each. ring wrote it, so both are there.
fn fixed(signature: &[u8]) -> Vec<u8> {
    let mut numbers = Vec::with_capacity(FIXED_SIGNATURE);
    // A SEQUENCE of two INTEGERs, all lengths below 128.
    let mut rest = signature.get(2..).unwrap_or_default();
    while let Some((&[_, length], after)) = rest.split_first_chunk() {
        let (number, after) = after.split_at(usize::from(length).min(after.len()));
        // An INTEGER has a zero before a first bit that is set, and no other zeros in front.
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        let zeros = (FIXED_SIGNATURE / 2).saturating_sub(number.len());
        numbers.resize(numbers.len() + zeros, 0);
        numbers.extend_from_slice(number);
        rest = after;
    }
    numbers
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl VerifyingKey {
    /// Reads a DER SubjectPublicKeyInfo of an ECDSA P-256 (named curve, uncompressed) or Ed25519
    /// key, in its only DER form. Whether a P-256 point lies on its curve is checked when a
    /// signature is verified.
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        let is = |prefix: &[u8], length| {
            der.strip_prefix(prefix)
                .is_some_and(|key| key.len() == length)
        };
        let algorithm = if is(&P256_SPKI_PREFIX, P256_COORDINATES) {
            KeyAlgorithm::EcdsaP256
        } else if is(&ED25519_SPKI_PREFIX, ED25519_KEY) {
            KeyAlgorithm::Ed25519
        } else {
            return Err(KeyError::Unsupported);
        };
        Ok(Self {
            spki: der.to_vec(),
            algorithm,
        })
    }

    /// Makes an Ed25519 key of its 32 bytes.
    pub fn from_ed25519(key: &[u8]) -> Result<Self, KeyError> {
        Self::from_spki(&[&ED25519_SPKI_PREFIX, key].concat())
    }

    /// Returns the algorithm of its signatures.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// Returns the DER SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Returns the log ID of Rekor v1: SHA-256 of the SPKI. For ECDSA it is also the untruncated
    /// C2SP key ID.
    pub fn log_id(&self) -> Hash {
        sha256(&self.spki)
    }

    /// Returns PEM `PUBLIC KEY` with 64 columns and one final newline.
    pub fn to_pem(&self) -> String {
        let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
        for line in self.spki.chunks(PEM_COLUMNS / 4 * 3) {
            STANDARD.encode_string(line, &mut pem);
            pem.push('\n');
        }
        pem.push_str("-----END PUBLIC KEY-----\n");
        pem
    }

    /// Verifies a signature of [`SigningKey::sign`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let algorithm: &dyn VerificationAlgorithm = match self.algorithm {
            KeyAlgorithm::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
            KeyAlgorithm::Ed25519 => &ED25519,
        };
        UnparsedPublicKey::new(algorithm, self.raw())
            .verify(message, signature)
            .map_err(|_| SignatureError)
    }

    /// Verifies a signature of [`SigningKey::sign_fixed`].
    pub fn verify_fixed(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let algorithm: &dyn VerificationAlgorithm = match self.algorithm {
            KeyAlgorithm::EcdsaP256 => &ECDSA_P256_SHA256_FIXED,
            KeyAlgorithm::Ed25519 => &ED25519,
        };
        UnparsedPublicKey::new(algorithm, self.raw())
            .verify(message, signature)
            .map_err(|_| SignatureError)
    }

    /// Returns the key without its SPKI frame: the uncompressed point, or the 32 bytes of Ed25519.
    pub(crate) fn raw(&self) -> &[u8] {
        let frame = match self.algorithm {
            // The last byte of the prefix, 0x04, belongs to the point.
            KeyAlgorithm::EcdsaP256 => P256_SPKI_PREFIX.len() - 1,
            KeyAlgorithm::Ed25519 => ED25519_SPKI_PREFIX.len(),
        };
        self.spki.get(frame..).unwrap_or_default()
    }
}
