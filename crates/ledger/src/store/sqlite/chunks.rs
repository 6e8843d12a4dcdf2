//! Many rows in few statements: an INSERT of one row costs about 40 µs on its way through the
//! driver, of 256 hardly more.

use std::sync::LazyLock;

use sqlx::SqliteConnection;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};

use crate::TreeId;

/// Rows that a statement has room for: a round takes one statement a table, or two, and all texts
/// (nine of eight tables) stay prepared. 256 rows of eight columns are 2,048 variables of SQLite's
/// 32,766.
const LENGTHS: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, MAX_ROWS];

const MAX_ROWS: usize = 256;

/// Statements that a connection keeps prepared: those of [`LENGTHS`] and the queries.
pub(super) const PREPARED_STATEMENTS: usize = 128;

/// An INSERT into one table whose first column is `tree_id`, in all lengths.
pub(super) type Insert = LazyLock<[String; LENGTHS.len()]>;

pub(super) type BoundQuery<'q> = Query<'q, Sqlite, SqliteArguments>;

/// The texts of an INSERT: `columns` follow `tree_id`, `suffix` says what happens on a conflict.
/// Rows that are not bound are NULL, and not inserted.
///
/// `OR ROLLBACK`: a round that fails is given up whole, so that SQLite need not keep a copy of each
/// page to take one statement back.
pub(super) fn texts(table: &str, columns: &[&str], suffix: &str) -> [String; LENGTHS.len()] {
    // Variables without numbers: the driver asks SQLite for the name of each, which is a linear
    // search where there are any.
    let row = format!("(?{})", ",?".repeat(columns.len()));
    LENGTHS.map(|length| {
        let (columns, rows) = (columns.join(", "), vec![row.as_str(); length].join(","));
        format!(
            "INSERT OR ROLLBACK INTO {table} (tree_id, {columns})
            SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL {suffix}"
        )
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
    for chunk in rows.chunks(MAX_ROWS) {
        let Some((_, text)) = LENGTHS
            .iter()
            .zip(texts.iter())
            .find(|(length, _)| **length >= chunk.len())
        else {
            continue;
        };
        let query = chunk.iter().fold(sqlx::query(text.as_str()), |query, row| {
            bind(query.bind(tree.0), row)
        });
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_variable_for_each_column() {
        let [one, two, ..] = texts(
            "leaf",
            &["hash_prefix", "leaf_index"],
            "ON CONFLICT DO NOTHING",
        );
        assert!(
            one.starts_with("INSERT OR ROLLBACK INTO leaf (tree_id, hash_prefix, leaf_index)"),
            "{one}"
        );
        assert!(one.contains("(VALUES (?,?,?)) "), "{one}");
        assert!(
            two.contains("(VALUES (?,?,?),(?,?,?)) ") && two.ends_with("DO NOTHING"),
            "{two}"
        );
    }
}
