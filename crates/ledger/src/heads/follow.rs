//! Following the database: reading heads back, accepting only what extends the newest known head, noticing that it went back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tlog::{EMPTY_ROOT, Edge, TreeSize};
use tokio::sync::Mutex;

use crate::heads::head::{HeadView, Integrated, describe};
use crate::heads::publish::Publication;
use crate::heads::{Core, PublishError, WentBack};
use crate::reading::tiles::fresh_tiles;
use crate::store::{HeadRow, Read, StoreError, StoreResult, TreeState};
use crate::{Head, ReadError, TreeId};

/// How often a server looks for heads of other servers on the same database (design §5).
const POLL_SHARED: Duration = Duration::from_millis(50);
/// How often a server that is alone on its database looks whether that was put back under it.
const POLL_ALONE: Duration = Duration::from_secs(1);

/// A database that does not answer is not asked, and not complained about, more often than this.
pub(crate) const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// One read of the newest head shared by all requests that wait for one.
pub(crate) struct Refresh {
    tickets: AtomicU64,
    /// The newest ticket that was drawn before the last finished read began, and what that read brought.
    served: Mutex<(u64, Result<(), String>)>,
}

impl Refresh {
    pub(crate) fn new() -> Self {
        Self { tickets: AtomicU64::new(0), served: Mutex::new((0, Ok(()))) }
    }
}

impl Core {
    /// The newest head that the database had at some moment after this call began.
    pub(crate) async fn newest_head(&self) -> Result<Arc<Head>, ReadError> {
        if self.read_only.get().is_some() {
            // What the database holds is no longer believed; what was published stays readable where it still is.
            return Ok(self.head());
        }
        let ticket = self.refresh.tickets.fetch_add(1, Ordering::SeqCst) + 1;
        let mut served = self.refresh.served.lock().await;
        if served.0 < ticket {
            // Whoever is about to ask does so before the read begins, and shares it.
            tokio::task::yield_now().await;
            let covers = self.refresh.tickets.load(Ordering::SeqCst);
            let outcome = self.follow(self.store.reader().as_mut()).await;
            *served = (covers, outcome.map(drop).map_err(|error| error.to_string()));
        }
        match &served.1 {
            Ok(()) => Ok(self.head()),
            Err(reason) => Err(ReadError::Store(StoreError::Unavailable(reason.clone()))),
        }
    }

    /// Reads what is published and the newest head; see [`Core::follow_head`] and [`Core::accept_publication`].
    pub(crate) async fn follow(&self, read: &mut dyn Read) -> Result<Arc<Integrated>, PublishError> {
        let Publication::Witnessed(_) = &self.publication else { return self.follow_head(read).await };
        // Floor, publication, head, in this order: what is published is integrated.
        let floor = self.head();
        let publication = read.newest_publication(self.tree.id).await?;
        let newest = self.follow_head(read).await?;
        self.accept_publication(&floor, publication, &newest, read).await?;
        Ok(newest)
    }

    /// Reads the newest head and takes it if it extends the newest integrated one; returns the newest integrated head.
    ///
    /// A database that went back makes the log read-only; what was published stays readable where it still is.
    async fn follow_head(&self, read: &mut dyn Read) -> Result<Arc<Integrated>, PublishError> {
        // The floor is taken before the read: a round of this process may be integrated while the read is under way.
        let floor = self.integrated();
        let Some(standing) = read.standing(self.tree.id).await? else {
            return Err(self.refuse(&WentBack::gone(floor.view(), self.tree.id)));
        };
        let head = match standing.head {
            Some(row) if row.size > floor.size => self.accept(&floor, row, read).await,
            Some(row) if row.size == floor.size && row.root == floor.root => Ok(self.integrated()),
            None if floor.size == TreeSize(0) => Ok(self.integrated()),
            Some(row) if row.size == floor.size => {
                Err(self.refuse(&WentBack::fork(floor.view(), &describe(row.size, &row.root))))
            }
            row => Err(self.refuse(&WentBack::smaller(floor.view(), row.as_ref()))),
        }?;
        if standing.state == TreeState::Frozen {
            // State and head are of one snapshot: this head is the last.
            self.frozen.cancel();
        }
        Ok(head)
    }

    /// A larger head: its edge must reproduce its root, and its tiles must reproduce the floor's root at the floor's size.
    async fn accept(
        &self,
        floor: &Arc<Integrated>,
        row: HeadRow,
        read: &mut dyn Read,
    ) -> Result<Arc<Integrated>, PublishError> {
        let found = describe(row.size, &row.root);
        let edge = match load_edge(read, self.tree.id, row.size).await {
            Ok(edge) => edge,
            Err(StoreError::Damaged(what)) => {
                return Err(self.refuse(&WentBack::fork(floor.view(), &format!("{found} ({what})"))));
            }
            Err(error) => return Err(error.into()),
        };
        let Some(integrated) = Integrated::read_back(edge, row.root, row.time) else {
            return Err(
                self.refuse(&WentBack::fork(floor.view(), &format!("{found}, which its tiles do not reproduce")))
            );
        };
        self.check_extends(floor.view(), integrated.view(), read).await?;
        self.integrate(floor, integrated, read).await
    }

    /// Checks, from tiles read now, that `newer` extends `older`; otherwise the log goes read-only.
    pub(crate) async fn check_extends(
        &self,
        older: HeadView<'_>,
        newer: HeadView<'_>,
        read: &mut dyn Read,
    ) -> Result<(), PublishError> {
        let ids = tlog::tiles_for_consistency(older.size, newer.size);
        let tiles = match fresh_tiles(read, self.tree.id, newer, &ids).await {
            Ok(tiles) => tiles,
            Err(StoreError::Damaged(what)) => {
                return Err(self.refuse(&WentBack::fork(older, &format!("{} ({what})", newer.describe()))));
            }
            Err(error) => return Err(error.into()),
        };
        let verified = tlog::consistency_proof(older.size, newer.size, &tiles)
            .and_then(|proof| tlog::verify_consistency(older.size, &older.root, newer.size, &newer.root, &proof));
        verified.map_err(|error| self.refuse(&WentBack::fork(older, &format!("{} ({error})", newer.describe()))))
    }

    pub(crate) fn refuse(&self, reason: &WentBack) -> PublishError {
        PublishError::WentBack(self.go_read_only(reason))
    }

    /// Follows the database until the tree is frozen, or the log is dropped.
    pub(crate) async fn poll(&self) {
        let every = if self.store.is_shared() { POLL_SHARED } else { POLL_ALONE };
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.frozen.is_cancelled() {
            ticks.tick().await;
            if let Err(error) = self.newest_head().await {
                tracing::warn!(%error, "cannot read the newest tree head");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

/// The right edge of the tree at `size`, as stored. The caller compares its root.
pub(crate) async fn load_edge(read: &mut dyn Read, tree: TreeId, size: TreeSize) -> StoreResult<Edge> {
    let mut levels = Vec::new();
    for (tile, width) in Edge::shape(size) {
        let start = tile.index * tlog::TILE_WIDTH as u64;
        let range = start..start + width as u64;
        levels.push(match tile.level {
            _ if width == 0 => Vec::new(),
            0 => read.leaf_hashes(tree, range).await?,
            level => read.tile_roots(tree, level - 1, range).await?,
        });
    }
    Edge::new(size, levels).map_err(|error| StoreError::Damaged(error.to_string()))
}

/// The stored head of a tree that is being opened, checked against its edge.
pub(crate) async fn load_head(read: &mut dyn Read, tree: TreeId) -> StoreResult<Integrated> {
    let Some(row) = read.newest_head(tree).await? else {
        return Ok(Integrated::committed(Edge::empty(), EMPTY_ROOT, 0));
    };
    let edge = load_edge(read, tree, row.size).await?;
    Integrated::read_back(edge, row.root, row.time).ok_or_else(|| {
        StoreError::Damaged(format!(
            "table head: {} does not follow from tile and entry",
            describe(row.size, &row.root)
        ))
    })
}
