//! The open connections of a listener: how many there may be, and which one is closed for a new
//! one.
//!
//! A connection is at work while a request of it holds one of the listener's places for requests.
//! Otherwise it is idle, also while its client sends headers. There are fewer places for requests
//! than for connections, so some connection is always idle and a new one never waits: the longest
//! idle one is closed for it. An address at its limit replaces its own connections, and only so
//! many a second. So clients that reconnect at once after they were closed cost little more than
//! the accept, and the clients of other addresses do not wait behind them.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::limits::REPLACED_PER_SECOND;
use crate::peer::Address;

/// Why the server closed or refused a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// No request arrived within the idle limit.
    Idle,
    /// It was the longest idle one of all, and a new one needed its place.
    ForNewcomer,
    /// It was the longest idle one of its address, and a new one of that address needed its place.
    ForSameAddress,
    /// Refused: all connections of its address are at work.
    AddressFull,
    /// Refused: its address is at its limit, and replaced as many connections as it may this
    /// second.
    AddressRate,
    /// Refused: all connections are at work.
    Full,
    /// It was open for as long as an HTTP/2 connection may be.
    Age,
    /// Its client did not receive an answer in time.
    Stalled,
}

impl Closed {
    const ALL: [Self; 8] = [
        Self::Idle,
        Self::ForNewcomer,
        Self::ForSameAddress,
        Self::AddressFull,
        Self::AddressRate,
        Self::Full,
        Self::Age,
        Self::Stalled,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::ForNewcomer => "for-newcomer",
            Self::ForSameAddress => "for-same-address",
            Self::AddressFull => "address-full",
            Self::AddressRate => "address-rate",
            Self::Full => "full",
            Self::Age => "age",
            Self::Stalled => "stalled",
        }
    }
}

/// The metrics of connections.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    open: IntGauge,
    closed: IntCounterVec,
}

impl Counts {
    /// Makes metrics that are not registered.
    ///
    /// # Errors
    ///
    /// Never fails in practice: the names are valid.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let closed = Opts::new(
            "treehead_http_connections_closed_total",
            "Connections that the server closed or did not take, by reason",
        );
        let closed = IntCounterVec::new(closed, &["reason"])?;
        for reason in Closed::ALL {
            closed.with_label_values(&[reason.label()]);
        }
        Ok(Self {
            open: IntGauge::new("treehead_http_connections", "Open connections")?,
            closed,
        })
    }

    /// Registers them, and the limit beside them.
    ///
    /// # Errors
    ///
    /// A name is taken in `registry`.
    pub(crate) fn register(&self, registry: &Registry, most: Most) -> prometheus::Result<()> {
        let limit = IntGauge::new("treehead_http_connections_limit", "Most open connections")?;
        limit.set(i64::try_from(most.all).unwrap_or(i64::MAX));
        registry.register(Box::new(self.open.clone()))?;
        registry.register(Box::new(limit))?;
        registry.register(Box::new(self.closed.clone()))
    }

    fn closed(&self, why: Closed) {
        self.closed.with_label_values(&[why.label()]).inc();
    }
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    /// In all.
    pub(crate) all: usize,
    /// From one address.
    pub(crate) per_address: usize,
}

/// The open connections.
#[derive(Debug)]
pub(crate) struct Connections {
    most: Most,
    counts: Counts,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_number: u64,
    open: HashMap<u64, Connection>,
    addresses: HashMap<Address, Peers>,
    /// The order of a search for the longest idle connection of all.
    filed: BTreeSet<Filed>,
}

/// The connections of one address.
#[derive(Debug, Default)]
struct Peers {
    open: usize,
    filed: BTreeSet<Filed>,
    replaced: Replaced,
}

/// The connections of an address that were replaced by new ones of it within a second.
#[derive(Debug)]
struct Replaced {
    since: Instant,
    count: u32,
}

impl Default for Replaced {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            count: 0,
        }
    }
}

impl Replaced {
    /// Returns whether there were fewer than [`REPLACED_PER_SECOND`] within this second.
    fn has_room(&mut self) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            *self = Self::default();
        }
        self.count < REPLACED_PER_SECOND
    }
}

/// The place of a connection in the order of a search for the longest idle one.
///
/// Most requests leave the order as it is, because they would take the lock twice otherwise. So a
/// connection is filed under a moment that is not later than the end of its last request. A search
/// that comes across a connection with a later request files it anew. One that is at work it takes
/// out of the order, and the end of that connection's request puts it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Filed {
    /// See [`Activity::idle_since`].
    moment: u64,
    number: u64,
}

#[derive(Debug)]
struct Connection {
    address: Address,
    /// `None` if a search found it at work.
    filed: Option<Filed>,
    activity: Arc<Activity>,
    evicted: CancellationToken,
}

/// When a connection was last at work. Moments are nanoseconds since `started`.
#[derive(Debug)]
struct Activity {
    started: Instant,
    requests_at_work: AtomicUsize,
    idle_since: AtomicU64,
    /// A search has found the connection at work and taken it out of the order.
    is_unfiled: AtomicBool,
}

impl Activity {
    fn new(started: Instant) -> Self {
        Self {
            started,
            requests_at_work: AtomicUsize::new(0),
            idle_since: AtomicU64::new(moment(started)),
            is_unfiled: AtomicBool::new(false),
        }
    }

    /// Returns the moment since when no request is at work, or `None` while one is.
    fn idle_since(&self) -> Option<u64> {
        // The moment is written before the last request counts as ended.
        let is_idle = self.requests_at_work.load(Ordering::SeqCst) == 0;
        is_idle.then(|| self.idle_since.load(Ordering::Relaxed))
    }

    fn begin_request(&self) {
        self.requests_at_work.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns whether the connection became idle and must be filed.
    ///
    /// A search writes `is_unfiled` and then reads `requests_at_work`; this writes and reads them
    /// the other way round. In the one order of both (`SeqCst`) at least one of the two sees what
    /// the other wrote, so no idle connection stays out of the order.
    fn end_request(&self) -> bool {
        self.idle_since
            .store(moment(self.started), Ordering::Relaxed);
        let was_last = self.requests_at_work.fetch_sub(1, Ordering::SeqCst) == 1;
        was_last && self.is_unfiled.load(Ordering::SeqCst)
    }
}

/// Returns the nanoseconds from `started` to now; they suffice for 584 years.
fn moment(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl Connections {
    pub(crate) fn new(most: Most, counts: Counts) -> Arc<Self> {
        Arc::new(Self {
            most,
            counts,
            started: Instant::now(),
            state: Mutex::default(),
        })
    }

    /// Admits a connection, and closes another for it if that is necessary.
    ///
    /// # Errors
    ///
    /// All connections that could make room are at work.
    pub(crate) fn admit(self: &Arc<Self>, address: Address) -> Result<ConnectionPermit, Closed> {
        let mut state = self.lock();
        state.enter(address);
        if let Err(refused) = self.make_room_for(&mut state, address) {
            state.leave(address);
            self.counts.closed(refused);
            return Err(refused);
        }
        let activity = Arc::new(Activity::new(self.started));
        let evicted = CancellationToken::new();
        let number = state.insert(address, Arc::clone(&activity), evicted.clone());
        drop(state);
        self.counts.open.inc();
        Ok(ConnectionPermit {
            connections: Arc::clone(self),
            address,
            number,
            activity,
            evicted,
        })
    }

    /// Closes the longest idle connections that a newcomer of this address, which is counted
    /// already, needs the room of.
    fn make_room_for(&self, state: &mut State, address: Address) -> Result<(), Closed> {
        let peers = state.addresses.entry(address).or_default();
        if peers.open > self.most.per_address {
            // An address that may have all connections is a proxy's: no other address waits behind
            // it.
            let is_limited = self.most.per_address < self.most.all;
            if is_limited && !peers.replaced.has_room() {
                return Err(Closed::AddressRate);
            }
            let own = state.longest_idle(Some(address));
            self.evict(state, own, Closed::ForSameAddress)
                .ok_or(Closed::AddressFull)?;
            state.addresses.entry(address).or_default().replaced.count += 1;
        }
        if state.open.len() >= self.most.all {
            let any = state.longest_idle(None);
            self.evict(state, any, Closed::ForNewcomer)
                .ok_or(Closed::Full)?;
        }
        Ok(())
    }

    /// Closes this connection, if there is one.
    fn evict(&self, state: &mut State, idle: Option<u64>, why: Closed) -> Option<()> {
        let connection = state.remove(idle?)?;
        connection.evicted.cancel();
        self.counts.closed(why);
        self.counts.open.dec();
        Some(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn insert(
        &mut self,
        address: Address,
        activity: Arc<Activity>,
        evicted: CancellationToken,
    ) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        let connection = Connection {
            address,
            filed: None,
            activity,
            evicted,
        };
        self.open.insert(number, connection);
        self.file_if_idle(number);
        number
    }

    /// Counts a connection of an address.
    fn enter(&mut self, address: Address) {
        self.addresses.entry(address).or_default().open += 1;
    }

    /// Counts that a connection of an address is gone.
    fn leave(&mut self, address: Address) {
        if let Some(peers) = self.addresses.get_mut(&address) {
            peers.open -= 1;
            if peers.open == 0 {
                self.addresses.remove(&address);
            }
        }
    }

    /// Returns the number of the longest idle connection, of one address or of all, or `None` if
    /// all are at work. All searches together take at most as many steps as there were requests and
    /// admissions.
    fn longest_idle(&mut self, address: Option<Address>) -> Option<u64> {
        loop {
            let order = match address {
                Some(address) => &self.addresses.get(&address)?.filed,
                None => &self.filed,
            };
            let first = *order.first()?;
            let connection = self.open.get(&first.number)?;
            if connection.activity.idle_since() == Some(first.moment) {
                return Some(first.number);
            }
            connection.activity.is_unfiled.store(true, Ordering::SeqCst);
            self.unfile(first.number);
            self.file_if_idle(first.number);
        }
    }

    /// Files a connection that is not filed, unless it is at work: then the end of its last request
    /// does.
    fn file_if_idle(&mut self, number: u64) {
        let Some(connection) = self.open.get_mut(&number) else {
            return;
        };
        let Some(moment) = connection.activity.idle_since() else {
            return;
        };
        if connection.filed.is_some() {
            return;
        }
        let filed = Filed { moment, number };
        connection
            .activity
            .is_unfiled
            .store(false, Ordering::SeqCst);
        connection.filed = Some(filed);
        self.filed.insert(filed);
        if let Some(peers) = self.addresses.get_mut(&connection.address) {
            peers.filed.insert(filed);
        }
    }

    fn unfile(&mut self, number: u64) {
        let Some(connection) = self.open.get_mut(&number) else {
            return;
        };
        let Some(filed) = connection.filed.take() else {
            return;
        };
        self.filed.remove(&filed);
        if let Some(peers) = self.addresses.get_mut(&connection.address) {
            peers.filed.remove(&filed);
        }
    }

    fn remove(&mut self, number: u64) -> Option<Connection> {
        self.unfile(number);
        let connection = self.open.remove(&number)?;
        self.leave(connection.address);
        Some(connection)
    }
}

/// The right to an open connection. It is given back on drop.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    connections: Arc<Connections>,
    address: Address,
    number: u64,
    activity: Arc<Activity>,
    evicted: CancellationToken,
}

impl ConnectionPermit {
    /// Returns the address of the client.
    pub(crate) fn address(&self) -> Address {
        self.address
    }

    /// Returns once another connection has got the permit.
    pub(crate) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    /// Returns once the connection has been idle for this long, counted from now.
    pub(crate) async fn idle_for(&self, limit: Duration) {
        let from = Instant::now();
        loop {
            let now = Instant::now();
            let until = match self.activity.idle_since() {
                Some(moment) => {
                    let since = self.activity.started + Duration::from_nanos(moment);
                    since.max(from) + limit
                }
                None => now + limit,
            };
            if until <= now {
                return;
            }
            sleep_until(until).await;
        }
    }

    /// Counts the connection as at work until the return value is dropped.
    pub(crate) fn begin_request(self: &Arc<Self>) -> AtWork {
        self.activity.begin_request();
        AtWork(Arc::clone(self))
    }

    /// Counts that the server closes the connection.
    pub(crate) fn closed(&self, why: Closed) {
        self.connections.counts.closed(why);
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let removed = self.connections.lock().remove(self.number);
        if removed.is_some() {
            self.connections.counts.open.dec();
        }
    }
}

/// A request of a connection that is being worked on.
#[derive(Debug)]
pub(crate) struct AtWork(Arc<ConnectionPermit>);

impl Drop for AtWork {
    fn drop(&mut self) {
        let ConnectionPermit {
            connections,
            number,
            activity,
            ..
        } = &*self.0;
        if activity.end_request() {
            connections.lock().file_if_idle(*number);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::peer::tests::address;

    fn connections(all: usize, per_address: usize) -> Arc<Connections> {
        Connections::new(
            Most { all, per_address },
            Counts::new().expect("valid names"),
        )
    }

    fn is_evicted(place: &ConnectionPermit) -> bool {
        place.evicted.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_connection_goes_for_a_newcomer() {
        let connections = connections(3, 3);
        let admit = |text| Arc::new(connections.admit(address(text)).expect("somebody is idle"));
        let [first, second, third] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(admit);
        let at_work = second.begin_request();
        advance(Duration::from_millis(1)).await;
        // Idle again, and so the one that is idle for the shortest time.
        drop(first.begin_request());
        advance(Duration::from_millis(1)).await;
        let fourth = admit("192.0.2.4");
        assert_eq!(
            [&first, &second, &third].map(|place| is_evicted(place)),
            [false, false, true]
        );
        let fifth = admit("192.0.2.5");
        assert_eq!(
            [&first, &second, &fourth].map(|place| is_evicted(place)),
            [true, false, false]
        );
        drop((first, third));
        let busy = [fourth.begin_request(), fifth.begin_request()];
        assert_eq!(
            connections.admit(address("192.0.2.6")).err(),
            Some(Closed::Full)
        );
        drop((at_work, busy));
        assert!(connections.admit(address("192.0.2.6")).is_ok());
        assert_eq!(connections.counts.open.get(), 2, "the sixth left again");
        drop((second, fourth, fifth));
        assert_eq!(connections.counts.open.get(), 0);
        let state = connections.lock();
        assert!(state.open.is_empty() && state.filed.is_empty() && state.addresses.is_empty());
    }

    #[test]
    fn an_address_gives_up_its_own_connections() {
        let connections = connections(10, 2);
        let many = || connections.admit(address("2001:db8::1")).map(Arc::new);
        let other = connections.admit(address("192.0.2.1")).expect("the first");
        let (first, second) = (many().expect("one"), many().expect("two"));
        let third = many().expect("in place of the first");
        assert!(is_evicted(&first) && !is_evicted(&second) && !is_evicted(&other));
        let at_work = [second.begin_request(), third.begin_request()];
        assert_eq!(many().err(), Some(Closed::AddressFull));
        drop(at_work);
        assert!(many().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_a_search_found_at_work_is_found_idle_again() {
        let connections = connections(2, 2);
        let admit = |text| connections.admit(address(text)).map(Arc::new);
        let first = admit("192.0.2.1").expect("room");
        let second = admit("192.0.2.1").expect("room");
        let at_work = [first.begin_request(), second.begin_request()];
        assert_eq!(admit("192.0.2.1").err(), Some(Closed::AddressFull));
        assert_eq!(admit("192.0.2.2").err(), Some(Closed::Full));
        assert!(connections.lock().filed.is_empty());
        let [of_first, of_second] = at_work;
        advance(Duration::from_millis(1)).await;
        drop(of_second);
        advance(Duration::from_millis(1)).await;
        drop(of_first);
        let third = admit("192.0.2.2").expect("the second is idle for longer");
        assert!(is_evicted(&second) && !is_evicted(&first) && !is_evicted(&third));
    }

    #[test]
    fn threads_that_work_while_others_search_leave_every_connection_filed() {
        let connections = connections(4, 4);
        let place = || Arc::new(connections.admit(address("192.0.2.1")).expect("room"));
        let permits = [(); 4].map(|()| place());
        std::thread::scope(|scope| {
            for permit in &permits {
                scope.spawn(|| (0..20_000).for_each(|_| drop(permit.begin_request())));
            }
            scope.spawn(|| {
                for _ in 0..20_000 {
                    connections.lock().longest_idle(None);
                }
            });
        });
        assert_eq!(connections.lock().filed.len(), permits.len());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_replaces_so_many_connections_a_second() {
        let second = Duration::from_secs(1);
        let replace = |connections: &Arc<Connections>| {
            let admitted = connections.admit(address("192.0.2.1"));
            admitted.map(std::mem::forget).err()
        };
        let limited = connections(10, 2);
        let proxy = connections(2, 2);
        let single = connections(10, 1);
        for _ in 0..1 + REPLACED_PER_SECOND {
            assert_eq!(replace(&single), None);
        }
        assert_eq!(replace(&single), Some(Closed::AddressRate));
        for _ in 0..2 + REPLACED_PER_SECOND {
            assert_eq!(replace(&limited), None);
            assert_eq!(replace(&proxy), None);
        }
        assert_eq!(replace(&limited), Some(Closed::AddressRate));
        assert_eq!(replace(&proxy), None, "it may have all connections");
        assert!(
            limited.admit(address("192.0.2.2")).is_ok(),
            "another address"
        );
        advance(second).await;
        assert_eq!(replace(&limited), None);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_replace_nothing_do_not_count_as_replaced() {
        let connections = connections(10, 1);
        let busy = connections.admit(address("192.0.2.1")).map(Arc::new);
        let busy = busy.expect("the first");
        let at_work = busy.begin_request();
        for _ in 0..=REPLACED_PER_SECOND {
            let refused = connections.admit(address("192.0.2.1")).err();
            assert_eq!(refused, Some(Closed::AddressFull));
        }
        drop(at_work);
        assert!(connections.admit(address("192.0.2.1")).is_ok());
        assert!(is_evicted(&busy));
    }

    #[tokio::test(start_paused = true)]
    async fn idle_time_begins_anew_after_each_request() {
        let limit = Duration::from_secs(20);
        let connections = connections(1, 1);
        let place = Arc::new(connections.admit(address("192.0.2.1")).expect("the first"));
        let started = Instant::now();
        let work = async {
            tokio::time::sleep(limit / 2).await;
            let at_work = place.begin_request();
            tokio::time::sleep(limit * 2).await;
            drop(at_work);
        };
        let ((), ()) = tokio::join!(place.idle_for(limit), work);
        assert_eq!(started.elapsed(), limit / 2 + limit * 2 + limit);
    }
}
