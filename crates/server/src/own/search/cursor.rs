//! The text that leads from one page of a search to the next.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The first byte of a cursor: the version of its format.
const VERSION: u8 = 2;

/// The logs that may have further hits, each with the log index that a page reached. Entries that
/// are appended later are above it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cursor(pub(super) Vec<(String, u64)>);

impl Cursor {
    /// Returns the log index below which a log may have further hits.
    pub(super) fn below(&self, log: &str) -> Option<u64> {
        let position = self.0.iter().find(|(name, _)| name == log);
        position.map(|(_, below)| *below)
    }

    /// Writes the cursor: for each log its position in eight bytes, then the length of its name in
    /// one, and the name.
    pub(super) fn text(&self) -> String {
        let mut bytes = vec![VERSION];
        for (name, below) in &self.0 {
            bytes.extend_from_slice(&below.to_be_bytes());
            // Names of APIs are short.
            bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(name.as_bytes());
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor back. Returns `None` if a text is not one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let mut rest = bytes.strip_prefix(&[VERSION])?;
        let mut positions = Vec::new();
        while let Some((below, after)) = rest.split_first_chunk() {
            let (length, after) = after.split_first()?;
            let (name, after) = after.split_at_checked(usize::from(*length))?;
            let name = std::str::from_utf8(name).ok()?;
            positions.push((name.to_owned(), u64::from_be_bytes(*below)));
            rest = after;
        }
        rest.is_empty().then_some(Self(positions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        for positions in [vec![], vec![("v1", 0)], vec![("v1", 1), ("v2", u64::MAX)]] {
            let positions = positions.into_iter();
            let cursor = Cursor(
                positions
                    .map(|(log, below)| (log.to_owned(), below))
                    .collect(),
            );
            let text = cursor.text();
            assert_eq!(Cursor::parse(&text), Some(cursor));
            if text.len() > 2 {
                assert_eq!(Cursor::parse(&text[..text.len() - 2]), None, "cut off");
            }
        }
        let cursor = Cursor(vec![("v2".to_owned(), 7)]);
        assert_eq!((cursor.below("v2"), cursor.below("v1")), (Some(7), None));
    }

    #[test]
    fn no_other_text_is_a_cursor() {
        for text in ["", "x", "AQAAAAAAAABe", "Ag==", "AgAA"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
