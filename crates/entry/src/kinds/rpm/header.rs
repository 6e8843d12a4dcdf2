//! RPM headers: an index of tags and a store of their values.
//!
//! Why not with the `rpm` crate: it indexes the store with offsets as they come and adds sizes
//! without a check, so that a few bytes stop it, and it copies what it reads. Here a header is a
//! view of the package, and only what is asked for is looked at.

const MAGIC: &[u8] = &[0x8e, 0xad, 0xe8, 1];
const INTRO_BYTES: usize = 16;
const ENTRY_BYTES: usize = 16;
/// Entries of one header, rpm's own limit.
const MAX_ENTRIES: usize = 0xffff;

// Types of values.
const INT8: u32 = 2;
const INT16: u32 = 3;
const INT32: u32 = 4;
const INT64: u32 = 5;
const STRING: u32 = 6;
const BINARY: u32 = 7;
const STRING_ARRAY: u32 = 8;
const LOCALIZED_STRING: u32 = 9;

/// A header within a package.
pub(super) struct Header<'a> {
    pub(super) whole: &'a [u8],
    index: &'a [[u8; ENTRY_BYTES]],
    store: &'a [u8],
}

/// Why bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("error reading RPM header: unexpected EOF")]
    End,
    #[error("bad magic for header")]
    Magic,
    #[error("RPM header with more than {MAX_ENTRIES} entries")]
    TooManyEntries,
    #[error("tag {0} is missing")]
    Missing(u32),
    #[error("tag {0} is of another type")]
    Type(u32),
    #[error("tag {0} is truncated")]
    Truncated(u32),
}

/// One entry of the index.
struct Entry<'a> {
    tag: u32,
    kind: u32,
    count: u32,
    /// The store from the entry's offset on.
    store: &'a [u8],
}

/// Where the part after a header begins: at the next multiple of eight bytes, or at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    ToEight,
    None,
}

impl<'a> Header<'a> {
    /// Returns the header that `bytes` begin with, and the bytes after it.
    pub(super) fn read(bytes: &'a [u8], padding: Padding) -> Result<(Self, &'a [u8]), HeaderError> {
        let (intro, rest) = bytes
            .split_at_checked(INTRO_BYTES)
            .ok_or(HeaderError::End)?;
        if !intro.starts_with(MAGIC) {
            return Err(HeaderError::Magic);
        }
        let entries = number(&intro[8..12]) as usize;
        if entries > MAX_ENTRIES {
            return Err(HeaderError::TooManyEntries);
        }
        let (index, rest) = rest
            .split_at_checked(entries * ENTRY_BYTES)
            .ok_or(HeaderError::End)?;
        let mut size = number(&intro[12..]) as usize;
        if padding == Padding::ToEight {
            size = size.next_multiple_of(8);
        }
        let (store, rest) = rest.split_at_checked(size).ok_or(HeaderError::End)?;
        let whole = &bytes[..bytes.len() - rest.len()];
        Ok((
            Self {
                whole,
                index: index.as_chunks().0,
                store,
            },
            rest,
        ))
    }

    /// The bytes of a tag, if it is there and they are bytes.
    pub(super) fn binary(&self, tag: u32) -> Result<Option<&'a [u8]>, HeaderError> {
        let Some(entry) = self.entry(tag)? else {
            return Ok(None);
        };
        match entry.kind {
            BINARY => entry.bytes(1).map(Some),
            _ => Err(HeaderError::Type(tag)),
        }
    }

    /// The first string of a tag, if there is one.
    pub(super) fn string(&self, tag: u32) -> Result<Option<&'a [u8]>, HeaderError> {
        let Some(entry) = self.entry(tag)? else {
            return Ok(None);
        };
        match (entry.kind, entry.count) {
            (STRING | STRING_ARRAY | LOCALIZED_STRING, 0) => Err(HeaderError::Truncated(tag)),
            (STRING | STRING_ARRAY | LOCALIZED_STRING, _) => {
                let end = entry
                    .store
                    .iter()
                    .position(|byte| *byte == 0)
                    .ok_or(HeaderError::Truncated(tag))?;
                Ok(Some(&entry.store[..end]))
            }
            _ => Err(HeaderError::Type(tag)),
        }
    }

    /// The first number of a tag, if there is one.
    pub(super) fn number(&self, tag: u32) -> Result<Option<u64>, HeaderError> {
        let Some(entry) = self.entry(tag)? else {
            return Ok(None);
        };
        let size = match entry.kind {
            INT8 => 1,
            INT16 => 2,
            INT32 => 4,
            INT64 => 8,
            _ => return Err(HeaderError::Type(tag)),
        };
        let numbers = entry.bytes(size)?;
        Ok(numbers.get(..size).map(|bytes| {
            bytes
                .iter()
                .fold(0, |number, byte| number << 8 | u64::from(*byte))
        }))
    }

    /// The last entry with a tag.
    fn entry(&self, tag: u32) -> Result<Option<Entry<'a>>, HeaderError> {
        let Some(entry) = self.index.iter().rfind(|entry| number(&entry[..4]) == tag) else {
            return Ok(None);
        };
        let offset = number(&entry[8..12]) as usize;
        let store = self
            .store
            .get(offset..)
            .ok_or(HeaderError::Truncated(tag))?;
        Ok(Some(Entry {
            tag,
            kind: number(&entry[4..8]),
            count: number(&entry[12..]),
            store,
        }))
    }
}

impl<'a> Entry<'a> {
    /// All values, of so many bytes each.
    fn bytes(&self, size: usize) -> Result<&'a [u8], HeaderError> {
        let length = (self.count as usize).checked_mul(size);
        length
            .and_then(|length| self.store.get(..length))
            .ok_or(HeaderError::Truncated(self.tag))
    }
}

/// Big-endian, of four bytes.
fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(entries: &[[u32; 4]], store: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([0; 4]);
        bytes.extend((entries.len() as u32).to_be_bytes());
        bytes.extend((store.len() as u32).to_be_bytes());
        bytes.extend(
            entries
                .iter()
                .flatten()
                .flat_map(|number| number.to_be_bytes()),
        );
        bytes.extend(store);
        bytes
    }

    #[test]
    fn values_by_type() {
        let entries = [
            [1, STRING, 0, 1],
            [2, INT16, 2, 2],
            [3, BINARY, 6, 2],
            [1, STRING_ARRAY, 0, 1],
            [4, INT64, 0, 0],
        ];
        let bytes = header(&entries, b"a\0\0\x01\0\x02xy");
        let (header, rest) = Header::read(&bytes, Padding::None).unwrap();
        assert_eq!((header.whole, rest), (&bytes[..], &[][..]));
        assert_eq!(header.string(1), Ok(Some(&b"a"[..])));
        assert_eq!(header.number(2), Ok(Some(1)));
        assert_eq!(header.binary(3), Ok(Some(&b"xy"[..])));
        assert_eq!(header.number(4), Ok(None));
        assert_eq!(header.string(9), Ok(None));
        assert_eq!(header.string(2), Err(HeaderError::Type(2)));
        assert_eq!(header.number(1), Err(HeaderError::Type(1)));
    }

    #[test]
    fn nothing_is_read_outside() {
        let cases = [
            [1, STRING, 4, 1],
            [1, STRING, 0, 1],
            [1, STRING, u32::MAX, 1],
            [1, BINARY, 0, 5],
            [1, BINARY, 0, u32::MAX],
            [1, INT64, 0, u32::MAX],
        ];
        for entry in cases {
            let bytes = header(&[entry], b"abcd");
            let (header, _) = Header::read(&bytes, Padding::None).unwrap();
            let results = [
                header.string(1).is_ok(),
                header.binary(1).is_ok(),
                header.number(1).is_ok(),
            ];
            assert_eq!(results, [false; 3], "{entry:?}");
        }
        let whole = header(&[[1, STRING, 0, 1]], b"a\0");
        for length in 0..whole.len() {
            assert_eq!(
                Header::read(&whole[..length], Padding::None).err(),
                Some(HeaderError::End),
                "{length}"
            );
        }
        for at in 8..16 {
            let mut huge = whole.clone();
            huge[at] = 0xff;
            assert!(Header::read(&huge, Padding::ToEight).is_err(), "{at}");
        }
        assert!(Header::read(&header(&[], b""), Padding::ToEight).is_ok());
    }
}
