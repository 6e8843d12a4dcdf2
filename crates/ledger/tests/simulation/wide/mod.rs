//! The widened simulation: three servers, each with both logs, on one database, with faults in any
//! call, late statements, crashes within rounds, clocks that differ and leap, suspended servers, rotations,
//! a database that goes back, and, in some runs, witnesses.
//!
//! A run is a list of steps and a seed. The list comes from the seed as well. If a run fails, the list
//! is shrunk and printed as a test. `TREEHEAD_SIMULATION_SEED=n` runs one seed, and
//! `TREEHEAD_SIMULATION_SEEDS=n` the first n.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::run;
use crate::store::{Fault, SimStore};
use fleet::Fleet;
use shrink::{Failure, failure_of, report, shrink};
use step::{Moment, Step, plan};

mod exhaustive;
mod facts;
mod fleet;
mod going_back;
mod replays;
mod servers;
mod shrink;
mod step;

/// Seeds of an ordinary run.
const SEEDS: u64 = 200;

/// Takes the steps one after the other, and then sees to it that everything works again.
async fn play(store: SimStore, seed: u64, steps: &[Step]) {
    let mut fleet = Fleet::new(store, seed).await;
    for step in steps {
        fleet.take(step).await;
        fleet.look().await;
        fleet.remember();
    }
    fleet.settle().await;
}

/// Runs a list of steps. Returns the trace of the run.
fn replay(seed: u64, steps: &[Step]) -> u64 {
    let mut trace = 0;
    run(seed, async |store, _| {
        play(store.clone(), seed, steps).await;
        trace = store.with(|state| state.trace);
    });
    trace
}

/// Fails with a short list of steps that fails too.
fn fail(seed: u64, steps: &[Step], first: &Failure) -> ! {
    let short = shrink(steps, |steps| {
        failure_of(|| _ = replay(seed, steps)).is_some()
    });
    let last = failure_of(|| _ = replay(seed, &short));
    panic!("{}", report(seed, first, &short, last.as_ref()))
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap())
}

#[test]
fn nothing_that_happens_forks_or_loses_or_hides_an_entry() {
    if let Some(seed) = number("TREEHEAD_SIMULATION_SEED") {
        replay(seed, &plan(seed));
        return;
    }
    let seeds = number("TREEHEAD_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(1);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > seeds {
                        return;
                    }
                    let steps = plan(seed);
                    if let Some(failure) = failure_of(|| _ = replay(seed, &steps)) {
                        // The others are not tried any more.
                        next.store(seeds + 1, Ordering::Relaxed);
                        fail(seed, &steps, &failure);
                    }
                }
            });
        }
    });
}

#[test]
fn one_seed_replays_exactly() {
    for seed in 1..=8 {
        let steps = plan(seed);
        assert_eq!(steps, plan(seed));
        let traces = [replay(seed, &steps), replay(seed, &steps)];
        assert_eq!(traces[0], traces[1], "seed {seed}");
    }
}

/// A database that acknowledges what it does not keep breaks its promise. The simulation has to
/// notice that, or it would notice nothing else either.
#[test]
fn a_database_that_forgets_a_round_is_noticed_and_the_list_is_shrunk() {
    let forgets = Step::Fail {
        server: 0,
        call: "commit",
        after: 0,
        fault: Fault::Forgotten,
    };
    let write = |first| Step::Write { first, count: 4 };
    let mut steps = vec![write(0), Step::Wait { millis: 200 }, write(10), forgets];
    steps.extend([write(20), Step::Wait { millis: 200 }, write(30)]);
    let fails = |steps: &[Step]| failure_of(|| _ = replay(3, steps)).is_some();
    assert!(fails(&steps));
    let short = shrink(&steps, fails);
    assert!(short.len() <= 2, "{short:?}");
    assert!(short.iter().any(|step| matches!(step, Step::Fail { .. })));
    let text = report(3, &Failure("lost".into()), &short, None);
    assert!(text.contains("fault: Forgotten"), "{text}");
    assert!(text.contains("replay(\n        3,"), "{text}");
}
