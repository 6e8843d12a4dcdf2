//! The times at which requests start.
//!
//! Closed loop: whenever a connection is free. Fixed rate: request i is due at i/rate, whether or
//! not the ones before it were answered; a free connection takes the next one that is due, and its
//! latency counts from when it was due. So a server that stalls pays for all that should have been
//! sent meanwhile (no coordinated omission).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Sent later than this after it was due, a request counts as late: no connection was free for it.
pub(crate) const LATE: Duration = Duration::from_millis(1);
/// Shortest pause of the thread that releases what is due: it costs some 10 µs of CPU each time.
const TICK: Duration = Duration::from_micros(100);
/// A request that was due within the run may still be sent this long after its end.
const GRACE: Duration = Duration::from_millis(100);

/// The start times of one run.
pub(crate) struct Schedule {
    start: Instant,
    time: Duration,
    stopped: AtomicBool,
    /// `None`: closed loop.
    fixed: Option<Fixed>,
}

struct Fixed {
    rate: u32,
    /// Requests that are due and not taken. Closed when the run is over.
    due: Semaphore,
    released: AtomicU64,
    taken: AtomicU64,
}

impl Schedule {
    /// Whenever asked, until `time` after `start`.
    pub(crate) fn closed_loop(start: Instant, time: Duration) -> Self {
        Self {
            start,
            time,
            stopped: AtomicBool::new(false),
            fixed: None,
        }
    }

    /// `rate` (not 0) requests a second until `time` after `start`. [`Schedule::pace`] has to run
    /// on a thread beside.
    pub(crate) fn fixed_rate(start: Instant, time: Duration, rate: u32) -> Self {
        let (released, taken) = (AtomicU64::new(0), AtomicU64::new(0));
        let fixed = Fixed {
            rate,
            due: Semaphore::new(0),
            released,
            taken,
        };
        Self {
            start,
            time,
            stopped: AtomicBool::new(false),
            fixed: Some(fixed),
        }
    }

    /// Waits until a request may start. The instant is the one from which its latency counts;
    /// `None`: no more of them.
    pub(crate) async fn next(&self) -> Option<Instant> {
        let Some(fixed) = &self.fixed else {
            let now = Instant::now();
            return (!self.stopped.load(Ordering::Relaxed) && now - self.start < self.time)
                .then_some(now);
        };
        fixed.due.acquire().await.ok()?.forget();
        Some(self.start + fixed.due_at(fixed.taken.fetch_add(1, Ordering::Relaxed)))
    }

    /// Returns whether requests have due times.
    pub(crate) fn is_fixed_rate(&self) -> bool {
        self.fixed.is_some()
    }

    /// No request starts from now on.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(fixed) = &self.fixed {
            fixed.due.close();
        }
    }

    /// Returns for how long each request that was due and never sent has been due at `end`.
    pub(crate) fn unsent(&self, end: Instant) -> Vec<Duration> {
        let Some(fixed) = &self.fixed else {
            return Vec::new();
        };
        let numbers = fixed.taken.load(Ordering::Relaxed)..fixed.released.load(Ordering::Relaxed);
        numbers
            .map(|number| end.saturating_duration_since(self.start + fixed.due_at(number)))
            .collect()
    }

    /// Releases requests when they are due, until the run is over. Blocks: sleeps on a thread are
    /// precise to 50 µs, the timers of tokio to a millisecond. Does nothing for a closed loop.
    pub(crate) fn pace(&self) {
        let Some(fixed) = &self.fixed else { return };
        let all = fixed.due_by(self.time);
        let mut released = 0;
        while !fixed.due.is_closed() {
            let elapsed = self.start.elapsed();
            let due = fixed.due_by(elapsed).min(all);
            fixed.due.add_permits((due - released) as usize);
            released = due;
            fixed.released.store(released, Ordering::Relaxed);
            let is_over = released == all && fixed.taken.load(Ordering::Relaxed) == all;
            if is_over || elapsed >= self.time + GRACE {
                return self.stop();
            }
            thread::sleep(
                fixed
                    .due_at(released)
                    .saturating_sub(self.start.elapsed())
                    .max(TICK),
            );
        }
    }
}

impl Fixed {
    /// Returns when request `number` is due, after the start.
    fn due_at(&self, number: u64) -> Duration {
        Duration::from_nanos((u128::from(number) * 1_000_000_000 / u128::from(self.rate)) as u64)
    }

    /// Returns how many requests have a due time below `elapsed`.
    fn due_by(&self, elapsed: Duration) -> u64 {
        (elapsed.as_nanos() * u128::from(self.rate)).div_ceil(1_000_000_000) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_at_their_number_by_the_rate() {
        let schedule = Schedule::fixed_rate(Instant::now(), Duration::from_secs(1), 2000);
        let fixed = schedule.fixed.unwrap();
        for (number, micros) in [
            (0, 0),
            (1, 500),
            (2000, 1_000_000),
            (7_000_000_000, 3_500_000_000_000),
        ] {
            assert_eq!(fixed.due_at(number), Duration::from_micros(micros));
        }
        for (micros, due) in [(0, 0), (1, 1), (500, 1), (501, 2), (1_000_000, 2000)] {
            assert_eq!(
                fixed.due_by(Duration::from_micros(micros)),
                due,
                "{micros} µs"
            );
        }
    }

    #[test]
    fn a_free_connection_takes_the_next_one_that_is_due() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let time = Duration::from_millis(20);
        let start = Instant::now();
        let schedule = Schedule::fixed_rate(start, time, 1000);
        schedule.pace();
        // Nobody took any: they stay due, and count as unsent.
        assert_eq!(runtime.block_on(schedule.next()), None);
        let end = start + Duration::from_millis(30);
        let waits: Vec<_> = schedule
            .unsent(end)
            .iter()
            .map(Duration::as_millis)
            .collect();
        assert_eq!(waits, (11..=30).rev().collect::<Vec<_>>());

        let start = Instant::now();
        let schedule = Schedule::fixed_rate(start, time, 1000);
        thread::scope(|scope| {
            scope.spawn(|| schedule.pace());
            runtime.block_on(async {
                for number in 0..20 {
                    let due = start + Duration::from_millis(number);
                    assert_eq!(schedule.next().await, Some(due));
                    assert!(due <= Instant::now());
                }
                assert_eq!(schedule.next().await, None);
            });
        });
        assert!(schedule.unsent(end).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_loop_ends_with_its_time() {
        let schedule = Schedule::closed_loop(Instant::now(), Duration::from_secs(1));
        tokio::time::advance(Duration::from_millis(999)).await;
        assert_eq!(schedule.next().await, Some(Instant::now()));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(schedule.next().await, None);
        let schedule = Schedule::closed_loop(Instant::now(), Duration::from_secs(1));
        schedule.stop();
        assert_eq!(schedule.next().await, None);
    }
}
