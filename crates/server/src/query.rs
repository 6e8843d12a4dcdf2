//! Query parameters with Rekor's rules: the last one of a repeated key counts, unknown keys are
//! ignored, and an empty value is the same as an absent one.

use std::borrow::Cow;

/// Returns the decoded key of a `key=value` pair.
pub(crate) fn key_of(pair: &str) -> Cow<'_, str> {
    decode(pair.split_once('=').map_or(pair, |(key, _)| key))
}

/// Returns the last value of `key`, or `None` if it is absent or empty.
pub(crate) fn last<'a>(query: Option<&'a str>, key: &str) -> Option<Cow<'a, str>> {
    let pair = query?.split('&').rev().find(|pair| key_of(pair) == key)?;
    let value = decode(pair.split_once('=')?.1);
    (!value.is_empty()).then_some(value)
}

/// Decodes percent-encoding, with `+` as space. A text that is not a valid escape stays as it is,
/// and bytes that are not UTF-8 become U+FFFD.
pub(crate) fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten();
        let mut byte = [0];
        if escaped.is_some_and(|digits| hex::decode_to_slice(digits, &mut byte).is_ok()) {
            decoded.push(byte[0]);
            at += 3;
        } else {
            decoded.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
            at += 1;
        }
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_counts_and_empty_is_absent() {
        assert_eq!(last(Some("a=1&b=2&a=3"), "a").as_deref(), Some("3"));
        assert_eq!(last(Some("a=1&a="), "a"), None);
        assert_eq!(last(Some("a"), "a"), None);
        assert_eq!(last(Some("%61=x%20y+z%2"), "a").as_deref(), Some("x y z%2"));
        assert_eq!(last(Some("a=%ff"), "a").as_deref(), Some("\u{fffd}"));
        assert_eq!(last(None, "a"), None);
    }
}
