//! A size as people write it: `50331648` or `48MiB`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(crate) struct Bytes(pub u64);

/// Units in capitals, and the bytes of one.
const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KIB", 1 << 10),
    ("MIB", 1 << 20),
    ("GIB", 1 << 30),
];

impl FromStr for Bytes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const WANTED: &str =
            "a number of bytes is wanted, alone or with KiB, MiB, GiB, kB, MB or GB, such as 48MiB";
        let text = text.trim();
        let (number, unit) = text.split_at(
            text.find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len()),
        );
        let unit = unit.trim_start().to_ascii_uppercase();
        let number: u64 = number.parse().map_err(|_| WANTED)?;
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(WANTED)?;
        number
            .checked_mul(*size)
            .map(Self)
            .ok_or("more bytes than fit into 64 bits")
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes or a text such as \"48MiB\"")
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Bytes, E> {
        u64::try_from(bytes)
            .map(Bytes)
            .map_err(|_| E::custom("a size is no negative number"))
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Bytes, E> {
        Ok(Bytes(bytes))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("50331648", 50_331_648),
            ("48MiB", 48 << 20),
            ("48 mib", 48 << 20),
            ("100KiB", 100 << 10),
            ("1GiB", 1 << 30),
            ("2kB", 2_000),
            ("3MB", 3_000_000),
            ("7B", 7),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "MiB", "48MiBs", "-1", "4.5MiB", "48M", "20000000000GiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }
}
