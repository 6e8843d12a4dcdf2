//! The steps of a run, and the list of a seed.

use crate::store::{Fault, Rng};
use crate::witness::Behaviour;

/// Servers of a run.
pub(crate) const SERVERS: usize = 3;
/// Witnesses of a run that has any.
pub(crate) const WITNESSES: usize = 3;

/// The moment at which the database goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// While all servers write.
    Writing,
    /// While all servers start.
    Starting,
}

/// A step of a run. All but `Write` and `Wait` set something up that the next steps meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Clients write `count` entries to each log of each server at once. Those of neighbours overlap.
    Write { first: u64, count: u64 },
    /// A call of a server has this fault: the next one of this name (`""`: of any name), or `after`
    /// more later.
    Fail {
        server: usize,
        call: &'static str,
        after: u32,
        fault: Fault,
    },
    /// A server dies and starts again. The call of the start after so many has this fault.
    Restart {
        server: usize,
        after: u32,
        fault: Fault,
    },
    /// A server stops in order, and starts again.
    Stop { server: usize },
    /// A server is suspended, and so many hours pass for everybody at once.
    Suspend {
        server: usize,
        millis: u64,
        hours: u64,
    },
    /// The wall clock of a server is off from now on.
    SetClock { server: usize, millis: i64 },
    /// The wall clock of the database is off from now on.
    SetDatabaseClock { millis: i64 },
    /// A log (0 or 1) is rotated while all servers write.
    Rotate { log: usize, first: u64, pause: u64 },
    /// The database goes back to what it was so many steps ago; later it is brought forward again.
    GoBack {
        ago: usize,
        moment: Moment,
        pause: u64,
    },
    /// A witness behaves like this from now on.
    Witness { number: usize, behaviour: Behaviour },
    /// Time passes.
    Wait { millis: u64 },
}

/// Calls that are met by name. Others are met by their number only.
pub(crate) const READS: &[&str] = &[
    "standings",
    "newest_head",
    "newest_publication",
    "leaf_hashes",
    "tile_roots",
    "full_tiles",
    "find_leaves",
    "find_claims",
    "entries",
    "trees",
    "servers",
    "next_key",
    "unsigned",
    "final_checkpoint",
    "confirm",
    "writer",
    "publisher",
    "begin_exclusive",
    "lock_claims",
    "abandon",
    "claim",
    "release",
    "probe",
    "now_millis",
];
pub(crate) const WRITES: &[&str] = &[
    "commit",
    "publish",
    "freeze",
    "create_trees",
    "put_timestamps",
    "note_server",
    "forget_server",
    "keep_final",
    "register_next_key",
    "forget_next_key",
    "withdraw_next_key",
];
/// The faults that differ for a read.
pub(crate) const READ_FAULTS: &[Fault] = &[Fault::Refused, Fault::TimedOut, Fault::DiesBefore];
pub(crate) const WRITE_FAULTS: &[Fault] = &[
    Fault::Refused,
    Fault::LostBefore,
    Fault::LostAfter,
    Fault::Conflict,
    Fault::TimedOut,
    Fault::Running,
    Fault::Late,
    Fault::DiesBefore,
    Fault::DiesAfter,
    Fault::DiesDuring,
];

/// The behaviours of a witness, honest ones more often. One that says at a start that the log was
/// larger makes it read-only, as it should.
const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::Honest,
    Behaviour::Honest,
    Behaviour::Dead,
    Behaviour::Slow,
    Behaviour::Lost,
    Behaviour::WrongKey,
    Behaviour::OtherText,
    Behaviour::SameConflict,
    Behaviour::Inconsistent,
    Behaviour::Nonsense,
];

/// Returns whether the runs of a seed have witnesses.
pub(crate) fn has_witnesses(seed: u64) -> bool {
    seed.is_multiple_of(4)
}

fn one_of<T: Copy>(rng: &mut Rng, all: &[T]) -> T {
    all[rng.below(all.len() as u64) as usize]
}

/// Returns the steps of a seed.
pub(crate) fn plan(seed: u64) -> Vec<Step> {
    // Not the numbers that the interleaving comes from.
    let mut rng = Rng::new(seed ^ 0x5eed_0000_0000);
    let count = 6 + rng.below(10);
    let mut steps = Vec::new();
    for _ in 0..count {
        steps.push(step(&mut rng, seed));
        if rng.below(2) == 0 {
            steps.push(write(&mut rng));
        }
    }
    steps
}

fn write(rng: &mut Rng) -> Step {
    Step::Write {
        first: rng.below(100),
        count: 1 + rng.below(6),
    }
}

fn step(rng: &mut Rng, seed: u64) -> Step {
    let server = rng.below(SERVERS as u64) as usize;
    match rng.below(20) {
        0..8 => fail(rng, server),
        8..10 => write(rng),
        10..12 => Step::Restart {
            server,
            after: rng.below(40) as u32,
            fault: match rng.below(2) {
                0 => Fault::None,
                _ => one_of(rng, WRITE_FAULTS),
            },
        },
        12 => Step::Stop { server },
        13 => Step::Suspend {
            server,
            millis: one_of(rng, &[20, 300, 4_000, 40_000]),
            hours: one_of(rng, &[0, 0, 2, 200]),
        },
        14 => Step::SetClock {
            server,
            millis: one_of(
                rng,
                &[-86_400_000, -3_000, -1_500, 0, 1_500, 3_000, 86_400_000],
            ),
        },
        15 => Step::SetDatabaseClock {
            millis: one_of(rng, &[-3_600_000, -1_000, 0, 1_000, 400_000_000]),
        },
        16 => Step::Rotate {
            log: rng.below(2) as usize,
            first: rng.below(100),
            pause: rng.below(40),
        },
        17 => Step::GoBack {
            ago: 1 + rng.below(4) as usize,
            moment: one_of(rng, &[Moment::Writing, Moment::Starting]),
            pause: rng.below(120),
        },
        18 if has_witnesses(seed) => Step::Witness {
            number: rng.below(WITNESSES as u64) as usize,
            behaviour: one_of(rng, BEHAVIOURS),
        },
        _ => Step::Wait {
            millis: one_of(rng, &[60, 400, 1_500, 12_000]),
        },
    }
}

/// A fault in a call by number, by name, or in a commit.
fn fail(rng: &mut Rng, server: usize) -> Step {
    let (call, fault, within) = match rng.below(6) {
        0 => ("", one_of(rng, WRITE_FAULTS), 120),
        1 => (one_of(rng, READS), one_of(rng, READ_FAULTS), 8),
        2 | 3 => (one_of(rng, WRITES), one_of(rng, WRITE_FAULTS), 3),
        _ => ("commit", one_of(rng, WRITE_FAULTS), 3),
    };
    Step::Fail {
        server,
        call,
        after: rng.below(within) as u32,
        fault,
    }
}
