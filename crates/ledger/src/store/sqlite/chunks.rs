//! Many rows in few statements: an INSERT of one row costs about 40 µs on its way through the driver, of 256 hardly more.

use std::sync::LazyLock;

use sqlx::SqliteConnection;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};

use crate::TreeId;

/// Rows of one statement, largest first. Few lengths, so that all statements stay prepared (eight tables make 40 texts, the
/// connection keeps 100). 256 rows of six columns are 1,281 variables of SQLite's 32,766.
const LENGTHS: [usize; 5] = [256, 64, 16, 4, 1];

/// An INSERT into one table whose first column is `tree_id`, in all lengths.
pub(super) type Insert = LazyLock<[String; LENGTHS.len()]>;

pub(super) type BoundQuery<'q> = Query<'q, Sqlite, SqliteArguments>;

/// The texts of an INSERT: `columns` follow `tree_id`, `suffix` says what happens on a conflict.
pub(super) fn texts(table: &str, columns: &[&str], suffix: &str) -> [String; LENGTHS.len()] {
    LENGTHS.map(|length| {
        let rows: Vec<String> = (0..length).map(|row| placeholders(row * columns.len() + 2, columns.len())).collect();
        format!("INSERT INTO {table} (tree_id, {}) VALUES {} {suffix}", columns.join(", "), rows.join(","))
    })
}

/// `(?1,?5,?6)`: the tree, then this row's own variables from `first` on.
fn placeholders(first: usize, columns: usize) -> String {
    let own: String = (first..first + columns).map(|variable| format!(",?{variable}")).collect();
    format!("(?1{own})")
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
            let query = chunk.iter().fold(sqlx::query(text.as_str()).bind(tree.0), &bind);
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
    fn variables_are_numbered_through() {
        let [.., four, one] = texts("leaf", &["hash_prefix", "leaf_index"], "ON CONFLICT DO NOTHING");
        assert_eq!(one, "INSERT INTO leaf (tree_id, hash_prefix, leaf_index) VALUES (?1,?2,?3) ON CONFLICT DO NOTHING");
        assert!(four.contains("VALUES (?1,?2,?3),(?1,?4,?5),(?1,?6,?7),(?1,?8,?9) "), "{four}");
    }
}
