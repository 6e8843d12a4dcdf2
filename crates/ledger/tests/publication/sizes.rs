//! The sizes that witnesses have cosigned, as a floor at a start.

use std::time::Duration;

use ledger::{AppendError, Ledger, OpenError};
use tokio::time::Instant;

use crate::store::SimStore;
use crate::witness::Behaviour;
use crate::{World, entry, run};

/// A stopped log of `entries` entries.
async fn stopped(store: &SimStore, entries: u64) -> World {
    let world = World::new(store.clone(), 2);
    let ledger = world.open("group g all w0 w1\nquorum g").await;
    for n in 0..entries {
        ledger.append(entry(n)).await.unwrap();
    }
    ledger.stop().await;
    world
}

/// Opens the log at a server that has no guard of its own yet.
async fn join(world: &World, quorum: &str) -> Result<Ledger, OpenError> {
    Ledger::open(world.settings(quorum, None)).await
}

const BOTH: &str = "group g all w0 w1\nquorum g";

#[test]
fn an_older_copy_is_noticed_by_the_witnesses() {
    run(1, async |store| {
        let world = stopped(&store, 3).await;
        let copy = store.with(|state| state.tables.clone());
        let ledger = world.open(BOTH).await;
        for n in 3..5 {
            ledger.append(entry(n)).await.unwrap();
        }
        ledger.stop().await;
        store.with(|state| state.tables = copy);
        world.witnesses.behave(1, Behaviour::Dead);
        let ledger = join(&world, BOTH).await.unwrap();
        let log = &ledger.logs()[0];
        let reason = log.halted().unwrap();
        assert!(reason.contains("went back by 2 entries"), "{reason}");
        assert!(reason.contains("has cosigned size 5"), "{reason}");
        let answer = log.append(entry(7)).await;
        assert!(
            matches!(answer, Err(AppendError::ReadOnly(_))),
            "{answer:?}"
        );
        assert_eq!(store.with(|state| state.tables.entries.len()), 3);
    });
}

#[test]
fn a_server_without_a_guard_joins_if_a_quorum_has_seen_the_log() {
    run(1, async |store| {
        let world = stopped(&store, 3).await;
        let ledger = join(&world, BOTH).await.unwrap();
        ledger.logs()[0].append(entry(3)).await.unwrap();
        ledger.stop().await;
        // No head was published without both of them, so one alone may have seen less.
        world.witnesses.behave(0, Behaviour::Dead);
        let refused = join(&world, BOTH).await.map(drop).unwrap_err();
        assert!(matches!(refused, OpenError::NoFloor { .. }), "{refused}");
        // Heads were published without any of them.
        let refused = join(&world, "quorum none").await.map(drop).unwrap_err();
        assert!(matches!(refused, OpenError::NoFloor { .. }), "{refused}");
    });
}

#[test]
fn a_witness_that_has_seen_nothing_is_no_floor() {
    run(1, async |store| {
        let world = stopped(&store, 3).await;
        world.witnesses.forget(0);
        let refused = join(&world, BOTH).await.map(drop).unwrap_err();
        assert!(matches!(refused, OpenError::NoFloor { .. }), "{refused}");
    });
}

#[test]
fn witnesses_that_are_silent_or_make_no_sense_hold_a_start_up_for_a_bounded_time() {
    for behaviour in [
        Behaviour::Dead,
        Behaviour::Slow,
        Behaviour::Lost,
        Behaviour::Inconsistent,
        Behaviour::Nonsense,
    ] {
        run(1, async |store| {
            let world = stopped(&store, 3).await;
            world.witnesses.behave(0, behaviour);
            world.witnesses.behave(1, behaviour);
            let started = Instant::now();
            let ledger = world.open(BOTH).await;
            assert!(started.elapsed() < Duration::from_secs(5), "{behaviour:?}");
            assert_eq!(ledger.halted(), None, "{behaviour:?}");
        });
    }
}
