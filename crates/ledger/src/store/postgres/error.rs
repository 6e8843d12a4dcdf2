//! Maps failures of Postgres, and of the connection to it, to errors of the store.

use sqlx::Error;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::store::StoreError;

/// A failure of a statement that stores nothing, or of one inside a transaction whose COMMIT was
/// not sent.
pub(super) fn of_read(error: Error) -> StoreError {
    match &error {
        Error::Database(database) => match database.try_downcast_ref::<PgDatabaseError>() {
            Some(answer) => of_answer(answer),
            None => StoreError::Unavailable(error.to_string()),
        },
        Error::Encode(_) | Error::InvalidArgument(_) => StoreError::Data(error.to_string()),
        Error::Decode(_)
        | Error::ColumnDecode { .. }
        | Error::ColumnNotFound(_)
        | Error::RowNotFound => StoreError::Damaged(error.to_string()),
        Error::Configuration(_) => StoreError::Unusable(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// A failure of a statement that commits by itself, or of COMMIT.
///
/// Postgres' ERROR means that the transaction was rolled back: once the commit record is written it
/// can only PANIC. A FATAL or PANIC, no answer at all, or a cancel may come on either side of that
/// record.
pub(super) fn of_commit(error: Error) -> StoreError {
    match &error {
        Error::Database(database) => match database.try_downcast_ref::<PgDatabaseError>() {
            Some(answer) if is_definite(answer) => of_answer(answer),
            _ => StoreError::UnknownOutcome(error.to_string()),
        },
        // Refused before anything was written to the socket.
        Error::Encode(_) | Error::InvalidArgument(_) => StoreError::Data(error.to_string()),
        _ => StoreError::UnknownOutcome(error.to_string()),
    }
}

/// Returns whether the role lacks a right that the statement needs.
pub(super) fn is_not_permitted(error: &Error) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|code| code == "42501")
}

fn is_definite(answer: &PgDatabaseError) -> bool {
    // 08: connection; 57: shutdown, crash of another backend, cancel; 40003: statement completion
    // unknown.
    let may_be_late = matches!(class(answer), "08" | "57") || answer.code() == "40003";
    matches!(answer.severity(), PgSeverity::Error) && !may_be_late
}

/// By SQLSTATE (Postgres manual, appendix A).
fn of_answer(answer: &PgDatabaseError) -> StoreError {
    let text = format!("{} (SQLSTATE {})", answer.message(), answer.code());
    match (class(answer), answer.code()) {
        // Deadlock, serialization failure, lock not available in time.
        (_, "40001" | "40P01" | "55P03") => StoreError::Conflict(text),
        // Another round was faster; see `Taken::Refused`.
        (_, "23505") if answer.constraint() == Some("claim_first") => StoreError::Conflict(text),
        // The head was new and yet a row of its entries is there already: no fault of the data.
        (_, "23505") => {
            StoreError::Damaged(format!("{text}: {}", answer.detail().unwrap_or_default()))
        }
        // Data exception, integrity constraint, program limit exceeded.
        ("22" | "23" | "54", _) => StoreError::Data(text),
        // Checksum or index found broken.
        (_, "XX001" | "XX002") => StoreError::Damaged(text),
        // Wrong password, no such database, no such schema or table, no right to it.
        ("28" | "3D" | "3F" | "42", _) => StoreError::Unusable(text),
        _ => StoreError::Unavailable(text),
    }
}

fn class(answer: &PgDatabaseError) -> &str {
    answer.code().get(..2).unwrap_or_default()
}
