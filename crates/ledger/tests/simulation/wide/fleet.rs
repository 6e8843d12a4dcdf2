//! The fleet of a run: takes steps, looks at what clients see, and settles at the end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use ledger::guard::memory::MemoryGuard;
use ledger::rotation::{self, RotateError};
use ledger::store::{Store as _, TreeState};
use ledger::{
    AppendError, Appended, DEFAULT_NAME, Ledger, Log, OpenError, Settings, V1, V2, Witnessing,
};
use ring::rand::SystemRandom;
use tlog::WitnessPolicy;
use tokio::time::{Instant, sleep, timeout};

use super::facts::Facts;
use super::servers::{BEGIN_MILLIS, Clocks, Faults, Server};
use super::step::{SERVERS, Step, WITNESSES, has_witnesses};
use crate::both::Keys;
use crate::peers::Peers;
use crate::rotation::assert_finished;
use crate::store::{Fault, SimStore, Tables};
use crate::witness::{Behaviour, SimWitnesses};
use crate::{assert_clean, entry, support};

/// After this a client gives up.
const CLIENT_PATIENCE: Duration = Duration::from_secs(60);
/// Entries that are written only once everything works again.
const LAST_ENTRIES: u64 = 10_000;
const QUORUM: &str = "group g 2 w0 w1 w2\nquorum g";

pub(crate) type Answer = (u64, Option<Result<Appended, AppendError>>);

pub(crate) struct Fleet {
    pub(crate) store: SimStore,
    pub(crate) servers: Vec<Option<Server>>,
    pub(crate) facts: Facts,
    pub(crate) faults: Faults,
    /// The database after each step, but for those in which it went back.
    pub(crate) copies: Vec<Tables>,
    clocks: Clocks,
    keys: Keys,
    guards: Vec<Arc<MemoryGuard>>,
    witnesses: Option<SimWitnesses>,
}

impl Fleet {
    pub(crate) async fn new(store: SimStore, seed: u64) -> Self {
        let (clocks, faults) = (Clocks::new(), Faults::default());
        let guards = (0..SERVERS).map(|_| Arc::new(MemoryGuard::new(DEFAULT_NAME)));
        store.with(|state| {
            state.moves_since = Some(clocks.began());
            state.rule = Some(faults.rule());
        });
        let witnesses = has_witnesses(seed).then(|| SimWitnesses::new(&store, WITNESSES));
        let mut fleet = Self {
            servers: (0..SERVERS).map(|_| None).collect(),
            facts: Facts::default(),
            faults,
            copies: Vec::new(),
            clocks,
            keys: Keys::new(),
            guards: guards.collect(),
            witnesses,
            store,
        };
        for server in 0..SERVERS {
            fleet.start(server).await;
        }
        fleet
    }

    fn settings(&self, number: usize, store: &SimStore) -> Settings {
        let witnessing = self.witnesses.as_ref().map(|witnesses| Witnessing {
            policy: WitnessPolicy::parse(&format!("{}\n{QUORUM}\n", witnesses.lines())).unwrap(),
            transport: Arc::new(witnesses.clone()),
            fail_open_after: None,
        });
        let guard = Peers {
            own: Arc::clone(&self.guards[number]),
            all: self.guards.clone(),
        };
        Settings {
            clock: Arc::new(self.clocks.of(number)),
            guard: Arc::new(guard),
            witnessing,
            ..support::settings(store.clone(), &self.keys.v1[0])
        }
    }

    /// Starts a server. `None` if it dies on the way.
    pub(crate) async fn open(
        &self,
        number: usize,
        store: SimStore,
    ) -> Option<Result<Server, OpenError>> {
        let opened = self.keys.open(self.settings(number, &store));
        let opened = store.unless_dead(opened).await?;
        Some(opened.map(|ledger| Server { store, ledger }))
    }

    /// Starts a server, which may fail if the database does.
    async fn start(&mut self, number: usize) {
        let store = self.store.of_new_server();
        self.start_on(number, store).await;
    }

    async fn start_on(&mut self, number: usize, store: SimStore) {
        self.servers[number] = match self.open(number, store.clone()).await {
            Some(Ok(server)) => Some(server),
            Some(Err(OpenError::Store(_) | OpenError::Guard(_))) => {
                store.kill();
                None
            }
            Some(Err(error)) => panic!("server {number} does not start: {error}"),
            None => None,
        };
    }

    /// Lets a server die, if it runs.
    pub(crate) fn kill(&mut self, number: usize) {
        if let Some(server) = self.servers[number].take() {
            server.store.kill();
        }
    }

    /// Returns a server. Starts it if it does not run.
    async fn server(&mut self, number: usize) -> Option<&Server> {
        let is_dead = |server: &Server| server.store.is_dead();
        if self.servers[number].as_ref().is_none_or(is_dead) {
            self.kill(number);
            self.start(number).await;
        }
        self.servers[number].as_ref()
    }

    fn is_asleep(&self, server: &Server) -> bool {
        let number = server.store.server();
        let until = self.store.with(|state| state.asleep.get(&number).copied());
        until.is_some_and(|until| until > Instant::now())
    }

    pub(crate) async fn take(&mut self, step: &Step) {
        match *step {
            Step::Write { first, count } => self.write_and_note(first, count).await,
            Step::Wait { millis } => sleep(Duration::from_millis(millis)).await,
            Step::Fail {
                server,
                call,
                after,
                fault,
            } => {
                let id = self
                    .server(server)
                    .await
                    .map(|server| server.store.server());
                if let Some(id) = id {
                    self.faults.add(id, call, after, fault);
                }
            }
            Step::Restart {
                server,
                after,
                fault,
            } => {
                self.kill(server);
                let store = self.store.of_new_server();
                if fault != Fault::None {
                    self.faults.add(store.server(), "", after, fault);
                }
                self.start_on(server, store).await;
            }
            Step::Stop { server } => {
                if let Some(running) = self.server(server).await {
                    let stopped = running.store.unless_dead(running.ledger.stop());
                    drop(timeout(CLIENT_PATIENCE, stopped).await);
                }
                self.kill(server);
                self.start(server).await;
            }
            Step::Suspend {
                server,
                millis,
                hours,
            } => {
                let id = self
                    .server(server)
                    .await
                    .map(|server| server.store.server());
                if let Some(id) = id {
                    let until = Instant::now() + Duration::from_millis(millis);
                    self.store.with(|state| state.asleep.insert(id, until));
                    self.skip(hours);
                }
            }
            Step::SetClock { server, millis } => self.clocks.set(server, millis),
            Step::SetDatabaseClock { millis } => self.set_database_clock(millis),
            Step::Rotate { log, first, pause } => self.rotate(log, first, pause).await,
            Step::GoBack { ago, moment, pause } => self.go_back(ago, moment, pause).await,
            Step::Witness { number, behaviour } => {
                if let Some(witnesses) = &self.witnesses {
                    witnesses.behave(number, behaviour);
                }
            }
        }
    }

    fn set_database_clock(&self, millis: i64) {
        let right = BEGIN_MILLIS + self.clocks.skipped_millis();
        self.store.with(|state| state.millis = right + millis);
    }

    /// Lets hours pass for everybody.
    fn skip(&self, hours: u64) {
        let before = self.clocks.skipped_millis();
        self.clocks.skip(hours);
        let skipped = self.clocks.skipped_millis() - before;
        self.store.with(|state| state.millis += skipped);
    }

    /// Remembers the database as it is.
    pub(crate) fn remember(&mut self) {
        let copy = self.store.with(|state| state.tables.clone());
        self.copies.push(copy);
    }

    /// Clients write to all logs of all servers at once.
    pub(crate) async fn write(&self, first: u64, count: u64) -> Vec<Answer> {
        let mut writers = Vec::new();
        for (number, server) in self.servers.iter().enumerate() {
            let Some(server) = server else { continue };
            let first = first + number as u64 * (count / 2);
            for log in server.ledger.logs() {
                writers.extend((first..first + count).map(|n| client(server, log, n)));
            }
        }
        join_all(writers).await
    }

    async fn write_and_note(&mut self, first: u64, count: u64) {
        for number in 0..SERVERS {
            self.server(number).await;
        }
        for (n, answer) in self.write(first, count).await {
            self.note(n, answer);
        }
    }

    fn note(&mut self, n: u64, answer: Option<Result<Appended, AppendError>>) {
        match answer {
            Some(Ok(appended)) => self.facts.see_answer(n, appended),
            None
            | Some(Err(
                AppendError::Unavailable(_)
                | AppendError::Unpublished { .. }
                | AppendError::NotLetOut(_)
                | AppendError::Clock(_),
            )) => {}
            Some(Err(error)) => panic!("leaf {n}: {error}"),
        }
    }

    /// Rotates a log to its next key among writers, whatever the database does meanwhile.
    async fn rotate(&mut self, log: usize, first: u64, pause: u64) {
        let (api, next) = match log {
            0 => (&V1, &self.keys.v1[1]),
            _ => (&V2, &self.keys.v2[1]),
        };
        let next = support::key(next).verifying_key().clone();
        let operator = self.store.of_new_server();
        let rotating = async {
            for _ in 0..pause {
                tokio::task::yield_now().await;
            }
            let rng = SystemRandom::new();
            let trees = operator.trees().await?;
            let mut active = trees
                .iter()
                .filter(|tree| tree.api == api.name && tree.state == TreeState::Active);
            let tree = active.next().unwrap();
            if tree.keys[0].spki == next.spki() {
                return Ok(());
            }
            let origin = rotation::default_origin(&tree.origin, 2);
            rotation::register(&operator, tree, &next).await?;
            rotation::freeze(&operator, tree, &next, Some(&origin), &rng).await?;
            Ok::<(), RotateError>(())
        };
        let (answers, rotated) = tokio::join!(self.write(first, 3), operator.unless_dead(rotating));
        for (n, answer) in answers {
            self.note(n, answer);
        }
        match rotated {
            None | Some(Ok(()) | Err(RotateError::Open(OpenError::Store(_)))) => {}
            Some(Err(error)) => panic!("{error}"),
        }
    }

    /// Nothing that any server shows contradicts what was ever shown or acknowledged.
    pub(crate) async fn look(&mut self) {
        for number in 0..SERVERS {
            let Some(server) = &self.servers[number] else {
                continue;
            };
            if server.store.is_dead() || self.is_asleep(server) {
                continue;
            }
            assert_eq!(server.ledger.fatal().now_or_never(), None);
            let (id, ledger) = (server.store.server(), server.ledger.clone());
            let store = server.store.clone();
            for (place, log) in ledger.logs().iter().enumerate() {
                assert_eq!(log.halted(), None, "server {number}");
                self.facts.see_heads(id, place, &log.shards());
                let newest = timeout(CLIENT_PATIENCE, store.unless_dead(log.newest_shards()));
                let Ok(Some(Ok(shards))) = newest.await else {
                    continue;
                };
                self.facts.see_heads(id, place, &shards);
                let found = store.unless_dead(self.facts.assert_found(log, &shards));
                drop(timeout(CLIENT_PATIENCE, found).await);
            }
        }
    }

    /// No fault comes any more, and all clocks are right. Then everything works, all that was ever
    /// seen is true, and fsck agrees.
    pub(crate) async fn settle(&mut self) {
        self.calm_down().await;
        for number in 0..SERVERS {
            self.kill(number);
            self.start(number).await;
            assert!(
                self.servers[number].is_some(),
                "server {number} does not start"
            );
        }
        for number in 0..SERVERS {
            let server = self.servers[number].as_ref().unwrap();
            for log in server.ledger.clone().logs() {
                let n = LAST_ENTRIES + number as u64;
                let appended = append_patiently(log, n).await;
                self.facts.see_answer(n, appended);
            }
        }
        self.look().await;
        self.assert_whole().await;
        for server in self.servers.iter().flatten() {
            server.ledger.ready().await.unwrap();
            server.ledger.stop().await;
        }
        for tree in self.store.trees().await.unwrap() {
            self.facts.check(&self.store, &tree);
            assert_clean(&self.store, &tree).await;
            if tree.state == TreeState::Frozen {
                assert_finished(&self.store, &tree).await;
            }
        }
    }

    /// Ends all faults, and waits until each statement has arrived and each clock counts as right.
    pub(crate) async fn calm_down(&mut self) {
        self.faults.clear();
        // A clock that leapt has to stand for 10 s, and a late statement arrives within 3.
        let pause = if self.clocks.are_right() { 4 } else { 12 };
        for number in 0..SERVERS {
            self.clocks.set(number, 0);
        }
        self.set_database_clock(0);
        if let Some(witnesses) = &self.witnesses {
            for number in 0..WITNESSES {
                witnesses.behave(number, Behaviour::Honest);
            }
        }
        self.store.with(|state| state.asleep.clear());
        sleep(Duration::from_secs(pause)).await;
    }

    /// All servers have all entries, and frozen trees are finished.
    async fn assert_whole(&self) {
        let ledgers: Vec<&Ledger> = self
            .servers
            .iter()
            .flatten()
            .map(|one| &one.ledger)
            .collect();
        for place in 0..2 {
            let mut sizes = Vec::new();
            for ledger in &ledgers {
                let shards = ledger.logs()[place].newest_shards().await.unwrap();
                let active = shards.active();
                sizes.push(active.tree.first_log_index + active.size.0);
            }
            assert!(sizes.iter().all(|size| *size == sizes[0]), "{sizes:?}");
        }
        let is_finished = async || {
            for tree in self.store.trees().await.unwrap() {
                let last = self
                    .store
                    .with(|state| state.tables.last_texts.get(&tree.tree_id.0).cloned());
                if tree.state == TreeState::Frozen && last.is_none() {
                    return false;
                }
            }
            true
        };
        let end = Instant::now() + Duration::from_secs(30);
        while !is_finished().await {
            assert!(Instant::now() < end, "a frozen tree is not finished");
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Appends an entry, and asks for its timestamp, unless the server dies.
async fn client(server: &Server, log: &Log, n: u64) -> Answer {
    let answer = server.store.unless_dead(async {
        let answer = log.append(entry(n)).await;
        if let Ok(Appended::Sequenced(logged)) = &answer
            && log.api() == &V1
        {
            log.signed_entry_timestamp(logged).unwrap();
        }
        answer
    });
    let answer = timeout(CLIENT_PATIENCE, answer).await;
    (n, answer.ok().flatten())
}

/// Tries until it is acknowledged: a round may fail once, while connections are made anew.
async fn append_patiently(log: &Log, n: u64) -> Appended {
    for _ in 0..15 {
        match log.append(entry(n)).await {
            Ok(appended) => return appended,
            Err(AppendError::ReadOnly(reason)) => panic!("{reason}"),
            Err(_) => sleep(Duration::from_secs(1)).await,
        }
    }
    let last = log.append(entry(n)).await;
    last.unwrap_or_else(|error| panic!("it does not recover: {error}"))
}
