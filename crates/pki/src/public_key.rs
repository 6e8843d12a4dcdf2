//! Public keys of clients, and their signatures over given digests.

use aws_lc_rs::digest as aws_digest;
use aws_lc_rs::signature::{self as aws, ParsedPublicKey, VerificationAlgorithm};
use const_oid::db::{rfc5912, rfc8410};
use der::asn1::{ObjectIdentifier, UintRef};
use der::{Decode, Reader, SliceReader};
use ed25519_dalek::{Verifier as _, VerifyingKey};
use spki::SubjectPublicKeyInfoRef;

use crate::digest::{Digest, HashAlgorithm};
use crate::prehash::Prehash;
use crate::pss;
use crate::signature;
use crate::work::{TooCostly, Work};

/// Longest RSA modulus: the longest that aws-lc verifies with. A check with 8,192 bits takes 0.2
/// ms, and one with 16,384 would take four times that.
const MAX_RSA_BITS: usize = 8192;
/// Shortest RSA modulus, Go's limit since 1.24.
const MIN_RSA_BITS: usize = 1024;

/// A NIST curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// P-224.
    P224,
    /// P-256.
    P256,
    /// P-384.
    P384,
    /// P-521.
    P521,
}

/// What an algorithm policy sees of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on this curve.
    Ecdsa(Curve),
    /// RSA with a modulus of so many bytes.
    Rsa {
        /// Bytes of the modulus.
        bytes: usize,
    },
    /// Ed25519.
    Ed25519,
}

/// A key that parsed: its numbers are in range and its point, but for P-224 and Ed25519, is on the
/// curve.
#[derive(Debug)]
pub struct PublicKey {
    kind: KeyKind,
    verifier: Verifier,
}

#[derive(Debug)]
enum Verifier {
    /// Parsed for SHA-256, which nine in ten entries use.
    AwsLc(ParsedPublicKey),
    Ed25519([u8; 32]),
    /// P-224, which aws-lc-rs does not have and no policy can admit.
    None,
}

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read, or breaks the rules of its algorithm.
    #[error("malformed public key")]
    Malformed,
    /// Its algorithm is not known.
    #[error("unsupported public key type")]
    UnknownAlgorithm,
    /// Its curve is not known.
    #[error("unsupported elliptic curve")]
    UnknownCurve,
    /// Its modulus has so many bits.
    #[error("RSA keys of {0} bits are not supported, only of {MIN_RSA_BITS} to {MAX_RSA_BITS}")]
    RsaSize(usize),
}

/// Why a signature does not verify. The texts are Rekor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A signature in ASN.1 does not verify.
    #[error("invalid signature when validating ASN.1 encoded signature")]
    Asn1,
    /// A signature as r ‖ s does not verify.
    #[error("invalid signature when validating IEEE_P1363 encoded signature")]
    RawPair,
    /// The signature is neither ASN.1 nor r ‖ s.
    #[error("ecdsa: Invalid IEEE_P1363 encoded bytes")]
    NeitherForm,
    /// An RSA signature does not verify.
    #[error("crypto/rsa: verification error")]
    Rsa,
    /// A digest that Ed25519ph does not sign.
    #[error("unsupported hash algorithm: {:?} not in [SHA-512]", .0.title())]
    Ed25519Hash(HashAlgorithm),
    /// A signature of so many bytes.
    #[error("failed to verify signature: ed25519: bad signature length: {0}")]
    Ed25519Length(usize),
    /// An Ed25519ph signature does not verify.
    #[error("failed to verify signature: ed25519: invalid signature")]
    Ed25519,
    /// An Ed25519 signature does not verify.
    #[error("failed to verify signature")]
    Ed25519Message,
    /// The key signs no packages.
    #[error("a key of this type signs no packages")]
    NotForPackages,
    /// No library here verifies this pair of key and hash (P-224, RSA-1024 with SHA-384), and no
    /// policy can name it.
    #[error("entry algorithms are not allowed")]
    NotAllowed,
    /// The check would cost too much.
    #[error(transparent)]
    TooCostly(#[from] TooCostly),
}

impl PublicKey {
    /// Parses a DER `SubjectPublicKeyInfo`. Keys whose algorithm Rekor parses too but never
    /// verifies with (DSA, X25519, Ed448) are [`KeyError::UnknownAlgorithm`].
    pub fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        let info = SubjectPublicKeyInfoRef::from_der(spki).map_err(|_| KeyError::Malformed)?;
        let bits = info
            .subject_public_key
            .as_bytes()
            .ok_or(KeyError::Malformed)?;
        let parameters = info.algorithm.parameters;
        match info.algorithm.oid {
            rfc5912::ID_EC_PUBLIC_KEY => {
                let curve = parameters
                    .and_then(|parameters| parameters.decode_as().ok())
                    .ok_or(KeyError::Malformed)?;
                ecdsa(curve, spki, bits)
            }
            rfc5912::RSA_ENCRYPTION => {
                match parameters.is_some_and(|parameters| parameters.is_null()) {
                    true => rsa(spki, bits),
                    false => Err(KeyError::Malformed),
                }
            }
            rfc8410::ID_ED_25519 if parameters.is_none() => {
                let bytes = bits.try_into().map_err(|_| KeyError::Malformed)?;
                Ok(Self {
                    kind: KeyKind::Ed25519,
                    verifier: Verifier::Ed25519(bytes),
                })
            }
            rfc8410::ID_ED_25519 => Err(KeyError::Malformed),
            _ => Err(KeyError::UnknownAlgorithm),
        }
    }

    /// Returns the algorithm of the key.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// What tells it from other keys: its bytes in the encoding of its algorithm.
    pub fn bytes(&self) -> &[u8] {
        match &self.verifier {
            Verifier::AwsLc(key) => key.as_ref(),
            Verifier::Ed25519(key) => key,
            Verifier::None => &[],
        }
    }

    /// Checks a signature over a digest as Rekor does for a `hashedrekord`: ECDSA on any curve with
    /// any hash, as ASN.1 or as r ‖ s; RSA as PKCS#1 v1.5; Ed25519 as Ed25519ph (RFC 8032), hence
    /// over SHA-512 only.
    pub fn verify_digest(
        &self,
        digest: &Digest,
        signature: &[u8],
        work: &mut Work,
    ) -> Result<(), SignatureError> {
        let hash = digest.algorithm();
        work.take_signature(self.kind)?;
        match (self.kind, &self.verifier) {
            (KeyKind::Ecdsa(curve), Verifier::AwsLc(key)) => {
                let algorithm = ecdsa_algorithm(curve, hash).ok_or(SignatureError::NotAllowed)?;
                // As Rekor tells the forms apart: what begins like ASN.1 is never taken for r ‖ s.
                if signature::is_asn1_pair(signature) {
                    return verify(key, algorithm, digest, signature).ok_or(SignatureError::Asn1);
                }
                let asn1 =
                    signature::asn1_of_raw_pair(signature).ok_or(SignatureError::NeitherForm)?;
                verify(key, algorithm, digest, &asn1).ok_or(SignatureError::RawPair)
            }
            (KeyKind::Rsa { bytes }, Verifier::AwsLc(key)) => {
                let algorithm = rsa_algorithm(bytes, hash).ok_or(SignatureError::NotAllowed)?;
                verify(key, algorithm, digest, signature).ok_or(SignatureError::Rsa)
            }
            (_, Verifier::Ed25519(key)) => verify_ed25519ph(key, digest, signature),
            (_, Verifier::AwsLc(_) | Verifier::None) => Err(SignatureError::NotAllowed),
        }
    }

    /// Checks a signature over `message` as Rekor does where the message itself is there: over its
    /// SHA-256 by ECDSA on any curve (as ASN.1 or as r ‖ s) or RSA PKCS#1 v1.5, over itself by
    /// Ed25519.
    pub fn verify_message(
        &self,
        message: &[u8],
        signature: &[u8],
        work: &mut Work,
    ) -> Result<(), SignatureError> {
        work.take_hashing(message.len())?;
        match &self.verifier {
            Verifier::Ed25519(key) => {
                work.take_signature(self.kind)?;
                verify_ed25519(key, message, signature).ok_or(SignatureError::Ed25519Message)
            }
            Verifier::AwsLc(_) | Verifier::None => {
                self.verify_digest(&Digest::sha256(message), signature, work)
            }
        }
    }

    /// Checks a signature over the hash of a package or archive, as [`Self::verify_digest`] with
    /// two hash functions more: SHA-1, by which Alpine packages are signed and old archives, and
    /// with ECDSA keys SHA-224. Ed25519 keys sign neither.
    pub fn verify_hash(
        &self,
        hash: &aws_digest::Digest,
        signature: &[u8],
        work: &mut Work,
    ) -> Result<(), SignatureError> {
        let (algorithm, bytes) = (hash.algorithm(), hash.as_ref().to_vec());
        let (algorithm, bytes) = match (self.kind, &self.verifier) {
            (KeyKind::Ed25519, _) => return Err(SignatureError::NotForPackages),
            (KeyKind::Rsa { .. }, Verifier::AwsLc(key))
                if *algorithm == aws_digest::SHA1_FOR_LEGACY_USE_ONLY =>
            {
                work.take_signature(self.kind)?;
                return ParsedPublicKey::new(
                    &aws::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
                    key.as_ref(),
                )
                .map_err(|_| SignatureError::Rsa)?
                .verify_digest_sig(hash, signature)
                .map_err(|_| SignatureError::Rsa);
            }
            // ECDSA takes a hash for a number, which is the same with zeros before it.
            (KeyKind::Ecdsa(_), _) if bytes.len() < 32 => (
                HashAlgorithm::Sha256,
                [vec![0; 32 - bytes.len()], bytes].concat(),
            ),
            _ if *algorithm == aws_digest::SHA256 => (HashAlgorithm::Sha256, bytes),
            _ if *algorithm == aws_digest::SHA384 => (HashAlgorithm::Sha384, bytes),
            _ if *algorithm == aws_digest::SHA512 => (HashAlgorithm::Sha512, bytes),
            _ => return Err(SignatureError::NotAllowed),
        };
        let digest = Digest::from_bytes(algorithm, bytes).ok_or(SignatureError::NotAllowed)?;
        self.verify_digest(&digest, signature, work)
    }
}

/// Signatures of formats that leave less open than Rekor's own.
impl PublicKey {
    /// Checks an ECDSA signature with SHA-256 in ASN.1 form, on any curve.
    pub fn verify_ecdsa_asn1(
        &self,
        digest: &Digest,
        signature: &[u8],
        work: &mut Work,
    ) -> Result<(), SignatureError> {
        work.take_signature(self.kind)?;
        match self.kind {
            KeyKind::Ecdsa(curve) => {
                let algorithm =
                    ecdsa_algorithm(curve, digest.algorithm()).ok_or(SignatureError::NotAllowed)?;
                self.verify_by(algorithm, digest, signature)
                    .ok_or(SignatureError::Asn1)
            }
            KeyKind::Rsa { .. } | KeyKind::Ed25519 => Err(SignatureError::NotAllowed),
        }
    }

    /// Checks an ECDSA signature with SHA-256 by a P-256 key, as r ‖ s of 64 bytes.
    pub fn verify_p256_pair(
        &self,
        digest: &Digest,
        signature: &[u8],
        work: &mut Work,
    ) -> Result<(), SignatureError> {
        work.take_signature(self.kind)?;
        match self.kind {
            KeyKind::Ecdsa(Curve::P256) => self
                .verify_by(&aws::ECDSA_P256_SHA256_FIXED, digest, signature)
                .ok_or(SignatureError::RawPair),
            _ => Err(SignatureError::NotAllowed),
        }
    }

    /// Checks an RSASSA-PSS signature with SHA-256 and a salt of any length.
    pub fn verify_pss(
        &self,
        digest: &Digest,
        signature: &[u8],
        work: &mut Work,
    ) -> Result<(), SignatureError> {
        let info = SubjectPublicKeyInfoRef::from_der(self.bytes())
            .map_err(|_| SignatureError::NotAllowed)?;
        let bits = info
            .subject_public_key
            .as_bytes()
            .filter(|_| matches!(self.kind, KeyKind::Rsa { .. }));
        let [modulus, exponent] = bits
            .and_then(|bits| rsa_numbers(bits).ok())
            .ok_or(SignatureError::NotAllowed)?;
        work.take_pss(modulus.as_bytes().len())?;
        let key = pss::Numbers {
            modulus: modulus.as_bytes(),
            exponent: exponent.as_bytes(),
        };
        let digest = digest
            .bytes()
            .try_into()
            .map_err(|_| SignatureError::NotAllowed)?;
        key.verify_pss(digest, signature).ok_or(SignatureError::Rsa)
    }

    fn verify_by(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        digest: &Digest,
        signature: &[u8],
    ) -> Option<()> {
        let key = ParsedPublicKey::new(algorithm, self.bytes()).ok()?;
        key.verify_digest_sig(&imported(digest)?, signature).ok()
    }
}

/// RFC 8032 section 5.1.7; some if the signature verifies. Not the strict rules of ed25519-dalek:
/// Go's are these.
pub fn verify_ed25519(key: &[u8; 32], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = VerifyingKey::from_bytes(key).ok()?;
    key.verify(
        message,
        &ed25519_dalek::Signature::from_slice(signature).ok()?,
    )
    .ok()
}

fn ecdsa(curve: ObjectIdentifier, spki: &[u8], point: &[u8]) -> Result<PublicKey, KeyError> {
    let (curve, coordinate_bytes) = match curve {
        rfc5912::SECP_224_R_1 => (Curve::P224, 28),
        rfc5912::SECP_256_R_1 => (Curve::P256, 32),
        rfc5912::SECP_384_R_1 => (Curve::P384, 48),
        rfc5912::SECP_521_R_1 => (Curve::P521, 66),
        _ => return Err(KeyError::UnknownCurve),
    };
    // Uncompressed points only, as Go: one key has one encoding, hence one entry.
    if point.len() != 1 + 2 * coordinate_bytes || point[0] != 0x04 {
        return Err(KeyError::Malformed);
    }
    let verifier = match ecdsa_algorithm(curve, HashAlgorithm::Sha256) {
        Some(algorithm) => {
            Verifier::AwsLc(ParsedPublicKey::new(algorithm, spki).map_err(|_| KeyError::Malformed)?)
        }
        None => Verifier::None,
    };
    Ok(PublicKey {
        kind: KeyKind::Ecdsa(curve),
        verifier,
    })
}

fn rsa(spki: &[u8], key: &[u8]) -> Result<PublicKey, KeyError> {
    let [modulus, _] = rsa_numbers(key).map_err(|_| KeyError::Malformed)?;
    let bytes = modulus.as_bytes();
    let bits = bytes.len() * 8
        - bytes
            .first()
            .map_or(0, |first| first.leading_zeros() as usize);
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Err(KeyError::RsaSize(bits));
    }
    let parsed = ParsedPublicKey::new(&aws::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, spki)
        .map_err(|_| KeyError::Malformed)?;
    Ok(PublicKey {
        kind: KeyKind::Rsa { bytes: bytes.len() },
        verifier: Verifier::AwsLc(parsed),
    })
}

/// Modulus and public exponent.
fn rsa_numbers(key: &[u8]) -> Result<[UintRef<'_>; 2], der::Error> {
    let mut reader = SliceReader::new(key)?;
    let numbers = reader.sequence(|reader| {
        Ok::<_, der::Error>([UintRef::decode(reader)?, UintRef::decode(reader)?])
    })?;
    reader.finish()?;
    Ok(numbers)
}

/// Verifies ECDSA signatures in ASN.1 form.
pub fn ecdsa_algorithm(
    curve: Curve,
    hash: HashAlgorithm,
) -> Option<&'static dyn VerificationAlgorithm> {
    use HashAlgorithm::{Sha256, Sha384, Sha512};
    Some(match (curve, hash) {
        (Curve::P224, _) => return None,
        (Curve::P256, Sha256) => &aws::ECDSA_P256_SHA256_ASN1,
        (Curve::P256, Sha384) => &aws::ECDSA_P256_SHA384_ASN1,
        (Curve::P256, Sha512) => &aws::ECDSA_P256_SHA512_ASN1,
        (Curve::P384, Sha256) => &aws::ECDSA_P384_SHA256_ASN1,
        (Curve::P384, Sha384) => &aws::ECDSA_P384_SHA384_ASN1,
        (Curve::P384, Sha512) => &aws::ECDSA_P384_SHA512_ASN1,
        (Curve::P521, Sha256) => &aws::ECDSA_P521_SHA256_ASN1,
        (Curve::P521, Sha384) => &aws::ECDSA_P521_SHA384_ASN1,
        (Curve::P521, Sha512) => &aws::ECDSA_P521_SHA512_ASN1,
    })
}

/// Verifies RSA PKCS#1 v1.5 signatures by a key with a modulus of so many bytes.
pub fn rsa_algorithm(
    bytes: usize,
    hash: HashAlgorithm,
) -> Option<&'static dyn VerificationAlgorithm> {
    // "Legacy" is what aws-lc-rs calls keys below 2,048 bits. Rekor verifies with them too, and its
    // policy then refuses.
    Some(match hash {
        HashAlgorithm::Sha256 => &aws::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        HashAlgorithm::Sha384 if bytes * 8 < 2048 => return None,
        HashAlgorithm::Sha384 => &aws::RSA_PKCS1_2048_8192_SHA384,
        HashAlgorithm::Sha512 => &aws::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    })
}

/// Some if the signature verifies.
fn verify(
    key: &ParsedPublicKey,
    algorithm: &'static dyn VerificationAlgorithm,
    digest: &Digest,
    signature: &[u8],
) -> Option<()> {
    let imported = imported(digest)?;
    match digest.algorithm() {
        HashAlgorithm::Sha256 => key.verify_digest_sig(&imported, signature).ok(),
        HashAlgorithm::Sha384 | HashAlgorithm::Sha512 => {
            ParsedPublicKey::new(algorithm, key.as_ref())
                .ok()?
                .verify_digest_sig(&imported, signature)
                .ok()
        }
    }
}

/// A digest as aws-lc-rs takes it.
pub fn imported(digest: &Digest) -> Option<aws_digest::Digest> {
    let algorithm = match digest.algorithm() {
        HashAlgorithm::Sha256 => &aws_digest::SHA256,
        HashAlgorithm::Sha384 => &aws_digest::SHA384,
        HashAlgorithm::Sha512 => &aws_digest::SHA512,
    };
    aws_digest::Digest::import_less_safe(digest.bytes(), algorithm).ok()
}

/// RFC 8032 section 5.1.7 with the pre-hash given. Not the strict rules of ed25519-dalek: Go's are
/// these.
fn verify_ed25519ph(
    key: &[u8; 32],
    digest: &Digest,
    signature: &[u8],
) -> Result<(), SignatureError> {
    let prehash = Prehash::new(digest).ok_or(SignatureError::Ed25519Hash(digest.algorithm()))?;
    let key = VerifyingKey::from_bytes(key).map_err(|_| SignatureError::Ed25519)?;
    let signature = ed25519_dalek::Signature::from_slice(signature)
        .map_err(|_| SignatureError::Ed25519Length(signature.len()))?;
    key.verify_prehashed(prehash, None, &signature)
        .map_err(|_| SignatureError::Ed25519)
}
