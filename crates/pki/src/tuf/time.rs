//! RFC 3339 time stamps, read and written as Go does.

use std::fmt;
use std::ops::RangeInclusive;

use crate::error::Error;
use crate::time::UnixSeconds;
use crate::time::{number, unix_seconds};

/// A point in time, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Timestamp {
    seconds: i64,
    /// Digits of the fraction of a second, without zeros at the end.
    fraction: String,
    /// `2026-11-22 22:16:53`.
    local: String,
    /// Minutes east of UTC; none for `Z`.
    offset: Option<i64>,
}

impl Timestamp {
    /// Parses `2006-01-02T15:04:05[.999]Z` or `±07:00`. An empty text is the year 1, as in Go where
    /// there is no time.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let text = if text.is_empty() {
            "0001-01-01T00:00:00Z"
        } else {
            text
        };
        parse(text)
            .ok_or_else(|| Error::Invalid("expires is no time as RFC 3339 writes it".to_owned()))
    }

    /// Whether it is later than `now`.
    pub(super) fn is_after(&self, now: UnixSeconds) -> bool {
        self.seconds > now.0 || (self.seconds == now.0 && !self.fraction.is_empty())
    }
}

/// As Go writes a time: `2021-12-18 13:28:12.99008 -0600 -0600`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.local)?;
        if !self.fraction.is_empty() {
            write!(f, ".{}", self.fraction)?;
        }
        match self.offset {
            None | Some(0) => f.write_str(" +0000 UTC"),
            Some(minutes) => {
                let sign = if minutes < 0 { '-' } else { '+' };
                let zone = format!("{sign}{:02}{:02}", minutes.abs() / 60, minutes.abs() % 60);
                write!(f, " {zone} {zone}")
            }
        }
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once('T')?;
    let (clock, rest) = time.split_at(time.find(['.', ',', 'Z', '+', '-'])?);
    let [year, month, day] = numbers(date, '-', [4..=4, 2..=2, 2..=2])?;
    // Go takes one digit for the hour, and a comma before the fraction.
    let [hour, minute, second] = numbers(clock, ':', [1..=2, 2..=2, 2..=2])?;
    let (fraction, zone) = match rest.strip_prefix(['.', ',']) {
        Some(rest) => {
            let length = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, zone) = rest.split_at(length);
            // Go keeps nanoseconds.
            (
                Some(fraction)
                    .filter(|fraction| !fraction.is_empty())?
                    .get(..9)
                    .unwrap_or(fraction),
                zone,
            )
        }
        None => ("", rest),
    };
    let offset = match zone {
        "Z" => None,
        _ => Some(offset(zone)?),
    };
    let seconds =
        unix_seconds([year, month, day, hour, minute, second])? - offset.unwrap_or(0) * 60;
    let fraction = fraction.trim_end_matches('0').to_owned();
    Some(Timestamp {
        seconds,
        fraction,
        local: format!("{date} {hour:02}:{minute:02}:{second:02}"),
        offset,
    })
}

/// So many numbers with a separator between them, each of as many digits as it may have.
fn numbers<const N: usize>(
    text: &str,
    separator: char,
    digits: [RangeInclusive<usize>; N],
) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (part, digits) in numbers.iter_mut().zip(digits) {
        *part = parts
            .next()
            .filter(|text| digits.contains(&text.len()))
            .and_then(|text| number(text.as_bytes()))?;
    }
    parts.next().is_none().then_some(numbers)
}

/// `±07:00` in minutes.
fn offset(zone: &str) -> Option<i64> {
    let (sign, time) = match zone.strip_prefix('+') {
        Some(time) => (1, time),
        None => (-1, zone.strip_prefix('-')?),
    };
    let [hours, minutes] = numbers(time, ':', [2..=2, 2..=2])?;
    (hours <= 24 && minutes <= 60).then_some(sign * (hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_go_reads_and_writes_them() {
        for (text, seconds, written) in [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01 00:00:00 +0000 UTC"),
            (
                "2026-11-23T22:16:53Z",
                1_795_472_213,
                "2026-11-23 22:16:53 +0000 UTC",
            ),
            (
                "2021-12-18T13:28:12.99008-06:00",
                1_639_855_692,
                "2021-12-18 13:28:12.99008 -0600 -0600",
            ),
            (
                "2000-02-29T23:59:59.500+05:30",
                951_848_999,
                "2000-02-29 23:59:59.5 +0530 +0530",
            ),
            (
                "2024-03-01T00:00:00+00:00",
                1_709_251_200,
                "2024-03-01 00:00:00 +0000 UTC",
            ),
            (
                "1970-01-01T0:00:01,50Z",
                1,
                "1970-01-01 00:00:01.5 +0000 UTC",
            ),
            ("", -62_135_596_800, "0001-01-01 00:00:00 +0000 UTC"),
        ] {
            let time = Timestamp::parse(text).unwrap();
            assert_eq!(
                (time.seconds, time.to_string().as_str()),
                (seconds, written),
                "{text}"
            );
        }
    }

    #[test]
    fn malformed_times_are_refused() {
        for text in [
            "x",
            "2026-11-23",
            "2026-11-23T22:16:53",
            "2026-11-23 22:16:53Z",
            "2026-13-23T22:16:53Z",
            "2026-02-29T22:16:53Z",
            "2026-11-23T24:16:53Z",
            "2026-11-23T22:16:60Z",
            "2026-11-23T22:16:53.Z",
            "2026-11-23T22:16:53+1:00",
            "2026-11-23T22:16:53+0100",
            "2026-11-23T22:16:5\u{fc}Z",
            "2026-11-23T022:16:53Z",
            "2026-11-23T:16:53Z",
            "2026-11-23T22:6:53Z",
            "2026-11-23T22:16Z",
        ] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn it_ends_when_its_second_begins() {
        let time = Timestamp::parse("1970-01-01T00:00:10Z").unwrap();
        assert!(time.is_after(UnixSeconds(9)) && !time.is_after(UnixSeconds(10)));
        assert!(
            Timestamp::parse("1970-01-01T00:00:10.5Z")
                .unwrap()
                .is_after(UnixSeconds(10))
        );
    }
}
