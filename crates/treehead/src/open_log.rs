//! From a claimed database and located key files to an open log, which is created if there is none.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger::key_file::KeyOrigin;
use ledger::store::{Store, TreeRow};
use ledger::{Ledger, OpenError, Settings, SystemClock};
use prometheus::Registry;
use ring::rand::SystemRandom;
use tlog::VerifyingKey;

use crate::banner::History;
use crate::config::Config;
use crate::create_log;
use crate::database::Database;
use crate::failure::{Failure, FailureKind, Outcome};
use crate::key_files::{KeyFiles, Keys};
use crate::witnesses;

/// An open log.
pub(crate) struct Log {
    pub ledger: Ledger,
    /// Key of the active tree.
    pub key: VerifyingKey,
    /// File of that key, or the folder that holds it.
    pub key_path: PathBuf,
    pub history: History,
}

/// Opens the log that the settings name. In an empty database it creates the log first, unless the
/// server is read-only.
pub(crate) async fn open_or_create(
    config: &Config,
    database: &Database,
    key_files: &KeyFiles,
    metrics: Registry,
) -> Outcome<Log> {
    let store = database.open().await?;
    let found = find(store.as_ref(), config, database, key_files).await?;
    let (keys, history) = match found {
        Some(tree) => {
            check_apis(config, database, &tree)?;
            (key_files.read(&tree)?, History::Known)
        }
        None if config.read_only => {
            let refused = format_args!(
                "{database}: there is no log to serve; a read-only server creates none"
            );
            return Err(Failure::new(FailureKind::Log, refused));
        }
        None => {
            let created = create_log::create(store.as_ref(), config, database, key_files).await?;
            (created.keys, created.history)
        }
    };
    let Keys {
        ring,
        ed25519,
        origin,
        in_log_file,
    } = keys;
    let settings = Settings {
        store,
        name: config.name.clone(),
        keys: ring,
        place: server_label(config),
        cosigner: ed25519,
        witnessing: witnesses::witnessing(config)?,
        clock: Arc::new(SystemClock),
        rng: SystemRandom::new(),
        metrics,
    };
    let ledger = Ledger::open(settings).await.map_err(|error| match error {
        OpenError::WrongKey { .. } if origin == KeyOrigin::Made => {
            lost_race(database, key_files.log(), &error)
        }
        error => failure(database, key_files.log(), &error),
    })?;
    let key = ledger.tree().log_key.clone();
    // After a rotation the key is in the folder of further keys.
    let key_path = if in_log_file == Some(key.log_id()) {
        key_files.log()
    } else {
        key_files.folder()
    };
    Ok(Log {
        key_path: key_path.to_owned(),
        ledger,
        key,
        history,
    })
}

/// Returns the log, or nothing if a new one is to be created.
async fn find(
    store: &dyn Store,
    config: &Config,
    database: &Database,
    key_files: &KeyFiles,
) -> Outcome<Option<TreeRow>> {
    let failed = |error: OpenError| failure(database, key_files.log(), &error);
    let name = config.name.as_deref();
    // Before the database is read: a key that appears later was created by a server that starts at
    // the same moment, and is shared.
    let checked = create_log::check_unnamed_key(database, key_files);
    let mut tree = ledger::find_log(store, name).await.map_err(failed)?;
    let Err(refusal) = checked else {
        return Ok(tree);
    };
    if tree.is_none() && store.is_shared() {
        let neighbour = create_log::wait_for_neighbour(store, name).await;
        tree = neighbour.map_err(failed)?;
    }
    tree.map(Some).ok_or(refusal)
}

/// Compares the APIs of the settings with those of the log, which never change.
fn check_apis(config: &Config, database: &Database, tree: &TreeRow) -> Outcome<()> {
    let given = config.apis.map_or(tree.apis, ledger::Apis::from);
    if given == tree.apis {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Log,
        format_args!(
            "{database}: the log {:?} was created with --apis {}, not {given}",
            tree.name, tree.apis
        ),
    ))
}

/// Returns what a rotation calls this server.
fn server_label(config: &Config) -> String {
    // A hardened unit may hide the first file.
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| fs::read_to_string("/etc/hostname"))
        .unwrap_or_default();
    let host = match hostname.trim() {
        "" => "unknown host",
        host => host,
    };
    let process = std::process::id();
    format!("{host}, process {process}, serving on {}", config.listen)
}

/// The failure of a server whose neighbour created the log first, under another key.
fn lost_race(database: &Database, key_path: &Path, error: &OpenError) -> Failure {
    Failure::new(
        FailureKind::Key,
        format_args!(
            "{database}: another server created the log at this moment: {error}. {} was created by \
             this start and has signed nothing; put the key of the log in its place",
            key_path.display()
        ),
    )
}

/// Maps the reason why a log cannot be opened to the message and exit code of the process.
pub(crate) fn failure(database: &Database, key_path: &Path, error: &OpenError) -> Failure {
    let at_key = format_args!("{}: {error}", key_path.display());
    let at_database = format_args!("{database}: {error}");
    match error {
        OpenError::Store(error) => database.failure(error),
        OpenError::WrongKey { .. } | OpenError::Unfinished { .. } | OpenError::KeyNotP256 => {
            Failure::new(FailureKind::Key, at_key)
        }
        OpenError::WrongCosigner { .. } | OpenError::CosignerNotEd25519 => {
            Failure::new(FailureKind::Key, error)
        }
        OpenError::WrongName { .. } | OpenError::Ambiguous(_) => {
            Failure::new(FailureKind::Log, at_database)
        }
        OpenError::WentBack(_) => Failure::new(FailureKind::DatabaseUnusable, at_database),
        OpenError::Quorum
        | OpenError::Witnessed
        | OpenError::BadName(_)
        | OpenError::NotHostName { .. } => Failure::new(FailureKind::Usage, error),
        OpenError::Signing(_) | OpenError::System(_) => Failure::new(FailureKind::Other, error),
    }
}
