//! The reasons why no entry can be dated.

use std::time::Duration;

use super::leap::STANDS_AFTER;

/// A client should try again after this while a person has to look.
const OPERATOR_RETRY: Duration = Duration::from_secs(60);

/// Why no entry can be dated. The text may be shown to anybody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClockFault {
    /// The wall clock leapt against the boot clock. It is trusted again once it has stood.
    #[error(
        "this server's clock leapt by {} s: writes go on once it has stood for {} s, or at once if it goes back",
        .millis / 1_000,
        STANDS_AFTER.as_secs()
    )]
    Leapt {
        /// The leap, negative if the clock went back.
        millis: i64,
    },
    /// The newest head is dated ahead of this server's clock.
    #[error(
        "the newest tree head of the {log} log is dated {seconds} s ahead of this server's clock: if this clock is \
         right, the log was dated by a clock that was ahead, and `treehead rotate --log {log}` begins a tree with right dates"
    )]
    Ahead {
        /// Name of the log's API.
        log: &'static str,
        /// How far it is ahead.
        seconds: i64,
    },
    /// The clocks of this server and of the database differ.
    #[error(
        "the clocks of this server and of its database differ by at least {millis} ms, at most {} are allowed: is NTP running on both?",
        crate::store::MAX_CLOCK_SKEW_MILLIS
    )]
    Differ {
        /// The difference, positive if the database is ahead. The time that the answer took is not
        /// in it.
        millis: i64,
    },
}

impl ClockFault {
    /// Returns the time after which to try again.
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Leapt { .. } => STANDS_AFTER,
            Self::Ahead { .. } | Self::Differ { .. } => OPERATOR_RETRY,
        }
    }
}
