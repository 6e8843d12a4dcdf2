//! Signs artifacts and envelopes with a private key, and names the signer as entries do.

use aws_lc_rs::digest as aws_digest;
use aws_lc_rs::encoding::{AsBigEndian, AsDer};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer as _;
use pki::digest::{Digest, HashAlgorithm};
use pki::pem;
use pki::prehash::Prehash;
use pki::public_key::{Curve, KeyKind};
use pki::x509;

/// The beginning of the SubjectPublicKeyInfo of an Ed25519 key (RFC 8410). The key follows.
const ED25519_SPKI_PREFIX: [u8; 12] = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// Bytes of the hash that P-384 keys sign.
const P384_HASH: usize = 48;

/// Why a file is no private key that can sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyError {
    /// No PEM block of a private key.
    #[error(
        "no private key in PEM: ECDSA P-256 or P-384, or Ed25519, as `openssl genpkey` writes it"
    )]
    Absent,
    /// A key under a passphrase.
    #[error(
        "the key is encrypted, and no passphrase is asked for: \
         `openssl pkey -in KEY -out NEW-KEY` decrypts it"
    )]
    Encrypted,
    /// A key of cosign, which is always encrypted.
    #[error(
        "this key of cosign is encrypted: sign with cosign, and give its signature with --signature"
    )]
    EncryptedByCosign,
    /// Another kind of key.
    #[error("neither an ECDSA P-256 nor a P-384 nor an Ed25519 key")]
    Unsupported,
}

/// Why a text names no signer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// No PEM.
    #[error("neither a public key nor a certificate in PEM")]
    Pem,
    /// A private key where a public one belongs.
    #[error("a private key, which must never be sent: give the public key")]
    Private,
    /// A key or certificate that no log reads.
    #[error("{0}")]
    Unusable(pki::Error),
}

/// The library could not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key cannot sign")]
pub struct SigningError;

/// A private key that signs artifacts.
pub struct PrivateKey {
    pair: Pair,
    signer: Signer,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(ed25519_dalek::SigningKey),
}

/// The key or certificate that an entry names as its signer.
pub struct Signer {
    pem: Vec<u8>,
    key: x509::Key,
    /// The first block: the SubjectPublicKeyInfo, or the signer's own certificate.
    der: Vec<u8>,
    is_certificate: bool,
}

impl PrivateKey {
    /// Reads a private key from PEM: PKCS#8 or SEC 1.
    ///
    /// # Errors
    ///
    /// There is no such key in it, or it is encrypted, or of another kind.
    pub fn read(text: &[u8]) -> Result<Self, PrivateKeyError> {
        let mut rest = text;
        while let Some((block, after)) = pem::decode(rest) {
            match block.label {
                b"PRIVATE KEY" | b"EC PRIVATE KEY" if is_encrypted(text) => {
                    return Err(PrivateKeyError::Encrypted);
                }
                b"PRIVATE KEY" | b"EC PRIVATE KEY" => return Self::from_der(&block.bytes),
                b"ENCRYPTED PRIVATE KEY" => return Err(PrivateKeyError::Encrypted),
                b"ENCRYPTED SIGSTORE PRIVATE KEY" | b"ENCRYPTED COSIGN PRIVATE KEY" => {
                    return Err(PrivateKeyError::EncryptedByCosign);
                }
                label if label.ends_with(b"PRIVATE KEY") => {
                    return Err(PrivateKeyError::Unsupported);
                }
                _ => rest = after,
            }
        }
        Err(PrivateKeyError::Absent)
    }

    fn from_der(der: &[u8]) -> Result<Self, PrivateKeyError> {
        let ecdsa = |algorithm: &'static EcdsaSigningAlgorithm| {
            EcdsaKeyPair::from_private_key_der(algorithm, der).ok()
        };
        let unsupported = |_| PrivateKeyError::Unsupported;
        let pair = ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING)
            .or_else(|| ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING));
        if let Some(pair) = pair {
            let spki = AsDer::as_der(pair.public_key()).map_err(unsupported)?;
            let signer =
                Signer::from_spki(spki.as_ref()).map_err(|_| PrivateKeyError::Unsupported)?;
            return Ok(Self {
                pair: Pair::Ecdsa(pair),
                signer,
            });
        }
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
            .map_err(|_| PrivateKeyError::Unsupported)?;
        let seed = pair.seed().and_then(|seed| seed.as_be_bytes());
        let seed = seed.map_err(unsupported)?;
        let seed = <[u8; 32]>::try_from(seed.as_ref()).map_err(|_| PrivateKeyError::Unsupported)?;
        let spki = [&ED25519_SPKI_PREFIX, pair.public_key().as_ref()].concat();
        let signer = Signer::from_spki(&spki).map_err(|_| PrivateKeyError::Unsupported)?;
        Ok(Self {
            pair: Pair::Ed25519(ed25519_dalek::SigningKey::from_bytes(&seed)),
            signer,
        })
    }

    /// Returns the public half.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Returns the hash function over which this key signs digests.
    pub fn hash(&self) -> HashAlgorithm {
        self.signer.usual_hash()
    }

    /// Signs a digest: ECDSA in ASN.1 over SHA-256, or SHA-384 with P-384; Ed25519ph over SHA-512.
    ///
    /// # Errors
    ///
    /// The digest is not one that this key signs, or the library fails.
    pub fn sign_digest(&self, digest: &Digest) -> Result<Vec<u8>, SigningError> {
        match &self.pair {
            Pair::Ecdsa(pair) => {
                let imported = imported(digest, self.hash()).ok_or(SigningError)?;
                let signature = pair.sign_digest(&imported).map_err(|_| SigningError)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed25519(key) => {
                let prehash = Prehash::new(digest).ok_or(SigningError)?;
                let signature = key.sign_prehashed(prehash, None);
                Ok(signature.map_err(|_| SigningError)?.to_bytes().to_vec())
            }
        }
    }

    /// Signs a message as envelopes in Rekor v1 are signed: ECDSA over its SHA-256 on either curve,
    /// pure Ed25519.
    ///
    /// # Errors
    ///
    /// The library fails.
    pub fn sign_message(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        match &self.pair {
            Pair::Ecdsa(_) => self.sign_digest(&Digest::sha256(message)),
            Pair::Ed25519(key) => Ok(key.sign(message).to_bytes().to_vec()),
        }
    }
}

/// Returns whether the PEM has the header of traditional encryption (RFC 1421).
fn is_encrypted(text: &[u8]) -> bool {
    let header = b"Proc-Type: 4,ENCRYPTED";
    text.windows(header.len()).any(|window| window == header)
}

/// Returns a digest in the form in which a key whose own hash is `hash` signs it. ECDSA takes the
/// digest for a number, which is the same with zeros before it: so a P-384 key signs SHA-256.
fn imported(digest: &Digest, hash: HashAlgorithm) -> Option<aws_digest::Digest> {
    let zeros = |length: usize| vec![0; length.saturating_sub(digest.bytes().len())];
    match (hash, digest.algorithm()) {
        (HashAlgorithm::Sha256, HashAlgorithm::Sha256) => {
            aws_digest::Digest::import_less_safe(digest.bytes(), &aws_digest::SHA256).ok()
        }
        (HashAlgorithm::Sha384, HashAlgorithm::Sha256 | HashAlgorithm::Sha384) => {
            let padded = [&zeros(P384_HASH), digest.bytes()].concat();
            aws_digest::Digest::import_less_safe(&padded, &aws_digest::SHA384).ok()
        }
        _ => None,
    }
}

impl Signer {
    /// Reads a public key, or a certificate with its chain, from PEM. Files in which cosign put the
    /// PEM into base64 are read as well.
    ///
    /// # Errors
    ///
    /// The text is neither, or no log takes the key.
    pub fn read(text: &[u8]) -> Result<Self, SignerError> {
        let begins = |text: &[u8]| text.windows(11).any(|window| window == b"-----BEGIN ");
        if !begins(text) {
            let digits: Vec<u8> = text
                .iter()
                .filter(|b| !b.is_ascii_whitespace())
                .copied()
                .collect();
            let pem = STANDARD.decode(digits).map_err(|_| SignerError::Pem)?;
            return match begins(&pem) {
                true => Self::read(&pem),
                false => Err(SignerError::Pem),
            };
        }
        let (block, _) = pem::decode(text).ok_or(SignerError::Pem)?;
        if block.label.ends_with(b"PRIVATE KEY") {
            return Err(SignerError::Private);
        }
        let key = x509::Key::from_pem(text).map_err(SignerError::Unusable)?;
        Ok(Self {
            pem: key.canonical().to_vec(),
            key,
            der: block.bytes,
            is_certificate: block.label == b"CERTIFICATE",
        })
    }

    fn from_spki(spki: &[u8]) -> Result<Self, SignerError> {
        let mut text = Vec::new();
        pem::encode("PUBLIC KEY", spki, &mut text);
        Self::read(&text)
    }

    /// Returns the PEM that entries of Rekor v1 hold: the key, or the certificate with its chain.
    pub fn pem(&self) -> &[u8] {
        &self.pem
    }

    /// Returns the DER that entries of Rekor v2 and bundles hold: the SubjectPublicKeyInfo, or the
    /// signer's certificate without its chain.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Returns whether the signer is named by a certificate.
    pub fn is_certificate(&self) -> bool {
        self.is_certificate
    }

    /// Returns the key, as it was parsed.
    pub fn key(&self) -> &x509::Key {
        &self.key
    }

    /// Returns the hash function that goes with the key where nothing else is said.
    pub fn usual_hash(&self) -> HashAlgorithm {
        match self.key.public_key().kind() {
            KeyKind::Ecdsa(Curve::P384) => HashAlgorithm::Sha384,
            KeyKind::Ecdsa(Curve::P521) | KeyKind::Ed25519 => HashAlgorithm::Sha512,
            KeyKind::Ecdsa(Curve::P224 | Curve::P256) | KeyKind::Rsa { .. } => {
                HashAlgorithm::Sha256
            }
        }
    }

    /// Returns the name that Rekor v2 has for this key with a hash, if it has one.
    pub fn key_details(&self, hash: HashAlgorithm) -> Option<&'static str> {
        use HashAlgorithm::{Sha256, Sha384, Sha512};
        Some(match (self.key.public_key().kind(), hash) {
            (KeyKind::Ecdsa(Curve::P256), Sha256) => "PKIX_ECDSA_P256_SHA_256",
            (KeyKind::Ecdsa(Curve::P384), Sha384) => "PKIX_ECDSA_P384_SHA_384",
            (KeyKind::Ecdsa(Curve::P384), Sha256) => "PKIX_ECDSA_P384_SHA_256",
            (KeyKind::Ecdsa(Curve::P521), Sha512) => "PKIX_ECDSA_P521_SHA_512",
            (KeyKind::Ecdsa(Curve::P521), Sha256) => "PKIX_ECDSA_P521_SHA_256",
            (KeyKind::Rsa { bytes: 256 }, Sha256) => "PKIX_RSA_PKCS1V15_2048_SHA256",
            (KeyKind::Rsa { bytes: 384 }, Sha256) => "PKIX_RSA_PKCS1V15_3072_SHA256",
            (KeyKind::Rsa { bytes: 512 }, Sha256) => "PKIX_RSA_PKCS1V15_4096_SHA256",
            (KeyKind::Ed25519, Sha512) => "PKIX_ED25519_PH",
            _ => return None,
        })
    }

    /// Returns the hint by which bundles name a public key: base64 of the SHA-256 of its DER, as
    /// cosign and sigstore-go write it.
    pub fn hint(&self) -> String {
        STANDARD.encode(tlog::sha256(&self.der))
    }
}

#[cfg(test)]
mod tests;
