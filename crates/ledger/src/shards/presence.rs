//! Each server keeps a row in the database that says which log keys it holds. A rotation waits
//! until the rows of all live servers have the next key, and a server without a neighbour reads
//! less.
//!
//! # When a server may assume that it is alone
//!
//! A server that is alone on its database knows all heads, so it answers reads without asking for a
//! newer one. The worst case is a second server that starts just after the first one looked for
//! neighbours. The first server's assumption holds for [`ALONE_FOR`] from the moment at which its
//! look *began*. The second server stores its row, and serves no earlier than [`ALONE_FOR`] after
//! that row is durable. If the look began before the row was durable, the assumption ends before
//! the second server serves. If it began later, it finds the row, and there is no assumption. A
//! slow look shortens the assumption, and a look that fails ends it. A server that stops removes
//! its row, and the first server reads the newest head once more before it assumes anything, so it
//! has all that the other one wrote. A row that was not removed counts for [`SERVES_FOR`], because
//! its server may be suspended or cut off. Only a server that was silent for longer can write
//! beside another one that assumes to be alone, until it renews its row ([`SHOW_EVERY`]). The
//! damage is then a read that misses what was just written. No commit, signature or rotation
//! depends on this assumption.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tlog::Hash;
use tokio::time::Instant;

use super::log::Log;
use crate::store::{ServerRow, StoreResult};

/// How often a server renews its row.
const SHOW_EVERY: Duration = Duration::from_secs(10);
/// A server whose row is older is presumed dead: it missed two renewals.
pub(crate) const LIVES_FOR: Duration = Duration::from_secs(30);
/// How often a server looks for a registered key that it does not hold yet.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often a server looks for neighbours on its database.
const NEIGHBOURS_EVERY: Duration = Duration::from_millis(50);
/// How long a row that was not removed counts as a neighbour.
const SERVES_FOR: Duration = Duration::from_secs(60 * 60);
/// How long a look that found no neighbour counts: three more looks. A server that starts waits as
/// long between storing its row and serving.
const ALONE_FOR: Duration = Duration::from_millis(200);

/// The result of the newest look for neighbours.
#[derive(Default)]
pub(crate) struct Neighbours {
    /// Until then no other server serves; `None` if one may.
    absent_until: Mutex<Option<Instant>>,
}

impl Neighbours {
    fn set_absent_until(&self, until: Option<Instant>) {
        // One value, written whole: a panic elsewhere does not spoil it.
        *self
            .absent_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = until;
    }

    fn are_absent(&self) -> bool {
        let until = *self
            .absent_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }
}

impl Log {
    /// Returns whether no other server can have written to the log, so that the head that is known
    /// here is the newest.
    pub(crate) fn is_alone(&self) -> bool {
        !self.parts.store.is_shared() || self.neighbours.are_absent()
    }

    /// Waits until no other server assumes to be alone any more. This server's row MUST be stored.
    pub(crate) async fn wait_for_neighbours(&self) {
        if self.parts.store.is_shared() {
            tokio::time::sleep(ALONE_FOR).await;
        }
    }

    /// Looks for neighbours on a shared database until the log ends.
    pub(crate) async fn look_for_neighbours(self: Arc<Self>) {
        let own = &self.parts.server;
        let ended = self.ended.clone();
        while ended
            .run_until_cancelled(tokio::time::sleep(NEIGHBOURS_EVERY))
            .await
            .is_some()
        {
            let began = Instant::now();
            // A database that does not answer is reported by the follower.
            let servers = self
                .parts
                .store
                .servers(&own.name, SERVES_FOR)
                .await
                .unwrap_or_default();
            let is_only_one = matches!(&servers[..], [one] if one.server_id == own.server_id);
            // A neighbour that has just left may have written until then, so its head is read
            // first.
            let is_alone =
                is_only_one && (self.neighbours.are_absent() || self.newest_head().await.is_ok());
            self.neighbours
                .set_absent_until(is_alone.then_some(began + ALONE_FOR));
        }
    }

    /// Renews the row of this server until the log ends.
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
                Err(error) => tracing::warn!(%error, "the row of this server cannot be renewed"),
            }
        }
    }

    /// Stores the row of this server, with the keys that it holds.
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
