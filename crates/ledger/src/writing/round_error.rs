//! Why a round failed as a whole.

use super::append_error::{AppendError, NotSequenced};
use crate::clock::ClockFault;
use crate::heads::went_back::HeadError;
use crate::store::{MAX_CLOCK_SKEW_MILLIS, StoreError};

/// Why a round failed as a whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum RoundError {
    #[error("the database refuses the data: {0}")]
    Data(String),
    #[error(transparent)]
    Store(StoreError),
    #[error("{0}")]
    ReadOnly(String),
    #[error(transparent)]
    Clock(#[from] ClockFault),
    #[error("the tree has another log key than this server")]
    NotOurs,
    #[error("the tree is frozen")]
    Frozen,
}

impl RoundError {
    /// Returns the error of a round that did not commit because the clocks differ by at least this
    /// many milliseconds, or may differ.
    pub(super) fn of_skew(millis: i64) -> Self {
        if millis.abs() > MAX_CLOCK_SKEW_MILLIS {
            return ClockFault::Differ { millis }.into();
        }
        let what = "a round reached the database too late to compare the clocks; \
                    the machine, the network or the database is overloaded";
        Self::Store(StoreError::Unavailable(what.to_owned()))
    }
}

impl From<StoreError> for RoundError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Data(reason) => Self::Data(reason),
            other => Self::Store(other),
        }
    }
}

impl From<HeadError> for RoundError {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Store(error) => Self::Store(error),
            HeadError::Signing(error) => Self::Store(StoreError::Unavailable(error.to_string())),
            // Rounds let nothing out, so no guard is asked.
            HeadError::Guard(error) => Self::Store(StoreError::Unavailable(error.to_string())),
            HeadError::WentBack(reason) => Self::ReadOnly(reason.reason),
        }
    }
}

impl From<&RoundError> for NotSequenced {
    fn from(error: &RoundError) -> Self {
        let append_error = match error {
            RoundError::Frozen => return Self::Frozen,
            RoundError::Data(reason) => AppendError::Refused(reason.clone()),
            RoundError::Store(error) => AppendError::Unavailable(error.to_string()),
            RoundError::ReadOnly(reason) => AppendError::ReadOnly(reason.clone()),
            RoundError::Clock(fault) => AppendError::Clock(fault.clone()),
            RoundError::NotOurs => AppendError::ReadOnly(error.to_string()),
        };
        Self::Error(append_error)
    }
}
