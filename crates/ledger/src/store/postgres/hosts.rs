//! The servers that a URL names, and the way to the one that is the primary.
//!
//! They are tried in turn, as libpq does for `target_session_attrs=read-write`. The turn begins with
//! the server that was the primary last, so that a failover costs the wait for a dead server once.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep, timeout_at};

use super::promises::{LOOK_EVERY, Promises};
use super::session::{self, CONNECT_TIMEOUT};
use super::{address, error};
use crate::store::{StoreError, StoreResult};

/// Longest wait for one server of several: one that lost its power leaves time for the others.
const HOST_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause after a first failed turn; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Which servers will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// The primary alone.
    Primary,
    /// A standby too, for commands that only read.
    Any,
}

/// The servers of one database.
#[derive(Debug)]
pub(super) struct Hosts {
    options: Vec<PgConnectOptions>,
    access: Access,
    /// The server that was connected to last.
    current: AtomicUsize,
    /// Connections made so far.
    made: AtomicU64,
    /// When a server was last found to name no standbys that commits wait for; `None` if it names
    /// some.
    alone_at: Mutex<Option<Instant>>,
}

/// A new connection.
pub(super) struct Connected {
    pub(super) connection: PgConnection,
    /// The server that it leads to; see [`Hosts::is_current`].
    pub(super) host: usize,
}

impl Hosts {
    /// `options` MUST NOT be empty.
    pub(super) fn new(options: Vec<PgConnectOptions>, access: Access) -> Self {
        Self {
            options,
            access,
            current: AtomicUsize::new(0),
            made: AtomicU64::new(0),
            alone_at: Mutex::new(None),
        }
    }

    /// Whether this is the server that was connected to last.
    pub(super) fn is_current(&self, host: usize) -> bool {
        self.current.load(Ordering::Relaxed) == host
    }

    /// Returns how many connections were made so far.
    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }

    /// Whether commits may wait for standbys: they did at the last look, or that was a while ago.
    pub(super) fn may_name_standbys(&self) -> bool {
        let alone_at = self.alone_at.lock();
        let alone_at = *alone_at.unwrap_or_else(PoisonError::into_inner);
        alone_at.is_none_or(|at| at.elapsed() >= LOOK_EVERY)
    }

    /// Connects. While no server will do, tries again, for [`CONNECT_TIMEOUT`] in all.
    pub(super) async fn connect(&self) -> StoreResult<Connected> {
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.take_turn(deadline).await {
                Err(error @ StoreError::Unavailable(_)) => error,
                outcome => return outcome,
            };
            if Instant::now() + pause >= deadline {
                return Err(error);
            }
            sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// Connects at the first try, or not.
    pub(super) async fn connect_at_once(&self) -> StoreResult<Connected> {
        self.take_turn(Instant::now() + CONNECT_TIMEOUT).await
    }

    /// Connects for writes: to a server that keeps what it acknowledges.
    pub(super) async fn connect_to_write(&self) -> StoreResult<Connected> {
        let mut connected = self.connect().await?;
        session::bounded(self.check(&mut connected.connection)).await?;
        Ok(connected)
    }

    /// Looks at the session and its server; see [`crate::store::Store::check`].
    pub(super) async fn check(&self, connection: &mut PgConnection) -> StoreResult<()> {
        let promises = self.look(connection).await?;
        promises.check_durable()
    }

    /// Tries each server once.
    async fn take_turn(&self, deadline: Instant) -> StoreResult<Connected> {
        let first = self.current.load(Ordering::Relaxed);
        let mut failures = Vec::with_capacity(self.options.len());
        for place in 0..self.options.len() {
            let host = (first + place) % self.options.len();
            let patience = deadline.min(Instant::now() + HOST_TIMEOUT);
            let outcome = timeout_at(patience, self.open(&self.options[host])).await;
            match outcome.unwrap_or_else(|_| Err(no_answer())) {
                Ok(connection) => {
                    self.current.store(host, Ordering::Relaxed);
                    self.made.fetch_add(1, Ordering::SeqCst);
                    return Ok(Connected { connection, host });
                }
                Err(error) => failures.push((address::name(&self.options[host]), error)),
            }
        }
        Err(joined(failures))
    }

    async fn open(&self, options: &PgConnectOptions) -> StoreResult<PgConnection> {
        let connected = PgConnection::connect_with(options).await;
        let mut connection = connected.map_err(error::of_read)?;
        session::set_up(&mut connection).await?;
        if self.access == Access::Primary {
            let promises = self.look(&mut connection).await?;
            // A single server that takes no writes for a while still answers reads.
            if promises.is_read_only && self.options.len() > 1 {
                return Err(StoreError::Unavailable(
                    "the database is read-only".to_owned(),
                ));
            }
        }
        Ok(connection)
    }

    /// Fails unless the session is as it was asked for and leads to the primary.
    async fn look(&self, connection: &mut PgConnection) -> StoreResult<Promises> {
        let promises = Promises::read(connection).await?;
        promises.check_primary()?;
        promises.check_session()?;
        let mut alone_at = self.alone_at.lock().unwrap_or_else(PoisonError::into_inner);
        *alone_at = (!promises.names_standbys).then(Instant::now);
        Ok(promises)
    }
}

fn no_answer() -> StoreError {
    StoreError::Unavailable(format!("no connection within {} s", HOST_TIMEOUT.as_secs()))
}

/// Returns the error of a turn. One that another turn may mend counts for all.
fn joined(mut failures: Vec<(String, StoreError)>) -> StoreError {
    if let [_] = failures[..]
        && let Some((_, error)) = failures.pop()
    {
        return error;
    }
    let lasts = |(_, error): &(String, StoreError)| matches!(error, StoreError::Unusable(_));
    let all_last = failures.iter().all(lasts);
    let texts = failures
        .iter()
        .map(|(name, error)| format!("{name}: {error}"));
    let text = texts.collect::<Vec<_>>().join("; ");
    match all_last {
        true => StoreError::Unusable(text),
        false => StoreError::Unavailable(format!("no primary among the servers: {text}")),
    }
}
