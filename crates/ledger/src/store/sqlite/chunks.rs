//! Many rows in few statements: an INSERT of one row costs about 40 µs on its way through the driver, of 256 hardly more.

use std::sync::LazyLock;

use sqlx::SqliteConnection;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};

use crate::TreeId;

/// Rows of one statement, largest first: any number of rows below 512 takes at most nine statements, and all texts (nine of
/// seven tables) stay prepared. 256 rows of five columns are 1,280 variables of SQLite's 32,766.
const LENGTHS: [usize; 9] = [256, 128, 64, 32, 16, 8, 4, 2, 1];

/// Statements that a connection keeps prepared: those of [`LENGTHS`] and the queries.
pub(super) const PREPARED_STATEMENTS: usize = 128;

/// An INSERT into one table whose first column is `tree_id`, in all lengths.
pub(super) type Insert = LazyLock<[String; LENGTHS.len()]>;

pub(super) type BoundQuery<'q> = Query<'q, Sqlite, SqliteArguments>;

/// The texts of an INSERT: `columns` follow `tree_id`, `suffix` says what happens on a conflict.
pub(super) fn texts(table: &str, columns: &[&str], suffix: &str) -> [String; LENGTHS.len()] {
    // Variables without numbers: the driver asks SQLite for the name of each, which is a linear search where there are any.
    let row = format!("(?{})", ",?".repeat(columns.len()));
    LENGTHS.map(|length| {
        let rows = vec![row.as_str(); length].join(",");
        format!("INSERT INTO {table} (tree_id, {}) VALUES {rows} {suffix}", columns.join(", "))
    })
}

/// Inserts rows; `bind` binds one row's columns in the order of the text.
pub(super) async fn insert<R>(
    connection: &mut SqliteConnection,
    texts: &'static Insert,
    tree: TreeId,
    rows: &[R],
    bind: impl for<'q> Fn(BoundQuery<'q>, &R) -> BoundQuery<'q>,
) -> Result<(), sqlx::Error> {
    let mut rest = rows;
    for (length, text) in LENGTHS.iter().zip(texts.iter()) {
        while let Some((chunk, tail)) = rest.split_at_checked(*length) {
            let query = chunk.iter().fold(sqlx::query(text.as_str()), |query, row| bind(query.bind(tree.0), row));
            query.execute(&mut *connection).await?;
            rest = tail;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_variable_for_each_column() {
        let [.., two, one] = texts("leaf", &["hash_prefix", "leaf_index"], "ON CONFLICT DO NOTHING");
        assert_eq!(one, "INSERT INTO leaf (tree_id, hash_prefix, leaf_index) VALUES (?,?,?) ON CONFLICT DO NOTHING");
        assert!(two.contains("VALUES (?,?,?),(?,?,?) "), "{two}");
    }
}
