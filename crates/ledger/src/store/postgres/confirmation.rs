//! Confirmations: one small commit of our own that lies behind everything that was read.
//!
//! A commit that waits for a synchronous standby shows itself before it is there when the primary is
//! restarted, or when the waiting session is ended. A later commit that has come back proves that
//! everything before it has arrived too, because standbys receive the WAL in its order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::PgConnection;
use tlog::{Hash, TreeSize};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::error;
use super::hosts::Hosts;
use super::notice::NoticeTrap;
use super::promises::Lookout;
use super::session::{ANSWER_TIMEOUT, bounded, bounded_commit};
use crate::TreeId;
use crate::store::numbers::to_sql;
use crate::store::{StoreError, StoreResult};

/// The message is in the WAL alone, so the role needs no right on any table. The head is looked for
/// in the same statement, because after a failover this may be another server than the one that it
/// was read from. The head of a size is the last one that begins below that size.
const CONFIRM: &str = "SELECT pg_logical_emit_message(true, 'treehead', '')::text, coalesce((
        SELECT h.size = $2 AND h.root = $3 FROM head h
        WHERE h.tree_id = $1 AND h.prev_size < $2 ORDER BY h.prev_size DESC LIMIT 1
    ), $2 = 0)";

/// Makes the confirmations of one store, one at a time.
pub(super) struct Confirmations {
    hosts: Arc<Hosts>,
    /// [`Hosts::made`] as of the last confirmation.
    confirmed: AtomicU64,
    state: Mutex<State>,
}

struct State {
    session: Option<Session>,
    /// The server's process of a confirmation whose answer was not waited for to its end.
    given_up: Option<i32>,
    notices: NoticeTrap,
}

struct Session {
    connection: PgConnection,
    host: usize,
    process: i32,
    lookout: Lookout,
}

/// A head, as it is stored.
pub(super) struct Stored<'h> {
    pub(super) tree: TreeId,
    pub(super) size: TreeSize,
    pub(super) root: &'h Hash,
}

impl Confirmations {
    pub(super) fn new(hosts: &Arc<Hosts>) -> Self {
        Self {
            hosts: Arc::clone(hosts),
            confirmed: AtomicU64::new(0),
            state: Mutex::new(State {
                session: None,
                given_up: None,
                notices: NoticeTrap::new(),
            }),
        }
    }

    /// Confirms a head unless what was read is durable where it has to be by itself.
    pub(super) async fn confirm_if_needed(&self, head: &Stored<'_>) -> StoreResult<()> {
        let is_new = self.hosts.made() != self.confirmed.load(Ordering::SeqCst);
        match is_new || self.hosts.may_name_standbys() {
            true => self.confirm(head).await,
            false => Ok(()),
        }
    }

    /// Commits, and looks whether the head is there.
    pub(super) async fn confirm(&self, head: &Stored<'_>) -> StoreResult<()> {
        let state = timeout(ANSWER_TIMEOUT, self.state.lock()).await;
        let mut state = state.map_err(|_| waits_for_standby())?;
        let mut session = match state.session.take() {
            Some(session) if self.hosts.is_current(session.host) => session,
            _ => self.connect().await?,
        };
        let connection = &mut session.connection;
        session.lookout.look_if_due(connection).await?;
        // The connections whose reads this confirms.
        let made = self.hosts.made();
        if let Some(process) = state.given_up {
            let waits = bounded(still_waits(&mut session.connection, process)).await?;
            if waits {
                state.session = Some(session);
                return Err(waits_for_standby());
            }
        }
        // Stays if this is dropped half way.
        state.given_up = Some(session.process);
        let commit = bounded_commit(run(&mut session.connection, head));
        let (answer, warning) = state.notices.watch(commit).await;
        let is_there = answer.map_err(unconfirmed)?;
        state.given_up = None;
        if let Some(warning) = warning {
            return Err(unconfirmed(warning));
        }
        state.session = Some(session);
        if !is_there {
            let size = head.size;
            return Err(StoreError::Unavailable(format!(
                "the database does not have the tree head of size {size} any more"
            )));
        }
        self.confirmed.fetch_max(made, Ordering::SeqCst);
        Ok(())
    }

    async fn connect(&self) -> StoreResult<Session> {
        let mut connected = self.hosts.connect_to_write().await?;
        let process = bounded(process_of(&mut connected.connection)).await?;
        Ok(Session {
            connection: connected.connection,
            host: connected.host,
            process,
            lookout: Lookout::new(&self.hosts),
        })
    }
}

async fn run(connection: &mut PgConnection, head: &Stored<'_>) -> Result<bool, sqlx::Error> {
    let size = to_sql(head.size.0).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let query = sqlx::query_as(CONFIRM)
        .bind(head.tree.0)
        .bind(size)
        .bind(head.root.0.as_slice());
    let (_, is_there): (String, bool) = query.fetch_one(connection).await?;
    Ok(is_there)
}

async fn process_of(connection: &mut PgConnection) -> StoreResult<i32> {
    let query = sqlx::query_scalar("SELECT pg_backend_pid()");
    query.fetch_one(connection).await.map_err(error::of_read)
}

const STILL_WAITS: &str = "SELECT EXISTS (
        SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep'
    )";

/// Whether an earlier confirmation still waits for a standby. Another one would wait behind it, and
/// while no standby comes each would keep a process of the server.
async fn still_waits(connection: &mut PgConnection, process: i32) -> StoreResult<bool> {
    let query = sqlx::query_scalar(STILL_WAITS).bind(process);
    query.fetch_one(connection).await.map_err(error::of_read)
}

fn waits_for_standby() -> StoreError {
    StoreError::Unavailable("commits wait for a synchronous standby".to_owned())
}

fn unconfirmed(reason: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("what was read could not be confirmed: {reason}"))
}
