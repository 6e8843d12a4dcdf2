//! A database of its own for each test, on either backend.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection};

use crate::program;

/// Where a test keeps its log. Gone with it.
pub(crate) struct Storage {
    folder: tempfile::TempDir,
    postgres: Option<Database>,
}

/// A database on the test server.
struct Database {
    server: String,
    name: String,
}

impl Storage {
    pub(crate) fn sqlite() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            postgres: None,
        }
    }

    /// None, said on stdout, where no test server is set up; where one is demanded that fails.
    pub(crate) fn postgres() -> Option<Self> {
        let Ok(server) = std::env::var("TREEHEAD_TEST_POSTGRES") else {
            let demanded = ["CI", "TREEHEAD_REQUIRE_POSTGRES"]
                .iter()
                .any(|name| std::env::var_os(name).is_some());
            assert!(
                !demanded,
                "TREEHEAD_TEST_POSTGRES is not set: scripts/test sets it up"
            );
            println!("passed over: TREEHEAD_TEST_POSTGRES is not set; scripts/test sets it up");
            return None;
        };
        Some(Self::on(server))
    }

    /// A database of its own on this server of Postgres.
    pub(crate) fn on(server: String) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "treehead_process_{}_{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        execute_postgres(&server, &format!("CREATE DATABASE {name}"));
        Self {
            folder: tempfile::tempdir().unwrap(),
            postgres: Some(Database { server, name }),
        }
    }

    /// A folder that is there.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder of the only server, or of the first.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// The database URL, if it is not SQLite.
    pub(crate) fn url(&self) -> Option<String> {
        self.postgres.as_ref().map(Database::url)
    }

    /// `serve` with this storage and data folder.
    pub(crate) fn serve_with(&self, data: &Path) -> Command {
        let mut command = program::serve(data);
        self.url().map(|url| command.args(["--database", &url]));
        command
    }

    /// `serve` with this storage.
    pub(crate) fn serve(&self) -> Command {
        self.serve_with(&self.data())
    }

    /// `fsck` finds nothing.
    pub(crate) fn assert_in_order(&self) {
        let mut command = program::program();
        command.arg("fsck").arg("--data-dir").arg(self.data());
        self.url().map(|url| command.args(["--database", &url]));
        let output = command.output().unwrap();
        let text = program::text(&output.stdout);
        assert!(
            output.status.success() && text.contains("in order"),
            "{text}{}",
            program::text(&output.stderr)
        );
    }

    /// The test server's URL and the name of the database on it, if it is not SQLite.
    pub(crate) fn database(&self) -> Option<(&str, &str)> {
        let database = self.postgres.as_ref()?;
        Some((&database.server, &database.name))
    }

    /// Changes the database behind the program's back.
    pub(crate) fn execute(&self, sql: &str) {
        match self.url() {
            Some(url) => execute_postgres(&url, sql),
            None => execute_sqlite(&self.data().join("treehead.db"), sql),
        }
    }

    /// The number that a query of the database gives.
    pub(crate) fn count(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql);
        runtime().block_on(async {
            match self.url() {
                Some(url) => {
                    let mut connection = PgConnection::connect(&url).await.unwrap();
                    sqlx::query_scalar(sql).fetch_one(&mut connection).await
                }
                None => {
                    let mut connection = open_sqlite(&self.data().join("treehead.db")).await;
                    sqlx::query_scalar(sql).fetch_one(&mut connection).await
                }
            }
            .unwrap()
        })
    }
}

impl Database {
    fn url(&self) -> String {
        let (start, options) = self
            .server
            .split_once('?')
            .map_or((self.server.as_str(), ""), |(start, rest)| (start, rest));
        let (start, _) = start.rsplit_once('/').unwrap();
        let mark = if options.is_empty() { "" } else { "?" };
        format!("{start}/{}{mark}{options}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        execute_postgres(
            &self.server,
            &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name),
        );
    }
}

pub(crate) fn execute_postgres(url: &str, sql: &str) {
    try_execute(url, sql).unwrap();
}

/// Runs statements as the role of this URL; the error is the database's.
pub(crate) fn try_execute(url: &str, sql: &str) -> Result<(), String> {
    runtime().block_on(async {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let done = sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await;
        connection.close().await.unwrap();
        done.map(drop).map_err(|error| error.to_string())
    })
}

fn execute_sqlite(path: &Path, sql: &str) {
    runtime().block_on(async {
        let mut connection = open_sqlite(path).await;
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    });
}

async fn open_sqlite(path: &Path) -> SqliteConnection {
    let url = format!("sqlite://{}", path.display());
    SqliteConnection::connect(&url).await.unwrap()
}

/// Whether the server of this URL answers.
pub(crate) fn answers(url: &str) -> bool {
    runtime().block_on(async {
        let connection = PgConnection::connect(url).await;
        match connection {
            Ok(connection) => connection.close().await.is_ok(),
            Err(_) => false,
        }
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
