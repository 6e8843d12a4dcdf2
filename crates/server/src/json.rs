//! JSON bodies of the search operations, read with the leniency of Rekor's decoder: member names in any case, of a repeated
//! name the last one counts, `null` is the same as absent, unknown members and bytes after the first value are ignored.

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::errors::{ApiError, Validation};

/// The members of a JSON object, unparsed.
#[derive(Debug, Default)]
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// The name that Rekor's messages give to a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyName(pub(crate) &'static str);

impl BodyName {
    /// Parses a body; `null` is an object without members.
    ///
    /// # Errors
    ///
    /// Empty (602); not a JSON object (400).
    pub(crate) fn parse(self, body: &[u8]) -> Result<Members<'_>, ApiError> {
        if body.trim_ascii().is_empty() {
            return Err(ApiError::validation(Validation::Required, format!("{} in body is required", self.0)));
        }
        let text = std::str::from_utf8(body).map_err(|_| self.refuse("it is not UTF-8"))?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let members = Option::<Members<'_>>::deserialize(&mut deserializer).map_err(|error| self.refuse(error))?;
        Ok(members.unwrap_or_default())
    }

    /// The value of a member, if it is there and not null.
    ///
    /// # Errors
    ///
    /// It has another type (400).
    pub(crate) fn member<'a, T: Deserialize<'a>>(
        self,
        members: &Members<'a>,
        name: &str,
    ) -> Result<Option<T>, ApiError> {
        let Some(raw) = members.last(name) else { return Ok(None) };
        serde_json::from_str(raw.get()).map_err(|error| self.refuse(format_args!("{name}: {error}")))
    }

    /// 400 for a body that cannot be bound. Rekor leaves the place of the name empty.
    pub(crate) fn refuse(self, reason: impl fmt::Display) -> ApiError {
        let message = format!("parsing {} body from \"\" failed, because {reason}", self.0);
        ApiError::framework(StatusCode::BAD_REQUEST, message)
    }
}

impl<'a> Members<'a> {
    fn last(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, raw)| *raw)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(entry) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
            members.push(entry);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: BodyName = BodyName("query");

    fn hash(body: &str) -> Result<Option<String>, String> {
        let members = QUERY.parse(body.as_bytes()).map_err(|error| error.body())?;
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
            (r#"{"h\u0061sh":"a\n"}"#, Some("a\n")),
        ] {
            assert_eq!(hash(body), Ok(expected.map(str::to_owned)), "{body}");
        }
    }

    #[test]
    fn refused() {
        for body in ["", " \n"] {
            assert_eq!(hash(body), Err(r#"{"code":602,"message":"query in body is required"}"#.to_owned()));
        }
        for body in ["{", "[]", "7", "\"x\"", "{\"hash\":", r#"{"hash":7}"#, "{\"hash\":\"\u{1}\"}"] {
            let refusal = hash(body).expect_err(body);
            assert!(
                refusal.starts_with(r#"{"code":400,"message":"parsing query body from \"\" failed, because "#),
                "{refusal}"
            );
        }
        assert!(QUERY.parse(b"{\"hash\":\"\xff\"}").is_err());
    }
}
