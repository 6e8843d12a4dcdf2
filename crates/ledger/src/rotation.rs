//! The steps of a rotation, for the program that drives it: register the next key, wait for the
//! servers, freeze, finish.
//!
//! Servers that run notice a rotation by themselves and call nothing here.

use ring::rand::SecureRandom;
use tlog::{Hash, KeyAlgorithm, VerifyingKey};

use crate::open::Settings;
use crate::open_error::OpenError;
use crate::shards::finish;
use crate::shards::presence::LIVES_FOR;
use crate::shards::shard::LogParts;
use crate::shards::trees::random_tree_id;
use crate::store::{
    FinalCheckpoint, Freeze, HeadRow, KeyRole, KeyRow, ServerRow, Store, StoreError, StoreResult,
    TreeRow, TreeState,
};
use crate::{TreeId, check_name};

/// The reason why a log is not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The key or the origin cannot be used, or the database fails.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Two logs under one key have one ID.
    #[error("the key with log ID {0} is the key of a tree already: each tree has a key of its own")]
    UsedKey(Hash),
    /// Another rotation came between.
    #[error(
        "another rotation was faster, or registered another key: look at the log, then start again"
    )]
    Overtaken,
}

impl From<StoreError> for RotateError {
    fn from(error: StoreError) -> Self {
        Self::Open(error.into())
    }
}

/// Returns the default v2 origin of the `number`th tree of a log (the first is 1): a host name
/// below that of the log.
pub fn default_origin(name: &str, number: usize) -> String {
    format!("shard{number}.{name}")
}

/// Registers `key` as the key of the log's next tree. Its file MUST be durable before, because
/// servers look for it from now on.
pub async fn register(
    store: &dyn Store,
    name: &str,
    key: &VerifyingKey,
) -> Result<(), RotateError> {
    if key.algorithm() != KeyAlgorithm::EcdsaP256 {
        return Err(OpenError::KeyNotP256.into());
    }
    match store.register_next_key(name, key.spki()).await? {
        true => Ok(()),
        false => Err(RotateError::UsedKey(key.log_id())),
    }
}

/// Returns the log ID of the registered key.
pub async fn registered(store: &dyn Store, name: &str) -> StoreResult<Option<Hash>> {
    Ok(store.next_key(name).await?.map(|spki| tlog::sha256(&spki)))
}

/// Returns the last head of the newest frozen tree, if that rotation was not reported to the
/// operator yet (see [`mark_reported`]).
///
/// `trees` are those of the log, oldest first.
pub async fn unreported(store: &dyn Store, trees: &[TreeRow]) -> StoreResult<Option<HeadRow>> {
    let [.., frozen, active] = trees else {
        return Ok(None);
    };
    let registered = store.next_key(&active.name).await?;
    match registered.is_some_and(|spki| is_log_key(active, &spki)) {
        true => store.reader().newest_head(frozen.tree_id).await,
        false => Ok(None),
    }
}

/// Notes that the rotation to the tree `next` was reported to the operator. Until then, a command
/// that is run again reports that rotation and begins no other, because the first command may have
/// ended right after the freeze.
pub async fn mark_reported(store: &dyn Store, next: &TreeRow) -> StoreResult<()> {
    for key in next.keys.iter().filter(|key| key.role == KeyRole::Log) {
        store.forget_next_key(&next.name, &key.spki).await?;
    }
    Ok(())
}

fn is_log_key(tree: &TreeRow, spki: &[u8]) -> bool {
    tree.keys
        .iter()
        .any(|key| key.role == KeyRole::Log && key.spki == spki)
}

/// Returns the servers of the log that are alive, each with the keys that it holds.
pub async fn servers(store: &dyn Store, name: &str) -> StoreResult<Vec<ServerRow>> {
    store.servers(name, LIVES_FOR).await
}

/// Freezes `tree` and opens the next one. Durable on return.
pub async fn freeze(
    store: &dyn Store,
    tree: &TreeRow,
    key: &VerifyingKey,
    origin_v2: &str,
    rng: &dyn SecureRandom,
) -> Result<(TreeRow, HeadRow), RotateError> {
    check_name(origin_v2)?;
    let tree_id = random_tree_id(rng)?;
    let others = tree
        .keys
        .iter()
        .filter(|key| key.role != KeyRole::Log)
        .cloned();
    let next = TreeRow {
        tree_id,
        origin_v1: format!("{} - {tree_id}", tree.name),
        origin_v2: origin_v2.to_owned(),
        state: TreeState::Active,
        created_at: store.now_millis().await?.div_euclid(1_000),
        frozen_at: None,
        keys: [KeyRow {
            role: KeyRole::Log,
            spki: key.spki().to_vec(),
        }]
        .into_iter()
        .chain(others)
        .collect(),
        ..tree.clone()
    };
    let last = match freeze_with_retry(store, tree.tree_id, &next).await? {
        Freeze::Done(last) => last,
        Freeze::Refused => {
            let opened = store
                .trees()
                .await?
                .iter()
                .any(|row| row.tree_id == tree_id);
            let last = store
                .reader()
                .newest_head(tree.tree_id)
                .await?
                .filter(|_| opened);
            last.ok_or(RotateError::Overtaken)?
        }
    };
    Ok((
        TreeRow {
            first_log_index: tree.first_log_index + last.size.0,
            ..next
        },
        last,
    ))
}

/// Freezes the tree, again if the answer was lost: the second attempt waits for the lock, and so
/// for the end of the first one, and is refused if the tree is frozen. The trees show who froze it.
async fn freeze_with_retry(store: &dyn Store, tree: TreeId, next: &TreeRow) -> StoreResult<Freeze> {
    match store.freeze(tree, next).await {
        Err(lost @ (StoreError::UnknownOutcome(_) | StoreError::Unavailable(_))) => {
            tracing::warn!(error = %lost, "the outcome of the freeze is unknown; asking again");
            store.freeze(tree, next).await.map_err(|_| lost)
        }
        outcome => outcome,
    }
}

/// Returns the last checkpoints of a frozen tree once all its signed entry timestamps are stored.
/// Its key is not needed any more then.
pub async fn finished(store: &dyn Store, tree: &TreeRow) -> StoreResult<Option<FinalCheckpoint>> {
    store.final_checkpoint(tree.tree_id).await
}

/// Finishes a frozen tree with the given keys, as servers that run do by themselves. Heads that
/// need witnesses are left to the servers.
pub async fn finish(settings: Settings, tree: &TreeRow) -> Result<FinalCheckpoint, OpenError> {
    let parts = LogParts::new(settings, &tree.name)?;
    let shard = parts.open(tree).await?;
    let finished = finish::finish(&shard, parts.store.as_ref(), parts.clock.as_ref());
    finished
        .await
        .map_err(|error| OpenError::System(error.to_string()))
}
