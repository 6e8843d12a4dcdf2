//! An open log as a list of shards: frozen trees, oldest first, and the active one; and the step
//! from one to the next.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Mutex;

use super::Shards;
use super::active::Active;
use super::finish::finish_patiently;
use super::gaps::Gaps;
use super::opening::Opening;
use super::shard::Shard;
use crate::heads::follow::PAUSE_AFTER_ERROR;
use crate::heads::went_back::HeadError;
use crate::ids::TreeId;
use crate::open_error::OpenError;
use crate::parts::LogParts;
use crate::reading::entry::ReadError;
use crate::store::{StoreError, TreeRow};
use crate::tasks::Fatal;

/// All shards of one log, and the parts to open another one.
pub(crate) struct OpenLog {
    pub(crate) parts: LogParts,
    list: RwLock<Arc<ShardList>>,
    /// Held by the task that moves the log on to the next tree.
    moving: Mutex<()>,
}

/// The shards as of one moment.
pub(crate) struct ShardList {
    pub(crate) frozen: Vec<Arc<Shard>>,
    pub(crate) active: Arc<Active>,
    gaps: Gaps,
}

impl ShardList {
    fn new(frozen: Vec<Arc<Shard>>, active: Arc<Active>) -> Self {
        let gaps = Gaps::between(frozen.iter().chain([&active.shard]));
        Self {
            frozen,
            active,
            gaps,
        }
    }
}

impl OpenLog {
    /// Begins to write to the active tree of a log that was read and checked, and to follow it.
    ///
    /// # Errors
    ///
    /// The guard cannot keep the head that the log begins with.
    pub(crate) async fn start(opening: Opening) -> Result<Arc<Self>, OpenError> {
        let Opening {
            parts,
            frozen,
            active,
            ..
        } = opening;
        keep_first(&active).await?;
        active.heads.show_in_metrics();
        parts.metrics.frozen_shards.set(frozen.len() as i64);
        let active = Arc::new(Active::start(active, &parts));
        let list = ShardList::new(frozen.clone(), Arc::clone(&active));
        let log = Arc::new(Self {
            parts,
            list: RwLock::new(Arc::new(list)),
            moving: Mutex::new(()),
        });
        // A database that went back is not signed to the end of any tree.
        if active.shard.heads.halted().is_none() {
            for shard in frozen {
                log.finish(shard);
            }
        }
        log.follow(active);
        Ok(log)
    }

    /// Returns the shards of this moment.
    pub(crate) fn list(&self) -> Arc<ShardList> {
        // The list is replaced whole, so a panic elsewhere does not spoil it.
        Arc::clone(&self.list.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the shard that accepts entries.
    pub(crate) fn active(&self) -> Arc<Active> {
        Arc::clone(&self.list().active)
    }

    /// Returns the shard of this tree.
    pub(crate) fn shard_of(&self, tree: TreeId) -> Option<Arc<Shard>> {
        let list = self.list();
        let mut all = list.frozen.iter().chain([&list.active.shard]);
        all.find(|shard| shard.id() == tree).cloned()
    }

    /// Returns the published heads of all shards.
    pub(crate) fn shards(&self) -> Shards {
        let list = self.list();
        Shards::new(
            list.frozen
                .iter()
                .map(|shard| shard.heads.published())
                .collect(),
            list.active.shard.heads.published(),
            list.gaps.clone(),
        )
    }

    /// Leaves the tree `from`, which is frozen: opens the later trees and writes to the active one
    /// from now on. Does nothing if another task was faster.
    ///
    /// Dies here: nothing was changed that is not in the database.
    pub(crate) async fn move_on(self: &Arc<Self>, from: TreeId) -> Result<(), OpenError> {
        let _turn = self.moving.lock().await;
        let list = self.list();
        if list.active.shard.id() != from {
            return Ok(());
        }
        let rows = self.parts.shared.store.trees().await?;
        let active = list.active.shard.heads.tree();
        let is_ours = |row: &TreeRow| row.name == active.name && row.api == active.api.name;
        let later = rows
            .into_iter()
            .skip_while(|row| row.tree_id != from)
            .skip(1);
        let later: Vec<TreeRow> = later.filter(is_ours).collect();
        self.parts.shared.keys.look(&self.parts.shared.rng);
        let mut shards = Vec::with_capacity(later.len());
        for row in &later {
            shards.push(self.open_next(row).await?);
        }
        let gone = || {
            OpenError::System(format!(
                "the tree {from} is frozen, and no tree came after it"
            ))
        };
        let next = shards
            .pop()
            .filter(|shard| !shard.heads.is_frozen())
            .ok_or_else(gone)?;
        tracing::info!(
            log = %self.parts.api,
            frozen = %from,
            size = list.active.shard.heads.integrated().size.0,
            tree = %next.id(),
            log_id = %next.heads.tree().log_id,
            "the log was rotated; writing to the next tree"
        );
        keep_first(&next).await?;
        next.heads.show_in_metrics();
        let active = Arc::new(Active::start(next, &self.parts));
        let frozen = list
            .frozen
            .iter()
            .chain([&list.active.shard])
            .chain(&shards);
        let frozen: Vec<Arc<Shard>> = frozen.cloned().collect();
        self.parts.metrics.frozen_shards.set(frozen.len() as i64);
        let next = ShardList::new(frozen, Arc::clone(&active));
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        self.retire(Arc::clone(&list.active));
        for shard in shards {
            self.finish(shard);
        }
        self.follow(active);
        Ok(())
    }

    async fn open_next(&self, row: &TreeRow) -> Result<Arc<Shard>, OpenError> {
        let opened = Shard::open(&self.parts, row).await;
        if let Err(error @ (OpenError::WrongKey { .. } | OpenError::Unfinished { .. })) = &opened {
            self.parts
                .shared
                .tasks
                .fail(Fatal::LacksKey(error.to_string()));
        }
        opened
    }

    /// Moves the log on once this shard is frozen, whether or not anybody writes or reads.
    fn follow(self: &Arc<Self>, active: Arc<Active>) {
        let log = Arc::clone(self);
        let moves_on = async move {
            let moved = async {
                active.shard.heads.wait_frozen().await;
                while let Err(error) = log.move_on(active.shard.id()).await {
                    tracing::error!(log = %log.parts.api, %error, "the log was rotated, and the next tree cannot be opened");
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            };
            log.parts.shared.ended.run_until_cancelled(moved).await;
        };
        // It may return: it does once the log has moved on.
        self.parts.shared.tasks.spawn(
            format!(
                "the task that moves the {} log on to its next tree",
                self.parts.api
            ),
            || true,
            moves_on,
        );
    }

    /// Finishes the shard that was active until now behind everything else; its publisher ends with
    /// that.
    fn retire(&self, active: Arc<Active>) {
        active.retire();
        let (ended, store, clock) = (
            self.parts.shared.ended.clone(),
            Arc::clone(&self.parts.shared.store),
            Arc::clone(&self.parts.shared.clock),
        );
        let finish = async move {
            ended
                .run_until_cancelled(finish_patiently(
                    &active.shard,
                    store.as_ref(),
                    clock.as_ref(),
                ))
                .await;
        };
        self.spawn_finishing(finish);
    }

    /// Finishes a shard that was frozen when it was opened, behind everything else.
    fn finish(&self, shard: Arc<Shard>) {
        let (store, clock) = (
            Arc::clone(&self.parts.shared.store),
            Arc::clone(&self.parts.shared.clock),
        );
        let (ended, publishing) = (
            self.parts.shared.ended.clone(),
            self.parts.shared.ended.child_token(),
        );
        shard
            .heads
            .spawn_publisher(&self.parts.shared.tasks, publishing.clone());
        let finish = async move {
            ended
                .run_until_cancelled(finish_patiently(&shard, store.as_ref(), clock.as_ref()))
                .await;
            publishing.cancel();
        };
        self.spawn_finishing(finish);
    }

    fn spawn_finishing(&self, finish: impl Future<Output = ()> + Send + 'static) {
        let name = format!(
            "the task that finishes a frozen tree of the {} log",
            self.parts.api
        );
        self.parts.shared.tasks.spawn(name, || true, finish);
    }

    /// Reads what other servers have published of frozen trees whose last heads are not published
    /// here.
    async fn refresh_frozen(&self) -> Result<(), ReadError> {
        for shard in self
            .list()
            .frozen
            .iter()
            .filter(|shard| shard.heads.published().size < shard.heads.integrated().size)
        {
            shard.heads.newest_head().await?;
        }
        Ok(())
    }

    /// Returns why the log is read-only, if its database went back. That may be noticed in any of its
    /// trees.
    pub(crate) fn halted(&self) -> Option<String> {
        let list = self.list();
        let mut shards = list.frozen.iter().chain([&list.active.shard]);
        shards.find_map(|shard| shard.heads.halted().map(str::to_owned))
    }

    fn check_not_halted(&self) -> Result<(), ReadError> {
        self.halted()
            .map_or(Ok(()), |reason| Err(ReadError::WentBack(reason)))
    }

    /// Returns all shards with the newest heads, to be shown as tree heads and checkpoints. A server
    /// that is alone on its database knows them without asking.
    pub(crate) async fn newest_heads(self: &Arc<Self>) -> Result<Shards, ReadError> {
        let heads = Arc::clone(&self.active().shard.heads);
        let newest = if self.parts.shared.is_alone() && !heads.is_frozen() {
            self.check_not_halted().map(|()| self.shards())
        } else {
            self.newest_shards().await
        };
        match newest {
            // The database is no longer trusted. The heads that are known here stay true. If there
            // is none that may be shown, the one in its place is empty.
            Err(ReadError::WentBack(_)) if heads.published().size.0 > 0 => Ok(self.shards()),
            newest => newest,
        }
    }

    /// Asks the database for the newest head of the active tree. If that tree was frozen meanwhile,
    /// moves on to its successor first. Heads of frozen shards are refreshed as well.
    ///
    /// # Errors
    ///
    /// [`ReadError::WentBack`] if the log is read-only, or becomes so by what is found.
    pub(crate) async fn newest_shards(self: &Arc<Self>) -> Result<Shards, ReadError> {
        loop {
            let active = self.active();
            let heads = &active.shard.heads;
            let asked = heads.newest_head().await;
            self.check_not_halted()?;
            asked?;
            if !heads.is_frozen() {
                self.refresh_frozen().await?;
                self.check_not_halted()?;
                return Ok(self.shards());
            }
            let moved = self.move_on(active.shard.id()).await;
            moved.map_err(read_error)?;
        }
    }
}

/// Has the guard keep the head that a tree begins with here, before anything of it is shown. A log
/// that is read-only shows what the guard has.
async fn keep_first(shard: &Shard) -> Result<(), HeadError> {
    if shard.heads.halted().is_some() {
        return Ok(());
    }
    shard.heads.confirm(&shard.heads.integrated()).await?;
    shard.heads.keep(&shard.heads.published()).await
}

/// Returns the error of a read that fails because the log cannot move on to its next tree.
fn read_error(error: OpenError) -> ReadError {
    match error {
        OpenError::Store(error) => error.into(),
        other => StoreError::Unavailable(other.to_string()).into(),
    }
}
