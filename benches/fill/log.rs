//! Opens the log that `treehead serve` opens with the same settings, or makes it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use ledger::key_file;
use ledger::store::Store;
use ledger::store::postgres::PostgresStore;
use ledger::store::sqlite::SqliteStore;
use ledger::{KeyRing, Ledger, Settings, SystemClock};
use ring::rand::SystemRandom;
use tlog::KeyAlgorithm;

/// Where the log is, in treehead's flags and environment.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// Folder for the SQLite database and the log key
    #[arg(
        long,
        env = "TREEHEAD_DATA_DIR",
        value_name = "FOLDER",
        default_value = "./treehead-data"
    )]
    data_dir: PathBuf,
    /// Postgres database to use instead of SQLite, `postgres://…`
    #[arg(
        long,
        env = "TREEHEAD_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    database: Option<String>,
    /// File of the log's private key, made if it is absent [default: log-key.pem in the data
    /// folder]
    #[arg(long, env = "TREEHEAD_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Name of the log [default for a new log: localhost]
    #[arg(long, env = "TREEHEAD_NAME", value_name = "NAME")]
    name: Option<String>,
}

/// An open log.
pub(crate) struct Log {
    pub(crate) ledger: Ledger,
    /// Keeps a server off the SQLite database.
    _lock: Option<File>,
}

/// Fails where a server has the SQLite database open.
pub(crate) async fn open(place: &Place) -> Result<Log> {
    let folder = &place.data_dir;
    let shown = || folder.display().to_string();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(shown)?;
    let (store, lock): (Arc<dyn Store>, _) = match &place.database {
        Some(url) => (Arc::new(PostgresStore::connect(url).await?), None),
        None => {
            let lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(folder.join("treehead.lock"))?;
            lock.try_lock()
                .with_context(|| format!("{} is in use", folder.display()))?;
            (
                Arc::new(SqliteStore::open(&folder.join("treehead.db")).await?),
                Some(lock),
            )
        }
    };
    let key_path = place
        .key
        .clone()
        .unwrap_or_else(|| folder.join("log-key.pem"));
    let (key, _) =
        key_file::read_or_make(&key_path, KeyAlgorithm::EcdsaP256, &SystemRandom::new())?;
    let settings = Settings {
        store,
        name: place.name.clone(),
        keys: KeyRing::new([key]),
        place: "treehead-fill".to_owned(),
        cosigner: None,
        witnessing: None,
        clock: Arc::new(SystemClock),
        rng: SystemRandom::new(),
        metrics: prometheus::Registry::new(),
    };
    Ok(Log {
        ledger: Ledger::open(settings).await?,
        _lock: lock,
    })
}

#[cfg(test)]
impl Place {
    pub(crate) fn in_folder(folder: &std::path::Path) -> Self {
        Self {
            data_dir: folder.to_owned(),
            database: None,
            key: None,
            name: None,
        }
    }
}
