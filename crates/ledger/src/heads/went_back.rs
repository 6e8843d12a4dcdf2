//! A database that does not continue the heads that this process knows.

use tlog::{EMPTY_ROOT, TreeSize};

use super::tile_set::{HeadView, describe};
use crate::guard::place::GuardError;
use crate::ids::TreeId;
use crate::keys::signer::SigningError;
use crate::open_error::OpenError;
use crate::store::{HeadRow, PublicationRow, StoreError};

/// Why the log must not go on.
#[derive(Clone, Debug)]
pub(crate) struct WentBack {
    /// Names the known head, and the head that was found or the tree that is gone.
    pub(crate) reason: String,
    /// Size of the known head.
    pub(crate) known: TreeSize,
    /// Size of the head that was found; 0 if there is none.
    pub(crate) found: TreeSize,
}

/// Why a durable head was not accepted or not published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeadError {
    /// The database could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its checkpoint could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// No guard can keep it, so it cannot leave.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// It contradicts what was published.
    #[error("{}", .0.reason)]
    WentBack(WentBack),
}

impl WentBack {
    /// The newer of two heads does not extend the older one. `text` describes the newer one.
    pub(crate) fn fork(known: HeadView<'_>, found: TreeSize, text: &str) -> Self {
        let known_text = known.describe();
        Self {
            reason: format!(
                "the database does not continue the newest tree head: known {known_text}, found {text}"
            ),
            known: known.size,
            found,
        }
    }

    /// The database lost the tree.
    pub(crate) fn gone(known: HeadView<'_>, tree: TreeId) -> Self {
        let known_text = known.describe();
        Self {
            reason: format!(
                "the database went back: it does not have the tree {tree}; known {known_text}"
            ),
            known: known.size,
            found: TreeSize(0),
        }
    }

    /// The newest stored publication neither is the published head nor follows it.
    pub(crate) fn publication(published: HeadView<'_>, row: Option<&PublicationRow>) -> Self {
        let published_text = published.describe();
        let found = row.map_or_else(|| "none".to_owned(), |row| describe(row.size, &row.root));
        Self {
            reason: format!(
                "the database does not continue what was published: published {published_text}, \
                 found {found}"
            ),
            known: published.size,
            found: row.map_or(TreeSize(0), |row| row.size),
        }
    }

    /// The database has a smaller head than a witness has cosigned.
    pub(crate) fn witnessed(witness: &str, size: TreeSize, row: Option<&HeadRow>) -> Self {
        let (found, root) = row.map_or((TreeSize(0), EMPTY_ROOT), |row| (row.size, row.root));
        Self {
            reason: format!(
                "the database went back by {} entries: the witness {witness} has cosigned size {size}, found {}",
                size.0 - found.0,
                describe(found, &root)
            ),
            known: size,
            found,
        }
    }

    /// The database has a smaller head than the newest one known here.
    pub(crate) fn smaller(known: HeadView<'_>, row: Option<&HeadRow>) -> Self {
        let (found, root) = row.map_or((TreeSize(0), EMPTY_ROOT), |row| (row.size, row.root));
        Self {
            reason: format!(
                "the database went back by {} entries: known {}, found {}",
                known.size.0 - found.0,
                known.describe(),
                describe(found, &root)
            ),
            known: known.size,
            found,
        }
    }
}

impl From<HeadError> for OpenError {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Store(error) => Self::Store(error),
            HeadError::Signing(error) => Self::Signing(error),
            HeadError::Guard(error) => Self::Guard(error.to_string()),
            HeadError::WentBack(reason) => Self::WentBack(reason.reason),
        }
    }
}
