//! Rotations among several servers with faults and crashes.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::rotation::{self, RotateError};
use ledger::store::{FinalCheckpoint, Rotation as _, Store, TreeRow, TreeState};
use ledger::{
    Api, AppendError, Appended, Fatal, KeyRing, Log, OpenError, Settings, Tree, TreeId, V1, V2,
};
use ring::rand::SystemRandom;
use tlog::{Checkpoint, Hash, LeafIndex, NoteKey, SigningKey, TreeSize, VerifyingKey};

use super::store::{Fault, SimStore};
use super::support::{OneLog, checkpoint_key, key, open_v1};
use super::{assert_clean, clients, entry, run, seeds};

/// Rotations of one run.
const ROTATIONS: usize = 3;

fn new_keys(number: usize) -> Vec<Vec<u8>> {
    (0..number)
        .map(|_| SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap())
        .collect()
}

async fn open(store: &SimStore, keys: &[Vec<u8>]) -> OneLog {
    try_open(store, keys).await.unwrap()
}

async fn try_open(store: &SimStore, keys: &[Vec<u8>]) -> Result<OneLog, OpenError> {
    let log_keys = keys.iter().map(|pkcs8| key(pkcs8));
    let settings = Settings {
        keys: KeyRing::new(log_keys.chain([checkpoint_key()])),
        ..super::settings(store, &keys[0])
    };
    open_v1(settings, &keys[0]).await
}

async fn active(store: &SimStore) -> TreeRow {
    active_of(store, &V1).await
}

async fn active_of(store: &SimStore, api: &Api) -> TreeRow {
    let mut trees = store.trees().await.unwrap();
    trees.retain(|tree| tree.api == api.name && tree.state == TreeState::Active);
    trees.remove(0)
}

async fn rotate(store: &SimStore, pkcs8: &[u8]) {
    rotate_log(store, &V1, pkcs8).await;
}

/// Rotates a log to this key, whatever the database does meanwhile.
pub(crate) async fn rotate_log(store: &SimStore, api: &Api, pkcs8: &[u8]) {
    let next = key(pkcs8).verifying_key().clone();
    let rng = SystemRandom::new();
    loop {
        let tree = active_of(store, api).await;
        if log_key(&tree) == next {
            return;
        }
        match rotation::register(store, &tree, &next).await {
            Ok(()) => {}
            Err(error) => panic!("{error}"),
        }
        // A log of Rekor v1 needs no origin.
        let origin = rotation::default_origin(&tree.origin, 2);
        match rotation::freeze(store, &tree, &next, Some(&origin), &rng).await {
            Ok(_) | Err(RotateError::Open(OpenError::Store(_))) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn log_key(tree: &TreeRow) -> VerifyingKey {
    VerifyingKey::from_spki(&tree.keys[0].spki).unwrap()
}

/// The facts that clients of a log have seen.
#[derive(Default)]
pub(crate) struct Seen {
    roots: BTreeMap<(TreeId, u64), Hash>,
    acknowledged: BTreeMap<(TreeId, LeafIndex), Hash>,
    answers: BTreeMap<Hash, (TreeId, LeafIndex)>,
}

impl Seen {
    pub(crate) fn see_heads(&mut self, ledger: &Log) {
        let shards = ledger.shards();
        for head in shards.active_first() {
            let root = *self
                .roots
                .entry((head.tree.id, head.size.0))
                .or_insert(head.root);
            assert_eq!(
                root, head.root,
                "two roots for size {} of {}",
                head.size, head.tree.id
            );
        }
    }

    pub(crate) fn see_answer(&mut self, n: u64, answer: Result<Appended, AppendError>) {
        let logged = match answer {
            Ok(Appended::Sequenced(logged)) => logged,
            Ok(Appended::Duplicate(logged)) => {
                panic!("leaf {n} was sent once and is at {}", logged.leaf_index)
            }
            // The outcome of a commit was unknown, and it did not come to be by then.
            Err(AppendError::Unavailable(_)) => return,
            Err(error) => panic!("{error}"),
        };
        let place = (logged.tree, logged.leaf_index);
        assert_eq!(
            self.acknowledged.insert(place, logged.leaf_hash),
            None,
            "one place was given twice"
        );
        assert_eq!(
            self.answers.insert(logged.leaf_hash, place),
            None,
            "leaf {n} has two places"
        );
    }

    /// The trees follow each other without a gap, no leaf is in two places, nothing that was seen
    /// is gone, and fsck agrees.
    pub(crate) async fn check(&self, store: &SimStore, api: &Api) {
        let mut trees = store.trees().await.unwrap();
        trees.retain(|tree| tree.api == api.name);
        let mut first_log_index = 0;
        let mut places: BTreeMap<Hash, (TreeId, LeafIndex)> = BTreeMap::new();
        for tree in &trees {
            assert_eq!(tree.first_log_index, first_log_index);
            assert_clean(store, tree).await;
            let leaves = leaves(store, tree.tree_id);
            first_log_index += leaves.len() as u64;
            let mut audit = tlog::Audit::new();
            for (index, leaf_hash) in (0..).map(LeafIndex).zip(leaves) {
                assert_eq!(
                    places.insert(leaf_hash, (tree.tree_id, index)),
                    None,
                    "a leaf is in two places"
                );
                audit.push(leaf_hash);
                if let Some(root) = self.roots.get(&(tree.tree_id, audit.size().0)) {
                    assert_eq!(
                        *root,
                        audit.root(),
                        "a published head of tree {} is not of it",
                        tree.tree_id
                    );
                }
            }
        }
        for (leaf_hash, place) in &self.answers {
            assert_eq!(
                places.get(leaf_hash),
                Some(place),
                "an acknowledged entry is lost"
            );
        }
        assert_eq!(
            trees
                .iter()
                .filter(|tree| tree.state == TreeState::Active)
                .count(),
            1
        );
    }
}

fn leaves(store: &SimStore, tree: TreeId) -> Vec<Hash> {
    store.with(|state| {
        state
            .tables
            .of(tree)
            .entries
            .iter()
            .map(|(row, _)| row.leaf_hash)
            .collect()
    })
}

#[test]
fn rotations_among_writers_never_fork_and_never_lose() {
    for seed in seeds() {
        run(seed, async |store, _| {
            let keys = new_keys(ROTATIONS + 1);
            let mut seen = Seen::default();
            let mut servers = vec![
                open(&store, &keys).await,
                open(&store, &keys).await,
                open(&store, &keys).await,
            ];
            store.with(|state| state.fault_every = 4);
            let mut next_leaf = 0;
            let mut rotated = 0;
            for step in 0..9 {
                let mut mine = || {
                    next_leaf += 20;
                    (next_leaf - 20..next_leaf).collect::<Vec<u64>>()
                };
                let (a, b, c) = (mine(), mine(), mine());
                let rotation = async {
                    if step % 3 == 1 {
                        rotated += 1;
                        for _ in 0..store.with(|state| state.rng.below(40)) {
                            tokio::task::yield_now().await;
                        }
                        rotate(&store, &keys[rotated]).await;
                    }
                };
                let (a, b, c, ()) = tokio::join!(
                    clients(&servers[0], a),
                    clients(&servers[1], b),
                    clients(&servers[2], c),
                    rotation
                );
                for (n, answer) in a.into_iter().chain(b).chain(c) {
                    seen.see_answer(n, answer);
                }
                for server in &servers {
                    seen.see_heads(server);
                    assert_eq!(server.halted(), None);
                }
                // One server dies without a word and starts again.
                let victim = store.with(|state| state.rng.below(3)) as usize;
                servers[victim] = open(&store, &keys).await;
                seen.check(&store, &V1).await;
            }
            assert_eq!(store.trees().await.unwrap().len(), ROTATIONS + 1);
            store.with(|state| state.fault_every = 0);
            // Whoever is left finishes what is frozen.
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            for server in servers {
                seen.see_heads(&server);
                server.stop().await;
            }
            seen.check(&store, &V1).await;
            for tree in store.trees().await.unwrap() {
                if tree.state == TreeState::Frozen {
                    assert_finished(&store, &tree).await;
                }
            }
            // Only the key of the active tree is left.
            let last = open(&store, &keys[ROTATIONS..]).await;
            let shards = last.shards();
            for head in shards.active_first() {
                let indexes: Vec<LeafIndex> = (0..head.size.0).map(LeafIndex).collect();
                for entry in last.entries(head, &indexes).await.unwrap() {
                    last.signed_entry_timestamp(&entry).unwrap();
                }
            }
            last.stop().await;
        });
    }
}

/// All timestamps are stored, and the last texts verify. Only the note of the freeze says that the
/// tree is frozen.
pub(crate) async fn assert_finished(store: &SimStore, tree: &TreeRow) {
    let last = store.final_checkpoint(tree.tree_id).await.unwrap();
    let FinalCheckpoint {
        rekor_checkpoint,
        checkpoint,
        freeze_note,
        receipt_signature,
    } = last.unwrap();
    let rows = store.with(|state| state.tables.of(tree.tree_id).clone());
    let size = rows.entries.len();
    let signed = if tree.api == V1.name { size } else { 0 };
    assert_eq!(rows.timestamps.len(), signed);
    assert_eq!(rekor_checkpoint.is_some(), tree.api == V1.name);

    let rekor_key = NoteKey::new(&tree.name, log_key(tree)).unwrap();
    let rekor_origin = format!("{} - {}", tree.name, tree.tree_id);
    let rekor = rekor_checkpoint.map(|text| (text, &rekor_origin, rekor_key, ""));
    let api: &Api = if tree.api == V1.name { &V1 } else { &V2 };
    let root = rows.heads.last().unwrap().root;
    let signed_tree = Tree::of(tree, api).unwrap();
    assert!(
        signed_tree
            .signed_root(root)
            .is_signed_by(&receipt_signature)
    );
    // The log key, where the tree has no other.
    let checkpoint_key = VerifyingKey::from_spki(&tree.keys.last().unwrap().spki).unwrap();
    let key = NoteKey::new(&tree.origin, checkpoint_key).unwrap();
    let others = [
        (checkpoint, &tree.origin, key.clone(), ""),
        (freeze_note, &tree.origin, key, "Log frozen \u{2014} "),
    ];
    for (text, origin, key, extension) in rekor.into_iter().chain(others) {
        let stated = Checkpoint::open(&text, origin, &[key]).unwrap();
        assert_eq!(stated.size.0, size as u64);
        let lines = &stated.extensions;
        assert_eq!(lines.len(), usize::from(!extension.is_empty()), "{text}");
        assert!(
            lines.iter().all(|line| line.starts_with(extension)),
            "{text}"
        );
    }
}

#[test]
fn entries_that_meet_the_freeze_go_into_the_next_tree() {
    run(1, async |store, _| {
        let keys = new_keys(2);
        let ledger = open(&store, &keys).await;
        ledger.append(entry(1)).await.unwrap();
        let first = ledger.tree().id;
        rotate(&store, &keys[1]).await;
        let Appended::Sequenced(logged) = ledger.append(entry(2)).await.unwrap() else {
            panic!()
        };
        assert_ne!(logged.tree, first);
        assert_eq!(
            (logged.leaf_index, ledger.tree().first_log_index),
            (LeafIndex(0), 1)
        );
        // What is in a frozen tree only is a new entry.
        assert!(matches!(
            ledger.append(entry(1)).await,
            Ok(Appended::Sequenced(_))
        ));
        assert!(matches!(
            ledger.append(entry(1)).await,
            Ok(Appended::Duplicate(_))
        ));
    });
}

#[test]
fn a_commit_whose_answer_was_lost_before_the_freeze_is_not_repeated_in_the_next_tree() {
    for seed in seeds() {
        run(seed, async |store, _| {
            let keys = new_keys(2);
            let ledger = open(&store, &keys).await;
            ledger.append(entry(1)).await.unwrap();
            let first = ledger.tree().id;
            store.with(|state| state.next_fault = Some(Fault::LostAfter));
            let (answer, ()) = tokio::join!(ledger.append(entry(2)), rotate(&store, &keys[1]));
            let Ok(Appended::Sequenced(logged)) = answer else {
                panic!("{answer:?}")
            };
            let wanted = tlog::leaf_hash(b"leaf 2");
            let held = |tree| {
                leaves(&store, tree)
                    .iter()
                    .filter(|hash| **hash == wanted)
                    .count()
            };
            let trees = store.trees().await.unwrap();
            assert_eq!(
                trees.iter().map(|tree| held(tree.tree_id)).sum::<usize>(),
                1,
                "{first} {}",
                logged.tree
            );
            assert_eq!(held(logged.tree), 1);
        });
    }
}

#[test]
fn a_server_without_the_next_key_says_so_and_writes_nothing() {
    run(1, async |store, _| {
        let keys = new_keys(2);
        let ledger = open(&store, &keys[..1]).await;
        ledger.append(entry(1)).await.unwrap();
        let servers = rotation::servers(&store, ledger.tree().name.as_str())
            .await
            .unwrap();
        assert_eq!(servers.len(), 1);
        let wanted = key(&keys[1]).verifying_key().log_id();
        assert!(!servers[0].keys.contains(&wanted));
        rotate(&store, &keys[1]).await;
        let Fatal::LacksKey(reason) = ledger.whole.fatal().await else {
            panic!()
        };
        assert!(reason.contains(&wanted.to_string()), "{reason}");
        assert!(ledger.append(entry(2)).await.is_err());
        assert_eq!(store.with(|state| state.tables.entries.len()), 0);
        let again = try_open(&store, &keys[..1]).await.map(|_| ()).unwrap_err();
        assert!(matches!(again, OpenError::WrongKey { .. }), "{again}");
    });
}

#[test]
fn a_database_that_lost_a_rotation_makes_the_log_read_only() {
    run(1, async |store, _| {
        let keys = new_keys(2);
        let ledger = open(&store, &keys).await;
        ledger.append(entry(1)).await.unwrap();
        let backup = store.with(|state| state.tables.clone());
        rotate(&store, &keys[1]).await;
        ledger.append(entry(2)).await.unwrap();
        store.with(|state| state.tables = backup);
        let Err(AppendError::ReadOnly(reason)) = ledger.append(entry(3)).await else {
            panic!()
        };
        assert!(reason.contains("does not have the tree"), "{reason}");
    });
}

#[test]
fn a_freeze_whose_answer_was_lost_is_looked_up() {
    for fault in [Fault::LostAfter, Fault::LostBefore, Fault::Refused] {
        run(1, async |store, _| {
            let keys = new_keys(2);
            let ledger = open(&store, &keys).await;
            ledger.append(entry(1)).await.unwrap();
            let (tree, next) = (active(&store).await, key(&keys[1]).verifying_key().clone());
            rotation::register(&store, &tree, &next).await.unwrap();
            store.with(|state| state.next_fault = Some(fault));
            let frozen = rotation::freeze(&store, &tree, &next, None, &SystemRandom::new()).await;
            let (opened, last) = frozen.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
            assert_eq!(store.trees().await.unwrap()[1..], [opened], "{fault:?}");
            assert_eq!(
                (last.prev_size, last.size),
                (TreeSize(1), TreeSize(1)),
                "{fault:?}"
            );
            let again = rotation::freeze(&store, &tree, &next, None, &SystemRandom::new()).await;
            assert!(matches!(again, Err(RotateError::Overtaken)), "{fault:?}");
        });
    }
}

/// Whichever comes first, both agree on what happened.
#[test]
fn an_abort_that_meets_the_freeze_undoes_it_or_comes_too_late() {
    for seed in seeds() {
        run(seed, async |store, _| {
            let keys = new_keys(2);
            let ledger = open(&store, &keys).await;
            let (tree, next) = (active(&store).await, key(&keys[1]).verifying_key().clone());
            rotation::register(&store, &tree, &next).await.unwrap();
            let pauses = store.with(|state| state.rng.below(10));
            let abort = async {
                for _ in 0..pauses {
                    tokio::task::yield_now().await;
                }
                rotation::unregister(&store, &tree).await
            };
            let rng = SystemRandom::new();
            let freeze = rotation::freeze(&store, &tree, &next, None, &rng);
            let registered = Some(tlog::sha256(next.spki()));
            match tokio::join!(freeze, abort) {
                (Ok(_), Err(RotateError::Frozen)) => {
                    let kept = rotation::registered(&store, &tree).await.unwrap();
                    assert_eq!(kept, registered, "that rotation is still to be reported");
                    assert_ne!(active(&store).await, tree);
                }
                (Err(RotateError::Overtaken), Ok(aborted)) => {
                    assert_eq!(aborted, registered);
                    assert_eq!(rotation::registered(&store, &tree).await.unwrap(), None);
                    assert_eq!(rotation::unregister(&store, &tree).await.unwrap(), None);
                    assert_eq!(active(&store).await, tree);
                }
                (freeze, abort) => panic!("seed {seed}: {freeze:?} {abort:?}"),
            }
            drop(ledger);
        });
    }
}

/// The database was put back to another history of the frozen tree after the freeze was noticed:
/// nothing of it is signed.
#[test]
fn a_frozen_tree_that_was_forked_is_not_finished() {
    for seed in seeds() {
        run(seed, async |store, _| {
            let keys = new_keys(2);
            let ledger = open(&store, &keys).await;
            for n in 1..=3 {
                ledger.append(entry(n)).await.unwrap();
            }
            let first = ledger.tree().id;
            rotate(&store, &keys[1]).await;
            while ledger.tree().id == first {
                tokio::task::yield_now().await;
                tokio::time::advance(std::time::Duration::from_millis(1)).await;
            }
            let unsigned = store.with(|state| {
                let rows = state.tables.of_mut(first);
                let mut other = (*rows.entries[2].0).clone();
                other.body = b"another leaf".to_vec();
                other.leaf_hash = tlog::leaf_hash(&other.body);
                rows.entries[2].0 = Arc::new(other);
                let unsigned = rows.timestamps.is_empty();
                let mut audit = tlog::Audit::new();
                rows.entries
                    .iter()
                    .for_each(|(row, _)| drop(audit.push(row.leaf_hash)));
                rows.heads
                    .iter_mut()
                    .filter(|head| head.size.0 == 3)
                    .for_each(|head| head.root = audit.root());
                unsigned
            });
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            let signed = store.with(|state| {
                state
                    .tables
                    .of(first)
                    .timestamps
                    .contains_key(&LeafIndex(2))
            });
            assert!(
                !unsigned || !signed,
                "seed {seed}: an entry of another history is signed"
            );
            let kept = store.final_checkpoint(first).await.unwrap();
            assert!(
                !unsigned || kept.is_none(),
                "seed {seed}: the tree counts as finished"
            );
        });
    }
}

#[test]
fn fsck_beside_a_server_that_finishes_a_tree_finds_nothing() {
    run(1, async |store, _| {
        let keys = new_keys(2);
        let ledger = open(&store, &keys).await;
        ledger.append(entry(1)).await.unwrap();
        rotate(&store, &keys[1]).await;
        let tree = store.trees().await.unwrap().remove(0);
        while store
            .final_checkpoint(tree.tree_id)
            .await
            .unwrap()
            .is_none()
        {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        // As it was before it was finished; that comes when the entries have been read.
        let finished = store.with(|state| state.tables.clone());
        store.with(|state| {
            state.tables.last_texts.clear();
            state.tables.of_mut(tree.tree_id).timestamps.clear();
        });
        let mut finish = |_| store.with(|state| state.tables = finished.clone());
        let report = ledger::fsck::fsck(
            &store,
            &tree,
            &V1,
            &|_, _| Ok(None),
            &|_| Vec::new(),
            &mut finish,
        )
        .await
        .unwrap();
        assert_eq!(report.findings, Vec::<String>::new());
    });
}
