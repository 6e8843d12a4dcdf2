//! A server shows that it lives and which log keys it holds, so that a rotation can wait for all of them.

use std::sync::Arc;
use std::time::Duration;

use tlog::Hash;
use tokio::time::Instant;

use crate::log::Log;
use crate::store::{ServerRow, StoreResult};

/// How often a server shows that it lives.
const SHOW_EVERY: Duration = Duration::from_secs(10);
/// A server that was silent for this long does not live: it missed two turns.
pub(crate) const LIVES_FOR: Duration = Duration::from_secs(30);
/// How often a server looks whether a key is registered that it does not hold yet.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Log {
    /// Shows that this server lives, until the log ends.
    pub(crate) async fn show_presence(self: Arc<Self>) {
        let mut shown = self.parts.keys.log_ids();
        let mut next = Instant::now() + SHOW_EVERY;
        let ended = self.ended.clone();
        while ended.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
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
        self.parts.store.note_server(&ServerRow { log_ids: log_ids.to_vec(), ..self.parts.server.clone() }).await
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
