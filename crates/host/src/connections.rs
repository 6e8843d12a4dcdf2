//! The open connections of a listener: how many there may be, and which one goes when another
//! comes.
//!
//! A connection is at work while a request of it holds one of the listener's places for requests,
//! and idle otherwise, also while its client sends headers. There are fewer places for requests
//! than for connections, so somebody is always idle, and a newcomer never waits: the longest idle
//! connection is closed for it. An address that has all the connections it may have gives up its
//! own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::peer::Address;

/// Why the server closed a connection, or did not take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// No request came within the idle limit.
    Idle,
    /// The longest idle one of all, for a newcomer.
    ForNewcomer,
    /// The longest idle one of its address, for a newcomer of that address.
    ForSameAddress,
    /// Not taken: all connections of its address are at work.
    AddressFull,
    /// Not taken: all connections are at work.
    Full,
    /// It was open for as long as an HTTP/2 connection may be.
    Age,
    /// Its client did not take an answer.
    Stalled,
}

impl Closed {
    const ALL: [Self; 7] = [
        Self::Idle,
        Self::ForNewcomer,
        Self::ForSameAddress,
        Self::AddressFull,
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
    /// Makes metrics that nobody sees.
    ///
    /// # Errors
    ///
    /// None in practice: the names are valid.
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

    /// Shows them, and the limit beside them.
    ///
    /// # Errors
    ///
    /// They are registered already.
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
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Numbers connections, and the moments in which they became idle.
    next_number: u64,
    open: HashMap<u64, Connection>,
    addresses: HashMap<Address, Peers>,
    /// The idle ones, the longest idle one first, by the number of the moment.
    idle: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct Connection {
    address: Address,
    requests_at_work: usize,
    /// Since when it is idle, by number and by clock.
    idle_since: Option<(u64, Instant)>,
    evicted: CancellationToken,
}

/// The connections of one address.
#[derive(Debug, Default)]
struct Peers {
    open: usize,
    idle: BTreeSet<u64>,
}

impl Connections {
    pub(crate) fn new(most: Most, counts: Counts) -> Arc<Self> {
        Arc::new(Self {
            most,
            counts,
            state: Mutex::default(),
        })
    }

    /// Takes a connection, and closes another for it if that is necessary.
    ///
    /// # Errors
    ///
    /// All connections that could make room are at work.
    pub(crate) fn admit(self: &Arc<Self>, address: Address) -> Result<ConnectionPermit, Closed> {
        let mut state = self.lock();
        let peers = state.addresses.get(&address);
        let is_address_full = peers.is_some_and(|peers| peers.open >= self.most.per_address);
        if is_address_full {
            let own = peers.and_then(|peers| peers.idle.first().copied());
            self.make_room(&mut state, own, Closed::ForSameAddress, Closed::AddressFull)?;
        }
        if state.open.len() >= self.most.all {
            let any = state.idle.keys().next().copied();
            self.make_room(&mut state, any, Closed::ForNewcomer, Closed::Full)?;
        }
        let evicted = CancellationToken::new();
        let number = state.number();
        let connection = Connection {
            address,
            requests_at_work: 0,
            idle_since: None,
            evicted: evicted.clone(),
        };
        state.open.insert(number, connection);
        state.addresses.entry(address).or_default().open += 1;
        state.becomes_idle(number);
        drop(state);
        self.counts.open.inc();
        Ok(ConnectionPermit {
            connections: Arc::clone(self),
            address,
            number,
            evicted,
        })
    }

    /// Closes the connection that is idle since this moment.
    fn make_room(
        &self,
        state: &mut State,
        idle_since: Option<u64>,
        closed: Closed,
        refused: Closed,
    ) -> Result<(), Closed> {
        let number = idle_since.and_then(|moment| state.idle.get(&moment).copied());
        match number.and_then(|number| state.remove(number)) {
            Some(connection) => {
                connection.evicted.cancel();
                self.counts.closed(closed);
                self.counts.open.dec();
                Ok(())
            }
            None => {
                self.counts.closed(refused);
                Err(refused)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn becomes_idle(&mut self, number: u64) {
        let moment = self.number();
        let Some(connection) = self.open.get_mut(&number) else {
            return;
        };
        connection.idle_since = Some((moment, Instant::now()));
        self.idle.insert(moment, number);
        if let Some(peers) = self.addresses.get_mut(&connection.address) {
            peers.idle.insert(moment);
        }
    }

    fn becomes_busy(&mut self, number: u64) {
        let Some(connection) = self.open.get_mut(&number) else {
            return;
        };
        let Some((moment, _)) = connection.idle_since.take() else {
            return;
        };
        self.idle.remove(&moment);
        if let Some(peers) = self.addresses.get_mut(&connection.address) {
            peers.idle.remove(&moment);
        }
    }

    fn remove(&mut self, number: u64) -> Option<Connection> {
        self.becomes_busy(number);
        let connection = self.open.remove(&number)?;
        if let Some(peers) = self.addresses.get_mut(&connection.address) {
            peers.open -= 1;
            if peers.open == 0 {
                self.addresses.remove(&connection.address);
            }
        }
        Some(connection)
    }
}

/// The right to an open connection; free again on drop.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    connections: Arc<Connections>,
    address: Address,
    number: u64,
    evicted: CancellationToken,
}

impl ConnectionPermit {
    /// Returns the address of the client.
    pub(crate) fn address(&self) -> Address {
        self.address
    }

    /// Ends when the permit was given to another connection.
    pub(crate) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    /// Ends when the connection has been idle for this long, counted from now.
    pub(crate) async fn idle_for(&self, limit: Duration) {
        let from = Instant::now();
        loop {
            let idle_since = self
                .connections
                .lock()
                .open
                .get(&self.number)
                .and_then(|it| it.idle_since);
            let now = Instant::now();
            let until = match idle_since {
                Some((_, since)) if since.max(from) + limit <= now => return,
                Some((_, since)) => since.max(from) + limit,
                None => now + limit,
            };
            sleep_until(until).await;
        }
    }

    /// Counts the connection as at work until the return value is dropped.
    pub(crate) fn begin_request(self: &Arc<Self>) -> AtWork {
        let mut state = self.connections.lock();
        if let Some(connection) = state.open.get_mut(&self.number) {
            connection.requests_at_work += 1;
            state.becomes_busy(self.number);
        }
        drop(state);
        AtWork(Arc::clone(self))
    }

    /// Counts that the server closes it.
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
            ..
        } = &*self.0;
        let mut state = connections.lock();
        let Some(connection) = state.open.get_mut(number) else {
            return;
        };
        connection.requests_at_work -= 1;
        if connection.requests_at_work == 0 {
            state.becomes_idle(*number);
        }
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn the_longest_idle_connection_goes_for_a_newcomer() {
        let connections = connections(3, 3);
        let admit = |text| Arc::new(connections.admit(address(text)).expect("somebody is idle"));
        let [first, second, third] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(admit);
        let at_work = second.begin_request();
        // Idle again, and so the one that is idle for the shortest time.
        drop(first.begin_request());
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
        assert!(state.open.is_empty() && state.idle.is_empty() && state.addresses.is_empty());
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
