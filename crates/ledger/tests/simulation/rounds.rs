//! What goes into the queue and into one round.

use std::sync::Arc;

use ledger::store::Attestation;
use ledger::{AppendError, Appended, Clock, Fatal, Ledger, MAX_ROUND_INDEX_KEYS, NewEntry, Settings};
use ring::rand::SystemRandom;
use tlog::SigningKey;

use crate::{entry, open, run, settings};

/// Entries of 1 MiB: 32 fill the queue, 8 a round.
#[test]
fn the_queue_is_bounded_and_what_left_it_makes_room() {
    run(1, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let ledger = open(&store, &pkcs8).await;
        for turn in 0..3 {
            let writers = (0..40).map(|n| {
                let data = vec![0; 1 << 20];
                let attestation = Some(Attestation { digest: tlog::sha256(&data), data });
                let (ledger, entry) = (ledger.clone(), NewEntry { attestation, ..entry(turn * 40 + n) });
                tokio::spawn(async move { ledger.append(entry).await })
            });
            let mut busy = 0;
            for writer in writers.collect::<Vec<_>>() {
                match writer.await.unwrap() {
                    Ok(_) => {}
                    Err(AppendError::Busy { .. }) => busy += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(busy, 9, "turn {turn}: 31 entries and their few bytes more fit");
        }
        let rounds = store.with(|state| state.tables.heads.clone());
        assert!(rounds.iter().all(|head| head.size.0 - head.prev_size.0 < 8), "{rounds:?}");
    });
}

/// Entries with as many index keys as eight of them bring to a round.
#[test]
fn a_round_takes_no_more_index_keys_than_its_bound() {
    run(3, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let ledger = open(&store, &pkcs8).await;
        let keys = |n: u64| (0..MAX_ROUND_INDEX_KEYS / 8).map(|key| format!("{n}-{key}")).collect();
        let writers = (0..40).map(|n| {
            let (ledger, entry) = (ledger.clone(), NewEntry { index_keys: keys(n), ..entry(n) });
            tokio::spawn(async move { ledger.append(entry).await })
        });
        for writer in writers.collect::<Vec<_>>() {
            assert!(matches!(writer.await.unwrap(), Ok(Appended::Sequenced(_))));
        }
        let heads = store.with(|state| state.tables.heads.clone());
        let rounds: Vec<u64> = heads.iter().map(|head| head.size.0 - head.prev_size.0).collect();
        assert_eq!(rounds.iter().max(), Some(&8), "{rounds:?}");
    });
}

/// The sequencer asks it for the time of a round.
struct BrokenClock;

impl Clock for BrokenClock {
    fn unix_millis(&self) -> i64 {
        panic!("for this test")
    }
}

#[test]
fn a_sequencer_that_panics_is_the_end_of_the_server() {
    run(1, async |store, _| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let settings = Settings { clock: Arc::new(BrokenClock), ..settings(&store, &pkcs8) };
        let ledger = Ledger::open(settings).await.unwrap();
        ledger.ready().await.unwrap();
        assert!(matches!(ledger.append(entry(1)).await, Err(AppendError::Stopping)));
        assert_eq!(ledger.fatal().await, Fatal::TaskEnded("the sequencer"));
        assert_eq!(ledger.ready().await, Err("the sequencer ended abnormally".to_owned()));
        ledger.stop().await;
    });
}
