//! Publication: letting out what is integrated. Without a witness policy that is one step (see [`Core::integrate`]); with
//! one, no text of a head leaves before a quorum has cosigned it and that is stored.
//!
//! Of several servers on one database, one at a time asks the witnesses; the others follow what it stored.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tlog::{LeafIndex, Note, TreeSize, VerifyingKey, WitnessPolicy};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::heads::follow::{load_edge, load_head};
use crate::heads::head::{Integrated, SigningError, describe};
use crate::heads::witnesses::{WITNESS_TIMEOUT, WitnessTransport, Witnesses};
use crate::heads::{Core, PublishError, WentBack};
use crate::store::{PublicationRow, Publisher, Read, Store, StoreError};
use crate::tasks::Tasks;
use crate::{AppendError, Head, OpenError, TreeId};

/// Writes are refused while more entries than this wait to be published (design §4).
pub const MAX_UNPUBLISHED_ENTRIES: u64 = 100_000;
/// Writes are refused while something has waited this long without a publication, and none waits longer itself.
pub const MAX_UNPUBLISHED_TIME: Duration = Duration::from_secs(10);
/// What a client is told then: witnesses that answer do so in well under this.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// After an attempt that failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);
/// While another server has the right to publish.
const TURN_PAUSE: Duration = Duration::from_millis(100);

/// How a log with a witness policy publishes.
#[derive(Clone)]
pub struct Witnessing {
    /// Whose cosignatures make a quorum. Its `log` lines do not count here.
    pub policy: WitnessPolicy,
    /// The way to them.
    pub transport: Arc<dyn WitnessTransport>,
    /// After this time a head is published without its quorum ("fail open"); none means never ("fail closed").
    pub fail_open_after: Option<Duration>,
}

/// How heads are let out.
pub(crate) enum Publication {
    /// As soon as they are integrated.
    AtOnce,
    /// Once they are witnessed.
    Witnessed(Box<Witnessed>),
}

impl Publication {
    pub(crate) fn new(witnessing: Option<Witnessing>) -> Result<Self, OpenError> {
        let Some(witnessing) = witnessing else { return Ok(Self::AtOnce) };
        let witnesses = Witnesses::new(witnessing.policy, witnessing.transport).ok_or(OpenError::Quorum)?;
        Ok(Self::Witnessed(Box::new(Witnessed {
            witnesses,
            fail_open_after: witnessing.fail_open_after,
            waiting_since: Mutex::new(None),
            ended: CancellationToken::new(),
        })))
    }

    /// The integrated and the published head of a tree that is being opened.
    ///
    /// The first publication of a tree with a policy is the head that was let out before it had one.
    pub(crate) async fn heads(
        &self,
        store: &dyn Store,
        tree: TreeId,
        log_key: &VerifyingKey,
        sign: impl Fn(&Arc<Integrated>) -> Result<Head, SigningError>,
    ) -> Result<(Arc<Integrated>, Head), OpenError> {
        let mut reader = store.reader();
        loop {
            // Publication and then head: what is published is integrated.
            let row = reader.newest_publication(tree).await?;
            let integrated = Arc::new(load_head(reader.as_mut(), tree).await?);
            match (self, row) {
                (Self::AtOnce, Some(_)) => return Err(OpenError::Witnessed),
                (Self::AtOnce, None) => {
                    let head = sign(&integrated)?;
                    return Ok((integrated, head));
                }
                (Self::Witnessed(witnessed), Some(row)) => {
                    let published = published_head(reader.as_mut(), tree, &row, &integrated).await?;
                    if published.size < integrated.size {
                        witnessed.waits();
                    }
                    let head = sign(&published)?.with_stored(row.checkpoint, log_key)?;
                    return Ok((integrated, head));
                }
                (Self::Witnessed(_), None) => {
                    let head = sign(&integrated)?;
                    if store.publisher().await?.publish(tree, &row_of(&head, None)).await? {
                        return Ok((integrated, head));
                    }
                    // A server that starts in the same moment was first; its publication counts.
                }
            }
        }
    }
}

pub(crate) struct Witnessed {
    witnesses: Witnesses,
    fail_open_after: Option<Duration>,
    /// Since when something waits without a publication; none while nothing does.
    waiting_since: Mutex<Option<Instant>>,
    /// The publisher has ended: nothing more is published here.
    ended: CancellationToken,
}

impl Witnessed {
    /// Something was integrated.
    pub(crate) fn waits(&self) {
        self.waiting_since.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
    }

    /// Something was published: what waits yet, waits from now on.
    fn published(&self) {
        *self.waiting_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn has_waited(&self) -> Duration {
        let since = *self.waiting_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// What an attempt came to.
enum Attempt {
    /// Everything integrated is published.
    Done,
    /// Another server publishes.
    NotOurTurn,
}

/// Why a head was not published.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the cosignatures do not make the quorum")]
    NoQuorum,
    #[error(transparent)]
    Head(#[from] PublishError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Head(error.into())
    }
}

impl Core {
    /// Starts the publisher, which may end once `stopping` is cancelled, the log is read-only, or nothing is to be witnessed.
    pub(crate) fn spawn_publisher(self: &Arc<Self>, tasks: &Tasks, stopping: CancellationToken) -> JoinHandle<()> {
        let may_end = {
            let (core, stopping) = (Arc::clone(self), stopping.clone());
            let is_at_once = matches!(core.publication, Publication::AtOnce);
            move || is_at_once || stopping.is_cancelled() || core.read_only.get().is_some()
        };
        tasks.spawn("the publisher", may_end, Arc::clone(self).run_publisher(stopping))
    }

    /// Refuses a write while too much waits to be published.
    pub(crate) fn check_unpublished(&self) -> Result<(), AppendError> {
        let Publication::Witnessed(witnessed) = &self.publication else { return Ok(()) };
        let waiting = self.integrated().size.0.saturating_sub(self.head().size.0);
        if waiting > MAX_UNPUBLISHED_ENTRIES || witnessed.has_waited() >= MAX_UNPUBLISHED_TIME {
            return Err(AppendError::Unpublished { retry_after: RETRY_AFTER });
        }
        Ok(())
    }

    /// Waits until the entry is below the published head. In time bounded; without a policy it need not wait.
    pub(crate) async fn wait_published(&self, index: LeafIndex) -> Result<(), AppendError> {
        let Publication::Witnessed(witnessed) = &self.publication else { return Ok(()) };
        let mut heads = self.published.subscribe();
        tokio::select! {
            biased;
            // The sender lives as long as this.
            _ = heads.wait_for(|head| head.size.0 > index.0) => return Ok(()),
            () = witnessed.ended.cancelled() => {}
            () = sleep(MAX_UNPUBLISHED_TIME) => {}
        }
        Err(match self.read_only.get() {
            Some(reason) => AppendError::ReadOnly(reason.clone()),
            None if witnessed.ended.is_cancelled() => AppendError::Stopping,
            None => AppendError::Unpublished { retry_after: RETRY_AFTER },
        })
    }

    /// Publishes what is integrated until the log stops and nothing waits, or an attempt then fails.
    async fn run_publisher(self: Arc<Self>, stopping: CancellationToken) {
        let Publication::Witnessed(witnessed) = &self.publication else { return };
        let _ended = witnessed.ended.clone().drop_guard();
        let mut publisher = None;
        let mut integrated = self.integrated.subscribe();
        while self.read_only.get().is_none() {
            let published = self.head().size;
            tokio::select! {
                biased;
                _ = integrated.wait_for(|newest| newest.size > published) => {}
                () = stopping.cancelled() => return,
            }
            let pause = match self.attempt(witnessed, &mut publisher).await {
                Ok(Attempt::Done) => continue,
                Ok(Attempt::NotOurTurn) => TURN_PAUSE,
                Err(error) => {
                    // Gives the right to publish to a server that may do better.
                    publisher = None;
                    self.metrics.publication_failures.inc();
                    tracing::warn!(%error, "a head is not published yet");
                    FAILURE_PAUSE
                }
            };
            if stopping.run_until_cancelled(sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    async fn attempt(
        &self,
        witnessed: &Witnessed,
        connection: &mut Option<Box<dyn Publisher>>,
    ) -> Result<Attempt, Failure> {
        let mut publisher = match connection.take() {
            Some(publisher) => publisher,
            None => self.store.publisher().await?,
        };
        let attempt = match publisher.claim(self.tree.id).await? {
            false => Attempt::NotOurTurn,
            true => {
                self.publish_newest(witnessed, publisher.as_mut()).await?;
                publisher.release(self.tree.id).await?;
                Attempt::Done
            }
        };
        *connection = Some(publisher);
        Ok(attempt)
    }

    /// Has the newest integrated head cosigned, stores that, and lets it out.
    async fn publish_newest(&self, witnessed: &Witnessed, publisher: &mut dyn Publisher) -> Result<(), Failure> {
        // What others published before it was our turn, and what we stored without learning of it.
        let integrated = self.follow(self.store.reader().as_mut()).await?;
        let published = self.head();
        if published.size == integrated.size {
            return Ok(());
        }
        let started = Instant::now();
        let head = self.sign(&integrated).map_err(PublishError::from)?;
        // Dies from here on: witnesses may have seen a head that is durable and not published. The next attempt proves from there.
        let head = self.cosigned(witnessed, head).await?;
        let row = row_of(&head, Some(published.size));
        // Dies before or in this: the database decides, and every server reads back what it decided.
        if !publisher.publish(self.tree.id, &row).await? {
            // Somebody published without the right, or lost it meanwhile: theirs counts.
            self.follow(self.store.reader().as_mut()).await?;
            return Ok(());
        }
        self.let_out(head);
        self.metrics.publications.inc();
        self.metrics.publication_seconds.observe(started.elapsed().as_secs_f64());
        Ok(())
    }

    async fn cosigned(&self, witnessed: &Witnessed, head: Head) -> Result<Head, Failure> {
        let damaged = |error: tlog::NoteError| PublishError::Store(StoreError::Damaged(error.to_string()));
        let note = Note::parse(&head.checkpoint_v2).map_err(damaged)?;
        let until_open = witnessed.fail_open_after.map(|after| after.saturating_sub(witnessed.has_waited()));
        let patience = until_open.map_or(WITNESS_TIMEOUT, |left| left.min(WITNESS_TIMEOUT));
        let cosigned = witnessed.witnesses.cosign(self, &head, &note, patience).await;
        if !cosigned.is_quorum {
            if witnessed.fail_open_after.is_none_or(|after| witnessed.has_waited() < after) {
                return Err(Failure::NoQuorum);
            }
            tracing::error!(size = head.size.0, "published without the quorum of witnesses");
            self.metrics.unwitnessed_publications.inc();
        }
        Ok(head.with_cosignatures(note, cosigned.lines).map_err(PublishError::from)?)
    }

    /// Lets out what another server, or this one in a statement whose answer was lost, published.
    ///
    /// `floor` was the published head before `row` was read, and `newest` was read after it.
    pub(crate) async fn accept_publication(
        &self,
        floor: &Head,
        row: Option<PublicationRow>,
        newest: &Arc<Integrated>,
        read: &mut dyn Read,
    ) -> Result<(), PublishError> {
        let found = row.as_ref().map_or_else(|| "none".to_owned(), |row| describe(row.size, &row.root));
        let Some(row) = row.filter(|row| row.size > floor.size || row.size == floor.size && row.root == floor.root)
        else {
            return Err(self.refuse(&WentBack::publication(floor.view(), &found)));
        };
        if row.size == floor.size {
            return Ok(());
        }
        let integrated = published_head(read, self.tree.id, &row, newest).await?;
        self.check_extends(floor.view(), integrated.view(), read).await?;
        self.check_extends(integrated.view(), newest.view(), read).await?;
        self.let_out(self.sign(&integrated)?.with_stored(row.checkpoint, self.log_key())?);
        Ok(())
    }

    /// Publishes a head, unless a larger one is. `head` MUST be of the line of integrated heads: all of these are consistent.
    pub(crate) fn let_out(&self, head: Head) {
        let size = head.size;
        let larger = self.published.send_if_modified(|published| {
            let larger = head.size > published.size;
            if larger {
                self.show_head(&head);
                *published = Arc::new(head);
            }
            larger
        });
        if let Publication::Witnessed(witnessed) = &self.publication
            && larger
        {
            witnessed.published();
            // Looked at afterwards: what is integrated from now on says itself that it waits.
            if self.integrated().size > size {
                witnessed.waits();
            }
        }
    }
}

fn row_of(head: &Head, prev_size: Option<TreeSize>) -> PublicationRow {
    PublicationRow {
        prev_size,
        size: head.size,
        root: head.root,
        time: head.time,
        checkpoint: head.checkpoint_v2.clone(),
    }
}

/// The head of a stored publication: the newest integrated one, or an earlier one whose right edge is read back.
async fn published_head(
    read: &mut dyn Read,
    tree: TreeId,
    row: &PublicationRow,
    newest: &Arc<Integrated>,
) -> Result<Arc<Integrated>, StoreError> {
    let damaged = || {
        let found = describe(row.size, &row.root);
        StoreError::Damaged(format!("table publication: {found} does not follow from head, tile and entry"))
    };
    if row.size == newest.size && row.root == newest.root {
        return Ok(Arc::clone(newest));
    }
    if row.size >= newest.size {
        return Err(damaged());
    }
    let edge = load_edge(read, tree, row.size).await?;
    Integrated::read_back(edge, row.root, row.time).map(Arc::new).ok_or_else(damaged)
}
