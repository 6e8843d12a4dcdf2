//! The promises of a database server that a log rests on: looked at in each new session, and once a
//! minute in the sessions that write.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::Instant;

use super::error;
use super::hosts::Hosts;
use super::session::{self, bounded};
use crate::store::{StoreError, StoreResult};

/// How often a session that writes looks again.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(60);

/// `pg_settings` has the values without their units.
const PROMISES: &str = "SELECT pg_is_in_recovery() AS is_standby,
    current_setting('transaction_read_only') = 'on' AS is_read_only,
    current_setting('fsync') = 'on' AS syncs,
    current_setting('full_page_writes') = 'on' AS writes_full_pages,
    current_setting('synchronous_standby_names') <> '' AS names_standbys,
    array(SELECT name FROM pg_settings WHERE name = ANY($1) ORDER BY name) AS names,
    array(SELECT setting FROM pg_settings WHERE name = ANY($1) ORDER BY name) AS values";

/// The state of a session and of its server.
#[derive(sqlx::FromRow)]
pub(super) struct Promises {
    is_standby: bool,
    pub(super) is_read_only: bool,
    syncs: bool,
    writes_full_pages: bool,
    /// Whether commits wait for standbys.
    pub(super) names_standbys: bool,
    names: Vec<String>,
    values: Vec<String>,
}

impl Promises {
    pub(super) async fn read(connection: &mut PgConnection) -> StoreResult<Self> {
        let mut names: Vec<&str> = session::SETTINGS.iter().map(|(name, _)| *name).collect();
        names.push(SYNCHRONOUS_COMMIT);
        let query = sqlx::query_as(PROMISES).bind(names).persistent(false);
        query.fetch_one(connection).await.map_err(error::of_read)
    }

    /// Fails on a standby. It is waited for, because an address may lead to a standby for a moment
    /// before that is promoted.
    pub(super) fn check_primary(&self) -> StoreResult<()> {
        match self.is_standby {
            true => Err(a_standby()),
            false => Ok(()),
        }
    }

    /// Fails if the session is not as it was asked for. A pooler may pass over the options of a
    /// connection, or give each transaction another session.
    pub(super) fn check_session(&self) -> StoreResult<()> {
        let value_of = |wanted: &str| {
            let place = self.names.iter().position(|name| name == wanted);
            place.map_or("unknown", |place| &self.values[place])
        };
        for (name, wanted) in session::SETTINGS {
            let value = value_of(name);
            if value != wanted {
                return Err(not_in_force(name, value));
            }
        }
        match value_of(SYNCHRONOUS_COMMIT) {
            "on" | "remote_apply" => Ok(()),
            value => Err(not_in_force(SYNCHRONOUS_COMMIT, value)),
        }
    }

    /// Fails if the server would not keep what it acknowledges.
    pub(super) fn check_durable(&self) -> StoreResult<()> {
        let fault = if self.is_read_only {
            "the database is read-only"
        } else if !self.syncs {
            "fsync is off: the database would lose acknowledged entries when its machine loses power"
        } else if !self.writes_full_pages {
            "full_page_writes is off: the database may be damaged when its machine loses power"
        } else {
            return Ok(());
        };
        Err(StoreError::Unusable(fault.to_owned()))
    }
}

const SYNCHRONOUS_COMMIT: &str = "synchronous_commit";

pub(super) fn a_standby() -> StoreError {
    StoreError::Unavailable("the database is a standby: waiting for the primary".to_owned())
}

fn not_in_force(name: &str, value: &str) -> StoreError {
    StoreError::Unusable(format!(
        "{name} is {value} in a session that asked for another value: is there a pooler in between? The database URL must lead \
         to the database server itself"
    ))
}

/// The look that a session which writes takes once a minute.
pub(super) struct Lookout {
    hosts: Arc<Hosts>,
    next: Instant,
}

impl Lookout {
    /// Begins the minute of a session that was looked at just now.
    pub(super) fn new(hosts: &Arc<Hosts>) -> Self {
        Self {
            hosts: Arc::clone(hosts),
            next: Instant::now() + LOOK_EVERY,
        }
    }

    /// Looks, if the minute is over.
    pub(super) async fn look_if_due(&mut self, connection: &mut PgConnection) -> StoreResult<()> {
        if Instant::now() < self.next {
            return Ok(());
        }
        bounded(self.hosts.check(connection)).await?;
        self.next = Instant::now() + LOOK_EVERY;
        Ok(())
    }
}
