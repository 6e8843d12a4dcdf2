//! From the configuration to a database, its key and the log in it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger::key_file::{self, KeyFileError};
use ledger::store::postgres::PostgresStore;
use ledger::store::sqlite::SqliteStore;
use ledger::store::{KeyRole, Store, StoreError, TreeRow};
use ledger::{KeyRing, OpenError, key_files};
use ring::rand::SystemRandom;
use tlog::{KeyAlgorithm, SigningKey};

use crate::banner::History;
use crate::config::Config;
use crate::data_folder::{self, FolderLock};
use crate::database_url::DatabaseUrl;
use crate::failure::{Explain, Failure, FailureKind, Outcome};

/// Where a log is, before it is opened. `Display` shows no password.
#[derive(Debug)]
pub(crate) enum Place {
    /// A file in the data folder, which is locked.
    Sqlite {
        /// The file; absent before the first start.
        file: PathBuf,
        /// Keeps another server off; none where nothing is to be written.
        _lock: Option<FolderLock>,
    },
    /// A database server.
    Postgres(DatabaseUrl),
}

impl Place {
    /// Makes and locks the data folder where the log is in it.
    pub(crate) fn claim(config: &Config) -> Outcome<Self> {
        if let Some(url) = config.database_url()? {
            // The keys may be in it.
            if config.data_dir.is_dir() {
                data_folder::check(&config.data_dir)?;
            }
            return Ok(Self::Postgres(url));
        }
        let folder = data_folder::make(&config.data_dir)?;
        data_folder::check(&folder)?;
        let lock = data_folder::lock(&folder)?;
        Ok(Self::Sqlite {
            file: data_folder::database(&folder),
            _lock: Some(lock),
        })
    }

    /// A log that is there already; makes and locks nothing.
    pub(crate) fn existing(config: &Config) -> Outcome<Self> {
        if let Some(url) = config.database_url()? {
            return Ok(Self::Postgres(url));
        }
        let file = std::path::absolute(data_folder::database(&config.data_dir));
        let file = file.explain(FailureKind::Log, config.data_dir.display())?;
        file.metadata().explain(
            FailureKind::Log,
            format_args!("no log in {}", file.display()),
        )?;
        Ok(Self::Sqlite { file, _lock: None })
    }

    /// Connects, making an empty database where there is none, and brings the schema up to date.
    pub(crate) async fn open(&self) -> Outcome<Arc<dyn Store>> {
        self.opened(match self {
            Self::Sqlite { file, .. } => SqliteStore::open(file).await.map(boxed),
            Self::Postgres(url) => PostgresStore::connect(url.secret()).await.map(boxed),
        })
    }

    /// Connects to a log that is there, and changes nothing.
    pub(crate) async fn open_existing(&self) -> Outcome<Arc<dyn Store>> {
        self.opened(match self {
            Self::Sqlite { file, .. } => SqliteStore::open_existing(file).await.map(boxed),
            Self::Postgres(url) => PostgresStore::connect_existing(url.secret())
                .await
                .map(boxed),
        })
    }

    fn opened(&self, store: Result<Arc<dyn Store>, StoreError>) -> Outcome<Arc<dyn Store>> {
        store.map_err(|error| of_store(self, &error))
    }
}

fn boxed(store: impl Store) -> Arc<dyn Store> {
    Arc::new(store)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { file, .. } => write!(f, "{} (SQLite)", file.display()),
            Self::Postgres(url) => write!(f, "{url}"),
        }
    }
}

/// The log key in the data folder.
const KEY_NAME: &str = "log-key.pem";

/// The absolute path of the log key. Makes the data folder if the key belongs there.
pub(crate) fn key_path(config: &Config) -> Outcome<PathBuf> {
    match &config.key {
        Some(path) => std::path::absolute(path).explain(FailureKind::Key, path.display()),
        None => Ok(data_folder::make(&config.data_dir)?.join(KEY_NAME)),
    }
}

/// The path of the log key, for messages.
pub(crate) fn key_path_shown(config: &Config) -> PathBuf {
    config
        .key
        .clone()
        .unwrap_or_else(|| config.data_dir.join(KEY_NAME))
}

/// The absolute path of the folder of further keys, which need not be there.
pub(crate) fn key_folder(config: &Config) -> Outcome<PathBuf> {
    let folder = config
        .key_dir
        .clone()
        .unwrap_or_else(|| config.data_dir.join("keys"));
    std::path::absolute(&folder).explain(FailureKind::Key, folder.display())
}

/// The keys of a log that exists: that of the file, if it is there, and those of the folder. None
/// is made here: a log without its key must not go on under another.
pub(crate) fn keys_of(tree: &TreeRow, config: &Config, path: &Path) -> Outcome<KeyRing> {
    let rng = SystemRandom::new();
    let (first, missing) = match key_file::read(path, KeyAlgorithm::EcdsaP256, &rng) {
        Ok(key) => (Some(key), false),
        Err(KeyFileError::Missing(_)) => (None, true),
        Err(error) => return Err(Failure::new(FailureKind::Key, error)),
    };
    let keys = KeyRing::new(first).with_folder(key_folder(config)?, &rng);
    let needed = tree
        .keys
        .iter()
        .find(|key| key.role == KeyRole::Log)
        .map(|key| tlog::sha256(&key.spki));
    if missing && needed.is_some_and(|log_id| keys.find(&log_id).is_none()) {
        return Err(Failure::new(
            FailureKind::Key,
            format_args!(
                "the log {:?} (tree {}) needs its key, log ID {}, and {} does not exist; restore that file from its copy, or say \
                 with --key where it is",
                tree.name,
                tree.tree_id,
                log_id(tree),
                path.display()
            ),
        ));
    }
    Ok(keys)
}

/// The key of a tree that is frozen, if it is at hand.
pub(crate) fn frozen_key(config: &Config, tree: &TreeRow) -> Outcome<Option<SigningKey>> {
    let rng = SystemRandom::new();
    let folder = key_folder(config)?;
    let files = key_files(&folder)
        .into_iter()
        .chain([key_path_shown(config)]);
    let mut keys =
        files.filter_map(|path| key_file::read(&path, KeyAlgorithm::EcdsaP256, &rng).ok());
    Ok(keys.find(|key| {
        tree.keys
            .iter()
            .any(|stored| stored.spki == key.verifying_key().spki())
    }))
}

/// The log's Ed25519 key, if it is to have one. It is made here only for a new log; that it is the
/// tree's is checked when the log is opened.
pub(crate) fn ed25519_key(config: &Config, history: History) -> Outcome<Option<SigningKey>> {
    let Some(path) = &config.ed25519_key else {
        return Ok(None);
    };
    let (rng, algorithm) = (SystemRandom::new(), KeyAlgorithm::Ed25519);
    let key = match history {
        History::New => key_file::read_or_make(path, algorithm, &rng).map(|(key, _)| key),
        History::Known => key_file::read(path, algorithm, &rng),
    };
    key.map(Some)
        .map_err(|error| Failure::new(FailureKind::Key, error))
}

/// Log ID of a stored tree; empty text if it has no log key, which [`ledger::Ledger::open`] then
/// says.
pub(crate) fn log_id(tree: &TreeRow) -> String {
    let key = tree.keys.iter().find(|key| key.role == KeyRole::Log);
    key.map(|key| tlog::sha256(&key.spki).to_string())
        .unwrap_or_default()
}

/// What the program says when the database does not do.
pub(crate) fn of_store(place: &Place, error: &StoreError) -> Failure {
    let kind = match error {
        StoreError::Unavailable(_) | StoreError::UnknownOutcome(_) | StoreError::Conflict(_) => {
            FailureKind::DatabaseUnavailable
        }
        StoreError::Data(_) | StoreError::Damaged(_) | StoreError::Unusable(_) => {
            FailureKind::DatabaseUnusable
        }
    };
    Failure::new(kind, format_args!("{place}: {error}"))
}

/// What the program says when the log does not open.
pub(crate) fn of_open(place: &Place, key_path: &Path, error: &OpenError) -> Failure {
    match error {
        OpenError::Store(error) => of_store(place, error),
        OpenError::WrongKey { .. } | OpenError::Unfinished { .. } | OpenError::KeyNotP256 => {
            Failure::new(
                FailureKind::Key,
                format_args!("{}: {error}", key_path.display()),
            )
        }
        OpenError::WrongName { .. } | OpenError::Ambiguous(_) => {
            Failure::new(FailureKind::Log, format_args!("{place}: {error}"))
        }
        OpenError::WrongCosigner { .. } | OpenError::CosignerNotEd25519 => {
            Failure::new(FailureKind::Key, error)
        }
        OpenError::Quorum | OpenError::Witnessed => Failure::new(FailureKind::Usage, error),
        OpenError::WentBack(_) => Failure::new(
            FailureKind::DatabaseUnusable,
            format_args!("{place}: {error}"),
        ),
        OpenError::BadName(_) | OpenError::NotHostName { .. } => {
            Failure::new(FailureKind::Usage, error)
        }
        OpenError::Signing(_) | OpenError::System(_) => Failure::new(FailureKind::Other, error),
    }
}
