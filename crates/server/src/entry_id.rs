//! Entry IDs: 64 hex digits of a leaf hash, or 80 with the tree ID before it.

use ledger::TreeId;
use tlog::Hash;

/// Rekor's pattern, as its messages cite it.
pub(crate) const PATTERN: &str = "^([0-9a-fA-F]{64}|[0-9a-fA-F]{80})$";

/// Digits of a leaf hash.
const LEAF_HASH_DIGITS: usize = 64;

/// Digits of a tree ID.
const TREE_ID_DIGITS: usize = 16;

/// An entry ID as a client wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntryId {
    /// The tree that it names, if it names one.
    pub(crate) tree: Option<TreePrefix>,
    /// The leaf hash.
    pub(crate) leaf_hash: Hash,
}

/// The first 16 digits of a long entry ID. Not every value is a tree ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TreePrefix(pub(crate) u64);

impl TreePrefix {
    /// Returns the tree ID, or `None` for 0 and for 2^63 and above.
    pub(crate) fn tree_id(self) -> Option<TreeId> {
        i64::try_from(self.0).ok().filter(|id| *id > 0).map(TreeId)
    }

    /// Returns why this is not a tree ID, in the words of Rekor v1.6.1. `id` is the entry ID as it
    /// was sent.
    pub(crate) fn fault(self, id: &str) -> String {
        let digits = &id[..TREE_ID_DIGITS];
        match self.0 {
            0 => format!("invalid TreeID: {digits} must be positive"),
            _ => format!(
                "invalid TreeID: {digits}: strconv.ParseInt: parsing \"{digits}\": value out of range"
            ),
        }
    }
}

impl EntryId {
    /// Parses an ID. Returns `None` if it does not match [`PATTERN`].
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (prefix, digits) = match text.len() {
            LEAF_HASH_DIGITS => (None, text),
            length if length == TREE_ID_DIGITS + LEAF_HASH_DIGITS => {
                let (prefix, digits) = text.split_at_checked(TREE_ID_DIGITS)?;
                (Some(prefix), digits)
            }
            _ => return None,
        };
        let mut leaf_hash = [0; 32];
        hex::decode_to_slice(digits, &mut leaf_hash).ok()?;
        let tree = match prefix {
            None => None,
            Some(prefix) => {
                let mut bytes = [0; 8];
                hex::decode_to_slice(prefix, &mut bytes).ok()?;
                Some(TreePrefix(u64::from_be_bytes(bytes)))
            }
        };
        Some(Self {
            tree,
            leaf_hash: Hash(leaf_hash),
        })
    }
}

/// Returns the ID that every answer uses: 80 lower-case digits.
pub(crate) fn entry_id(tree: TreeId, leaf_hash: &Hash) -> String {
    format!("{:016x}{leaf_hash}", tree.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lengths_in_either_case() {
        let hash = "AB".repeat(32);
        let short = EntryId::parse(&hash).expect("64 digits");
        assert_eq!(
            short,
            EntryId {
                tree: None,
                leaf_hash: Hash([0xab; 32])
            }
        );
        let long = EntryId::parse(&format!("0123456789abcdef{hash}")).expect("80 digits");
        assert_eq!(long.tree, Some(TreePrefix(0x0123_4567_89ab_cdef)));
        assert_eq!(
            entry_id(TreeId(0x0123_4567_89ab_cdef), &long.leaf_hash),
            format!("0123456789abcdef{}", "ab".repeat(32))
        );
        assert_eq!(
            (TreePrefix(0).tree_id(), TreePrefix(1 << 63).tree_id()),
            (None, None)
        );
        assert_eq!(TreePrefix((1 << 63) - 1).tree_id(), Some(TreeId(i64::MAX)));
    }

    #[test]
    fn nothing_else() {
        for text in [
            "",
            "nothex",
            &"f".repeat(63),
            &"f".repeat(81),
            &format!("g{}", "f".repeat(63)),
            &"é".repeat(32),
            &"é".repeat(40),
        ] {
            assert_eq!(EntryId::parse(text), None, "{text}");
        }
    }
}
