//! The dates of entries, by a wall clock that is watched for leaps.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::seal::integrated_time;
use crate::clock::leap::{LeapWatch, Reading};
use crate::clock::{Clock, ClockFault};
use crate::heads::head::Integrated;

/// How often the clock is read while nothing is written.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Dates the rounds of all logs of a server.
pub(crate) struct Dating {
    clock: Arc<dyn Clock>,
    watched: Mutex<Watched>,
}

struct Watched {
    watch: LeapWatch,
    /// By how many milliseconds the clock leapt, as it was logged.
    logged: Option<i64>,
}

/// The time of a round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Date {
    /// Integrated time, Unix seconds.
    pub(crate) time: i64,
    /// The wall clock, Unix milliseconds, at `read_at`.
    pub(crate) local_millis: i64,
    pub(crate) read_at: Instant,
}

impl Dating {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let watch = LeapWatch::new(&read(clock.as_ref()));
        let watched = Mutex::new(Watched {
            watch,
            logged: None,
        });
        Self { clock, watched }
    }

    /// Returns the date of a round of the log `api` on `base`.
    pub(crate) fn date(&self, base: &Integrated, api: &'static str) -> Result<Date, ClockFault> {
        let read_at = Instant::now();
        let local_millis = self.unix_millis()?;
        let time = integrated_time(base, local_millis);
        let time = time.map_err(|seconds| ClockFault::Ahead { log: api, seconds })?;
        Ok(Date {
            time,
            local_millis,
            read_at,
        })
    }

    /// Watches the clock, for ever.
    pub(crate) async fn watch(&self) {
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            // A leap is logged there, and refuses the writes that come.
            drop(self.unix_millis());
        }
    }

    /// Returns the wall clock unless it leapt.
    fn unix_millis(&self) -> Result<i64, ClockFault> {
        let reading = read(self.clock.as_ref());
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let leap = watched.watch.observe(&reading);
        if leap.is_some() != watched.logged.is_some() {
            match leap {
                Some(millis) => {
                    tracing::error!(millis, "the clock leapt; writes stop until it stands")
                }
                None => tracing::warn!("the clock stands; writes go on"),
            }
            watched.logged = leap;
        }
        match leap {
            Some(millis) => Err(ClockFault::Leapt { millis }),
            None => Ok(reading.unix_millis),
        }
    }
}

fn read(clock: &dyn Clock) -> Reading {
    Reading {
        boot_before: clock.since_boot(),
        unix_millis: clock.unix_millis(),
        boot_after: clock.since_boot(),
    }
}
