//! Where checks run: light ones in the request's own task, costly ones on a blocking thread, so many at once.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::body::Admitted;
use crate::errors::ApiError;
use crate::limits::{ADMISSION_WAIT, LIGHT_BODY_BYTES};
use crate::metrics::{Metrics, Refused};

/// Gives checks their turn.
pub(crate) struct Verifier {
    turns: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl Verifier {
    /// At most `at_once` costly checks run at the same time.
    pub(crate) fn new(at_once: usize, metrics: Arc<Metrics>) -> Self {
        Self { turns: Arc::new(Semaphore::new(at_once)), metrics }
    }

    /// Runs a check on a body; the body and its share are given back when the check returns, even if nobody waits for it
    /// any more.
    ///
    /// # Errors
    ///
    /// 503 if no turn came in time, 500 if the check panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        body: Admitted,
        check: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let histogram = self.metrics.verification.clone();
        let is_light = body.bytes().len() as u64 <= LIGHT_BODY_BYTES;
        let timed = move || {
            let started = Instant::now();
            let outcome = check(body.bytes());
            histogram.observe(started.elapsed().as_secs_f64());
            outcome
        };
        if is_light {
            return Ok(timed());
        }
        let Ok(Ok(turn)) = timeout(ADMISSION_WAIT, Arc::clone(&self.turns).acquire_owned()).await else {
            let seconds = ADMISSION_WAIT.as_secs();
            return Err(ApiError::unavailable(Refused::Verification, "too many entries are being verified", seconds));
        };
        let checked = tokio::task::spawn_blocking(move || {
            let outcome = timed();
            drop(turn);
            outcome
        });
        checked.await.map_err(|error| {
            tracing::error!(%error, "a check did not end");
            self.metrics.panics.inc();
            ApiError::unknown()
        })
    }
}
