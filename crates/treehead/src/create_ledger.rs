//! Creates a ledger: the key files of its logs, then the first tree of each.

use std::time::Duration;

use ledger::store::{Store, TreeRow};
use ledger::{Api, OpenError};
use ring::rand::SystemRandom;
use tokio::time::sleep;

use crate::banner::History;
use crate::config::NewLogs;
use crate::database::Database;
use crate::failure::{Failure, FailureKind, Outcome};
use crate::key_files::{KeyFiles, Keys};
use crate::open_ledger;

/// How long a server waits for the trees of another server that starts at the same moment and
/// created the keys that they share. Creating the trees takes one transaction.
const NEIGHBOUR_PATIENCE: Duration = Duration::from_secs(5);
const NEIGHBOUR_LOOKS: u32 = 50;

/// Refuses a key file that exists without its log and that no setting names: it may be what is left
/// of a log that was lost, and a new log under it would be a fork.
pub(crate) fn check_unnamed_keys(
    database: &Database,
    key_files: &KeyFiles,
    apis: &[&'static Api],
) -> Outcome<()> {
    let Some(file) = key_files.unnamed(apis) else {
        return Ok(());
    };
    let (path, flag) = (file.path.display(), file.flag);
    Err(Failure::new(
        FailureKind::Log,
        format_args!(
            "{database} holds no log of the key {path}, which exists: if that is the key of a log, \
             find its database; to create a new log with it all the same, give {flag} {path}"
        ),
    ))
}

/// Creates the keys and the first trees of logs that the database does not hold. Returns
/// [`History::Known`] if another process created one of them at the same moment.
///
/// If we die between the two, the keys exist and have signed nothing; the next start asks for them
/// to be named.
pub(crate) async fn create(
    store: &dyn Store,
    new: &NewLogs<'_>,
    database: &Database,
    key_files: &KeyFiles,
) -> Outcome<(Keys, History)> {
    let (keys, logs) = key_files.create(&new.apis)?;
    let created = ledger::create_logs(store, new.name, &logs, &SystemRandom::new()).await;
    let is_ours = created.map_err(|error| open_ledger::failure(database, &error))?;
    let history = if is_ours {
        History::New
    } else {
        History::Known
    };
    Ok((keys, history))
}

/// Returns the active trees of a ledger that was just created.
pub(crate) async fn trees(
    store: &dyn Store,
    database: &Database,
    name: &str,
) -> Outcome<Vec<TreeRow>> {
    let found = ledger::find_ledger(store, Some(name)).await;
    let found = found.map_err(|error| open_ledger::failure(database, &error))?;
    Ok(found.unwrap_or_default())
}

/// Waits for the trees of a server that starts at the same moment.
pub(crate) async fn wait_for_neighbour(
    store: &dyn Store,
    name: Option<&str>,
) -> Result<Option<Vec<TreeRow>>, OpenError> {
    for _ in 0..NEIGHBOUR_LOOKS {
        sleep(NEIGHBOUR_PATIENCE / NEIGHBOUR_LOOKS).await;
        if let Some(trees) = ledger::find_ledger(store, name).await? {
            return Ok(Some(trees));
        }
    }
    Ok(None)
}
