//! The plans of queries, for the tests beside them.

use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

const SCHEMA: &str = include_str!("../../../../../migrations/sqlite/0001_log.sql");

/// Each query reads no table but by the index whose name is beside it, with all of these columns.
pub(super) async fn assert_indexed(queries: &[(&str, &[&str])]) {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let schema = sqlx::raw_sql(SCHEMA).execute(&mut connection).await;
    schema.unwrap();
    for (query, expected) in queries {
        let explain = format!("EXPLAIN QUERY PLAN {query}");
        let rows = sqlx::query(AssertSqlSafe(explain))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let steps = rows.iter().map(|row| row.get::<String, _>("detail"));
        // A list that was given is read whole, as is what a query finds by itself.
        let of_tables = steps.filter(|step| {
            let reads = step.starts_with("SEARCH") || step.starts_with("SCAN");
            reads && !step.contains("VIRTUAL TABLE") && !step.contains("subquery")
        });
        let of_tables: Vec<String> = of_tables.collect();
        let found = of_tables.iter().zip(*expected);
        let is_expected = of_tables.len() == expected.len()
            && found.into_iter().all(|(step, index)| step.contains(index));
        assert!(
            is_expected,
            "{of_tables:#?} instead of {expected:?}: {query}"
        );
    }
}
