//! PKI formats: the ways in which clients write keys and signatures.
//!
//! A kind names the format that it wants as a type, `check::<pgp::Signature>`, so that a key of one
//! format cannot meet a signature of another. The formats are [`crate::x509`] and the modules here.

use crate::error::Error;
use crate::work::Work;
use crate::x509::Claims;

/// A public key as a client submitted it: parsed, and verified only against its own signatures.
pub trait Key: Sized {
    /// Parses a key. MUST take from `work` before it checks signatures in the key, and MUST bound
    /// its memory before it allocates.
    ///
    /// # Errors
    ///
    /// The key is refused, in the words of Rekor.
    fn parse(key: &[u8], work: &mut Work) -> Result<Self, Error>;

    /// Parses a key as [`Key::parse`] does, but MAY refuse one with [`Error::TooLong`] before it
    /// checks signatures in the key, if the canonical form would have more than `most` bytes.
    fn parse_within(key: &[u8], most: usize, work: &mut Work) -> Result<Self, Error> {
        let _ = most;
        Self::parse(key, work)
    }

    /// Returns the canonical form: the same bytes for every equivalent key, which parse to an equal
    /// key.
    fn canonical(&self) -> &[u8];

    /// Returns the names in the key as they are written, such as e-mail addresses.
    fn subjects(&self) -> &[String];

    /// Returns the fingerprints by which the tools of this format name the key: hexadecimal for
    /// OpenPGP, `SHA256:<base64>` for SSH. Other formats have none.
    fn fingerprints(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the claims of a Fulcio certificate about its signer. None if the key is not a
    /// certificate.
    fn claims(&self) -> Option<&Claims> {
        None
    }
}

/// A signature as a client submitted it: parsed, nothing verified.
pub trait Signature: Sized {
    /// The keys of this format.
    type Key: Key;

    /// Parses a signature. MUST bound its work and memory before it allocates.
    ///
    /// # Errors
    ///
    /// The signature is refused, in the words of Rekor.
    fn parse(signature: &[u8]) -> Result<Self, Error>;

    /// Returns the canonical form, which stands for the signature in an entry.
    fn canonical(&self) -> &[u8];

    /// Checks that `key` made this signature over `message`.
    fn verify(&self, message: &[u8], key: &Self::Key, work: &mut Work) -> Result<(), Error>;
}
