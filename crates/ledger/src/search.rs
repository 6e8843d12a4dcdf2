//! Search over the log, a bounded piece of work at a time.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

use tlog::{Hash, LeafIndex};

use crate::core::Core;
use crate::gather::{Gathered, LookUp};
use crate::metrics::Metrics;
use crate::store::{FoundEntry, KeyQuery, Page, Query, Store, StoreResult};
use crate::{Head, ReadError, TreeId};

/// Most sets of keys that one search may stand for, see `Search::key_sets`.
pub const MAX_KEY_SETS: usize = 16;

/// Strides of the store that one call of [`crate::Ledger::search`] makes, all sets of keys together: some 100,000 rows, half a
/// second. Then it says how far it came.
const MAX_STRIDES: usize = 10;

/// Hits of a key that are looked for together with those of other keys. An artifact has a few entries; what has more is a
/// frequent key, and its search goes on alone.
const FIRST_PAGE: u32 = 16;

/// What is looked for. All of it has to hold; what is empty or none holds for every entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// For each of these lists, one of its texts (lower-cased here) is an index key of the entry.
    pub keys: Vec<Vec<String>>,
    /// The kind and version tag is one of these.
    pub kinds: Vec<String>,
    /// Integrated at this time or later, Unix seconds.
    pub since: Option<i64>,
    /// Integrated before this time, Unix seconds.
    pub until: Option<i64>,
}

/// An entry that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its tree.
    pub tree_id: TreeId,
    /// Position in the log.
    pub log_index: u64,
    /// Leaf hash.
    pub leaf_hash: Hash,
    /// Integrated time, Unix seconds.
    pub time: i64,
    /// Kind and version tag.
    pub kind: String,
}

/// The newest hits, and where those after them are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// Newest first.
    pub entries: Vec<Hit>,
    /// All other hits are below this log index; none where there are no others. It may be there although `entries` are few,
    /// or none: then the work of one call did not lead to the end.
    pub rest: Option<u64>,
}

impl Search {
    /// The sets of which an entry has to have one completely, each key in lower case; one empty set if any entry will do.
    /// Their number is the product of the lengths of [`Search::keys`], and MUST NOT be above [`MAX_KEY_SETS`].
    fn key_sets(&self) -> Vec<Vec<String>> {
        let mut sets = vec![Vec::new()];
        for texts in &self.keys {
            let with = |set: &Vec<String>, text: &String| set.iter().cloned().chain([lower_case(text)]).collect();
            sets = sets.iter().flat_map(|set| texts.iter().map(move |text| with(set, text))).collect();
        }
        for set in &mut sets {
            set.sort_unstable();
            set.dedup();
        }
        sets.sort_unstable();
        sets.dedup();
        sets
    }
}

/// A key text in lower case, letter by letter: as Go has it, and so other logs that are searched for the same texts.
pub(crate) fn lower_case(text: &str) -> String {
    text.chars().filter_map(|letter| letter.to_lowercase().next()).collect()
}

/// Single keys, looked up together.
pub(crate) struct Keys {
    newest: Gathered<NewestWithKey>,
}

impl Keys {
    pub(crate) fn new(store: &Arc<dyn Store>, tree: TreeId, metrics: &Metrics) -> Self {
        let together = metrics.look_ups_together.with_label_values(&["index_key"]);
        Self { newest: Gathered::new(NewestWithKey { store: Arc::clone(store), tree }, together) }
    }
}

/// Looks the newest entries of a key up, at most [`FIRST_PAGE`].
struct NewestWithKey {
    store: Arc<dyn Store>,
    tree: TreeId,
}

impl LookUp for NewestWithKey {
    type Key = KeyQuery;
    type Answer = Page;
    /// Each reads up to 48 pages at random: from a slow disk (8 ms) that many take 6 s, below the time-out of a statement.
    const TOGETHER: usize = 16;

    async fn look_up(&self, keys: &[KeyQuery]) -> StoreResult<Vec<Page>> {
        self.store.search_each(self.tree, keys, FIRST_PAGE).await
    }
}

impl Core {
    /// The newest hits below `head` and below the log index `below`, at most `limit`, which is at least 1.
    pub(crate) async fn search(
        &self,
        head: &Head,
        search: &Search,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Hits, ReadError> {
        let first_log_index = self.tree.first_log_index;
        let range = self.range(head, search, below.map(|below| below.saturating_sub(first_log_index))).await?;
        let sets = search.key_sets();
        let strides = (MAX_STRIDES / sets.len().max(1)).max(1);
        let mut found = Vec::new();
        // All hits from here on were found.
        let mut down_to = range.start;
        for keys in sets {
            let walk =
                self.walk(Query { keys: &keys, kinds: &search.kinds, range: range.clone(), limit }, strides).await?;
            found.extend(walk.found);
            down_to = down_to.max(walk.down_to);
        }
        found.sort_unstable_by_key(|entry| Reverse(entry.leaf_index));
        found.dedup_by_key(|entry| entry.leaf_index);
        found.retain(|entry| entry.leaf_index.0 >= down_to);
        if found.len() > limit as usize {
            found.truncate(limit as usize);
            down_to = found.last().map_or(down_to, |last| last.leaf_index.0);
        }
        let hit = |entry: FoundEntry| Hit {
            tree_id: self.tree.id,
            log_index: first_log_index + entry.leaf_index.0,
            leaf_hash: entry.leaf_hash,
            time: entry.time,
            kind: entry.kind,
        };
        let rest = (down_to > range.start).then_some(first_log_index + down_to);
        Ok(Hits { entries: found.into_iter().map(hit).collect(), rest })
    }

    /// The leaf indexes among which hits may be.
    async fn range(&self, head: &Head, search: &Search, below: Option<u64>) -> Result<Range<u64>, ReadError> {
        let mut range = 0..below.unwrap_or(head.size.0).min(head.size.0);
        if let Some(since) = search.since {
            range.start = self.first_at(head, since).await?.0.min(range.end);
        }
        if let Some(until) = search.until {
            range.end = self.first_at(head, until).await?.0.clamp(range.start, range.end);
        }
        Ok(range)
    }

    async fn first_at(&self, head: &Head, time: i64) -> Result<LeafIndex, ReadError> {
        Ok(self.store.first_at(self.tree.id, time, head.size).await?)
    }

    /// Walks along one set of keys until it has enough, is at the end, or made so many strides.
    async fn walk(&self, mut query: Query<'_>, strides: usize) -> Result<Walk, ReadError> {
        let mut walk = Walk { found: Vec::new(), down_to: query.range.end };
        for stride in 0..strides {
            if walk.down_to <= query.range.start || query.limit == 0 {
                break;
            }
            query.range.end = walk.down_to;
            let page = match stride {
                0 => self.first_page(&query).await?,
                _ => self.store.search(self.tree.id, &query).await?,
            };
            query.limit = query.limit.saturating_sub(u32::try_from(page.entries.len()).unwrap_or(u32::MAX));
            walk.found.extend(page.entries);
            walk.down_to = page.down_to;
        }
        Ok(walk)
    }

    /// The newest of the hits. Those of a single key, if they are few, come with a query that others share.
    async fn first_page(&self, query: &Query<'_>) -> StoreResult<Page> {
        match query.keys {
            [key] if query.kinds.is_empty() && query.limit >= FIRST_PAGE => {
                self.keys.newest.get(KeyQuery { key: key.clone(), range: query.range.clone() }).await
            }
            _ => self.store.search(self.tree.id, query).await,
        }
    }
}

/// What was found of one set of keys.
struct Walk {
    found: Vec<FoundEntry>,
    /// All hits from here on are in `found`.
    down_to: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_keys_combine_to_sets() {
        let sets = |keys: &[&[&str]]| {
            let keys = keys.iter().map(|texts| texts.iter().map(|&text| text.to_owned()).collect()).collect();
            Search { keys, ..Search::default() }.key_sets()
        };
        assert_eq!(sets(&[]), [Vec::<String>::new()]);
        assert_eq!(sets(&[&["a", "B"]]), [["a"], ["b"]]);
        assert_eq!(sets(&[&["c"], &["B", "a"]]), [["a", "c"], ["b", "c"]]);
        assert_eq!(sets(&[&["a", "A"], &["a"]]), [["a"]]);
        assert!(sets(&[&["a"], &[]]).is_empty(), "no text of a list is had by nothing");
    }
}
