//! Distinguished names and the strings in them.

use super::der::{
    BIT_STRING, BOOLEAN, Element, Elements, GENERALIZED_TIME, INTEGER, OBJECT_IDENTIFIER, SEQUENCE,
    SET, UTC_TIME,
};
use super::time;

const UTF8_STRING: u8 = 0x0c;
const NUMERIC_STRING: u8 = 0x12;
const PRINTABLE_STRING: u8 = 0x13;
const T61_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const BMP_STRING: u8 = 0x1e;

/// Whether the contents of a `Name` (RFC 5280 section 4.1.2.4) are ones that Go reads.
pub(super) fn is_well_formed(contents: &[u8]) -> bool {
    let mut relative_names = Elements(contents);
    while !relative_names.is_empty() {
        let Some(mut attributes) = relative_names.inside(SET) else {
            return false;
        };
        while !attributes.is_empty() {
            let value = attributes.inside(SEQUENCE).and_then(|mut attribute| {
                attribute.object_identifier()?;
                attribute.any()
            });
            if !value.is_some_and(|value| is_value(&value)) {
                return false;
            }
        }
    }
    true
}

/// Whether Go reads the value of an attribute. Since version 1.27 it takes every type, and looks
/// into those that it knows.
fn is_value(value: &Element<'_>) -> bool {
    let mut element = Elements(value.whole);
    match value.tag {
        UTF8_STRING | NUMERIC_STRING | PRINTABLE_STRING | T61_STRING | IA5_STRING | BMP_STRING => {
            text(value.tag, value.contents).is_some()
        }
        BOOLEAN => element.boolean().is_some(),
        INTEGER => element.small_integer().is_some(),
        BIT_STRING => element.bit_string().is_some(),
        OBJECT_IDENTIFIER => element.object_identifier().is_some(),
        UTC_TIME | GENERALIZED_TIME => time::read(&mut element).is_some(),
        _ => true,
    }
}

/// The text of a string element of any of the types that Go reads.
pub(super) fn text(tag: u8, contents: &[u8]) -> Option<String> {
    match tag {
        UTF8_STRING => {}
        IA5_STRING if contents.is_ascii() => {}
        NUMERIC_STRING
            if contents
                .iter()
                .all(|byte| matches!(byte, b'0'..=b'9' | b' ')) => {}
        PRINTABLE_STRING if contents.iter().copied().all(is_printable) => {}
        T61_STRING => return Some(contents.iter().copied().map(char::from).collect()),
        BMP_STRING => return bmp(contents),
        _ => return None,
    }
    String::from_utf8(contents.to_vec()).ok()
}

/// `PrintableString` with the `*` and `&` that real certificates have in it.
fn is_printable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(&byte)
}

/// UCS-2 without non-characters; one terminator is dropped.
fn bmp(contents: &[u8]) -> Option<String> {
    let (units, []) = contents.as_chunks::<2>() else {
        return None;
    };
    let units = units.strip_suffix(&[[0, 0]]).unwrap_or(units);
    let is_character = |unit: u32| !matches!(unit, 0xfdd0..=0xfdef | 0xfffe | 0xffff);
    units
        .iter()
        .map(|unit| u32::from(u16::from_be_bytes(*unit)))
        .map(|unit| char::from_u32(unit).filter(|_| is_character(unit)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_every_type() {
        assert_eq!(text(UTF8_STRING, "ü".as_bytes()).as_deref(), Some("ü"));
        assert_eq!(text(T61_STRING, &[0xfc]).as_deref(), Some("ü"));
        assert_eq!(text(BMP_STRING, &[0, 0xfc, 0, 0]).as_deref(), Some("ü"));
        assert_eq!(text(PRINTABLE_STRING, b"a*&").as_deref(), Some("a*&"));
        let refused: [(u8, &[u8]); 8] = [
            (UTF8_STRING, &[0xfc]),
            (BMP_STRING, &[0]),
            (BMP_STRING, &[0xd8, 0]),
            (BMP_STRING, &[0xff, 0xff]),
            (PRINTABLE_STRING, b"@"),
            (NUMERIC_STRING, b"a"),
            (IA5_STRING, &[0x80]),
            (0x1c, b"abcd"),
        ];
        for (tag, contents) in refused {
            assert_eq!(text(tag, contents), None, "{tag:x} {contents:x?}");
        }
    }

    #[test]
    fn names() {
        let common_name = [0x31, 10, 0x30, 8, 6, 3, 0x55, 4, 3, 0x13, 1, b'a'];
        assert!(is_well_formed(&[]));
        assert!(is_well_formed(&common_name));
        for at in [0, 2, 4, 11] {
            let mut name = common_name;
            name[at] = 0x40;
            assert!(!is_well_formed(&name), "{at}");
        }
    }

    #[test]
    fn attributes_that_are_no_text() {
        let name = |value: &[u8]| {
            let attribute = [&[6, 3, 0x55, 4, 3], value].concat();
            let name = [
                &[0x31, attribute.len() as u8 + 2, 0x30, attribute.len() as u8],
                &attribute[..],
            ]
            .concat();
            is_well_formed(&name)
        };
        let universal_string: &[u8] = &[0x1c, 4, 0, 0, 0, b'a'];
        let utc_time: &[u8] = b"\x17\x0d260101000000Z";
        let read: [&[u8]; 9] = [
            &[BOOLEAN, 1, 0xff],
            &[INTEGER, 1, 7],
            &[BIT_STRING, 2, 4, 0xf0],
            &[4, 1, 0xff],
            &[5, 1, 0],
            &[OBJECT_IDENTIFIER, 1, 0x2a],
            utc_time,
            universal_string,
            &[SEQUENCE, 1, 0xff],
        ];
        for value in read {
            assert!(name(value), "{value:x?}");
        }
        let refused: [&[u8]; 6] = [
            &[BOOLEAN, 1, 1],
            &[INTEGER, 2, 0, 7],
            &[INTEGER, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            &[BIT_STRING, 2, 4, 0xff],
            &[OBJECT_IDENTIFIER, 1, 0x80],
            b"\x17\x0d269901000000Z",
        ];
        for value in refused {
            assert!(!name(value), "{value:x?}");
        }
    }
}
