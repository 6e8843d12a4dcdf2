//! Maps failures of SQLite to errors of the store. Result codes:
//! <https://www.sqlite.org/rescode.html>

use sqlx::Error;

use crate::store::StoreError;

const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const CORRUPT: i32 = 11;
const TOO_BIG: i32 = 18;
const CONSTRAINT: i32 = 19;
const MISMATCH: i32 = 20;
const NOT_A_DATABASE: i32 = 26;
const CONSTRAINT_PRIMARY_KEY: i32 = CONSTRAINT | (6 << 8);
const CONSTRAINT_UNIQUE: i32 = CONSTRAINT | (8 << 8);

/// A failure of a statement that stores nothing, or of one inside a transaction before its COMMIT.
///
/// A full disk is [`StoreError::Unavailable`]: it is no entry's fault, and halving the round finds
/// no culprit.
pub(super) fn of_read(error: Error) -> StoreError {
    let text = error.to_string();
    match (code(&error), &error) {
        (Some(code), _) => of_code(code, text),
        (None, Error::Encode(_) | Error::InvalidArgument(_)) => StoreError::Data(text),
        (
            None,
            Error::Decode(_)
            | Error::ColumnDecode { .. }
            | Error::ColumnNotFound(_)
            | Error::RowNotFound,
        ) => StoreError::Damaged(text),
        (None, _) => StoreError::Unavailable(text),
    }
}

/// Maps a failure to open the file. A file that is not a database, or cannot be read, is unusable.
pub(super) fn of_open(error: Error) -> StoreError {
    match code(&error).map(primary) {
        Some(NOT_A_DATABASE) => {
            StoreError::Unusable("the file is not an SQLite database".to_owned())
        }
        _ => of_read(error),
    }
}

/// A failure of COMMIT.
///
/// The pages go to the WAL before they are synced: after a failed write or sync the commit record
/// may be in the file and come to life when the file is opened next, unless a later commit
/// overwrites it. Only a lock that was not had is certain.
pub(super) fn of_commit(error: Error) -> StoreError {
    match code(&error).map(primary) {
        Some(BUSY | LOCKED) => StoreError::Conflict(error.to_string()),
        _ => StoreError::UnknownOutcome(error.to_string()),
    }
}

/// Returns whether another connection holds the file's write lock.
pub(super) fn is_busy(error: &Error) -> bool {
    matches!(code(error).map(primary), Some(BUSY | LOCKED))
}

/// Returns whether a row with the key of a new one is there already.
pub(super) fn is_taken(error: &Error) -> bool {
    matches!(
        code(error),
        Some(CONSTRAINT_PRIMARY_KEY | CONSTRAINT_UNIQUE)
    )
}

fn of_code(code: i32, text: String) -> StoreError {
    match (primary(code), code) {
        (BUSY | LOCKED, _) => StoreError::Conflict(text),
        (CORRUPT | NOT_A_DATABASE, _) => StoreError::Damaged(text),
        // The head was new and yet a row of its entries is there already: no fault of the data.
        (_, CONSTRAINT_PRIMARY_KEY | CONSTRAINT_UNIQUE) => StoreError::Damaged(text),
        (TOO_BIG | CONSTRAINT | MISMATCH, _) => StoreError::Data(text),
        _ => StoreError::Unavailable(text),
    }
}

/// The extended result code.
fn code(error: &Error) -> Option<i32> {
    match error {
        Error::Database(database) => database.code()?.parse().ok(),
        _ => None,
    }
}

fn primary(code: i32) -> i32 {
    code & 0xff
}
