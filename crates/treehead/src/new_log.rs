//! Makes a log: its key, then its tree.

use std::path::Path;
use std::time::Duration;

use ledger::OpenError;
use ledger::key_file::{self, KeyOrigin};
use ledger::store::{Store, TreeRow};
use ring::rand::SystemRandom;
use tlog::{KeyAlgorithm, SigningKey};
use tokio::time::sleep;

use crate::banner::History;
use crate::config::Config;
use crate::failure::{Failure, FailureKind, Outcome};
use crate::open::{self, Place};

/// How long a server waits for the tree of another that starts in the same moment and made the key
/// they share. Making the tree takes one transaction.
const NEIGHBOUR_PATIENCE: Duration = Duration::from_secs(5);
const NEIGHBOUR_LOOKS: u32 = 50;

/// What a start that found no log ended with.
pub(crate) struct Made {
    pub key: SigningKey,
    /// Whether this start made the key.
    pub origin: KeyOrigin,
    /// Whether this start made the tree, or another process did in the same moment.
    pub history: History,
}

/// Refuses a key that is there although nobody named it. One that was named is meant to be used;
/// one that is merely there may be what is left of a log that was lost, and a new log under it
/// would be a fork.
pub(crate) fn unexplained_key(config: &Config, place: &Place, key_path: &Path) -> Outcome<()> {
    if config.key.is_some() || !key_path.exists() {
        return Ok(());
    }
    let path = key_path.display();
    Err(Failure::new(
        FailureKind::Log,
        format_args!(
            "{place} holds no log, but {path} exists: if that is the key of a log, find its database; to make a new log with it \
             all the same, say so with --key {path}"
        ),
    ))
}

/// Makes key and tree in an empty database.
///
/// If we die between the two, the key is there and has signed nothing; the next start asks for it
/// to be named.
pub(crate) async fn make(
    store: &dyn Store,
    config: &Config,
    place: &Place,
    key_path: &Path,
) -> Outcome<Made> {
    let name = config.name_of_new_log()?;
    let (key, origin) =
        key_file::read_or_make(key_path, KeyAlgorithm::EcdsaP256, &SystemRandom::new())
            .map_err(|error| Failure::new(FailureKind::Key, error))?;
    let ed25519 = open::ed25519_key(config, History::New)?;
    let ed25519 = ed25519.as_ref().map(SigningKey::verifying_key);
    let apis = config.apis.map_or(ledger::Apis::Both, ledger::Apis::from);
    let made = ledger::create_tree(
        store,
        name,
        apis,
        key.verifying_key(),
        ed25519,
        &SystemRandom::new(),
    )
    .await;
    let made = made.map_err(|error| open::of_open(place, key_path, &error))?;
    Ok(Made {
        key,
        origin,
        history: if made { History::New } else { History::Known },
    })
}

/// Looks for the tree of a server that starts in the same moment.
pub(crate) async fn of_neighbour(
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
