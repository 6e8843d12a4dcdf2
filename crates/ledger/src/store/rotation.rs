//! The part of the contract that rotation needs: the next key, the servers that live, the freeze,
//! the last checkpoints.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use tlog::{Hash, LeafIndex};

use super::error::StoreResult;
use super::rows::{HeadRow, TreeRow, TreeState};
use crate::TreeId;

/// A tree's state and its newest head, of one moment. A frozen tree's head is its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether the tree takes entries.
    pub state: TreeState,
    /// The newest head; `None` for an empty tree.
    pub head: Option<HeadRow>,
}

/// The row of a server that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRow {
    /// Random, one per process.
    pub server_id: String,
    /// The ledger that it serves.
    pub name: String,
    /// Host and process, for people.
    pub place: String,
    /// SHA-256 of the SPKI of each log key that it holds.
    pub keys: Vec<Hash>,
    /// Whether it serves, and no log of it is read-only: the database extends all that it knows.
    pub vouches: bool,
    /// When the row was stored, by the database's clock, Unix milliseconds. The database sets it, so
    /// it is of no account in a row that is stored.
    pub seen: i64,
}

/// Rows of servers that are older than this are removed, whoever looks.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(100 * 60 * 60);

/// Which log of a database: the name of its ledger, and its API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogName<'a> {
    /// Name of the ledger.
    pub name: &'a str,
    /// Name of the API.
    pub api: &'a str,
}

/// The last checkpoints of a frozen tree.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct FinalCheckpoint {
    /// Rekor v1's signed note, in a log of that API.
    pub rekor_checkpoint: Option<String>,
    /// The C2SP checkpoint, with the cosignatures that it was published with.
    pub checkpoint: String,
    /// The note that says that the tree is frozen, signed by the log alone.
    pub freeze_note: String,
    /// The signature of COSE receipts in the last head, see [`tlog::SignedRoot`].
    pub receipt_signature: Vec<u8>,
}

/// Outcome of a freeze.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freeze {
    /// The tree is frozen with this as its last head, and the next one is open. Durable.
    Done(HeadRow),
    /// The tree was not active any more, or the key of the next one is not the registered key, or
    /// is the key of a tree already. Nothing was stored.
    Refused,
}

/// The queries of a rotation.
#[async_trait]
pub trait Rotation: Send + Sync {
    /// Registers the log key of the tree that the next rotation of a log opens, in place of
    /// one that was registered before. If it is the key of a tree already, or registered for another
    /// log, nothing is stored and it returns false. The database decides that, because a rotation
    /// that another run has finished meanwhile MUST NOT look as if it had not been reported.
    async fn register_next_key(&self, log: LogName<'_>, spki: &[u8]) -> StoreResult<bool>;
    /// Returns the registered key. It stays registered after a rotation opened its tree, until it
    /// is removed.
    async fn next_key(&self, log: LogName<'_>) -> StoreResult<Option<Vec<u8>>>;
    /// Removes the registered key if it is this one.
    async fn forget_next_key(&self, log: LogName<'_>, spki: &[u8]) -> StoreResult<()>;
    /// Removes the registered key if it is this one and no tree has it, under the lock of `tree`,
    /// the active tree of the log. A freeze that is durable before keeps the key registered; one
    /// that comes later is refused. Returns whether the key was removed. Durable on return.
    async fn withdraw_next_key(
        &self,
        tree: TreeId,
        log: LogName<'_>,
        spki: &[u8],
    ) -> StoreResult<bool>;

    /// Stores or renews the row of a server, by the database's clock.
    async fn note_server(&self, server: &ServerRow) -> StoreResult<()>;
    /// Removes the row of a server that stops.
    async fn forget_server(&self, server_id: &str) -> StoreResult<()>;
    /// Returns the servers of the ledger `name` whose rows are not older than `age`, by ID. Removes
    /// rows of any ledger that are older than [`FORGOTTEN_AFTER`].
    async fn servers(&self, name: &str, age: Duration) -> StoreResult<Vec<ServerRow>>;

    /// Freezes `tree` and creates `next`, in one transaction under the tree's lock: the state
    /// changes, a last head that adds nothing takes the place after the newest one, and `next`,
    /// whose log key MUST be the registered key, begins at the log index at which `tree` ends, or at
    /// `next.first_log_index` if that is larger. `next.created_at` is also when `tree` was frozen,
    /// unless its last head is of a later time (a round that committed while this waited for the
    /// lock): then that is.
    ///
    /// Once it is durable no round of `tree` commits, however old its snapshot is, because the
    /// round would need the same place.
    ///
    /// Dies here: all of it is stored or nothing, as the trees show. Fails with
    /// [`super::StoreError::Data`] if another tree has the origin of `next`.
    async fn freeze(&self, tree: TreeId, next: &TreeRow) -> StoreResult<Freeze>;

    /// Returns the leaf indexes in `range` that have no stored signed entry timestamp, ascending.
    /// It looks at 1,024 at most.
    async fn unsigned(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<LeafIndex>>;
    /// Stores the last checkpoints of a frozen tree; the first ones that are stored count. MUST be
    /// called only once all signed entry timestamps are stored.
    async fn keep_final(&self, tree: TreeId, last: &FinalCheckpoint) -> StoreResult<()>;
    /// Returns the last checkpoints of a frozen tree, once they are stored.
    async fn final_checkpoint(&self, tree: TreeId) -> StoreResult<Option<FinalCheckpoint>>;
}
