//! Each server keeps a row in the database that says which keys it holds. A rotation waits until the
//! rows of all live servers have the next key, and a server without a neighbour reads less.
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

use std::sync::Arc;
use std::time::Duration;

use tlog::Hash;
use tokio::time::Instant;

use crate::parts::LedgerParts;
use crate::shards::open_log::OpenLog;
use crate::store::{LogName, ServerRow, StoreResult};

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

impl LedgerParts {
    /// Returns whether no other server can have written to the ledger, so that the heads that are
    /// known here are the newest.
    pub(crate) fn is_alone(&self) -> bool {
        !self.store.is_shared() || self.neighbours.are_absent()
    }

    /// Stores the row of this server, with the keys that it holds, unless the ledger has ended.
    async fn note_server_with(&self, keys: Vec<Hash>) -> StoreResult<()> {
        let _turn = self.server_row.lock().await;
        if self.ended.is_cancelled() {
            return Ok(());
        }
        let row = ServerRow {
            keys,
            ..self.server.clone()
        };
        self.store.note_server(&row).await
    }

    /// Ends the ledger, and removes the row of this server for good: a row that is being stored is
    /// waited for. A row that stayed would block a rotation until the server is presumed dead.
    pub(crate) async fn end(&self) -> StoreResult<()> {
        self.ended.cancel();
        let _turn = self.server_row.lock().await;
        self.store.forget_server(&self.server.server_id).await
    }
}

/// Shows that this server lives, and looks for other servers of its ledger.
pub(crate) struct Presence {
    parts: Arc<LedgerParts>,
    logs: Vec<Arc<OpenLog>>,
}

impl Presence {
    pub(crate) fn new(parts: &Arc<LedgerParts>, logs: Vec<Arc<OpenLog>>) -> Arc<Self> {
        Arc::new(Self {
            parts: Arc::clone(parts),
            logs,
        })
    }

    /// Starts the tasks, and waits until no other server assumes to be alone any more.
    pub(crate) async fn start(self: Arc<Self>) -> StoreResult<()> {
        let (parts, tasks) = (&self.parts, &self.parts.tasks);
        parts.note_server_with(parts.keys.digests()).await?;
        let has_ended = {
            let ended = parts.ended.clone();
            move || ended.is_cancelled()
        };
        tasks.spawn(
            "the task that shows that this server lives",
            has_ended.clone(),
            Arc::clone(&self).show(),
        );
        if parts.store.is_shared() {
            tokio::time::sleep(ALONE_FOR).await;
            tasks.spawn(
                "the task that looks for other servers",
                has_ended,
                Arc::clone(&self).look_for_neighbours(),
            );
        }
        Ok(())
    }

    /// Looks for neighbours on a shared database until the ledger ends.
    async fn look_for_neighbours(self: Arc<Self>) {
        let (own, neighbours) = (&self.parts.server, &self.parts.neighbours);
        let ended = self.parts.ended.clone();
        while ended
            .run_until_cancelled(tokio::time::sleep(NEIGHBOURS_EVERY))
            .await
            .is_some()
        {
            let began = Instant::now();
            let servers = self.parts.store.servers(&own.name, SERVES_FOR).await;
            // A database that does not answer is reported by the follower.
            let servers = servers.unwrap_or_default();
            let is_only_one = matches!(&servers[..], [one] if one.server_id == own.server_id);
            // A neighbour that has just left may have written until then, so its heads are read
            // first.
            let is_alone = is_only_one && (neighbours.are_absent() || self.read_heads().await);
            neighbours.set_absent_until(is_alone.then_some(began + ALONE_FOR));
        }
    }

    /// Reads the newest head of each log. Returns whether that succeeded.
    async fn read_heads(&self) -> bool {
        for log in &self.logs {
            if log.newest_head().await.is_err() {
                return false;
            }
        }
        true
    }

    /// Renews the row of this server until the ledger ends.
    async fn show(self: Arc<Self>) {
        let mut shown = self.parts.keys.digests();
        let mut next = Instant::now() + SHOW_EVERY;
        let ended = self.parts.ended.clone();
        while ended
            .run_until_cancelled(tokio::time::sleep(LOOK_EVERY))
            .await
            .is_some()
        {
            self.look_for_next_keys().await;
            let held = self.parts.keys.digests();
            if held == shown && Instant::now() < next {
                continue;
            }
            match self.parts.note_server_with(held.clone()).await {
                Ok(()) => (shown, next) = (held, Instant::now() + SHOW_EVERY),
                Err(error) => tracing::warn!(%error, "the row of this server cannot be renewed"),
            }
        }
    }

    async fn look_for_next_keys(&self) {
        for log in &self.logs {
            let name = LogName {
                name: &self.parts.server.name,
                api: log.parts.api.name,
            };
            match self.parts.store.next_key(name).await {
                Ok(Some(spki)) if self.parts.keys.find(&tlog::sha256(&spki)).is_none() => {
                    self.parts.keys.look(&self.parts.rng);
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "cannot read the registered key"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use ring::rand::SystemRandom;

    use super::*;
    use crate::clock::SystemClock;
    use crate::keys::key_ring::KeyRing;
    use crate::open::Settings;
    use crate::store::sqlite::SqliteStore;

    #[tokio::test]
    async fn a_row_that_was_removed_does_not_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("log.sqlite")).await;
        let settings = Settings {
            store: Arc::new(store.unwrap()),
            apis: &crate::APIS,
            name: None,
            keys: KeyRing::new([]),
            place: "test".into(),
            witnessing: None,
            clock: Arc::new(SystemClock),
            rng: SystemRandom::new(),
            metrics: Registry::new(),
        };
        let parts = LedgerParts::new(settings, "name").unwrap();
        let rows = async || parts.store.servers("name", LIVES_FOR).await.unwrap().len();
        parts.note_server_with(Vec::new()).await.unwrap();
        assert_eq!(rows().await, 1);
        parts.end().await.unwrap();
        parts.note_server_with(Vec::new()).await.unwrap();
        assert_eq!(rows().await, 0);
    }
}
