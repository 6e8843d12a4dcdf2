//! One reader of events.

use tlog::LeafIndex;
use tokio::sync::watch;

use super::{Event, Events, Filter, OpenTree, Position, position_of};
use crate::reading::entry::ReadError;

/// Entries that one call of [`Reader::read`] looks at, so that a filter that few entries meet costs
/// no more: eight pages.
const LOOKED_AT: usize = 2_048;

/// Entries of a page. Those of entries with very many search keys are read in pieces, and a piece
/// counts as one of the pages of a call.
const PAGE_ENTRIES: usize = tlog::TILE_WIDTH;

/// Reads the events of a ledger, from a position on.
pub struct Reader {
    events: Events,
    position: Position,
    filter: Filter,
    news: watch::Receiver<u64>,
}

/// Some events.
#[derive(Debug)]
pub struct EventPage {
    /// The position before them, from which [`Position::pass`] leads to the one after each.
    pub before: Position,
    /// The events, those of one tree in its order.
    pub events: Vec<Event>,
    /// Whether there are more entries to look at now. If so, `events` may have few or none.
    pub more: bool,
}

impl Reader {
    pub(super) fn new(events: Events, after: Position, filter: Filter) -> Self {
        let news = events.ledger.news().subscribe();
        Self {
            events,
            position: after,
            filter,
            news,
        }
    }

    /// Returns the position after the last page.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Returns the number of published entries after the position.
    pub fn behind(&self) -> u64 {
        let trees = self.events.open_trees(&self.position);
        let unread = |tree: &OpenTree| {
            tree.shard
                .heads
                .published()
                .size
                .0
                .saturating_sub(tree.next)
        };
        trees.iter().map(unread).sum()
    }

    /// Waits until there may be events that the last call of [`Reader::read`] did not return.
    pub async fn wait(&mut self) {
        if self.news.changed().await.is_err() {
            // Not reached: the ledger of this reader has the sender.
            std::future::pending::<()>().await;
        }
    }

    /// Returns the next events, at most `limit` (at least 1), and moves on past them. It does not
    /// wait for any. A call that is dropped did not move on.
    ///
    /// # Errors
    ///
    /// A tree cannot be read, and the others have no events. The position then stays in that tree.
    pub async fn read(&mut self, limit: usize) -> Result<EventPage, ReadError> {
        // News from now on is news of heads that are not read here.
        drop(self.news.borrow_and_update());
        let open = self.events.open_trees(&self.position);
        let mut position = position_of(&open);
        let before = position.clone();
        let is_unread = |tree: &OpenTree| tree.next < tree.shard.heads.published().size.0;
        let unread: Vec<OpenTree> = open.into_iter().filter(is_unread).collect();
        let share = Share::of(&unread, limit);
        let (mut events, mut more, mut failed) = (Vec::new(), false, None);
        let mut read_logs = Vec::new();
        for tree in unread {
            let log = tree.log.api().name;
            // Trees are read beyond one of their log that cannot be read, as far as they can be named.
            if !position.has_room_for(tree.shard.id()) {
                continue;
            }
            // The trees of a log come one after the other, unless an older one cannot be read.
            if events.len() == limit || read_logs.contains(&log) {
                more = true;
                continue;
            }
            match self.read_tree(&tree, share, &mut events).await {
                Ok(read) => {
                    position.set(tree.shard.id(), read.next);
                    more |= read.more;
                    read_logs.push(log);
                }
                Err(error) => failed = Some(failed.unwrap_or(error)),
            }
        }
        match failed {
            Some(error) if events.is_empty() && !more => Err(error),
            failed => {
                self.position = position;
                Ok(EventPage {
                    before,
                    events,
                    more: more || failed.is_some(),
                })
            }
        }
    }

    async fn read_tree(
        &self,
        tree: &OpenTree,
        share: Share,
        events: &mut Vec<Event>,
    ) -> Result<TreeRead, ReadError> {
        let head = tree.shard.heads.published();
        let most = events.len() + share.events;
        let mut next = tree.next;
        let most_next = next.saturating_add(share.looked_at as u64);
        // One more, because the first page may be read from its middle on.
        let mut pages = share.looked_at / PAGE_ENTRIES + 1;
        while next < head.size.0 && next < most_next && events.len() < most && pages > 0 {
            pages -= 1;
            let rows = match tree.log.events(&head, LeafIndex(next)).await {
                Ok(rows) => rows,
                // What was read before counts.
                Err(_) if next > tree.next => break,
                Err(error) => return Err(error),
            };
            for row in rows {
                next = row.leaf_index.0 + 1;
                if self.filter.is_met_by(&row) {
                    events.push(Event::new(&tree.shard, &row));
                    if events.len() == most {
                        break;
                    }
                }
            }
        }
        Ok(TreeRead {
            next,
            more: next < head.size.0,
        })
    }
}

/// What one call takes from each log at most.
#[derive(Clone, Copy)]
struct Share {
    events: usize,
    looked_at: usize,
}

impl Share {
    /// Divides the work of a call between the logs of these trees.
    fn of(unread: &[OpenTree], limit: usize) -> Self {
        let mut logs: Vec<&str> = unread.iter().map(|tree| tree.log.api().name).collect();
        // Those of a log are neighbours.
        logs.dedup();
        let logs = logs.len().max(1);
        Self {
            events: (limit / logs).max(1),
            looked_at: LOOKED_AT / logs,
        }
    }
}

/// How far a tree was read.
struct TreeRead {
    next: u64,
    more: bool,
}
