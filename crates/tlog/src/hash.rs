//! RFC 6962 hashing.

use std::fmt;

use ring::digest::{Context, Digest, SHA256, digest};

/// A SHA-256 digest: a leaf hash, node hash or root hash. Shown as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

/// Root hash of the empty tree: SHA-256 of nothing (RFC 6962 section 2.1).
pub const EMPTY_ROOT: Hash = Hash([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// Domain separation of RFC 6962 section 2.1, so that no leaf hashes like a node.
const LEAF_PREFIX: u8 = 0x00;
const NODE_PREFIX: u8 = 0x01;
/// Bytes that SHA-256 takes at a time (FIPS 180-4).
const SHA256_BLOCK: usize = 64;

/// Largest tree: indexes and sizes fit in the signed 64-bit numbers of databases and of Rekor's
/// API.
pub const MAX_TREE_SIZE: TreeSize = TreeSize(i64::MAX as u64);

/// 0-based position of a leaf in its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeafIndex(pub u64);

/// Number of leaves of a tree. A leaf index of the tree is always smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreeSize(pub u64);

/// Bytes that are not 32 long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash has 32 bytes, not {0}")]
pub struct HashLengthError(pub usize);

impl TryFrom<&[u8]> for Hash {
    type Error = HashLengthError;

    fn try_from(bytes: &[u8]) -> Result<Self, HashLengthError> {
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| HashLengthError(bytes.len()))
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 64];
        // Written at once: an answer shows some twenty hashes, and digit by digit the formatter
        // takes microseconds for them.
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        f.write_str(str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// SHA-256(0x00 ‖ leaf bytes), RFC 6962 section 2.1.
pub fn leaf_hash(leaf_bytes: &[u8]) -> Hash {
    // The first block is assembled here, so that ring hashes all other blocks in place.
    let mut block = [LEAF_PREFIX; SHA256_BLOCK];
    let (first, rest) = leaf_bytes.split_at(leaf_bytes.len().min(SHA256_BLOCK - 1));
    let end = 1 + first.len();
    block[1..end].copy_from_slice(first);
    let mut context = Context::new(&SHA256);
    context.update(&block[..end]);
    context.update(rest);
    to_hash(context.finish())
}

/// SHA-256(0x01 ‖ left ‖ right), RFC 6962 section 2.1.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    // One call over a buffer on the stack is a tenth faster than three calls of `Context::update`.
    let mut input = [NODE_PREFIX; 65];
    input[1..33].copy_from_slice(&left.0);
    input[33..].copy_from_slice(&right.0);
    sha256(&input)
}

/// Plain SHA-256.
pub fn sha256(bytes: &[u8]) -> Hash {
    to_hash(digest(&SHA256, bytes))
}

fn to_hash(digest: Digest) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    Hash(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_and_nodes_are_hashed_with_their_prefixes() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for length in (0..=260).chain([600, 1000]) {
            let leaf = &bytes[..length];
            assert_eq!(
                leaf_hash(leaf),
                sha256(&[&[0], leaf].concat()),
                "{length} bytes"
            );
        }
        let (left, right) = (sha256(b"left"), sha256(b"right"));
        assert_eq!(
            node_hash(&left, &right),
            sha256(&[&[1], left.as_ref(), right.as_ref()].concat())
        );
        assert_eq!(sha256(b""), EMPTY_ROOT);
    }

    #[test]
    fn hashes_have_32_bytes_and_are_shown_as_hexadecimal() {
        assert_eq!(Hash::try_from(EMPTY_ROOT.as_ref()), Ok(EMPTY_ROOT));
        for length in [0, 31, 33] {
            assert_eq!(
                Hash::try_from([0; 33][..length].as_ref()),
                Err(HashLengthError(length))
            );
        }
        let shown = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(
            (EMPTY_ROOT.to_string(), format!("{EMPTY_ROOT:?}")),
            (shown.to_owned(), shown.to_owned())
        );
    }
}
