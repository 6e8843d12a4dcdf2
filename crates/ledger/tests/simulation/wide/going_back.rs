//! A database that goes back, while servers write or while they start, and comes forward again.

use futures_util::future::join_all;
use ledger::store::Store as _;

use super::fleet::Fleet;
use super::step::{Moment, SERVERS};
use crate::entry;
use crate::store::{SimStore, Tables};

/// Puts the database back once others have taken so many steps.
async fn put_back_after(store: SimStore, pause: u64, copy: Tables) -> Tables {
    for _ in 0..pause {
        tokio::task::yield_now().await;
    }
    store.put_back(copy)
}

impl Fleet {
    /// Puts the database back behind what every server knows, and forward again. What no server
    /// knows, nobody could miss; so it does nothing where that would be lost.
    pub(crate) async fn go_back(&mut self, ago: usize, moment: Moment, pause: u64) {
        self.calm_down().await;
        if !self.all_know_the_newest().await {
            return;
        }
        let place = self.copies.len().saturating_sub(ago);
        let Some(copy) = self.copies.get(place).cloned() else {
            return;
        };
        if !self.is_behind(&copy).await {
            return;
        }
        let store = self.store.clone();
        let going_back = tokio::spawn(put_back_after(store, pause, copy));
        let newest = match moment {
            Moment::Writing => self.write_while(going_back).await,
            Moment::Starting => {
                for number in 0..SERVERS {
                    self.kill(number);
                }
                self.start_all_somehow().await;
                going_back.await.unwrap()
            }
        };
        for _ in 0..2 {
            self.assert_takes_nothing().await;
            for number in 0..SERVERS {
                self.kill(number);
            }
            self.start_all_somehow().await;
        }
        self.assert_takes_nothing().await;
        for number in 0..SERVERS {
            self.kill(number);
        }
        self.store.put_back(newest);
        self.calm_down().await;
        for number in 0..SERVERS {
            let opened = self.open(number, self.store.of_new_server()).await;
            let server = opened.unwrap().unwrap_or_else(|error| panic!("{error}"));
            for log in server.ledger.logs() {
                assert_eq!(log.halted(), None, "it came forward again");
            }
            self.servers[number] = Some(server);
        }
    }

    /// Starts all servers, and lets them read the newest heads. Returns whether they did.
    async fn all_know_the_newest(&mut self) -> bool {
        for number in 0..SERVERS {
            let is_up = self.servers[number].as_ref();
            if is_up.is_none_or(|server| server.store.is_dead()) {
                let opened = self.open(number, self.store.of_new_server()).await;
                let server = opened.unwrap().unwrap_or_else(|error| panic!("{error}"));
                self.servers[number] = Some(server);
            }
        }
        for server in self.servers.iter().flatten() {
            for log in server.ledger.logs() {
                if log.newest_shards().await.is_err() {
                    return false;
                }
            }
        }
        true
    }

    /// Whether a copy lacks heads of both logs that all servers have shown.
    async fn is_behind(&self, copy: &Tables) -> bool {
        let ids = |trees: &[ledger::store::TreeRow]| -> Vec<_> {
            trees
                .iter()
                .map(|tree| (tree.tree_id, tree.state))
                .collect()
        };
        let trees = self.store.trees().await.unwrap();
        if ids(&copy.trees) != ids(&trees) {
            return false;
        }
        let mut servers = self.servers.iter().flatten();
        servers.all(|server| {
            let mut logs = server.ledger.logs().iter();
            logs.all(|log| {
                let head = log.head();
                let stored = copy.of(head.tree.id).heads.last();
                stored.map_or(0, |stored| stored.size.0) < head.size.0
            })
        })
    }

    /// Lets clients write while the database goes back. What is acknowledged is in what it had until
    /// then.
    async fn write_while(&mut self, going_back: tokio::task::JoinHandle<Tables>) -> Tables {
        let first = self.store.with(|state| state.rng.below(100));
        for (n, answer) in self.write(first, 4).await {
            if let Some(Ok(appended)) = answer {
                self.facts.see_answer(n, appended);
            }
        }
        going_back.await.unwrap()
    }

    /// Starts all servers at once. One may refuse to start: its log went back.
    async fn start_all_somehow(&mut self) {
        let starts = (0..SERVERS).map(|number| self.open(number, self.store.of_new_server()));
        let started = join_all(starts).await;
        self.servers = started
            .into_iter()
            .map(|opened| opened.unwrap().ok())
            .collect();
    }

    /// No server takes an entry, or shows another history.
    async fn assert_takes_nothing(&mut self) {
        let stored = self.store.with(|state| state.tables.rows.clone());
        for server in self.servers.iter().flatten() {
            let id = server.store.server();
            for (place, log) in server.ledger.logs().iter().enumerate() {
                self.facts.see_heads(id, place, &log.shards());
                let answer = log.append(entry(20_000)).await;
                assert!(answer.is_err(), "{answer:?}");
                assert!(log.halted().is_some(), "{answer:?}");
                if let Ok(shards) = log.newest_shards().await {
                    self.facts.assert_found(log, &shards).await;
                }
                self.facts.see_heads(id, place, &log.shards());
            }
        }
        let now = self.store.with(|state| state.tables.rows.clone());
        for (tree, rows) in stored {
            assert_eq!(now[&tree].heads, rows.heads, "nothing is built on a copy");
        }
    }
}
