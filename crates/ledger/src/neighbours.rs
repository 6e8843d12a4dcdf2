//! Whether this server is the only one on its database, as far as it knows. [`crate::presence`] has
//! the argument.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// The result of the newest look for neighbours.
#[derive(Default)]
pub(crate) struct Neighbours {
    /// Until then no other server serves; `None` if one may.
    absent_until: Mutex<Option<Instant>>,
}

impl Neighbours {
    pub(crate) fn set_absent_until(&self, until: Option<Instant>) {
        // One value, written whole: a panic elsewhere does not spoil it.
        *self
            .absent_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = until;
    }

    pub(crate) fn are_absent(&self) -> bool {
        let until = *self
            .absent_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }
}
