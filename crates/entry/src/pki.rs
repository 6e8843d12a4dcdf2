//! PKI formats: the ways in which clients write keys and signatures.
//!
//! A kind names the format that it wants as a type, `check::<pgp::Signature>`, so that a key of one format cannot meet a
//! signature of another. The formats are [`crate::x509`] and the modules here.

mod email;
pub(crate) mod minisign;
pub(crate) mod pgp;
pub(crate) mod pkcs7;
pub(crate) mod ssh;
pub(crate) mod tuf;

use crate::refusal::Refusal;
use crate::work::Work;

/// A public key as a client submitted it: parsed, nothing verified but what the key says of itself.
pub(crate) trait Key: Sized {
    /// Parses a key, or says what is wrong with it as Rekor does. MUST take from `work` before it checks what a key says of
    /// itself, and MUST bound its memory before it allocates.
    fn parse(key: &[u8], work: &mut Work) -> Result<Self, Refusal>;

    /// The bytes that every equivalent key becomes, which parse to an equal key.
    fn canonical(&self) -> &[u8];

    /// The names in the key by which an entry is found, as they are written: e-mail addresses and the like.
    fn subjects(&self) -> &[String];

    /// `hex(sha256(canonical key))`, by which an entry is found.
    fn search_key(&self) -> String {
        hex::encode(tlog::sha256(self.canonical()).0)
    }
}

/// A signature as a client submitted it: parsed, nothing verified.
pub(crate) trait Signature: Sized {
    /// The keys that can have made it.
    type Key: Key;

    /// Parses a signature, or says what is wrong with it as Rekor does. MUST bound its work and memory before it
    /// allocates.
    fn parse(signature: &[u8]) -> Result<Self, Refusal>;

    /// The bytes that stand for it in an entry.
    fn canonical(&self) -> &[u8];

    /// Checks that `key` made it over `message`.
    fn verify(&self, message: &[u8], key: &Self::Key, work: &mut Work) -> Result<(), Refusal>;
}
