//! A database that does not continue the heads that this process knows.

use tlog::{EMPTY_ROOT, TreeSize};

use super::tile_set::{HeadView, describe};
use crate::guard::place::GuardError;
use crate::ids::TreeId;
use crate::keys::signer::SigningError;
use crate::open_error::OpenError;
use crate::store::{HeadRow, StoreError};

/// Why the log must not go on. The text names the known head, and the head that was found or the
/// tree that is gone.
#[derive(Clone, Debug)]
pub(crate) struct WentBack(pub(crate) String);

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
    #[error("{}", .0.0)]
    WentBack(WentBack),
}

impl WentBack {
    /// The newer of two heads does not extend the older one.
    pub(crate) fn fork(known: HeadView<'_>, found: &str) -> Self {
        Self(format!(
            "the database does not continue the newest tree head: known {}, found {found}",
            known.describe()
        ))
    }

    /// The database lost the tree.
    pub(crate) fn gone(known: HeadView<'_>, tree: TreeId) -> Self {
        Self(format!(
            "the database went back: it does not have the tree {tree}; known {}",
            known.describe()
        ))
    }

    /// The newest stored publication neither is the published head nor follows it.
    pub(crate) fn publication(published: HeadView<'_>, found: &str) -> Self {
        Self(format!(
            "the database does not continue what was published: published {}, found {found}",
            published.describe()
        ))
    }

    /// The database has a smaller head than the newest one known here.
    pub(crate) fn smaller(known: HeadView<'_>, found: Option<&HeadRow>) -> Self {
        let (size, text) = match found {
            Some(row) => (row.size.0, describe(row.size, &row.root)),
            None => (0, describe(TreeSize(0), &EMPTY_ROOT)),
        };
        Self(format!(
            "the database went back by {} entries: known {}, found {text}",
            known.size.0 - size,
            known.describe()
        ))
    }
}

impl From<HeadError> for OpenError {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Store(error) => Self::Store(error),
            HeadError::Signing(error) => Self::Signing(error),
            HeadError::Guard(error) => Self::Guard(error.to_string()),
            HeadError::WentBack(reason) => Self::WentBack(reason.0),
        }
    }
}
