//! Members of `spec` as Rekor decodes them: names are case-sensitive, unknown members are ignored, of duplicates the
//! last one wins, and a member of the wrong type counts as absent.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::refusal::Refusal;

/// Standard alphabet, padding required; stray bits under the padding pass, as they do in Go.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

/// What a member's value must be to count: a string or an object.
pub(crate) trait Shape<'de>: Sized {
    /// From a string; absent unless this shape is one.
    fn from_text(_text: Cow<'de, str>) -> Option<Self> {
        None
    }

    /// From an object; absent unless this shape is one. MUST consume all of `object`.
    fn from_object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// An object of `spec`, told apart by the names of its members.
pub(crate) trait Members<'de>: Default {
    /// Reads the value of the member `name`; MUST take exactly one value from `object`.
    fn read<A: MapAccess<'de>>(&mut self, name: &str, object: &mut A) -> Result<(), A::Error>;
}

/// A member's value if it is of the wanted shape.
pub(crate) struct Member<T>(pub(crate) Option<T>);

/// A string.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

/// An object with the members of `T`.
pub(crate) struct Object<T>(pub(crate) T);

impl<'a> Shape<'a> for Text<'a> {
    fn from_text(text: Cow<'a, str>) -> Option<Self> {
        Some(Self(text))
    }
}

impl<'de, T: Members<'de>> Shape<'de> for Object<T> {
    fn from_object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let mut members = T::default();
        while let Some(name) = object.next_key::<Cow<'de, str>>()? {
            members.read(&name, &mut object)?;
        }
        Ok(Some(Self(members)))
    }
}

impl<T> Default for Member<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Shape<'de>> Deserialize<'de> for Member<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor(PhantomData)).map(Self)
    }
}

/// Takes the value of a member that nobody asked for.
pub(crate) fn ignore<'de, A: MapAccess<'de>>(object: &mut A) -> Result<(), A::Error> {
    object.next_value::<IgnoredAny>().map(|_| ())
}

/// The bytes of the base64 member `what`. An empty text is an absent one; CR and LF are skipped.
pub(crate) fn decode_base64(what: &str, text: &str) -> Result<Vec<u8>, Refusal> {
    BASE64
        .decode(text)
        .or_else(|error| match text.contains(['\r', '\n']) {
            true => BASE64.decode(text.replace(['\r', '\n'], "")),
            false => Err(error),
        })
        .map_err(|_| {
            let at = first_illegal_byte(text);
            Refusal::Invalid(format!("failed parsing base64 data for {what}: illegal base64 data at input byte {at}"))
        })
}

/// Where Go says that `text`, which is not base64, goes wrong.
fn first_illegal_byte(text: &str) -> usize {
    // Digits of the quantum of four that is being read.
    let mut digits = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'\r' | b'\n' => {}
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => digits = (digits + 1) % 4,
            b'=' if digits >= 2 => return padding_error(text, at, digits),
            _ => return at,
        }
    }
    text.len() - digits
}

/// Where Go says that the padding that begins at `at` goes wrong.
fn padding_error(text: &str, at: usize, digits: usize) -> usize {
    let skip = |from: usize| from + text[from..].bytes().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let mut next = skip(at + 1);
    if digits == 2 {
        match text.as_bytes().get(next) {
            None => return text.len(),
            Some(b'=') => next = skip(next + 1),
            Some(_) => return next - 1,
        }
    }
    next
}

struct ShapeVisitor<T>(PhantomData<T>);

impl<'de, T: Shape<'de>> Visitor<'de> for ShapeVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(T::from_text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(T::from_text(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        T::from_object(object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Pair<'a> {
        content: Member<Text<'a>>,
        inner: Member<Object<()>>,
    }

    impl<'de> Members<'de> for Pair<'de> {
        fn read<A: MapAccess<'de>>(&mut self, name: &str, object: &mut A) -> Result<(), A::Error> {
            match name {
                "content" => self.content = object.next_value()?,
                "inner" => self.inner = object.next_value()?,
                _ => return ignore(object),
            }
            Ok(())
        }
    }

    impl<'de> Members<'de> for () {
        fn read<A: MapAccess<'de>>(&mut self, _: &str, object: &mut A) -> Result<(), A::Error> {
            ignore(object)
        }
    }

    fn content(json: &str) -> Option<String> {
        let Member(pair) = serde_json::from_str::<Member<Object<Pair<'_>>>>(json).unwrap();
        pair?.0.content.0.map(|text| text.0.into_owned())
    }

    #[test]
    fn wrong_type_is_absent_and_last_duplicate_wins() {
        for absent in ["7", "-7", "1.5", "true", "null", "[[1]]", "{\"a\":{}}"] {
            assert_eq!(content(&format!("{{\"content\":{absent}}}")), None, "{absent}");
            assert_eq!(content(&format!("{{\"content\":\"a\",\"content\":{absent}}}")), None, "{absent}");
            assert_eq!(content(&format!("{{\"content\":{absent},\"content\":\"b\"}}")).as_deref(), Some("b"));
        }
        assert_eq!(content("{\"Content\":\"a\"}"), None, "names are case-sensitive");
        assert_eq!(content("{\"content\":\"\\u0041\\n\"}").as_deref(), Some("A\n"));
        assert_eq!(content("\"content\""), None);
        let Member(pair) = serde_json::from_str::<Member<Object<Pair<'_>>>>("{\"inner\":{\"x\":[]}}").unwrap();
        assert!(pair.unwrap().0.inner.0.is_some());
    }

    #[test]
    fn base64_as_go_reads_it() {
        for (text, bytes) in [("YQ==", "a"), ("YR==", "a"), ("Y\r\nQ=\n=\n", "a"), ("YWI=", "ab"), ("", "")] {
            assert_eq!(decode_base64("x", text).unwrap(), bytes.as_bytes(), "{text:?}");
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
            let expected = format!("failed parsing base64 data for x: illegal base64 data at input byte {at}");
            assert_eq!(text_of_error, expected, "{text:?}");
        }
    }
}
