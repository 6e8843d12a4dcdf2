//! Readers of events that change from server to server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ledger::Ledger;
use ledger::events::{Event, Filter, Position};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::store::{Rng, SimStore};

/// Readers at work.
pub(crate) struct Readers {
    tasks: Vec<JoinHandle<Vec<Event>>>,
    is_all_written: Arc<AtomicBool>,
}

impl Readers {
    /// Begins to read from the start, each reader in its own way.
    pub(crate) fn start(servers: &[Ledger], store: &SimStore, seed: u64, count: u64) -> Self {
        let is_all_written = Arc::new(AtomicBool::new(false));
        let tasks = (0..count).map(|number| {
            let reading = Reading {
                servers: servers.to_vec(),
                store: store.clone(),
                rng: Rng::new(seed * 100 + number),
                seen: Vec::new(),
            };
            tokio::spawn(reading.run(Arc::clone(&is_all_written)))
        });
        Self {
            tasks: tasks.collect(),
            is_all_written,
        }
    }

    /// Waits until each has seen what all servers have published now: each entry of each tree once,
    /// in order.
    pub(crate) async fn assert_each_saw_all(self, server: &Ledger) {
        self.is_all_written.store(true, Ordering::SeqCst);
        for task in self.tasks {
            let seen = task.await.unwrap();
            let mut trees = Vec::new();
            for log in server.logs() {
                trees.extend(log.shards().active_first().cloned());
            }
            let all: u64 = trees.iter().map(|head| head.size.0).sum();
            assert_eq!(seen.len() as u64, all);
            for head in trees {
                let of_tree = seen.iter().filter(|event| event.tree == head.tree.id);
                let indexes: Vec<u64> = of_tree.map(|event| event.leaf_index).collect();
                assert_eq!(indexes, (0..head.size.0).collect::<Vec<_>>());
            }
        }
    }
}

struct Reading {
    servers: Vec<Ledger>,
    store: SimStore,
    rng: Rng,
    seen: Vec<Event>,
}

impl Reading {
    async fn run(mut self, is_all_written: Arc<AtomicBool>) -> Vec<Event> {
        let mut after = Position::START.to_string();
        loop {
            let may_end = is_all_written.load(Ordering::SeqCst);
            let server = self.servers[self.rng.below(self.servers.len() as u64) as usize].clone();
            after = self.connection(&server, after).await;
            let read_all = async |server: &Ledger| {
                let position = after.parse().unwrap();
                let reader = server.events().reader(position, Filter::default()).await;
                reader.is_ok_and(|reader| reader.behind() == 0)
            };
            if may_end && read_all(&self.servers[0]).await {
                return self.seen;
            }
        }
    }

    /// Reads for a while from one server. Returns the position in which it left off.
    async fn connection(&mut self, server: &Ledger, after: String) -> String {
        let position = after.parse().unwrap();
        let Ok(mut reader) = server.events().reader(position, Filter::default()).await else {
            sleep(Duration::from_millis(20)).await;
            return after;
        };
        for _ in 0..self.rng.below(4) {
            let limit = 1 + self.rng.below(30) as usize;
            let Ok(page) = reader.read(limit).await else {
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            assert!(page.events.len() <= limit);
            let mut position = page.before;
            let leaves_in_between = self.rng.below(4) == 0;
            for event in page.events {
                if leaves_in_between && self.rng.below(3) == 0 {
                    return position.to_string();
                }
                self.assert_published(&event);
                position.pass(&event);
                self.seen.push(event);
            }
            if !page.more {
                // The other server may be faster.
                drop(timeout(Duration::from_millis(500), reader.wait()).await);
            }
        }
        reader.position().to_string()
    }

    /// Every server shows only what was stored with a quorum.
    fn assert_published(&self, event: &Event) {
        let size = self.store.with(|state| {
            let publications = &state.tables.of(event.tree).publications;
            publications.last().map_or(0, |row| row.size.0)
        });
        assert!(event.leaf_index < size, "shown before it was published");
    }
}
