//! The ends of a period.

use std::fmt;
use std::str::FromStr;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An end of a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// A time.
    Time {
        /// As it was given.
        text: String,
        /// Unix seconds.
        seconds: i64,
    },
    /// A log index.
    Index(u64),
}

impl Bound {
    /// Returns the time in Unix seconds.
    pub(super) fn time(&self) -> Option<i64> {
        match self {
            Self::Time { seconds, .. } => Some(*seconds),
            Self::Index(_) => None,
        }
    }
}

impl FromStr for Bound {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(index) = text.parse() {
            return Ok(Self::Index(index));
        }
        let whole = match text.len() {
            10 => format!("{text}T00:00:00Z"),
            _ => text.to_owned(),
        };
        let time = OffsetDateTime::parse(&whole, &Rfc3339);
        let time =
            time.map_err(|_| "neither a time (2026-11-01T00:00:00Z), nor a day, nor a log index")?;
        Ok(Self::Time {
            text: text.to_owned(),
            seconds: time.unix_timestamp(),
        })
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time { text, .. } => f.write_str(text),
            Self::Index(index) => write!(f, "log index {index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_times_days_or_indexes() {
        let time = |text: &str| text.parse::<Bound>().unwrap().time();
        assert_eq!(time("2026-11-01"), Some(1_793_491_200));
        assert_eq!(time("2026-11-01T01:00:00+01:00"), Some(1_793_491_200));
        assert_eq!("17".parse(), Ok(Bound::Index(17)));
        for bad in ["", "-1", "2026", "2026-11-01T", "2026-13-01", "yesterday"] {
            let is_bad = match bad.parse() {
                Ok(Bound::Index(index)) => index == 2026,
                other => other.is_err(),
            };
            assert!(is_bad, "{bad}");
        }
    }
}
