//! The right to publish, and a server that has it and hangs.

use std::time::Duration;

use ledger::Appended;
use tokio::time::Instant;

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
                    assert_eq!(witness_results(&metrics, contradiction), 0.0, "seed {seed}");
                }
                server.stop().await;
            }
        });
    }
}

/// How many requests to witnesses had this result.
fn witness_results(metrics: &prometheus::Registry, result: &str) -> f64 {
    let families = metrics.gather();
    let requests = families
        .iter()
        .find(|family| family.name() == "treehead_witness_requests_total")
        .unwrap();
    let of_result = requests.get_metric().iter().filter(|metric| {
        let mut labels = metric.get_label().iter();
        labels.any(|label| label.name() == "result" && label.value() == result)
    });
    of_result
        .map(|metric| metric.get_counter().get_value())
        .sum()
}
