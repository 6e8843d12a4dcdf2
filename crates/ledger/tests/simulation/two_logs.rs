//! Two logs over one store: each keeps its promises, whatever happens to the other one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use ledger::fsck::fsck;
use ledger::store::{
    ClaimRules, ClaimValues, OnContradiction, OnIncomparable, Rotation as _, Store, TreeState,
};
use ledger::{
    Api, AppendError, Appended, EntryClaims, Ledger, Log, NewClaim, NewEntry, Settings, TreeId, V1,
    V2,
};
use tokio::time::Instant;

use super::both::Keys;
use super::rotation::{self, assert_finished, rotate_log};
use super::store::SimStore;
use super::{Seen, SimClock, check_tree, clients, entry, run, seeds, support};

type Answers = Vec<(u64, Result<Appended, AppendError>)>;

async fn open(store: &SimStore, keys: &Keys) -> Ledger {
    let settings = Settings {
        clock: Arc::new(SimClock(store.clone())),
        ..support::settings(store.clone(), &keys.v1[0])
    };
    keys.open(settings).await.unwrap()
}

async fn open_three(store: &SimStore, keys: &Keys) -> Vec<Ledger> {
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(open(store, keys).await);
    }
    servers
}

fn log<'a>(ledger: &'a Ledger, api: &Api) -> &'a Log {
    ledger.log(api).unwrap()
}

/// Writers at both logs of all servers at once, each with the leaves that `numbers` gives for it.
/// Returns the answers of each log.
async fn write(servers: &[Ledger], mut numbers: impl FnMut(u64) -> Vec<u64>) -> [Answers; 2] {
    let mut writers = Vec::new();
    for (number, server) in (0..).zip(servers) {
        let leaves = numbers(number);
        for (place, log) in server.logs().iter().enumerate() {
            let leaves = leaves.clone();
            writers.push(async move { (place, clients(log, leaves).await) });
        }
    }
    let mut answers = [Answers::new(), Answers::new()];
    for (place, more) in join_all(writers).await {
        answers[place].extend(more);
    }
    answers
}

/// The tree that a log began with.
async fn first_tree(store: &SimStore, api: &Api) -> TreeId {
    let trees = store.trees().await.unwrap();
    let mut trees = trees.iter().filter(|tree| tree.api == api.name);
    trees.next().unwrap().tree_id
}

/// A third of the seeds, because two logs take longer.
fn some_seeds() -> impl Iterator<Item = u64> {
    seeds().into_iter().step_by(3)
}

/// One log is rotated, or fails, in half of the runs, and the other log in the other half.
fn one_and_other(seed: u64) -> (&'static Api, &'static Api) {
    if seed.is_multiple_of(2) {
        (&V1, &V2)
    } else {
        (&V2, &V1)
    }
}

#[test]
fn servers_with_faults_and_crashes_never_fork_and_never_lose_either_log() {
    for seed in some_seeds() {
        run(seed, async |store, _| {
            let keys = Keys::new();
            let mut seen = [Seen::default(), Seen::default()];
            let mut servers = open_three(&store, &keys).await;
            store.with(|state| state.fault_every = 4);
            for _ in 0..8 {
                let first = store.with(|state| state.rng.below(200));
                let mine = |server: u64| (first + server * 5..first + server * 5 + 15).collect();
                let answers = write(&servers, mine).await;
                for (seen, answers) in seen.iter_mut().zip(answers) {
                    for (n, answer) in answers {
                        seen.see_answer(n, answer);
                    }
                }
                for log in servers.iter().flat_map(Ledger::logs) {
                    let place = usize::from(log.api() == &V2);
                    seen[place].see_head(log);
                    assert_eq!(log.halted(), None);
                }
                // One server dies without a word and starts again.
                let victim = store.with(|state| state.rng.below(3)) as usize;
                servers[victim] = open(&store, &keys).await;
                check(&store, &seen).await;
            }
            for server in servers {
                server.stop().await;
            }
            check(&store, &seen).await;
            let [v1, v2] = seen.map(|seen| seen.acknowledged);
            let leaves = v1
                .values()
                .filter(|leaf| v2.values().any(|other| other == *leaf));
            assert!(
                leaves.count() > 0,
                "a leaf of one log is no duplicate in the other"
            );
        });
    }
}

/// An entry that gives one of twelve names a value: of each name there are several.
fn claiming(n: u64) -> NewEntry {
    let name = format!("p{}", n % 12);
    let value = vec![(n / 12 % 5) as u8];
    let aspect = 1 + (n / 12 % 2) as i16;
    NewEntry {
        index_keys: vec![
            format!("name={name}"),
            format!("value:{}", hex::encode(&value)),
        ],
        claims: EntryClaims {
            list: vec![NewClaim {
                name,
                values: ClaimValues::from([(aspect, value)]),
            }],
            rules: ClaimRules {
                contradictory: OnContradiction::Refused,
                incomparable: OnIncomparable::Refused,
            },
        },
        ..entry(n)
    }
}

#[test]
fn a_name_has_one_value_in_both_logs_of_all_servers() {
    for seed in some_seeds() {
        run(seed, async |store, seed| {
            let keys = Keys::new();
            let servers = open_three(&store, &keys).await;
            store.with(|state| state.fault_every = 4);
            let mut refused = 0;
            for step in 0..4 {
                let logs = servers.iter().flat_map(Ledger::logs);
                let appends = (0..).zip(logs).flat_map(|(place, log)| {
                    let numbers = (0..6).map(move |n| step * 36 + place * 6 + n);
                    numbers.map(move |n| log.append(claiming(n)))
                });
                for answer in join_all(appends).await {
                    match answer {
                        Ok(_) | Err(AppendError::Unavailable(_)) => {}
                        Err(AppendError::Contradiction(_)) => refused += 1,
                        Err(error) => panic!("seed {seed}: {error}"),
                    }
                }
            }
            for server in &servers {
                server.stop().await;
            }
            assert!(refused > 0, "seed {seed}");
            let mut values = BTreeMap::new();
            for tree in store.trees().await.unwrap() {
                let entries = store.with(|state| state.tables.of(tree.tree_id).entries.clone());
                for (row, _) in &entries {
                    let claim = &row.claims[0];
                    let first = values
                        .entry(claim.name.clone())
                        .or_insert_with(|| claim.values.clone());
                    assert_eq!(*first, claim.values, "seed {seed}: {}", claim.name);
                }
                let api = Api::by_name(&tree.api).unwrap();
                let names = |keys: &[String]| {
                    let names = keys.iter().filter_map(|key| key.strip_prefix("name="));
                    names.map(str::to_owned).collect()
                };
                let report = fsck(&store, &tree, api, &|_, _| Ok(None), &names, &mut |_| {}).await;
                assert_eq!(report.unwrap().findings, Vec::<String>::new());
            }
            assert_eq!(values.len(), 12, "seed {seed}: each name has a value");
        });
    }
}

async fn check(store: &SimStore, seen: &[Seen; 2]) {
    let trees = store.trees().await.unwrap();
    assert_eq!(trees.len(), 2);
    for (tree, seen) in trees.iter().zip(seen) {
        check_tree(store, tree, seen).await;
    }
}

/// No commit of the one log is as it should be.
#[test]
fn the_rounds_of_a_log_wait_for_no_fault_of_the_other() {
    for seed in some_seeds() {
        run(seed, async |store, seed| {
            let keys = Keys::new();
            let servers = open_three(&store, &keys).await;
            let (faulty, sound) = one_and_other(seed);
            let spared = first_tree(&store, sound).await;
            store.with(|state| (state.fault_every, state.spared) = (1, Some(spared)));
            let began = Instant::now();
            let mut failed = 0;
            for step in 0..4 {
                let numbers = |server| (0..10).map(|n| step * 30 + server * 10 + n).collect();
                let answers = write(&servers, numbers).await;
                let of_faulty = &answers[usize::from(faulty == &V2)];
                failed += of_faulty.iter().filter(|answer| answer.1.is_err()).count();
                for (n, answer) in &answers[usize::from(sound == &V2)] {
                    let is_new = matches!(answer, Ok(Appended::Sequenced(_)));
                    assert!(is_new, "seed {seed}: leaf {n}: {answer:?}");
                }
            }
            assert!(
                began.elapsed() < Duration::from_secs(1),
                "{:?}",
                began.elapsed()
            );
            assert!(failed > 0, "seed {seed}");
            store.with(|state| state.fault_every = 0);
            for server in &servers {
                assert_eq!(log(server, sound).newest_head().await.unwrap().size.0, 120);
                log(server, faulty).append(entry(seed)).await.unwrap();
                server.ready().await.unwrap();
            }
        });
    }
}

#[test]
fn a_log_goes_on_while_a_commit_of_the_other_hangs() {
    for (hanging, other) in [(&V1, &V2), (&V2, &V1)] {
        run(1, async |store, _| {
            let keys = Keys::new();
            let servers = open_three(&store, &keys).await;
            let tree = first_tree(&store, hanging).await;
            store.with(|state| state.stuck = Some(tree));
            let waiting = log(&servers[0], hanging).clone();
            let waiting = tokio::spawn(async move { waiting.append(entry(1)).await });
            let began = Instant::now();
            for n in 0..30 {
                let log = log(&servers[n as usize % 3], other);
                let appended = log.append(entry(n)).await;
                assert!(
                    matches!(appended, Ok(Appended::Sequenced(_))),
                    "{appended:?}"
                );
                assert_eq!(log.newest_head().await.unwrap().size.0, n + 1);
            }
            assert!(
                began.elapsed() < Duration::from_secs(1),
                "{:?}",
                began.elapsed()
            );
            assert!(!waiting.is_finished());
            // The other servers still write to that log.
            store.with(|state| state.stuck = None);
            log(&servers[1], hanging).append(entry(2)).await.unwrap();
        });
    }
}

#[test]
fn a_log_whose_rows_went_back_is_read_only_alone() {
    for (lost, kept) in [(&V1, &V2), (&V2, &V1)] {
        run(1, async |store, _| {
            let keys = Keys::new();
            let ledger = open(&store, &keys).await;
            let tree = first_tree(&store, lost).await;
            write(std::slice::from_ref(&ledger), |_| (0..20).collect()).await;
            let backup = store.with(|state| state.tables.of(tree).clone());
            write(std::slice::from_ref(&ledger), |_| (20..30).collect()).await;
            ledger.ready().await.unwrap();
            store.with(|state| *state.tables.of_mut(tree) = backup);
            let refused = log(&ledger, lost).append(entry(30)).await;
            assert!(
                matches!(refused, Err(AppendError::ReadOnly(_))),
                "{refused:?}"
            );
            assert!(log(&ledger, lost).halted().is_some());

            let other = log(&ledger, kept);
            for n in 30..40 {
                other.append(entry(n)).await.unwrap();
            }
            assert_eq!(other.halted(), None);
            assert_eq!(other.newest_head().await.unwrap().size.0, 40);
            let reason = ledger.ready().await.unwrap_err();
            assert_eq!(reason.log, Some(lost.name), "{reason}");
        });
    }
}

#[test]
fn a_log_is_rotated_while_the_other_goes_on() {
    for seed in some_seeds() {
        run(seed, async |store, seed| {
            let keys = Keys::new();
            let (rotated, other) = one_and_other(seed);
            let next = if rotated == &V1 {
                &keys.v1[1]
            } else {
                &keys.v2[1]
            };
            let mut seen = [rotation::Seen::default(), rotation::Seen::default()];
            let servers = open_three(&store, &keys).await;
            let (frozen, spared) = (
                first_tree(&store, rotated).await,
                first_tree(&store, other).await,
            );
            store.with(|state| (state.fault_every, state.spared) = (4, Some(spared)));
            for step in 0..4 {
                let rotation = async {
                    if step == 1 {
                        for _ in 0..store.with(|state| state.rng.below(40)) {
                            tokio::task::yield_now().await;
                        }
                        rotate_log(&store, rotated, next).await;
                    }
                };
                let numbers = |server| (0..15).map(|n| step * 45 + server * 15 + n).collect();
                let (answers, ()) = tokio::join!(write(&servers, numbers), rotation);
                for (api, (seen, answers)) in
                    [&V1, &V2].into_iter().zip(seen.iter_mut().zip(answers))
                {
                    for (n, answer) in answers {
                        assert!(api == rotated || answer.is_ok(), "seed {seed}: {answer:?}");
                        seen.see_answer(n, answer);
                    }
                }
                for log in servers.iter().flat_map(Ledger::logs) {
                    seen[usize::from(log.api() == &V2)].see_heads(log);
                    assert_eq!(log.halted(), None);
                }
            }
            store.with(|state| state.fault_every = 0);
            // Whoever is left finishes what is frozen.
            tokio::time::sleep(Duration::from_secs(5)).await;
            for server in &servers {
                assert_eq!(log(server, other).tree().id, spared);
                assert_ne!(log(server, rotated).tree().id, frozen);
                assert_eq!(server.log_of(frozen).unwrap().api(), rotated);
                server.ready().await.unwrap();
                server.stop().await;
            }
            for (api, seen) in [&V1, &V2].into_iter().zip(&seen) {
                seen.check(&store, api).await;
            }
            let trees = store.trees().await.unwrap();
            assert_eq!(trees.len(), 3);
            for tree in trees {
                let is_frozen = tree.state == TreeState::Frozen;
                assert_eq!(is_frozen, tree.tree_id == frozen);
                if is_frozen {
                    assert_finished(&store, &tree).await;
                } else {
                    assert_eq!(store.final_checkpoint(tree.tree_id).await.unwrap(), None);
                }
            }
        });
    }
}
