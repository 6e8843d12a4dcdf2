//! A ledger: the logs of one name in one database.

use std::sync::Arc;
use std::time::Duration;

use crate::api::Api;
use crate::clock::Clock;
use crate::events::Events;
use crate::events::news::News;
use crate::events::tell::tell;
use crate::guard::GuardedHeads;
use crate::guard::floor::Floors;
use crate::heads::poll::poll;
use crate::ids::TreeId;
use crate::log::Log;
use crate::open::Settings;
use crate::open_error::OpenError;
use crate::parts::{LedgerParts, LogParts};
use crate::presence::{self, Presence, Word};
use crate::reading::entry::ReadError;
use crate::shards::open_log::OpenLog;
use crate::shards::opening::Opening;
use crate::shards::trees::find_ledger;
use crate::store::TreeRow;
use crate::tasks::Fatal;
use crate::writing::append_error::AppendError;
use crate::writing::contradiction::Contradiction;
use ready::LastProbe;

pub use ready::NotReady;

mod ready;

/// Longest wait at a start for a running server to vouch for the database.
const VOUCHER_PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait at a start for a running server to say that the database went back. It looks for new
/// servers four times as often.
const NEIGHBOUR_PATIENCE: Duration = Duration::from_millis(200);

/// An open ledger. Cheap to clone.
///
/// Its logs share a database, keys, witnesses, tasks and the row that shows that this server lives.
/// Each has its own sequencer, and a fault of one is no fault of another.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Arc<LedgerParts>,
    logs: Vec<Log>,
    last_probe: LastProbe,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.parts.ended.cancel();
    }
}

impl Ledger {
    /// Opens the logs of a ledger and starts their sequencers.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]. An active tree of an API that is not among those of the settings is one:
    /// another release wrote it.
    pub async fn open(mut settings: Settings) -> Result<Self, OpenError> {
        let active = find_ledger(settings.store.as_ref(), settings.name.as_deref()).await?;
        let active = active.ok_or(OpenError::NoLedger)?;
        let name = active
            .first()
            .map(|row| row.name.clone())
            .unwrap_or_default();
        let (apis, created) = (settings.apis, std::mem::take(&mut settings.created));
        let parts = Arc::new(LedgerParts::new(settings, &name)?);
        // Dropped if a log cannot be opened, which ends the tasks of the others.
        let mut inner = Inner {
            parts: Arc::clone(&parts),
            logs: Vec::with_capacity(active.len()),
            last_probe: LastProbe::default(),
        };
        let floors = Floors::read(parts.guard.as_ref(), &name).await?;
        // Read once more: a log that was rotated meanwhile has a tree that the floors may name.
        let active = find_ledger(parts.store.as_ref(), Some(&name)).await?;
        let active = active.ok_or(OpenError::NoLedger)?;
        floors.check_logs(&active)?;
        let trees = parts.store.trees().await?;
        let mut openings = Vec::with_capacity(active.len());
        for row in active {
            let api = apis.iter().find(|api| api.name == row.api);
            let api = api.ok_or_else(|| OpenError::UnknownApi(row.api.clone()))?;
            let rows = up_to(&trees, row);
            openings.push(Opening::read(LogParts::new(&parts, api)?, &rows, &floors).await?);
        }
        check_floors(&parts, &openings, &floors, &created).await?;
        for opening in openings {
            let open = OpenLog::start(opening).await?;
            inner.logs.push(Log { open });
        }
        let logs: Vec<_> = inner.logs.iter().map(|log| Arc::clone(&log.open)).collect();
        follow(&parts, logs.clone());
        tell_readers(&parts, logs.clone());
        watch_clock(&parts);
        Presence::new(&parts, logs).start().await?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.inner.parts.server.name
    }

    /// Returns its logs, in the order of [`crate::APIS`].
    pub fn logs(&self) -> &[Log] {
        &self.inner.logs
    }

    /// Returns the log of an API, if the ledger has one.
    pub fn log(&self, api: &Api) -> Option<&Log> {
        self.logs().iter().find(|log| log.api() == api)
    }

    /// Returns the log that a tree belongs to.
    pub fn log_of(&self, tree: TreeId) -> Option<&Log> {
        self.logs()
            .iter()
            .find(|log| log.open.shard_of(tree).is_some())
    }

    /// Waits, for a bounded time, until the entry that a contradiction names is below the published
    /// head of its tree, which may be of another log. An answer that names the entry MUST wait for
    /// that.
    ///
    /// # Errors
    ///
    /// The entry is durable, but not published in this time.
    pub async fn wait_shown(&self, found: &Contradiction) -> Result<(), AppendError> {
        let unavailable = |error: ReadError| AppendError::Unavailable(error.to_string());
        let first = &found.first;
        let mut log = self.log_of(first.tree);
        if log.is_none() {
            // Another server opened the tree.
            for log in self.logs() {
                log.newest_shards().await.map_err(unavailable)?;
            }
            log = self.log_of(first.tree);
        }
        let shard = log.and_then(|log| log.open.shard_of(first.tree));
        let absent = || AppendError::Unavailable(format!("tree {} is not open yet", first.tree));
        let shard = shard.ok_or_else(absent)?;
        Ok(shard.heads.wait_published(first.leaf_index).await?)
    }

    /// Returns the clock that entries are dated by.
    pub fn clock(&self) -> &dyn Clock {
        self.inner.parts.clock.as_ref()
    }

    /// Returns the newest head of each log that the guard has, for other servers of the ledger.
    pub fn guarded_heads(&self) -> GuardedHeads {
        self.inner.parts.guard.heads()
    }

    /// Returns the trees of all logs as they are stored now, oldest first.
    pub async fn trees(&self) -> Result<Vec<TreeRow>, ReadError> {
        let mut trees = self.inner.parts.store.trees().await?;
        trees.retain(|tree| tree.name == self.name());
        Ok(trees)
    }

    /// Returns the entries of all logs as events.
    pub fn events(&self) -> Events {
        Events::of(self.clone())
    }

    pub(crate) fn news(&self) -> &News {
        &self.inner.parts.news
    }

    /// Waits until this server cannot go on. Returns the reason.
    pub async fn fatal(&self) -> Fatal {
        self.inner.parts.tasks.wait_fatal().await
    }

    /// Accepts no more entries, finishes the queues, stores the signed entry timestamps that wait,
    /// and tries once more to publish heads that wait for witnesses. Appends then fail with
    /// [`AppendError::Stopping`](crate::AppendError::Stopping).
    pub async fn stop(&self) {
        let stops = self.logs().iter().map(|log| async {
            log.open.active().stop().await;
        });
        futures_util::future::join_all(stops).await;
        if let Err(error) = self.inner.parts.end().await {
            tracing::warn!(%error, "the row of this server cannot be removed");
        }
    }
}

/// Fails if an older copy of the database would go unnoticed: nobody says how far a log had come, and
/// no other server that runs vouches for the database; or one says that it went back.
async fn check_floors(
    parts: &Arc<LedgerParts>,
    openings: &[Opening],
    floors: &Floors,
    created: &[TreeId],
) -> Result<(), OpenError> {
    let mut without = openings
        .iter()
        .filter(|opening| !opening.has_floor(floors, created));
    let without = without.next();
    let patience = match without {
        Some(_) => VOUCHER_PATIENCE,
        None => NEIGHBOUR_PATIENCE,
    };
    match (presence::ask_neighbours(parts, patience).await?, without) {
        (Word::Vouched, _) | (Word::Silent, None) => Ok(()),
        // The floor that is known here says the same, so the log opens read-only.
        (Word::Refused, _) if openings.iter().any(Opening::went_back) => Ok(()),
        (Word::Refused, _) => Err(OpenError::Refused),
        (Word::Silent, Some(first)) => Err(OpenError::NoFloor {
            api: first.parts.api,
            name: parts.server.name.clone(),
            silent: floors.silent.clone(),
        }),
    }
}

/// Starts the task that follows the database for all logs.
fn follow(parts: &Arc<LedgerParts>, logs: Vec<Arc<OpenLog>>) {
    let (ended, store) = (parts.ended.clone(), Arc::clone(&parts.store));
    let has_ended = {
        let ended = ended.clone();
        move || ended.is_cancelled()
    };
    let active = move || {
        let active = logs.iter().map(|log| log.active());
        active
            .map(|active| Arc::clone(&active.shard.heads))
            .collect()
    };
    let follow = async move {
        ended
            .run_until_cancelled(poll(store.as_ref(), active))
            .await;
    };
    let tasks = &parts.tasks;
    tasks.spawn("the follower of the database", has_ended, follow);
}

/// Starts the task that tells readers of events that a head was published.
fn tell_readers(parts: &Arc<LedgerParts>, logs: Vec<Arc<OpenLog>>) {
    let (ended, of_ledger) = (parts.ended.clone(), Arc::clone(parts));
    let has_ended = {
        let ended = ended.clone();
        move || ended.is_cancelled()
    };
    let tell = async move {
        ended
            .run_until_cancelled(tell(&of_ledger.news, &logs))
            .await;
    };
    let tasks = &parts.tasks;
    tasks.spawn("the task that tells of new heads", has_ended, tell);
}

/// Starts the task that watches the clock.
fn watch_clock(parts: &Arc<LedgerParts>) {
    let (ended, dating) = (parts.ended.clone(), Arc::clone(&parts.dating));
    let has_ended = {
        let ended = ended.clone();
        move || ended.is_cancelled()
    };
    let watch = async move {
        ended.run_until_cancelled(dating.watch()).await;
    };
    let tasks = &parts.tasks;
    tasks.spawn("the task that watches the clock", has_ended, watch);
}

/// Returns the trees of a log up to its active one, oldest first. If the log is rotated at this
/// moment, it moves on to the later ones by itself.
fn up_to(trees: &[TreeRow], active: TreeRow) -> Vec<TreeRow> {
    let before = trees
        .iter()
        .take_while(|row| row.tree_id != active.tree_id)
        .filter(|row| row.name == active.name && row.api == active.api);
    before.cloned().chain([active.clone()]).collect()
}
