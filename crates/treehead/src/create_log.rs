//! Creates a log: its key files, then its first tree.

use std::time::Duration;

use ledger::OpenError;
use ledger::store::{Store, TreeRow};
use ring::rand::SystemRandom;
use tlog::{SigningKey, VerifyingKey};
use tokio::time::sleep;

use crate::banner::History;
use crate::config::Config;
use crate::database::Database;
use crate::failure::{Failure, FailureKind, Outcome};
use crate::key_files::{KeyFiles, Keys};
use crate::open_log;

/// How long a server waits for the tree of another server that starts at the same moment and
/// created the key that they share. Creating the tree takes one transaction.
const NEIGHBOUR_PATIENCE: Duration = Duration::from_secs(5);
const NEIGHBOUR_LOOKS: u32 = 50;

/// The outcome of a start that found no log.
pub(crate) struct Created {
    pub keys: Keys,
    /// The public half of the log key.
    pub log_key: VerifyingKey,
    /// [`History::Known`] if another process created the tree at the same moment.
    pub history: History,
}

/// Refuses a log key that exists without a log and that no setting names: it may be what is left
/// of a log that was lost, and a new log under it would be a fork.
pub(crate) fn check_unnamed_key(database: &Database, key_files: &KeyFiles) -> Outcome<()> {
    let Some(path) = key_files.unnamed_log_key() else {
        return Ok(());
    };
    let path = path.display();
    Err(Failure::new(
        FailureKind::Log,
        format_args!(
            "{database} holds no log, but {path} exists: if that is the key of a log, find its \
             database; to create a new log with it all the same, give --key {path}"
        ),
    ))
}

/// Creates keys and tree in an empty database.
///
/// If we die between the two, the key exists and has signed nothing; the next start asks for it to
/// be named.
pub(crate) async fn create(
    store: &dyn Store,
    config: &Config,
    database: &Database,
    key_files: &KeyFiles,
) -> Outcome<Created> {
    let name = config.name_of_new_log()?;
    let apis = config.apis.map_or(ledger::Apis::Both, ledger::Apis::from);
    let (keys, log_key) = key_files.create()?;
    let ed25519 = keys.ed25519.as_ref().map(SigningKey::verifying_key);
    let rng = SystemRandom::new();
    let created = ledger::create_tree(store, name, apis, &log_key, ed25519, &rng).await;
    let is_ours = created.map_err(|error| open_log::failure(database, key_files.log(), &error))?;
    let history = if is_ours {
        History::New
    } else {
        History::Known
    };
    Ok(Created {
        keys,
        log_key,
        history,
    })
}

/// Waits for the tree of a server that starts at the same moment.
pub(crate) async fn wait_for_neighbour(
    store: &dyn Store,
    name: Option<&str>,
) -> Result<Option<TreeRow>, OpenError> {
    for _ in 0..NEIGHBOUR_LOOKS {
        sleep(NEIGHBOUR_PATIENCE / NEIGHBOUR_LOOKS).await;
        if let Some(tree) = ledger::find_log(store, name).await? {
            return Ok(Some(tree));
        }
    }
    Ok(None)
}
