//! JSON bodies with named members: of searches, `retrieve` and batches. They are read with the
//! leniency of Rekor's decoder: member names may have any case, the last one of a repeated name
//! counts, `null` is the same as absent, and unknown members and bytes after the first value are
//! ignored.

use std::fmt;

use http::StatusCode;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::errors::{ApiError, Validation};

/// The known members of a JSON object, unparsed. Others are skipped and cost no memory.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    names: &'static [&'static str],
    values: Vec<Option<&'a RawValue>>,
}

impl Members<'_> {
    /// Whether no known member was sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.iter().all(Option::is_none)
    }
}

/// The first `MOST` items of a list. Further items are read and cost no memory.
#[derive(Debug)]
pub(crate) struct FirstItems<T, const MOST: usize> {
    items: Vec<T>,
    has_more: bool,
}

impl<T, const MOST: usize> FirstItems<T, MOST> {
    /// Whether the list is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns the items of a list that has neither too few nor too many. `list` is its name in the
    /// message.
    ///
    /// # Errors
    ///
    /// It is empty (612), or has more than `MOST` (611).
    pub(crate) fn checked(self, list: &str) -> Result<Vec<T>, ApiError> {
        if self.items.is_empty() {
            let message = format!("{list} in body should have at least 1 items");
            return Err(ApiError::validation(Validation::TooFewItems, message));
        }
        if self.has_more {
            let message = format!("{list} in body should have at most {MOST} items");
            return Err(ApiError::validation(Validation::TooManyItems, message));
        }
        Ok(self.items)
    }
}

/// The name that Rekor's messages give to a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyName(pub(crate) &'static str);

impl BodyName {
    /// Parses a body. `null` is an object without members.
    ///
    /// # Errors
    ///
    /// Empty (602); not a JSON object (400).
    pub(crate) fn parse<'a>(
        self,
        body: &'a [u8],
        names: &'static [&'static str],
    ) -> Result<Members<'a>, ApiError> {
        if body.trim_ascii().is_empty() {
            return Err(ApiError::validation(
                Validation::Required,
                format!("{} in body is required", self.0),
            ));
        }
        let text = std::str::from_utf8(body).map_err(|_| self.refuse("it is not UTF-8"))?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        deserializer
            .deserialize_any(Names(names))
            .map_err(|error| self.refuse(error))
    }

    /// Returns the value of a member, if it is present and not null. `name` MUST be one of the
    /// names that were parsed for.
    ///
    /// # Errors
    ///
    /// It has another type (400).
    pub(crate) fn member<'a, T: Deserialize<'a>>(
        self,
        members: &Members<'a>,
        name: &str,
    ) -> Result<Option<T>, ApiError> {
        let place = members.names.iter().position(|known| *known == name);
        debug_assert!(place.is_some(), "{name} is not parsed for");
        let Some(raw) = place.and_then(|place| members.values[place]) else {
            return Ok(None);
        };
        serde_json::from_str(raw.get())
            .map_err(|error| self.refuse(format_args!("{name}: {error}")))
    }

    /// Returns the 400 for a body that cannot be bound. Rekor leaves the place of the name empty.
    pub(crate) fn refuse(self, reason: impl fmt::Display) -> ApiError {
        let message = format!("parsing {} body from \"\" failed, because {reason}", self.0);
        ApiError::framework(StatusCode::BAD_REQUEST, message)
    }
}

/// Finds the place of a known name, and the values of all known names.
#[derive(Clone, Copy)]
struct Names(&'static [&'static str]);

impl<'de> Visitor<'de> for Names {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Members {
            names: self.0,
            values: vec![None; self.0.len()],
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = vec![None; self.0.len()];
        while let Some(place) = map.next_key_seed(Place(self.0))? {
            match place {
                Some(place) => {
                    values[place] =
                        Some(map.next_value::<&'de RawValue>()?).filter(|raw| raw.get() != "null")
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Members {
            names: self.0,
            values,
        })
    }
}

/// The place of a member's name among those known.
struct Place(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Place {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Place {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self
            .0
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name)))
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for FirstItems<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ItemsVisitor(std::marker::PhantomData))
    }
}

struct ItemsVisitor<T, const MOST: usize>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for ItemsVisitor<T, MOST> {
    type Value = FirstItems<T, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < MOST {
            match list.next_element()? {
                Some(item) => items.push(item),
                None => {
                    return Ok(FirstItems {
                        items,
                        has_more: false,
                    });
                }
            }
        }
        let mut has_more = false;
        while list.next_element::<IgnoredAny>()?.is_some() {
            has_more = true;
        }
        Ok(FirstItems { items, has_more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: BodyName = BodyName("query");

    fn hash(body: &str) -> Result<Option<String>, String> {
        let members = QUERY
            .parse(body.as_bytes(), &["email", "hash"])
            .map_err(|error| error.body())?;
        QUERY.member(&members, "hash").map_err(|error| error.body())
    }

    #[test]
    fn lenient_where_rekor_is() {
        for (body, expected) in [
            ("null", None),
            ("{}", None),
            (r#"{"hash":null}"#, None),
            (r#"{"hash":"a"}"#, Some("a")),
            (r#"{"HASH":"a","other":[{}]} trailing"#, Some("a")),
            (r#"{"hash":"a","Hash":"b"}"#, Some("b")),
            (r#"{"hash":"a","hash":null}"#, None),
            (r#"{"h\u0061sh":"a\n"}"#, Some("a\n")),
        ] {
            assert_eq!(hash(body), Ok(expected.map(str::to_owned)), "{body}");
        }
    }

    #[test]
    fn refused() {
        for body in ["", " \n"] {
            assert_eq!(
                hash(body),
                Err(r#"{"code":602,"message":"query in body is required"}"#.to_owned())
            );
        }
        for body in [
            "{",
            "[]",
            "7",
            "\"x\"",
            "{\"hash\":",
            r#"{"hash":7}"#,
            "{\"hash\":\"\u{1}\"}",
        ] {
            let refusal = hash(body).expect_err(body);
            assert!(
                refusal.starts_with(
                    r#"{"code":400,"message":"parsing query body from \"\" failed, because "#
                ),
                "{refusal}"
            );
        }
        assert!(QUERY.parse(b"{\"hash\":\"\xff\"}", &["hash"]).is_err());
    }

    #[test]
    fn a_list_is_kept_up_to_its_bound() {
        let first = |count: usize| {
            let list = format!("[{}]", vec!["7"; count].join(","));
            serde_json::from_str::<FirstItems<i64, 10>>(&list)
                .map(|first| (first.items.len(), first.has_more))
                .expect("numbers")
        };
        assert_eq!(first(0), (0, false));
        assert_eq!(first(10), (10, false));
        assert_eq!(first(11), (10, true));
        assert_eq!(first(1000), (10, true));
        assert!(serde_json::from_str::<FirstItems<i64, 10>>("[1,2").is_err());
    }
}
