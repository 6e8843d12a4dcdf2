//! How many index keys an entry may have, and the form in which the keys are kept.

use std::collections::HashSet;

use crate::refusal::Refusal;

/// Most index keys of one entry: 1,024 subjects, as many as a GitHub attestation may have, each
/// with three digests, its name and a package, which is three keys; and a thousand of certificates
/// and materials. Each is a row; a round of the ledger takes as many.
pub(crate) const MAX_INDEX_KEYS: usize = 8_192;
/// Bytes of all of them together: an eighth of what a round of the ledger takes.
pub(crate) const MAX_INDEX_KEY_BYTES: usize = 1024 * 1024;

pub(crate) fn too_many_index_keys() -> Refusal {
    Refusal::Invalid(format!(
        "the entry has more than {MAX_INDEX_KEYS} index keys, the limit"
    ))
}

/// The keys of an entry that is to be appended.
pub(crate) fn bounded(keys: Vec<String>) -> Result<Vec<String>, Refusal> {
    let keys = lower_case(keys);
    let bytes: usize = keys.iter().map(String::len).sum();
    match keys.len() {
        ..=MAX_INDEX_KEYS if bytes <= MAX_INDEX_KEY_BYTES => Ok(keys),
        ..=MAX_INDEX_KEYS => Err(Refusal::Invalid(format!(
            "the index keys of the entry have {bytes} bytes, the limit is {MAX_INDEX_KEY_BYTES}"
        ))),
        _ => Err(too_many_index_keys()),
    }
}

/// Each key once, in lower case, in the order of first appearance.
pub(crate) fn lower_case(keys: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::with_capacity(keys.len());
    keys.into_iter()
        .map(|key| lower_case_text(&key))
        .filter(|key| seen.insert(key.clone()))
        .collect()
}

/// Each letter becomes one letter, wherever it stands: U+0130 an `i` without a dot of its own, a
/// capital sigma at the end of a word the common small one. [`str::to_lowercase`] does neither.
pub(crate) fn lower_case_text(text: &str) -> String {
    text.chars()
        .filter_map(|letter| letter.to_lowercase().next())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_lower_case_as_in_go_and_each_once() {
        let keys = [
            "\u{130}STANBUL@Example.com",
            "istanbul@example.com",
            "\u{39f}\u{3a3}",
            "\u{1e9e}",
        ];
        let lower = ["istanbul@example.com", "\u{3bf}\u{3c3}", "\u{df}"];
        assert_eq!(lower_case(keys.map(str::to_owned).to_vec()), lower);
    }
}
