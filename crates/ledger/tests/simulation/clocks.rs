//! Clocks that leap, and clocks that differ.

use ledger::{AppendError, Appended, ClockFault};
use ring::rand::SystemRandom;
use tlog::SigningKey;

use crate::store::SimStore;
use crate::support::OneLog;
use crate::{entry, open, run};

const DAY_MILLIS: i64 = 24 * 3_600_000;

async fn one_log(store: &SimStore) -> OneLog {
    let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
    open(store, &pkcs8).await
}

/// The times of all heads, Unix seconds.
fn times(store: &SimStore) -> Vec<i64> {
    store.with(|state| state.tables.heads.iter().map(|head| head.time).collect())
}

fn clock_fault(answer: Result<Appended, AppendError>) -> ClockFault {
    match answer {
        Err(AppendError::Clock(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_clock_that_jumped_back_dates_nothing() {
    run(3, async |store, _| {
        let ledger = one_log(&store).await;
        ledger.append(entry(1)).await.unwrap();
        store.with(|state| state.millis -= 4_000);
        ledger.append(entry(2)).await.unwrap();
        store.with(|state| state.millis -= 10_000);
        clock_fault(ledger.append(entry(3)).await);
        assert!(times(&store).is_sorted());
    });
}

#[test]
fn a_clock_that_leapt_ahead_for_a_moment_dates_no_entry() {
    run(3, async |store, _| {
        let ledger = one_log(&store).await;
        ledger.append(entry(1)).await.unwrap();
        store.with(|state| state.millis += DAY_MILLIS);
        let fault = clock_fault(ledger.append(entry(2)).await);
        assert!(
            matches!(fault, ClockFault::Leapt { millis } if millis.abs_diff(DAY_MILLIS) < 10),
            "{fault}"
        );
        assert_eq!(ledger.clock_fault(), Some(fault));
        store.with(|state| state.pass(600));
        store.with(|state| state.millis -= DAY_MILLIS);
        assert_eq!(ledger.clock_fault(), None);
        ledger.append(entry(2)).await.unwrap();
        let times = times(&store);
        assert!(times[1] - times[0] < 2, "{times:?}");
    });
}

#[test]
fn a_clock_that_stands_after_a_leap_dates_entries_again() {
    run(3, async |store, _| {
        let ledger = one_log(&store).await;
        ledger.append(entry(1)).await.unwrap();
        store.with(|state| state.millis += DAY_MILLIS);
        clock_fault(ledger.append(entry(2)).await);
        store.with(|state| state.pass(9_000));
        clock_fault(ledger.append(entry(2)).await);
        store.with(|state| state.pass(1_000));
        ledger.append(entry(2)).await.unwrap();
        assert_eq!(times(&store)[1] - times(&store)[0], 24 * 3_600 + 10);

        // It was wrong all the same. Time in the log never goes back, so a person has to act.
        store.with(|state| state.millis -= DAY_MILLIS);
        clock_fault(ledger.append(entry(3)).await);
        store.with(|state| state.pass(11_000));
        let fault = clock_fault(ledger.append(entry(3)).await);
        assert!(
            matches!(fault, ClockFault::Ahead { log: "v1", .. }),
            "{fault}"
        );
        assert!(
            fault.to_string().contains("`treehead rotate --log v1`"),
            "{fault}"
        );
        assert_eq!(times(&store).len(), 2);
    });
}

#[test]
fn an_idle_server_notices_that_its_clock_stands() {
    run(3, async |store, _| {
        let ledger = one_log(&store).await;
        store.with(|state| state.millis += DAY_MILLIS);
        // Nobody writes or asks; the watch sees the leap, and that the clock stands.
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        store.with(|state| state.pass(11_000));
        ledger.append(entry(1)).await.unwrap();
    });
}

#[test]
fn clocks_that_seem_to_differ_are_read_again() {
    run(3, async |store, _| {
        let ledger = one_log(&store).await;
        for once in [86_400_000, 0] {
            store.with(|state| state.skews = vec![once]);
            ledger.append(entry(once.unsigned_abs())).await.unwrap();
        }
        // Twice explained by the time that the round took: the clocks may be right.
        store.with(|state| state.skews = vec![1_900, 0]);
        let answer = ledger.append(entry(1)).await;
        assert!(
            matches!(answer, Err(AppendError::Unavailable(_))),
            "{answer:?}"
        );
        store.with(|state| state.skews = vec![2_001, 0]);
        let fault = clock_fault(ledger.append(entry(1)).await);
        assert_eq!(fault, ClockFault::Differ { millis: 2_001 });
        ledger.append(entry(1)).await.unwrap();
    });
}
