//! Search over the log, a bounded piece of work at a time.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tlog::{Hash, LeafIndex};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use crate::heads::Core;
use crate::metrics::Metrics;
use crate::reading::batched::{Gathered, LookUp};
use crate::store::{
    Bound, Condition, FoundEntry, KeyQuery, Page, Query, SEARCH_CONNECTIONS, Store, StoreResult, search,
};
use crate::{Head, ReadError, TreeId};

/// Entries that one call of [`crate::Ledger::search`] looks up under further conditions: some 4 ms of a database's time. Then it
/// says how far it came.
const LOOK_UPS: u32 = 2_048;

/// One call begins no further statement after this long: on a disk that takes 8 ms for each read a statement takes a second.
const SEARCH_TIME: Duration = Duration::from_secs(1);

/// Longest wait for a turn. As each takes some 20 ms, hundreds wait before one is turned away.
const TURN_WAIT: Duration = Duration::from_secs(5);

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
    /// What an entry has to meet, keys in lower case.
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

/// The turns of searches, so that one with many steps does not wait for all others at each of them.
pub(crate) struct Turns(Semaphore);

impl Turns {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(SEARCH_CONNECTIONS as usize))
    }

    /// A turn, held while a search is at work.
    async fn take(&self) -> Result<SemaphorePermit<'_>, ReadError> {
        match timeout(TURN_WAIT, self.0.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(ReadError::Busy),
        }
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
        let below = below.map_or(head.size.0, |below| below.saturating_sub(first_log_index).min(head.size.0));
        let conditions = search.conditions();
        let (page, start) = match self.few_of_one_key(search, &conditions, below, limit).await? {
            Some(page) => (page, 0),
            None => {
                let _turn = self.turns.take().await?;
                let range = self.range(head, search, below).await?;
                let start = range.start;
                (self.page(&Query { conditions: &conditions, range, limit }).await?, start)
            }
        };
        let hit = |entry: FoundEntry| Hit {
            tree_id: self.tree.id,
            log_index: first_log_index + entry.leaf_index.0,
            leaf_hash: entry.leaf_hash,
            time: entry.time,
            kind: entry.kind,
        };
        let rest = (page.down_to > start).then_some(first_log_index + page.down_to);
        Ok(Hits { entries: page.entries.into_iter().map(hit).collect(), rest })
    }

    /// All hits of a single key, if they are few: from a query that others share.
    async fn few_of_one_key(
        &self,
        search: &Search,
        conditions: &[Condition],
        below: u64,
        limit: u32,
    ) -> StoreResult<Option<Page>> {
        let [Condition::Keys(texts)] = conditions else { return Ok(None) };
        let [key] = &texts[..] else { return Ok(None) };
        if search.since.is_some() || search.until.is_some() {
            return Ok(None);
        }
        let mut page = self.keys.newest.get(KeyQuery { key: key.clone(), range: 0..below }).await?;
        if page.entries.len() > limit as usize {
            page.entries.truncate(limit as usize);
            page.down_to = page.entries.last().map_or(below, |last| last.leaf_index.0);
        }
        let is_whole = page.down_to == 0 || page.entries.len() == limit as usize;
        Ok(is_whole.then_some(page))
    }

    async fn page(&self, query: &Query<'_>) -> StoreResult<Page> {
        if query.range.is_empty() {
            return Ok(Page { entries: Vec::new(), down_to: query.range.start });
        }
        let bound = Bound { look_ups: LOOK_UPS, until: Instant::now() + SEARCH_TIME };
        search(self.store.as_ref(), self.tree.id, query, bound).await
    }

    /// The leaf indexes below `below` among which hits may be.
    async fn range(&self, head: &Head, search: &Search, below: u64) -> Result<Range<u64>, ReadError> {
        let mut range = 0..below;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_keys_become_conditions() {
        let conditions = |keys: &[&[&str]]| {
            let keys = keys.iter().map(|texts| texts.iter().map(|&text| text.to_owned()).collect()).collect();
            let conditions = Search { keys, ..Search::default() }.conditions();
            conditions.iter().map(|condition| condition.texts().to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(conditions(&[]), Vec::<Vec<String>>::new());
        assert_eq!(conditions(&[&["a", "B"]]), [["a", "b"]]);
        assert_eq!(conditions(&[&["a", "A"], &["a"], &["B", "a"]]), [vec!["a"], vec!["a", "b"]]);
        assert_eq!(conditions(&[&["a"], &[]]), [vec!["a"], vec![]], "which no entry meets");
        let search = Search { kinds: vec!["x:1".to_owned()], ..Search::default() };
        assert_eq!(search.conditions(), [Condition::Kinds(search.kinds.clone())]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gets_no_turn_in_time_is_turned_away() {
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
