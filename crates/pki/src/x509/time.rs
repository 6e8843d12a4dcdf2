//! Points in time in certificates, with the forms that Go reads: beyond RFC 5280 without seconds,
//! and in other zones.

use std::time::Duration;

use super::der::{Elements, GENERALIZED_TIME, UTC_TIME};
use crate::time::{number, unix_seconds};

/// Reads a `Time` (RFC 5280 section 4.1.2.5) as the time since 1970. Earlier times cannot be read.
pub(super) fn read(elements: &mut Elements<'_>) -> Option<Duration> {
    let time = elements.any()?;
    let (year, rest) = match time.tag {
        UTC_TIME => {
            let (year, rest) = time.contents.split_at_checked(2)?;
            let year = number(year)?;
            (year + if year < 50 { 2000 } else { 1900 }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = time.contents.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    let zone_at = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let (fields, zone) = rest.split_at(zone_at);
    let field = |at: usize| fields.get(at..at + 2).and_then(number);
    let second = match fields.len() {
        8 if time.tag == UTC_TIME => 0,
        10 => field(8)?,
        _ => return None,
    };
    let local = unix_seconds([year, field(0)?, field(2)?, field(4)?, field(6)?, second])?;
    u64::try_from(local - offset(zone)?)
        .ok()
        .map(Duration::from_secs)
}

/// Seconds of a zone: `Z`, or hours and minutes east of Greenwich, which are not 0 then.
fn offset(zone: &[u8]) -> Option<i64> {
    let (sign, digits) = match zone {
        b"Z" => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits
        .split_at_checked(2)
        .filter(|(_, minutes)| minutes.len() == 2)?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let seconds = (hours * 60 + minutes) * 60;
    (hours <= 24 && minutes < 60 && seconds != 0).then_some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(tag: u8, text: &str) -> Option<u64> {
        let der = [&[tag, text.len() as u8], text.as_bytes()].concat();
        read(&mut Elements(&der)).map(|time| time.as_secs())
    }

    #[test]
    fn forms_that_go_reads() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", 0),
            (UTC_TIME, "491231235959Z", 2_524_607_999),
            (UTC_TIME, "0001010000Z", 946_684_800),
            (UTC_TIME, "000101000000+0130", 946_679_400),
            (UTC_TIME, "0001010000-2400", 946_771_200),
            (GENERALIZED_TIME, "20000101000000Z", 946_684_800),
            (GENERALIZED_TIME, "20000101000000-0001", 946_684_860),
            (GENERALIZED_TIME, "99991231235959Z", 253_402_300_799),
        ] {
            assert_eq!(seconds(tag, text), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for (tag, text) in [
            (UTC_TIME, "691231235959Z"),
            (UTC_TIME, "500101000000Z"),
            (UTC_TIME, "000230000000Z"),
            (UTC_TIME, "000101000000"),
            (UTC_TIME, "000101000000+0000"),
            (UTC_TIME, "000101000000+0160"),
            (UTC_TIME, "000101000000+2500"),
            (UTC_TIME, "000101000000+01"),
            (UTC_TIME, "000101000000.5Z"),
            (UTC_TIME, "00010100000Z"),
            (GENERALIZED_TIME, "200001010000Z"),
            (GENERALIZED_TIME, "20000101000000.5Z"),
            (GENERALIZED_TIME, "19691231235959Z"),
            (0x13, "20000101000000Z"),
        ] {
            assert_eq!(seconds(tag, text), None, "{text}");
        }
    }
}
