//! The plans of queries, for the tests beside them.

use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection, Row as _};

use super::session;

const SCHEMA: &str = include_str!("../../../../../migrations/postgres/0001_log.sql");

/// Says where the throw-away Postgres of the tests is; `scripts/test` sets it.
const URL_VARIABLE: &str = "TREEHEAD_TEST_POSTGRES";

/// Each query reads no table but by these indexes, as a connection of a store plans it.
pub(super) async fn assert_indexed(queries: &[(&str, &[&str])]) {
    let Ok(url) = std::env::var(URL_VARIABLE) else {
        let demanding = ["CI", "TREEHEAD_REQUIRE_POSTGRES"];
        let mut demanded = demanding.iter().map(std::env::var_os);
        assert!(
            demanded.all(|value| value.is_none()),
            "{URL_VARIABLE} is not set"
        );
        println!("passed over: {URL_VARIABLE} is not set; scripts/test sets up a Postgres");
        return;
    };
    let options = session::options(&url).unwrap().remove(0);
    let mut connection = options.connect().await.unwrap();
    // Tables that end with the connection.
    run(&mut connection, "SET search_path TO pg_temp").await;
    run(&mut connection, SCHEMA).await;
    for (query, expected) in queries {
        run(&mut connection, &format!("PREPARE planned AS {query}")).await;
        let parameters = (1..20).take_while(|number| query.contains(&format!("${number}")));
        let nulls = vec!["NULL"; parameters.count()].join(", ");
        let explain = format!("EXPLAIN (COSTS OFF) EXECUTE planned({nulls})");
        let steps = run(&mut connection, &explain).await;
        run(&mut connection, "DEALLOCATE planned").await;
        let of_tables: Vec<&String> = steps
            .iter()
            .filter(|step| step.contains(" Scan ") && !step.contains("Function Scan"))
            .collect();
        let found = of_tables.iter().zip(*expected);
        let is_expected = of_tables.len() == expected.len()
            && found
                .into_iter()
                .all(|(step, index)| step.contains(&format!(" using {index} on ")));
        assert!(is_expected, "{steps:#?} instead of {expected:?}: {query}");
    }
}

async fn run(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .fetch_all(connection)
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}
