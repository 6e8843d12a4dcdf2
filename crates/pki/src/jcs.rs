//! RFC 8785 text of what client files contain: strings, and objects of strings.

use std::collections::BTreeMap;

/// A string between quotes. serde_json escapes what RFC 8785 section 3.2.2.2 says, and nothing
/// else.
pub fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// An object whose members are all strings, in the order of their names' UTF-16 units.
pub fn object(members: &BTreeMap<String, String>) -> String {
    let mut ordered: Vec<_> = members.iter().collect();
    ordered.sort_by_cached_key(|(name, _)| name.encode_utf16().collect::<Vec<_>>());
    let members: Vec<String> = ordered
        .into_iter()
        .map(|(name, value)| format!("{}:{}", string(name), string(value)))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// Bytes as text, as Go writes them into JSON: each byte that is not part of a character becomes
/// U+FFFD.
pub fn lossy(mut bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    loop {
        match std::str::from_utf8(bytes) {
            Ok(rest) => {
                text += rest;
                return text;
            }
            Err(error) => {
                let (valid, rest) = bytes.split_at(error.valid_up_to());
                text += &String::from_utf8_lossy(valid);
                text.push(char::REPLACEMENT_CHARACTER);
                bytes = &rest[1..];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_canonical() {
        let members = [
            ("b", "\u{7f}\u{1}\n\"\\/<é"),
            ("a", ""),
            ("\u{1f600}", "x"),
            ("\u{fb33}", "y"),
        ];
        let members = members
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let value = serde_json::to_value(&members).unwrap();
        assert_eq!(
            object(&members).as_bytes(),
            serde_json_canonicalizer::to_vec(&value).unwrap()
        );
        assert_eq!(object(&BTreeMap::new()), "{}");
    }

    #[test]
    fn each_invalid_byte_is_replaced() {
        assert_eq!(lossy(b"a\xe2\x82b\xff"), "a\u{fffd}\u{fffd}b\u{fffd}");
        assert_eq!(lossy("€".as_bytes()), "€");
    }
}
