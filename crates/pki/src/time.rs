//! Points in time, and dates of the Gregorian calendar.

/// A point in time, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixSeconds(pub i64);

/// Seconds from 1970 to a point in time: year, month, day, hour, minute, second. None where a field
/// is out of its range.
pub(crate) fn unix_seconds([year, month, day, hour, minute, second]: [i64; 6]) -> Option<i64> {
    let is_date = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    let is_time = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    (is_date && is_time)
        .then(|| ((days_before(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

/// The number that these digits are.
pub(crate) fn number(digits: &[u8]) -> Option<i64> {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    (!digits.is_empty() && digits.len() < 10 && digits.iter().all(is_digit)).then(|| {
        digits
            .iter()
            .fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
    })
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
    let leap_days = |year: i64| {
        (year - 1).div_euclid(4) - (year - 1).div_euclid(100) + (year - 1).div_euclid(400)
    };
    let months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    (year - 1970) * 365 + leap_days(year) - leap_days(1970) + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (fields, seconds) in [
            ([1970, 1, 1, 0, 0, 0], Some(0)),
            ([1969, 12, 31, 23, 59, 59], Some(-1)),
            ([2000, 2, 29, 23, 59, 59], Some(951_868_799)),
            ([1, 1, 1, 0, 0, 0], Some(-62_135_596_800)),
            ([1900, 2, 29, 0, 0, 0], None),
            ([2026, 13, 1, 0, 0, 0], None),
            ([2026, 4, 31, 0, 0, 0], None),
            ([2026, 1, 0, 0, 0, 0], None),
            ([2026, 1, 1, 24, 0, 0], None),
            ([2026, 1, 1, 0, 60, 0], None),
            ([2026, 1, 1, 0, 0, 60], None),
        ] {
            assert_eq!(unix_seconds(fields), seconds, "{fields:?}");
        }
    }
}
