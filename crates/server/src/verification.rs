//! Where checks run: light ones in the request's own task, costly ones on a blocking thread, so many at once. Those of large
//! bodies have turns of their own, so that an ordinary entry never waits behind a package.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::body::{Admitted, Decoded};
use crate::errors::ApiError;
use crate::limits::{ADMISSION_WAIT, LARGE_ADMISSION_WAIT, LIGHT_BODY_BYTES, SMALL_BODY_BYTES};
use crate::metrics::{Metrics, Refused};

/// Gives checks their turn.
pub(crate) struct Verifier {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl Verifier {
    /// At most `at_once` costly checks of small bodies run at the same time, and half as many of large ones: the other half of
    /// the cores is for everybody else.
    pub(crate) fn new(at_once: usize, metrics: Arc<Metrics>) -> Self {
        let turns = |count: usize| Arc::new(Semaphore::new(count));
        Self { small: turns(at_once), large: turns((at_once / 2).max(1)), metrics }
    }

    /// Decodes a body, drops it, and checks what was decoded; its share is given back when the check returns, even if nobody
    /// waits for it any more.
    ///
    /// # Errors
    ///
    /// 503 if no turn came in time, 500 if the check panicked.
    pub(crate) async fn run<D, T: Send + 'static, E: Send + 'static>(
        &self,
        body: Admitted,
        decode: impl FnOnce(&[u8]) -> Result<D, E> + Send + 'static,
        check: impl FnOnce(D) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, ApiError> {
        let histogram = self.metrics.verification.clone();
        let length = body.bytes().len() as u64;
        let timed = move || {
            let started = Instant::now();
            let Decoded { value, share } = body.decode(decode);
            let outcome = value.and_then(check);
            drop(share);
            histogram.observe(started.elapsed().as_secs_f64());
            outcome
        };
        let (turns, patience) = match length {
            ..=LIGHT_BODY_BYTES => return Ok(timed()),
            ..=SMALL_BODY_BYTES => (&self.small, ADMISSION_WAIT),
            _ => (&self.large, LARGE_ADMISSION_WAIT),
        };
        let Ok(Ok(turn)) = timeout(patience, Arc::clone(turns).acquire_owned()).await else {
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
