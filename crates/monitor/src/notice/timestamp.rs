//! Unix seconds as RFC 3339 in UTC.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(super) fn serialize<S: Serializer>(seconds: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(*seconds))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time = OffsetDateTime::parse(&text, &Rfc3339).map_err(D::Error::custom)?;
    Ok(time.unix_timestamp())
}

/// `2026-11-30T20:17:00Z`. A time that no calendar has becomes the beginning of 1970.
pub(crate) fn text(seconds: i64) -> String {
    let first_of_1970 = OffsetDateTime::UNIX_EPOCH;
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(first_of_1970);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
