//! Failures of the ledger in the words that both APIs have for them.

use std::time::Duration;

use host::Refusal;
use host::limits::ADMISSION_WAIT;
use http::StatusCode;
use ledger::store::StoreError;
use ledger::{AppendError, Contradiction, Difference, ReadError, shown_name};

use crate::entry_id::entry_id;
use crate::metrics;

/// When a client should retry while the database is unavailable: about as long as its restart
/// takes.
const DATABASE_RETRY_SECONDS: u64 = 5;

/// When a client should retry while the server is stopping: about as long as its restart takes.
const STOPPING_RETRY_SECONDS: u64 = 5;

/// When a client should retry while the log cannot write until an operator acts.
const OPERATOR_RETRY_SECONDS: u64 = 60;

/// When a client should retry what was lost for good: a day, because an answer needs a time.
const LOST_RETRY_SECONDS: u64 = 24 * 60 * 60;

/// The ledger has no log of the API that a request is for.
#[derive(Debug)]
pub(crate) struct NoLog;

/// Returns the refusal of a failed read, in Rekor's words. The cause goes only to the log lines.
pub(crate) fn read_failure(error: &ReadError) -> Refusal {
    match error {
        ReadError::Store(
            StoreError::Damaged(_) | StoreError::Data(_) | StoreError::Unusable(_),
        )
        | ReadError::OutOfRange(_)
        | ReadError::Damaged(_)
        | ReadError::Signing(_) => {
            tracing::error!(%error, "a read failed");
            Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "unexpected result from transparency log",
            )
        }
        ReadError::NotBundled { tree, leaf_index } => Refusal::new(
            StatusCode::NOT_FOUND,
            format!("{error}; it is at /trees/{tree}/entries/{leaf_index}"),
        ),
        ReadError::WentBack(_) => Refusal::unavailable(
            metrics::READ_ONLY,
            error.to_string(),
            OPERATOR_RETRY_SECONDS,
        ),
        ReadError::Lost(_) => {
            Refusal::unavailable(metrics::LOST, error.to_string(), LOST_RETRY_SECONDS)
        }
        ReadError::Busy => Refusal::unavailable(
            metrics::SEARCHES,
            "too many searches at once",
            ADMISSION_WAIT.as_secs(),
        ),
        ReadError::Store(
            StoreError::Unavailable(_) | StoreError::UnknownOutcome(_) | StoreError::Conflict(_),
        ) => {
            tracing::warn!(%error, "a read failed");
            let message = "unexpected error communicating with transparency log";
            Refusal::unavailable(metrics::DATABASE, message, DATABASE_RETRY_SECONDS)
        }
    }
}

/// Returns the refusal of an entry that was not appended. The cause goes only to the log lines.
pub(crate) fn append_failure(error: AppendError) -> Refusal {
    match &error {
        AppendError::LeafTooLarge { .. }
        | AppendError::Refused(_)
        | AppendError::Contradiction(_) => {
            tracing::info!(%error, "an entry was not appended")
        }
        AppendError::Busy { .. } | AppendError::Unpublished { .. } | AppendError::Stopping => {
            tracing::debug!(%error, "an entry was not appended");
        }
        AppendError::ReadOnly(_)
        | AppendError::Clock(_)
        | AppendError::NotLetOut(_)
        | AppendError::Unavailable(_) => {
            tracing::error!(%error, "an entry was not appended");
        }
    }
    match error {
        // The most frequent cause: the keys of people who sign one another's keys.
        AppendError::LeafTooLarge { .. } => invalid_entry(format!(
            "{error}: most often because of the key, which should go without the signatures of others \
             (gpg --export --armor --export-options export-minimal) and without certificates that are not needed"
        )),
        AppendError::Refused(_) => invalid_entry("the log's database cannot store it"),
        AppendError::Contradiction(found) => contradiction(&found),
        AppendError::Busy { retry_after } => Refusal::unavailable(
            metrics::QUEUE,
            "the log is busy",
            whole_seconds(retry_after),
        ),
        AppendError::Unpublished { retry_after } => {
            let message = "the log waits for its witnesses";
            Refusal::unavailable(metrics::WITNESSES, message, whole_seconds(retry_after))
        }
        AppendError::NotLetOut(_) => {
            let message = "the log cannot let out its newest tree head";
            Refusal::unavailable(metrics::GUARD, message, OPERATOR_RETRY_SECONDS)
        }
        // The reason names tree heads, which are public.
        AppendError::ReadOnly(_) => Refusal::unavailable(
            metrics::READ_ONLY,
            error.to_string(),
            OPERATOR_RETRY_SECONDS,
        ),
        AppendError::Clock(fault) => Refusal::unavailable(
            metrics::CLOCK,
            fault.to_string(),
            whole_seconds(fault.retry_after()),
        ),
        AppendError::Unavailable(_) => {
            let message = "unexpected error communicating with transparency log";
            Refusal::unavailable(metrics::DATABASE, message, DATABASE_RETRY_SECONDS)
        }
        AppendError::Stopping => Refusal::unavailable(
            metrics::STOPPING,
            "the server is stopping",
            STOPPING_RETRY_SECONDS,
        ),
    }
}

/// Returns the refusal of an entry that gives a package another digest than an earlier one.
///
/// It has no `Location`: clients take that for the place of an entry equal to theirs.
fn contradiction(found: &Contradiction) -> Refusal {
    let Contradiction {
        name,
        difference,
        first,
    } = found;
    let how = match difference {
        Difference::OtherValue => "has another digest",
        Difference::OtherAspect => "has digests that cannot be compared with all of these",
    };
    let (name, log_index) = (shown_name(name), first.log_index);
    let uuid = entry_id(first.tree, &first.leaf_hash);
    Refusal::new(
        StatusCode::CONFLICT,
        format!("{name} {how} in the transparency log already: UUID {uuid}, log index {log_index}"),
    )
}

fn whole_seconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}

/// Returns the refusal of an entry that cannot be logged as it is.
pub(crate) fn invalid_entry(reason: impl std::fmt::Display) -> Refusal {
    Refusal::new(
        StatusCode::BAD_REQUEST,
        format!("error processing entry: {reason}"),
    )
}

#[cfg(test)]
mod tests {
    use ledger::ClockFault;

    use super::*;

    #[test]
    fn the_reason_of_a_failed_read_stays_inside() {
        let secret = "password authentication failed for user \"x\"".to_owned();
        for error in [
            ReadError::Store(StoreError::Unavailable(secret.clone())),
            ReadError::Damaged(secret),
        ] {
            assert!(!read_failure(&error).message.contains("password"));
        }
    }

    #[test]
    fn a_log_that_cannot_write_says_503_and_when_to_come_back_but_not_why() {
        let why = "host=db.internal".to_owned();
        for (error, seconds) in [
            (
                AppendError::Busy {
                    retry_after: Duration::from_millis(1001),
                },
                2,
            ),
            (
                AppendError::Busy {
                    retry_after: Duration::ZERO,
                },
                1,
            ),
            (
                AppendError::Unpublished {
                    retry_after: Duration::from_secs(2),
                },
                2,
            ),
            (AppendError::NotLetOut(why.clone()), 60),
            (AppendError::Clock(ClockFault::Differ { millis: 3_000 }), 60),
            (AppendError::Clock(ClockFault::Leapt { millis: 9_000 }), 10),
            (AppendError::Unavailable(why.clone()), 5),
            (AppendError::Stopping, 5),
        ] {
            let refusal = append_failure(error);
            assert!(!refusal.message.contains("db.internal"));
            assert_eq!(
                (refusal.status.as_u16(), refusal.retry_after_seconds),
                (503, Some(seconds))
            );
        }
    }

    #[test]
    fn a_log_that_is_read_only_says_why_to_readers_and_writers() {
        let why = || "known size 9 root x, found size 5 root y".to_owned();
        for refusal in [
            append_failure(AppendError::ReadOnly(why())),
            read_failure(&ReadError::WentBack(why())),
        ] {
            let message = "the log is read-only: known size 9 root x, found size 5 root y";
            assert_eq!(refusal.message, message);
            assert_eq!(
                (refusal.status.as_u16(), refusal.retry_after_seconds),
                (503, Some(60))
            );
        }
    }

    #[test]
    fn a_leaf_that_is_too_large_is_the_clients_fault_and_names_both_sizes() {
        let refusal = append_failure(AppendError::LeafTooLarge {
            got: 70_000,
            limit: 65_535,
        });
        assert!(refusal.message.contains("70000") && refusal.message.contains("65535"));
        assert!(
            refusal.message.contains("export-minimal"),
            "says what to do"
        );
        assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
        assert!(
            !append_failure(AppendError::Refused("relation x".into()))
                .message
                .contains("relation")
        );
    }
}
