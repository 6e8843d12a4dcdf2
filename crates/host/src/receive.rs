//! Receives a request body in pieces, each within its time, into memory that grows with the body.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout};

use crate::limits::{
    BODY_GRACE, BODY_PAUSE, BODY_STEP_BYTES, BODY_TIMEOUT, MIN_BODY_RATE, WORKING_FACTOR,
};
use crate::memory::{Memory, Room};
use crate::peer::Address;

/// Why a body was not received.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It is longer than it may be. The rest was not read.
    TooLarge(Body),
    /// No memory came free in time. The rest was not read.
    NoRoom(Body),
    /// It arrived too slowly.
    Slow,
    /// It ended early.
    Broken,
}

/// A body that is being received. Its client must send a piece within [`BODY_PAUSE`], on average
/// [`MIN_BODY_RATE`], and all of it within [`BODY_TIMEOUT`]. The time runs only while a piece is
/// awaited.
pub(crate) struct Pieces {
    body: Body,
    received: u64,
    waited: Duration,
}

impl Pieces {
    /// Makes the receiver of a body.
    pub(crate) fn of(body: Body) -> Self {
        Self {
            body,
            received: 0,
            waited: Duration::ZERO,
        }
    }

    /// Receives the next piece. Returns `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Failure::Slow`] and [`Failure::Broken`].
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let started = Instant::now();
            let frame = timeout(self.patience(), self.body.frame())
                .await
                .map_err(|_| Failure::Slow)?;
            self.waited += started.elapsed();
            let Some(frame) = frame else { return Ok(None) };
            // Trailers are ignored.
            if let Ok(piece) = frame.map_err(|_| Failure::Broken)?.into_data() {
                self.received += piece.len() as u64;
                return Ok(Some(piece));
            }
        }
    }

    fn patience(&self) -> Duration {
        let earned = Duration::from_millis(self.received.saturating_mul(1_000) / MIN_BODY_RATE);
        let all = BODY_TIMEOUT.min(BODY_GRACE + earned);
        BODY_PAUSE.min(all.saturating_sub(self.waited))
    }
}

/// A body that is being put together.
pub(crate) struct Receiver<'a> {
    memory: &'a Memory,
    room: Room,
    bytes: Vec<u8>,
    /// Bytes that `room` was made for.
    capacity: u64,
    /// How long it may still wait for memory.
    patience: Duration,
}

impl<'a> Receiver<'a> {
    pub(crate) fn new(memory: &'a Memory, address: Address, patience: Duration) -> Self {
        Self {
            memory,
            room: memory.room(address),
            bytes: Vec::new(),
            capacity: 0,
            patience,
        }
    }

    /// Receives a whole body of at most `most` bytes, which begins with `start`. The memory for its
    /// first bytes is taken before the client is asked for any (`100 Continue`).
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub(crate) async fn receive(
        mut self,
        start: &[u8],
        mut pieces: Pieces,
        most: u64,
    ) -> Result<(Bytes, Room), Failure> {
        if self.grow(BODY_STEP_BYTES.min(most)).await.is_none() {
            return Err(Failure::NoRoom(pieces.body));
        }
        let mut piece = Bytes::copy_from_slice(start);
        loop {
            let length = self.bytes.len() as u64 + piece.len() as u64;
            if length > most {
                return Err(Failure::TooLarge(pieces.body));
            }
            // Twice as much each time, so that each byte is moved once on average.
            if length > self.capacity
                && self
                    .grow(length.max(self.capacity * 2).min(most))
                    .await
                    .is_none()
            {
                return Err(Failure::NoRoom(pieces.body));
            }
            self.bytes.extend_from_slice(&piece);
            let Some(next) = pieces.next().await? else {
                break;
            };
            piece = next;
        }
        self.bytes.shrink_to_fit();
        self.room
            .shrink_to(self.bytes.len() as u64 * WORKING_FACTOR);
        Ok((Bytes::from(self.bytes), self.room))
    }

    /// Makes room for so many bytes. Returns `None` if it did not become free in time. Moving the
    /// bytes takes the old and the new memory at once, together at most [`WORKING_FACTOR`] times
    /// the new.
    async fn grow(&mut self, capacity: u64) -> Option<()> {
        let started = Instant::now();
        let growing = self.memory.grow(&mut self.room, capacity * WORKING_FACTOR);
        timeout(self.patience, growing).await.ok()?;
        self.patience = self.patience.saturating_sub(started.elapsed());
        self.capacity = capacity;
        self.bytes.reserve_exact(
            usize::try_from(capacity)
                .ok()?
                .saturating_sub(self.bytes.len()),
        );
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use tokio::time::sleep;

    use super::*;

    /// A body of pieces of this length, one after each pause.
    fn dripping(length: usize, pause: Duration) -> Pieces {
        Pieces::of(Body::from_stream(stream::unfold(
            (),
            move |()| async move {
                sleep(pause).await;
                Some((Ok::<_, std::io::Error>(Bytes::from(vec![7; length])), ()))
            },
        )))
    }

    async fn ends_after(mut pieces: Pieces) -> (u64, u64) {
        let started = Instant::now();
        while pieces.next().await.is_ok_and(|piece| piece.is_some()) {}
        (started.elapsed().as_secs(), pieces.received)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_comes_at_least_at_the_least_rate() {
        let second = Duration::from_secs(1);
        assert_eq!(
            ends_after(dripping(1, second / 2)).await.0,
            BODY_GRACE.as_secs(),
            "a byte now and then"
        );
        let rate = usize::try_from(MIN_BODY_RATE).expect("small");
        let quarter = ends_after(dripping(rate / 4, second)).await;
        assert_eq!(
            quarter,
            (BODY_GRACE.as_secs(), MIN_BODY_RATE / 2),
            "half a second was earned, and one was needed"
        );
        assert_eq!(
            ends_after(dripping(rate, second)).await.0,
            BODY_TIMEOUT.as_secs()
        );
        assert_eq!(
            ends_after(dripping(64 * rate, BODY_PAUSE + second)).await.0,
            BODY_GRACE.as_secs()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_a_body_that_is_far_ahead() {
        let (first, rest) = (
            stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![7; 1 << 20]))]),
            stream::pending(),
        );
        let pieces = Pieces::of(Body::from_stream(futures_util::StreamExt::chain(
            first, rest,
        )));
        assert_eq!(ends_after(pieces).await, (BODY_PAUSE.as_secs(), 1 << 20));
    }
}
