//! The log as the server sees it.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use ring::rand::{SecureRandom, SystemRandom};
use tlog::{Checkpoint, Hash, KeyAlgorithm, LeafIndex, NoteKey, SigningKey, TilePath, TreeSize, VerifyingKey};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::core::{Core, PublishError};
use crate::follow::Refresh;
use crate::head::{Integrated, SigningError};
use crate::metrics::Metrics;
use crate::publish::{Publication, Witnessing};
use crate::seal::Freshness;
use crate::sequencer::{Queue, sequencer};
use crate::store::{EntryRef, EntryRow, KeyRole, KeyRow, Store, StoreError, TreeRow, TreeState};
use crate::tile_bytes::TileBytes;
use crate::tiles::TileCache;
use crate::timestamps::Waiting;
use crate::{
    AppendError, Appended, Clock, Head, Hits, InclusionProof, LoggedEntry, NewEntry, ReadError, Search, Tree, TreeId,
};

/// The name of a log that was given none: clients accept it for `http://localhost:3000`.
pub const DEFAULT_NAME: &str = "localhost";
/// Largest leaf of a tree that serves tiles: an entry bundle gives its length in 16 bits (C2SP tlog-tiles).
pub const MAX_LEAF_BYTES: u32 = 65_535;

/// What a log needs to run.
pub struct Settings {
    /// The database.
    pub store: Arc<dyn Store>,
    /// Name of the log: MUST equal the stored one where the database holds a log; none takes the only one there.
    /// An empty database gets a new tree of this name ([`DEFAULT_NAME`] if none).
    pub name: Option<String>,
    /// The P-256 log key.
    pub key: SigningKey,
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
        "the key does not belong to this log: the log {name:?} (tree {tree}) needs the key with log ID {wanted}, this one has {got}"
    )]
    WrongKey {
        /// Name of the log.
        name: String,
        /// Its tree.
        tree: TreeId,
        /// Log ID of its key.
        wanted: Hash,
        /// Log ID of the key given.
        got: Hash,
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
    /// The checkpoint of the stored head.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The system's random numbers, or the metrics registry.
    #[error("{0}")]
    System(String),
}

/// One open log. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    core: Arc<Core>,
    queue: Queue,
    stopping: CancellationToken,
    sequencer: Mutex<Option<JoinHandle<()>>>,
    poller: JoinHandle<()>,
    /// Ends the publisher once nothing waits; after the sequencer.
    publishing: CancellationToken,
    publisher: Mutex<Option<JoinHandle<()>>>,
}

impl Inner {
    /// A task that panicked answers nobody any more; only a restart helps.
    fn at_work(&self) -> Result<(), String> {
        let sequencer = self.sequencer.lock().unwrap_or_else(PoisonError::into_inner);
        match sequencer.as_ref() {
            None => Err("the log is stopping".to_owned()),
            Some(sequencer) if sequencer.is_finished() => Err("the sequencer ended abnormally".to_owned()),
            Some(_) if self.poller.is_finished() => Err("the follower of the database ended abnormally".to_owned()),
            Some(_) if self.core.publisher_has_ended() => Err("the publisher ended abnormally".to_owned()),
            Some(_) => Ok(()),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.poller.abort();
        self.stopping.cancel();
        self.publishing.cancel();
    }
}

impl Ledger {
    /// Opens the log, creating its tree in an empty database, and starts the sequencer.
    pub async fn open(settings: Settings) -> Result<Self, OpenError> {
        let rng = SystemRandom::new();
        let row = find_or_create_tree(&settings, &rng).await?;
        let tree = check_key(&row, settings.key.verifying_key())?;
        check_cosigner(&row, settings.cosigner.as_ref().map(SigningKey::verifying_key))?;
        let metrics = Metrics::register(&settings.metrics).map_err(|error| OpenError::System(error.to_string()))?;
        let tree = Arc::new(tree);
        let publication = Publication::new(settings.witnessing)?;
        let sign = |integrated: &Arc<Integrated>| {
            Head::sign(&tree, integrated, &settings.key, settings.cosigner.as_ref(), &rng)
        };
        let log_key = settings.key.verifying_key();
        let (integrated, head) = publication.heads(settings.store.as_ref(), tree.id, log_key, sign).await?;
        metrics.tree_size.set(i64::try_from(head.size.0).unwrap_or(i64::MAX));
        metrics.head_time.set(head.time);
        let core = Arc::new(Core {
            tree,
            key: settings.key,
            cosigner: settings.cosigner,
            rng,
            store: settings.store,
            clock: settings.clock,
            metrics,
            tiles: TileCache::new(),
            tile_bytes: TileBytes::new(),
            timestamps: Waiting::default(),
            refresh: Refresh::new(),
            integrated: watch::Sender::new(Arc::clone(&integrated)),
            publication,
            published: watch::Sender::new(Arc::new(head)),
            read_only: OnceLock::new(),
        });
        let published = core.head();
        core.check_extends(published.view(), integrated.view(), core.store.reader().as_mut()).await?;
        let stopping = CancellationToken::new();
        let (queue, sequencer) = sequencer(Arc::clone(&core), stopping.clone());
        let sequencer = Mutex::new(Some(tokio::spawn(sequencer.run())));
        let poller = tokio::spawn({
            let core = Arc::clone(&core);
            async move { core.poll().await }
        });
        let publishing = CancellationToken::new();
        let publisher = Mutex::new(Some(tokio::spawn(Arc::clone(&core).run_publisher(publishing.clone()))));
        let inner = Inner { core, queue, stopping, sequencer, poller, publishing, publisher };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The active tree.
    pub fn tree(&self) -> &Arc<Tree> {
        &self.inner.core.tree
    }

    /// The clock that entries are dated by.
    pub fn clock(&self) -> &dyn Clock {
        self.inner.core.clock.as_ref()
    }

    /// All trees of this log as they are stored now, oldest first.
    pub async fn trees(&self) -> Result<Vec<TreeRow>, ReadError> {
        let mut trees = self.inner.core.store.trees().await?;
        trees.retain(|tree| tree.name == self.tree().name);
        Ok(trees)
    }

    /// The published head as this process knows it.
    pub fn head(&self) -> Arc<Head> {
        self.inner.core.head()
    }

    /// The newest head, with one read of the database that all waiting requests share where other servers may write to it.
    /// Call it before any answer that says "absent" or "too large", and for tree heads and checkpoints.
    pub async fn newest_head(&self) -> Result<Arc<Head>, ReadError> {
        if self.inner.core.store.is_shared() { self.inner.core.newest_head().await } else { Ok(self.head()) }
    }

    /// Why the log is read-only, if it is.
    pub fn read_only(&self) -> Option<String> {
        self.inner.core.read_only.get().cloned()
    }

    /// Sequencer and follower at work, database reachable, head loaded, its checkpoint verifies, log not read-only.
    pub async fn ready(&self) -> Result<(), String> {
        let core = &self.inner.core;
        self.inner.at_work()?;
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

    /// Appends an entry; returns once it is durable and below the published head.
    pub async fn append(&self, entry: NewEntry) -> Result<Appended, AppendError> {
        let outcome = self.append_or_find(entry).await;
        match &outcome {
            Ok(Appended::Sequenced(_)) => {}
            Ok(Appended::Duplicate(_)) => self.inner.core.metrics.duplicates.inc(),
            Err(error) => self.inner.core.metrics.append_errors.with_label_values(&[error.reason()]).inc(),
        }
        outcome
    }

    async fn append_or_find(&self, entry: NewEntry) -> Result<Appended, AppendError> {
        let core = &self.inner.core;
        let limit = core.tree.max_leaf_bytes;
        if entry.leaf_bytes.len() > limit as usize {
            return Err(AppendError::LeafTooLarge { got: entry.leaf_bytes.len(), limit });
        }
        let row = Arc::new(entry.into_row());
        let place = self.inner.queue.submit(Arc::clone(&row)).await?;
        core.wait_published(place.leaf_index).await?;
        match place.freshness {
            Freshness::New { time } => Ok(Appended::Sequenced(LoggedEntry {
                leaf_index: place.leaf_index,
                leaf_hash: row.leaf_hash,
                time,
                kind: row.kind.clone(),
                signed_entry_timestamp: None,
                body: row.body.as_slice().into(),
                attestation: row.attestation.clone(),
            })),
            Freshness::Recovered => self.read_back(place.leaf_index).await.map(Appended::Sequenced),
            Freshness::Duplicate => self.read_back(place.leaf_index).await.map(Appended::Duplicate),
        }
    }

    async fn read_back(&self, leaf_index: LeafIndex) -> Result<LoggedEntry, AppendError> {
        let core = &self.inner.core;
        let stored = core.entries(&core.head(), &[leaf_index]).await;
        let stored = stored.map_err(|error| AppendError::Unavailable(error.to_string()))?;
        let absent = || AppendError::Unavailable(format!("entry {leaf_index} cannot be read back"));
        stored.into_iter().next().ok_or_else(absent)
    }

    /// Entries by leaf index, in the order asked for, those at or beyond `head`'s size left out, duplicates kept.
    pub async fn entries(&self, head: &Head, indexes: &[LeafIndex]) -> Result<Vec<LoggedEntry>, ReadError> {
        self.inner.core.entries(head, indexes).await
    }

    /// The signed entry timestamp of an entry: the first one that was made stays. It is made when it is first asked for, on
    /// the task that asks, and stored later.
    pub fn signed_entry_timestamp(&self, entry: &LoggedEntry) -> Result<Arc<[u8]>, SigningError> {
        self.inner.core.signed_entry_timestamp(entry)
    }

    /// The bytes of a tile or entry bundle as of `head`; none where `head` does not have all of it. Any width that the tile
    /// ever had is there.
    pub async fn tile_resource(&self, head: &Head, path: TilePath) -> Result<Option<Bytes>, ReadError> {
        self.inner.core.tile_resource(head, path).await
    }

    /// Where these leaf hashes are below `head`; absent ones are left out.
    pub async fn find_leaves(&self, head: &Head, leaf_hashes: &[Hash]) -> Result<Vec<EntryRef>, ReadError> {
        let core = &self.inner.core;
        Ok(core.store.reader().find_leaves(core.tree.id, leaf_hashes, head.size).await?)
    }

    /// The newest entries below `head` that `search` looks for, below the log index `below` if there is one, at most `limit`
    /// (at least 1). One bounded piece of work: [`Hits::rest`] says where the next one begins.
    pub async fn search(
        &self,
        head: &Head,
        search: &Search,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Hits, ReadError> {
        self.inner.core.search(head, search, below, limit).await
    }

    /// The inclusion proof of a leaf in `head`, verified before it is returned.
    pub async fn inclusion_proof(
        &self,
        head: &Arc<Head>,
        index: LeafIndex,
        leaf_hash: &Hash,
    ) -> Result<InclusionProof, ReadError> {
        self.inner.core.inclusion_proof(head, index, leaf_hash).await
    }

    /// The consistency proof between two sizes up to `head`. Verified before it is returned where `second` is the size of
    /// `head`; the roots of other sizes are the client's to compare.
    pub async fn consistency_proof(
        &self,
        head: &Arc<Head>,
        first: TreeSize,
        second: TreeSize,
    ) -> Result<Vec<Hash>, ReadError> {
        self.inner.core.consistency_proof(head, first, second).await
    }

    /// Stops taking entries, finishes the queue, stores what signed entry timestamps wait, tries once
    /// more to publish what waits for witnesses. Appends then answer `Stopping`.
    pub async fn stop(&self) {
        self.inner.stopping.cancel();
        let sequencer = self.inner.sequencer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sequencer) = sequencer
            && let Err(error) = sequencer.await
        {
            tracing::error!(%error, "the sequencer ended abnormally");
        }
        self.inner.publishing.cancel();
        let publisher = self.inner.publisher.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(publisher) = publisher
            && let Err(error) = publisher.await
        {
            tracing::error!(%error, "the publisher ended abnormally");
        }
    }
}

/// The active tree of the log that is asked for; in an empty database a new one.
async fn find_or_create_tree(settings: &Settings, rng: &dyn SecureRandom) -> Result<TreeRow, OpenError> {
    if let Some(row) = find_log(settings.store.as_ref(), settings.name.as_deref()).await? {
        return Ok(row);
    }
    let name = settings.name.as_deref().unwrap_or(DEFAULT_NAME);
    let cosigner = settings.cosigner.as_ref().map(SigningKey::verifying_key);
    create_tree(settings.store.as_ref(), name, settings.key.verifying_key(), cosigner, rng).await?;
    // Ours, or the one of a server that started at the same moment: then the key decides.
    let row = find_log(settings.store.as_ref(), settings.name.as_deref()).await?;
    row.ok_or_else(|| OpenError::System("the new tree cannot be read".into()))
}

/// Creates the first tree of a log with its keys in one transaction. False if a log of that name exists already.
pub async fn create_tree(
    store: &dyn Store,
    name: &str,
    key: &VerifyingKey,
    cosigner: Option<&VerifyingKey>,
    rng: &dyn SecureRandom,
) -> Result<bool, OpenError> {
    check_name(name)?;
    if key.algorithm() != KeyAlgorithm::EcdsaP256 {
        return Err(OpenError::KeyNotP256);
    }
    if cosigner.is_some_and(|key| key.algorithm() != KeyAlgorithm::Ed25519) {
        return Err(OpenError::CosignerNotEd25519);
    }
    let log_key = KeyRow { role: KeyRole::Log, spki: key.spki().to_vec() };
    let cosigner = cosigner.map(|key| KeyRow { role: KeyRole::Cosigner, spki: key.spki().to_vec() });
    let tree_id = random_tree_id(rng)?;
    let row = TreeRow {
        tree_id,
        name: name.to_owned(),
        origin_v1: format!("{name} - {tree_id}"),
        origin_v2: name.to_owned(),
        first_log_index: 0,
        max_leaf_bytes: MAX_LEAF_BYTES,
        state: TreeState::Active,
        created_at: store.now_millis().await?.div_euclid(1_000),
        frozen_at: None,
        keys: [log_key].into_iter().chain(cosigner).collect(),
    };
    Ok(store.create_tree(&row).await?)
}

/// Active trees, one per log.
pub async fn active_trees(store: &dyn Store) -> Result<Vec<TreeRow>, StoreError> {
    Ok(store.trees().await?.into_iter().filter(|row| row.state == TreeState::Active).collect())
}

/// The active tree of the log of that name, or of the only log there is. None in an empty database.
pub async fn find_log(store: &dyn Store, name: Option<&str>) -> Result<Option<TreeRow>, OpenError> {
    choose(active_trees(store).await?, name)
}

fn choose(active: Vec<TreeRow>, name: Option<&str>) -> Result<Option<TreeRow>, OpenError> {
    let held = active.iter().map(|row| format!("the log {:?}", row.name)).collect::<Vec<_>>().join(", ");
    let (none_held, several) = (active.is_empty(), active.len() > 1);
    match name {
        _ if none_held => Ok(None),
        None if several => Err(OpenError::Ambiguous(held)),
        None => Ok(active.into_iter().next()),
        Some(wanted) => match active.into_iter().find(|row| row.name == wanted) {
            Some(row) => Ok(Some(row)),
            None => Err(OpenError::WrongName { held, wanted: wanted.to_owned() }),
        },
    }
}

/// Whether a log can have this name: what a C2SP key name and a host name allow in common, at most 253 bytes.
pub fn check_name(name: &str) -> Result<(), OpenError> {
    let fits =
        (1..=253).contains(&name.len()) && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+');
    if fits { Ok(()) } else { Err(OpenError::BadName(name.to_owned())) }
}

/// Positive and random, so that two logs never share entry IDs.
fn random_tree_id(rng: &dyn SecureRandom) -> Result<TreeId, OpenError> {
    let mut bytes = [0; 8];
    rng.fill(&mut bytes).map_err(|_| OpenError::System("the system gives no random numbers".into()))?;
    Ok(TreeId((i64::from_be_bytes(bytes) & i64::MAX).max(1)))
}

fn check_key(row: &TreeRow, key: &VerifyingKey) -> Result<Tree, OpenError> {
    let stored = row
        .keys
        .iter()
        .find(|stored| stored.role == KeyRole::Log)
        .ok_or_else(|| StoreError::Damaged(format!("table tree_key: tree {} has no log key", row.tree_id)))?;
    if stored.spki != key.spki() {
        let wanted = tlog::sha256(&stored.spki);
        return Err(OpenError::WrongKey { name: row.name.clone(), tree: row.tree_id, wanted, got: key.log_id() });
    }
    Ok(Tree {
        id: row.tree_id,
        name: row.name.clone(),
        origin_v1: row.origin_v1.clone(),
        origin_v2: row.origin_v2.clone(),
        log_id: key.log_id(),
        public_key_pem: key.to_pem(),
        first_log_index: row.first_log_index,
        max_leaf_bytes: row.max_leaf_bytes,
    })
}

/// The Ed25519 key is given when the tree is made: never silently added, dropped or replaced.
fn check_cosigner(row: &TreeRow, key: Option<&VerifyingKey>) -> Result<(), OpenError> {
    let stored = row.keys.iter().find(|stored| stored.role == KeyRole::Cosigner);
    if stored.map(|stored| stored.spki.as_slice()) == key.map(VerifyingKey::spki) {
        return Ok(());
    }
    let wanted = match stored {
        Some(stored) => format!("needs the one whose SPKI has SHA-256 {}", tlog::sha256(&stored.spki)),
        None => "was made without one".to_owned(),
    };
    Err(OpenError::WrongCosigner { name: row.name.clone(), tree: row.tree_id, wanted })
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
        let mut index_keys: Vec<String> = self.index_keys.into_iter().map(|key| key.to_lowercase()).collect();
        index_keys.sort_unstable();
        index_keys.dedup();
        EntryRow {
            leaf_hash: tlog::leaf_hash(&self.leaf_bytes),
            kind: self.kind,
            body: self.leaf_bytes,
            index_keys,
            attestation: self.attestation,
        }
    }
}
