//! JSON documents inside entries, as Go's decoder reads them into structs: names are matched
//! without regard to case, unknown ones are ignored, and a wrong type is an error.
//!
//! A member may be repeated. Go then decodes the later value into what the earlier one left:
//! structs and the elements of lists are merged, maps get further entries, texts and numbers are
//! replaced. A null empties a list, a map and a pointer, and leaves texts, numbers and structs as
//! they are. A [`Value`] is therefore all that is decoded into one place.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error;
use crate::go_names::is_name;

/// Values decoded into one place. Nobody repeats a member on purpose; each repetition is kept until
/// the last one is read.
const MAX_REPETITIONS: usize = 16;
/// Elements of a list that is repeated, since its elements are kept until they are merged.
const MAX_MERGED_ELEMENTS: usize = 4_096;

/// Why a document is not read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not JSON, or a value has another type.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A member is repeated too often.
    #[error(
        "a JSON member is there more than {MAX_REPETITIONS} times, or repeated as a list of more than \
         {MAX_MERGED_ELEMENTS} elements"
    )]
    Repeated,
}

impl From<Error> for error::Error {
    fn from(error: Error) -> Self {
        Self::invalid(error)
    }
}

/// All values that are decoded into one place, in order. Empty if the member is absent.
#[derive(Clone, Default)]
pub struct Value<'a> {
    first: Option<&'a RawValue>,
    repeated: Vec<&'a RawValue>,
}

/// Returns the members of the object `json` with these names. All are empty if it is null.
pub fn members<'a, const N: usize>(
    json: &'a str,
    names: [&str; N],
) -> Result<[Value<'a>; N], Error> {
    let mut members = std::array::from_fn(|_| Value::default());
    let mut parser = serde_json::Deserializer::from_str(json);
    parser.deserialize_any(Members {
        names,
        found: &mut members,
    })??;
    parser.end()?;
    Ok(members)
}

impl<'a> Value<'a> {
    /// A value that was there once.
    pub fn of(json: &'a RawValue) -> Self {
        Self {
            first: Some(json),
            repeated: Vec::new(),
        }
    }

    /// Returns the last of the values, for members that Go does not look into.
    pub fn last(&self) -> Option<&'a RawValue> {
        self.repeated.last().copied().or(self.first)
    }

    /// Returns the values of one type, which all begin with `first`, and the nulls.
    pub fn beginning_with(&self, first: char) -> Self {
        self.all()
            .filter(|json| json.get().starts_with(first) || json.get() == "null")
            .collect()
    }

    /// The values after the last null, which empties a list or a map.
    fn since_null(&self) -> Self {
        let nulls = self
            .all()
            .enumerate()
            .filter(|(_, json)| json.get() == "null");
        let from = nulls.last().map_or(0, |(at, _)| at + 1);
        self.all().skip(from).collect()
    }

    /// Returns the members of a struct with these names.
    pub fn members<const N: usize>(&self, names: [&str; N]) -> Result<[Value<'a>; N], Error> {
        let mut members = std::array::from_fn(|_| Value::default());
        for json in self.all() {
            let visitor = Members {
                names,
                found: &mut members,
            };
            serde_json::Deserializer::from_str(json.get()).deserialize_any(visitor)??;
        }
        Ok(members)
    }

    /// Returns the text, or an empty one if the member is absent.
    pub fn text(&self) -> Result<Cow<'a, str>, Error> {
        /// Borrows where nothing is escaped.
        #[derive(Deserialize)]
        struct Text<'a>(#[serde(borrow)] Option<Cow<'a, str>>);

        let mut text = Cow::default();
        for json in self.all() {
            let read: Text<'a> = serde_json::from_str(json.get())?;
            text = read.0.unwrap_or(text);
        }
        Ok(text)
    }

    /// Returns the number or boolean, or 0 or false if the member is absent.
    pub fn scalar<T: DeserializeOwned + Default>(&self) -> Result<T, Error> {
        let mut scalar = T::default();
        for json in self.all() {
            scalar = serde_json::from_str::<Option<T>>(json.get())?.unwrap_or(scalar);
        }
        Ok(scalar)
    }

    /// Hands each element of the list to `take`, in order, until it returns an error.
    pub fn each_element<E: From<Error>>(
        &self,
        take: impl FnMut(Value<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let left = self.since_null();
        match (left.first, left.repeated.is_empty()) {
            (None, _) => Ok(()),
            (Some(json), true) => each_in_list(json, take),
            (Some(_), false) => left.merged()?.into_iter().try_for_each(take),
        }
    }

    /// Hands each member of the map to `take`, in order and repetitions included, until it returns
    /// an error. Of equal names the last value counts.
    pub fn each_member<E: From<Error>>(
        &self,
        mut take: impl FnMut(Cow<'a, str>, &'a RawValue) -> Result<(), E>,
    ) -> Result<(), E> {
        self.since_null()
            .all()
            .try_for_each(|json| run(json, Entries(&mut take)))
    }

    /// The elements of lists that are decoded into one. Go keeps those beyond the end of a shorter
    /// list, and decodes into them again what a longer one has in their place; but an empty list
    /// leaves nothing.
    fn merged(&self) -> Result<Vec<Value<'a>>, Error> {
        let mut elements: Vec<Value<'a>> = Vec::new();
        let mut length = 0;
        for json in self.all() {
            length = 0;
            each_in_list(json, |element| {
                if length == MAX_MERGED_ELEMENTS {
                    return Err(Error::Repeated);
                }
                match elements.get_mut(length) {
                    Some(merged) => merged.push(element.last())?,
                    None => elements.push(element),
                }
                length += 1;
                Ok(())
            })?;
            if length == 0 {
                elements.clear();
            }
        }
        elements.truncate(length);
        Ok(elements)
    }

    fn all(&self) -> impl Iterator<Item = &'a RawValue> {
        self.first.into_iter().chain(self.repeated.iter().copied())
    }

    fn push(&mut self, json: Option<&'a RawValue>) -> Result<(), Error> {
        match (self.first, json) {
            (_, None) => {}
            (None, Some(_)) => self.first = json,
            (Some(_), Some(_)) if self.repeated.len() + 1 == MAX_REPETITIONS => {
                return Err(Error::Repeated);
            }
            (Some(_), Some(json)) => self.repeated.push(json),
        }
        Ok(())
    }
}

impl<'a> FromIterator<&'a RawValue> for Value<'a> {
    fn from_iter<T: IntoIterator<Item = &'a RawValue>>(all: T) -> Self {
        let mut all = all.into_iter();
        Self {
            first: all.next(),
            repeated: all.collect(),
        }
    }
}

/// Hands each element of the array to `take`, in order, until it returns an error.
fn each_in_list<'a, E: From<Error>>(
    json: &'a RawValue,
    mut take: impl FnMut(Value<'a>) -> Result<(), E>,
) -> Result<(), E> {
    run(json, Elements(|element| take(Value::of(element))))
}

/// Runs a visitor whose value is the outcome of what it called.
fn run<'a, E: From<Error>, V: Visitor<'a, Value = Result<(), E>>>(
    json: &'a RawValue,
    visitor: V,
) -> Result<(), E> {
    match serde_json::Deserializer::from_str(json.get()).deserialize_any(visitor) {
        Ok(outcome) => outcome,
        Err(malformed) => Err(E::from(malformed.into())),
    }
}

/// Adds the members of an object to those that were found before.
struct Members<'n, 'f, 'a, const N: usize> {
    names: [&'n str; N],
    found: &'f mut [Value<'a>; N],
}

impl<'a, const N: usize> Visitor<'a> for Members<'_, '_, 'a, N> {
    type Value = Result<(), Error>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Ok(()))
    }

    /// Says less than serde would, which repeats the string.
    fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
        Err(E::custom("invalid type: string, expected an object"))
    }

    fn visit_map<A: MapAccess<'a>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut outcome = Ok(());
        while let Some(name) = object.next_key::<Cow<'a, str>>()? {
            match self.names.iter().position(|wanted| is_name(&name, wanted)) {
                Some(at) => {
                    let value: &RawValue = object.next_value()?;
                    outcome = outcome.and_then(|()| self.found[at].push(Some(value)));
                }
                None => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(outcome)
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
        name.text().map(Cow::into_owned)
    }

    fn value(json: &str) -> Value<'_> {
        let [value] = members(json, ["a"]).unwrap();
        value
    }

    fn elements(json: &str) -> Result<Vec<String>, Error> {
        let mut seen = Vec::new();
        value(json).each_element(|element| {
            let [x, y] = element.members(["x", "y"])?;
            seen.push(format!("{}{}", x.text()?, y.text()?));
            Ok::<_, Error>(())
        })?;
        Ok(seen)
    }

    #[test]
    fn names_fold_null_is_absent_and_the_last_one_wins() {
        assert_eq!(
            name(r#"{"KeyID":"a","keyid":"b","KEYID":null,"x":[{}]}"#).unwrap(),
            "b"
        );
        assert_eq!(name(r#"{"\u212aeyid":"\u0041"} "#).unwrap(), "A");
        assert_eq!(name("{}").unwrap(), "");
        assert_eq!(name("null").unwrap(), "");
        for wrong in [
            "",
            "[]",
            "7",
            "\"a\"",
            "{\"keyid\":7}",
            "{\"keyid\":[]}",
            "{} {}",
            "{\"keyid\":\"\\ud800\"}",
            // Go reads what is overwritten, too.
            "{\"keyid\":7,\"keyid\":\"a\"}",
        ] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn elements_and_members_in_order() {
        let list = |text: &str| {
            let mut seen = Vec::new();
            let outcome = value(text).each_element(|element| {
                seen.push(element.last().map_or("", RawValue::get).to_owned());
                if seen.len() < 3 {
                    Ok(())
                } else {
                    Err(Error::Repeated)
                }
            });
            outcome.map(|()| seen)
        };
        assert_eq!(list(r#"{"a":[1, null]}"#).unwrap(), ["1", "null"]);
        assert_eq!(list(r#"{"a":null}"#).unwrap(), [""; 0]);
        assert!(matches!(list(r#"{"a":[1,2,3,4,5]}"#), Err(Error::Repeated)));
        assert!(list(r#"{"a":{}}"#).is_err() && list(r#"{"a":"x"}"#).is_err());

        let map = |text: &str| {
            let mut seen = Vec::new();
            value(text).each_member(|name, value| {
                seen.push(format!("{name}{}", value.get()));
                Ok::<_, Error>(())
            })?;
            Ok::<_, Error>(seen)
        };
        assert_eq!(map(r#"{"a":{"a":1,"a":[2]}}"#).unwrap(), ["a1", "a[2]"]);
        assert_eq!(map(r#"{"a":{"b":1},"a":{"c":2}}"#).unwrap(), ["b1", "c2"]);
        assert_eq!(
            map(r#"{"a":{"b":1},"a":null,"a":{"c":2}}"#).unwrap(),
            ["c2"]
        );
        assert!(map(r#"{"a":[]}"#).is_err());
    }

    #[test]
    fn repeated_lists_are_merged() {
        for (json, merged) in [
            (r#"{"a":[{"x":"1"},{"x":"2"}],"a":[{"y":"3"}]}"#, vec!["13"]),
            (
                r#"{"a":[{"x":"1"}],"a":[{"y":"2"},{"y":"3"}]}"#,
                vec!["12", "3"],
            ),
            // What a shorter list cut off comes back.
            (
                r#"{"a":[{"x":"1"},{"x":"2"}],"a":[{}],"a":[null,{"y":"3"}]}"#,
                vec!["1", "23"],
            ),
            (r#"{"a":[{"x":"1"}],"a":[],"a":[{"y":"2"}]}"#, vec!["2"]),
            (r#"{"a":[{"x":"1"}],"a":null,"a":[{"y":"2"}]}"#, vec!["2"]),
            (r#"{"a":[{"x":"1"}],"A":null}"#, vec![]),
        ] {
            assert_eq!(elements(json).unwrap(), merged, "{json}");
        }
        assert!(matches!(
            elements(r#"{"a":[{"x":7}],"a":[{}]}"#),
            Err(Error::Json(_))
        ));
    }

    #[test]
    fn repetitions_are_bounded() {
        let repeated =
            |times: usize| format!("{{{}}}", vec![r#""a":[{"x":"1"}]"#; times].join(","));
        assert_eq!(elements(&repeated(MAX_REPETITIONS)).unwrap(), ["1"]);
        assert!(matches!(
            members(&repeated(MAX_REPETITIONS + 1), ["a"]),
            Err(Error::Repeated)
        ));
        let list = |length: usize| format!(r#"{{"a":[],"a":[{}]}}"#, vec!["{}"; length].join(","));
        assert_eq!(
            elements(&list(MAX_MERGED_ELEMENTS)).unwrap().len(),
            MAX_MERGED_ELEMENTS
        );
        assert!(matches!(
            elements(&list(MAX_MERGED_ELEMENTS + 1)),
            Err(Error::Repeated)
        ));
    }
}
