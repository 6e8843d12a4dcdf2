//! The bounds of the queue and of a round.

use std::time::Duration;

use ledger::store::Attestation;
use ledger::{AppendError, Appended, MAX_QUEUE_WAIT, MAX_ROUND_INDEX_KEYS, NewEntry};
use ring::rand::SystemRandom;
use tlog::{LeafIndex, SigningKey};
use tokio::time::Instant;

use crate::support::open_v1;
use crate::{entry, open, run, settings};

/// An entry of 1 MiB: 31 fill the queue, 7 a round.
fn large(n: u64) -> NewEntry {
    let data = vec![0; 1 << 20];
    NewEntry {
        attestation: Some(Attestation {
            digest: tlog::sha256(&data),
            data,
        }),
        ..entry(n)
    }
}

#[test]
fn the_queue_is_bounded_and_what_left_it_makes_room() {
    run(1, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let ledger = open(&store, &pkcs8).await;
        for turn in 0..3 {
            let writers = (0..40).map(|n| {
                let (ledger, entry) = (ledger.clone(), large(turn * 40 + n));
                tokio::spawn(async move {
                    let at_once = Instant::now();
                    ledger.append_behind_others(entry, at_once).await
                })
            });
            let mut busy = 0;
            for writer in writers.collect::<Vec<_>>() {
                match writer.await.unwrap() {
                    Ok(_) => {}
                    Err(AppendError::Busy { .. }) => busy += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(
                busy, 9,
                "turn {turn}: 31 entries and their few bytes more fit"
            );
        }
        let rounds = store.with(|state| state.tables.heads.clone());
        assert!(
            rounds.iter().all(|head| head.size.0 - head.prev_size.0 < 8),
            "{rounds:?}"
        );
    });
}

/// An entry that waits behind others is not refused, so it is not counted as refused either.
#[test]
fn entries_behind_others_wait_outside_a_full_queue() {
    run(1, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let settings = settings(&store, &pkcs8);
        let metrics = settings.metrics.clone();
        let ledger = open_v1(settings, &pkcs8).await.unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        let writers = (0..70).map(|n| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.append_behind_others(large(n), until).await })
        });
        for writer in writers.collect::<Vec<_>>() {
            let appended = writer.await.unwrap();
            assert!(matches!(appended, Ok(Appended::Sequenced(_))));
        }
        let families = metrics.gather();
        let errors = families
            .iter()
            .find(|family| family.name() == "treehead_append_errors_total");
        let counted = errors.map(|family| family.get_metric());
        let counted = counted.unwrap_or_default().iter();
        let counted: f64 = counted.map(|metric| metric.get_counter().get_value()).sum();
        assert_eq!(counted, 0.0);
    });
}

/// 31 entries are in the queue, as many wait, and further ones are refused with a time to try
/// again.
#[test]
fn an_entry_that_finds_the_queue_full_waits_for_its_turn() {
    run(1, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let ledger = open(&store, &pkcs8).await;
        for turn in 0..2 {
            let writers = (0..70).map(|n| {
                let (ledger, entry) = (ledger.clone(), large(turn * 70 + n));
                tokio::spawn(async move { ledger.append(entry).await })
            });
            for (n, writer) in (0..).zip(writers.collect::<Vec<_>>()) {
                match writer.await.unwrap() {
                    Ok(Appended::Sequenced(entry)) => {
                        assert_eq!(entry.leaf_index, LeafIndex(turn * 62 + n), "in turn")
                    }
                    Err(AppendError::Busy { .. }) => assert!(n >= 62, "{n}"),
                    other => panic!("{n}: {other:?}"),
                }
            }
            assert_eq!(
                store.with(|state| state.tables.entries.len()),
                (turn as usize + 1) * 62
            );
        }
    });
}

#[test]
fn a_wait_in_vain_ends_with_a_time_to_try_again() {
    run(1, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let ledger = open(&store, &pkcs8).await;
        store.with(|state| state.hangs = true);
        let started = Instant::now();
        let writers = (0..70).map(|n| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                let answer = ledger.append(large(n)).await;
                (answer, started.elapsed())
            })
        });
        let mut writers: Vec<_> = writers.collect();
        for (n, writer) in writers.drain(31..).enumerate() {
            let (answer, took) = writer.await.unwrap();
            assert!(
                matches!(answer, Err(AppendError::Busy { .. })),
                "{answer:?}"
            );
            let wanted = if n < 31 {
                MAX_QUEUE_WAIT
            } else {
                Duration::ZERO
            };
            // Timers count in milliseconds.
            assert!(
                (wanted..wanted + Duration::from_millis(2)).contains(&took),
                "{n}: {took:?}"
            );
        }
        assert!(
            writers.iter().all(|writer| !writer.is_finished()),
            "they are in the queue"
        );
    });
}

/// Entries with as many index keys as eight of them bring to a round.
#[test]
fn a_round_takes_no_more_index_keys_than_its_bound() {
    run(3, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let ledger = open(&store, &pkcs8).await;
        let keys = |n: u64| {
            (0..MAX_ROUND_INDEX_KEYS / 8)
                .map(|key| format!("{n}-{key}"))
                .collect()
        };
        let writers = (0..40).map(|n| {
            let (ledger, entry) = (
                ledger.clone(),
                NewEntry {
                    index_keys: keys(n),
                    ..entry(n)
                },
            );
            tokio::spawn(async move { ledger.append(entry).await })
        });
        for writer in writers.collect::<Vec<_>>() {
            assert!(matches!(writer.await.unwrap(), Ok(Appended::Sequenced(_))));
        }
        let heads = store.with(|state| state.tables.heads.clone());
        let rounds: Vec<u64> = heads
            .iter()
            .map(|head| head.size.0 - head.prev_size.0)
            .collect();
        assert_eq!(rounds.iter().max(), Some(&8), "{rounds:?}");
    });
}
