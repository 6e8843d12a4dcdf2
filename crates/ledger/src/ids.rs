//! Identities: of a tree, of an index key.

use std::fmt;

/// Identity of one tree (shard): 1 ..= i63. Decimal in checkpoints, 16 hex digits in entry IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreeId(pub i64);

impl fmt::Display for TreeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// First 16 bytes of the SHA-256 of a lower-cased index key: what the search table is keyed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexKeyHash(pub [u8; 16]);

impl IndexKeyHash {
    /// Hash of a key text that is already lower-cased.
    pub fn of(key: &str) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
        let mut prefix = [0; 16];
        prefix.copy_from_slice(&digest.as_ref()[..16]);
        Self(prefix)
    }
}

/// Lower-cases a key text letter by letter, as Go does. Other logs that are searched for the same
/// texts do so too.
pub(crate) fn lower_case(text: &str) -> String {
    text.chars()
        .filter_map(|letter| letter.to_lowercase().next())
        .collect()
}
