//! DER, read as strictly and as leniently as Go's `cryptobyte` reads it.
//!
//! Everyone who reads the log with Go parses its certificates again. One that Go refuses must not
//! be logged, because it would stop them; one that Go takes should be. A parser of our own is the
//! price: those at hand differ from Go both ways, in tags, object identifiers, defaults and
//! trailing bytes.

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// Most bytes of a subidentifier of an object identifier, and how large one of them may have become
/// before its last byte: Go keeps them in 31 bits.
const MAX_SUBIDENTIFIER_BYTES: usize = 5;
const MAX_SUBIDENTIFIER_PREFIX: u32 = 1 << 24;

/// The tag of a context-specific element that holds a value.
pub(crate) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// The tag of a context-specific element that holds elements.
pub(crate) const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

/// Elements one after the other, read from the front.
#[derive(Clone, Copy)]
pub(crate) struct Elements<'a>(pub(crate) &'a [u8]);

/// One element.
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) contents: &'a [u8],
    /// Tag and length included.
    pub(crate) whole: &'a [u8],
}

impl<'a> Elements<'a> {
    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Whether the next element has this tag.
    pub(crate) fn is_next(self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }

    /// The next element: of low tag number, of a length in as few bytes as possible. None where
    /// there is none.
    pub(crate) fn any(&mut self) -> Option<Element<'a>> {
        let (&tag, &first) = (self.0.first()?, self.0.get(1)?);
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (header, length) = match first {
            0..=0x7f => (2, usize::from(first)),
            0x81..=0x84 => {
                let bytes = self.0.get(2..2 + usize::from(first & 0x7f))?;
                let length = bytes
                    .iter()
                    .fold(0, |length, byte| length << 8 | usize::from(*byte));
                if bytes[0] == 0 || length < 0x80 {
                    return None;
                }
                (2 + bytes.len(), length)
            }
            _ => return None,
        };
        let (whole, rest) = self.0.split_at_checked(header + length)?;
        self.0 = rest;
        Some(Element {
            tag,
            contents: &whole[header..],
            whole,
        })
    }

    /// The contents of the next element, which has to have this tag.
    pub(crate) fn read(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.any()
            .filter(|element| element.tag == tag)
            .map(|element| element.contents)
    }

    /// The elements in the next element, which has to have this tag.
    pub(crate) fn inside(&mut self, tag: u8) -> Option<Self> {
        self.read(tag).map(Self)
    }

    /// The contents of the next element if it has this tag; `Some(None)` if another or none
    /// follows.
    pub(crate) fn optional(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        match self.is_next(tag) {
            true => self.read(tag).map(Some),
            false => Some(None),
        }
    }

    /// A number of any size and sign, in as few bytes as possible, big-endian two's complement.
    pub(crate) fn integer(&mut self) -> Option<&'a [u8]> {
        self.read(INTEGER).filter(|bytes| is_integer(bytes))
    }

    /// A number of 64 bits, in as few bytes as possible.
    pub(crate) fn small_integer(&mut self) -> Option<Element<'a>> {
        let is_small = |bytes: &[u8]| is_integer(bytes) && bytes.len() <= size_of::<i64>();
        self.any()
            .filter(|element| element.tag == INTEGER && is_small(element.contents))
    }

    /// The encoding of an object identifier.
    pub(crate) fn object_identifier(&mut self) -> Option<&'a [u8]> {
        self.read(OBJECT_IDENTIFIER)
            .filter(|bytes| is_object_identifier(bytes))
    }

    /// The encoding of an object identifier with numbers of any size, such as UUIDs below 2.25.
    pub(crate) fn big_object_identifier(&mut self) -> Option<&'a [u8]> {
        self.read(OBJECT_IDENTIFIER)
            .filter(|bytes| is_big_object_identifier(bytes))
    }

    pub(crate) fn boolean(&mut self) -> Option<bool> {
        match self.read(BOOLEAN)? {
            [0] => Some(false),
            [0xff] => Some(true),
            _ => None,
        }
    }

    /// A bit string and how many bits its last byte lacks; those are 0.
    pub(crate) fn bit_string(&mut self) -> Option<(u8, &'a [u8])> {
        let (&missing, bytes) = self.read(BIT_STRING)?.split_first()?;
        let last = bytes.last().copied().unwrap_or_default();
        (missing <= 7
            && (missing == 0 || !bytes.is_empty())
            && last.trailing_zeros() >= u32::from(missing))
        .then_some((missing, bytes))
    }
}

/// Whether these are the contents of a number, in as few bytes as possible.
pub(crate) fn is_integer(bytes: &[u8]) -> bool {
    match bytes {
        [] => false,
        [0, second, ..] => *second >= 0x80,
        [0xff, second, ..] => *second < 0x80,
        _ => true,
    }
}

/// Returns the dotted form of the encoding of an object identifier, `2.5.29.17`. None if it is
/// malformed, or has a number beyond 128 bits.
pub(crate) fn dotted(id: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut number: u128 = 0;
    for (at, byte) in id.iter().enumerate() {
        number = number.checked_mul(0x80)? | u128::from(byte & 0x7f);
        if *byte >= 0x80 {
            continue;
        }
        if text.is_empty() {
            // The first encoded number holds the first two of the identifier.
            let first = (number / 40).min(2);
            text = format!("{first}.{}", number - first * 40);
        } else {
            text += &format!(".{number}");
        }
        number = 0;
        if at + 1 == id.len() {
            return Some(text);
        }
    }
    None
}

fn is_object_identifier(bytes: &[u8]) -> bool {
    let mut value = 0_u32;
    let mut length = 0;
    for byte in bytes {
        if length == MAX_SUBIDENTIFIER_BYTES
            || value >= MAX_SUBIDENTIFIER_PREFIX
            || (length == 0 && *byte == 0x80)
        {
            return false;
        }
        if *byte < 0x80 {
            (value, length) = (0, 0);
        } else {
            (value, length) = (value << 7 | u32::from(byte & 0x7f), length + 1);
        }
    }
    !bytes.is_empty() && length == 0
}

/// Whether each subidentifier is in as few bytes as possible, and the last one ends.
fn is_big_object_identifier(bytes: &[u8]) -> bool {
    let mut is_first = true;
    for byte in bytes {
        if is_first && *byte == 0x80 {
            return false;
        }
        is_first = *byte < 0x80;
    }
    !bytes.is_empty() && is_first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_identifiers_in_dotted_form() {
        for (bytes, expected) in [
            (&[0x55, 0x1d, 17][..], Some("2.5.29.17")),
            (
                &[0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 8],
                Some("1.3.6.1.4.1.57264.1.8"),
            ),
            (&[0], Some("0.0")),
            (&[0x88, 0x37], Some("2.999")),
            (&[0x2a, 0x83], None),
            (&[], None),
            (&[0xff; 20], None),
        ] {
            assert_eq!(dotted(bytes).as_deref(), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn lengths_are_minimal() {
        let long = [&[4, 0x81, 0x80][..], &[7; 0x80]].concat();
        assert_eq!(
            Elements(&long).read(OCTET_STRING).map(<[u8]>::len),
            Some(0x80)
        );
        assert_eq!(Elements(&[4, 1, 7, 9]).read(OCTET_STRING), Some(&[7][..]));
        let malformed: [&[u8]; 9] = [
            &[],
            &[4],
            &[4, 2, 7],
            &[4, 0x80, 7, 0, 0],
            &[4, 0x81, 1, 7],
            &[4, 0x82, 0, 0x80],
            &[4, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[4, 0x85, 1, 1, 1, 1, 1],
            &[0x1f, 1, 7],
        ];
        for bytes in malformed {
            assert!(Elements(bytes).any().is_none(), "{bytes:x?}");
        }
    }

    #[test]
    fn values_have_one_encoding() {
        for bytes in [
            &[2, 1, 0][..],
            &[2, 1, 0xff],
            &[2, 2, 0, 0x80],
            &[2, 2, 0xff, 0x7f],
        ] {
            assert!(Elements(bytes).integer().is_some(), "{bytes:x?}");
        }
        for bytes in [&[2, 0][..], &[2, 2, 0, 0x7f], &[2, 2, 0xff, 0x80]] {
            assert!(Elements(bytes).integer().is_none(), "{bytes:x?}");
        }
        for bytes in [
            &[6, 1, 0x2a][..],
            &[6, 3, 0x2a, 0x86, 0x48],
            &[6, 5, 0x87, 0xff, 0xff, 0xff, 0x7f],
        ] {
            assert!(Elements(bytes).object_identifier().is_some(), "{bytes:x?}");
        }
        for bytes in [
            &[6, 0][..],
            &[6, 1, 0x86],
            &[6, 2, 0x80, 1],
            &[6, 5, 0x88, 0x80, 0x80, 0x80, 0],
        ] {
            assert!(Elements(bytes).object_identifier().is_none(), "{bytes:x?}");
        }
        let uuid = [&[6, 20, 0x69][..], &[0x83], &[0xff; 17], &[0x7f]].concat();
        for bytes in [&[6, 1, 0x2a][..], &[6, 5, 0x88, 0x80, 0x80, 0x80, 0], &uuid] {
            assert!(
                Elements(bytes).big_object_identifier().is_some(),
                "{bytes:x?}"
            );
        }
        for bytes in [
            &[6, 0][..],
            &[6, 1, 0x86],
            &[6, 2, 0x80, 1],
            &[6, 3, 0x2a, 0x80, 1],
        ] {
            assert!(
                Elements(bytes).big_object_identifier().is_none(),
                "{bytes:x?}"
            );
        }
        assert_eq!(Elements(&[1, 1, 0xff]).boolean(), Some(true));
        assert_eq!(Elements(&[1, 1, 1]).boolean(), None);
        assert_eq!(
            Elements(&[3, 2, 4, 0xf0]).bit_string(),
            Some((4, &[0xf0][..]))
        );
        for bytes in [&[3, 0][..], &[3, 1, 1], &[3, 2, 4, 0xf8], &[3, 2, 8, 0]] {
            assert!(Elements(bytes).bit_string().is_none(), "{bytes:x?}");
        }
    }
}
