//! Events: an entry of any log of a ledger, told to readers that follow the ledger.
//!
//! A reader is a [`Position`] and nothing else: it reads rows of the database, which readers at the
//! same place share in memory, and no queue is kept for it. So a reader that stalls costs nothing, and
//! one that comes back continues where it was, on any server of the ledger. It never reads beyond the
//! published heads. Events of one tree are in the order of the tree; those of several trees have no
//! order among them.

mod event;
mod filter;
pub(crate) mod news;
mod position;
mod reader;
pub(crate) mod tell;

use std::sync::Arc;

use crate::ledger::Ledger;
use crate::log::Log;
use crate::reading::entry::ReadError;
use crate::shards::shard::Shard;

pub use event::Event;
pub use filter::Filter;
pub use position::{Position, PositionError};
pub use reader::{EventPage, Reader};

/// The events of a ledger. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    ledger: Ledger,
}

/// A tree that a reader may not have read to its end.
struct OpenTree {
    log: Log,
    shard: Arc<Shard>,
    /// The leaf index that is read next.
    next: u64,
}

impl OpenTree {
    /// Whether it gets no more entries, and all were read.
    fn is_done(&self) -> bool {
        let heads = &self.shard.heads;
        heads.is_frozen() && self.next >= heads.integrated().size.0
    }
}

impl Events {
    pub(crate) fn of(ledger: Ledger) -> Self {
        Self { ledger }
    }

    /// Returns the position behind all entries that are published now.
    pub fn now(&self) -> Position {
        let mut position = Position::START;
        for log in self.ledger.logs() {
            for head in log.shards().active_first() {
                position.set(head.tree.id, head.size.0);
            }
        }
        self.settled(&position)
    }

    /// Makes a reader that continues at a position.
    ///
    /// # Errors
    ///
    /// [`ReadError::OutOfRange`] if the position names a tree that the ledger does not have. Another
    /// server may have made one, so the database is asked before.
    pub async fn reader(&self, after: Position, filter: Filter) -> Result<Reader, ReadError> {
        if !self.has_trees_of(&after) {
            for log in self.ledger.logs() {
                log.newest_shards().await?;
            }
            if !self.has_trees_of(&after) {
                let reason = "the position names a tree that this ledger does not have";
                return Err(ReadError::OutOfRange(reason.to_owned()));
            }
        }
        Ok(Reader::new(self.clone(), after, filter))
    }

    fn has_trees_of(&self, position: &Position) -> bool {
        let mut trees = position.trees();
        trees.all(|tree| self.ledger.log_of(tree).is_some())
    }

    /// Returns the same position, without trees that are read to their end.
    fn settled(&self, position: &Position) -> Position {
        position_of(&self.open_trees(position))
    }

    /// Returns the trees of all logs that are not read to their end, and the active ones.
    ///
    /// A position names the trees of a log from the oldest one on that was not read to its end. So
    /// older ones were, and later ones that it does not name are younger than the position.
    fn open_trees(&self, position: &Position) -> Vec<OpenTree> {
        let mut trees = Vec::new();
        for log in self.ledger.logs() {
            let list = log.open.list();
            let mut shards = list.frozen.iter().chain([&list.active.shard]);
            let is_named = |shard: &&Arc<Shard>| position.next(shard.id()).is_some();
            let has_named = shards.clone().any(|shard| is_named(&shard));
            let first = shards.find(|shard| !has_named || is_named(shard));
            let of_log = first.into_iter().chain(shards).map(|shard| OpenTree {
                log: log.clone(),
                shard: Arc::clone(shard),
                next: position.next(shard.id()).unwrap_or(0),
            });
            let mut of_log: Vec<OpenTree> = of_log.collect();
            let done = of_log.iter().take_while(|tree| tree.is_done()).count();
            // The last one stands for the log in the position.
            of_log.drain(..done.min(of_log.len() - 1));
            trees.extend(of_log);
        }
        trees
    }
}

/// Returns the position in these trees, in which those of a log are neighbours. Of each log it names
/// the oldest one, and of the younger ones those that are read in part: a log may have more trees
/// than a position can name.
fn position_of(open: &[OpenTree]) -> Position {
    let mut position = Position::START;
    let mut log = None;
    for tree in open {
        let is_oldest = log.replace(tree.log.api().name) != Some(tree.log.api().name);
        if is_oldest || tree.next > 0 {
            position.set(tree.shard.id(), tree.next);
        }
    }
    position
}
