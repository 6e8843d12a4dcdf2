//! Goes on without what was lost: freezes a log where its database ends, and continues in a new tree
//! behind all that was ever published.

use std::ops::Range;
use std::sync::Arc;

use ring::rand::SecureRandom;
use tlog::{Checkpoint, Hash, NoteKey, TreeSize, VerifyingKey};

use super::error::RecoverError;
use super::floor::{check_signed, has_entries, trees_of};
use crate::api::{Api, HeadForm};
use crate::guard::GuardedHead;
use crate::heads::load::load_head;
use crate::heads::publication::publication_row;
use crate::open::Settings;
use crate::open_error::OpenError;
use crate::parts::{LedgerParts, LogParts};
use crate::rotation::{RotateError, freeze_from};
use crate::shards::shard::Shard;
use crate::store::{HeadRow, LogName, Read, Store, StoreError, StoreResult, TreeRow, TreeState};

/// A log whose database lacks entries that were published.
#[derive(Debug)]
pub struct Loss {
    /// The API of the log.
    pub api: &'static Api,
    /// Its active tree, which is to be frozen.
    pub tree: TreeRow,
    /// Size of that tree in the database.
    pub size: TreeSize,
    /// Its root at that size.
    pub root: Hash,
    /// The newest head that was published.
    pub floor: GuardedHead,
}

impl Loss {
    /// Returns the log indexes that are lost. Those of a tree that the database lacks whole are
    /// among them.
    pub fn lost(&self) -> Range<u64> {
        let end = self.floor.first_log_index + self.floor.size().0;
        self.tree.first_log_index + self.size.0..end
    }

    /// Returns whether the newest tree itself is lost.
    pub fn lost_tree(&self) -> bool {
        self.tree.tree_id != self.floor.tree
    }

    /// Returns the origin of the lost tree, which no other tree may have.
    pub fn lost_origin(&self) -> Option<&str> {
        let texts = self.floor.texts.as_ref().filter(|_| self.lost_tree());
        texts?.checkpoint.lines().next()
    }

    /// Fails if a key signed for the lost tree.
    pub fn check_key(&self, key: &VerifyingKey) -> Result<(), RecoverError> {
        let Some(texts) = &self.floor.texts else {
            return Ok(());
        };
        let (text, signer) = match (self.api.heads, &texts.rekor_checkpoint) {
            (HeadForm::RekorV1, Some(text)) => (text, Some(self.tree.name.as_str())),
            _ => (&texts.checkpoint, texts.checkpoint.lines().next()),
        };
        let origin = text.lines().next().unwrap_or_default();
        let note_key = NoteKey::new(signer.unwrap_or_default(), key.clone());
        let signed = note_key.is_ok_and(|key| Checkpoint::open(text, origin, &[key]).is_ok());
        match signed {
            false => Ok(()),
            true => Err(RecoverError::UsedKey {
                digest: tlog::sha256(key.spki()),
                tree: self.floor.tree,
            }),
        }
    }
}

/// Returns what a log has lost, if its database lacks entries up to the floor.
///
/// # Errors
///
/// [`RecoverError::Forked`] if the database has another history below the floor, as far as the right
/// edge of the floor shows.
pub async fn assess(
    store: &dyn Store,
    log: LogName<'_>,
    api: &'static Api,
    floor: &GuardedHead,
) -> Result<Option<Loss>, RecoverError> {
    let trees = trees_of(store, log).await?;
    check_signed(floor, &trees)?;
    if has_entries(store, &trees, floor).await? {
        return Ok(None);
    }
    let active = trees
        .into_iter()
        .find(|tree| tree.state == TreeState::Active);
    let Some(tree) = active else {
        return Err(RecoverError::Unusable(format!(
            "the database has no {api} log, and tree {} of it was published: put another copy of \
             the database in its place",
            floor.tree
        )));
    };
    let mut reader = store.reader();
    let head = load_head(reader.as_mut(), tree.tree_id).await?;
    let loss = Loss {
        api,
        size: head.size,
        root: head.root,
        floor: floor.clone(),
        tree,
    };
    if loss.lost_tree() {
        let end = loss.tree.first_log_index + loss.size.0;
        if loss.tree.first_log_index > floor.first_log_index || end > floor.first_log_index {
            return Err(RecoverError::Forked(format!(
                "tree {} ends at log index {end}, and tree {}, which began at log index {}, was \
                 published",
                loss.tree.tree_id, floor.tree, floor.first_log_index
            )));
        }
    } else if let Some(what) = difference(reader.as_mut(), &loss).await? {
        return Err(RecoverError::Forked(format!(
            "{what} of tree {} differs from what was published",
            loss.tree.tree_id
        )));
    }
    Ok(Some(loss))
}

/// Compares all hashes of the floor's right edge that lie below the size of the database. Returns
/// the first one that differs.
async fn difference(read: &mut dyn Read, loss: &Loss) -> StoreResult<Option<String>> {
    let tree = loss.tree.tree_id;
    for (tile, hashes) in loss.floor.edge.tiles() {
        let start = tile.index * tlog::TILE_WIDTH as u64;
        let complete = loss
            .size
            .0
            .checked_shr(8 * u32::from(tile.level))
            .unwrap_or(0);
        let end = complete.min(start + hashes.width() as u64);
        if end <= start {
            continue;
        }
        let stored = match tile.level.checked_sub(1) {
            None => read.leaf_hashes(tree, start..end).await?,
            Some(below) => read.tile_roots(tree, below, start..end).await?,
        };
        let mut pairs = (start..).zip(hashes.hashes().zip(stored));
        let other = pairs.find(|(_, (published, stored))| published != stored);
        if let Some((index, _)) = other {
            let level = tile.level;
            return Ok(Some(match level {
                0 => format!("leaf index {index}"),
                _ => format!("the node {index} at tile level {level}"),
            }));
        }
    }
    Ok(None)
}

/// Freezes the tree where the database ends, and opens the next one behind the floor, with a key
/// that is registered for it. Durable on return.
///
/// Dies here: nothing is changed, or the next tree is open, which a rotation that was not reported
/// shows too.
pub async fn freeze(
    store: &dyn Store,
    loss: &Loss,
    key: &VerifyingKey,
    origin: Option<&str>,
    rng: &dyn SecureRandom,
) -> Result<(TreeRow, HeadRow), RotateError> {
    freeze_from(store, &loss.tree, key, origin, loss.lost().end, rng).await
}

/// Publishes the last head of a tree that was frozen after a loss, without cosignatures: witnesses
/// know a larger head of the tree, and would refuse it. Does nothing in a log without witnesses.
pub async fn publish_end(settings: Settings, tree: &TreeRow) -> Result<(), OpenError> {
    if settings.witnessing.is_none() {
        return Ok(());
    }
    let api = Api::by_name(&tree.api).ok_or_else(|| OpenError::UnknownApi(tree.api.clone()))?;
    let shared = Arc::new(LedgerParts::new(settings, &tree.name)?);
    let shard = Shard::open(&LogParts::new(&shared, api)?, tree).await?;
    let (published, integrated) = (shard.heads.published(), shard.heads.integrated());
    if published.size == integrated.size {
        return Ok(());
    }
    let head = shard.heads.sign(&integrated)?;
    let row = publication_row(&head, Some(published.size));
    let mut publisher = shared.store.publisher().await?;
    match publisher.publish(tree.tree_id, &row).await? {
        true => Ok(()),
        false => {
            let overtaken = "another process published a head of the frozen tree";
            Err(StoreError::Unavailable(overtaken.to_owned()).into())
        }
    }
}
