//! A log as a list of shards: frozen trees, oldest first, and the active one; and the step from one to the next.

use std::sync::{Arc, PoisonError, RwLock};

use ring::rand::{SecureRandom, SystemRandom};
use tlog::SigningKey;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::heads::Core;
use crate::heads::follow::load_head;
use crate::heads::head::Integrated;
use crate::heads::publish::{Publication, Witnessing};
use crate::keys::key_ring::KeyRing;
use crate::ledger::{OpenError, Settings};
use crate::metrics::Metrics;
use crate::reading::search::Turns;
use crate::shards::active::Active;
use crate::shards::finish::finish_patiently;
use crate::shards::presence::Company;
use crate::shards::trees::check_cosigner;
use crate::store::{ServerRow, Store, TreeRow, TreeState};
use crate::tasks::{Fatal, Tasks};
use crate::{Clock, Head, ReadError, Shards, Tree, TreeId};

/// The task of a frozen tree, which returns when it is done.
const FINISHING: &str = "what finishes a frozen tree";

/// All shards of one log, and what opening another one needs.
pub(crate) struct Log {
    pub(crate) parts: Parts,
    list: RwLock<Arc<ShardList>>,
    /// Whoever holds it moves the log on to the next tree.
    moving: Mutex<()>,
    pub(crate) company: Company,
    /// All tasks end with it.
    pub(crate) ended: CancellationToken,
}

/// The shards as of one moment.
pub(crate) struct ShardList {
    pub(crate) frozen: Vec<Arc<Core>>,
    pub(crate) active: Arc<Active>,
}

/// What all shards share.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) keys: KeyRing,
    pub(crate) cosigner: Option<Arc<SigningKey>>,
    pub(crate) witnessing: Option<Witnessing>,
    pub(crate) server: ServerRow,
    pub(crate) rng: SystemRandom,
    pub(crate) tasks: Tasks,
    /// Of searches, in all shards.
    pub(crate) turns: Arc<Turns>,
}

impl Parts {
    /// What the settings of a log name.
    pub(crate) fn new(settings: Settings, name: &str) -> Result<Self, OpenError> {
        let rng = SystemRandom::new();
        let Settings { store, keys, place, cosigner, witnessing, clock, metrics, .. } = settings;
        let metrics = Metrics::register(&metrics).map_err(|error| OpenError::System(error.to_string()))?;
        metrics.begin_at_zero(witnessing.as_ref().map(|witnessing| &witnessing.policy));
        let server_id = random_server_id(&rng)?;
        let server = ServerRow { server_id, name: name.to_owned(), place, log_ids: Vec::new() };
        let (cosigner, tasks, turns) = (cosigner.map(Arc::new), Tasks::default(), Arc::new(Turns::new()));
        Ok(Self { store, clock, metrics, keys, cosigner, witnessing, server, rng, tasks, turns })
    }

    /// Opens a stored tree: its head is read back and checked. It is signed, or published as it was, or, where the tree is frozen
    /// and finished, shown with its last texts.
    pub(crate) async fn open(&self, row: &TreeRow) -> Result<Arc<Core>, OpenError> {
        let tree = Arc::new(Tree::of(row)?);
        let key = self.keys.find(&tree.log_id);
        let last = match row.state {
            TreeState::Active => None,
            TreeState::Frozen => self.store.final_checkpoint(tree.id).await?,
        };
        let core = match last {
            Some(last) => {
                let integrated = Arc::new(load_head(self.store.reader().as_mut(), tree.id).await?);
                let head = Head::kept(&tree, &integrated, last)?;
                Core::new(self, key, Publication::AtOnce, integrated, head)
            }
            None => {
                let key = key.ok_or_else(|| lacks_key(row, &tree, &self.keys))?;
                let cosigner = self.cosigner.as_deref();
                check_cosigner(row, cosigner.map(SigningKey::verifying_key))?;
                let publication = Publication::new(self.witnessing.clone())?;
                let sign = |integrated: &Arc<Integrated>| Head::sign(&tree, integrated, &key, cosigner, &self.rng);
                let heads = publication.heads(self.store.as_ref(), tree.id, &tree.log_key, sign);
                let (integrated, head) = heads.await?;
                Core::new(self, Some(Arc::clone(&key)), publication, integrated, head)
            }
        };
        let (published, integrated) = (core.head(), core.integrated());
        core.check_extends(published.view(), integrated.view(), self.store.reader().as_mut()).await?;
        if row.state == TreeState::Frozen {
            core.frozen.cancel();
        }
        Ok(Arc::new(core))
    }
}

fn random_server_id(rng: &dyn SecureRandom) -> Result<String, OpenError> {
    let mut bytes = [0; 8];
    rng.fill(&mut bytes).map_err(|_| OpenError::System("the system gives no random numbers".into()))?;
    Ok(hex::encode(bytes))
}

fn lacks_key(row: &TreeRow, tree: &Tree, keys: &KeyRing) -> OpenError {
    match row.state {
        TreeState::Active => {
            OpenError::WrongKey { name: row.name.clone(), tree: row.tree_id, wanted: tree.log_id, got: keys.log_ids() }
        }
        TreeState::Frozen => OpenError::Unfinished { name: row.name.clone(), tree: row.tree_id, wanted: tree.log_id },
    }
}

impl Log {
    /// Opens all shards of the log whose active tree is the last of `rows` (oldest first), and starts to write to that one.
    pub(crate) async fn open(parts: Parts, rows: &[TreeRow], ended: CancellationToken) -> Result<Arc<Self>, OpenError> {
        let (active, frozen) = rows.split_last().ok_or_else(|| OpenError::System("the log has no tree".into()))?;
        let mut cores = Vec::with_capacity(frozen.len());
        for row in frozen {
            cores.push(parts.open(row).await?);
        }
        let core = parts.open(active).await?;
        core.show_head(&core.head());
        parts.metrics.frozen_shards.set(cores.len() as i64);
        let active = Arc::new(Active::start(core, &parts.tasks));
        let list = ShardList { frozen: cores.clone(), active: Arc::clone(&active) };
        let log = Arc::new(Self {
            parts,
            list: RwLock::new(Arc::new(list)),
            moving: Mutex::new(()),
            company: Company::default(),
            ended,
        });
        for core in cores {
            log.finish(core);
        }
        log.follow(active);
        Ok(log)
    }

    /// The shards of this moment.
    pub(crate) fn list(&self) -> Arc<ShardList> {
        // The list is replaced whole, so a panic elsewhere does not spoil it.
        Arc::clone(&self.list.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The shard that takes entries.
    pub(crate) fn active(&self) -> Arc<Active> {
        Arc::clone(&self.list().active)
    }

    /// The shard of this tree.
    pub(crate) fn core_of(&self, tree: TreeId) -> Option<Arc<Core>> {
        let list = self.list();
        let mut all = list.frozen.iter().chain([&list.active.core]);
        all.find(|core| core.tree.id == tree).cloned()
    }

    /// Published heads of all shards.
    pub(crate) fn shards(&self) -> Shards {
        let list = self.list();
        Shards::new(list.frozen.iter().map(|core| core.head()).collect(), list.active.core.head())
    }

    /// Leaves the tree `from`, which is frozen: opens the trees that came after it and writes to the active one from now on. Done
    /// already if another task was faster.
    ///
    /// Dies here: nothing was changed that is not in the database.
    pub(crate) async fn move_on(self: &Arc<Self>, from: TreeId) -> Result<(), OpenError> {
        let _turn = self.moving.lock().await;
        let list = self.list();
        if list.active.core.tree.id != from {
            return Ok(());
        }
        let rows = self.parts.store.trees().await?;
        let name = &list.active.core.tree.name;
        let later = rows.into_iter().skip_while(|row| row.tree_id != from).skip(1);
        let later: Vec<TreeRow> = later.filter(|row| row.name == *name).collect();
        self.parts.keys.look(&self.parts.rng);
        let mut cores = Vec::with_capacity(later.len());
        for row in &later {
            cores.push(self.open_next(row).await?);
        }
        let gone = || OpenError::System(format!("the tree {from} is frozen, and no tree came after it"));
        let next = cores.pop().filter(|core| !core.frozen.is_cancelled()).ok_or_else(gone)?;
        tracing::info!(
            frozen = %from,
            size = list.active.core.integrated().size.0,
            tree = %next.tree.id,
            log_id = %next.tree.log_id,
            "the log was rotated; writing to the next tree"
        );
        next.show_head(&next.head());
        let active = Arc::new(Active::start(next, &self.parts.tasks));
        let frozen = list.frozen.iter().chain([&list.active.core]).chain(&cores);
        let frozen: Vec<Arc<Core>> = frozen.cloned().collect();
        self.parts.metrics.frozen_shards.set(frozen.len() as i64);
        let next = ShardList { frozen, active: Arc::clone(&active) };
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        self.retire(Arc::clone(&list.active));
        for core in cores {
            self.finish(core);
        }
        self.follow(active);
        Ok(())
    }

    async fn open_next(&self, row: &TreeRow) -> Result<Arc<Core>, OpenError> {
        let opened = self.parts.open(row).await;
        if let Err(error @ (OpenError::WrongKey { .. } | OpenError::Unfinished { .. })) = &opened {
            self.parts.tasks.fail(Fatal::LacksKey(error.to_string()));
        }
        opened
    }

    /// Moves the log on once this shard is frozen, whether or not anybody writes or reads.
    fn follow(self: &Arc<Self>, active: Arc<Active>) {
        let log = Arc::clone(self);
        let moves_on = async move {
            let moved = async {
                active.core.frozen.cancelled().await;
                while let Err(error) = log.move_on(active.core.tree.id).await {
                    tracing::error!(%error, "the log was rotated, and the next tree cannot be opened");
                    tokio::time::sleep(crate::heads::follow::PAUSE_AFTER_ERROR).await;
                }
            };
            log.ended.run_until_cancelled(moved).await;
        };
        // Returns when it is done.
        self.parts.tasks.spawn("what moves the log on to its next tree", || true, moves_on);
    }

    /// Finishes the shard that was active until now behind everything else; its publisher ends with that.
    fn retire(&self, active: Arc<Active>) {
        active.retire();
        let ended = self.ended.clone();
        let finish = async move {
            ended.run_until_cancelled(finish_patiently(&active.core)).await;
        };
        self.parts.tasks.spawn(FINISHING, || true, finish);
    }

    /// Finishes a shard that was frozen when it was opened, behind everything else.
    fn finish(&self, core: Arc<Core>) {
        let (ended, publishing) = (self.ended.clone(), self.ended.child_token());
        core.spawn_publisher(&self.parts.tasks, publishing.clone());
        let finish = async move {
            ended.run_until_cancelled(finish_patiently(&core)).await;
            publishing.cancel();
        };
        self.parts.tasks.spawn(FINISHING, || true, finish);
    }

    /// Reads what other servers have published of frozen trees whose last heads are not published here.
    async fn refresh_frozen(&self) -> Result<(), ReadError> {
        for core in self.list().frozen.iter().filter(|core| core.head().size < core.integrated().size) {
            core.newest_head().await?;
        }
        Ok(())
    }

    /// The newest head of the active tree, moving on until that is one that takes entries. Those of the others are their newest too.
    pub(crate) async fn newest_head(self: &Arc<Self>) -> Result<Arc<Head>, ReadError> {
        loop {
            let active = self.active();
            let core = &active.core;
            let head = if self.is_alone() { core.head() } else { core.newest_head().await? };
            if !core.frozen.is_cancelled() {
                self.refresh_frozen().await?;
                return Ok(head);
            }
            self.move_on(core.tree.id).await.map_err(OpenError::into_read_error)?;
        }
    }
}
