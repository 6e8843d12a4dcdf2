//! A database in memory whose faults come from a seed or from a rule. No threads, no clock but the
//! paused one of the runtime.
//!
//! Each server has a handle of its own, so that a fault can meet its N-th call, and so that it can
//! die or be suspended in any of them. The handle of a test never fails.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex};

use ledger::TreeId;
use tlog::Hash;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use faults::{Call, Fault, Rule};
pub(crate) use tables::Tables;

mod audit;
mod connection;
mod faults;
mod reads;
mod rotation;
mod tables;
mod transactions;

/// A small xorshift generator: the same seed gives the same run.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

pub(crate) struct State {
    pub(crate) tables: Tables,
    pub(crate) rng: Rng,
    /// One commit in this many has a fault; 0 for none.
    pub(crate) fault_every: u64,
    /// The tree whose commits have no faults all the same.
    pub(crate) spared: Option<TreeId>,
    /// The tree whose commits wait for ever.
    pub(crate) stuck: Option<TreeId>,
    /// The fault of the next commit, whatever the seed says.
    pub(crate) next_fault: Option<Fault>,
    /// Decides on each call of a server that has a handle of its own.
    pub(crate) rule: Option<Rule>,
    pub(crate) poison: Option<Hash>,
    /// The wall clock of all servers, and the database's.
    pub(crate) millis: i64,
    /// The moment from which on the database's clock moves by itself, and is compared with the
    /// clocks of servers. Unset: it moves when it is read.
    pub(crate) moves_since: Option<Instant>,
    /// Their boot clock.
    pub(crate) boot_millis: u64,
    /// The next commits answer, last one first, that the clocks differ by this many milliseconds.
    pub(crate) skews: Vec<i64>,
    /// Asking for a writer panics.
    pub(crate) bug: bool,
    /// Asking for a writer waits for ever.
    pub(crate) hangs: bool,
    /// No head that was read back is confirmed.
    pub(crate) unconfirmed: bool,
    /// How often the newest head was asked for.
    pub(crate) asked: u64,
    /// How often the database was put back to a copy.
    pub(crate) restored: u64,
    /// A digest of all calls so far and of their faults.
    pub(crate) trace: u64,
    /// Servers that are suspended, and until when.
    pub(crate) asleep: BTreeMap<u64, Instant>,
    /// The holder of the lock of each tree.
    locked_by: BTreeMap<i64, u64>,
    /// The holder of the lock of all claims.
    claims_locked_by: Option<u64>,
    /// The holder of the right to publish each tree.
    pub(crate) publishers: BTreeMap<i64, u64>,
    /// The server of each open connection.
    connections: BTreeMap<u64, u64>,
    last_connection: u64,
    last_server: u64,
}

impl State {
    /// Gives back all locks of a connection.
    fn unlock(&mut self, id: u64) {
        self.locked_by.retain(|_, by| *by != id);
        self.claims_locked_by = self.claims_locked_by.filter(|by| *by != id);
    }

    /// Ends a connection, as its server or the network does.
    fn hang_up(&mut self, id: u64) {
        self.unlock(id);
        self.publishers.retain(|_, by| *by != id);
        self.connections.remove(&id);
    }

    fn next_connection(&mut self) -> u64 {
        self.last_connection += 1;
        self.last_connection
    }

    /// Lets time pass on both clocks. Returns the wall clock.
    pub(crate) fn pass(&mut self, millis: u32) -> i64 {
        self.millis += i64::from(millis);
        self.boot_millis += u64::from(millis);
        self.millis
    }

    /// The database's clock.
    pub(crate) fn now_millis(&self) -> i64 {
        let moved = self.moves_since.map(|since| since.elapsed().as_millis());
        self.millis + moved.map_or(0, |millis| i64::try_from(millis).unwrap())
    }
}

/// The database as one server sees it, or a test.
#[derive(Clone)]
pub(crate) struct SimStore {
    state: Arc<Mutex<State>>,
    /// 0 for a test.
    server: u64,
    died: CancellationToken,
}

impl SimStore {
    pub(crate) fn new(seed: u64) -> Self {
        let state = State {
            tables: Tables::default(),
            rng: Rng::new(seed),
            fault_every: 0,
            spared: None,
            stuck: None,
            next_fault: None,
            rule: None,
            poison: None,
            millis: 1_800_000_000_000,
            moves_since: None,
            boot_millis: 0,
            skews: Vec::new(),
            bug: false,
            hangs: false,
            unconfirmed: false,
            asked: 0,
            restored: 0,
            trace: 0,
            asleep: BTreeMap::new(),
            locked_by: BTreeMap::new(),
            claims_locked_by: None,
            publishers: BTreeMap::new(),
            connections: BTreeMap::new(),
            last_connection: 0,
            last_server: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            server: 0,
            died: CancellationToken::new(),
        }
    }

    /// Returns the handle of a server that starts.
    pub(crate) fn of_new_server(&self) -> Self {
        let server = self.with(|state| {
            state.last_server += 1;
            state.last_server
        });
        Self {
            state: Arc::clone(&self.state),
            server,
            died: CancellationToken::new(),
        }
    }

    /// The number of the server, which no other one ever has.
    pub(crate) fn server(&self) -> u64 {
        self.server
    }

    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap())
    }

    /// Puts the database back to a copy, and cuts off the statements that run. Returns what it had.
    pub(crate) fn put_back(&self, copy: Tables) -> Tables {
        self.with(|state| {
            state.restored += 1;
            mem::replace(&mut state.tables, copy)
        })
    }

    /// Lets the server die: none of its calls goes on, and its connections end.
    pub(crate) fn kill(&self) {
        self.died.cancel();
        self.with(|state| {
            let all = state.connections.iter();
            let own = all.filter(|(_, server)| **server == self.server);
            for id in own.map(|(id, _)| *id).collect::<Vec<_>>() {
                state.hang_up(id);
            }
        });
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.died.is_cancelled()
    }

    /// Waits for an answer of the server; `None` if it dies before.
    pub(crate) async fn unless_dead<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.died.cancelled() => None,
            answer = answer => Some(answer),
        }
    }

    /// Lets other tasks run, a random number of times: the interleaving comes from the seed.
    async fn pause(&self) {
        for _ in 0..self.with(|state| state.rng.below(4)) {
            tokio::task::yield_now().await;
        }
    }
}
