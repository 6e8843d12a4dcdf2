//! A pool of connections.
//!
//! It differs from sqlx's in three ways. A connection is tried, for a bounded time, when it was idle
//! for a while; one to a server that is no longer the current one is not used again; and a
//! connection goes back without a question to the server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::hosts::{Connected, Hosts};
use super::session::CONNECT_TIMEOUT;
use crate::store::{PoolUsage, StoreError, StoreResult};

/// A connection of the pool lives this long, so that one to a server that lost its role goes away.
const MAX_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// A connection that was idle for longer is tried before it is used: its server may have been
/// restarted.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// Longest wait for the answer to that.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections to one database, made when they are needed. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hosts: Arc<Hosts>,
    limit: u32,
    /// One for each connection that may be in use.
    permits: Arc<Semaphore>,
    /// The one that was used last is at the end.
    idle: Mutex<Vec<Pooled>>,
}

/// A connection of the pool.
#[derive(Debug)]
struct Pooled {
    connection: PgConnection,
    host: usize,
    made: Instant,
    idle_since: Instant,
    /// Whether it is tried before it is used, however short it was idle.
    is_doubtful: bool,
}

/// A connection in use. If it is neither put back nor closed, its query was given up half way.
pub(super) struct Held {
    pool: Arc<Inner>,
    pooled: Option<Pooled>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Pool {
    pub(super) fn new(hosts: &Arc<Hosts>, limit: u32) -> Self {
        Self(Arc::new(Inner {
            hosts: Arc::clone(hosts),
            limit,
            permits: Arc::new(Semaphore::new(limit as usize)),
            idle: Mutex::default(),
        }))
    }

    /// Returns the present state, for metrics.
    pub(super) fn usage(&self, name: &'static str) -> PoolUsage {
        let free = self.0.permits.available_permits();
        PoolUsage {
            name,
            busy: self
                .0
                .limit
                .saturating_sub(u32::try_from(free).unwrap_or(u32::MAX)),
            idle: u32::try_from(self.0.idle().len()).unwrap_or(u32::MAX),
            limit: self.0.limit,
        }
    }

    /// Takes a connection, an idle one or a new one. Waits for one up to [`CONNECT_TIMEOUT`].
    pub(super) async fn acquire(&self) -> StoreResult<Held> {
        let permits = Arc::clone(&self.0.permits);
        let permit = match timeout(CONNECT_TIMEOUT, permits.acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => {
                return Err(StoreError::Unavailable(format!(
                    "all {} connections are busy",
                    self.0.limit
                )));
            }
        };
        let pooled = match self.0.take_idle().await {
            Some(pooled) => pooled,
            None => Pooled::new(self.0.hosts.connect().await?),
        };
        Ok(Held {
            pool: Arc::clone(&self.0),
            pooled: Some(pooled),
            permit: Some(permit),
        })
    }
}

impl Inner {
    fn idle(&self) -> MutexGuard<'_, Vec<Pooled>> {
        // A panic elsewhere leaves the list whole.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn can_be_used(&self, pooled: &Pooled) -> bool {
        self.hosts.is_current(pooled.host) && pooled.made.elapsed() < MAX_LIFETIME
    }

    /// Returns an idle connection that is alive. If the one that was used last is dead, so are the
    /// others, most likely.
    async fn take_idle(&self) -> Option<Pooled> {
        let mut pooled = {
            let mut idle = self.idle();
            idle.retain(|pooled| self.can_be_used(pooled));
            idle.pop()?
        };
        let is_trusted = !pooled.is_doubtful && pooled.idle_since.elapsed() < TRUSTED_IDLE;
        if is_trusted || pooled.answers().await {
            return Some(pooled);
        }
        self.idle().clear();
        None
    }

    fn put_back(&self, mut pooled: Pooled) {
        if self.can_be_used(&pooled) {
            pooled.idle_since = Instant::now();
            pooled.is_doubtful = false;
            self.idle().push(pooled);
        }
    }
}

impl Pooled {
    fn new(connected: Connected) -> Self {
        let now = Instant::now();
        Self {
            connection: connected.connection,
            host: connected.host,
            made: now,
            idle_since: now,
            is_doubtful: false,
        }
    }

    async fn answers(&mut self) -> bool {
        matches!(
            timeout(PING_TIMEOUT, self.connection.ping()).await,
            Ok(Ok(()))
        )
    }
}

impl Held {
    pub(super) fn connection(&mut self) -> StoreResult<&mut PgConnection> {
        let gone = || StoreError::Unavailable("the connection is gone".to_owned());
        let pooled = self.pooled.as_mut().ok_or_else(gone)?;
        Ok(&mut pooled.connection)
    }

    /// Gives the connection back after an answer.
    pub(super) fn put_back(mut self) {
        if let Some(pooled) = self.pooled.take() {
            self.pool.put_back(pooled);
        }
    }

    /// Closes the connection after an error. Its server may be gone, and the other connections with
    /// it.
    pub(super) fn close(mut self) {
        self.pooled = None;
        for pooled in self.pool.idle().iter_mut() {
            pooled.is_doubtful = true;
        }
    }
}

impl Drop for Held {
    /// A client that left has dropped its query. The answer is read to its end elsewhere, which
    /// costs less than a new connection.
    fn drop(&mut self) {
        let (Some(mut pooled), Some(permit)) = (self.pooled.take(), self.permit.take()) else {
            return;
        };
        let pool = Arc::clone(&self.pool);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if pooled.answers().await {
                    pool.put_back(pooled);
                }
                drop(permit);
            });
        }
    }
}
