//! Sizes and indexes in SQL, which knows signed 64-bit integers only.

use std::ops::Range;
use std::time::Duration;

use tlog::TreeSize;

use super::error::{StoreError, StoreResult};

/// Converts a size, index or ID to an integer of SQL.
pub(crate) fn to_sql(value: u64) -> StoreResult<i64> {
    i64::try_from(value).map_err(|_| StoreError::Data(format!("{value} does not fit in 63 bits")))
}

/// Converts an integer of SQL back. `column` is named in the error.
pub(crate) fn from_sql(value: i64, column: &str) -> StoreResult<u64> {
    u64::try_from(value).map_err(|_| StoreError::Damaged(format!("{column} is {value}")))
}

/// Converts a time to milliseconds.
pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Converts `publication.prev_size`, where -1 stands for `None`.
pub(crate) fn prev_size_to_sql(prev_size: Option<TreeSize>) -> StoreResult<i64> {
    prev_size.map_or(Ok(-1), |size| to_sql(size.0))
}

/// Checks that rows read for `range` are exactly its indexes, in order.
pub(crate) fn dense<T>(
    range: &Range<u64>,
    rows: Vec<(i64, T)>,
    table: &str,
) -> StoreResult<Vec<T>> {
    let mut found = Vec::with_capacity(rows.len());
    let mut rows = rows.into_iter();
    for index in range.clone() {
        match rows.next() {
            Some((stored, value)) if u64::try_from(stored) == Ok(index) => found.push(value),
            _ => return Err(StoreError::Damaged(format!("{table} {index} is missing"))),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_noticed() {
        assert_eq!(
            dense(&(3..5), vec![(3, 'a'), (4, 'b')], "entry").unwrap(),
            ['a', 'b']
        );
        for rows in [
            vec![],
            vec![(3, 'a')],
            vec![(4, 'b')],
            vec![(3, 'a'), (5, 'c')],
        ] {
            assert!(matches!(
                dense(&(3..5), rows, "entry"),
                Err(StoreError::Damaged(_))
            ));
        }
    }
}
