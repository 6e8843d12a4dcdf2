//! One open tree, and how it is opened.

use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use tlog::{SigningKey, WitnessPolicy};

use super::trees::check_cosigner;
use crate::clock::Clock;
use crate::heads::Heads;
use crate::heads::head::Head;
use crate::heads::load::load_head;
use crate::heads::publication::{Publication, Witnessing};
use crate::ids::TreeId;
use crate::keys::key_ring::KeyRing;
use crate::keys::signer::Signer;
use crate::metrics::{Metrics, UNAVAILABLE_REASONS, WITNESS_RESULTS};
use crate::open::Settings;
use crate::open_error::OpenError;
use crate::reading::caches::Caches;
use crate::reading::reader::Reader;
use crate::reading::search::Turns;
use crate::store::{ServerRow, Store, TreeRow, TreeState, usage};
use crate::tasks::Tasks;
use crate::timestamps::Timestamps;
use crate::tree::Tree;
use crate::writing::append::AppendError;
use crate::writing::queue::{MAX_QUEUED_BYTES, MAX_QUEUED_ENTRIES};

/// One open tree: its heads, its reads and its signed entry timestamps.
pub(crate) struct Shard {
    pub(crate) heads: Arc<Heads>,
    pub(crate) reader: Arc<Reader>,
    pub(crate) timestamps: Arc<Timestamps>,
}

impl Shard {
    /// Returns the identity of the tree.
    pub(crate) fn id(&self) -> TreeId {
        self.heads.tree().id
    }
}

/// The parts that all shards of a log share.
pub(crate) struct LogParts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) keys: KeyRing,
    pub(crate) cosigner: Option<Arc<SigningKey>>,
    pub(crate) witnessing: Option<Witnessing>,
    pub(crate) server: ServerRow,
    pub(crate) rng: SystemRandom,
    pub(crate) tasks: Tasks,
    /// The caches of all shards.
    pub(crate) caches: Arc<Caches>,
    /// Turns of searches in all shards.
    pub(crate) turns: Arc<Turns>,
}

impl LogParts {
    /// Makes the parts that the settings of a log name.
    pub(crate) fn new(settings: Settings, name: &str) -> Result<Self, OpenError> {
        let Settings {
            store,
            keys,
            place,
            cosigner,
            witnessing,
            clock,
            rng,
            metrics,
            ..
        } = settings;
        let taken = |error: prometheus::Error| OpenError::System(error.to_string());
        usage::register(&store, &metrics).map_err(taken)?;
        let metrics = Metrics::register(&metrics).map_err(taken)?;
        begin_at_zero(
            &metrics,
            witnessing.as_ref().map(|witnessing| &witnessing.policy),
        );
        let server_id = random_server_id(&rng)?;
        let server = ServerRow {
            server_id,
            name: name.to_owned(),
            place,
            log_ids: Vec::new(),
        };
        let (cosigner, tasks) = (cosigner.map(Arc::new), Tasks::default());
        let (caches, turns) = (Arc::new(Caches::new()), Arc::new(Turns::new()));
        Ok(Self {
            store,
            clock,
            metrics,
            keys,
            cosigner,
            witnessing,
            server,
            rng,
            tasks,
            caches,
            turns,
        })
    }

    /// Opens a stored tree. Its head is read back and checked. Then it is signed, or published as
    /// it was. The head of a frozen tree that is finished is shown with its final checkpoints.
    pub(crate) async fn open(&self, row: &TreeRow) -> Result<Arc<Shard>, OpenError> {
        let tree = Arc::new(Tree::of(row)?);
        let key = self.keys.find(&tree.log_id);
        let stored_final = match row.state {
            TreeState::Active => None,
            TreeState::Frozen => self.store.final_checkpoint(tree.id).await?,
        };
        let (signer, publication, integrated, published) = match stored_final {
            Some(stored) => {
                let signer = self.signer(&tree, key);
                let integrated = Arc::new(load_head(self.store.reader().as_mut(), tree.id).await?);
                let head = Head::stored_final(&tree, &integrated, stored)?;
                (signer, Publication::AtOnce, integrated, head)
            }
            None => {
                let key = key.ok_or_else(|| lacks_key(row, &tree, &self.keys))?;
                check_cosigner(row, self.cosigner.as_deref().map(SigningKey::verifying_key))?;
                let signer = self.signer(&tree, Some(key));
                let publication = Publication::new(self.witnessing.clone())?;
                let (integrated, head) = publication
                    .open(self.store.as_ref(), &tree, &signer)
                    .await?;
                (signer, publication, integrated, head)
            }
        };
        let timestamps = Timestamps::new(Arc::clone(&tree), signer.clone(), &self.metrics);
        let reader = Reader::new(
            &self.store,
            tree.id,
            &self.caches,
            &self.turns,
            &self.metrics,
        );
        let (store, metrics) = (Arc::clone(&self.store), self.metrics.clone());
        let heads = Heads::new(store, metrics, signer, publication, integrated, published);
        let (published, integrated) = (heads.published(), heads.integrated());
        heads
            .check_extends(
                published.view(),
                integrated.view(),
                self.store.reader().as_mut(),
            )
            .await?;
        if row.state == TreeState::Frozen {
            heads.mark_frozen();
        }
        let (heads, reader, timestamps) = (Arc::new(heads), Arc::new(reader), Arc::new(timestamps));
        Ok(Arc::new(Shard {
            heads,
            reader,
            timestamps,
        }))
    }

    fn signer(&self, tree: &Tree, key: Option<Arc<SigningKey>>) -> Signer {
        Signer::new(tree.id, key, self.cosigner.clone(), self.rng.clone())
    }
}

/// Sets the gauges that never change, and creates the series that alerts watch: a series that
/// appears with its first failure shows no increase. `policy` names the witnesses that are asked.
fn begin_at_zero(metrics: &Metrics, policy: Option<&WitnessPolicy>) {
    metrics.queue_entries_limit.set(MAX_QUEUED_ENTRIES as i64);
    metrics.queue_bytes_limit.set(MAX_QUEUED_BYTES as i64);
    for reason in AppendError::REASONS {
        drop(metrics.append_errors.with_label_values(&[reason]));
    }
    for reason in UNAVAILABLE_REASONS {
        drop(
            metrics
                .attestations_unavailable
                .with_label_values(&[reason]),
        );
    }
    for witness in policy
        .map(WitnessPolicy::witnesses)
        .unwrap_or_default()
        .iter()
        .filter(|witness| witness.url.is_some())
    {
        for result in WITNESS_RESULTS {
            drop(
                metrics
                    .witness_requests
                    .with_label_values(&[witness.name.as_str(), result]),
            );
        }
    }
}

fn random_server_id(rng: &dyn SecureRandom) -> Result<String, OpenError> {
    let mut bytes = [0; 8];
    rng.fill(&mut bytes)
        .map_err(|_| OpenError::System("the system gives no random numbers".into()))?;
    Ok(hex::encode(bytes))
}

fn lacks_key(row: &TreeRow, tree: &Tree, keys: &KeyRing) -> OpenError {
    match row.state {
        TreeState::Active => OpenError::WrongKey {
            name: row.name.clone(),
            tree: row.tree_id,
            wanted: tree.log_id,
            got: keys.log_ids(),
        },
        TreeState::Frozen => OpenError::Unfinished {
            name: row.name.clone(),
            tree: row.tree_id,
            wanted: tree.log_id,
        },
    }
}
