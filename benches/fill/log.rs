//! Opens the ledger that `treehead serve` opens with the same settings, or makes it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use ledger::guard::memory::MemoryGuard;
use ledger::key_file;
use ledger::store::Store;
use ledger::store::postgres::PostgresStore;
use ledger::store::sqlite::SqliteStore;
use ledger::{APIS, KeyRing, Ledger, Log, NewLog, Settings, SystemClock, V1, V2};
use ring::rand::SystemRandom;
use tlog::{KeyAlgorithm, SigningKey};

/// The place of the ledger, in treehead's flags and environment.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// Folder for the SQLite database and the keys
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
    /// Name of the ledger [default for a new ledger: localhost]
    #[arg(long, env = "TREEHEAD_NAME", value_name = "NAME")]
    name: Option<String>,
}

/// An open ledger.
pub(crate) struct Opened {
    pub(crate) ledger: Ledger,
    /// The v1 log, which is filled.
    pub(crate) log: Log,
    /// Keeps a server off the SQLite database.
    _lock: Option<File>,
}

/// Fails where a server has the SQLite database open.
pub(crate) async fn open(place: &Place) -> Result<Opened> {
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
    let rng = SystemRandom::new();
    let key = |file: &str, algorithm: KeyAlgorithm| -> Result<SigningKey> {
        let (key, _) = key_file::read_or_make(&folder.join(file), &[algorithm], &rng)?;
        Ok(key)
    };
    let keys = [
        key("v1-log.pem", KeyAlgorithm::EcdsaP256)?,
        key("v1-checkpoint.pem", KeyAlgorithm::Ed25519)?,
        key("v2-log.pem", KeyAlgorithm::Ed25519)?,
    ];
    create(store.as_ref(), place.name.as_deref(), &keys).await?;
    let active = ledger::find_ledger(store.as_ref(), place.name.as_deref()).await?;
    let active = active.unwrap_or_default();
    let name = active.first().map(|tree| tree.name.clone());
    let name = name.unwrap_or_default();
    // The guard of a server is not asked: what is filled in is newer than all that it let out.
    let created = active.iter().map(|tree| tree.tree_id).collect();
    let settings = Settings {
        store,
        apis: &APIS,
        name: place.name.clone(),
        keys: KeyRing::new(keys),
        place: "treehead-fill".to_owned(),
        witnessing: None,
        guard: Arc::new(MemoryGuard::new(&name)),
        created,
        clock: Arc::new(SystemClock),
        rng: SystemRandom::new(),
        metrics: prometheus::Registry::new(),
    };
    let ledger = Ledger::open(settings).await?;
    let log = ledger.log(&V1).context("the ledger has no v1 log")?;
    Ok(Opened {
        log: log.clone(),
        ledger,
        _lock: lock,
    })
}

/// Creates both logs in a database without ledger.
async fn create(store: &dyn Store, name: Option<&str>, keys: &[SigningKey; 3]) -> Result<()> {
    if ledger::find_ledger(store, name).await?.is_some() {
        return Ok(());
    }
    let [v1, v1_checkpoint, v2] = keys.each_ref().map(|key| key.verifying_key().clone());
    let logs = [
        NewLog {
            api: &V1,
            origin: None,
            log_key: v1,
            checkpoint_key: Some(v1_checkpoint),
        },
        NewLog {
            api: &V2,
            origin: None,
            log_key: v2,
            checkpoint_key: None,
        },
    ];
    let name = name.unwrap_or(ledger::DEFAULT_NAME);
    ledger::create_logs(store, name, &logs, &SystemRandom::new()).await?;
    Ok(())
}

#[cfg(test)]
impl Place {
    pub(crate) fn in_folder(folder: &std::path::Path) -> Self {
        Self {
            data_dir: folder.to_owned(),
            database: None,
            name: None,
        }
    }
}
