//! Several servers on one database with faults, crashes and roll-backs; one seed replays exactly.
//!
//! `TREEHEAD_SIMULATION_SEED=n cargo test -p ledger --test simulation` replays one seed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

#[path = "support/both.rs"]
mod both;
#[path = "simulation/clocks.rs"]
mod clocks;
#[path = "simulation/guards.rs"]
mod guards;
#[path = "simulation/peers.rs"]
mod peers;
#[path = "simulation/promises.rs"]
mod promises;
#[path = "simulation/rotation.rs"]
mod rotation;
#[path = "simulation/rounds.rs"]
mod rounds;
#[path = "simulation/store/mod.rs"]
mod store;
#[path = "support/mod.rs"]
mod support;
#[path = "simulation/two_logs.rs"]
mod two_logs;
#[path = "simulation/wide/mod.rs"]
mod wide;
#[expect(dead_code, reason = "the tests of publication need more of it")]
#[path = "publication/witness.rs"]
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ledger::fsck::fsck;
use ledger::store::{Store, TreeRow};
use ledger::{
    Api, AppendError, Appended, Clock, EntryClaims, Fatal, Log, NewEntry, OpenError, ReadError,
    Settings,
};
use ring::rand::SystemRandom;
use store::{Fault, SimStore};
use support::{OneLog, open_v1};
use tlog::{Hash, LeafIndex, SigningKey};

/// Seeds of an ordinary run.
const SEEDS: u64 = 60;

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

/// The facts that clients have seen. They must stay true for ever.
#[derive(Default)]
struct Seen {
    roots: BTreeMap<u64, Hash>,
    acknowledged: BTreeMap<LeafIndex, Hash>,
}

impl Seen {
    fn see_head(&mut self, ledger: &Log) {
        let head = ledger.head();
        let root = *self.roots.entry(head.size.0).or_insert(head.root);
        assert_eq!(root, head.root, "two roots for size {}", head.size);
    }

    /// Notes the place of an entry that was acknowledged.
    fn see_answer(&mut self, n: u64, answer: Result<Appended, AppendError>) {
        match answer {
            Ok(Appended::Sequenced(logged) | Appended::Duplicate(logged)) => {
                let leaf_hash = tlog::leaf_hash(format!("leaf {n}").as_bytes());
                assert_eq!(logged.leaf_hash, leaf_hash);
                self.see_entry(logged.leaf_index, leaf_hash);
            }
            Err(AppendError::Unavailable(_)) => {}
            Err(error) => panic!("leaf {n}: {error}"),
        }
    }

    fn see_entry(&mut self, index: LeafIndex, leaf_hash: Hash) {
        let seen = *self.acknowledged.entry(index).or_insert(leaf_hash);
        assert_eq!(seen, leaf_hash, "two entries at leaf index {index}");
    }
}

async fn open(store: &SimStore, pkcs8: &[u8]) -> OneLog {
    open_v1(settings(store, pkcs8), pkcs8).await.unwrap()
}

fn settings(store: &SimStore, pkcs8: &[u8]) -> Settings {
    Settings {
        clock: Arc::new(SimClock(store.clone())),
        ..support::settings(store.clone(), pkcs8)
    }
}

fn entry(n: u64) -> NewEntry {
    NewEntry {
        leaf_bytes: format!("leaf {n}").into_bytes(),
        kind: "test:1".into(),
        index_keys: vec![format!("Key-{n}"), format!("group-{}", n % 7)],
        attestation: None,
        claims: EntryClaims::default(),
    }
}

async fn check(store: &SimStore, seen: &Seen) {
    let tree = store.trees().await.unwrap().remove(0);
    check_tree(store, &tree, seen).await;
}

async fn check_tree(store: &SimStore, tree: &TreeRow, seen: &Seen) {
    assert_clean(store, tree).await;
    let entries = store.with(|state| state.tables.of(tree.tree_id).entries.clone());
    let distinct: BTreeSet<Hash> = entries.iter().map(|(row, _)| row.leaf_hash).collect();
    assert_eq!(distinct.len(), entries.len(), "equal leaves have one index");
    for (index, leaf_hash) in &seen.acknowledged {
        assert_eq!(
            entries[index.0 as usize].0.leaf_hash, *leaf_hash,
            "acknowledged entry {index} is lost"
        );
    }
    let mut audit = tlog::Audit::new();
    for (row, _) in &entries {
        audit.push(row.leaf_hash);
        if let Some(root) = seen.roots.get(&audit.size().0) {
            assert_eq!(
                *root,
                audit.root(),
                "published head of size {} is not of this tree",
                audit.size()
            );
        }
    }
}

async fn assert_clean(store: &SimStore, tree: &TreeRow) {
    let api = Api::by_name(&tree.api).unwrap();
    let report = fsck(
        store,
        tree,
        api,
        &|_, _| Ok(None),
        &|_| Vec::new(),
        &mut |_| {},
    )
    .await
    .unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
}

fn run(seed: u64, scenario: impl AsyncFnOnce(SimStore, u64)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(scenario(SimStore::new(seed), seed));
}

fn seeds() -> Vec<u64> {
    match std::env::var("TREEHEAD_SIMULATION_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=SEEDS).collect(),
    }
}

/// Clients of one server, whose answers are recorded.
async fn clients(ledger: &Log, numbers: Vec<u64>) -> Vec<(u64, Result<Appended, AppendError>)> {
    let largest = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = numbers
        .into_iter()
        .map(|n| {
            let (ledger, largest) = (ledger.clone(), Arc::clone(&largest));
            tokio::spawn(async move {
                let see = || {
                    let head = ledger.head();
                    let size = head.tree.first_log_index + head.size.0;
                    let before = largest.fetch_max(size, Ordering::Relaxed);
                    assert!(
                        before <= size,
                        "the published head went back from {before} to {size}"
                    );
                };
                // Readers that follow the database while rounds commit.
                ledger.newest_head().await.ok();
                see();
                let answer = ledger.append(entry(n)).await;
                see();
                ledger.newest_head().await.ok();
                see();
                (n, answer)
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

#[test]
fn servers_with_faults_and_crashes_never_fork_and_never_lose() {
    for seed in seeds() {
        run(seed, async |store, _| {
            let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
            let mut seen = Seen::default();
            let mut servers = vec![
                open(&store, &pkcs8).await,
                open(&store, &pkcs8).await,
                open(&store, &pkcs8).await,
            ];
            store.with(|state| state.fault_every = 4);
            for _ in 0..12 {
                let first = store.with(|state| state.rng.below(300));
                let mut answers = Vec::new();
                let mine = |server: u64| {
                    (first + server * 5..first + server * 5 + 20).collect::<Vec<u64>>()
                };
                let (a, b, c) = tokio::join!(
                    clients(&servers[0], mine(0)),
                    clients(&servers[1], mine(1)),
                    clients(&servers[2], mine(2))
                );
                answers.extend(a.into_iter().chain(b).chain(c));
                for (n, answer) in answers {
                    seen.see_answer(n, answer);
                }
                for server in &servers {
                    seen.see_head(server);
                    assert_eq!(server.halted(), None);
                }
                // One server dies without a word and starts again.
                let victim = store.with(|state| state.rng.below(3)) as usize;
                servers[victim] = open(&store, &pkcs8).await;
                check(&store, &seen).await;
            }
            assert!(!seen.acknowledged.is_empty());
            for server in servers {
                server.stop().await;
            }
            check(&store, &seen).await;
        });
    }
}

#[test]
fn a_database_that_went_back_makes_the_log_read_only() {
    for seed in seeds() {
        run(seed, async |store, _| {
            let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
            let ledger = open(&store, &pkcs8).await;
            clients(&ledger, (0..300).collect()).await;
            let backup = store.with(|state| state.tables.clone());
            clients(&ledger, (300..500).collect()).await;
            let published = ledger.head();
            store.with(|state| state.tables = backup);
            let answers = clients(&ledger, (500..510).collect()).await;
            for (_, answer) in answers {
                let Err(AppendError::ReadOnly(reason)) = answer else {
                    panic!("{answer:?}")
                };
                assert!(
                    reason.contains(&format!("size {} root {}", published.size, published.root)),
                    "{reason}"
                );
                assert!(reason.contains("size 300 root "), "{reason}");
            }
            assert!(ledger.whole.ready().await.is_err());
            // What may have been lost is not absent.
            let absent = ledger.newest_shards().await.err();
            assert!(matches!(absent, Some(ReadError::WentBack(_))), "{absent:?}");
            let lost = ledger.entries(&published, &[LeafIndex(400)]).await.err();
            assert!(matches!(lost, Some(ReadError::WentBack(_))), "{lost:?}");
            let kept = ledger.entries(&published, &[LeafIndex(200)]).await.unwrap();
            assert_eq!(kept.len(), 1);
            assert_eq!(ledger.head().root, published.root);
            assert_eq!(
                store.with(|state| state.tables.entries.len()),
                300,
                "nothing is built on an older copy"
            );
        });
    }
}

#[test]
fn a_server_that_saw_less_does_not_go_on_beside_one_that_saw_more() {
    run(1, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let ledger = open(&store, &pkcs8).await;
        clients(&ledger, (0..100).collect()).await;
        let backup = store.with(|state| state.tables.clone());
        clients(&ledger, (100..110).collect()).await;
        // The older copy comes back, and a server starts that never saw the newer head.
        store.with(|state| state.tables = backup);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let refused = open_v1(settings(&store, &pkcs8), &pkcs8).await.map(|_| ());
        assert!(matches!(refused, Err(OpenError::Refused)), "{refused:?}");
        assert!(matches!(
            ledger.append(entry(999)).await,
            Err(AppendError::ReadOnly(_))
        ));
    });
}

#[test]
fn another_root_at_the_published_size_is_not_built_upon() {
    run(1, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let ledger = open(&store, &pkcs8).await;
        clients(&ledger, (0..10).collect()).await;
        store.with(|state| state.tables.heads.last_mut().unwrap().root = tlog::EMPTY_ROOT);
        let Err(AppendError::ReadOnly(reason)) = ledger.append(entry(10)).await else {
            panic!()
        };
        assert!(
            reason.contains(&format!("found size 10 root {}", tlog::EMPTY_ROOT)),
            "{reason}"
        );
        let again = open_v1(settings(&store, &pkcs8), &pkcs8)
            .await
            .map(|_| ())
            .unwrap_err();
        assert!(again.to_string().contains("table head"), "{again}");
    });
}

/// A standby that takes over may lack heads that nobody was shown: the log goes on without them.
#[test]
fn heads_that_were_never_let_out_may_be_lost() {
    run(1, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let ledger = open(&store, &pkcs8).await;
        let mut seen = Seen::default();
        for (n, answer) in clients(&ledger, (0..250).collect()).await {
            seen.see_answer(n, answer);
        }
        seen.see_head(&ledger);
        let backup = store.with(|state| state.tables.clone());
        // The commit is read back, because its answer is lost, and fills a tile.
        store.with(|state| {
            state.next_fault = Some(Fault::LostAfter);
            state.unconfirmed = true;
        });
        let lost: Vec<_> = (250..260)
            .map(|n| {
                let ledger = ledger.clone();
                tokio::spawn(async move { ledger.append(entry(n)).await })
            })
            .collect();
        while ledger_size(&store) < 260 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(ledger.head().size.0, 250);
        store.with(|state| {
            state.tables = backup;
            state.unconfirmed = false;
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        for (n, answer) in clients(&ledger, (300..310).collect()).await {
            seen.see_answer(n, answer);
        }
        for answer in lost {
            let answer = answer.await.unwrap();
            assert!(
                matches!(answer, Err(AppendError::Unavailable(_))),
                "{answer:?}"
            );
        }
        assert_eq!(ledger.halted(), None);
        for (n, answer) in clients(&ledger, (250..260).collect()).await {
            seen.see_answer(n, answer);
        }
        seen.see_head(&ledger);
        check(&store, &seen).await;
        ledger.stop().await;
    });
}

/// Returns the number of stored entries.
fn ledger_size(store: &SimStore) -> usize {
    store.with(|state| state.tables.entries.len())
}

#[test]
fn a_stop_stores_nothing_in_another_history() {
    run(1, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let ledger = open(&store, &pkcs8).await;
        let Appended::Sequenced(logged) = ledger.append(entry(1)).await.unwrap() else {
            panic!()
        };
        // It waits to be stored.
        ledger.signed_entry_timestamp(&logged).unwrap();
        store.with(|state| state.tables.heads.last_mut().unwrap().root = tlog::EMPTY_ROOT);
        ledger.stop().await;
        assert!(store.with(|state| state.tables.timestamps.is_empty()));
        assert!(ledger.halted().is_some());
    });
}

#[test]
fn a_commit_whose_answer_was_lost_is_acknowledged_as_new() {
    run(1, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let ledger = open(&store, &pkcs8).await;
        ledger.append(entry(1)).await.unwrap();
        store.with(|state| state.next_fault = Some(Fault::LostAfter));
        assert!(matches!(
            ledger.append(entry(2)).await,
            Ok(Appended::Sequenced(_))
        ));
        store.with(|state| state.next_fault = Some(Fault::LostAfter));
        assert!(matches!(
            ledger.append(entry(2)).await,
            Ok(Appended::Duplicate(_))
        ));
        store.with(|state| state.next_fault = Some(Fault::LostBefore));
        assert!(matches!(
            ledger.append(entry(3)).await,
            Err(AppendError::Unavailable(_))
        ));
        assert!(matches!(
            ledger.append(entry(3)).await,
            Ok(Appended::Sequenced(_))
        ));
    });
}

#[test]
fn the_newest_head_has_the_entries_of_other_servers() {
    run(1, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let (one, other) = (open(&store, &pkcs8).await, open(&store, &pkcs8).await);
        for n in 0..10 {
            one.append(entry(n)).await.unwrap();
            assert_eq!(other.newest_head().await.unwrap().size.0, n + 1);
        }
    });
}

#[test]
fn a_server_asks_for_newer_heads_only_in_company() {
    run(3, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let asked = || store.with(|state| state.asked);
        let one = open(&store, &pkcs8).await;
        tokio::time::sleep(Duration::from_millis(120)).await;
        let before = asked();
        for _ in 0..100 {
            one.newest_head().await.unwrap();
        }
        assert_eq!(asked(), before, "a server that is alone knows all heads");
        // Before it says that something is absent, it asks all the same.
        one.newest_shards().await.unwrap();
        assert!(asked() > before);
        let before = asked();
        // One that comes is seen before it serves.
        let other = open(&store, &pkcs8).await;
        other.append(entry(1)).await.unwrap();
        assert_eq!(one.newest_head().await.unwrap().size.0, 1);
        assert!(asked() > before);
    });
}

#[test]
fn one_bad_entry_fails_alone() {
    run(7, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let ledger = open(&store, &pkcs8).await;
        store.with(|state| state.poison = Some(tlog::leaf_hash(b"leaf 13")));
        for (n, answer) in clients(&ledger, (0..64).collect()).await {
            match answer {
                Ok(Appended::Sequenced(_)) => assert_ne!(n, 13),
                Err(AppendError::Refused(_)) => assert_eq!(n, 13),
                other => panic!("{n}: {other:?}"),
            }
        }
        check(&store, &Seen::default()).await;
    });
}

#[test]
fn a_sequencer_that_panicked_is_noticed_and_answers_every_caller() {
    run(2, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let ledger = open(&store, &pkcs8).await;
        ledger.whole.ready().await.unwrap();
        store.with(|state| state.bug = true);
        for (_, answer) in clients(&ledger, (0..3).collect()).await {
            assert!(matches!(answer, Err(AppendError::Stopping)), "{answer:?}");
        }
        let whole = &ledger.whole;
        let ended = Fatal::TaskEnded("the sequencer of the v1 log".into());
        assert_eq!(whole.fatal().await, ended);
        assert!(
            whole
                .ready()
                .await
                .unwrap_err()
                .reason
                .contains("sequencer")
        );
        ledger.stop().await;
    });
}

#[test]
fn damaged_data_is_not_answered_with() {
    run(4, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let first = open(&store, &pkcs8).await;
        clients(&first, (0..600).collect()).await;
        drop(first);
        // A server that has none of it in memory.
        store.with(|state| {
            state.tables.timestamps.clear();
            Arc::make_mut(&mut state.tables.entries[3].0)
                .body
                .push(b'!');
            state
                .tables
                .tiles
                .values_mut()
                .find(|tile| tile.id.index == 1)
                .unwrap()
                .hashes[255] = tlog::EMPTY_ROOT;
        });
        let ledger = open(&store, &pkcs8).await;
        let head = ledger.head();
        assert!(ledger.entries(&head, &[LeafIndex(2)]).await.is_ok());
        let answer = ledger.entries(&head, &[LeafIndex(2), LeafIndex(3)]).await;
        assert!(
            matches!(answer, Err(ledger::ReadError::Damaged(_))),
            "{answer:?}"
        );
        let wrong = ledger
            .inclusion_proof(&head, LeafIndex(2), &tlog::leaf_hash(b"leaf 3"))
            .await
            .map(|_| ());
        assert!(
            matches!(wrong, Err(ledger::ReadError::Damaged(_))),
            "{wrong:?}"
        );
        for (first, sound) in [
            (0, true),
            (256, true),
            (300, false),
            (500, false),
            (600, true),
        ] {
            let proof = ledger
                .consistency_proof(&head, tlog::TreeSize(first), head.size)
                .await;
            assert_eq!(proof.is_ok(), sound, "{first}: {proof:?}");
        }
    });
}

#[test]
fn timestamps_are_stored_once_the_log_is_idle_and_stay() {
    run(5, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let ledger = open(&store, &pkcs8).await;
        let Appended::Sequenced(first) = ledger.append(entry(1)).await.unwrap() else {
            panic!()
        };
        let first = ledger.signed_entry_timestamp(&first).unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(store.with(|state| state.tables.timestamps.len()), 1);
        let again = open(&store, &pkcs8).await;
        let read = again.entries(&again.head(), &[LeafIndex(0)]).await.unwrap();
        assert_eq!(read[0].signed_entry_timestamp.as_ref(), Some(&first));
    });
}
