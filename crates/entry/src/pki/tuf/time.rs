//! RFC 3339 time stamps, read and written as Go does.

use std::fmt;

use crate::refusal::Refusal;
use crate::stages::UnixSeconds;

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
    /// Parses `2006-01-02T15:04:05[.999]Z` or `±07:00`. An empty text is the year 1, as in Go where there is no time.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let text = if text.is_empty() { "0001-01-01T00:00:00Z" } else { text };
        parse(text).ok_or_else(|| Refusal::Invalid("expires is no time as RFC 3339 writes it".to_owned()))
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
    let (date_time, rest) = text.split_at_checked(19)?;
    let number = |from: usize, to: usize| digits(date_time.get(from..to)?);
    let separators = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")];
    if separators.iter().any(|(at, separator)| date_time.get(*at..at + 1) != Some(*separator)) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month)
        || !(1..=days_in(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let length = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, zone) = rest.split_at(length);
            // Go keeps nanoseconds.
            (Some(fraction).filter(|fraction| !fraction.is_empty())?.get(..9).unwrap_or(fraction), zone)
        }
        None => ("", rest),
    };
    let offset = match zone {
        "Z" => None,
        _ => Some(offset(zone)?),
    };
    let days = days_before(year, month, day);
    let seconds = ((days * 24 + hour) * 60 + minute - offset.unwrap_or(0)) * 60 + second;
    let fraction = fraction.trim_end_matches('0').to_owned();
    Some(Timestamp { seconds, fraction, local: date_time.replace('T', " "), offset })
}

/// `±07:00` in minutes.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let part = |text: &str, most: i64| (text.len() == 2).then(|| digits(text))?.filter(|number| *number <= most);
    Some(sign * (part(hours, 24)? * 60 + part(minutes, 60)?))
}

fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970 to a date.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let leap_days = |year: i64| (year - 1).div_euclid(4) - (year - 1).div_euclid(100) + (year - 1).div_euclid(400);
    let months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    (year - 1970) * 365 + leap_days(year) - leap_days(1970) + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_go_reads_and_writes_them() {
        for (text, seconds, written) in [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01 00:00:00 +0000 UTC"),
            ("2026-11-23T22:16:53Z", 1_795_472_213, "2026-11-23 22:16:53 +0000 UTC"),
            ("2021-12-18T13:28:12.99008-06:00", 1_639_855_692, "2021-12-18 13:28:12.99008 -0600 -0600"),
            ("2000-02-29T23:59:59.500+05:30", 951_848_999, "2000-02-29 23:59:59.5 +0530 +0530"),
            ("2024-03-01T00:00:00+00:00", 1_709_251_200, "2024-03-01 00:00:00 +0000 UTC"),
            ("", -62_135_596_800, "0001-01-01 00:00:00 +0000 UTC"),
        ] {
            let time = Timestamp::parse(text).unwrap();
            assert_eq!((time.seconds, time.to_string().as_str()), (seconds, written), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
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
        ] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn it_ends_when_its_second_begins() {
        let time = Timestamp::parse("1970-01-01T00:00:10Z").unwrap();
        assert!(time.is_after(UnixSeconds(9)) && !time.is_after(UnixSeconds(10)));
        assert!(Timestamp::parse("1970-01-01T00:00:10.5Z").unwrap().is_after(UnixSeconds(10)));
    }
}
