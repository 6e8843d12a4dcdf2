//! What a search asks a database for, and the walk that answers it a bounded piece at a time.
//!
//! A database lists the newest entries that meet one condition, and says which of some entries meet
//! another one; both come from an index alone. The walk goes along the condition that is the rarest
//! where it begins, looks its entries up under the other conditions, and stops at its bound: what
//! it costs depends on the bound, not on the size of the log.

use std::cmp::Reverse;
use std::ops::Range;

use async_trait::async_trait;
use tlog::{Hash, LeafIndex, TreeSize};
use tokio::time::Instant;

use super::error::StoreResult;
use crate::TreeId;

/// Connections that only searches use. A search has one of them at a time, so that so many run at
/// once and nothing else waits for them. Two or three keep a small database busy, and a search of
/// another statement is never far behind.
pub const SEARCH_CONNECTIONS: u32 = 3;

/// Rows of each condition that a walk reads to find the one to go along, and the first candidates
/// of that one. Fewer where looking them up under all the others would take more than half of what
/// a call may do.
const PROBE: u32 = 128;

/// And no fewer than these.
const LEAST_PROBE: u32 = 16;

/// Candidates grow by this from piece to piece: a walk that finds enough at once looks at few, one
/// that finds nothing soon makes few statements.
const GROWTH: u32 = 4;

/// Look-ups that a statement costs beside its rows, about (100 µs).
const STATEMENT_LOOK_UPS: u32 = 64;

/// Entries that one statement reads. It takes some 0.8 ms, and two seconds on a disk that takes 8 ms
/// for each read.
const FOUND_AT_ONCE: usize = 256;

/// Something that an entry has to be. A list without texts is met by no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// One of these texts, each lower-cased, is among its index keys.
    Keys(Vec<String>),
    /// Its kind and version tag is one of these.
    Kinds(Vec<String>),
}

impl Condition {
    /// The texts of which an entry has one.
    pub fn texts(&self) -> &[String] {
        match self {
            Self::Keys(texts) | Self::Kinds(texts) => texts,
        }
    }
}

/// What is looked for in one tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'q> {
    /// All of these have to be met. None of them means any entry.
    pub conditions: &'q [Condition],
    /// Leaf indexes to look at.
    pub range: Range<u64>,
    /// Most entries to return, at least 1.
    pub limit: u32,
}

/// What one call of [`search`] may cost before it returns what it has.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Entries looked up under one text of a condition, some 1.5 µs each. A call makes at least one
    /// step.
    pub look_ups: u32,
    /// No further step begins after this: a database that reads from a slow disk takes longer for
    /// each look-up.
    pub until: Instant,
}

/// One key that is looked up together with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyQuery {
    /// Lower-cased.
    pub key: String,
    /// Leaf indexes to look at.
    pub range: Range<u64>,
}

/// A part of the hits, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Entries that are what was looked for.
    pub entries: Vec<FoundEntry>,
    /// All hits from this leaf index on, below the end of the range, are in `entries`. At the start
    /// of the range, the search is at its end; else it goes on below this index.
    pub down_to: u64,
}

/// An entry that was found, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundEntry {
    /// Position in its tree.
    pub leaf_index: LeafIndex,
    /// Leaf hash.
    pub leaf_hash: Hash,
    /// Integrated time, Unix seconds.
    pub time: i64,
    /// Kind and version tag.
    pub kind: String,
}

/// Look-ups of searches, which have connections of their own but for [`Search::search_each`]. Keys
/// are compared by their hashes unless it says otherwise.
#[async_trait]
pub trait Search: Send + Sync {
    /// Leaf indexes in `range` of the newest entries that meet `condition`, newest first, at most
    /// `limit`.
    async fn newest(
        &self,
        tree: TreeId,
        condition: &Condition,
        range: Range<u64>,
        limit: u32,
    ) -> StoreResult<Vec<u64>>;
    /// Those of `indexes` whose entries meet `condition`, in their order.
    async fn meeting(
        &self,
        tree: TreeId,
        condition: &Condition,
        indexes: &[u64],
    ) -> StoreResult<Vec<u64>>;
    /// The entries at `indexes`, in any order; those whose full key texts do not meet `conditions`
    /// are left out. Kinds are not compared.
    async fn found(
        &self,
        tree: TreeId,
        indexes: &[u64],
        conditions: &[Condition],
    ) -> StoreResult<Vec<FoundEntry>>;
    /// For each of `queries`, at most 64, the page that [`search`] gives for this key alone with
    /// this limit. One round trip where the database is not in this process.
    async fn search_each(
        &self,
        tree: TreeId,
        queries: &[KeyQuery],
        limit: u32,
    ) -> StoreResult<Vec<Page>>;
    /// The first leaf index below `size` whose entry was integrated at `time` (Unix seconds) or
    /// later; `size` if there is none.
    async fn first_at(&self, tree: TreeId, time: i64, size: TreeSize) -> StoreResult<LeafIndex>;
}

/// Some of the entries that `query` looks for, newest first. A call that is not at the end leads
/// on: [`Page::down_to`] is below the end of the range. Hits are compared with the full key texts.
pub async fn search(
    store: &dyn Search,
    tree: TreeId,
    query: &Query<'_>,
    bound: Bound,
) -> StoreResult<Page> {
    let mut page = Page {
        entries: Vec::new(),
        down_to: query.range.end,
    };
    let mut walk = Walk::begin(store, tree, query, bound.look_ups).await?;
    let mut left = bound.look_ups;
    loop {
        let wanted = query.limit as usize - page.entries.len();
        let step = walk
            .step(query.range.start..page.down_to, &mut left)
            .await?;
        let (mut hits, mut down_to) = (step.candidates, step.down_to);
        if hits.len() > wanted {
            hits.truncate(wanted);
            down_to = hits.last().copied().unwrap_or(down_to);
        }
        let read = read_found(store, tree, query, &hits, bound.until).await?;
        page.entries.extend(read.entries);
        page.down_to = read.stopped_at.unwrap_or(down_to);
        let is_at_end =
            page.down_to <= query.range.start || page.entries.len() >= query.limit as usize;
        if is_at_end || left == 0 || Instant::now() >= bound.until {
            return Ok(page);
        }
    }
}

/// Entries that were read, and the index after which there was no time for more.
struct ReadFound {
    entries: Vec<FoundEntry>,
    stopped_at: Option<u64>,
}

/// Reads the entries at these indexes, the newest first. An entry that has a key's hash and not its
/// text is left out. No further statement begins after `until`.
async fn read_found(
    store: &dyn Search,
    tree: TreeId,
    query: &Query<'_>,
    indexes: &[u64],
    until: Instant,
) -> StoreResult<ReadFound> {
    let mut entries = Vec::with_capacity(indexes.len());
    let mut stopped_at = None;
    let mut pieces = indexes.chunks(FOUND_AT_ONCE).peekable();
    while let Some(piece) = pieces.next() {
        entries.extend(store.found(tree, piece, query.conditions).await?);
        if pieces.peek().is_some() && Instant::now() >= until {
            stopped_at = piece.last().copied();
            break;
        }
    }
    entries.sort_unstable_by_key(|entry| Reverse(entry.leaf_index));
    Ok(ReadFound {
        entries,
        stopped_at,
    })
}

/// A way down the entries of one condition.
struct Walk<'q> {
    store: &'q dyn Search,
    tree: TreeId,
    /// The condition whose entries are the candidates; none where any entry is one.
    along: Option<&'q Condition>,
    /// The other ones, the most selective first as far as that is known.
    others: Vec<&'q Condition>,
    /// Candidates of the next step.
    size: u32,
    /// Candidates of the first step, which are known already.
    first: Option<Step>,
}

/// Texts of some conditions, at least 1.
fn texts_of<'c>(conditions: impl IntoIterator<Item = &'c Condition>) -> u32 {
    let texts: usize = conditions
        .into_iter()
        .map(|condition| condition.texts().len())
        .sum();
    u32::try_from(texts.max(1)).unwrap_or(u32::MAX)
}

/// A piece of a walk.
struct Step {
    /// Newest first. All that are in the range, from `down_to` on.
    candidates: Vec<u64>,
    down_to: u64,
}

impl Step {
    /// Of a list that was to have at most `size` indexes of `range`.
    fn of(candidates: Vec<u64>, range: &Range<u64>, size: u32) -> Self {
        let last = candidates
            .last()
            .copied()
            .filter(|_| candidates.len() >= size as usize);
        Self {
            candidates,
            down_to: last.unwrap_or(range.start),
        }
    }
}

impl<'q> Walk<'q> {
    /// Chooses the condition that leads down furthest with the same number of entries.
    async fn begin(
        store: &'q dyn Search,
        tree: TreeId,
        query: &Query<'q>,
        look_ups: u32,
    ) -> StoreResult<Self> {
        let mut walk = Self {
            store,
            tree,
            along: None,
            others: Vec::new(),
            size: query.limit.max(1),
            first: None,
        };
        let [first, others @ ..] = query.conditions else {
            return Ok(walk);
        };
        if others.is_empty() {
            walk.along = Some(first);
            return Ok(walk);
        }
        walk.size = (look_ups / 2 / texts_of(query.conditions)).clamp(LEAST_PROBE, PROBE);
        let mut probes = Vec::with_capacity(query.conditions.len());
        for condition in query.conditions {
            let list = store
                .newest(tree, condition, query.range.clone(), walk.size)
                .await?;
            let is_empty = list.is_empty();
            probes.push((condition, Step::of(list, &query.range, walk.size)));
            if is_empty {
                break;
            }
        }
        probes.sort_by_key(|(_, step)| (step.down_to, step.candidates.len()));
        let mut probes = probes.into_iter();
        (walk.along, walk.first) = probes.next().unzip();
        walk.others = probes.map(|(condition, _)| condition).collect();
        Ok(walk)
    }

    /// The next candidates in `range`, of which those remain that meet the other conditions as
    /// well.
    async fn step(&mut self, range: Range<u64>, left: &mut u32) -> StoreResult<Step> {
        let mut step = match self.first.take() {
            Some(first) => first,
            None => Step::of(self.newest(range.clone()).await?, &range, self.size),
        };
        *left = left.saturating_sub(STATEMENT_LOOK_UPS);
        for place in 0..self.others.len() {
            if step.candidates.is_empty() {
                break;
            }
            let other = self.others[place];
            let look_ups = step.candidates.len().saturating_mul(other.texts().len());
            let look_ups = u32::try_from(look_ups).unwrap_or(u32::MAX);
            *left = left.saturating_sub(look_ups.saturating_add(STATEMENT_LOOK_UPS));
            step.candidates = self
                .store
                .meeting(self.tree, other, &step.candidates)
                .await?;
            if step.candidates.is_empty() {
                // Asked first from now on, it spares the others.
                self.others[..=place].rotate_right(1);
            }
        }
        if !self.others.is_empty() {
            let most = *left / texts_of(self.others.iter().copied());
            self.size = (self.size * GROWTH).min(most).max(1);
        }
        Ok(step)
    }

    async fn newest(&self, range: Range<u64>) -> StoreResult<Vec<u64>> {
        match self.along {
            Some(condition) => {
                self.store
                    .newest(self.tree, condition, range, self.size)
                    .await
            }
            None => Ok(range.rev().take(self.size as usize).collect()),
        }
    }
}
