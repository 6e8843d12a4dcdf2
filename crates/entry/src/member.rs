//! Members of `spec` as Rekor decodes them: names are case-sensitive, unknown members are ignored,
//! of duplicates the last one wins, and a member of the wrong type counts as absent.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::refusal::Refusal;
use pki::base64::{decode_digits, decode_standard_base64};
use pki::go_json::Value;

/// The value of a member, of any type. Empty if the member is absent.
#[derive(Clone, Copy, Default)]
pub(crate) struct Member<'a>(Option<&'a RawValue>);

impl<'a> Member<'a> {
    /// A value on its own.
    pub(crate) fn of(value: &'a RawValue) -> Self {
        Self(Some(value))
    }

    /// The members with these names, if this is an object. The rest of it is neither kept nor
    /// copied.
    pub(crate) fn object<const N: usize>(
        self,
        names: [&str; N],
    ) -> Result<Option<[Member<'a>; N]>, Refusal> {
        let Some(json) = self.starting_with('{') else {
            return Ok(None);
        };
        let mut parser = serde_json::Deserializer::from_str(json);
        Pick(names)
            .deserialize(&mut parser)
            .map(Some)
            .map_err(Refusal::json)
    }

    /// The text, if this is a string.
    pub(crate) fn text(self) -> Result<Option<Cow<'a, str>>, Refusal> {
        let Some(json) = self.starting_with('"') else {
            return Ok(None);
        };
        match json.contains('\\') {
            true => serde_json::from_str(json)
                .map(|text| Some(Cow::Owned(text)))
                .map_err(Refusal::json),
            // The parser went over it already: what is between the quotes is the text.
            false => Ok(Some(Cow::Borrowed(&json[1..json.len() - 1]))),
        }
    }

    /// The value as it is written, of whatever type.
    pub(crate) fn json(self) -> Option<&'a str> {
        self.0.map(RawValue::get)
    }

    /// The bytes of `what`, if this is a string, which then has to be base64; no bytes if it is
    /// not.
    pub(crate) fn base64(self, what: &str) -> Result<Vec<u8>, Refusal> {
        // With escapes, the text would be a copy of what may be 40 MiB.
        let escaped = self.starting_with('"').filter(|json| json.contains('\\'));
        match escaped
            .and_then(|json| decode_digits(unescaped(&json[1..json.len() - 1]), json.len()))
        {
            Some(bytes) => Ok(bytes),
            None => self
                .text()?
                .map_or(Ok(Vec::new()), |text| decode_base64(what, &text)),
        }
    }

    /// The elements of the list `what`, if this is an array, of which there may be `limit`.
    pub(crate) fn elements(
        self,
        what: &str,
        limit: usize,
    ) -> Result<Option<Vec<Member<'a>>>, Refusal> {
        let Some(list) = self.0.filter(|_| self.starting_with('[').is_some()) else {
            return Ok(None);
        };
        let mut elements = Vec::new();
        Value::of(list).each_element(|element| {
            if elements.len() == limit {
                return Err(Refusal::Invalid(format!(
                    "more than {limit} {what}, the limit"
                )));
            }
            elements.push(Self(element.last()));
            Ok(())
        })?;
        Ok(Some(elements))
    }

    fn starting_with(self, first: char) -> Option<&'a str> {
        self.0
            .map(RawValue::get)
            .filter(|json| json.starts_with(first))
    }
}

/// Returns the bytes between the quotes of a JSON string, which the parser checked already.
/// Characters beyond ASCII and escapes that base64 has no use for become NUL.
fn unescaped(json: &str) -> impl Iterator<Item = u8> {
    let mut bytes = json.bytes();
    std::iter::from_fn(move || match bytes.next()? {
        b'\\' => Some(match bytes.next()? {
            b'/' => b'/',
            b'n' => b'\n',
            b'r' => b'\r',
            b'u' => {
                let digits = bytes
                    .by_ref()
                    .take(4)
                    .filter_map(|digit| char::from(digit).to_digit(16));
                let code = digits.fold(0, |code, digit| code * 16 + digit);
                u8::try_from(code).unwrap_or(0)
            }
            _ => 0,
        }),
        byte => Some(byte),
    })
}

/// Decodes the base64 member `what`. An empty text counts as absent. CR and LF are skipped.
fn decode_base64(what: &str, text: &str) -> Result<Vec<u8>, Refusal> {
    decode_standard_base64(text).map_err(|at| {
        Refusal::Invalid(format!(
            "failed parsing base64 data for {what}: illegal base64 data at input byte {at}"
        ))
    })
}

/// Takes the last members with these names from an object.
struct Pick<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Pick<'_, N> {
    type Value = [Member<'de>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Pick<'_, N> {
    type Value = [Member<'de>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut members = [Member(None); N];
        while let Some(name) = object.next_key::<Cow<'de, str>>()? {
            match self.0.iter().position(|wanted| *wanted == name) {
                Some(at) => members[at] = Member(Some(object.next_value()?)),
                None => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use pki::base64::BASE64;

    use super::*;

    fn content(json: &str) -> Option<String> {
        let value: &RawValue = serde_json::from_str(json).unwrap();
        let [content] = Member::of(value).object(["content"]).unwrap()?;
        content.text().unwrap().map(Cow::into_owned)
    }

    #[test]
    fn wrong_type_is_absent_and_last_duplicate_wins() {
        for absent in ["7", "-7", "1e999", "true", "null", "[[1]]", "{\"a\":{}}"] {
            assert_eq!(
                content(&format!("{{\"content\":{absent}}}")),
                None,
                "{absent}"
            );
            assert_eq!(
                content(&format!("{{\"content\":\"a\",\"content\":{absent}}}")),
                None,
                "{absent}"
            );
            assert_eq!(
                content(&format!("{{\"content\":{absent},\"content\":\"b\"}}")).as_deref(),
                Some("b")
            );
        }
        assert_eq!(
            content("{\"Content\":\"a\"}"),
            None,
            "names are case-sensitive"
        );
        assert_eq!(
            content("{\"con\\u0074ent\":\"\\u0041\\n\"}").as_deref(),
            Some("A\n")
        );
        assert_eq!(content("\"content\""), None);
        assert_eq!(
            content(&format!(
                "{{\"x\":{}{}}}",
                "[".repeat(10_000),
                "]".repeat(10_000)
            )),
            None,
            "depth costs nothing"
        );
    }

    #[test]
    fn text_that_is_not_unicode_is_refused() {
        let value: &RawValue = serde_json::from_str("\"\\ud800\"").unwrap();
        assert!(matches!(Member::of(value).text(), Err(Refusal::Json(_))));
    }

    #[test]
    fn base64_in_lines_or_with_escapes_is_the_same_as_without() {
        let bytes: Vec<u8> = (0..10_000_u32)
            .flat_map(|number| (number * 7919).to_be_bytes())
            .collect();
        for length in [0, 1, 3_071, 3_072, 3_073, 6_144, 40_000] {
            let text = BASE64.encode(&bytes[..length]);
            let (first, rest) = text.split_at(text.len().min(4_095));
            let lines = format!("{first}\r\n{rest}\n");
            assert_eq!(decode_base64("x", &lines).unwrap(), bytes[..length]);
            let escaped = text
                .replace('/', "\\/")
                .replace('+', "\\u002B")
                .replace('A', "\\u0041");
            for json in [
                serde_json::to_string(&lines).unwrap(),
                format!("\"{escaped}\\n\""),
            ] {
                let value: &RawValue = serde_json::from_str(&json).unwrap();
                assert_eq!(Member::of(value).base64("x").unwrap(), bytes[..length]);
            }
        }
        let padded = BASE64.encode(&bytes[..3_071]);
        assert!(
            decode_base64("x", &format!("{padded}\nQQ==")).is_err(),
            "padding ends a text"
        );
    }

    #[test]
    fn escapes_that_are_no_base64_are_refused_where_they_stand() {
        for (json, at) in [
            (r#""YQ\u0000=""#, 2),
            (r#""Y\"Q=""#, 1),
            (r#""\/\/\t==""#, 2),
            (r#""YQ==\u00e9""#, 4),
        ] {
            let value: &RawValue = serde_json::from_str(json).unwrap();
            let refusal = Member::of(value).base64("x").unwrap_err().to_string();
            assert!(
                refusal.ends_with(&format!("illegal base64 data at input byte {at}")),
                "{json}: {refusal}"
            );
        }
        let value: &RawValue = serde_json::from_str(r#""YQ==\ud800""#).unwrap();
        assert!(
            matches!(Member::of(value).base64("x"), Err(Refusal::Json(_))),
            "no Unicode"
        );
    }

    #[test]
    fn base64_as_go_reads_it() {
        for (text, bytes) in [
            ("YQ==", "a"),
            ("YR==", "a"),
            ("Y\r\nQ=\n=\n", "a"),
            ("YWI=", "ab"),
            ("", ""),
        ] {
            assert_eq!(
                decode_base64("x", text).unwrap(),
                bytes.as_bytes(),
                "{text:?}"
            );
        }
        let cases = [
            ("YQ", 0),
            ("YWJjZA", 4),
            ("Y", 0),
            ("YQ=", 3),
            ("YQ=a", 2),
            ("YQ==x", 4),
            ("YWI=YWI=", 4),
            ("=", 0),
            ("a-b=", 1),
            ("!", 0),
        ];
        for (text, at) in cases {
            let text_of_error = decode_base64("x", text).unwrap_err().to_string();
            let expected =
                format!("failed parsing base64 data for x: illegal base64 data at input byte {at}");
            assert_eq!(text_of_error, expected, "{text:?}");
        }
    }
}
