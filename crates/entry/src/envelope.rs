//! The outer object `{"kind":…,"apiVersion":…,"spec":…}`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::refusal::Refusal;
use pki::go_names::is_name;

/// The pattern of `apiVersion`, as Rekor quotes it.
const VERSION_PATTERN: &str = r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$";

/// The outer object of an entry. Its names are matched without regard to case, unknown ones are
/// ignored, of duplicates the last one wins; but a `kind` of null leaves an earlier one as it is.
#[derive(Default)]
pub(crate) struct Envelope<'a> {
    kind: Cow<'a, str>,
    api_version: Option<Cow<'a, str>>,
    spec: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Parses the first JSON value of `json`; what follows it is ignored.
    pub(crate) fn from_json(json: &'a [u8]) -> Result<Self, Refusal> {
        if json.iter().all(u8::is_ascii_whitespace) {
            return Err(Refusal::Required("proposedEntry"));
        }
        Self::deserialize(&mut serde_json::Deserializer::from_slice(json)).map_err(Refusal::json)
    }

    /// `kind` and `apiVersion`, empty where they are absent, and `spec`.
    pub(crate) fn parts(&self) -> (&str, &str, Option<&'a RawValue>) {
        let version = self.api_version.as_deref().unwrap_or_default();
        (&self.kind, version, self.spec)
    }

    /// `kind`, which is there.
    pub(crate) fn kind(&self) -> Result<&str, Refusal> {
        match &*self.kind {
            "" => Err(Refusal::Required("kind")),
            kind => Ok(kind),
        }
    }

    /// `apiVersion` and `spec`, which are there and of the right form.
    pub(crate) fn contents(&self) -> Result<(&str, &'a RawValue), Refusal> {
        let version = self
            .api_version
            .as_deref()
            .ok_or(Refusal::Required("apiVersion"))?;
        if !is_semantic_version(version) {
            return Err(Refusal::Pattern(format!(
                "apiVersion in body should match '{VERSION_PATTERN}'"
            )));
        }
        Ok((version, self.spec.ok_or(Refusal::Required("spec"))?))
    }
}

/// Checks that `spec` is an object.
pub(crate) fn require_object(spec: &RawValue) -> Result<(), Refusal> {
    // What Go calls the type that it decoded into.
    let go_type = match spec.get().as_bytes().first() {
        Some(b'{') => return Ok(()),
        Some(b'[') => "[]interface {}",
        Some(b'"') => "string",
        Some(b't' | b'f') => "bool",
        _ => "json.Number",
    };
    Err(Refusal::Invalid(format!(
        "unsupported input type {go_type} for DecodeEntry"
    )))
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with kind, apiVersion and spec")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Envelope::default())
    }

    /// Says less than serde would, which repeats the string.
    fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
        Err(E::custom(
            "invalid type: string, expected an object with kind, apiVersion and spec",
        ))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(name) = object.next_key::<Cow<'de, str>>()? {
            if is_name(&name, "kind") {
                if let Some(kind) = object.next_value()? {
                    envelope.kind = kind;
                }
            } else if is_name(&name, "apiVersion") {
                envelope.api_version = object.next_value()?;
            } else if is_name(&name, "spec") {
                envelope.spec =
                    Some(object.next_value::<&RawValue>()?).filter(|spec| spec.get() != "null");
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(envelope)
    }
}

/// Whether `text` matches [`VERSION_PATTERN`].
fn is_semantic_version(text: &str) -> bool {
    let (text, build) = split(text, '+');
    let (core, pre_release) = split(text, '-');
    let is_identifier = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = |part: &str| is_digits(part) && (part == "0" || !part.starts_with('0'));
    core.split('.').count() == 3
        && core.split('.').all(is_number)
        && pre_release.is_none_or(|pre_release| {
            pre_release
                .split('.')
                .all(|part| is_number(part) || (is_identifier(part) && !is_digits(part)))
        })
        && build.is_none_or(|build| build.split('.').all(is_identifier))
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at)
        .map_or((text, None), |(before, after)| (before, Some(after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semantic_versions() {
        for version in [
            "0.0.1",
            "1.20.300",
            "1.0.0-a",
            "1.0.0-0.a-b.1a",
            "1.0.0-01a",
            "1.0.0+001",
            "1.0.0-x+y.z",
            "1.0.0--",
        ] {
            assert!(is_semantic_version(version), "{version}");
        }
        for version in [
            "",
            "1",
            "1.0",
            "1.0.0.0",
            "01.0.0",
            "1.0.00",
            "v1.0.0",
            "1.0.0-",
            "1.0.0-01",
            "1.0.0-a..b",
            "1.0.0+",
            "1.0.0+a_b",
            " 1.0.0",
            "1.0.0\n",
            "1.0.٣",
        ] {
            assert!(!is_semantic_version(version), "{version}");
        }
    }

    #[test]
    fn duplicates_and_nulls() {
        let parse = |json: &'static str| {
            let envelope = Envelope::from_json(json.as_bytes()).unwrap();
            (
                envelope.kind.into_owned(),
                envelope.api_version.map(Cow::into_owned),
                envelope.spec.map(RawValue::get),
            )
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            parse(r#"{"kind":"a","KIND":"b","kind":null}"#),
            ("b".to_owned(), None, None)
        );
        assert_eq!(
            parse(r#"{"apiversion":"1","apiVersion":"2"} x"#),
            (String::new(), text("2"), None)
        );
        assert_eq!(
            parse(r#"{"apiVersion":"1","apiVersion":null}"#),
            (String::new(), None, None)
        );
        assert_eq!(
            parse(r#"{"spec":1,"Spec": {"a":1} ,"x":[{}]}"#),
            (String::new(), None, Some(r#"{"a":1}"#))
        );
        assert_eq!(
            parse(r#"{"spec":1,"spec":null}"#),
            (String::new(), None, None)
        );
        assert_eq!(parse(" null"), (String::new(), None, None));
    }

    #[test]
    fn other_values_than_objects_are_refused() {
        for json in [
            "[]",
            "\"x\"",
            "7",
            "{",
            "{\"kind\":7}",
            "{\"kind\":\"a\"",
            "{\"apiVersion\":{}}",
            "x",
            "\u{feff}{}",
        ] {
            assert!(
                matches!(Envelope::from_json(json.as_bytes()), Err(Refusal::Json(_))),
                "{json}"
            );
        }
        let long = format!("\"{}\"", "x".repeat(10_000));
        let refusal = Envelope::from_json(long.as_bytes()).err().unwrap();
        assert!(
            refusal.to_string().len() < 200,
            "a refusal does not repeat the body"
        );
        for json in ["", " \r\n\t"] {
            let refusal = Envelope::from_json(json.as_bytes()).err();
            assert_eq!(
                refusal,
                Some(Refusal::Required("proposedEntry")),
                "{json:?}"
            );
        }
    }
}
