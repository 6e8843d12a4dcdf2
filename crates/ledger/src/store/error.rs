//! Errors of a database.

/// An error of the database or of its data.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be reached or did not answer in time. For a commit: nothing was sent,
    /// so nothing was stored.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// The answer to a commit was lost, or came with a warning: the round may or may not be
    /// durable.
    #[error("outcome of the commit is unknown: {0}")]
    UnknownOutcome(String),
    /// The database refuses the data itself (too long, not representable): the same round would
    /// fail again.
    #[error("database refuses the data: {0}")]
    Data(String),
    /// A serialization failure or deadlock: nothing was stored, the same round may be tried again.
    #[error("transaction conflict: {0}")]
    Conflict(String),
    /// Stored data breaks an invariant.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// The schema is unknown to this release, or another database than expected answered.
    #[error("{0}")]
    Unusable(String),
}

/// Result of a store call.
pub type StoreResult<T> = Result<T, StoreError>;
