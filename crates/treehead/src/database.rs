//! The database of a ledger, before it is opened and while it is.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use ledger::rotation;
use ledger::store::postgres::PostgresStore;
use ledger::store::sqlite::SqliteStore;
use ledger::store::{Store, StoreError};

use crate::config::Config;
use crate::data_folder::{self, FolderLock};
use crate::database_url::DatabaseUrl;
use crate::failure::{Explain, Failure, FailureKind, Outcome};

/// Where a ledger is stored. `Display` shows no password.
#[derive(Debug)]
pub(crate) enum Database {
    /// A file in the data folder.
    Sqlite {
        /// The file; absent before the first start.
        file: PathBuf,
        /// Keeps another server off. Commands that only read hold no lock.
        _lock: Option<FolderLock>,
    },
    /// A database server.
    Postgres(DatabaseUrl),
}

impl Database {
    /// Claims the database for a server. With SQLite this creates and locks the data folder.
    pub(crate) fn claim(config: &Config) -> Outcome<Self> {
        match config.database_url()? {
            Some(url) => Self::claim_postgres(config, url),
            None => Self::claim_sqlite(config),
        }
    }

    /// Claims a database that exists. If the SQLite file is absent, this fails and creates nothing.
    pub(crate) fn claim_existing(config: &Config) -> Outcome<Self> {
        match Self::existing(config)? {
            Self::Postgres(url) => Self::claim_postgres(config, url),
            Self::Sqlite { .. } => Self::claim_sqlite(config),
        }
    }

    fn claim_postgres(config: &Config, url: DatabaseUrl) -> Outcome<Self> {
        // The keys may be in it.
        if config.data_dir.is_dir() {
            data_folder::warn_of_exposure(&config.data_dir)?;
        }
        Ok(Self::Postgres(url))
    }

    fn claim_sqlite(config: &Config) -> Outcome<Self> {
        let folder = data_folder::create(&config.data_dir)?;
        data_folder::warn_of_exposure(&folder)?;
        let lock = data_folder::lock(&folder)?;
        Ok(Self::Sqlite {
            file: data_folder::database(&folder),
            _lock: Some(lock),
        })
    }

    /// Returns a database that exists, without creating or locking anything.
    pub(crate) fn existing(config: &Config) -> Outcome<Self> {
        if let Some(url) = config.database_url()? {
            return Ok(Self::Postgres(url));
        }
        let file = std::path::absolute(data_folder::database(&config.data_dir));
        let file = file.explain(FailureKind::Log, config.data_dir.display())?;
        let absent = format_args!("there is no ledger in {}", file.display());
        file.metadata().explain(FailureKind::Log, absent)?;
        Ok(Self::Sqlite { file, _lock: None })
    }

    /// Connects, creating a database file where there is none, and brings the schema up to date.
    pub(crate) async fn open(&self) -> Outcome<Arc<dyn Store>> {
        let opened = match self {
            Self::Sqlite { file, .. } => SqliteStore::open(file).await.map(shared),
            Self::Postgres(url) => PostgresStore::connect(url.secret()).await.map(shared),
        };
        opened.map_err(|error| self.failure(&error))
    }

    /// Connects to a database that exists, for reading alone: on Postgres a standby will do.
    pub(crate) async fn open_to_read(&self) -> Outcome<Arc<dyn Store>> {
        let Self::Postgres(url) = self else {
            return self.open_existing().await;
        };
        let connected = PostgresStore::connect_to_read(url.secret()).await;
        connected.map(shared).map_err(|error| self.failure(&error))
    }

    /// Connects to a database that exists, and leaves its schema as it is.
    pub(crate) async fn open_existing(&self) -> Outcome<Arc<dyn Store>> {
        let opened = match self {
            Self::Sqlite { file, .. } => SqliteStore::open_existing(file).await.map(shared),
            Self::Postgres(url) => {
                let connected = PostgresStore::connect_existing(url.secret()).await;
                connected.map(shared)
            }
        };
        opened.map_err(|error| self.failure(&error))
    }

    /// Refuses to go on while servers of the ledger run on a shared database.
    pub(crate) async fn refuse_servers(&self, store: &dyn Store, ledger: &str) -> Outcome<()> {
        let servers = rotation::servers(store, ledger).await;
        let servers = servers.map_err(|error| self.failure(&error))?;
        if servers.is_empty() || !store.is_shared() {
            return Ok(());
        }
        let places: Vec<&str> = servers.iter().map(|server| server.place.as_str()).collect();
        Err(Failure::new(
            FailureKind::InUse,
            format_args!(
                "{self} is served: stop {} first. A server that was killed counts for 30 s",
                places.join("; ")
            ),
        ))
    }

    /// Maps a database error to the message and exit code of the process.
    pub(crate) fn failure(&self, error: &StoreError) -> Failure {
        let kind = match error {
            StoreError::Unavailable(_)
            | StoreError::UnknownOutcome(_)
            | StoreError::Conflict(_) => FailureKind::DatabaseUnavailable,
            StoreError::Data(_) | StoreError::Damaged(_) | StoreError::Unusable(_) => {
                FailureKind::DatabaseUnusable
            }
        };
        Failure::new(kind, format_args!("{self}: {error}"))
    }
}

fn shared(store: impl Store) -> Arc<dyn Store> {
    Arc::new(store)
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { file, .. } => write!(f, "{} (SQLite)", file.display()),
            Self::Postgres(url) => write!(f, "{url}"),
        }
    }
}
