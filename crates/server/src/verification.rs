//! Where checks run: light ones in the request's own task; those of longer bodies, and of kinds that are heavy whatever their
//! length, on a blocking thread, so many at once. Those of large bodies have turns of their own, so that an ordinary entry never
//! waits behind a package.

use std::sync::Arc;
use std::time::Duration;

use entry::{ProposedEntry, Weight};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::body::{Admitted, Decoded};
use crate::errors::ApiError;
use crate::limits::{ADMISSION_WAIT, LARGE_ADMISSION_WAIT, LIGHT_BODY_BYTES, SMALL_BODY_BYTES};
use crate::metrics::{Metrics, Refused};

/// What was decoded from a body and is to be checked.
pub(crate) trait Work: Send + 'static {
    /// What that may cost beyond its length.
    fn weight(&self) -> Weight;
}

impl Work for ProposedEntry {
    fn weight(&self) -> Weight {
        self.weight()
    }
}

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
    pub(crate) async fn run<D, T, E>(
        &self,
        body: Admitted,
        decode: impl FnOnce(&[u8]) -> Result<D, E> + Send + 'static,
        check: impl FnOnce(D) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, ApiError>
    where
        D: Work,
        T: Send + 'static,
        E: Send + 'static,
    {
        let histogram = self.metrics.verification.clone();
        let decode = move |body: Admitted| {
            let started = Instant::now();
            (body.decode(decode), started.elapsed())
        };
        let check = move |(Decoded { value, share }, decoding): (Decoded<Result<D, E>>, Duration)| {
            let started = Instant::now();
            let outcome = value.and_then(check);
            drop(share);
            histogram.observe((decoding + started.elapsed()).as_secs_f64());
            outcome
        };
        match body.bytes().len() as u64 {
            ..=LIGHT_BODY_BYTES => {
                let decoded = decode(body);
                match decoded.0.value.as_ref().map_or(Weight::Light, Work::weight) {
                    Weight::Light => Ok(check(decoded)),
                    Weight::Heavy => {
                        let turn = turn(&self.small, ADMISSION_WAIT).await?;
                        self.on_a_thread(turn, move || check(decoded)).await
                    }
                }
            }
            length => {
                let (turns, patience) = match length {
                    ..=SMALL_BODY_BYTES => (&self.small, ADMISSION_WAIT),
                    _ => (&self.large, LARGE_ADMISSION_WAIT),
                };
                let turn = turn(turns, patience).await?;
                self.on_a_thread(turn, move || check(decode(body))).await
            }
        }
    }

    async fn on_a_thread<T: Send + 'static>(
        &self,
        turn: OwnedSemaphorePermit,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let checked = tokio::task::spawn_blocking(move || {
            let outcome = work();
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

async fn turn(turns: &Arc<Semaphore>, patience: Duration) -> Result<OwnedSemaphorePermit, ApiError> {
    match timeout(patience, Arc::clone(turns).acquire_owned()).await {
        Ok(Ok(turn)) => Ok(turn),
        _ => {
            let seconds = ADMISSION_WAIT.as_secs();
            Err(ApiError::unavailable(Refused::Verification, "too many entries are being verified", seconds))
        }
    }
}
