//! Readiness: whether a write would be taken now.

use std::fmt;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Ledger;
use crate::log::Log;
use crate::store::{Store, StoreError};
use crate::tasks::Fatal;
use crate::writing::append_error::AppendError;

/// The database is written to for probes no more often than this. A round that was committed in this
/// time needs no probe.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How long a failed round counts, if no round follows it: it may have failed for a reason that the
/// probe does not meet. After that the probe decides, because a server that is not ready gets no writes
/// that could show that it is.
const FAILURE_COUNTS_FOR: Duration = Duration::from_secs(2);

/// Why a server is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReady {
    /// The API of the log that would not take a write. `None`: no log would.
    pub log: Option<&'static str>,
    /// The reason, which anybody may see.
    pub reason: String,
    /// The cause, if the reason leaves out what only an operator should see.
    pub cause: Option<String>,
}

impl NotReady {
    fn new(reason: impl Into<String>) -> Self {
        Self {
            log: None,
            reason: reason.into(),
            cause: None,
        }
    }

    fn because(self, cause: impl Into<String>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..self
        }
    }

    fn of(self, log: &Log) -> Self {
        Self {
            log: Some(log.api().name),
            ..self
        }
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(log) = self.log {
            write!(f, "{log}: ")?;
        }
        f.write_str(&self.reason)?;
        match &self.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

/// The last probe of the database, which all that ask within a second share.
#[derive(Default)]
pub(super) struct LastProbe(Mutex<Option<(Instant, Result<(), String>)>>);

impl LastProbe {
    async fn renew(&self, store: &dyn Store) -> Result<(), String> {
        let mut last = self.0.lock().await;
        if let Some((at, outcome)) = &*last
            && at.elapsed() < PROBE_EVERY
        {
            return outcome.clone();
        }
        let probed = store.probe().await;
        let outcome = probed.map_err(|error| error.to_string());
        *last = Some((Instant::now(), outcome.clone()));
        outcome
    }
}

impl Ledger {
    /// Fails with the reason unless each log would take a write now: all tasks run, no log is
    /// read-only, published checkpoints verify, nothing holds up heads, the clocks agree, rounds
    /// are committed, and the database can be written to.
    pub async fn ready(&self) -> Result<(), NotReady> {
        self.check_tasks()?;
        if let Some(cause) = self.inner.parts.guard.fault() {
            return Err(NotReady::new("no guard can be written").because(cause));
        }
        for log in self.logs() {
            log.check_heads().map_err(|reason| reason.of(log))?;
            log.check_writes().map_err(|reason| reason.of(log))?;
        }
        self.check_clocks().await?;
        let has_written = |log: &Log| {
            let active = log.open.active();
            active.last_round.has_succeeded_within(PROBE_EVERY)
        };
        if self.logs().iter().all(has_written) {
            return Ok(());
        }
        let store = self.inner.parts.store.as_ref();
        let probed = self.inner.last_probe.renew(store).await;
        probed.map_err(|cause| NotReady::new("the database takes no writes").because(cause))
    }

    /// Fails with the reason unless each log can be read: all tasks run, no log is read-only because
    /// its database went back, published checkpoints verify, and the database answers.
    pub async fn ready_to_read(&self) -> Result<(), NotReady> {
        self.check_tasks()?;
        for log in self.logs() {
            log.check_heads().map_err(|reason| reason.of(log))?;
        }
        self.check_database().await
    }

    fn check_tasks(&self) -> Result<(), NotReady> {
        match self.inner.parts.tasks.fatal() {
            Some(Fatal::LacksKey(reason)) => {
                Err(NotReady::new("the server lacks the key of a log").because(reason))
            }
            Some(Fatal::TaskEnded(task)) => Err(NotReady::new(format!("{task} ended abnormally"))),
            None => Ok(()),
        }
    }

    /// Fails with the reason if the database does not answer, or its clock differs from this server's.
    async fn check_clocks(&self) -> Result<(), NotReady> {
        match self.inner.parts.database_clock_fault().await {
            Ok(None) => Ok(()),
            Ok(Some(fault)) => Err(NotReady::new(fault.to_string())),
            Err(error) => Err(no_database(&error)),
        }
    }

    async fn check_database(&self) -> Result<(), NotReady> {
        let now = self.inner.parts.store.now_millis().await;
        now.map(drop).map_err(|error| no_database(&error))
    }
}

fn no_database(error: &StoreError) -> NotReady {
    NotReady::new("the database is unavailable").because(error.to_string())
}

impl Log {
    fn check_heads(&self) -> Result<(), NotReady> {
        let active = self.open.active();
        let heads = &active.shard.heads;
        if let Some(reason) = heads.halted() {
            return Err(NotReady::new(format!("the log is read-only: {reason}")));
        }
        let head = heads.published();
        for text in head.texts() {
            text.open().map_err(|cause| {
                NotReady::new("the published checkpoint does not verify").because(cause.to_string())
            })?;
        }
        Ok(())
    }

    fn check_writes(&self) -> Result<(), NotReady> {
        let active = self.open.active();
        if active.is_stopping() {
            return Err(NotReady::new("the log is stopping"));
        }
        if let Some(fault) = self.clock_fault() {
            return Err(NotReady::new(fault.to_string()));
        }
        let unpublished = active.shard.heads.check_unpublished();
        unpublished.map_err(|reason| match AppendError::from(reason) {
            AppendError::NotLetOut(cause) => {
                NotReady::new("the newest tree head cannot be let out").because(cause)
            }
            error => NotReady::new(error.to_string()),
        })?;
        match active.last_round.failure_within(FAILURE_COUNTS_FOR) {
            Some(cause) => Err(NotReady::new("the last round failed").because(cause)),
            None => Ok(()),
        }
    }
}
