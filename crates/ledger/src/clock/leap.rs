//! Notices that the wall clock leapt against the boot clock. Pure.

use std::time::Duration;

/// A wall clock that leaps by more is not trusted at once. A log that is dated ahead by no more
/// than this still takes entries.
const MAX_LEAP_MILLIS: i64 = 5_000;
/// A wall clock that leapt is trusted once it has stood for this long: a clock that is set right
/// again at once was wrong, one that stays was set right.
pub(crate) const STANDS_AFTER: Duration = Duration::from_secs(10);

/// The wall clock, read between two readings of the boot clock. If the machine was busy in between,
/// they are far apart, and the reading says little about a leap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) boot_before: Duration,
    pub(crate) unix_millis: i64,
    pub(crate) boot_after: Duration,
}

impl Reading {
    /// Returns the offset of the wall clock from the boot clock that is nearest to `offset` among
    /// those that the reading allows.
    fn offset_nearest_to(&self, offset: i64) -> i64 {
        let (least, most) = (
            self.unix_millis.saturating_sub(millis(self.boot_after)),
            self.unix_millis.saturating_sub(millis(self.boot_before)),
        );
        offset.clamp(least, most.max(least))
    }
}

/// An offset of the wall clock from the boot clock, in milliseconds, and the boot time since which
/// it stands.
#[derive(Clone, Copy, Debug)]
struct Standing {
    offset: i64,
    since: Duration,
}

impl Standing {
    /// Returns by how many milliseconds the wall clock leapt since then.
    fn leap(&self, reading: &Reading) -> i64 {
        reading.offset_nearest_to(self.offset) - self.offset
    }

    fn has_stood(&self, reading: &Reading) -> bool {
        reading.boot_after.saturating_sub(self.since) >= STANDS_AFTER
    }
}

/// Watches a wall clock. It MUST see a reading every second or so: a clock that is slewed drifts by
/// less than a second within [`STANDS_AFTER`], but by many seconds within a day.
#[derive(Debug)]
pub(crate) struct LeapWatch {
    trusted: Standing,
    /// The offset after a leap, which is not trusted yet.
    leapt: Option<Standing>,
}

impl LeapWatch {
    /// Trusts the first reading, because there is nothing to compare it with.
    pub(crate) fn new(first: &Reading) -> Self {
        Self {
            trusted: standing(first, i64::MAX),
            leapt: None,
        }
    }

    /// Takes a reading. Returns by how many milliseconds the wall clock leapt if it is not trusted:
    /// it leapt, and has not stood since for [`STANDS_AFTER`], nor gone back.
    pub(crate) fn observe(&mut self, reading: &Reading) -> Option<i64> {
        let leap = self.trusted.leap(reading);
        if leap.abs() <= MAX_LEAP_MILLIS {
            self.leapt = None;
            if self.trusted.has_stood(reading) {
                // Follows a clock that drifts.
                self.trusted = standing(reading, self.trusted.offset);
            }
            return None;
        }
        let leapt = match self.leapt {
            Some(leapt) if leapt.leap(reading).abs() <= MAX_LEAP_MILLIS => leapt,
            _ => standing(reading, self.trusted.offset),
        };
        self.leapt = Some(leapt);
        if !leapt.has_stood(reading) {
            return Some(leap);
        }
        self.trusted = standing(reading, leapt.offset);
        self.leapt = None;
        None
    }
}

fn standing(reading: &Reading, near: i64) -> Standing {
    Standing {
        offset: reading.offset_nearest_to(near),
        since: reading.boot_after,
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_800_000_000_000;
    const HOUR: i64 = 3_600_000;

    /// A reading `boot` seconds after the start, of a wall clock that is `off` milliseconds ahead of
    /// what it was then. The machine was busy for `busy` milliseconds.
    fn reading(boot: u64, off: i64, busy: u64) -> Reading {
        let boot_after = Duration::from_secs(1_000 + boot);
        Reading {
            boot_before: boot_after - Duration::from_millis(busy),
            unix_millis: NOON + millis(Duration::from_secs(boot)) + off,
            boot_after,
        }
    }

    /// Observations `(second, milliseconds ahead)` and whether the clock is trusted then.
    fn check(name: &str, steps: &[(u64, i64, bool)]) {
        let mut watch = LeapWatch::new(&reading(0, 0, 0));
        for &(boot, off, trusted) in steps {
            let leap = watch.observe(&reading(boot, off, 0));
            assert_eq!(leap.is_none(), trusted, "{name}: second {boot}: {leap:?}");
        }
    }

    #[test]
    fn a_clock_that_leapt_is_trusted_once_it_has_stood() {
        check("goes on", &[(1, 0, true), (2, 3, true), (90_000, -9, true)]);
        check("a small step", &[(1, 5_000, true), (2, -5_000, true)]);
        check(
            "right again",
            &[(1, 24 * HOUR, false), (2, 0, true), (3, 24 * HOUR, false)],
        );
        check(
            "stands ahead",
            &[
                (1, HOUR, false),
                (5, HOUR, false),
                (10, HOUR, false),
                (11, HOUR, true),
                (12, 0, false),
            ],
        );
        check(
            "stands behind",
            &[
                (1, -HOUR, false),
                (10, -HOUR, false),
                (11, -HOUR, true),
                (12, -HOUR, true),
            ],
        );
        check(
            "leaps again",
            &[
                (1, HOUR, false),
                (8, 2 * HOUR, false),
                (11, 2 * HOUR, false),
                (18, 2 * HOUR, true),
            ],
        );
        check(
            "flaps",
            &[
                (1, HOUR, false),
                (2, 0, true),
                (10, 0, true),
                (11, HOUR, false),
            ],
        );
    }

    #[test]
    fn a_clock_that_drifts_is_followed() {
        let mut watch = LeapWatch::new(&reading(0, 0, 0));
        for second in 1..100_000 {
            // The fastest that a kernel slews: 500 µs in a second.
            let off = millis(Duration::from_micros(500 * second));
            assert_eq!(watch.observe(&reading(second, off, 0)), None, "{second}");
        }
    }

    #[test]
    fn a_clock_that_creeps_ahead_in_steps_is_not() {
        let mut watch = LeapWatch::new(&reading(0, 0, 0));
        let leaps = (1..8).map(|second| watch.observe(&reading(second, 4_000 * second as i64, 0)));
        let expected = [
            None,
            Some(8_000),
            Some(12_000),
            Some(16_000),
            Some(20_000),
            Some(24_000),
            Some(28_000),
        ];
        assert_eq!(leaps.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_busy_machine_is_no_leap() {
        let mut watch = LeapWatch::new(&reading(0, 0, 0));
        for busy in [0, 4_000, 20_000, 30_000] {
            let slow = reading(
                100 + busy / 1_000,
                -millis(Duration::from_millis(busy)),
                busy,
            );
            assert_eq!(watch.observe(&slow), None, "{busy}");
        }
        // And it does not hide one that comes later.
        assert_eq!(watch.observe(&reading(200, HOUR, 0)), Some(HOUR));
    }
}
