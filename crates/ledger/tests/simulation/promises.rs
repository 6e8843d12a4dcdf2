//! What a server has to look at before it believes, tells or stores something. Each of these looks
//! can be left out without any harm in nearly every run, so each has a test of its own.

use std::sync::Arc;
use std::time::Duration;

use ledger::{AppendError, Appended, Settings};
use ring::rand::SystemRandom;
use tlog::SigningKey;
use tokio::time::{Instant, sleep};

use crate::store::{Fault, SimStore};
use crate::support::{OneLog, open_v1};
use crate::{entry, run, seeds, settings};

fn new_key() -> Vec<u8> {
    SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap()
}

/// Opens a server on a handle of its own.
async fn open(store: &SimStore, pkcs8: &[u8]) -> (SimStore, OneLog) {
    let own = store.of_new_server();
    let settings = Settings {
        store: Arc::new(own.clone()),
        ..settings(store, pkcs8)
    };
    (own, open_v1(settings, pkcs8).await.unwrap())
}

fn fail_next_commit(store: &SimStore, fault: Fault) {
    let mut commits = 0;
    store.with(|state| {
        state.rule = Some(Box::new(move |call| {
            commits += u32::from(call.name == "commit");
            match call.name == "commit" && commits == 1 {
                true => fault,
                false => Fault::None,
            }
        }));
    });
}

/// The database goes back, and another server goes on from there, past all that this one knows,
/// while this one is suspended. So it never sees a smaller head.
#[test]
fn a_larger_head_of_another_history_is_not_followed() {
    for seed in seeds() {
        run(seed, async |store, _| {
            let pkcs8 = new_key();
            let (own, ledger) = open(&store, &pkcs8).await;
            for n in 0..10 {
                ledger.append(entry(n)).await.unwrap();
            }
            let copy = store.with(|state| state.tables.clone());
            for n in 10..15 {
                ledger.append(entry(n)).await.unwrap();
            }
            let known = ledger.head();
            let wakes = Instant::now() + Duration::from_secs(12);
            store.with(|state| {
                state.asleep.insert(own.server(), wakes);
                state.tables = copy;
                state.restored += 1;
            });
            let (_, other) = open(&store, &pkcs8).await;
            for n in 20..40 {
                other.append(entry(n)).await.unwrap();
            }
            assert!(Instant::now() < wakes);
            tokio::time::sleep_until(wakes + Duration::from_millis(200)).await;
            let Err(AppendError::ReadOnly(reason)) = ledger.append(entry(50)).await else {
                panic!("seed {seed}: it followed another history")
            };
            let known_text = format!("size 15 root {}", known.root);
            assert!(reason.contains(&known_text), "{reason}");
            assert!(reason.contains("found size 30 root "), "{reason}");
            assert_eq!(ledger.head().root, known.root);
            assert_eq!(store.with(|state| state.tables.entries.len()), 30);
        });
    }
}

/// A neighbour has left, and what it wrote cannot be read yet: this server does not know the newest
/// head, although it is alone.
#[test]
fn a_server_that_becomes_alone_reads_what_the_one_that_left_wrote() {
    for seed in seeds() {
        run(seed, async |store, _| {
            let pkcs8 = new_key();
            let (own, ledger) = open(&store, &pkcs8).await;
            let (_, other) = open(&store, &pkcs8).await;
            sleep(Duration::from_secs(1)).await;
            let server = own.server();
            store.with(|state| {
                state.rule = Some(Box::new(move |call| {
                    match call.server == server && call.name == "standings" {
                        true => Fault::Refused,
                        false => Fault::None,
                    }
                }));
            });
            other.append(entry(1)).await.unwrap();
            other.stop().await;
            for _ in 0..50 {
                sleep(Duration::from_millis(20)).await;
                let shown = ledger.newest_head().await.map(|head| head.size.0);
                assert!(shown.is_err(), "seed {seed}: shows size {shown:?}");
            }
            store.with(|state| state.rule = None);
            sleep(Duration::from_secs(2)).await;
            assert_eq!(ledger.newest_head().await.unwrap().size.0, 1);
            let asked = store.with(|state| state.asked);
            ledger.newest_head().await.unwrap();
            assert_eq!(store.with(|state| state.asked), asked, "it is alone now");
        });
    }
}

/// Whoever asks for the outcome of a commit waits until the statement has ended: otherwise it would
/// tell a client to try again whose entry is about to be stored.
#[test]
fn a_commit_that_still_runs_is_waited_for_before_its_outcome_is_told() {
    for seed in seeds() {
        run(seed, async |store, _| {
            let (_, ledger) = open(&store, &new_key()).await;
            ledger.append(entry(1)).await.unwrap();
            fail_next_commit(&store, Fault::Running);
            let answer = ledger.append(entry(2)).await;
            assert!(
                matches!(answer, Ok(Appended::Sequenced(_))),
                "seed {seed}: {answer:?}"
            );
            assert_eq!(store.with(|state| state.tables.entries.len()), 2);
        });
    }
}

/// A commit that arrives only after its outcome was asked for wins or loses like any other round.
#[test]
fn a_commit_that_arrives_late_makes_no_second_entry_and_no_second_head() {
    for seed in seeds() {
        run(seed, async |store, _| {
            let (_, ledger) = open(&store, &new_key()).await;
            ledger.append(entry(1)).await.unwrap();
            fail_next_commit(&store, Fault::Late);
            let answer = ledger.append(entry(2)).await;
            assert!(
                matches!(answer, Err(AppendError::Unavailable(_)) | Ok(_)),
                "seed {seed}: {answer:?}"
            );
            let pause = store.with(|state| state.rng.below(4_000));
            sleep(Duration::from_millis(pause)).await;
            ledger.append(entry(3)).await.unwrap();
            ledger.append(entry(2)).await.unwrap();
            sleep(Duration::from_secs(4)).await;
            assert_eq!(store.with(|state| state.tables.entries.len()), 3);
            assert_eq!(ledger.newest_head().await.unwrap().size.0, 3);
            crate::check(&store, &crate::Seen::default()).await;
        });
    }
}

/// A read that failed does not say that the database went back, so nobody is kept from starting.
#[test]
fn a_server_that_cannot_read_does_not_refuse_others() {
    run(1, async |store, _| {
        let pkcs8 = new_key();
        let (own, ledger) = open(&store, &pkcs8).await;
        ledger.append(entry(1)).await.unwrap();
        let server = own.server();
        store.with(|state| {
            state.rule = Some(Box::new(move |call| {
                match call.server == server && call.name == "standings" {
                    true => Fault::Refused,
                    false => Fault::None,
                }
            }));
        });
        let (_, other) = open(&store, &pkcs8).await;
        other.append(entry(2)).await.unwrap();
        let vouches = |state: &mut crate::store::State| {
            let mut rows = state.tables.servers.values();
            rows.all(|row| row.vouches)
        };
        sleep(Duration::from_secs(12)).await;
        assert!(store.with(vouches), "it keeps its word");
        store.with(|state| state.rule = None);
        sleep(Duration::from_secs(3)).await;
        assert_eq!(store.with(|state| state.tables.servers.len()), 2);
        assert!(store.with(vouches));
    });
}
