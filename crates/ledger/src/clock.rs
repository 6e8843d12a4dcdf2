//! The clocks, which are a parameter.

use std::time::Duration;

pub use fault::ClockFault;

mod fault;
pub(crate) mod leap;

/// The clocks of a machine.
pub trait Clock: Send + Sync + 'static {
    /// Returns the wall clock: Unix time in milliseconds. It may be set, so it may leap.
    fn unix_millis(&self) -> i64;
    /// Returns the boot clock: the time since the machine started, suspends included. It never
    /// leaps.
    fn since_boot(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the wall clock is read"
    )]
    fn unix_millis(&self) -> i64 {
        match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the boot clock is read"
    )]
    fn since_boot(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        // The boot clock is never negative.
        Duration::try_from(time).unwrap_or_default()
    }
}
