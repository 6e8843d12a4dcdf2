//! Rows as they are stored and as reads return them.

use std::fmt;
use std::sync::Arc;

use tlog::{FullTile, Hash, LeafIndex, TreeSize};
use tokio::time::Instant;

use super::checksum::EntryFacts;
use super::claims::{Claim, NewClaims};
use super::encoding::role_name;
use super::error::StoreError;
use super::index_keys::IndexKeys;
use crate::TreeId;

/// A stored tree. Nothing of it ever changes, except `state` and `frozen_at` at a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeRow {
    /// Identity of the tree, 1 ..= i64::MAX.
    pub tree_id: TreeId,
    /// The ledger's name: signer name of Rekor v1's checkpoints.
    pub name: String,
    /// Name of the API by which its log takes entries. A later release may know more of them.
    pub api: String,
    /// Origin line of C2SP checkpoints, unique per tree.
    pub origin: String,
    /// Sum of the sizes of all earlier shards of this log.
    pub first_log_index: u64,
    /// Largest leaf that this tree accepts, in bytes.
    pub max_leaf_bytes: u32,
    /// Whether the tree still accepts entries.
    pub state: TreeState,
    /// Time of creation, Unix seconds. The key of the tree signs nothing earlier.
    pub created_at: i64,
    /// Time at which the tree stopped accepting entries, Unix seconds. Set together with
    /// [`TreeState::Frozen`].
    pub frozen_at: Option<i64>,
    /// DER SubjectPublicKeyInfo of each key with its role.
    pub keys: Vec<KeyRow>,
}

/// Returns the error of a tree whose origin another tree has.
pub(super) fn origin_taken(tree: &TreeRow) -> StoreError {
    StoreError::Data(format!("another tree has the origin {:?}", tree.origin))
}

/// Whether a tree accepts entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeState {
    /// It accepts entries.
    Active,
    /// It was rotated out, and is read-only for ever.
    Frozen,
}

/// A public key of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// The use of the key.
    pub role: KeyRole,
    /// DER SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
}

/// The use of a key of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRole {
    /// Signs in the form of the log's API; see [`HeadForm`](crate::HeadForm).
    Log,
    /// Signs only the C2SP checkpoints of a log whose API has heads in a form of its own.
    Checkpoint,
}

impl fmt::Display for KeyRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(role_name(*self))
    }
}

/// A tree head as stored. Heads are append-only and are the history of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadRow {
    /// Size of the head before this one; 0 for the first.
    pub prev_size: TreeSize,
    /// Size of this head, > `prev_size`; equal only in the last head of a frozen tree, which adds
    /// nothing.
    pub size: TreeSize,
    /// Root hash at `size`.
    pub root: Hash,
    /// Integrated time of the round, Unix seconds.
    pub time: i64,
}

impl HeadRow {
    /// Returns the last head of a tree that is frozen after `newest`. It adds nothing.
    pub(crate) fn last_after(newest: Option<Self>) -> Self {
        match newest {
            Some(newest) => Self {
                prev_size: newest.size,
                ..newest
            },
            None => Self {
                prev_size: TreeSize(0),
                size: TreeSize(0),
                root: tlog::EMPTY_ROOT,
                time: 0,
            },
        }
    }
}

/// A published head of a tree that has a witness policy. Publications are append-only, and each is
/// larger than the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationRow {
    /// Size of the publication before this one; `None` for the first.
    pub prev_size: Option<TreeSize>,
    /// Size of this one.
    pub size: TreeSize,
    /// Root hash at `size`.
    pub root: Hash,
    /// Integrated time of the head, Unix seconds.
    pub time: i64,
    /// The v2 signed note with its cosignatures, as it is shown.
    pub checkpoint: String,
}

/// One entry to be stored with its round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// Leaf hash of `body`.
    pub leaf_hash: Hash,
    /// Kind and version tag, such as `hashedrekord:0.0.1`; opaque here.
    pub kind: String,
    /// The leaf bytes.
    pub body: Vec<u8>,
    /// The keys under which a search finds it.
    pub index_keys: IndexKeys,
    /// An attestation to keep beside the entry.
    pub attestation: Option<Attestation>,
    /// The values that it gives to names, by name.
    pub claims: Vec<Claim>,
    /// What follows if they cannot be kept.
    pub claim_rules: ClaimRules,
}

impl EntryRow {
    /// Returns what the checksum of its row binds.
    pub(crate) fn facts(&self, tree: TreeId, leaf_index: i64, time: i64) -> EntryFacts<'_> {
        EntryFacts {
            tree,
            leaf_index,
            time,
            leaf_hash: &self.leaf_hash,
            attested: self.attestation.is_some(),
            kind: &self.kind,
        }
    }
}

/// Bytes kept beside an entry, outside the tree, bound to it by their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// SHA-256 of `data`.
    pub digest: Hash,
    /// The bytes. Empty only where they were erased.
    pub data: Vec<u8>,
}

impl Attestation {
    /// Returns whether the bytes were erased on purpose. Their row stays.
    pub(crate) fn is_erased(&self) -> bool {
        self.data.is_empty()
    }
}

/// What follows if the claims of an entry are not those of the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClaimRules {
    /// If a name has another value already.
    pub contradictory: OnContradiction,
    /// If a name has values already, but none in an aspect in which the entry has one.
    pub incomparable: OnIncomparable,
}

impl ClaimRules {
    /// Returns whether the claims of an entry are compared at all.
    pub(crate) fn compare(self) -> bool {
        self.contradictory != OnContradiction::Ignored
    }
}

/// What follows if a name has another value already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnContradiction {
    /// The entry is appended, and nothing is compared.
    #[default]
    Ignored,
    /// The entry is appended, with an index key that says so, and the contradiction is logged.
    Marked,
    /// The entry is refused.
    Refused,
}

/// What follows if the values of a name cannot be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnIncomparable {
    /// The entry is appended. Its values are never compared with.
    #[default]
    Accepted,
    /// The entry is refused.
    Refused,
}

/// A signed entry timestamp to be stored; the first one stored for a leaf index wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampRow {
    /// The entry that it belongs to.
    pub leaf_index: LeafIndex,
    /// Signature bytes (ASN.1 DER for ECDSA).
    pub signature: Arc<[u8]>,
}

/// A sealed round: everything one commit stores. Facts only, no signature of this round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// The tree.
    pub tree_id: TreeId,
    /// SPKI of the key this process will sign the head with; a round of a foreign key must not
    /// commit.
    pub log_key_spki: Vec<u8>,
    /// Root at `head.prev_size`. A round commits only onto the newest stored head, and only if that
    /// has this root: a database that went back must not be built upon.
    pub prev_root: Hash,
    /// The new head; `entries` have leaf indexes `head.prev_size .. head.size`, in order.
    pub head: HeadRow,
    /// The entries. Never empty.
    pub entries: Vec<Arc<EntryRow>>,
    /// Tiles that became full in this round.
    pub full_tiles: Vec<FullTile>,
    /// Signed entry timestamps of earlier rounds.
    pub timestamps: Vec<TimestampRow>,
    /// Claims of the entries that are not stored yet.
    pub claims: NewClaims,
    /// Local clock, Unix milliseconds, at `read_at`, for the comparison with the database's.
    pub local_millis: i64,
    /// When that clock was read.
    pub read_at: Instant,
}

/// Outcome of a commit that the database answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    /// The round is durable.
    Done,
    /// The round follows the newest stored head, but these of its leaves are stored below that.
    /// Nothing was stored.
    Duplicates(Vec<EntryRef>),
    /// The newest stored head is not `head.prev_size` with `prev_root`, or another server holds the
    /// tree's lock. Nothing was stored.
    LostRace,
    /// Database and local clock differ by at least this many milliseconds, positive if the database
    /// is ahead. If that is no more than [`MAX_CLOCK_SKEW_MILLIS`], the round was too long under way
    /// to know. Nothing was stored.
    ClockSkew(i64),
    /// The tree is not active, or `log_key_spki` is not its log key. Nothing was stored.
    NotOurs,
}

/// No round commits while the clocks of the database and of this server differ by more.
pub const MAX_CLOCK_SKEW_MILLIS: i64 = 2_000;

/// A stored entry as reads return it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// Leaf index in its tree.
    pub leaf_index: LeafIndex,
    /// Leaf hash.
    pub leaf_hash: Hash,
    /// Integrated time, Unix seconds.
    pub time: i64,
    /// Kind and version tag.
    pub kind: String,
    /// The leaf bytes. `None` if they are missing or more than
    /// [`MAX_BODY_BYTES_TOGETHER`](super::MAX_BODY_BYTES_TOGETHER):
    /// [`Store::bodies`](super::Store::bodies) tells which.
    pub body: Option<Vec<u8>>,
    /// The stored signed entry timestamp, if there is one.
    pub signed_entry_timestamp: Option<Vec<u8>>,
    /// Whether it was stored with an attestation.
    pub attested: bool,
    /// The stored attestation, if there is one. An erased one has no data.
    pub attestation: Option<Attestation>,
}

/// The place and hash of an entry, without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryRef {
    /// Leaf index in its tree.
    pub leaf_index: LeafIndex,
    /// Leaf hash.
    pub leaf_hash: Hash,
}
