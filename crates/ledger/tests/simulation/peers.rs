//! Guards of several servers, each of which asks those of all when it starts.

use std::sync::Arc;

use async_trait::async_trait;
use ledger::guard::memory::MemoryGuard;
use ledger::guard::{Guard, GuardError, GuardedHead, GuardedHeads, Reading};

/// The guard of a server, which is asked for those of all servers when it starts.
pub(crate) struct Peers {
    pub(crate) own: Arc<MemoryGuard>,
    pub(crate) all: Vec<Arc<MemoryGuard>>,
}

#[async_trait]
impl Guard for Peers {
    async fn read(&self) -> Vec<Reading> {
        let mut found = Vec::new();
        for guard in &self.all {
            found.extend(guard.read().await);
        }
        found
    }

    async fn keep(&self, head: GuardedHead) -> Result<(), GuardError> {
        self.own.keep(head).await
    }

    fn heads(&self) -> GuardedHeads {
        self.own.heads()
    }

    fn fault(&self) -> Option<String> {
        self.own.fault()
    }
}
