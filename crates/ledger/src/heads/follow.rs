//! Following the database: heads are read back, accepted only if they extend the newest known head,
//! and a database that went back is noticed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tlog::TreeSize;
use tokio::sync::Mutex;

use super::Heads;
use super::extends::extends;
use super::head::{Head, Integrated};
use super::load::{load_edge, published_head};
use super::publication::Publication;
use super::tile_set::{HeadView, describe};
use super::went_back::{HeadError, WentBack};
use crate::store::{HeadRow, PublicationRow, Read, Standing, StoreError, StoreResult, TreeState};

/// A database that does not answer is asked, and complained about, no more often than this.
pub(crate) const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// The heads of a tree that were known here before its standing was read.
pub(super) struct Known {
    integrated: Arc<Integrated>,
    published: Arc<Head>,
    /// The newest stored publication, of a tree with a witness policy.
    publication: Option<PublicationRow>,
}

/// One read of the newest head, shared by all requests that wait for it.
pub(super) struct Refresh {
    tickets: AtomicU64,
    /// The newest ticket that was drawn before the last finished read began, and the outcome of
    /// that read: the size of the newest head that may be published here.
    served: Mutex<(u64, Result<TreeSize, String>)>,
}

impl Refresh {
    pub(super) fn new() -> Self {
        Self {
            tickets: AtomicU64::new(0),
            served: Mutex::new((0, Ok(TreeSize(0)))),
        }
    }
}

impl Heads {
    /// Returns the newest head that the database had at some moment after this call began, once it
    /// is let out.
    pub(crate) async fn newest_head(&self) -> StoreResult<Arc<Head>> {
        if self.halted().is_some() {
            // The database is no longer trusted. Published entries stay readable as far as they are
            // still there; see [`crate::Log::newest_shards`] for what is not.
            return Ok(self.published());
        }
        match self.read_newest().await {
            Ok(size) => {
                self.wait_let_out(size).await?;
                Ok(self.published())
            }
            Err(reason) => Err(StoreError::Unavailable(reason)),
        }
    }

    /// Follows the database with one read that all calls share that wait for it. Returns the size of
    /// the newest head that may be published here.
    async fn read_newest(&self) -> Result<TreeSize, String> {
        let ticket = self.refresh.tickets.fetch_add(1, Ordering::SeqCst) + 1;
        let mut served = self.refresh.served.lock().await;
        if served.0 < ticket {
            // Requests that are about to ask draw their tickets before the read begins, and share
            // it.
            tokio::task::yield_now().await;
            let covers = self.refresh.tickets.load(Ordering::SeqCst);
            let outcome = self.follow(self.store.reader().as_mut()).await;
            let outcome = outcome.map(|newest| match &self.publication {
                Publication::AtOnce => newest.size,
                Publication::Witnessed(witnessed) => {
                    let found = witnessed.newest_found();
                    found.map_or(TreeSize(0), |head| head.size)
                }
            });
            *served = (covers, outcome.map_err(|error| error.to_string()));
        }
        served.1.clone()
    }

    /// Reads the newest publication and the newest head, and accepts both; see [`Heads::accept`].
    pub(crate) async fn follow(&self, read: &mut dyn Read) -> Result<Arc<Integrated>, HeadError> {
        let known = self.known(read).await?;
        let standing = read.standing(self.tree.id).await?;
        self.accept(known, standing, read).await
    }

    /// Returns the heads that are known here, and then reads the newest publication. MUST be called
    /// before the standing is read, because a round of this process may be integrated while that
    /// read is under way; and each published head was integrated before.
    pub(super) async fn known(&self, read: &mut dyn Read) -> StoreResult<Known> {
        let (integrated, published) = (self.integrated(), self.published());
        let publication = match &self.publication {
            Publication::AtOnce => None,
            Publication::Witnessed(_) => read.newest_publication(self.tree.id).await?,
        };
        Ok(Known {
            integrated,
            published,
            publication,
        })
    }

    /// Accepts a tree's newest head if it extends the newest integrated one, and a publication of
    /// another server. Returns the newest integrated head.
    ///
    /// A database that went back makes the log read-only. Published entries stay readable as far as
    /// they are still there.
    pub(super) async fn accept(
        &self,
        known: Known,
        standing: Option<Standing>,
        read: &mut dyn Read,
    ) -> Result<Arc<Integrated>, HeadError> {
        let newest = self.accept_head(&known.integrated, standing, read).await?;
        if let Publication::Witnessed(witnessed) = &self.publication {
            let found = self.accept_publication(&known.published, known.publication, &newest, read);
            if let Some(head) = found.await? {
                witnessed.note_found(Arc::new(head));
            }
        }
        Ok(newest)
    }

    async fn accept_head(
        &self,
        known: &Arc<Integrated>,
        standing: Option<Standing>,
        read: &mut dyn Read,
    ) -> Result<Arc<Integrated>, HeadError> {
        let Some(standing) = standing else {
            return Err(self.refuse(&WentBack::gone(known.view(), self.tree.id)));
        };
        let head = match standing.head {
            Some(row) if row.size == known.size && row.root == known.root => self.integrated(),
            None if known.size == TreeSize(0) => self.integrated(),
            Some(row) if row.size > known.size => self.accept_larger(known, row, read).await?,
            Some(row) if row.size == known.size => {
                let found = describe(row.size, &row.root);
                return Err(self.refuse(&WentBack::fork(known.view(), row.size, &found)));
            }
            row => return Err(self.refuse(&WentBack::smaller(known.view(), row.as_ref()))),
        };
        if standing.state == TreeState::Frozen {
            // State and head come from one snapshot, so this head is the last.
            self.mark_frozen();
        }
        Ok(head)
    }

    /// Lets out here the head that another server published, or this one in a statement whose answer
    /// was lost.
    ///
    /// `published` was the published head before `row` was read, and `newest` was read after it.
    async fn accept_publication(
        &self,
        published: &Head,
        row: Option<PublicationRow>,
        newest: &Arc<Integrated>,
        read: &mut dyn Read,
    ) -> Result<Option<Head>, HeadError> {
        let continues = |row: &PublicationRow| {
            row.size > published.size || row.size == published.size && row.root == published.root
        };
        let Some(row) = row.as_ref().filter(|row| continues(row)) else {
            let reason = WentBack::publication(published.view(), row.as_ref());
            return Err(self.refuse(&reason));
        };
        if row.size == published.size {
            return Ok(None);
        }
        let integrated = published_head(read, self.tree.id, row, newest).await?;
        self.check_extends(published.view(), integrated.view(), read)
            .await?;
        self.check_extends(integrated.view(), newest.view(), read)
            .await?;
        // The row was read before, so it is kept as well.
        self.confirm(newest).await?;
        let signed = self.sign(&integrated)?;
        let head = signed.with_stored(row.checkpoint.clone())?;
        Ok(Some(head))
    }

    /// Accepts a larger head. Its edge must reproduce its root, and its tiles must reproduce the
    /// known head's root at the known head's size.
    ///
    /// It is confirmed before it is known here: the database may show a commit that no standby has,
    /// and that a failover takes away again.
    async fn accept_larger(
        &self,
        known: &Arc<Integrated>,
        row: HeadRow,
        read: &mut dyn Read,
    ) -> Result<Arc<Integrated>, HeadError> {
        let found = self.load(known, row, read).await?;
        self.check_extends(known.view(), found.view(), read).await?;
        self.confirm(&found).await?;
        self.integrate(known, found, read).await
    }

    /// Makes sure that the database keeps a head that was read back, and all that was read before.
    pub(crate) async fn confirm(&self, head: &Integrated) -> StoreResult<()> {
        self.store
            .confirm(self.tree.id, head.size, &head.root)
            .await
    }

    /// Reads the right edge of a head, which must reproduce its root.
    async fn load(
        &self,
        known: &Integrated,
        row: HeadRow,
        read: &mut dyn Read,
    ) -> Result<Integrated, HeadError> {
        let found = describe(row.size, &row.root);
        let edge = match load_edge(read, self.tree.id, row.size).await {
            Ok(edge) => edge,
            Err(StoreError::Damaged(what)) => {
                let found = format!("{found} ({what})");
                return Err(self.refuse(&WentBack::fork(known.view(), row.size, &found)));
            }
            Err(error) => return Err(error.into()),
        };
        Integrated::read_back(edge, row.root, row.time).ok_or_else(|| {
            let found = format!("{found}, which its tiles do not reproduce");
            self.refuse(&WentBack::fork(known.view(), row.size, &found))
        })
    }

    /// Checks with tiles that are read now that `newer` extends `older`. If not, the log goes
    /// read-only.
    pub(crate) async fn check_extends(
        &self,
        older: HeadView<'_>,
        newer: HeadView<'_>,
        read: &mut dyn Read,
    ) -> Result<(), HeadError> {
        let fork = extends(read, self.tree.id, older, newer).await?;
        fork.map_err(|reason| self.refuse(&reason))
    }

    /// Makes the log read-only and returns the error that says so.
    fn refuse(&self, reason: &WentBack) -> HeadError {
        HeadError::WentBack(self.halt(reason))
    }
}
