//! One fault in a fixed run: in the first call, in the second one, and so on, until no call is left
//! that could have it.

use super::fleet::Fleet;
use super::shrink::failure_of;
use super::step::{READ_FAULTS, READS, Step, WRITE_FAULTS, WRITES};
use crate::run;
use crate::store::Fault;

/// Calls of a name in an ordinary run. The others are polls, or come again and again.
const CALLS: u64 = 6;

/// A run that makes every call: starts, writes, stores timestamps, rotates, stops.
fn script() -> [Step; 9] {
    let write = |first| Step::Write { first, count: 2 };
    [
        write(0),
        Step::Wait { millis: 1_300 },
        write(1),
        Step::Rotate {
            log: 0,
            first: 10,
            pause: 3,
        },
        Step::Wait { millis: 1_300 },
        Step::Stop { server: 1 },
        write(20),
        Step::Restart {
            server: 0,
            after: 0,
            fault: Fault::None,
        },
        write(30),
    ]
}

/// Plays the script with a fault in the call `after` so many of this name, by whatever server.
/// Returns whether there was such a call.
fn play(seed: u64, name: &'static str, after: u32, fault: Fault) -> bool {
    let mut has_met = false;
    run(seed, async |store, _| {
        let mut fleet = Fleet::new(store, seed).await;
        fleet.faults.add(0, name, after, fault);
        for step in script() {
            fleet.take(&step).await;
            fleet.look().await;
        }
        has_met = !fleet.faults.are_waiting();
        fleet.settle().await;
    });
    has_met
}

/// Each fault in each call of these names. Returns how many runs had it.
fn each(seed: u64, names: &[&'static str], faults: &[Fault]) -> u64 {
    let calls = super::number("TREEHEAD_SIMULATION_CALLS").unwrap_or(CALLS);
    let mut met = 0;
    for name in names {
        for fault in faults {
            for after in 0..calls {
                let mut has_met = false;
                let played = failure_of(|| has_met = play(seed, name, after as u32, *fault));
                if let Some(failure) = played {
                    panic!(
                        "{fault:?} in call {after} of {name}, seed {seed}: {}",
                        failure.0
                    );
                }
                if !has_met {
                    break;
                }
                met += 1;
            }
        }
    }
    met
}

#[test]
fn a_fault_in_any_read_harms_nothing() {
    assert!(each(1, READS, READ_FAULTS) > 100);
}

#[test]
fn a_fault_in_any_write_harms_nothing() {
    assert!(each(1, WRITES, WRITE_FAULTS) > 100);
}

#[test]
fn a_fault_in_any_call_of_a_publisher_harms_nothing() {
    let reads = ["claim", "release", "publisher", "newest_publication"];
    assert!(each(4, &reads, READ_FAULTS) > 20);
    assert!(each(4, &["publish", "commit"], WRITE_FAULTS) > 20);
}
