//! The right to publish, and a server that has it and hangs.

use std::sync::Arc;
use std::time::Duration;

use ledger::{Appended, Settings};
use tokio::time::Instant;

use crate::store::Fault;
use crate::{TWO_OF_THREE, World, entry, run, seeds};

/// The ID of a server that never does anything.
const HANGS: u64 = u64::MAX;

#[test]
fn a_server_that_hangs_with_the_right_to_publish_is_passed() {
    run(1, async |store| {
        let world = World::new(store.clone(), 1);
        let ledger = world.open("quorum w0").await;
        let tree = ledger.tree().id.0;
        ledger.append(entry(1)).await.unwrap();
        store.with(|state| state.publishers.insert(tree, HANGS));
        for n in 2..5 {
            let started = Instant::now();
            let answer = ledger.append(entry(n)).await;
            assert!(matches!(answer, Ok(Appended::Sequenced(_))), "{answer:?}");
            let waited = started.elapsed();
            assert!(waited < Duration::from_secs(3), "{waited:?}");
            assert_eq!(world.cosignatures(&ledger), 1);
        }
        // It wakes, and gives the right back.
        store.with(|state| state.publishers.remove(&tree));
        let started = Instant::now();
        ledger.append(entry(5)).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(1));
        ledger.stop().await;
    });
}

#[test]
fn servers_that_pass_a_hanging_one_do_not_take_each_other_for_a_fork() {
    for seed in seeds() {
        run(seed, async |store| {
            let world = World::new(store.clone(), 3);
            let settings: Vec<_> = (0..3).map(|_| world.settings(TWO_OF_THREE, None)).collect();
            let metrics: Vec<_> = settings.iter().map(|one| one.metrics.clone()).collect();
            let mut servers = Vec::new();
            for settings in settings {
                servers.push(world.open_with(settings).await.unwrap());
            }
            let tree = servers[0].tree().id.0;
            store.with(|state| state.publishers.insert(tree, HANGS));
            for step in 0..6 {
                let mut writers = Vec::new();
                for n in 0..12 {
                    let log = servers[n as usize % 3].clone();
                    writers.push(tokio::spawn(async move {
                        log.append(entry(step * 12 + n)).await
                    }));
                }
                for writer in writers {
                    let answer = writer.await.unwrap();
                    assert!(answer.is_ok(), "seed {seed} step {step}: {answer:?}");
                }
            }
            for (server, metrics) in servers.iter().zip(metrics) {
                assert_eq!(server.halted(), None, "seed {seed}");
                for contradiction in ["ahead", "inconsistent"] {
                    let asked = witness_requests(&metrics, |result| result == contradiction);
                    assert_eq!(asked, 0.0, "seed {seed}");
                }
                server.stop().await;
            }
        });
    }
}

/// Another server published while this one waited for its turn: it asks no witness for a head that is
/// published already.
#[test]
fn a_publisher_looks_who_published_before() {
    for seed in seeds() {
        run(seed, async |store| {
            let world = World::new(store.clone(), 1);
            let own = store.of_new_server();
            let settings = Settings {
                store: Arc::new(own.clone()),
                ..world.settings("quorum w0", None)
            };
            let metrics = settings.metrics.clone();
            let waiting = world.open_with(settings).await.unwrap();
            let asked = || witness_requests(&metrics, |_| true);
            let before = asked();
            let server = own.server();
            // Its turn does not come, and it does not see the publication of the other one.
            let hold = |held: &'static [&'static str]| {
                store.with(|state| {
                    state.rule = Some(Box::new(move |call| {
                        match call.server == server && held.contains(&call.name) {
                            true => Fault::Held,
                            false => Fault::None,
                        }
                    }));
                });
            };
            hold(&["claim", "newest_publication"]);
            let writer = waiting.clone();
            let answer = tokio::spawn(async move { writer.append(entry(1)).await });
            let other = world.open("quorum w0").await;
            while other.newest_head().await.unwrap().size.0 < 1 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            hold(&["newest_publication"]);
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert_eq!(asked(), before, "seed {seed}");
            hold(&[]);
            let answer = answer.await.unwrap();
            assert!(matches!(answer, Ok(Appended::Sequenced(_))), "{answer:?}");
            assert_eq!(asked(), before, "seed {seed}");
        });
    }
}

/// How many requests to witnesses had one of these results.
fn witness_requests(metrics: &prometheus::Registry, results: impl Fn(&str) -> bool) -> f64 {
    let families = metrics.gather();
    let requests = families
        .iter()
        .find(|family| family.name() == "treehead_witness_requests_total")
        .unwrap();
    let of_results = requests.get_metric().iter().filter(|metric| {
        let mut labels = metric.get_label().iter();
        labels.any(|label| label.name() == "result" && results(label.value()))
    });
    of_results
        .map(|metric| metric.get_counter().get_value())
        .sum()
}
