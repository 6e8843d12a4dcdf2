//! A database of its own for each test.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;

use ledger::store::Store;
use ledger::store::postgres::PostgresStore;
use ledger::store::sqlite::SqliteStore;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};

/// Says where the throw-away Postgres of the tests is; `scripts/test` sets it.
const URL_VARIABLE: &str = "TREEHEAD_TEST_POSTGRES";

/// An empty database.
pub(crate) struct Database {
    pub(crate) store: Arc<dyn Store>,
    place: Place,
}

enum Place {
    Sqlite {
        path: PathBuf,
        _folder: tempfile::TempDir,
    },
    Postgres {
        url: String,
        base: String,
        name: String,
    },
}

impl Database {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        let store = Arc::new(SqliteStore::open(&path).await.unwrap());
        Self {
            store,
            place: Place::Sqlite {
                path,
                _folder: folder,
            },
        }
    }

    /// `None` if no Postgres is set up and none is demanded.
    pub(crate) async fn postgres() -> Option<Self> {
        let (url, base, name) = new_postgres_database().await?;
        let store = Arc::new(PostgresStore::connect(&url).await.unwrap());
        Some(Self {
            store,
            place: Place::Postgres { url, base, name },
        })
    }

    /// The same database, opened once more.
    pub(crate) async fn open_again(&self) -> Arc<dyn Store> {
        match &self.place {
            Place::Sqlite { path, .. } => Arc::new(SqliteStore::open(path).await.unwrap()),
            Place::Postgres { url, .. } => Arc::new(PostgresStore::connect(url).await.unwrap()),
        }
    }

    /// Changes the database behind the store's back.
    pub(crate) async fn execute(&self, sql: &str) {
        match &self.place {
            Place::Sqlite { path, .. } => {
                let url = format!("sqlite://{}", path.display());
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                connection
                    .execute(AssertSqlSafe(sql.to_owned()))
                    .await
                    .unwrap();
            }
            Place::Postgres { url, .. } => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                connection
                    .execute(AssertSqlSafe(sql.to_owned()))
                    .await
                    .unwrap();
            }
        }
    }

    /// The URL of a Postgres database, the path of an SQLite file.
    pub(crate) fn address(&self) -> &str {
        match &self.place {
            Place::Sqlite { path, .. } => path.to_str().unwrap(),
            Place::Postgres { url, .. } => url,
        }
    }

    /// Removes it; a failed test leaves its Postgres database behind to be looked at.
    pub(crate) async fn remove(self) {
        if let Place::Postgres { base, name, .. } = self.place {
            drop_postgres_database(&base, &name).await;
        }
    }
}

pub(crate) async fn drop_postgres_database(base: &str, name: &str) {
    let mut connection = PgConnection::connect(base).await.unwrap();
    connection
        .execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)")))
        .await
        .unwrap();
}

/// Makes an empty Postgres database without a schema: its URL, the URL of its server, its name.
pub(crate) async fn new_postgres_database() -> Option<(String, String, String)> {
    let Ok(base) = std::env::var(URL_VARIABLE) else {
        let demanded = ["CI", "TREEHEAD_REQUIRE_POSTGRES"]
            .iter()
            .any(|name| std::env::var_os(name).is_some());
        assert!(!demanded, "{URL_VARIABLE} is not set: run scripts/test");
        println!("passed over: {URL_VARIABLE} is not set; scripts/test sets up a Postgres");
        return None;
    };
    let name = format!(
        "store_contract_{:016x}",
        RandomState::new().hash_one(std::process::id())
    );
    let mut connection = PgConnection::connect(&base).await.unwrap();
    connection
        .execute(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .await
        .unwrap();
    let (front, query) = base
        .split_once('?')
        .map_or((base.as_str(), String::new()), |(f, q)| {
            (f, format!("?{q}"))
        });
    let (server, _) = front.rsplit_once('/').unwrap();
    Some((format!("{server}/{name}{query}"), base, name))
}
