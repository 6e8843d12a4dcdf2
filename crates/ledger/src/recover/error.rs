//! The reasons why a log is not recovered.

use tlog::Hash;

use super::source::SourceError;
use crate::ids::TreeId;
use crate::keys::signer::SigningError;
use crate::store::StoreError;

/// Why a log is not recovered. One clear line each.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The database that is recovered.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A signature of the frozen tree cannot be made.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The source has less than what is asked of it.
    #[error("{0}: another source is needed")]
    Behind(String),
    /// The source has nothing to do with the log.
    #[error("{0}: the source is of another ledger, and nothing was taken from it")]
    OtherLedger(String),
    /// The source holds another history.
    #[error("{0}: the source holds another history, and nothing was taken from it")]
    OtherHistory(String),
    /// The database itself holds another history than the one that was published.
    #[error(
        "{0}: this database was written to after it went back, and cannot be continued. Put another \
         copy in its place"
    )]
    Forked(String),
    /// The database changed meanwhile.
    #[error("another process wrote to the database, which nothing may use during a recovery")]
    Overtaken,
    /// The key of the next tree has signed for a tree that the database lost.
    #[error(
        "the key with SHA-256 {digest} has signed for tree {tree}, which this database lost: give \
         another one with --next-key"
    )]
    UsedKey {
        /// SHA-256 of its SPKI.
        digest: Hash,
        /// The tree that it signed for.
        tree: TreeId,
    },
    /// The names of an API or an origin.
    #[error("{0}")]
    Unusable(String),
}
