//! PKI formats: the ways in which clients write keys and signatures.
//!
//! A kind names the format that it wants as a type, `check::<pgp::Signature>`, so that a key of one
//! format cannot meet a signature of another. The formats are [`crate::x509`] and the modules here.

use crate::error::Error;
use crate::work::Work;
use crate::x509::Claims;

/// A public key as a client submitted it: parsed, nothing verified but what the key says of itself.
pub trait Key: Sized {
    /// Parses a key, or says what is wrong with it as Rekor does. MUST take from `work` before it
    /// checks what a key says of itself, and MUST bound its memory before it allocates.
    fn parse(key: &[u8], work: &mut Work) -> Result<Self, Error>;

    /// Parses a key as [`Key::parse`] does, but MAY refuse one with [`Error::TooLong`] before it
    /// checks what the key says of itself, if the canonical form would have more than `most` bytes.
    fn parse_within(key: &[u8], most: usize, work: &mut Work) -> Result<Self, Error> {
        let _ = most;
        Self::parse(key, work)
    }

    /// The bytes that every equivalent key becomes, which parse to an equal key.
    fn canonical(&self) -> &[u8];

    /// The names in the key as they are written: e-mail addresses and the like.
    fn subjects(&self) -> &[String];

    /// The claims of a Fulcio certificate about its signer. None where the key is no certificate.
    fn claims(&self) -> Option<&Claims> {
        None
    }
}

/// A signature as a client submitted it: parsed, nothing verified.
pub trait Signature: Sized {
    /// The keys that can have made it.
    type Key: Key;

    /// Parses a signature, or says what is wrong with it as Rekor does. MUST bound its work and
    /// memory before it allocates.
    fn parse(signature: &[u8]) -> Result<Self, Error>;

    /// The bytes that stand for it in an entry.
    fn canonical(&self) -> &[u8];

    /// Checks that `key` made it over `message`.
    fn verify(&self, message: &[u8], key: &Self::Key, work: &mut Work) -> Result<(), Error>;
}
