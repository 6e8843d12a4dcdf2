//! Publication with witnesses: several servers on one database, witnesses that fail in every way,
//! one seed replays exactly.
//!
//! `TREEHEAD_SIMULATION_SEED=n cargo test -p ledger --test publication` replays one seed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

#[path = "support/both.rs"]
mod both;
#[path = "publication/readers.rs"]
mod readers;
#[path = "publication/sizes.rs"]
mod sizes;
#[expect(dead_code, unused_imports, reason = "the simulation needs more of it")]
#[path = "simulation/store/mod.rs"]
mod store;
#[path = "support/mod.rs"]
mod support;
#[path = "publication/turns.rs"]
mod turns;
#[path = "publication/two_logs.rs"]
mod two_logs;
#[path = "publication/witness.rs"]
mod witness;

use std::sync::Arc;
use std::time::Duration;

use ledger::rotation;
use ledger::store::{Rotation as _, Store, TreeState};
use ledger::{
    AppendError, Appended, Clock, EntryClaims, KeyRing, Log, NewEntry, OpenError, Settings, TreeId,
    V1, Witnessing,
};
use ring::rand::SystemRandom;
use store::SimStore;
use support::{OneLog, checkpoint_key, key, open_v1};
use tlog::{Checkpoint, Note, SigningKey, WitnessPolicy};
use tokio::time::Instant;
use witness::{Behaviour, SimWitnesses};

const SEEDS: u64 = 30;

struct SimClock(SimStore);

impl Clock for SimClock {
    fn unix_millis(&self) -> i64 {
        self.0.with(|state| state.pass(1))
    }

    fn since_boot(&self) -> Duration {
        self.0
            .with(|state| Duration::from_millis(state.boot_millis))
    }
}

/// A log on a simulated database with simulated witnesses.
struct World {
    store: SimStore,
    witnesses: SimWitnesses,
    pkcs8: Vec<u8>,
    next_pkcs8: Vec<u8>,
}

impl World {
    fn new(store: SimStore, witnesses: usize) -> Self {
        let rng = SystemRandom::new();
        let pkcs8 = SigningKey::generate_p256_pkcs8(&rng).unwrap();
        let next_pkcs8 = SigningKey::generate_p256_pkcs8(&rng).unwrap();
        Self {
            witnesses: SimWitnesses::new(&store, witnesses),
            store,
            pkcs8,
            next_pkcs8,
        }
    }

    fn settings(&self, quorum: &str, fail_open_after: Option<Duration>) -> Settings {
        let keys = [key(&self.pkcs8), key(&self.next_pkcs8), checkpoint_key()];
        Settings {
            keys: KeyRing::new(keys),
            witnessing: Some(Witnessing {
                policy: self.policy(quorum),
                transport: Arc::new(self.witnesses.clone()),
                fail_open_after,
            }),
            clock: Arc::new(SimClock(self.store.clone())),
            ..support::settings(self.store.clone(), &self.pkcs8)
        }
    }

    fn policy(&self, quorum: &str) -> WitnessPolicy {
        WitnessPolicy::parse(&format!("{}\n{quorum}\n", self.witnesses.lines())).unwrap()
    }

    async fn open(&self, quorum: &str) -> OneLog {
        self.open_with(self.settings(quorum, None)).await.unwrap()
    }

    async fn open_with(&self, settings: Settings) -> Result<OneLog, OpenError> {
        open_v1(settings, &self.pkcs8).await
    }

    /// How many witnesses cosigned the head that a server shows, after the line of the log itself.
    /// Rekor v1's text has no other line.
    fn cosignatures(&self, log: &Log) -> usize {
        let head = log.head();
        let note = Note::parse(&head.checkpoint).unwrap();
        assert_eq!(note.signatures()[0].name, head.tree.origin, "{note}");
        if let Some(text) = &head.rekor_checkpoint {
            let rekor = Note::parse(text).unwrap();
            let signers = rekor.signatures().iter().map(|line| &line.name);
            assert_eq!(signers.collect::<Vec<_>>(), [&head.tree.name]);
        }
        let policy = self.policy("quorum none");
        policy
            .witnesses()
            .iter()
            .filter(|witness| witness.key.cosigned(&note).unwrap().is_some())
            .count()
    }
}

const TWO_OF_THREE: &str = "group g 2 w0 w1 w2\nquorum g";

fn entry(n: u64) -> NewEntry {
    NewEntry {
        leaf_bytes: format!("leaf {n}").into_bytes(),
        kind: "test:1".into(),
        index_keys: vec![],
        attestation: None,
        claims: EntryClaims::default(),
    }
}

fn run(seed: u64, scenario: impl AsyncFnOnce(SimStore)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(scenario(SimStore::new(seed)));
}

fn seeds() -> Vec<u64> {
    match std::env::var("TREEHEAD_SIMULATION_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=SEEDS).collect(),
    }
}

#[test]
fn servers_with_faults_show_only_what_a_quorum_cosigned() {
    for seed in seeds() {
        run(seed, async |store| {
            let world = World::new(store.clone(), 3);
            let mut servers = vec![
                world.open(TWO_OF_THREE).await,
                world.open(TWO_OF_THREE).await,
                world.open(TWO_OF_THREE).await,
            ];
            store.with(|state| state.fault_every = 5);
            world.witnesses.fail_one_in(4);
            let mut published = [0; 3];
            for step in 0..8 {
                let mut writers = Vec::new();
                for n in 0..30 {
                    let ledger = servers[n as usize % 3].clone();
                    writers.push(tokio::spawn(async move {
                        ledger.append(entry(step * 10 + n)).await
                    }));
                }
                for writer in writers {
                    match writer.await.unwrap() {
                        Ok(Appended::Sequenced(logged) | Appended::Duplicate(logged)) => {
                            let stored =
                                store.with(|state| state.tables.publications.last().unwrap().size);
                            assert!(
                                logged.leaf_index.0 < stored.0,
                                "answered before it was published"
                            );
                        }
                        Err(AppendError::Unavailable(_) | AppendError::Unpublished { .. }) => {}
                        Err(error) => panic!("seed {seed} step {step}: {error}"),
                    }
                }
                for (server, before) in servers.iter().zip(&mut published) {
                    server.newest_head().await.ok();
                    let size = server.head().size.0;
                    assert!(size >= *before, "the published size only grows");
                    *before = size;
                    assert!(size == 0 || world.cosignatures(server) >= 2);
                    assert_eq!(server.halted(), None);
                }
                let victim = store.with(|state| state.rng.below(3)) as usize;
                servers[victim] = world.open(TWO_OF_THREE).await;
                let stored = store.with(|state| state.tables.publications.last().unwrap().clone());
                // The others go on while it starts.
                let shown = servers[victim].newest_head().await.unwrap();
                assert!(
                    shown.size > stored.size || shown.checkpoint == stored.checkpoint,
                    "all show the stored one"
                );
            }
            for server in servers {
                server.stop().await;
            }
        });
    }
}

#[test]
fn without_a_quorum_nothing_leaves_and_writes_are_refused() {
    run(1, async |store| {
        let world = World::new(store.clone(), 1);
        let ledger = world.open("quorum w0").await;
        assert!(matches!(
            ledger.append(entry(1)).await,
            Ok(Appended::Sequenced(_))
        ));
        let shown = ledger.head().checkpoint.clone();
        world.witnesses.behave(0, Behaviour::Dead);
        let started = Instant::now();
        let answer = ledger.append(entry(2)).await;
        assert!(
            matches!(answer, Err(AppendError::Unpublished { .. })),
            "{answer:?}"
        );
        assert_eq!(started.elapsed().as_secs(), 10);
        let not_ready = ledger.whole.ready().await.unwrap_err();
        assert!(not_ready.reason.contains("witnesses"), "{not_ready}");
        let started = Instant::now();
        assert!(matches!(
            ledger.append(entry(3)).await,
            Err(AppendError::Unpublished { .. })
        ));
        assert!(
            started.elapsed() < Duration::from_secs(1),
            "refused before it is stored"
        );
        assert_eq!(store.with(|state| state.tables.entries.len()), 2);
        ledger.newest_head().await.unwrap();
        assert_eq!(ledger.head().checkpoint, shown);
        ledger.whole.ready_to_read().await.unwrap();

        world.witnesses.behave(0, Behaviour::Honest);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(ledger.head().size.0, 2);
        ledger.whole.ready().await.unwrap();
        assert!(matches!(
            ledger.append(entry(2)).await,
            Ok(Appended::Duplicate(_))
        ));
        assert!(matches!(
            ledger.append(entry(3)).await,
            Ok(Appended::Sequenced(_))
        ));
    });
}

#[test]
fn no_dead_slow_lying_or_foreign_witness_counts() {
    for behaviour in [
        Behaviour::Dead,
        Behaviour::Slow,
        Behaviour::WrongKey,
        Behaviour::OtherText,
        Behaviour::Ahead,
        Behaviour::SameConflict,
        Behaviour::Inconsistent,
        Behaviour::Nonsense,
    ] {
        run(1, async |store| {
            let world = World::new(store, 3);
            let ledger = world.open(TWO_OF_THREE).await;
            world.witnesses.behave(2, behaviour);
            for n in 0..3 {
                assert!(
                    ledger.append(entry(n)).await.is_ok(),
                    "{behaviour:?}: the other two are enough"
                );
                assert_eq!(world.cosignatures(&ledger), 2, "{behaviour:?}");
            }
            world.witnesses.behave(1, behaviour);
            assert!(
                matches!(
                    ledger.append(entry(9)).await,
                    Err(AppendError::Unpublished { .. })
                ),
                "{behaviour:?}"
            );
            assert_eq!(ledger.head().size.0, 3, "{behaviour:?}");
        });
    }
}

#[test]
fn a_witness_that_lost_its_memory_is_served_from_what_it_knows() {
    run(1, async |store| {
        let world = World::new(store, 1);
        let ledger = world.open("quorum w0").await;
        for n in 0..5 {
            ledger.append(entry(n)).await.unwrap();
        }
        world.witnesses.forget(0);
        ledger.append(entry(5)).await.unwrap();
        assert_eq!(world.cosignatures(&ledger), 1);
        // A server that starts does not know what the witness knows.
        drop(ledger);
        let ledger = world.open("quorum w0").await;
        ledger.append(entry(6)).await.unwrap();
        assert_eq!(world.cosignatures(&ledger), 1);
    });
}

#[test]
fn a_log_that_fails_open_says_so_and_goes_on() {
    run(1, async |store| {
        let world = World::new(store, 1);
        world.witnesses.behave(0, Behaviour::Dead);
        let settings = world.settings("quorum w0", Some(Duration::from_secs(4)));
        let metrics = settings.metrics.clone();
        let ledger = world.open_with(settings).await.unwrap();
        let started = Instant::now();
        ledger.append(entry(1)).await.unwrap();
        assert!(
            (4..6).contains(&started.elapsed().as_secs()),
            "{:?}",
            started.elapsed()
        );
        assert_eq!(world.cosignatures(&ledger), 0);
        let open = metrics
            .gather()
            .into_iter()
            .find(|family| family.name() == "treehead_unwitnessed_publications_total");
        assert_eq!(
            open.unwrap().get_metric()[0].get_counter().get_value() as u64,
            1
        );
    });
}

#[test]
fn a_stop_answers_those_who_wait_for_witnesses() {
    run(1, async |store| {
        let world = World::new(store.clone(), 1);
        let ledger = world.open("quorum w0").await;
        world.witnesses.behave(0, Behaviour::Slow);
        let waiting = tokio::spawn({
            let ledger = ledger.clone();
            async move { ledger.append(entry(1)).await }
        });
        while store.with(|state| state.tables.entries.is_empty()) {
            tokio::task::yield_now().await;
        }
        let started = Instant::now();
        ledger.stop().await;
        assert!(started.elapsed() < Duration::from_secs(8));
        assert!(matches!(waiting.await.unwrap(), Err(AppendError::Stopping)));
        // What was integrated is published by the next start.
        world.witnesses.behave(0, Behaviour::Honest);
        let ledger = world.open("quorum w0").await;
        assert!(matches!(
            ledger.append(entry(1)).await,
            Ok(Appended::Duplicate(_))
        ));
    });
}

#[test]
fn a_log_that_had_a_policy_keeps_one_and_never_shows_less() {
    run(1, async |store| {
        let world = World::new(store.clone(), 1);
        let without = || Settings {
            witnessing: None,
            ..world.settings("quorum none", None)
        };
        let ledger = world.open_with(without()).await.unwrap();
        ledger.append(entry(1)).await.unwrap();
        drop(ledger);
        // Its first policy: heads that were published before stay published, although the witness
        // does not answer.
        world.witnesses.behave(0, Behaviour::Dead);
        let ledger = world.open("quorum w0").await;
        assert_eq!(ledger.head().size.0, 1);
        drop(ledger);
        let refused = world.open_with(without()).await.map(|_| ()).unwrap_err();
        assert!(matches!(refused, OpenError::Witnessed), "{refused}");
        let ledger = world.open("quorum none").await;
        ledger.append(entry(2)).await.unwrap();
        assert_eq!((ledger.head().size.0, world.cosignatures(&ledger)), (2, 0));
        assert_eq!(
            store
                .publications(ledger.tree().id, None, 10)
                .await
                .unwrap()
                .len(),
            2
        );
    });
}

#[test]
fn a_publication_that_went_back_makes_the_log_read_only() {
    run(1, async |store| {
        let world = World::new(store.clone(), 1);
        let ledger = world.open("quorum w0").await;
        ledger.append(entry(1)).await.unwrap();
        let lost = store.with(|state| state.tables.publications.pop()).unwrap();
        let answer = ledger.append(entry(2)).await;
        assert!(
            matches!(
                answer,
                Err(AppendError::ReadOnly(_) | AppendError::Unpublished { .. })
            ),
            "{answer:?}"
        );
        assert!(
            ledger
                .halted()
                .unwrap()
                .contains(&format!("size {}", lost.size))
        );
    });
}

#[test]
fn a_log_without_its_checkpoint_key_is_not_opened() {
    run(1, async |store| {
        let world = World::new(store, 1);
        world.open("quorum none").await;
        let settings = Settings {
            keys: KeyRing::new([key(&world.pkcs8), key(&world.next_pkcs8)]),
            ..world.settings("quorum none", None)
        };
        let refused = world.open_with(settings).await.map(|_| ()).unwrap_err();
        let wanted = tlog::sha256(checkpoint_key().verifying_key().spki());
        assert!(matches!(refused, OpenError::WrongKey { .. }), "{refused}");
        assert!(
            refused.to_string().contains(&wanted.to_string()),
            "{refused}"
        );
    });
}

impl World {
    /// Freezes the tree and opens the one of the next key.
    async fn rotate(&self) -> TreeId {
        let tree = self.store.trees().await.unwrap().remove(0);
        let rng = SystemRandom::new();
        let next = SigningKey::from_pkcs8(&self.next_pkcs8, &rng)
            .unwrap()
            .verifying_key()
            .clone();
        rotation::register(&self.store, &tree, &next).await.unwrap();
        while self.store.trees().await.unwrap()[0].state == TreeState::Active {
            rotation::freeze(&self.store, &tree, &next, None, &rng)
                .await
                .ok();
        }
        tree.tree_id
    }

    /// Two servers on a tree that is frozen with one of its two entries published. Then the first
    /// server publishes the other one, and from that moment on the second has no turn.
    async fn frozen_and_published_by_the_first(&self) -> (OneLog, OneLog, TreeId) {
        let first = self.open("quorum w0").await;
        first.append(entry(1)).await.unwrap();
        self.witnesses.behave(0, Behaviour::Dead);
        let second = self.open("quorum w0").await;
        let writer = first.clone();
        tokio::spawn(async move { writer.append(entry(2)).await });
        while self.store.with(|state| state.tables.entries.len()) < 2 {
            tokio::task::yield_now().await;
        }
        let tree = self.rotate().await;
        while first.tree().id == tree || second.tree().id == tree {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.witnesses.behave(0, Behaviour::Honest);
        while self
            .store
            .with(|state| state.tables.of(tree).publications.last().unwrap().size.0)
            < 2
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.store
            .with(|state| state.publishers.insert(tree.0, u64::MAX));
        (first, second, tree)
    }
}

fn assert_one_head(ledger: &Log) {
    for head in ledger.shards().active_first() {
        let rekor = head.rekor_checkpoint.iter();
        for text in rekor.chain(&head.freeze_note).chain([&head.checkpoint]) {
            let stated = Checkpoint::parse(Note::parse(text).unwrap().text()).unwrap();
            assert_eq!(
                (stated.size, stated.root),
                (head.size, head.root),
                "a head and the text of another one"
            );
        }
    }
}

#[test]
fn the_last_texts_are_shown_with_the_last_head_only() {
    for seed in seeds() {
        run(seed, async |store| {
            let world = World::new(store.clone(), 1);
            let (first, second, tree) = world.frozen_and_published_by_the_first().await;
            for _ in 0..500 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                assert_one_head(&first);
                assert_one_head(&second);
            }
            assert!(store.with(|state| state.tables.last_texts.contains_key(&tree.0)));
            for ledger in [&first, &second] {
                assert_eq!(ledger.head_of(tree).unwrap().size.0, 2);
            }
        });
    }
}

#[test]
fn the_newest_shards_have_heads_of_frozen_trees_that_others_published() {
    for seed in seeds() {
        run(seed, async |store| {
            let world = World::new(store.clone(), 1);
            let (_first, second, tree) = world.frozen_and_published_by_the_first().await;
            let shards = second.newest_shards().await.unwrap();
            assert_eq!(shards.of_tree(tree).unwrap().size.0, 2, "seed {seed}");
            assert_one_head(&second);
        });
    }
}

#[test]
fn rotations_with_witnesses_and_faults_lose_and_mix_nothing() {
    for seed in seeds() {
        run(seed, async |store| {
            let world = World::new(store.clone(), 3);
            let servers = [
                world.open(TWO_OF_THREE).await,
                world.open(TWO_OF_THREE).await,
            ];
            store.with(|state| state.fault_every = 5);
            world.witnesses.fail_one_in(4);
            let mut writers = Vec::new();
            for n in 0..40 {
                let ledger = servers[n as usize % 2].clone();
                writers.push(tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(n * 50)).await;
                    let answer = ledger.append(entry(n)).await;
                    assert_one_head(&ledger);
                    (n, answer)
                }));
            }
            tokio::time::sleep(Duration::from_millis(
                store.with(|state| state.rng.below(2_000)),
            ))
            .await;
            let frozen = world.rotate().await;
            for writer in writers {
                let (n, answer) = writer.await.unwrap();
                let Ok(Appended::Sequenced(logged) | Appended::Duplicate(logged)) = answer else {
                    continue;
                };
                let trees = store.trees().await.unwrap();
                let held = |tree| {
                    let leaf_hash = tlog::leaf_hash(format!("leaf {n}").as_bytes());
                    let held = |state: &mut store::State| {
                        state
                            .tables
                            .of(tree)
                            .entries
                            .iter()
                            .filter(|(row, _)| row.leaf_hash == leaf_hash)
                            .count()
                    };
                    store.with(held)
                };
                assert_eq!(held(logged.tree), 1, "seed {seed}: leaf {n} is lost");
                assert_eq!(
                    trees.iter().map(|tree| held(tree.tree_id)).sum::<usize>(),
                    1,
                    "seed {seed}: leaf {n}"
                );
            }
            store.with(|state| state.fault_every = 0);
            world.witnesses.fail_one_in(0);
            tokio::time::sleep(Duration::from_secs(20)).await;
            let last = store
                .final_checkpoint(frozen)
                .await
                .unwrap()
                .expect("the frozen tree is finished");
            for server in &servers {
                assert_one_head(server);
                assert_eq!(server.halted(), None);
                let shards = server.newest_shards().await.unwrap();
                assert_eq!(shards.of_tree(frozen).unwrap().checkpoint, last.checkpoint);
                assert_eq!(
                    shards.active().size.0,
                    store.with(|state| state.tables.entries.len() as u64)
                );
            }
            for tree in store.trees().await.unwrap() {
                let report = ledger::fsck::fsck(
                    &store,
                    &tree,
                    &V1,
                    &|_, _| Ok(None),
                    &|_| Vec::new(),
                    &mut |_| {},
                )
                .await
                .unwrap();
                assert_eq!(report.findings, Vec::<String>::new());
            }
        });
    }
}
