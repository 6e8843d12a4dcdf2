//! The outcome of the last round of a tree, for the readiness probe.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The outcome of the last round of one tree.
#[derive(Default)]
pub(crate) struct LastRound(Mutex<Option<Outcome>>);

struct Outcome {
    at: Instant,
    /// Why the round failed, if it did.
    failure: Option<String>,
}

impl LastRound {
    /// Notes that a round ended just now.
    pub(super) fn note(&self, failure: Option<String>) {
        let outcome = Outcome {
            at: Instant::now(),
            failure,
        };
        // One value, written whole: a panic elsewhere does not spoil it.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    /// Returns whether the last round was committed, no longer ago than this.
    pub(crate) fn has_succeeded_within(&self, age: Duration) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let succeeded = |last: &Outcome| last.failure.is_none() && last.at.elapsed() < age;
        last.as_ref().is_some_and(succeeded)
    }

    /// Returns why the last round failed, if it did, no longer ago than this.
    pub(crate) fn failure_within(&self, age: Duration) -> Option<String> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = last.as_ref().filter(|last| last.at.elapsed() < age)?;
        last.failure.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outcome_counts_for_a_while() {
        let (last, second) = (LastRound::default(), Duration::from_secs(1));
        assert!(!last.has_succeeded_within(second));
        assert_eq!(last.failure_within(second), None);
        last.note(None);
        assert!(last.has_succeeded_within(second));
        tokio::time::advance(second).await;
        assert!(!last.has_succeeded_within(second));
        last.note(Some("full".to_owned()));
        assert!(!last.has_succeeded_within(second));
        assert_eq!(last.failure_within(second).as_deref(), Some("full"));
        tokio::time::advance(second).await;
        assert_eq!(last.failure_within(second), None);
    }
}
