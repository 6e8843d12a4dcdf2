//! JSON documents inside entries, as Go's decoder reads them into structs: names are matched without regard to case,
//! unknown ones are ignored, of duplicates the last one wins, null is absent, and a wrong type is an error.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Error;
use serde_json::value::RawValue;

use crate::envelope::is_name;

/// The members of the object `json` with these names; none of them if it is null.
pub(crate) fn members<'a, const N: usize>(json: &'a str, names: [&str; N]) -> Result<[Option<&'a RawValue>; N], Error> {
    let mut parser = serde_json::Deserializer::from_str(json);
    let members = Members(names).deserialize(&mut parser)?;
    parser.end()?;
    Ok(members)
}

/// The text of a member; none if there is no such member.
pub(crate) fn text(member: Option<&RawValue>) -> Result<Cow<'_, str>, Error> {
    /// Borrows where nothing is escaped.
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Option<Cow<'a, str>>);

    let text: Option<Text<'_>> = member.map(|json| serde_json::from_str(json.get())).transpose()?;
    Ok(text.and_then(|text| text.0).unwrap_or_default())
}

/// Hands each element of the array to `take`, in order, until it returns an error; nothing if there is no such member.
/// What is no array is `malformed`.
pub(crate) fn each_element<'a, E>(
    member: Option<&'a RawValue>,
    malformed: impl FnOnce(Error) -> E,
    take: impl FnMut(&'a RawValue) -> Result<(), E>,
) -> Result<(), E> {
    let Some(json) = member else { return Ok(()) };
    run(json, Elements(take), malformed)
}

/// As [`each_element`], for the members of an object, duplicates included.
pub(crate) fn each_member<'a, E>(
    member: Option<&'a RawValue>,
    malformed: impl FnOnce(Error) -> E,
    take: impl FnMut(Cow<'a, str>, &'a RawValue) -> Result<(), E>,
) -> Result<(), E> {
    let Some(json) = member else { return Ok(()) };
    run(json, Entries(take), malformed)
}

/// Runs a visitor whose value is the outcome of what it called.
fn run<'a, E, V: Visitor<'a, Value = Result<(), E>>>(
    json: &'a RawValue,
    visitor: V,
    error: impl FnOnce(Error) -> E,
) -> Result<(), E> {
    match serde_json::Deserializer::from_str(json.get()).deserialize_any(visitor) {
        Ok(outcome) => outcome,
        Err(malformed) => Err(error(malformed)),
    }
}

struct Members<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Members<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Members<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok([None; N])
    }

    /// Says less than serde would, which repeats the string.
    fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
        Err(E::custom("invalid type: string, expected an object"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut members = [None; N];
        while let Some(name) = object.next_key::<Cow<'de, str>>()? {
            match self.0.iter().position(|wanted| is_name(&name, wanted)) {
                Some(at) => {
                    let value: &RawValue = object.next_value()?;
                    // Go leaves as it is what a null is decoded into.
                    if value.get() != "null" {
                        members[at] = Some(value);
                    }
                }
                None => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(members)
    }
}

struct Elements<F>(F);

impl<'de, E, F: FnMut(&'de RawValue) -> Result<(), E>> Visitor<'de> for Elements<F> {
    type Value = Result<(), E>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<D>(self) -> Result<Self::Value, D> {
        Ok(Ok(()))
    }

    fn visit_str<D: de::Error>(self, _: &str) -> Result<Self::Value, D> {
        Err(D::custom("invalid type: string, expected an array"))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut outcome = Ok(());
        while let Some(element) = array.next_element::<&RawValue>()? {
            if outcome.is_ok() {
                outcome = (self.0)(element);
            }
        }
        Ok(outcome)
    }
}

struct Entries<F>(F);

impl<'de, E, F: FnMut(Cow<'de, str>, &'de RawValue) -> Result<(), E>> Visitor<'de> for Entries<F> {
    type Value = Result<(), E>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<D>(self) -> Result<Self::Value, D> {
        Ok(Ok(()))
    }

    fn visit_str<D: de::Error>(self, _: &str) -> Result<Self::Value, D> {
        Err(D::custom("invalid type: string, expected an object"))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut outcome = Ok(());
        while let Some(name) = object.next_key::<Cow<'de, str>>()? {
            let value = object.next_value::<&RawValue>()?;
            if outcome.is_ok() {
                outcome = (self.0)(name, value);
            }
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(json: &str) -> Result<String, Error> {
        let [name] = members(json, ["keyid"])?;
        text(name).map(Cow::into_owned)
    }

    #[test]
    fn names_fold_null_is_absent_and_the_last_one_wins() {
        assert_eq!(name(r#"{"KeyID":"a","keyid":"b","KEYID":null,"x":[{}]}"#).unwrap(), "b");
        assert_eq!(name(r#"{"\u212aeyid":"\u0041"} "#).unwrap(), "A");
        assert_eq!(name("{}").unwrap(), "");
        assert_eq!(name("null").unwrap(), "");
        for wrong in ["", "[]", "7", "\"a\"", "{\"keyid\":7}", "{\"keyid\":[]}", "{} {}", "{\"keyid\":\"\\ud800\"}"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn elements_and_members_in_order() {
        let json = |text: &'static str| -> &RawValue { serde_json::from_str(text).unwrap() };
        let list = |text| {
            let mut seen = Vec::new();
            each_element(
                Some(json(text)),
                |error| error,
                |element| {
                    seen.push(element.get());
                    if seen.len() < 3 { Ok(()) } else { Err(de::Error::custom("enough")) }
                },
            )
            .map(|()| seen)
            .map_err(|error: Error| error.to_string())
        };
        assert_eq!(list("[1, null]").unwrap(), ["1", "null"]);
        assert_eq!(list("null").unwrap(), [""; 0]);
        assert_eq!(list("[1,2,3,4,5]").unwrap_err(), "enough");
        assert!(list("{}").is_err() && list("\"x\"").is_err());

        let mut seen = Vec::new();
        each_member(
            Some(json(r#"{"a":1,"a":[2]}"#)),
            |error| error,
            |name, value| {
                seen.push(format!("{name}{}", value.get()));
                Ok::<_, Error>(())
            },
        )
        .unwrap();
        assert_eq!(seen, ["a1", "a[2]"]);
        assert!(each_member(Some(json("[]")), |error| error, |_, _| Ok(())).is_err());
    }
}
