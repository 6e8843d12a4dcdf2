//! A server shows that it lives and which log keys it holds, so that a rotation can wait for all of
//! them, and so that others know that they are not alone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tlog::Hash;
use tokio::time::Instant;

use super::log::Log;
use crate::store::{ServerRow, StoreResult};

/// How often a server shows that it lives.
const SHOW_EVERY: Duration = Duration::from_secs(10);
/// A server that was silent for this long does not live: it missed two turns.
pub(crate) const LIVES_FOR: Duration = Duration::from_secs(30);
/// How often a server looks whether a key is registered that it does not hold yet.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often a server looks whether it is alone on its database.
const LOOK_AROUND_EVERY: Duration = Duration::from_millis(50);
/// A server that did not say that it stops may serve again after a silence of up to this (a machine
/// that was suspended, a database that it cannot tell): until then nobody takes himself to be
/// alone.
const SERVES_FOR: Duration = Duration::from_secs(60 * 60);
/// A look that found nobody counts for so long: three more looks. A server that comes waits as long
/// between showing itself and serving, so that by then nobody takes himself to be alone.
const ALONE_FOR: Duration = Duration::from_millis(200);

/// Whether other servers may write to the database.
#[derive(Default)]
pub(crate) struct Company {
    /// Until then nobody else serves.
    alone_until: Mutex<Option<Instant>>,
}

impl Company {
    fn alone_until(&self, until: Option<Instant>) {
        // One value, written whole: a panic elsewhere does not spoil it.
        *self
            .alone_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = until;
    }

    fn is_alone(&self) -> bool {
        let until = *self
            .alone_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }
}

impl Log {
    /// Whether nobody else can have written to the log: what this server knows is the newest there
    /// is.
    pub(crate) fn is_alone(&self) -> bool {
        !self.parts.store.is_shared() || self.company.is_alone()
    }

    /// Waits until all who take themselves to be alone have seen this server, which MUST be noted.
    pub(crate) async fn be_seen(&self) {
        if self.parts.store.is_shared() {
            tokio::time::sleep(ALONE_FOR).await;
        }
    }

    /// Looks for other servers on a shared database until the log ends.
    pub(crate) async fn look_around(self: Arc<Self>) {
        let own = &self.parts.server;
        let ended = self.ended.clone();
        while ended
            .run_until_cancelled(tokio::time::sleep(LOOK_AROUND_EVERY))
            .await
            .is_some()
        {
            let began = Instant::now();
            // If the database does not answer, its follower complains.
            let servers = self
                .parts
                .store
                .servers(&own.name, SERVES_FOR)
                .await
                .unwrap_or_default();
            let is_only_one = matches!(&servers[..], [one] if one.server_id == own.server_id);
            // Whoever has just left wrote until then: that is read first.
            let is_alone =
                is_only_one && (self.company.is_alone() || self.newest_head().await.is_ok());
            self.company
                .alone_until(is_alone.then_some(began + ALONE_FOR));
        }
    }

    /// Shows that this server lives, until the log ends.
    pub(crate) async fn show_presence(self: Arc<Self>) {
        let mut shown = self.parts.keys.log_ids();
        let mut next = Instant::now() + SHOW_EVERY;
        let ended = self.ended.clone();
        while ended
            .run_until_cancelled(tokio::time::sleep(LOOK_EVERY))
            .await
            .is_some()
        {
            self.look_for_next_key().await;
            let held = self.parts.keys.log_ids();
            if held == shown && Instant::now() < next {
                continue;
            }
            match self.note_server(&held).await {
                Ok(()) => (shown, next) = (held, Instant::now() + SHOW_EVERY),
                Err(error) => tracing::warn!(%error, "cannot show that this server lives"),
            }
        }
    }

    /// Notes this server with the keys that it holds.
    pub(crate) async fn note_server(&self, log_ids: &[Hash]) -> StoreResult<()> {
        self.parts
            .store
            .note_server(&ServerRow {
                log_ids: log_ids.to_vec(),
                ..self.parts.server.clone()
            })
            .await
    }

    async fn look_for_next_key(&self) {
        match self.parts.store.next_key(&self.parts.server.name).await {
            Ok(Some(spki)) if self.parts.keys.find(&tlog::sha256(&spki)).is_none() => {
                self.parts.keys.look(&self.parts.rng)
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "cannot read the registered key"),
        }
    }
}
