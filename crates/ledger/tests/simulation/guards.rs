//! Guards that outlive their servers, and a database that goes back: while rounds run, and between
//! two starts.

use std::sync::Arc;

use ledger::guard::memory::MemoryGuard;
use ledger::{AppendError, Appended, DEFAULT_NAME, Log, OpenError, Settings};
use ring::rand::SystemRandom;
use tlog::SigningKey;

use crate::peers::Peers;
use crate::store::{SimStore, Tables};
use crate::support::{OneLog, open_v1};
use crate::{Seen, check, clients, entry, run, seeds, settings};

const SERVERS: usize = 3;

struct Fleet {
    store: SimStore,
    pkcs8: Vec<u8>,
    guards: Vec<Arc<MemoryGuard>>,
    servers: Vec<OneLog>,
    seen: Seen,
}

impl Fleet {
    async fn new(store: SimStore) -> Self {
        let guards = (0..SERVERS).map(|_| Arc::new(MemoryGuard::new(DEFAULT_NAME)));
        let mut fleet = Self {
            store,
            pkcs8: SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap(),
            guards: guards.collect(),
            servers: Vec::new(),
            seen: Seen::default(),
        };
        fleet.start_all().await;
        fleet
    }

    async fn open(&self, number: usize) -> Result<OneLog, OpenError> {
        let guard = Peers {
            own: Arc::clone(&self.guards[number]),
            all: self.guards.clone(),
        };
        let settings = Settings {
            guard: Arc::new(guard),
            ..settings(&self.store, &self.pkcs8)
        };
        open_v1(settings, &self.pkcs8).await
    }

    /// Lets a server die without a word, and starts it again. Where a server that runs refuses that,
    /// nothing changes.
    async fn restart(&mut self, number: usize) {
        match self.open(number).await {
            Ok(server) => self.servers[number] = server,
            Err(OpenError::Refused) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts all servers, of which none runs.
    async fn start_all(&mut self) {
        for number in 0..SERVERS {
            let server = self.open(number).await.unwrap();
            self.servers.push(server);
        }
    }

    /// Writes to all servers at once; some of the entries are equal.
    async fn write(&mut self) {
        let first = self.store.with(|state| state.rng.below(300));
        let mine = |server: u64| (first + server * 5..first + server * 5 + 12).collect();
        let (a, b, c) = tokio::join!(
            clients(&self.servers[0], mine(0)),
            clients(&self.servers[1], mine(1)),
            clients(&self.servers[2], mine(2))
        );
        for (n, answer) in a.into_iter().chain(b).chain(c) {
            self.see_answer(n, answer);
        }
    }

    fn see_answer(&mut self, n: u64, answer: Result<Appended, AppendError>) {
        match answer {
            Err(AppendError::ReadOnly(_) | AppendError::NotLetOut(_)) => {}
            other => self.seen.see_answer(n, other),
        }
    }

    /// Nothing that any server shows contradicts what was ever shown or acknowledged.
    async fn look(&mut self) {
        for server in &self.servers {
            self.seen.see_head(server);
            self.seen.assert_none_absent(server).await;
            self.seen.see_head(server);
        }
    }

    /// Has the database go back to `copy` while rounds run, after some steps of theirs. Returns what
    /// it had until then.
    async fn go_back_while_rounds_run(&mut self, copy: Tables) -> Tables {
        let steps = self.store.with(|state| state.rng.below(40));
        let store = self.store.clone();
        let going_back = tokio::spawn(async move {
            for _ in 0..steps {
                tokio::task::yield_now().await;
            }
            store.put_back(copy)
        });
        self.write().await;
        going_back.await.unwrap()
    }

    /// The database went back behind what was let out: no server writes, and restarts change
    /// nothing.
    async fn assert_read_only(&mut self, seed: u64) {
        let stored = self.store.with(|state| state.tables.clone());
        for restarts in 0..3 {
            self.look().await;
            for server in &self.servers {
                let answer = server.append(entry(1_000 + restarts)).await;
                assert!(answer.is_err(), "seed {seed}: {answer:?}");
                assert!(server.halted().is_some(), "seed {seed}");
            }
            self.look().await;
            self.servers.clear();
            self.start_all().await;
        }
        let heads = self.store.with(|state| state.tables.heads.clone());
        assert_eq!(heads, stored.heads, "seed {seed}");
    }
}

impl Seen {
    /// A server that answers at all finds each entry that was acknowledged.
    async fn assert_none_absent(&self, log: &Log) {
        let Ok(shards) = log.newest_shards().await else {
            return;
        };
        for (index, leaf_hash) in &self.acknowledged {
            let found = log.find_leaves(shards.active(), &[*leaf_hash]).await;
            if let Ok(found) = found {
                let found: Vec<_> = found.iter().map(|entry| entry.leaf_index).collect();
                assert_eq!(found, [*index], "an acknowledged entry is absent");
            }
        }
    }
}

#[test]
fn a_database_that_goes_back_at_any_point_never_leads_to_a_second_root() {
    for seed in seeds() {
        run(seed, async |store, seed| {
            let mut fleet = Fleet::new(store.clone()).await;
            store.with(|state| state.fault_every = 6);
            for _ in 0..6 {
                let copy = store.with(|state| state.tables.clone());
                fleet.write().await;
                if store.with(|state| state.rng.below(2)) == 0 {
                    let victim = store.with(|state| state.rng.below(SERVERS as u64)) as usize;
                    fleet.restart(victim).await;
                }
                fleet.look().await;
                let has_grown = store.with(|state| state.tables.heads.len()) > copy.heads.len();
                if !has_grown || store.with(|state| state.rng.below(2)) == 0 {
                    continue;
                }
                let newest = if store.with(|state| state.rng.below(2)) == 0 {
                    fleet.go_back_while_rounds_run(copy).await
                } else {
                    // All are down meanwhile.
                    fleet.servers.clear();
                    let newest = store.put_back(copy);
                    fleet.start_all().await;
                    newest
                };
                fleet.assert_read_only(seed).await;
                // It is brought forward again.
                store.put_back(newest);
                fleet.servers.clear();
                fleet.start_all().await;
                for server in &fleet.servers {
                    assert_eq!(server.halted(), None, "seed {seed}");
                }
                fleet.look().await;
            }
            assert!(!fleet.seen.acknowledged.is_empty());
            for server in &fleet.servers {
                server.stop().await;
            }
            check(&store, &fleet.seen).await;
        });
    }
}
