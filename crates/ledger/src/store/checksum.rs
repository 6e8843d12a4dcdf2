//! Checksums of rows: 16 bytes in the row, which bind what no tree, hash or signature covers.
//!
//! A checksum is the first 16 bytes of SHA-256 over the name of the table, a zero byte, and the
//! columns in the order that its function lists. Numbers are signed, 8 bytes, big-endian. A text or
//! bytes of no fixed length come last, or have their length before them, as such a number.
//!
//! A checksum is no secret: it shows damage and a change that somebody made by mistake. Someone who
//! writes to the database on purpose can make it anew. It asks for no key, so it holds for frozen
//! trees whose key was destroyed, in all servers and in a copy of the database.

use tlog::Hash;

use super::error::{StoreError, StoreResult};
use super::numbers::{prev_size_to_sql, to_sql};
use super::rows::PublicationRow;
use crate::TreeId;

/// Length of a checksum.
pub(crate) const CHECKSUM_BYTES: usize = 16;

/// The checksum of a row.
pub(crate) type Checksum = [u8; CHECKSUM_BYTES];

/// The columns of `entry` that a checksum binds.
pub(crate) struct EntryFacts<'r> {
    pub(crate) tree: TreeId,
    pub(crate) leaf_index: i64,
    pub(crate) time: i64,
    pub(crate) leaf_hash: &'r Hash,
    pub(crate) attested: bool,
    pub(crate) kind: &'r str,
}

impl EntryFacts<'_> {
    /// Returns the checksum: tree ID, leaf index, time, leaf hash, one byte of 0 or 1 for
    /// `attested`, kind.
    pub(crate) fn checksum(&self) -> Checksum {
        let mut fields = Fields::of("entry");
        fields.number(self.tree.0);
        fields.number(self.leaf_index);
        fields.number(self.time);
        fields.bytes(&self.leaf_hash.0);
        fields.bytes(&[u8::from(self.attested)]);
        fields.bytes(self.kind.as_bytes());
        fields.checksum()
    }

    /// Fails if the row has another checksum.
    pub(crate) fn check(&self, stored: &[u8]) -> StoreResult<()> {
        if self.checksum() == stored {
            return Ok(());
        }
        Err(StoreError::Damaged(format!(
            "table entry: the row of leaf index {} does not have its checksum",
            self.leaf_index
        )))
    }
}

/// Returns the checksum of a row of `signed_entry_timestamp`: tree ID, leaf index, signature.
pub(crate) fn of_timestamp(tree: TreeId, leaf_index: i64, signature: &[u8]) -> Checksum {
    let mut fields = Fields::of("signed_entry_timestamp");
    fields.number(tree.0);
    fields.number(leaf_index);
    fields.bytes(signature);
    fields.checksum()
}

/// Returns the checksum of a row of `publication`: tree ID, previous size (-1 in the first row),
/// size, time, root, checkpoint.
pub(crate) fn of_publication(tree: TreeId, row: &PublicationRow) -> StoreResult<Checksum> {
    let mut fields = Fields::of("publication");
    fields.number(tree.0);
    fields.number(prev_size_to_sql(row.prev_size)?);
    fields.number(to_sql(row.size.0)?);
    fields.number(row.time);
    fields.bytes(&row.root.0);
    fields.bytes(row.checkpoint.as_bytes());
    Ok(fields.checksum())
}

/// The columns of a row, put together.
struct Fields(Vec<u8>);

impl Fields {
    fn of(table: &str) -> Self {
        let mut fields = Self(Vec::with_capacity(128));
        fields.bytes(table.as_bytes());
        fields.bytes(&[0]);
        fields
    }

    fn number(&mut self, number: i64) {
        self.bytes(&number.to_be_bytes());
    }

    /// Adds bytes of a fixed length, or the last ones.
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn checksum(&self) -> Checksum {
        let Hash(digest) = tlog::sha256(&self.0);
        let mut checksum = [0; CHECKSUM_BYTES];
        checksum.copy_from_slice(&digest[..CHECKSUM_BYTES]);
        checksum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `printf` and `sha256sum`.
    #[test]
    fn the_checksum_of_an_entry_is_that_of_its_columns() {
        let leaf_hash = Hash([0xab; 32]);
        let facts = EntryFacts {
            tree: TreeId(1),
            leaf_index: 2,
            time: 3,
            leaf_hash: &leaf_hash,
            attested: true,
            kind: "test:1",
        };
        assert_eq!(
            hex::encode(facts.checksum()),
            "1906d00c02a12674f82f9131016f1e92"
        );
        assert!(facts.check(&facts.checksum()).is_ok());
        assert!(facts.check(&[0; CHECKSUM_BYTES]).is_err());
    }
}
