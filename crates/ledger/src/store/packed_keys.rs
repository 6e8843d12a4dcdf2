//! The index keys of an entry as the one value in which they are stored.

use super::{Condition, StoreError, StoreResult};

/// Key texts as bytes: client text is never text to the database (it may hold U+0000) and never
/// indexed as such (it may be longer than a page).
///
/// Most keys are digests in hexadecimal, which as bytes are half as long, so that an eighth more
/// entries fit on a page. After [`PACKED_FORM`] each key is two parts behind their lengths
/// (LEB128): a text, whose length is one more than it has bytes (0 stands for [`FREQUENT_TEXT`]),
/// then bytes that follow it in lower-case hexadecimal.
pub(crate) fn pack_keys<T: AsRef<str>>(keys: &[T]) -> Vec<u8> {
    let keys = keys.iter().map(AsRef::as_ref);
    let mut packed = Vec::with_capacity(1 + keys.clone().map(|key| 4 + key.len()).sum::<usize>());
    packed.push(PACKED_FORM);
    for key in keys {
        let (text, digits) = split_digits(key);
        match text {
            FREQUENT_TEXT => push_length(&mut packed, 0),
            text => {
                push_length(&mut packed, text.len() + 1);
                packed.extend_from_slice(text.as_bytes());
            }
        }
        push_length(&mut packed, digits.len() / 2);
        // Unwrap safety: not needed; these are pairs of digits.
        packed.extend(hex::decode(digits).unwrap_or_default());
    }
    packed
}

/// First byte of packed keys. A form without it, of earlier days, began with the length of the
/// first key in 4 bytes, big-endian, and so with 0.
const PACKED_FORM: u8 = 1;

/// What most digests among the keys follow.
const FREQUENT_TEXT: &str = "sha256:";

/// A text, and the lower-case hexadecimal digits at its end, in pairs.
fn split_digits(key: &str) -> (&str, &str) {
    let digits = key
        .bytes()
        .rev()
        .take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        .count();
    key.split_at(key.len() - digits / 2 * 2)
}

fn push_length(packed: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        packed.push(length as u8 | 0x80);
        length >>= 7;
    }
    packed.push(length as u8);
}

/// A length, and what follows it.
fn split_length(packed: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0;
    for (place, byte) in packed.iter().enumerate().take(LENGTH_BYTES) {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((length, &packed[place + 1..]));
        }
    }
    None
}

/// Bytes of the longest length: 35 bits, no key comes near.
const LENGTH_BYTES: usize = 5;

/// One of packed keys: a text, and bytes that follow it in lower-case hexadecimal.
struct PackedKey<'p> {
    text: &'p str,
    bytes: &'p [u8],
}

impl PackedKey<'_> {
    fn to_text(&self) -> String {
        let mut key = self.text.to_owned();
        key.push_str(&hex::encode(self.bytes));
        key
    }

    /// Whether it is this text. A search compares thousands, so nothing is unpacked for it.
    fn is(&self, key: &str) -> bool {
        let digits = key
            .strip_prefix(self.text)
            .filter(|digits| digits.len() == 2 * self.bytes.len());
        let Some(digits) = digits else { return false };
        let nibbles = self.bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        nibbles
            .zip(digits.bytes())
            .all(|(nibble, digit)| b"0123456789abcdef"[usize::from(nibble)] == digit)
    }
}

/// Takes the first key off packed ones.
type Split = for<'p> fn(&'p [u8]) -> Option<(PackedKey<'p>, &'p [u8])>;

/// Packed keys, one after the other.
fn packed_keys(packed: &[u8], leaf_index: u64) -> impl Iterator<Item = StoreResult<PackedKey<'_>>> {
    let (mut rest, split): (_, Split) = match packed.split_first() {
        Some((&PACKED_FORM, rest)) => (rest, split_key),
        _ => (packed, split_key_of_old),
    };
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((key, after)) = split(rest) else {
            rest = &[];
            return Some(Err(StoreError::Damaged(format!(
                "body.index_keys of leaf index {leaf_index}"
            ))));
        };
        rest = after;
        Some(Ok(key))
    })
}

/// The texts of packed keys.
pub(crate) fn unpack_keys(packed: &[u8], leaf_index: u64) -> StoreResult<Vec<String>> {
    packed_keys(packed, leaf_index)
        .map(|key| Ok(key?.to_text()))
        .collect()
}

/// The first key, and what follows it.
fn split_key(packed: &[u8]) -> Option<(PackedKey<'_>, &[u8])> {
    let (text, rest) = match split_length(packed)? {
        (0, rest) => (FREQUENT_TEXT, rest),
        (length, rest) => {
            let (text, rest) = rest.split_at_checked(length - 1)?;
            (str::from_utf8(text).ok()?, rest)
        }
    };
    let (length, rest) = split_length(rest)?;
    let (bytes, rest) = rest.split_at_checked(length)?;
    Some((PackedKey { text, bytes }, rest))
}

/// The same in the form without [`PACKED_FORM`].
fn split_key_of_old(packed: &[u8]) -> Option<(PackedKey<'_>, &[u8])> {
    let (length, rest) = packed.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((
        PackedKey {
            text: str::from_utf8(text).ok()?,
            bytes: &[],
        },
        rest,
    ))
}

/// Whether an entry with these packed keys has one of the texts of each condition that asks for
/// keys.
pub(crate) fn meets(packed: &[u8], conditions: &[Condition], leaf_index: u64) -> StoreResult<bool> {
    let keys: Vec<PackedKey<'_>> = packed_keys(packed, leaf_index).collect::<StoreResult<_>>()?;
    Ok(conditions.iter().all(|condition| match condition {
        Condition::Keys(texts) => texts.iter().any(|text| keys.iter().any(|key| key.is(text))),
        Condition::Kinds(_) => true,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_of(texts: &[&str]) -> Condition {
        Condition::Keys(texts.iter().map(|&text| text.to_owned()).collect())
    }

    #[test]
    fn keys_come_back_as_they_were() {
        let digest = "0123456789abcdef".repeat(4);
        let of_digest = format!("sha256:{digest}");
        let keys: Vec<String> = [
            "",
            "a",
            "\0",
            "ß\0漢",
            "abc",
            "ABCD",
            "sha256:",
            &digest,
            &of_digest,
            &"k".repeat(70_000),
            &"7".repeat(70_001),
        ]
        .map(str::to_owned)
        .to_vec();
        let packed = pack_keys(&keys);
        assert_eq!(unpack_keys(&packed, 0).unwrap(), keys);
        for key in &keys {
            assert!(meets(&packed, &[one_of(&[key])], 0).unwrap(), "{key:.20}");
            assert!(
                !meets(&packed, &[one_of(&[&format!("{key}0")])], 0).unwrap(),
                "{key:.20}0"
            );
        }
        assert_eq!(
            unpack_keys(&pack_keys::<&str>(&[]), 0).unwrap(),
            Vec::<String>::new()
        );
        assert_eq!(pack_keys(&[of_digest, digest]).len(), 1 + 2 + 32 + 2 + 32);
    }

    #[test]
    fn one_text_of_each_condition_is_needed() {
        let packed = pack_keys(&["a", "b00", "c"]);
        for (conditions, expected) in [
            (vec![], true),
            (vec![one_of(&["a"]), one_of(&["x", "b00"])], true),
            (vec![one_of(&["a"]), one_of(&["x"])], false),
            (vec![one_of(&["b"])], false),
            (vec![one_of(&["b0A"])], false),
            (vec![one_of(&[])], false),
            (vec![Condition::Kinds(vec!["x".to_owned()])], true),
        ] {
            assert_eq!(
                meets(&packed, &conditions, 0).unwrap(),
                expected,
                "{conditions:?}"
            );
        }
    }

    #[test]
    fn keys_of_earlier_days_are_read() {
        assert_eq!(
            unpack_keys(b"\0\0\0\x05key 1\0\0\0\0\0\0\0\x01\x01", 0).unwrap(),
            ["key 1", "", "\x01"]
        );
        assert_eq!(unpack_keys(&[], 0).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn damaged_keys_are_noticed() {
        let old = [
            &[0, 0, 0][..],
            &[0, 0, 0, 2, b'a'],
            &[0, 0, 0, 1, 0xff],
            &[0, 0, 0, 0, 9],
        ];
        let new = [
            &[1, 0][..],
            &[1, 1],
            &[1, 1, 1],
            &[1, 3, b'a'],
            &[1, 2, 0xff, 0],
            &[1, 0x80],
            &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
            &[1, 0xff, 0xff, 0xff, 0xff, 0x7f],
        ];
        for damaged in old.into_iter().chain(new) {
            assert!(
                matches!(unpack_keys(damaged, 7), Err(StoreError::Damaged(_))),
                "{damaged:?}"
            );
        }
    }
}
