//! The log as the server sees it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ring::rand::{SecureRandom, SystemRandom};
use tlog::{Checkpoint, Hash, LeafIndex, NoteKey, SigningKey, TilePath, TreeSize};
use tokio_util::sync::CancellationToken;

use crate::heads::head::SigningError;
use crate::heads::publish::Witnessing;
use crate::heads::{Core, PublishError};
use crate::keys::key_ring::KeyRing;
use crate::reading::search::lower_case;
use crate::shards::log::{Log, Parts};
use crate::shards::trees::{DEFAULT_NAME, create_tree, find_log};
use crate::store::{EntryRef, EntryRow, IndexKeys, Store, StoreError, TreeRow};
use crate::tasks::Fatal;
use crate::writing::append::NoPlace;
use crate::writing::seal::Freshness;
use crate::writing::sequencer::Patience;
use crate::{
    Apis, AppendError, Appended, Clock, Head, Hits, InclusionProof, LoggedEntry, NewEntry, ReadError, Search, Shards,
    Tree, TreeId,
};

/// What a log needs to run.
pub struct Settings {
    /// The database.
    pub store: Arc<dyn Store>,
    /// Name of the log: MUST equal the stored one where the database holds a log; none takes the only one there.
    /// An empty database gets a new tree of this name ([`DEFAULT_NAME`] if none).
    pub name: Option<String>,
    /// The P-256 log keys: that of the active tree, those of frozen trees that are not finished, the next one. A new log takes the
    /// first.
    pub keys: KeyRing,
    /// Where this server is, for people: what a rotation calls it.
    pub place: String,
    /// The Ed25519 key of a second line below the v2 text: MUST be there for a tree that was made with one, and only then.
    pub cosigner: Option<SigningKey>,
    /// Publishes with witnesses. None publishes what is integrated; a tree that was ever published with witnesses needs it.
    pub witnessing: Option<Witnessing>,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Where the `treehead_…` metrics of the ledger are registered.
    pub metrics: prometheus::Registry,
}

/// Why a log cannot be opened. One clear line each.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored tree has another key.
    #[error(
        "the key does not belong to this log: the log {name:?} (tree {tree}) needs the key with log ID {wanted}, {}", these(.got)
    )]
    WrongKey {
        /// Name of the log.
        name: String,
        /// Its tree.
        tree: TreeId,
        /// Log ID of its key.
        wanted: Hash,
        /// Log IDs of the keys given.
        got: Vec<Hash>,
    },
    /// A frozen tree whose key is needed once more.
    #[error(
        "the log {name:?} was rotated, but not all of its tree {tree} is signed: that needs the key with log ID {wanted} once more"
    )]
    Unfinished {
        /// Name of the log.
        name: String,
        /// The frozen tree.
        tree: TreeId,
        /// Log ID of its key.
        wanted: Hash,
    },
    /// The database holds other logs.
    #[error("the database holds {held}, not {wanted:?}: a log's name never changes")]
    WrongName {
        /// Names it holds.
        held: String,
        /// Name asked for.
        wanted: String,
    },
    /// No name was given and the database holds several logs.
    #[error("the database holds {0}: say which one with --name")]
    Ambiguous(String),
    /// Rekor v1 clients verify signed entry timestamps only with ECDSA P-256.
    #[error("the log key is not an ECDSA P-256 key")]
    KeyNotP256,
    /// The tree was made with another Ed25519 key than the one given, or without one.
    #[error(
        "the Ed25519 key does not belong to this log: the log {name:?} (tree {tree}) {wanted}; it is given once, when the log is made"
    )]
    WrongCosigner {
        /// Name of the log.
        name: String,
        /// Its tree.
        tree: TreeId,
        /// What it was made with.
        wanted: String,
    },
    /// No signature is asked for by a second key that is not Ed25519.
    #[error("the second key of a log is an Ed25519 key")]
    CosignerNotEd25519,
    /// Witnesses without URL cannot be asked.
    #[error("the witness policy cannot be met: the witnesses that have a URL do not make its quorum")]
    Quorum,
    /// Publishing at once would let out what no witness has seen.
    #[error(
        "the log was published with witnesses: it needs its witness policy (one with `quorum none` asks for no cosignatures)"
    )]
    Witnessed,
    /// The newest head does not extend the published one.
    #[error("{0}")]
    WentBack(String),
    /// A name that cannot stand in a checkpoint.
    #[error("{0:?} cannot be a log's name: it needs 1 to 253 characters, none of them white space, '+' or a control")]
    BadName(String),
    /// A name under which no new log is made.
    #[error("{name:?} cannot be the name of a new log: {why}; write {instead}")]
    NotHostName {
        /// The name as it was given.
        name: String,
        /// How it differs from a host name.
        why: &'static str,
        /// The host name in it, or an example of one.
        instead: String,
    },
    /// The checkpoint of the stored head.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The system's random numbers, or the metrics registry.
    #[error("{0}")]
    System(String),
}

/// What a message says of the keys that do not fit.
fn these(log_ids: &[Hash]) -> String {
    match log_ids {
        [] => "and there is no key".to_owned(),
        [one] => format!("this one has {one}"),
        many => format!("these have {}", many.iter().map(Hash::to_string).collect::<Vec<_>>().join(", ")),
    }
}

impl OpenError {
    /// What a request is told that meets it while the log moves on to its next tree.
    pub(crate) fn into_read_error(self) -> ReadError {
        match self {
            Self::Store(error) => error.into(),
            other => StoreError::Unavailable(other.to_string()).into(),
        }
    }
}

/// One open log. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    log: Arc<Log>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.log.ended.cancel();
    }
}

impl Ledger {
    /// Opens the log, creating its tree in an empty database, and starts the sequencer.
    pub async fn open(settings: Settings) -> Result<Self, OpenError> {
        let rng = SystemRandom::new();
        let active = find_or_create_tree(&settings, &rng).await?;
        let mut rows = settings.store.trees().await?;
        rows.retain(|row| row.name == active.name);
        // Those of before: should the log be rotated in this moment, it moves on to what came after.
        let before = rows.iter().position(|row| row.tree_id == active.tree_id).unwrap_or_default();
        rows.truncate(before);
        rows.push(active);
        let parts = Parts::new(settings, &rows[before].name)?;
        let ended = CancellationToken::new();
        let opened = Log::open(parts, &rows, ended.clone()).await;
        let log = opened.inspect_err(|_| ended.cancel())?;
        let ledger = Self { inner: Arc::new(Inner { log: Arc::clone(&log) }) };
        log.note_server(&log.parts.keys.log_ids()).await?;
        let tasks = &log.parts.tasks;
        let has_ended = {
            let ended = log.ended.clone();
            move || ended.is_cancelled()
        };
        tasks.spawn("what shows that this server lives", has_ended.clone(), Arc::clone(&log).show_presence());
        log.be_seen().await;
        if log.parts.store.is_shared() {
            tasks.spawn("what looks for other servers", has_ended, Arc::clone(&log).look_around());
        }
        Ok(ledger)
    }

    /// The active tree.
    pub fn tree(&self) -> Arc<Tree> {
        Arc::clone(&self.core().tree)
    }

    /// The clock that entries are dated by.
    pub fn clock(&self) -> &dyn Clock {
        self.inner.log.parts.clock.as_ref()
    }

    /// All trees of this log as they are stored now, oldest first.
    pub async fn trees(&self) -> Result<Vec<TreeRow>, ReadError> {
        let mut trees = self.inner.log.parts.store.trees().await?;
        trees.retain(|tree| tree.name == self.tree().name);
        Ok(trees)
    }

    /// The published head of the active tree as this process knows it.
    pub fn head(&self) -> Arc<Head> {
        self.core().head()
    }

    /// The published head of a tree of this log.
    pub fn head_of(&self, tree: TreeId) -> Option<Arc<Head>> {
        self.inner.log.core_of(tree).map(|core| core.head())
    }

    /// The published heads of all shards as this process knows them.
    pub fn shards(&self) -> Shards {
        self.inner.log.shards()
    }

    /// The newest head of the active tree, with one read of the database that all waiting requests share where other servers
    /// write to it. Call it before any answer that says "absent" or "too large", and for tree heads and checkpoints.
    pub async fn newest_head(&self) -> Result<Arc<Head>, ReadError> {
        self.inner.log.newest_head().await
    }

    /// All shards, with the newest head of the active one; see [`Ledger::newest_head`].
    pub async fn newest_shards(&self) -> Result<Shards, ReadError> {
        self.inner.log.newest_head().await?;
        Ok(self.shards())
    }

    /// Waits until this server cannot go on; says why.
    pub async fn fatal(&self) -> Fatal {
        self.inner.log.parts.tasks.wait_fatal().await
    }

    fn core(&self) -> Arc<Core> {
        Arc::clone(&self.inner.log.active().core)
    }

    /// The shard that a head belongs to.
    fn core_of(&self, head: &Head) -> Result<Arc<Core>, ReadError> {
        self.shard(head.tree.id)
    }

    fn shard(&self, tree: TreeId) -> Result<Arc<Core>, ReadError> {
        let absent = || ReadError::OutOfRange(format!("tree {tree} is not of this log"));
        self.inner.log.core_of(tree).ok_or_else(absent)
    }

    /// Why the log is read-only, if it is.
    pub fn read_only(&self) -> Option<String> {
        self.core().read_only.get().cloned()
    }

    /// All tasks at work, database reachable, head loaded, its checkpoint verifies, log not read-only.
    pub async fn ready(&self) -> Result<(), String> {
        let active = self.inner.log.active();
        let core = &active.core;
        match self.inner.log.parts.tasks.fatal() {
            Some(Fatal::LacksKey(reason)) => return Err(reason),
            Some(Fatal::TaskEnded(task)) => return Err(format!("{task} ended abnormally")),
            None if active.is_stopping() => return Err("the log is stopping".to_owned()),
            None => {}
        }
        if let Some(reason) = core.read_only.get() {
            return Err(format!("the log is read-only: {reason}"));
        }
        core.store.now_millis().await.map_err(|error| error.to_string())?;
        let head = core.head();
        let broken = |reason: &dyn fmt::Display| format!("the published checkpoint does not verify: {reason}");
        let tree = &core.tree;
        for (checkpoint, origin, signer) in [
            (&head.checkpoint_v1, &tree.origin_v1, &tree.name),
            (&head.checkpoint_v2, &tree.origin_v2, &tree.origin_v2),
        ] {
            let key = NoteKey::new(signer, core.log_key().clone()).map_err(|error| broken(&error))?;
            Checkpoint::open(checkpoint, origin, &[key]).map_err(|error| broken(&error))?;
        }
        Ok(())
    }

    /// Appends an entry; returns once it is durable and below the published head. In a full queue it waits for its turn, up to
    /// [`crate::MAX_QUEUE_WAIT`].
    pub async fn append(&self, entry: NewEntry) -> Result<Appended, AppendError> {
        self.counted(self.append_or_find(entry, Patience::Waits).await)
    }

    /// The same for one of many entries, which does not take the turn of single ones: in a full queue it fails at once with
    /// [`AppendError::Busy`].
    pub async fn append_unless_busy(&self, entry: NewEntry) -> Result<Appended, AppendError> {
        self.counted(self.append_or_find(entry, Patience::None).await)
    }

    fn counted(&self, outcome: Result<Appended, AppendError>) -> Result<Appended, AppendError> {
        match &outcome {
            Ok(Appended::Sequenced(_)) => {}
            Ok(Appended::Duplicate(_)) => self.inner.log.parts.metrics.duplicates.inc(),
            Err(error) => self.inner.log.parts.metrics.append_errors.with_label_values(&[error.reason()]).inc(),
        }
        outcome
    }

    async fn append_or_find(&self, entry: NewEntry, patience: Patience) -> Result<Appended, AppendError> {
        let row = Arc::new(entry.into_row());
        loop {
            let active = self.inner.log.active();
            let core = &active.core;
            let limit = core.tree.max_leaf_bytes;
            if row.body.len() > limit as usize {
                return Err(AppendError::LeafTooLarge { got: row.body.len(), limit });
            }
            let place = match active.queue.submit(Arc::clone(&row), patience).await {
                Ok(place) => place,
                // It is certain that the frozen tree does not have it.
                Err(NoPlace::Frozen) => {
                    let moved = self.inner.log.move_on(core.tree.id).await;
                    moved.map_err(|error| AppendError::Unavailable(error.to_string()))?;
                    continue;
                }
                Err(NoPlace::Error(error)) => return Err(error),
            };
            core.wait_published(place.leaf_index).await?;
            return match place.freshness {
                Freshness::New { time } => Ok(Appended::Sequenced(LoggedEntry {
                    tree: core.tree.id,
                    leaf_index: place.leaf_index,
                    leaf_hash: row.leaf_hash,
                    time,
                    kind: row.kind.clone(),
                    signed_entry_timestamp: None,
                    body: row.body.as_slice().into(),
                    attestation: row.attestation.clone(),
                })),
                Freshness::Recovered => read_back(core, place.leaf_index).await.map(Appended::Sequenced),
                Freshness::Duplicate => read_back(core, place.leaf_index).await.map(Appended::Duplicate),
            };
        }
    }

    /// Entries by leaf index, in the order asked for, those at or beyond `head`'s size left out, duplicates kept.
    pub async fn entries(&self, head: &Head, indexes: &[LeafIndex]) -> Result<Vec<LoggedEntry>, ReadError> {
        self.core_of(head)?.entries(head, indexes).await
    }

    /// The signed entry timestamp of an entry: the first one that was made stays. It is made when it is first asked for, on
    /// the task that asks, and stored later.
    pub fn signed_entry_timestamp(&self, entry: &LoggedEntry) -> Result<Arc<[u8]>, ReadError> {
        Ok(self.shard(entry.tree)?.signed_entry_timestamp(entry)?)
    }

    /// The bytes of a tile or entry bundle as of `head`; none where `head` does not have all of it. Any width that the tile
    /// ever had is there.
    pub async fn tile_resource(&self, head: &Head, path: TilePath) -> Result<Option<Bytes>, ReadError> {
        self.core_of(head)?.tile_resource(head, path).await
    }

    /// Where these leaf hashes are below `head`; absent ones are left out.
    pub async fn find_leaves(&self, head: &Head, leaf_hashes: &[Hash]) -> Result<Vec<EntryRef>, ReadError> {
        self.core_of(head)?.find_leaves(head, leaf_hashes).await
    }

    /// The newest entries of `shards` that `search` looks for, below the log index `below` if there is one, at most `limit` (at
    /// least 1). One bounded piece of work, in one shard: [`Hits::rest`] says where the next one begins.
    pub async fn search(
        &self,
        shards: &Shards,
        search: &Search,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Hits, ReadError> {
        let begins_below = |head: &&Arc<Head>| below.is_none_or(|below| head.tree.first_log_index < below);
        let mut heads = shards.newest_first().filter(|head| head.size.0 > 0).filter(begins_below);
        let Some(head) = heads.next() else { return Ok(Hits::default()) };
        let mut hits = self.core_of(head)?.search(head, search, below, limit).await?;
        if hits.rest.is_none() && heads.next().is_some() {
            hits.rest = Some(head.tree.first_log_index);
        }
        Ok(hits)
    }

    /// The inclusion proof of a leaf in `head`, verified before it is returned.
    pub async fn inclusion_proof(
        &self,
        head: &Arc<Head>,
        index: LeafIndex,
        leaf_hash: &Hash,
    ) -> Result<InclusionProof, ReadError> {
        self.core_of(head)?.inclusion_proof(head, index, leaf_hash).await
    }

    /// The consistency proof between two sizes up to `head`. Verified before it is returned where `second` is the size of
    /// `head`; the roots of other sizes are the client's to compare.
    pub async fn consistency_proof(
        &self,
        head: &Arc<Head>,
        first: TreeSize,
        second: TreeSize,
    ) -> Result<Vec<Hash>, ReadError> {
        self.core_of(head)?.consistency_proof(head, first, second).await
    }

    /// Stops taking entries, finishes the queue, stores what signed entry timestamps wait, tries once
    /// more to publish what waits for witnesses. Appends then answer `Stopping`.
    pub async fn stop(&self) {
        let log = &self.inner.log;
        log.active().stop().await;
        log.ended.cancel();
        // One that is not forgotten is waited for by a rotation until it counts as dead.
        if let Err(error) = log.parts.store.forget_server(&log.parts.server.server_id).await {
            tracing::warn!(%error, "this server cannot be forgotten");
        }
    }
}

async fn read_back(core: &Core, leaf_index: LeafIndex) -> Result<LoggedEntry, AppendError> {
    let stored = core.entries(&core.head(), &[leaf_index]).await;
    let stored = stored.map_err(|error| AppendError::Unavailable(error.to_string()))?;
    let absent = || AppendError::Unavailable(format!("entry {leaf_index} cannot be read back"));
    stored.into_iter().next().ok_or_else(absent)
}

/// The active tree of the log that is asked for; in an empty database a new one.
async fn find_or_create_tree(settings: &Settings, rng: &dyn SecureRandom) -> Result<TreeRow, OpenError> {
    if let Some(row) = find_log(settings.store.as_ref(), settings.name.as_deref()).await? {
        return Ok(row);
    }
    let name = settings.name.as_deref().unwrap_or(DEFAULT_NAME);
    let cosigner = settings.cosigner.as_ref().map(SigningKey::verifying_key);
    let key = settings.keys.first().ok_or_else(|| OpenError::System("there is no key for a new log".into()))?;
    create_tree(settings.store.as_ref(), name, Apis::Both, key.verifying_key(), cosigner, rng).await?;
    // Ours, or the one of a server that started at the same moment: then the key decides.
    let row = find_log(settings.store.as_ref(), settings.name.as_deref()).await?;
    row.ok_or_else(|| OpenError::System("the new tree cannot be read".into()))
}

impl From<PublishError> for OpenError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Store(error) => Self::Store(error),
            PublishError::Signing(error) => Self::Signing(error),
            PublishError::WentBack(reason) => Self::WentBack(reason.0),
        }
    }
}

impl NewEntry {
    fn into_row(self) -> EntryRow {
        let mut index_keys: Vec<String> = self.index_keys.into_iter().map(|key| lower_case(&key)).collect();
        index_keys.sort_unstable();
        index_keys.dedup();
        EntryRow {
            leaf_hash: tlog::leaf_hash(&self.leaf_bytes),
            kind: self.kind,
            body: self.leaf_bytes,
            index_keys: IndexKeys::of(&index_keys),
            // Empty is what one becomes that is erased.
            attestation: self.attestation.filter(|attestation| !attestation.data.is_empty()),
        }
    }
}
