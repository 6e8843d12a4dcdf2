//! What `--from` names: a copy of the database, or a server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger::recover::{DatabaseCopy, Source};
use ledger::store::Store;
use ledger::store::postgres::PostgresStore;
use ledger::store::sqlite::SqliteStore;

use super::peer::Peer;
use crate::data_folder;
use crate::database::Database;
use crate::database_url::DatabaseUrl;
use crate::failure::{Explain, Failure, FailureKind, Outcome};

/// A source that was not opened yet.
pub(super) enum From {
    File(PathBuf),
    Postgres(DatabaseUrl),
    Server(String),
}

impl From {
    /// Reads the value of `--from`.
    pub(super) fn parse(text: &str) -> Outcome<Self> {
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Self::Server(text.trim_end_matches('/').to_owned()));
        }
        if text.contains("://") {
            let url = DatabaseUrl::from(text.to_owned());
            url.check().explain(FailureKind::Usage, "--from")?;
            return Ok(Self::Postgres(url));
        }
        let path = Path::new(text);
        let file = match path.is_dir() {
            true => data_folder::database(path),
            false => path.to_owned(),
        };
        let absent = format_args!("--from {}", file.display());
        let file = file.canonicalize().explain(FailureKind::Usage, absent)?;
        Ok(Self::File(file))
    }

    /// Refuses the database itself.
    pub(super) fn check_is_another(&self, database: &Database) -> Outcome<()> {
        let is_same = match (self, database) {
            (Self::File(copy), Database::Sqlite { file, .. }) => {
                file.canonicalize().is_ok_and(|file| file == *copy)
            }
            (Self::Postgres(copy), Database::Postgres(url)) => copy == url,
            _ => false,
        };
        match is_same {
            false => Ok(()),
            true => Err(Failure::new(
                FailureKind::Usage,
                format_args!("--from names {database} itself, not another copy of it"),
            )),
        }
    }

    /// Opens the source.
    pub(super) async fn open(&self) -> Outcome<Box<dyn Source>> {
        let label = match self {
            Self::File(file) => file.display().to_string(),
            Self::Postgres(url) => url.to_string(),
            Self::Server(url) => {
                let peer = Peer::new(url).explain(FailureKind::Usage, "--from")?;
                return Ok(Box::new(peer));
            }
        };
        let opened = match self {
            Self::Postgres(url) => {
                let connected = PostgresStore::connect_existing(url.secret()).await;
                connected.map(|store| Arc::new(store) as Arc<dyn Store>)
            }
            Self::File(file) => {
                let opened = SqliteStore::open_existing(file).await;
                opened.map(|store| Arc::new(store) as Arc<dyn Store>)
            }
            Self::Server(_) => return Err(Failure::new(FailureKind::Usage, "--from")),
        };
        let store = opened.explain(FailureKind::NotRecovered, &label)?;
        Ok(Box::new(DatabaseCopy::new(store, label)))
    }
}
