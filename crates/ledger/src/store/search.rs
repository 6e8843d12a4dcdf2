//! Searches: the queries that a database answers, and the walk that puts them together in bounded
//! pieces.
//!
//! A database lists the newest entries that meet one condition, and filters a list of entries by
//! another condition. Both queries read an index alone. The walk follows the condition that is the
//! rarest where it begins, looks its entries up under the other conditions, and stops at its bound.
//! So its cost depends on the bound, not on the size of the log.

use std::cmp::Reverse;
use std::ops::Range;

use async_trait::async_trait;
use tlog::{Hash, LeafIndex, TreeSize};
use tokio::time::Instant;

use super::error::StoreResult;
use super::event_row::EventRow;
use crate::TreeId;

/// Connections that only searches use, so that nothing else waits for a search. Each search uses
/// one at a time, so this is also the number of searches that run at once. Two or three keep a
/// small database busy.
pub const SEARCH_CONNECTIONS: u32 = 3;

/// Rows of each condition that a walk reads to find the rarest, which are also its first
/// candidates. A walk reads fewer if looking them up under all other conditions would take more
/// than half of the bound of a call.
const PROBE: u32 = 128;

/// The least number of those rows.
const LEAST_PROBE: u32 = 16;

/// Factor by which the candidates grow from step to step: a walk that finds enough at once looks at
/// few, and a walk that finds nothing soon makes few statements.
const GROWTH: u32 = 4;

/// The fixed cost of a statement, about 100 µs, in look-ups.
const STATEMENT_LOOK_UPS: u32 = 64;

/// Entries that one statement reads. It takes some 0.8 ms, and two seconds on a disk that takes 8
/// ms for each read. Key texts of up to 16 KiB are read with them, so 4 MiB at most; the statements
/// repeat that number. Longer texts, up to a megabyte, are read one at a time.
const FOUND_AT_ONCE: usize = 256;

/// A condition on an entry. No entry meets an empty list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// One of these texts, each lower-cased, is among its index keys.
    Keys(Vec<String>),
    /// Its kind and version tag is one of these.
    Kinds(Vec<String>),
}

impl Condition {
    /// Returns the texts of which an entry has one.
    pub fn texts(&self) -> &[String] {
        match self {
            Self::Keys(texts) | Self::Kinds(texts) => texts,
        }
    }
}

/// A search in one tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'q> {
    /// An entry must meet all of these. Every entry meets an empty list.
    pub conditions: &'q [Condition],
    /// Leaf indexes to search.
    pub range: Range<u64>,
    /// Most entries to return, at least 1.
    pub limit: u32,
}

/// The cost after which a call of [`search`] returns the hits that it has.
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
    /// Leaf indexes to search.
    pub range: Range<u64>,
}

impl KeyQuery {
    /// Returns the conditions of the search.
    pub(crate) fn conditions(&self) -> [Condition; 1] {
        [Condition::Keys(vec![self.key.clone()])]
    }
}

/// A part of the hits, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Entries that the query looks for.
    pub entries: Vec<FoundEntry>,
    /// All hits from this leaf index to the end of the range are in `entries`. At the start of the
    /// range the search is complete; otherwise it continues below this index.
    pub down_to: u64,
}

/// An entry that was found, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundEntry {
    /// Leaf index in its tree.
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
    /// Returns the leaf indexes in `range` of the newest entries that meet `condition`, newest
    /// first, at most `limit`.
    async fn newest(
        &self,
        tree: TreeId,
        condition: &Condition,
        range: Range<u64>,
        limit: u32,
    ) -> StoreResult<Vec<u64>>;
    /// Returns those of `indexes` whose entries meet `condition`, in their order.
    async fn meeting(
        &self,
        tree: TreeId,
        condition: &Condition,
        indexes: &[u64],
    ) -> StoreResult<Vec<u64>>;
    /// Returns the entries at `indexes`, in any order, without those whose full key texts do not
    /// meet `conditions`. Kinds are not compared.
    async fn found(
        &self,
        tree: TreeId,
        indexes: &[u64],
        conditions: &[Condition],
    ) -> StoreResult<Vec<FoundEntry>>;
    /// Returns for each of `queries`, at most 64, the page that [`search`] returns for this key
    /// alone with this limit. One round trip if the database is not in this process, and one more
    /// for each entry with long key texts.
    async fn search_each(
        &self,
        tree: TreeId,
        queries: &[KeyQuery],
        limit: u32,
    ) -> StoreResult<Vec<Page>>;
    /// Returns the first leaf index below `size` whose entry was integrated at `time` (Unix
    /// seconds) or later; `size` if there is no such entry.
    async fn first_at(&self, tree: TreeId, time: i64, size: TreeSize) -> StoreResult<LeafIndex>;
    /// Returns the entries of `range`, at most 256, without their bytes; only the first ones, one at
    /// least, if they have more than some megabytes of search keys. Waits for no search. Fails with
    /// [`StoreError::Damaged`](super::StoreError::Damaged) if one is missing.
    async fn events(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<EventRow>>;
}

/// Returns some of the entries that `query` looks for, newest first. Every call makes progress:
/// [`Page::down_to`] is below the end of the range. Hits are compared with the full key texts.
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

/// Entries that were read, and the index at which the time was over.
struct ReadFound {
    entries: Vec<FoundEntry>,
    stopped_at: Option<u64>,
}

/// Reads the entries at these indexes, the newest first, without those that have the hash of a key
/// but not its text. No further statement begins after `until`.
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

/// A walk down the entries of one condition.
struct Walk<'q> {
    store: &'q dyn Search,
    tree: TreeId,
    /// The condition whose entries are the candidates; `None` if every entry is one.
    along: Option<&'q Condition>,
    /// The other conditions, the most selective first as far as that is known.
    others: Vec<&'q Condition>,
    /// Candidates of the next step.
    size: u32,
    /// Candidates of the first step, which are known already.
    first: Option<Step>,
}

/// Returns the number of texts of some conditions, at least 1.
fn texts_of<'c>(conditions: impl IntoIterator<Item = &'c Condition>) -> u32 {
    let texts: usize = conditions
        .into_iter()
        .map(|condition| condition.texts().len())
        .sum();
    u32::try_from(texts.max(1)).unwrap_or(u32::MAX)
}

/// One step of a walk.
struct Step {
    /// All candidates of the range from `down_to` on, newest first.
    candidates: Vec<u64>,
    down_to: u64,
}

impl Step {
    /// Makes a step of a list of at most `size` indexes of `range`.
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
    /// Begins with the condition whose newest entries, of the same number, reach down furthest.
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

    /// Returns the next candidates in `range` that meet the other conditions as well.
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
                // The condition that no candidate meets is asked first from now on, which spares
                // the others.
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
