//! The JSON form of protobuf messages as Go's protojson reads it, which is what Rekor v2 does.
//!
//! A member may go by either of its names; an unknown one is refused, and so is one that comes
//! twice, even if it is `null`, which otherwise leaves its field unset; of a oneof only one may be
//! set. Bytes are base64 of either alphabet, padded or not; enums are names or numbers. Two
//! differences: an absurdly long list is cut (it is refused for its length later), and nothing but
//! white space may follow the value.
//!
//! The reader that the generated types bring along takes duplicates, and writes each message out as
//! protobuf to read it again; it is the oracle of the fuzz target.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::DecodePaddingMode::{self, RequireCanonical, RequireNone};
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::MAX_LIST;
use crate::refusal::Refusal;
use pki::quoted;

/// A message that can be read.
pub(super) trait Message: Default {
    /// The names of its fields: in JSON, and in the .proto file.
    const FIELDS: &'static [[&'static str; 2]];

    /// Reads the field that has this name in JSON.
    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        field: &str,
        value: Value<'_, A>,
    ) -> Result<(), A::Error>;
}

/// Reads one message from a whole text.
pub(super) fn from_json<M: Message>(json: &[u8]) -> Result<M, Refusal> {
    let mut parser = serde_json::Deserializer::from_slice(json);
    let message = As(MessageVisitor::<M>(PhantomData))
        .deserialize(&mut parser)
        .map_err(Refusal::json)?;
    parser.end().map_err(Refusal::json)?;
    Ok(message)
}

/// The value of a member, to be read as what the field holds. `null` reads as nothing.
pub(super) struct Value<'a, A>(&'a mut A);

impl<'de, A: MapAccess<'de>> Value<'_, A> {
    pub(super) fn bytes(self) -> Result<Vec<u8>, A::Error> {
        self.read(As(BytesVisitor)).map(Option::unwrap_or_default)
    }

    pub(super) fn text(self) -> Result<String, A::Error> {
        self.read(As(TextVisitor)).map(Option::unwrap_or_default)
    }

    /// A name of an enum, or a number, known or not.
    pub(super) fn number(self, by_name: fn(&str) -> Option<i32>) -> Result<i32, A::Error> {
        self.read(As(EnumVisitor(by_name)))
            .map(Option::unwrap_or_default)
    }

    pub(super) fn message<M: Message>(self) -> Result<Option<M>, A::Error> {
        self.read(As(MessageVisitor(PhantomData)))
    }

    /// At most one message more than [`MAX_LIST`].
    pub(super) fn list<M: Message>(self) -> Result<Vec<M>, A::Error> {
        self.read(As(ListVisitor(PhantomData)))
            .map(Option::unwrap_or_default)
    }

    /// A message as one case of a oneof.
    pub(super) fn one_of<M: Message, T>(
        self,
        oneof: &mut Option<T>,
        case: fn(M) -> T,
    ) -> Result<(), A::Error> {
        let Some(message) = self.message()? else {
            return Ok(());
        };
        match oneof.replace(case(message)) {
            None => Ok(()),
            Some(_) => Err(A::Error::custom("two members of which only one may be set")),
        }
    }

    fn read<S: DeserializeSeed<'de>>(self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_value_seed(Nullable(seed))
    }
}

// They say less than serde would, which repeats the string.
const STRING_FOR_OBJECT: &str = "invalid type: string, expected an object";
const STRING_FOR_LIST: &str = "invalid type: string, expected a list";

/// `null`, or a value.
struct Nullable<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Nullable<S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Nullable<S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}

/// A value of whatever type, as the visitor takes it.
struct As<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for As<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_any(self.0)
    }
}

struct MessageVisitor<M>(PhantomData<M>);

impl<'de, M: Message> Visitor<'de> for MessageVisitor<M> {
    type Value = M;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<M, E> {
        Err(E::custom(STRING_FOR_OBJECT))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<M, A::Error> {
        let mut message = M::default();
        let mut seen = 0_u32;
        while let Some(field) = map.next_key_seed(As(FieldName(M::FIELDS)))? {
            let [name, _] = M::FIELDS[field];
            if seen & 1 << field != 0 {
                return Err(A::Error::custom(format_args!("duplicate field \"{name}\"")));
            }
            seen |= 1 << field;
            message.read(name, Value(&mut map))?;
        }
        Ok(message)
    }
}

struct ListVisitor<M>(PhantomData<M>);

impl<'de, M: Message> Visitor<'de> for ListVisitor<M> {
    type Value = Vec<M>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Vec<M>, E> {
        Err(E::custom(STRING_FOR_LIST))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<M>, A::Error> {
        let mut messages = Vec::new();
        while messages.len() <= MAX_LIST {
            match list.next_element_seed(As(MessageVisitor(PhantomData)))? {
                Some(message) => messages.push(message),
                None => return Ok(messages),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(messages)
    }
}

/// The name of a member, as the number of its field.
struct FieldName(&'static [[&'static str; 2]]);

impl Visitor<'_> for FieldName {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        let field = self.0.iter().position(|names| names.contains(&name));
        field.ok_or_else(|| E::custom(format_args!("unknown field \"{}\"", quoted(name))))
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

struct EnumVisitor(fn(&str) -> Option<i32>);

impl Visitor<'_> for EnumVisitor {
    type Value = i32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name or number of an enum")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<i32, E> {
        (self.0)(name).ok_or_else(|| {
            E::custom(format_args!(
                "invalid value for an enum: \"{}\"",
                quoted(name)
            ))
        })
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i32, E> {
        i32::try_from(number).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i32, E> {
        i32::try_from(number).map_err(E::custom)
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
        decode_base64(text)
            .ok_or_else(|| E::custom("invalid value for a field of bytes: no base64"))
    }
}

/// Stray bits under the padding pass, as they do in Go.
const fn engine(
    alphabet: &base64::alphabet::Alphabet,
    padding: DecodePaddingMode,
) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(padding)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(alphabet, config)
}

/// By whether the alphabet is the URL-safe one, and whether padding must be there.
static ENGINES: [[GeneralPurpose; 2]; 2] = [
    [
        engine(&STANDARD, RequireNone),
        engine(&STANDARD, RequireCanonical),
    ],
    [
        engine(&URL_SAFE, RequireNone),
        engine(&URL_SAFE, RequireCanonical),
    ],
];

/// The alphabet follows from its characters and padding from the length, line ends included, which
/// are skipped.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let is_url_safe = text.bytes().any(|byte| matches!(byte, b'-' | b'_'));
    let engine = &ENGINES[usize::from(is_url_safe)][usize::from(text.len().is_multiple_of(4))];
    let text = match text.contains(['\r', '\n']) {
        true => Cow::Owned(text.replace(['\r', '\n'], "")),
        false => Cow::Borrowed(text),
    };
    engine.decode(&*text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_in_its_four_spellings() {
        let bytes = [0xfb, 0xef, 0xff, 0xfe];
        for text in [
            "++///g==",
            "++///g",
            "--___g==",
            "--___g",
            "++///h==",
            "++//\n/g==",
        ] {
            assert_eq!(
                decode_base64(text).as_deref(),
                (text != "++//\n/g==").then_some(&bytes[..]),
                "{text:?}"
            );
        }
        assert_eq!(
            decode_base64("++//\r\n\r\n/g==").as_deref(),
            Some(&bytes[..])
        );
        assert_eq!(decode_base64("").as_deref(), Some(&[][..]));
        for text in ["++/_", "++///g=", "+", "=", "a b=", "ü"] {
            assert_eq!(decode_base64(text), None, "{text:?}");
        }
    }
}
