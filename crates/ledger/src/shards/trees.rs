//! The trees of a log as they are stored: finding them, making the first.

use ring::rand::SecureRandom;
use tlog::{KeyAlgorithm, VerifyingKey};

use crate::open_error::OpenError;
use crate::store::{KeyRole, KeyRow, Store, StoreError, TreeRow, TreeState};
use crate::{Apis, TreeId, check_new_name};

/// The name of a log that was given none: clients accept it for `http://localhost:3000`.
pub const DEFAULT_NAME: &str = "localhost";
/// Largest leaf of a tree that serves tiles: an entry bundle gives its length in 16 bits (C2SP
/// tlog-tiles).
pub const MAX_LEAF_BYTES: u32 = 65_535;
/// Largest leaf of a tree without tiles: sixteen times that, an eighth of a round.
pub const MAX_V1_LEAF_BYTES: u32 = 1024 * 1024;

/// Creates the first tree of a log with its keys in one transaction. False if a log of that name
/// exists already.
pub async fn create_tree(
    store: &dyn Store,
    name: &str,
    apis: Apis,
    key: &VerifyingKey,
    cosigner: Option<&VerifyingKey>,
    rng: &dyn SecureRandom,
) -> Result<bool, OpenError> {
    check_new_name(name)?;
    if key.algorithm() != KeyAlgorithm::EcdsaP256 {
        return Err(OpenError::KeyNotP256);
    }
    if cosigner.is_some_and(|key| key.algorithm() != KeyAlgorithm::Ed25519) {
        return Err(OpenError::CosignerNotEd25519);
    }
    let log_key = KeyRow {
        role: KeyRole::Log,
        spki: key.spki().to_vec(),
    };
    let cosigner = cosigner.map(|key| KeyRow {
        role: KeyRole::Cosigner,
        spki: key.spki().to_vec(),
    });
    let tree_id = random_tree_id(rng)?;
    let row = TreeRow {
        tree_id,
        name: name.to_owned(),
        origin_v1: format!("{name} - {tree_id}"),
        origin_v2: name.to_owned(),
        first_log_index: 0,
        max_leaf_bytes: if apis.takes_v2() {
            MAX_LEAF_BYTES
        } else {
            MAX_V1_LEAF_BYTES
        },
        apis,
        state: TreeState::Active,
        created_at: store.now_millis().await?.div_euclid(1_000),
        frozen_at: None,
        keys: [log_key].into_iter().chain(cosigner).collect(),
    };
    Ok(store.create_tree(&row).await?)
}

/// Returns the active trees, one per log.
pub async fn active_trees(store: &dyn Store) -> Result<Vec<TreeRow>, StoreError> {
    Ok(store
        .trees()
        .await?
        .into_iter()
        .filter(|row| row.state == TreeState::Active)
        .collect())
}

/// Returns the active tree of the log of that name, or of the only log there is; `None` in an empty
/// database.
pub async fn find_log(store: &dyn Store, name: Option<&str>) -> Result<Option<TreeRow>, OpenError> {
    choose(active_trees(store).await?, name)
}

fn choose(active: Vec<TreeRow>, name: Option<&str>) -> Result<Option<TreeRow>, OpenError> {
    let held = active
        .iter()
        .map(|row| format!("the log {:?}", row.name))
        .collect::<Vec<_>>()
        .join(", ");
    let (none_held, several) = (active.is_empty(), active.len() > 1);
    match name {
        _ if none_held => Ok(None),
        None if several => Err(OpenError::Ambiguous(held)),
        None => Ok(active.into_iter().next()),
        Some(wanted) => match active.into_iter().find(|row| row.name == wanted) {
            Some(row) => Ok(Some(row)),
            None => Err(OpenError::WrongName {
                held,
                wanted: wanted.to_owned(),
            }),
        },
    }
}

/// Positive and random, so that two logs never share entry IDs.
pub(crate) fn random_tree_id(rng: &dyn SecureRandom) -> Result<TreeId, OpenError> {
    let mut bytes = [0; 8];
    rng.fill(&mut bytes)
        .map_err(|_| OpenError::System("the system gives no random numbers".into()))?;
    Ok(TreeId((i64::from_be_bytes(bytes) & i64::MAX).max(1)))
}

/// Refuses another Ed25519 key than the tree's: it is given when the log is made, and never
/// silently added, dropped or replaced.
pub fn check_cosigner(row: &TreeRow, key: Option<&VerifyingKey>) -> Result<(), OpenError> {
    let stored = row
        .keys
        .iter()
        .find(|stored| stored.role == KeyRole::Cosigner);
    if stored.map(|stored| stored.spki.as_slice()) == key.map(VerifyingKey::spki) {
        return Ok(());
    }
    let wanted = match stored {
        Some(stored) => format!(
            "needs the one whose SPKI has SHA-256 {}",
            tlog::sha256(&stored.spki)
        ),
        None => "was made without one".to_owned(),
    };
    Err(OpenError::WrongCosigner {
        name: row.name.clone(),
        tree: row.tree_id,
        wanted,
    })
}
