//! The trees of a ledger as they are stored: finding them, making the first of each log.

use std::collections::HashSet;

use ring::rand::SecureRandom;
use tlog::{KeyAlgorithm, VerifyingKey};

use crate::api::{APIS, Api, HeadForm};
use crate::open_error::OpenError;
use crate::store::{KeyRole, KeyRow, Store, TreeRow, TreeState};
use crate::{TreeId, check_new_name};

/// The name of a ledger that was given none: clients accept it for `http://localhost:3000`.
pub const DEFAULT_NAME: &str = "localhost";

/// A log that is to be created.
#[derive(Debug)]
pub struct NewLog {
    /// The API by which it takes entries.
    pub api: &'static Api,
    /// Host name under which it is read, where that is not the ledger's name. Only a log whose heads
    /// are C2SP checkpoints alone has one.
    pub origin: Option<String>,
    /// Its log key.
    pub log_key: VerifyingKey,
    /// Its Ed25519 key for C2SP checkpoints, which a log with heads in Rekor v1's form has.
    pub checkpoint_key: Option<VerifyingKey>,
}

/// Creates the first trees of logs with their keys, in one transaction. Returns false, and creates
/// nothing, if the ledger has one of the logs. Fails if a key signs for another tree already.
pub async fn create_logs(
    store: &dyn Store,
    name: &str,
    logs: &[NewLog],
    rng: &dyn SecureRandom,
) -> Result<bool, OpenError> {
    check_new_name(name)?;
    let created_at = store.now_millis().await?.div_euclid(1_000);
    let rows = logs.iter().map(|log| log.first_tree(name, created_at, rng));
    let rows: Vec<TreeRow> = rows.collect::<Result<_, _>>()?;
    let stored = store.trees().await?;
    let is_there = |row: &TreeRow| {
        let mut logs = stored.iter().map(|tree| (&tree.name, &tree.api));
        logs.any(|log| log == (&row.name, &row.api))
    };
    if rows.iter().any(is_there) {
        return Ok(false);
    }
    check_unused(&stored, &rows)?;
    Ok(store.create_trees(&rows).await?)
}

/// Fails if a key of a new tree is given twice, or belongs to a stored tree. Two trees of one log
/// key could have one log ID.
fn check_unused(stored: &[TreeRow], new: &[TreeRow]) -> Result<(), OpenError> {
    let stored = stored.iter().flat_map(|tree| &tree.keys);
    let mut used: HashSet<&[u8]> = stored.map(|key| key.spki.as_slice()).collect();
    for key in new.iter().flat_map(|tree| &tree.keys) {
        if !used.insert(&key.spki) {
            return Err(OpenError::UsedKey(tlog::sha256(&key.spki)));
        }
    }
    Ok(())
}

impl NewLog {
    fn first_tree(
        &self,
        name: &str,
        created_at: i64,
        rng: &dyn SecureRandom,
    ) -> Result<TreeRow, OpenError> {
        check_log_key(self.api, &self.log_key)?;
        let ed25519 = |key: &&VerifyingKey| key.algorithm() == KeyAlgorithm::Ed25519;
        let checkpoint_key = match self.api.heads {
            HeadForm::RekorV1 => {
                let key = self.checkpoint_key.as_ref().filter(ed25519);
                Some(key.ok_or(OpenError::NoCheckpointKey(self.api))?)
            }
            HeadForm::Checkpoint => None,
        };
        if let Some(origin) = &self.origin {
            check_new_name(origin)?;
        }
        let tree_id = random_tree_id(rng)?;
        let keys = [
            Some(KeyRow::of(KeyRole::Log, &self.log_key)),
            checkpoint_key.map(|key| KeyRow::of(KeyRole::Checkpoint, key)),
        ];
        Ok(TreeRow {
            tree_id,
            name: name.to_owned(),
            api: self.api.name.to_owned(),
            origin: match self.api.heads {
                HeadForm::RekorV1 => tree_origin(name, tree_id),
                HeadForm::Checkpoint => self.origin.clone().unwrap_or_else(|| name.to_owned()),
            },
            first_log_index: 0,
            max_leaf_bytes: self.api.max_leaf_bytes,
            state: TreeState::Active,
            created_at,
            frozen_at: None,
            keys: keys.into_iter().flatten().collect(),
        })
    }
}

impl KeyRow {
    /// Makes the row of a public key.
    pub(crate) fn of(role: KeyRole, key: &VerifyingKey) -> Self {
        Self {
            role,
            spki: key.spki().to_vec(),
        }
    }
}

/// Fails if the log key of a log of this API cannot have the algorithm of `key`.
pub(crate) fn check_log_key(api: &'static Api, key: &VerifyingKey) -> Result<(), OpenError> {
    if api.takes_key(key.algorithm()) {
        Ok(())
    } else {
        Err(OpenError::WrongAlgorithm { api })
    }
}

/// Returns the origin of the C2SP checkpoints of a tree whose log has no host name of its own: the
/// place at which the tree is read.
pub(crate) fn tree_origin(name: &str, tree: TreeId) -> String {
    format!("{name}/trees/{tree}")
}

/// Returns the active tree of each log of the ledger of that name, or of the only ledger there is,
/// in the order of [`APIS`]; `None` in an empty database.
pub async fn find_ledger(
    store: &dyn Store,
    name: Option<&str>,
) -> Result<Option<Vec<TreeRow>>, OpenError> {
    let trees = store.trees().await?;
    let active = trees.into_iter();
    let active = active.filter(|row| row.state == TreeState::Active);
    choose(active.collect(), name)
}

fn choose(mut active: Vec<TreeRow>, name: Option<&str>) -> Result<Option<Vec<TreeRow>>, OpenError> {
    let mut names: Vec<&str> = active.iter().map(|row| row.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let held = || {
        let held = names.iter().map(|name| format!("the ledger {name:?}"));
        held.collect::<Vec<_>>().join(", ")
    };
    let name = match (name, &names[..]) {
        (_, []) => return Ok(None),
        (None, [only]) => (*only).to_owned(),
        (None, _) => return Err(OpenError::Ambiguous(held())),
        (Some(wanted), held) if held.contains(&wanted) => wanted.to_owned(),
        (Some(wanted), _) => {
            return Err(OpenError::WrongName {
                held: held(),
                wanted: wanted.to_owned(),
            });
        }
    };
    active.retain(|row| row.name == name);
    // A log of an API that this release does not know comes last.
    let place = |row: &TreeRow| APIS.iter().position(|api| api.name == row.api);
    active.sort_by_key(|row| place(row).unwrap_or(APIS.len()));
    Ok(Some(active))
}

/// Positive and random, so that two trees never share entry IDs.
pub(crate) fn random_tree_id(rng: &dyn SecureRandom) -> Result<TreeId, OpenError> {
    let mut bytes = [0; 8];
    rng.fill(&mut bytes)
        .map_err(|_| OpenError::System("the system gives no random numbers".into()))?;
    Ok(TreeId((i64::from_be_bytes(bytes) & i64::MAX).max(1)))
}
