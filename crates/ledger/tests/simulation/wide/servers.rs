//! The servers of a run: their starts, their clocks, and the faults that wait for them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ledger::{Clock, Ledger};
use tokio::time::Instant;

use super::step::SERVERS;
use crate::store::{Call, Fault, Rule, SimStore};

/// The wall clock of everybody at the begin, Unix milliseconds.
pub(crate) const BEGIN_MILLIS: i64 = 1_800_000_000_000;

/// A server that runs.
pub(crate) struct Server {
    pub(crate) store: SimStore,
    pub(crate) ledger: Ledger,
}

/// By how much the clocks of the machines are off.
#[derive(Clone)]
pub(crate) struct Clocks {
    began: Instant,
    wall_millis: Arc<Mutex<[i64; SERVERS]>>,
    /// Time that passed on all clocks at once.
    skipped: Arc<Mutex<Duration>>,
}

impl Clocks {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            wall_millis: Arc::default(),
            skipped: Arc::default(),
        }
    }

    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    pub(crate) fn set(&self, server: usize, millis: i64) {
        self.wall_millis.lock().unwrap()[server] = millis;
    }

    /// Whether no wall clock is off.
    pub(crate) fn are_right(&self) -> bool {
        *self.wall_millis.lock().unwrap() == [0; SERVERS]
    }

    /// Lets hours pass for everybody in one moment.
    pub(crate) fn skip(&self, hours: u64) {
        *self.skipped.lock().unwrap() += Duration::from_secs(hours * 3_600);
    }

    /// The time since the begin.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed() + *self.skipped.lock().unwrap()
    }

    /// The time that passed in one moment, in milliseconds.
    pub(crate) fn skipped_millis(&self) -> i64 {
        i64::try_from(self.skipped.lock().unwrap().as_millis()).unwrap()
    }

    pub(crate) fn of(&self, server: usize) -> impl Clock + use<> {
        MachineClock {
            clocks: self.clone(),
            server,
        }
    }
}

struct MachineClock {
    clocks: Clocks,
    server: usize,
}

impl Clock for MachineClock {
    fn unix_millis(&self) -> i64 {
        let passed = i64::try_from(self.clocks.elapsed().as_millis()).unwrap();
        BEGIN_MILLIS + passed + self.clocks.wall_millis.lock().unwrap()[self.server]
    }

    fn since_boot(&self) -> Duration {
        self.clocks.elapsed()
    }
}

/// A fault that waits for its call.
struct Pending {
    /// 0 for any.
    server: u64,
    /// Empty for any.
    name: &'static str,
    after: u32,
    fault: Fault,
}

impl Pending {
    fn meets(&self, call: Call) -> bool {
        let is_of_server = self.server == 0 || self.server == call.server;
        is_of_server && (self.name.is_empty() || self.name == call.name)
    }
}

/// The faults that wait for their calls.
#[derive(Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<Vec<Pending>>>);

impl Faults {
    pub(crate) fn add(&self, server: u64, name: &'static str, after: u32, fault: Fault) {
        self.0.lock().unwrap().push(Pending {
            server,
            name,
            after,
            fault,
        });
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    /// Whether one has not met its call yet.
    pub(crate) fn are_waiting(&self) -> bool {
        !self.0.lock().unwrap().is_empty()
    }

    pub(crate) fn rule(&self) -> Rule {
        let faults = self.clone();
        Box::new(move |call| {
            let mut all = faults.0.lock().unwrap();
            let mut met = None;
            for (place, pending) in all.iter_mut().enumerate() {
                if !pending.meets(call) {
                    continue;
                }
                if pending.after == 0 {
                    met = Some(place);
                    break;
                }
                pending.after -= 1;
            }
            met.map_or(Fault::None, |place| all.remove(place).fault)
        })
    }
}
