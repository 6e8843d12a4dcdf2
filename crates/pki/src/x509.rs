//! The PKI format `x509`: a public key, a certificate or a chain of certificates in PEM.
//!
//! ```
//! use base64::Engine;
//! use base64::engine::general_purpose::STANDARD;
//! use pki::digest::Digest;
//! use pki::public_key::{Curve, KeyKind};
//! use pki::{Work, x509};
//!
//! let pem = b"-----BEGIN PUBLIC KEY-----
//! MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/RL3HoH6j0xlH96yYPoNMWBFweo0
//! zohFVYFe146YvDI3VRqE0DKWyR90HNwg+q2VT9sDUPC5vUS6U2Tzev1d7A==
//! -----END PUBLIC KEY-----
//! ";
//! let signature = STANDARD.decode("MEUCIQCpUFN5omno+9EvttWEejbJ5cGblEu99n6w83oJW5ogGwIgdMy4IE7fxWobD5RJozMSoIRRVz7GZy0tCXeIQFZ2x8Y=")?;
//!
//! let key = x509::Key::from_pem(pem)?;
//! assert_eq!(key.public_key().kind(), KeyKind::Ecdsa(Curve::P256));
//! assert_eq!(key.canonical(), pem);
//! let mut work = Work::of_request(pem.len() + signature.len());
//! key.verify_digest(&Digest::sha256(b"an artifact"), &signature, &mut work)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod certificate;
pub(crate) mod chain;
pub(crate) mod der;
pub(crate) mod error;
mod extensions;
mod fulcio;
mod name;
mod name_constraints;
mod outline;
mod signature;
mod subjects;
mod time;
mod uri;

use crate::digest::Digest;
use crate::error::{Error, quoted};
use crate::format;
use crate::pem::{self, Block};
use crate::public_key::PublicKey;
use crate::work::Work;
use certificate::Certificate;

pub use error::{CertificateError, ChainError};
pub use fulcio::Claims;
pub use outline::Outline;
pub use signature::Signature;

/// Certificates in one key, as in Rekor.
const MAX_CERTIFICATES: usize = 10;
/// Bytes of one certificate or public key. Leaf bytes hold base64 of its base64, so that the
/// ledger's 65,535 would refuse one of 37,000. Checked before a certificate is parsed: it may have
/// a name in every three bytes, each of which then takes some fifty.
const MAX_DER_BYTES: usize = 64 * 1024;
const PUBLIC_KEY: &str = "PUBLIC KEY";
const CERTIFICATE: &str = "CERTIFICATE";

/// A client's key as submitted in PEM: parsed, nothing verified.
pub struct Key {
    canonical: Vec<u8>,
    public_key: PublicKey,
    subjects: Vec<String>,
    claims: Option<Claims>,
    /// DER, leaf first, last one the trust root. Empty unless there are two and more.
    chain: Vec<Vec<u8>>,
}

impl Key {
    /// Parses PEM. Text before the first block is skipped; if anything but white space follows that
    /// block, then all blocks are certificates, whatever their labels say (Rekor's rule).
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        let text = trim(text);
        let (block, rest) = pem::decode(text)
            .ok_or_else(|| Error::Invalid("invalid public key: failure decoding PEM".to_owned()))?;
        let block = bounded(block)?;
        if !rest.is_empty() {
            return Self::from_certificates(certificate_blocks(block, rest)?);
        }
        match block.label {
            label if label == PUBLIC_KEY.as_bytes() => Self::from_spki(&block.bytes),
            label if label == CERTIFICATE.as_bytes() => Self::from_certificates(vec![block.bytes]),
            label => {
                let label = String::from_utf8_lossy(label);
                Err(Error::Invalid(format!(
                    "invalid public key: cannot handle type {}",
                    quoted(&label)
                )))
            }
        }
    }

    /// Parses a DER `SubjectPublicKeyInfo`.
    pub fn from_spki_der(spki: &[u8]) -> Result<Self, Error> {
        check_length(spki)?;
        Self::from_spki(spki)
    }

    /// Parses one certificate in DER.
    pub fn from_certificate_der(certificate: &[u8]) -> Result<Self, Error> {
        check_length(certificate)?;
        Self::from_certificates(vec![certificate.to_vec()])
    }

    /// Returns the PEM that every equivalent input becomes: no text, no headers, 64 columns, LF,
    /// final newline.
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// Returns the names in the subject alternative name of the leaf certificate, as they are
    /// written; of a bare key, no names.
    pub fn subjects(&self) -> &[String] {
        &self.subjects
    }

    /// Returns the key itself, of a chain the key of its leaf.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Checks a signature over `digest` by the key, or by the leaf of the chain. A chain of two or
    /// more certificates is verified first, as of the beginning of the leaf's validity and with its
    /// last certificate trusted.
    pub fn verify_digest(
        &self,
        digest: &Digest,
        signature: &[u8],
        work: &mut Work,
    ) -> Result<(), Error> {
        if signature.is_empty() {
            return Err(empty_signature());
        }
        chain::verify(&self.chain, chain::Hashes::Sha2, work)?;
        self.public_key.verify_digest(digest, signature, work)
    }

    /// Checks a signature over `message`, otherwise as [`Key::verify_digest`].
    pub fn verify_message(
        &self,
        message: &[u8],
        signature: &[u8],
        work: &mut Work,
    ) -> Result<(), Error> {
        if signature.is_empty() {
            return Err(empty_signature());
        }
        chain::verify(&self.chain, chain::Hashes::Sha2, work)?;
        self.public_key.verify_message(message, signature, work)
    }

    fn from_spki(spki: &[u8]) -> Result<Self, Error> {
        let public_key = PublicKey::from_spki(spki)?;
        let mut canonical = Vec::new();
        pem::encode(PUBLIC_KEY, spki, &mut canonical);
        Ok(Self {
            canonical,
            public_key,
            subjects: Vec::new(),
            claims: None,
            chain: Vec::new(),
        })
    }

    fn from_certificates(certificates: Vec<Vec<u8>>) -> Result<Self, Error> {
        let mut canonical = Vec::new();
        let mut leaf = None;
        for der in &certificates {
            let certificate = Certificate::from_der(der)?;
            pem::encode(CERTIFICATE, der, &mut canonical);
            leaf.get_or_insert(certificate);
        }
        let leaf = leaf.ok_or_else(|| Error::Invalid("no certificate".to_owned()))?;
        let claims = Some(leaf.extensions.claims.claims());
        let subjects = leaf.extensions.subjects.into_list();
        let public_key = leaf.public_key?;
        let chain = if certificates.len() > 1 {
            certificates
        } else {
            Vec::new()
        };
        Ok(Self {
            canonical,
            public_key,
            subjects,
            claims,
            chain,
        })
    }
}

impl format::Key for Key {
    fn parse(key: &[u8], _: &mut Work) -> Result<Self, Error> {
        Self::from_pem(key)
    }

    fn canonical(&self) -> &[u8] {
        self.canonical()
    }

    fn subjects(&self) -> &[String] {
        self.subjects()
    }

    fn claims(&self) -> Option<&Claims> {
        self.claims.as_ref()
    }
}

/// Whether the contents of a `Name` are ones that Go reads.
pub(crate) fn is_name(contents: &[u8]) -> bool {
    name::is_well_formed(contents)
}

/// Whether a time is next that Go reads; reads it.
pub(crate) fn is_time(elements: &mut der::Elements<'_>) -> bool {
    time::read(elements).is_some()
}

/// Returns the contents of all blocks of a chain. The first block is read already.
fn certificate_blocks(first: Block<'_>, mut rest: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    // The first is parsed before a second is looked for: what is wrong with it is the better
    // message.
    Certificate::from_der(&first.bytes)?;
    let mut blocks = vec![first.bytes];
    while !rest.is_empty() {
        if blocks.len() == MAX_CERTIFICATES {
            return Err(Error::Invalid(
                "too many certificates specified in PEM block".to_owned(),
            ));
        }
        let (block, after) = pem::decode(rest)
            .ok_or_else(|| Error::Invalid("error during PEM decoding".to_owned()))?;
        blocks.push(bounded(block)?.bytes);
        rest = after;
    }
    Ok(blocks)
}

fn empty_signature() -> Error {
    Error::Invalid("X509 signature has not been initialized".to_owned())
}

fn bounded(block: Block<'_>) -> Result<Block<'_>, Error> {
    check_length(&block.bytes).map(|()| block)
}

fn check_length(der: &[u8]) -> Result<(), Error> {
    match der.len() {
        ..=MAX_DER_BYTES => Ok(()),
        length => Err(Error::Invalid(format!(
            "a certificate or key of {length} bytes is too large, the limit is {MAX_DER_BYTES}"
        ))),
    }
}

/// White space around it, of all Unicode, as Go trims it.
fn trim(text: &[u8]) -> &[u8] {
    std::str::from_utf8(text).map_or(text.trim_ascii(), |text| text.trim().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oversized_keys_and_certificates_are_not_parsed() {
        let refusal = |label, bytes: usize| {
            let mut text = Vec::new();
            pem::encode(label, &vec![0; bytes], &mut text);
            Key::from_pem(&text)
                .err()
                .map(|refusal| refusal.to_string())
                .unwrap_or_default()
        };
        for label in [CERTIFICATE, PUBLIC_KEY] {
            assert_eq!(
                refusal(label, MAX_DER_BYTES + 1),
                "a certificate or key of 65537 bytes is too large, the limit is 65536"
            );
            assert!(refusal(label, MAX_DER_BYTES).contains("malformed"));
        }
    }
}
