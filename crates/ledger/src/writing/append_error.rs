//! The reasons why an entry was not appended.

use std::time::Duration;

use super::contradiction::Contradiction;
use crate::clock::ClockFault;
use crate::heads::letting_out::NotPublished;
use crate::keys::signer::SigningError;

/// The reason why an entry was not appended. Nothing is stored unless the variant says that this is
/// unknown.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The queue is full, and stayed so for as long as an entry waits. 503 with `Retry-After`.
    #[error("the log is busy")]
    Busy {
        /// The time after which to try again.
        retry_after: Duration,
    },
    /// The log waits for its witnesses; the entry may be stored, and a retry of the same entry is
    /// safe. 503 with `Retry-After`.
    #[error("the log waits for its witnesses")]
    Unpublished {
        /// The time after which to try again.
        retry_after: Duration,
    },
    /// The newest tree head cannot be let out, because no guard can be written or the database does
    /// not confirm it; the entry may be stored, and a retry of the same entry is safe. 503.
    #[error("the newest tree head cannot be let out: {0}")]
    NotLetOut(String),
    /// The leaf bytes are larger than this tree accepts. 400.
    #[error("the entry has {got} bytes, this log takes at most {limit}")]
    LeafTooLarge {
        /// Its size.
        got: usize,
        /// The limit.
        limit: u32,
    },
    /// The log went read-only; the text names the heads that disagree. 503.
    #[error("the log is read-only: {0}")]
    ReadOnly(String),
    /// The clock is not trusted to date entries. 503 with `Retry-After`.
    #[error(transparent)]
    Clock(ClockFault),
    /// The database refuses this entry's data; other entries of its round are not affected. 400.
    #[error("the database refuses the entry: {0}")]
    Refused(String),
    /// A name in the entry has another value in an earlier entry, for which
    /// [`Ledger::wait_shown`](crate::Ledger::wait_shown) waits. 409.
    #[error("{0}")]
    Contradiction(Box<Contradiction>),
    /// The database is unavailable or the outcome is unknown; a retry of the same entry is safe.
    /// 503.
    #[error("the log's database is unavailable: {0}")]
    Unavailable(String),
    /// The server stops. 503.
    #[error("the server is stopping")]
    Stopping,
}

/// The reason why a submission has no leaf index.
#[derive(Clone, Debug)]
pub(crate) enum NotSequenced {
    /// The tree is frozen and does not have the entry, which belongs in the next tree.
    Frozen,
    /// Any other failure, which the client gets.
    Error(AppendError),
}

impl From<AppendError> for NotSequenced {
    fn from(error: AppendError) -> Self {
        Self::Error(error)
    }
}

impl From<NotPublished> for AppendError {
    fn from(error: NotPublished) -> Self {
        match error {
            NotPublished::ReadOnly(reason) => Self::ReadOnly(reason),
            NotPublished::Stopping => Self::Stopping,
            NotPublished::Waiting { retry_after } => Self::Unpublished { retry_after },
            NotPublished::NotLetOut(reason) => Self::NotLetOut(reason),
        }
    }
}

impl From<NotPublished> for NotSequenced {
    fn from(error: NotPublished) -> Self {
        Self::Error(error.into())
    }
}

impl From<SigningError> for AppendError {
    fn from(error: SigningError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl AppendError {
    /// All labels of [`AppendError::reason`].
    pub(crate) const REASONS: [&str; 10] = [
        "busy",
        "unpublished",
        "not_let_out",
        "leaf_too_large",
        "read_only",
        "clock",
        "refused",
        "contradiction",
        "unavailable",
        "stopping",
    ];

    /// Returns the label of the metric.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "busy",
            Self::Unpublished { .. } => "unpublished",
            Self::NotLetOut(_) => "not_let_out",
            Self::LeafTooLarge { .. } => "leaf_too_large",
            Self::ReadOnly(_) => "read_only",
            Self::Clock(_) => "clock",
            Self::Refused(_) => "refused",
            Self::Contradiction(_) => "contradiction",
            Self::Unavailable(_) => "unavailable",
            Self::Stopping => "stopping",
        }
    }
}

#[cfg(test)]
mod tests {
    use tlog::LeafIndex;

    use super::*;
    use crate::TreeId;
    use crate::store::Claimant;
    use crate::writing::contradiction::Difference;

    fn contradiction() -> Contradiction {
        Contradiction {
            name: "n".into(),
            difference: Difference::OtherValue,
            first: Claimant {
                tree: TreeId(1),
                leaf_index: LeafIndex(0),
                log_index: 0,
                leaf_hash: tlog::EMPTY_ROOT,
            },
        }
    }

    #[test]
    fn every_reason_has_its_place_among_the_labels() {
        let (retry_after, text) = (Duration::ZERO, String::new);
        let reasons = [
            AppendError::Busy { retry_after },
            AppendError::Unpublished { retry_after },
            AppendError::NotLetOut(text()),
            AppendError::LeafTooLarge { got: 2, limit: 1 },
            AppendError::ReadOnly(text()),
            AppendError::Clock(ClockFault::Leapt { millis: 6_000 }),
            AppendError::Refused(text()),
            AppendError::Contradiction(Box::new(contradiction())),
            AppendError::Unavailable(text()),
            AppendError::Stopping,
        ]
        .map(|error| error.reason());
        assert_eq!(reasons, AppendError::REASONS);
    }
}
