//! Where checks run. Light checks run in the request's own task. Checks of longer bodies, and of
//! kinds that are heavy whatever their length, run on blocking threads, a bounded number at once.
//! Large bodies have turns of their own, so that an ordinary entry never waits behind a package. If
//! turns are short, they go round among the addresses that wait. Entries of all batches together
//! are checked a few at a time, so that a single entry does not wait behind a thousand.

use std::sync::Arc;
use std::time::Duration;

use entry::{ProposedEntry, Weight};
use host::limits::{ADMISSION_WAIT, LARGE_ADMISSION_WAIT, SMALL_BODY_BYTES};
use host::{Address, Admitted, Decoded, Pool, Refusal, Rule, Taken};
use prometheus::Histogram;
use tokio::time::{Instant, timeout};

use crate::limits::LIGHT_BODY_BYTES;
use crate::metrics::{self, Metrics};

/// A value decoded from a body, which is to be checked.
pub(crate) trait Work: Send + 'static {
    /// Returns the cost of the check beyond its length.
    fn weight(&self) -> Weight;
}

impl Work for ProposedEntry {
    fn weight(&self) -> Weight {
        self.weight()
    }
}

impl<T: Work> Work for Decoded<T> {
    fn weight(&self) -> Weight {
        self.value.weight()
    }
}

/// How an entry was sent, and its address: turns go round among addresses.
#[derive(Clone, Copy)]
pub(crate) enum Came {
    /// In a request of its own.
    Alone(Address),
    /// In a batch.
    InBatch(Address),
}

/// Gives checks their turn.
pub(crate) struct Verifier {
    light: Lane,
    small: Lane,
    large: Lane,
    metrics: Arc<Metrics>,
}

/// Checks of one weight.
struct Lane {
    /// Turns of checks at work. A light check of a single entry needs no turn.
    turns: Arc<Pool>,
    /// Places of checks from batches, at work or waiting for a turn.
    of_batches: Arc<Pool>,
    patience: Duration,
}

impl Lane {
    fn new(turns: usize, patience: Duration) -> Self {
        let pool = || Pool::new(turns as u64, Rule::TakeAll);
        Self {
            turns: pool(),
            of_batches: pool(),
            patience,
        }
    }

    /// Takes a place before the turns, if the entry needs one.
    async fn place(&self, came: Came) -> Option<Taken> {
        match came {
            Came::Alone(_) => None,
            Came::InBatch(address) => {
                let place = self.of_batches.take(address, 1).await;
                // The task goes to the end of the line. Otherwise the task that was woken last
                // would run next, and would keep all others out.
                tokio::task::yield_now().await;
                Some(place)
            }
        }
    }

    async fn turn(&self, came: Came) -> Result<Taken, Refusal> {
        let (Came::Alone(address) | Came::InBatch(address)) = came;
        timeout(self.patience, self.turns.take(address, 1))
            .await
            .map_err(|_| {
                let seconds = ADMISSION_WAIT.as_secs();
                Refusal::unavailable(
                    metrics::VERIFICATION,
                    "too many entries are being verified",
                    seconds,
                )
            })
    }
}

impl Verifier {
    /// Makes a verifier. At most `at_once` costly checks of small bodies run at the same time, and
    /// half as many of large ones, so that half of the cores stay free for others. All batches
    /// together have as many light ones.
    pub(crate) fn new(at_once: usize, metrics: Arc<Metrics>) -> Self {
        Self {
            light: Lane::new(at_once, ADMISSION_WAIT),
            small: Lane::new(at_once, ADMISSION_WAIT),
            large: Lane::new((at_once / 2).max(1), LARGE_ADMISSION_WAIT),
            metrics,
        }
    }

    /// Decodes a body, drops it, and checks the value. Its room is given back when the check
    /// returns, even if its caller left.
    ///
    /// # Errors
    ///
    /// 503 if no turn becomes free in time, 500 if the check panicked.
    pub(crate) async fn run<D, T, E>(
        &self,
        body: Admitted,
        decode: impl FnOnce(&[u8]) -> Result<D, E> + Send + 'static,
        check: impl FnOnce(D) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, Refusal>
    where
        D: Work,
        T: Send + 'static,
        E: Send + 'static,
    {
        let (length, address) = (body.bytes().len() as u64, body.address());
        let decode = move || body.decode(decode);
        // The room is held until the check returned.
        let check = move |Decoded { value, room: _room }| check(value);
        self.run_in_turn(Came::Alone(address), length, decode, check)
            .await
    }

    /// Takes a place among the light work of batches. It is kept as long as the return value.
    pub(crate) async fn place_in_batch(&self, address: Address) -> Option<Taken> {
        self.light.place(Came::InBatch(address)).await
    }

    /// Runs the work that splits a batch into its entries: a few milliseconds for a MiB.
    ///
    /// # Errors
    ///
    /// As [`Verifier::run`].
    pub(crate) async fn take_apart<T: Send + 'static>(
        &self,
        address: Address,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        self.on_a_thread(&self.small, Came::InBatch(address), work)
            .await
    }

    /// Decodes and checks an entry of this length. The closures MUST hold its room, because they
    /// may outlive the request.
    ///
    /// # Errors
    ///
    /// As [`Verifier::run`]. The caller bounds how long an entry of a batch waits behind others.
    pub(crate) async fn run_in_turn<D, T, E>(
        &self,
        came: Came,
        length: u64,
        decode: impl FnOnce() -> Result<D, E> + Send + 'static,
        check: impl FnOnce(D) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, Refusal>
    where
        D: Work,
        T: Send + 'static,
        E: Send + 'static,
    {
        let histogram = self.metrics.verification.clone();
        if length > LIGHT_BODY_BYTES {
            let lane = if length > SMALL_BODY_BYTES {
                &self.large
            } else {
                &self.small
            };
            let work = move || timed(&histogram, || decode().and_then(check));
            return self.on_a_thread(lane, came, work).await;
        }
        let place = self.light.place(came).await;
        let started = Instant::now();
        let decoded = decode();
        let weight = decoded.as_ref().map_or(Weight::Light, Work::weight);
        let work = move || decoded.and_then(check);
        match weight {
            Weight::Light => {
                let outcome = work();
                histogram.observe(started.elapsed().as_secs_f64());
                Ok(outcome)
            }
            Weight::Heavy => {
                drop(place);
                self.on_a_thread(&self.small, came, move || timed(&histogram, work))
                    .await
            }
        }
    }

    async fn on_a_thread<T: Send + 'static>(
        &self,
        lane: &Lane,
        came: Came,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let _place = lane.place(came).await;
        let turn = lane.turn(came).await?;
        let checked = tokio::task::spawn_blocking(move || {
            let outcome = work();
            drop(turn);
            outcome
        });
        checked.await.map_err(|error| {
            tracing::error!(%error, "a check did not end");
            self.metrics.http.panics.inc();
            Refusal::unknown()
        })
    }
}

/// Runs work and records the time that it took.
fn timed<T>(histogram: &Histogram, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let outcome = work();
    histogram.observe(started.elapsed().as_secs_f64());
    outcome
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use futures_util::future::join_all;
    use futures_util::poll;

    use super::*;

    struct Heavy;

    impl Work for Heavy {
        fn weight(&self) -> Weight {
            Weight::Heavy
        }
    }

    #[tokio::test]
    async fn heavy_entries_of_batches_leave_turns_to_others() {
        let metrics = Metrics::new(&prometheus::Registry::new()).expect("fresh names");
        let verifier = Verifier::new(1, Arc::new(metrics));
        let here = Address::from(SocketAddr::from(([192, 0, 2, 1], 1)));
        let turn = verifier.small.turn(Came::Alone(here)).await.expect("free");
        let heavy =
            || verifier.run_in_turn(Came::InBatch(here), 1, || Ok::<_, ()>(Heavy), |_| Ok(()));
        let mut batch = Box::pin(join_all((0..10).map(|_| heavy())));
        assert!(poll!(&mut batch).is_pending());
        let mut alone = Box::pin(verifier.small.turn(Came::Alone(here)));
        assert!(poll!(&mut alone).is_pending());
        drop(turn);
        tokio::select! {
            biased;
            turn = &mut alone => assert!(turn.is_ok()),
            _ = &mut batch => panic!("one of the batch was before it in the line, and not all ten"),
        }
        drop(alone);
        assert!(
            batch
                .await
                .into_iter()
                .all(|outcome| matches!(outcome, Ok(Ok(()))))
        );
    }
}
