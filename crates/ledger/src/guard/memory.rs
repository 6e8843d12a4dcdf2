//! A guard in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::kept::{GuardedHead, GuardedHeads};
use super::place::{Guard, GuardError, Origin, Reading};

/// A guard that lasts as long as its process: for tests, and for measurements of what a guard costs.
/// It keeps heads at once, without a thread.
#[derive(Debug)]
pub struct MemoryGuard {
    kept: Mutex<GuardedHeads>,
    fault: Mutex<Option<String>>,
}

impl MemoryGuard {
    /// Makes a guard of a ledger that has no heads yet.
    pub fn new(ledger: &str) -> Self {
        let heads = GuardedHeads {
            ledger: ledger.to_owned(),
            heads: Vec::new(),
        };
        Self {
            kept: Mutex::new(heads),
            fault: Mutex::default(),
        }
    }

    /// Makes it fail with this reason from now on, or work again.
    pub fn set_fault(&self, fault: Option<String>) {
        *lock(&self.fault) = fault;
    }
}

#[async_trait]
impl Guard for MemoryGuard {
    async fn read(&self) -> Vec<Reading> {
        let heads = self.heads();
        let found = (!heads.heads.is_empty()).then_some(heads);
        vec![Reading {
            origin: Origin::Place,
            label: "memory".to_owned(),
            found: Ok(found),
        }]
    }

    async fn keep(&self, head: GuardedHead) -> Result<(), GuardError> {
        if let Some(reason) = self.fault() {
            return Err(GuardError(reason));
        }
        let mut kept = lock(&self.kept);
        let mut of_log = kept.heads.iter().filter(|kept| kept.api == head.api);
        if of_log.all(|kept| !kept.is_newer_than(&head)) {
            kept.note(head);
        }
        Ok(())
    }

    fn heads(&self) -> GuardedHeads {
        lock(&self.kept).clone()
    }

    fn fault(&self) -> Option<String> {
        lock(&self.fault).clone()
    }
}

/// Each value is written whole, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
