//! Search over the log, in bounded pieces of work.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tlog::{Hash, LeafIndex};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use super::batched::{Batched, LookUp};
use super::entry::ReadError;
use crate::heads::head::Head;
use crate::ids::TreeId;
use crate::ids::lower_case;
use crate::metrics::Metrics;
use crate::store::{
    Bound, Condition, FoundEntry, KeyQuery, Page, Query, SEARCH_CONNECTIONS, Store, StoreResult,
    search,
};

/// Entries that one call of [`crate::Log::search`] looks up under further conditions: some 4 ms
/// of a database's time. Then it says how far it came.
const LOOK_UPS: u32 = 2_048;

/// One call begins no further statement after this long: on a disk that takes 8 ms for each read a
/// statement takes a second.
const SEARCH_TIME: Duration = Duration::from_secs(1);

/// Longest wait for a turn. A turn takes some 20 ms, so hundreds of searches may wait before one is
/// refused.
const TURN_WAIT: Duration = Duration::from_secs(5);

/// Hits that the shared query returns for each key. An artifact has few entries. A key with more
/// hits is frequent, and its search continues alone.
const FIRST_PAGE: u32 = 16;

/// A search. An entry must meet all of it; empty and unset parts are met by every entry.
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

/// The newest hits, and where the next ones are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// Newest first.
    pub entries: Vec<Hit>,
    /// All further hits are below this log index. `None` if there are no further hits. It may be
    /// set although `entries` has few hits or no hit: then one call was not enough work to reach
    /// the end.
    pub rest: Option<u64>,
}

impl Search {
    /// Returns the conditions that an entry must meet, with keys in lower case.
    fn conditions(&self) -> Vec<Condition> {
        let mut conditions = Vec::with_capacity(self.keys.len() + 1);
        for texts in &self.keys {
            let mut texts: Vec<String> = texts.iter().map(|text| lower_case(text)).collect();
            texts.sort_unstable();
            texts.dedup();
            let condition = Condition::Keys(texts);
            if !conditions.contains(&condition) {
                conditions.push(condition);
            }
        }
        if !self.kinds.is_empty() {
            conditions.push(Condition::Kinds(self.kinds.clone()));
        }
        conditions
    }
}

/// Turns of searches. A search keeps its turn for all its steps, so it does not wait for all others
/// at each step.
pub(crate) struct Turns(Semaphore);

impl Turns {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(SEARCH_CONNECTIONS as usize))
    }

    /// Waits for a turn. It is held while the search works.
    async fn take(&self) -> Result<SemaphorePermit<'_>, ReadError> {
        match timeout(TURN_WAIT, self.0.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(ReadError::Busy),
        }
    }
}

/// Searches one tree.
pub(crate) struct Searcher {
    store: Arc<dyn Store>,
    turns: Arc<Turns>,
    /// Look-ups of single keys.
    newest: Batched<NewestWithKey>,
}

/// Looks up the newest entries of a key, at most [`FIRST_PAGE`].
struct NewestWithKey {
    store: Arc<dyn Store>,
    tree: TreeId,
}

impl LookUp for NewestWithKey {
    type Key = KeyQuery;
    type Answer = Page;
    /// Each reads up to 48 pages at random: from a slow disk (8 ms) that many take 6 s, below the
    /// time-out of a statement.
    const TOGETHER: usize = 16;

    async fn look_up(&self, keys: &[KeyQuery]) -> StoreResult<Vec<Page>> {
        self.store.search_each(self.tree, keys, FIRST_PAGE).await
    }
}

impl Searcher {
    pub(crate) fn new(
        store: &Arc<dyn Store>,
        tree: TreeId,
        turns: &Arc<Turns>,
        metrics: &Metrics,
    ) -> Self {
        let together = metrics.look_ups_together.with_label_values(&["index_key"]);
        let newest = Batched::new(
            NewestWithKey {
                store: Arc::clone(store),
                tree,
            },
            together,
        );
        Self {
            store: Arc::clone(store),
            turns: Arc::clone(turns),
            newest,
        }
    }

    /// Returns the newest hits below `head` and below the log index `below`, at most `limit`, which
    /// is at least 1.
    pub(crate) async fn search(
        &self,
        head: &Head,
        search: &Search,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Hits, ReadError> {
        let first_log_index = head.tree.first_log_index;
        let below = below.map_or(head.size.0, |below| {
            below.saturating_sub(first_log_index).min(head.size.0)
        });
        let conditions = search.conditions();
        let (page, start) = match self
            .few_of_one_key(search, &conditions, below, limit)
            .await?
        {
            Some(page) => (page, 0),
            None => {
                let _turn = self.turns.take().await?;
                let range = self.range(head, search, below).await?;
                let start = range.start;
                (
                    self.page(
                        head.tree.id,
                        &Query {
                            conditions: &conditions,
                            range,
                            limit,
                        },
                    )
                    .await?,
                    start,
                )
            }
        };
        let hit = |entry: FoundEntry| Hit {
            tree_id: head.tree.id,
            log_index: first_log_index + entry.leaf_index.0,
            leaf_hash: entry.leaf_hash,
            time: entry.time,
            kind: entry.kind,
        };
        let rest = (page.down_to > start).then_some(first_log_index + page.down_to);
        Ok(Hits {
            entries: page.entries.into_iter().map(hit).collect(),
            rest,
        })
    }

    /// Returns all hits of a single key if they are few, from a query that other searches share.
    async fn few_of_one_key(
        &self,
        search: &Search,
        conditions: &[Condition],
        below: u64,
        limit: u32,
    ) -> StoreResult<Option<Page>> {
        let [Condition::Keys(texts)] = conditions else {
            return Ok(None);
        };
        let [key] = &texts[..] else { return Ok(None) };
        if search.since.is_some() || search.until.is_some() {
            return Ok(None);
        }
        let mut page = self
            .newest
            .get(KeyQuery {
                key: key.clone(),
                range: 0..below,
            })
            .await?;
        if page.entries.len() > limit as usize {
            page.entries.truncate(limit as usize);
            page.down_to = page.entries.last().map_or(below, |last| last.leaf_index.0);
        }
        let is_whole = page.down_to == 0 || page.entries.len() == limit as usize;
        Ok(is_whole.then_some(page))
    }

    async fn page(&self, tree: TreeId, query: &Query<'_>) -> StoreResult<Page> {
        if query.range.is_empty() {
            return Ok(Page {
                entries: Vec::new(),
                down_to: query.range.start,
            });
        }
        let bound = Bound {
            look_ups: LOOK_UPS,
            until: Instant::now() + SEARCH_TIME,
        };
        search(self.store.as_ref(), tree, query, bound).await
    }

    /// Returns the range of leaf indexes below `below` that may have hits.
    async fn range(
        &self,
        head: &Head,
        search: &Search,
        below: u64,
    ) -> Result<Range<u64>, ReadError> {
        let mut range = 0..below;
        if let Some(since) = search.since {
            range.start = self.first_at(head, since).await?.0.min(range.end);
        }
        if let Some(until) = search.until {
            range.end = self
                .first_at(head, until)
                .await?
                .0
                .clamp(range.start, range.end);
        }
        Ok(range)
    }

    async fn first_at(&self, head: &Head, time: i64) -> Result<LeafIndex, ReadError> {
        Ok(self.store.first_at(head.tree.id, time, head.size).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_keys_become_conditions() {
        let conditions = |keys: &[&[&str]]| {
            let keys = keys
                .iter()
                .map(|texts| texts.iter().map(|&text| text.to_owned()).collect())
                .collect();
            let conditions = Search {
                keys,
                ..Search::default()
            }
            .conditions();
            conditions
                .iter()
                .map(|condition| condition.texts().to_vec())
                .collect::<Vec<_>>()
        };
        assert_eq!(conditions(&[]), Vec::<Vec<String>>::new());
        assert_eq!(conditions(&[&["a", "B"]]), [["a", "b"]]);
        assert_eq!(
            conditions(&[&["a", "A"], &["a"], &["B", "a"]]),
            [vec!["a"], vec!["a", "b"]]
        );
        assert_eq!(
            conditions(&[&["a"], &[]]),
            [vec!["a"], vec![]],
            "which no entry meets"
        );
        let search = Search {
            kinds: vec!["x:1".to_owned()],
            ..Search::default()
        };
        assert_eq!(
            search.conditions(),
            [Condition::Kinds(search.kinds.clone())]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_search_without_a_turn_in_time_is_refused() {
        let turns = Turns::new();
        let mut held = Vec::new();
        for _ in 0..SEARCH_CONNECTIONS {
            held.push(turns.take().await.unwrap());
        }
        assert!(matches!(turns.take().await, Err(ReadError::Busy)));
        held.pop();
        assert!(turns.take().await.is_ok());
    }
}
