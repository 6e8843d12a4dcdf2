//! A SHA-512 digest in the shape in which ed25519-dalek verifies and signs one.

use ed25519_dalek::ed25519::signature::digest::consts::U64;
use ed25519_dalek::ed25519::signature::digest::{
    FixedOutput, HashMarker, Output, OutputSizeUser, Update,
};

use crate::algorithms::HashAlgorithm;
use crate::digest::Digest;

/// A "hasher" that has already hashed: finalising gives the digest that the client computed.
pub struct Prehash([u8; 64]);

impl Prehash {
    /// Some for a SHA-512 digest.
    pub fn new(digest: &Digest) -> Option<Self> {
        match digest.algorithm() {
            HashAlgorithm::Sha512 => digest.bytes().try_into().ok().map(Self),
            HashAlgorithm::Sha256 | HashAlgorithm::Sha384 => None,
        }
    }
}

impl OutputSizeUser for Prehash {
    type OutputSize = U64;
}

impl FixedOutput for Prehash {
    fn finalize_into(self, out: &mut Output<Self>) {
        out.copy_from_slice(&self.0);
    }
}

/// Required by the trait `Digest`; `verify_prehashed` only finalises.
impl Update for Prehash {
    fn update(&mut self, _: &[u8]) {}
}

/// Required by the trait `Digest`.
impl Default for Prehash {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl HashMarker for Prehash {}
