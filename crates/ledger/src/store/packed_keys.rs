//! The index keys of an entry, packed into the one value in which they are stored.

use super::error::{StoreError, StoreResult};
use super::search::Condition;

/// Packs key texts into bytes. A client's text is never text to the database, because it may
/// contain U+0000, and is never indexed, because it may be longer than a page.
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

/// First byte of packed keys, so that another form can be told from this one.
const PACKED_FORM: u8 = 1;

/// The text before most digests among the keys.
const FREQUENT_TEXT: &str = "sha256:";

/// Splits a key into a text and the pairs of lower-case hexadecimal digits at its end.
fn split_digits(key: &str) -> (&str, &str) {
    let digits = key
        .bytes()
        .rev()
        .take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        .count();
    key.split_at(key.len() - digits / 2 * 2)
}

/// Adds a length in LEB128.
pub(super) fn push_length(packed: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        packed.push(length as u8 | 0x80);
        length >>= 7;
    }
    packed.push(length as u8);
}

/// Splits off a length.
pub(super) fn split_length(packed: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0;
    for (place, byte) in packed.iter().enumerate().take(LENGTH_BYTES) {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((length, &packed[place + 1..]));
        }
    }
    None
}

/// Bytes of the longest length: 35 bits, far more than any key.
const LENGTH_BYTES: usize = 5;

/// A packed key: a text, and bytes that follow it in lower-case hexadecimal.
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

    /// Returns whether it is this text. A search compares thousands, so nothing is unpacked.
    fn has_text(&self, key: &str) -> bool {
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

/// Splits a stored value into its keys.
fn packed_keys(packed: &[u8], leaf_index: u64) -> StoreResult<Vec<PackedKey<'_>>> {
    split_keys(packed)
        .ok_or_else(|| StoreError::Damaged(format!("entry.index_keys of leaf index {leaf_index}")))
}

/// Splits a stored value into its keys; `None` if it is damaged.
fn split_keys(packed: &[u8]) -> Option<Vec<PackedKey<'_>>> {
    let (&PACKED_FORM, mut rest) = packed.split_first()? else {
        return None;
    };
    let mut keys = Vec::new();
    while !rest.is_empty() {
        let (key, after) = split_key(rest)?;
        keys.push(key);
        rest = after;
    }
    Some(keys)
}

/// Returns the texts in a stored value.
pub(crate) fn unpack_keys(packed: &[u8], leaf_index: u64) -> StoreResult<Vec<String>> {
    let keys = packed_keys(packed, leaf_index)?;
    Ok(keys.iter().map(PackedKey::to_text).collect())
}

/// Splits off the first key; `None` if it is damaged.
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

/// Returns whether an entry with these packed keys has one of the texts of each condition on keys.
pub(crate) fn meets(packed: &[u8], conditions: &[Condition], leaf_index: u64) -> StoreResult<bool> {
    let keys = packed_keys(packed, leaf_index)?;
    Ok(conditions.iter().all(|condition| match condition {
        Condition::Keys(texts) => texts
            .iter()
            .any(|text| keys.iter().any(|key| key.has_text(text))),
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
    fn damaged_keys_are_noticed() {
        for damaged in [
            &[][..],
            &[0],
            &[2, 1, 0],
            &[1, 0],
            &[1, 1],
            &[1, 1, 1],
            &[1, 3, b'a'],
            &[1, 2, 0xff, 0],
            &[1, 0x80],
            &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
            &[1, 0xff, 0xff, 0xff, 0xff, 0x7f],
        ] {
            assert!(
                matches!(unpack_keys(damaged, 7), Err(StoreError::Damaged(_))),
                "{damaged:?}"
            );
        }
    }
}
