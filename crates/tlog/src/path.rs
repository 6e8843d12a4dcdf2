//! Resource paths of C2SP tlog-tiles, below the log's prefix.

use std::fmt;
use std::num::NonZeroU8;
use std::str::FromStr;

use crate::TileId;

/// Highest tile level that a path can name (C2SP tlog-tiles).
const MAX_PATH_LEVEL: u8 = 63;

/// A path `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`, without a leading slash.
///
/// Parsing accepts exactly the texts that formatting writes, so each resource has one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TilePath {
    /// The resource at the path.
    pub resource: TileResource,
    /// `Some(W)`: the partial resource with its first W (1 ..= 255) hashes or entries. `None`: the
    /// full one.
    pub partial: Option<NonZeroU8>,
}

/// A resource that a tile path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TileResource {
    /// The hashes of a tile, 32 bytes each. A parsed level is 0 ..= 63.
    Tile(TileId),
    /// The bundle of the entries under the level-0 tile of this index.
    Entries(u64),
}

/// A text is not a tile path in its only form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a tile path")]
pub struct TilePathError;

impl TilePath {
    /// Returns the tile that the resource is, or the tile of the leaf hashes of its entries.
    pub fn tile(&self) -> TileId {
        match self.resource {
            TileResource::Tile(id) => id,
            TileResource::Entries(index) => TileId { level: 0, index },
        }
    }
}

impl FromStr for TilePath {
    type Err = TilePathError;

    fn from_str(path: &str) -> Result<Self, TilePathError> {
        let path = path.strip_prefix("tile/").ok_or(TilePathError)?;
        let (kind, path) = path.split_once('/').ok_or(TilePathError)?;
        let (index, partial) = match path.split_once(".p/") {
            Some((index, width)) => (
                index,
                Some(NonZeroU8::new(parse_decimal(width)?).ok_or(TilePathError)?),
            ),
            None => (path, None),
        };
        let index = parse_index(index)?;
        let resource = match kind {
            "entries" => TileResource::Entries(index),
            level => {
                let level = parse_decimal(level)
                    .ok()
                    .filter(|level| *level <= MAX_PATH_LEVEL)
                    .ok_or(TilePathError)?;
                TileResource::Tile(TileId { level, index })
            }
        };
        Ok(Self { resource, partial })
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = match self.resource {
            TileResource::Tile(TileId { level, index }) => {
                write!(f, "tile/{level}/")?;
                index
            }
            TileResource::Entries(index) => {
                f.write_str("tile/entries/")?;
                index
            }
        };
        write_index(f, index)?;
        self.partial.map_or(Ok(()), |width| write!(f, ".p/{width}"))
    }
}

/// Writes groups of three digits, all but the last after an `x`: 1234067 is `x001/x234/067`.
fn write_index(f: &mut fmt::Formatter<'_>, index: u64) -> fmt::Result {
    // 2^64 - 1 has seven groups.
    for group in (1..7).rev() {
        let rest = index / 1000_u64.pow(group);
        if rest > 0 {
            write!(f, "x{:03}/", rest % 1000)?;
        }
    }
    write!(f, "{:03}", index % 1000)
}

fn parse_index(path: &str) -> Result<u64, TilePathError> {
    let mut index: u64 = 0;
    let mut groups = path.split('/').peekable();
    while let Some(group) = groups.next() {
        let digits = if groups.peek().is_some() {
            group.strip_prefix('x').ok_or(TilePathError)?
        } else {
            group
        };
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(TilePathError);
        }
        let digits: u64 = digits.parse().map_err(|_| TilePathError)?;
        index = index
            .checked_mul(1000)
            .and_then(|index| index.checked_add(digits))
            .ok_or(TilePathError)?;
        if index == 0 && groups.peek().is_some() {
            // A leading `x000` is a second name for the same tile.
            return Err(TilePathError);
        }
    }
    Ok(index)
}

/// Reads a decimal of at most three digits without leading zeros or sign.
fn parse_decimal(text: &str) -> Result<u8, TilePathError> {
    let canonical = text == "0" || !text.starts_with(['0', '+']);
    if canonical {
        text.parse().map_err(|_| TilePathError)
    } else {
        Err(TilePathError)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn writes_and_reads_the_examples_of_the_specification() {
        let tile = |level, index| TileResource::Tile(TileId { level, index });
        for (path, resource, partial) in [
            ("tile/0/000", tile(0, 0), None),
            ("tile/0/000.p/1", tile(0, 0), NonZeroU8::new(1)),
            ("tile/1/000.p/17", tile(1, 0), NonZeroU8::new(17)),
            ("tile/0/273.p/112", tile(0, 273), NonZeroU8::new(112)),
            (
                "tile/3/x001/x234/067.p/255",
                tile(3, 1_234_067),
                NonZeroU8::new(255),
            ),
            ("tile/63/999", tile(63, 999), None),
            ("tile/0/x001/000", tile(0, 1000), None),
            (
                "tile/entries/x001/x234/067",
                TileResource::Entries(1_234_067),
                None,
            ),
            (
                "tile/entries/x018/x446/x744/x073/x709/x551/615.p/9",
                TileResource::Entries(u64::MAX),
                NonZeroU8::new(9),
            ),
        ] {
            let parsed = TilePath { resource, partial };
            assert_eq!(path.parse(), Ok(parsed));
            assert_eq!(parsed.to_string(), path);
        }
    }

    #[test]
    fn refuses_every_other_form() {
        for path in [
            "",
            "tile",
            "tile/",
            "tile/0",
            "tile/0/",
            "/tile/0/000",
            "tile/0/000/",
            "tile//000",
            "tiles/0/000",
            "tile/0/0",
            "tile/0/00",
            "tile/0/0000",
            "tile/0/x000",
            "tile/0/x000/000",
            "tile/0/x000/x001/000",
            "tile/0/001/000",
            "tile/0/x001/x000",
            "tile/0/X001/000",
            "tile/0/x01/000",
            "tile/0/+01",
            "tile/0/-01",
            "tile/0/ 01",
            "tile/0/00a",
            "tile/0/٠٠٠",
            "tile/00/000",
            "tile/01/000",
            "tile/+1/000",
            "tile/64/000",
            "tile/256/000",
            "tile/-1/000",
            "tile/a/000",
            "tile/Entries/000",
            "tile/0/000.p",
            "tile/0/000.p/",
            "tile/0/000.p/0",
            "tile/0/000.p/01",
            "tile/0/000.p/+1",
            "tile/0/000.p/256",
            "tile/0/000.p/1000",
            "tile/0/000.p/1/",
            "tile/0/000.p/1.p/1",
            "tile/0/.p/1",
            "tile/0/000.P/1",
            "tile/0/000.p/1 ",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
            "tile/0//000",
        ] {
            assert_eq!(path.parse::<TilePath>(), Err(TilePathError), "{path}");
        }
    }

    proptest! {
        #[test]
        fn reads_only_what_it_writes(path in "tile/(entries|[0-9]{1,2})/(x[0-9]{3}/){0,3}x?[0-9]{2,4}(\\.p/[0-9]{1,3})?") {
            if let Ok(parsed) = path.parse::<TilePath>() {
                prop_assert_eq!(parsed.to_string(), path);
            }
        }

        #[test]
        fn reads_what_it_writes(level in 0..=63_u8, index: u64, partial: u8, entries: bool) {
            let resource = if entries { TileResource::Entries(index) } else { TileResource::Tile(TileId { level, index }) };
            let path = TilePath { resource, partial: NonZeroU8::new(partial) };
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }
    }
}
