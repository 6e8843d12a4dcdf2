//! The steps of a rotation of one log, for the program that drives it: register the next key, wait
//! for the servers, freeze, finish.
//!
//! Servers that run notice a rotation by themselves and call nothing here. Until the freeze the
//! only trace of a rotation is the registered key, so [`unregister`] takes all of it back.

use std::sync::Arc;

use ring::rand::SecureRandom;
use tlog::{Hash, VerifyingKey};

use crate::api::{Api, HeadForm};
use crate::guard::floor::{Floors, Verdict};
use crate::guard::place::Guard;
use crate::heads::publication::{Publication, Witnessing};
use crate::open::Settings;
use crate::open_error::OpenError;
use crate::parts::{LedgerParts, LogParts};
use crate::presence::LIVES_FOR;
use crate::shards::finish;
use crate::shards::shard::Shard;
use crate::shards::trees::{check_log_key, random_tree_id, tree_origin};
use crate::store::{
    FinalCheckpoint, Freeze, HeadRow, KeyRole, KeyRow, LogName, ServerRow, Store, StoreError,
    StoreResult, TreeRow, TreeState,
};
use crate::{TreeId, check_name};

/// The reason why a log is not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The key or the origin cannot be used, or the database fails.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A log key signs for one tree, in one form.
    #[error(
        "the key with SHA-256 {0} belongs to another tree already, or is registered for the next tree of another log: each tree has a log key of its own"
    )]
    UsedKey(Hash),
    /// Another rotation came between.
    #[error(
        "another run of this command rotated the log, registered another key or aborted the \
         rotation: look at the log, then start again"
    )]
    Overtaken,
    /// Nothing can be taken back after the freeze.
    #[error(
        "the rotation cannot be aborted any more: the tree of the registered key is open, and a \
         frozen tree takes no entries again"
    )]
    Frozen,
}

impl From<StoreError> for RotateError {
    fn from(error: StoreError) -> Self {
        Self::Open(error.into())
    }
}

/// Returns the default origin of the `number`th tree of a log whose first tree has the origin
/// `first` (a number of 1): a host name below it.
///
/// The origin of a tree of Rekor v1 follows from its tree ID.
pub fn default_origin(first: &str, number: usize) -> String {
    format!("shard{number}.{first}")
}

/// Fails if `tree` could not be finished with these witnesses once it is frozen: their policy cannot
/// be met, or there is none although the tree was published with witnesses. Changes nothing.
pub async fn check_witnessing(
    store: &dyn Store,
    tree: &TreeRow,
    witnessing: Option<&Witnessing>,
) -> Result<(), OpenError> {
    let published = store.reader().newest_publication(tree.tree_id).await?;
    match Publication::new(witnessing.cloned())? {
        Publication::AtOnce if published.is_some() => Err(OpenError::Witnessed),
        Publication::AtOnce | Publication::Witnessed(_) => Ok(()),
    }
}

/// Registers `key` as the key of the next tree of the log of `tree`, in place of one that was
/// registered before. Its file MUST be durable before, because servers look for it from now on.
pub async fn register(
    store: &dyn Store,
    tree: &TreeRow,
    key: &VerifyingKey,
) -> Result<(), RotateError> {
    check_log_key(api_of(tree)?, key)?;
    match store.register_next_key(log_of(tree), key.spki()).await? {
        true => Ok(()),
        false => Err(RotateError::UsedKey(tlog::sha256(key.spki()))),
    }
}

/// Removes the registered key of the log of `tree`, so that no rotation is begun any more. Returns
/// its SHA-256, or nothing if no key was registered. Durable on return.
///
/// Fails with [`RotateError::Frozen`], and changes nothing, if the tree of that key is open: that
/// rotation is to be reported, not taken back.
pub async fn unregister(store: &dyn Store, tree: &TreeRow) -> Result<Option<Hash>, RotateError> {
    let Some(spki) = store.next_key(log_of(tree)).await? else {
        return Ok(None);
    };
    let log = log_of(tree);
    if store.withdraw_next_key(tree.tree_id, log, &spki).await? {
        return Ok(Some(tlog::sha256(&spki)));
    }
    match store.next_key(log).await? {
        Some(registered) if registered == spki => Err(RotateError::Frozen),
        Some(_) => Err(RotateError::Overtaken),
        // Another run aborted it, or reported it, at this moment.
        None => Ok(None),
    }
}

/// Returns SHA-256 of the SPKI of the registered key of the log of `tree`.
pub async fn registered(store: &dyn Store, tree: &TreeRow) -> StoreResult<Option<Hash>> {
    let registered = store.next_key(log_of(tree)).await?;
    Ok(registered.map(|spki| tlog::sha256(&spki)))
}

/// Returns the last head of the newest frozen tree, if that rotation was not reported to the
/// operator yet (see [`mark_reported`]).
///
/// `trees` are those of one log, oldest first.
pub async fn unreported(store: &dyn Store, trees: &[TreeRow]) -> StoreResult<Option<HeadRow>> {
    let [.., frozen, active] = trees else {
        return Ok(None);
    };
    let registered = store.next_key(log_of(active)).await?;
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
        store.forget_next_key(log_of(next), &key.spki).await?;
    }
    Ok(())
}

fn log_of(tree: &TreeRow) -> LogName<'_> {
    LogName {
        name: &tree.name,
        api: &tree.api,
    }
}

fn api_of(tree: &TreeRow) -> Result<&'static Api, OpenError> {
    Api::by_name(&tree.api).ok_or_else(|| OpenError::UnknownApi(tree.api.clone()))
}

fn is_log_key(tree: &TreeRow, spki: &[u8]) -> bool {
    tree.keys
        .iter()
        .any(|key| key.role == KeyRole::Log && key.spki == spki)
}

/// Returns the servers of the ledger `name` that are alive, each with the keys that it holds.
pub async fn servers(store: &dyn Store, name: &str) -> StoreResult<Vec<ServerRow>> {
    store.servers(name, LIVES_FOR).await
}

/// Freezes `tree` and opens the next one of its log. Durable on return.
///
/// `origin` is the C2SP origin of the next tree. It MUST be given, except in a log of Rekor v1,
/// where the tree ID decides it.
///
/// Fails with [`RotateError::Overtaken`] if another run came between. `key` is not registered any
/// more then, unless a tree has it: it would begin the next rotation, which nobody asked for.
pub async fn freeze(
    store: &dyn Store,
    tree: &TreeRow,
    key: &VerifyingKey,
    origin: Option<&str>,
    rng: &dyn SecureRandom,
) -> Result<(TreeRow, HeadRow), RotateError> {
    freeze_from(store, tree, key, origin, tree.first_log_index, rng).await
}

/// As [`freeze`], with a next tree that begins at the log index `first_log_index` if that lies
/// beyond the end of `tree`. No entry has the log indexes between.
pub(crate) async fn freeze_from(
    store: &dyn Store,
    tree: &TreeRow,
    key: &VerifyingKey,
    origin: Option<&str>,
    first_log_index: u64,
    rng: &dyn SecureRandom,
) -> Result<(TreeRow, HeadRow), RotateError> {
    let tree_id = random_tree_id(rng)?;
    let next = TreeRow {
        first_log_index,
        ..next_tree(store, tree, tree_id, key, origin).await?
    };
    let last = match freeze_with_retry(store, tree.tree_id, &next).await? {
        Freeze::Done(last) => last,
        Freeze::Refused => {
            let trees = store.trees().await?;
            let is_open = trees.iter().any(|row| row.tree_id == tree_id);
            let newest = store.reader().newest_head(tree.tree_id).await?;
            match newest.filter(|_| is_open) {
                Some(last) => last,
                None => return Err(overtaken(store, tree, key).await),
            }
        }
    };
    let end = tree.first_log_index + last.size.0;
    Ok((
        TreeRow {
            first_log_index: first_log_index.max(end),
            ..next
        },
        last,
    ))
}

/// Withdraws the key that this run registered beside or after the rotation of another run.
async fn overtaken(store: &dyn Store, tree: &TreeRow, key: &VerifyingKey) -> RotateError {
    let withdrawn = store.withdraw_next_key(tree.tree_id, log_of(tree), key.spki());
    match withdrawn.await {
        Ok(_) => RotateError::Overtaken,
        Err(error) => error.into(),
    }
}

/// Returns the row of the tree that follows `tree`. It keeps all keys but the log key.
async fn next_tree(
    store: &dyn Store,
    tree: &TreeRow,
    tree_id: TreeId,
    key: &VerifyingKey,
    origin: Option<&str>,
) -> Result<TreeRow, OpenError> {
    let origin = match api_of(tree)?.heads {
        HeadForm::RekorV1 => tree_origin(&tree.name, tree_id),
        HeadForm::Checkpoint => {
            let origin = origin.unwrap_or_default();
            check_name(origin)?;
            origin.to_owned()
        }
    };
    let log_key = KeyRow::of(KeyRole::Log, key);
    let others = tree.keys.iter().filter(|key| key.role != KeyRole::Log);
    Ok(TreeRow {
        tree_id,
        origin,
        state: TreeState::Active,
        created_at: store.now_millis().await?.div_euclid(1_000),
        frozen_at: None,
        keys: [log_key].into_iter().chain(others.cloned()).collect(),
        ..tree.clone()
    })
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

/// Fails if nobody knows how far the log had come of which `tree` is a tree, or if its database went
/// back: a server that runs does not vouch for it, or it does not extend what the guard knows.
pub async fn check_floor(
    store: &dyn Store,
    guard: &dyn Guard,
    tree: &TreeRow,
) -> Result<(), OpenError> {
    let floors = Floors::read(guard, &tree.name).await?;
    let api = api_of(tree)?;
    let servers = store.servers(&tree.name, LIVES_FOR).await?;
    if let Some(server) = servers.iter().find(|server| !server.vouches) {
        return Err(OpenError::WentBack(format!(
            "{} does not vouch for the database; its /readyz says why",
            server.place
        )));
    }
    if !floors.has(api) && servers.is_empty() {
        return Err(OpenError::NoFloor {
            api,
            name: tree.name.clone(),
            silent: floors.silent,
        });
    }
    check_extends(store, &floors, tree).await
}

/// Fails if the database of the log of a tree does not extend a known head.
async fn check_extends(
    store: &dyn Store,
    floors: &Floors,
    tree: &TreeRow,
) -> Result<(), OpenError> {
    let mut rows = store.trees().await?;
    rows.retain(|row| row.name == tree.name && row.api == tree.api);
    match floors.judge(store, api_of(tree)?, &rows).await? {
        Verdict::Extends => Ok(()),
        Verdict::WentBack { reason, .. } => Err(OpenError::WentBack(reason.reason)),
    }
}

/// Finishes a frozen tree with the given keys, as servers that run do by themselves. Heads that
/// need witnesses are left to the servers.
pub async fn finish(settings: Settings, tree: &TreeRow) -> Result<FinalCheckpoint, OpenError> {
    let api = api_of(tree)?;
    let shared = Arc::new(LedgerParts::new(settings, &tree.name)?);
    let parts = LogParts::new(&shared, api)?;
    let floors = Floors::read(shared.guard.as_ref(), &tree.name).await?;
    check_extends(shared.store.as_ref(), &floors, tree).await?;
    let shard = Shard::open(&parts, tree).await?;
    shard.heads.confirm(&shard.heads.integrated()).await?;
    shard.heads.keep(&shard.heads.published()).await?;
    let finished = finish::finish(&shard, shared.store.as_ref(), shared.clock.as_ref());
    finished
        .await
        .map_err(|error| OpenError::System(error.to_string()))
}
