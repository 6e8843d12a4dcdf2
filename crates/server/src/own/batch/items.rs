//! The body of a batch, taken apart.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::form::Form;
use crate::limits::MAX_BATCH;
use crate::v1::errors::{ApiError, Validation};
use crate::v1::json::{BodyName, FirstItems};

/// The name of the body in messages.
const PROPOSED_ENTRIES: BodyName = BodyName("proposedEntries");

/// The members that tell a request of Rekor v2 from an entry of v1: a request has one of them.
const V2_MEMBERS: &[&str] = &[
    "hashedRekordRequestV002",
    "hashed_rekord_request_v002",
    "dsseRequestV002",
    "dsse_request_v002",
];

/// A proposed entry as it was sent.
pub(super) struct Item {
    pub(super) form: Form,
    /// A slice of the body, which is freed with the last of them.
    pub(super) text: Bytes,
}

/// Returns the proposed entries of a body.
pub(super) fn items(body: &Bytes) -> Result<Vec<Item>, ApiError> {
    let members = PROPOSED_ENTRIES.parse(body, &["entries"])?;
    let raw: Option<FirstItems<&RawValue, MAX_BATCH>> =
        PROPOSED_ENTRIES.member(&members, "entries")?;
    let required = || ApiError::validation(Validation::Required, "entries in body is required");
    let raw = raw.ok_or_else(required)?.checked("entries")?;
    let item = |raw: &&RawValue| Item {
        form: form_of(raw.get()),
        text: body.slice_ref(raw.get().as_bytes()),
    };
    Ok(raw.iter().map(item).collect())
}

/// Returns the API that an entry is written for. v1 if it cannot be read: v1 then says so.
fn form_of(text: &str) -> Form {
    match PROPOSED_ENTRIES.parse(text.as_bytes(), V2_MEMBERS) {
        Ok(members) if !members.is_empty() => Form::V2,
        _ => Form::V1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(body: &str) -> Result<Vec<String>, String> {
        let items =
            items(&Bytes::copy_from_slice(body.as_bytes())).map_err(|error| error.body())?;
        Ok(items
            .iter()
            .map(|item| String::from_utf8_lossy(&item.text).into_owned())
            .collect())
    }

    #[test]
    fn an_entry_is_written_for_the_api_whose_members_it_has() {
        for (text, expected) in [
            (r#"{"hashedRekordRequestV002":{}}"#, Form::V2),
            (r#"{"x":1,"dsse_request_v002":[]}"#, Form::V2),
            (r#"{"dsseRequestV002":null}"#, Form::V1),
            (r#"{"kind":"dsse"}"#, Form::V1),
            (r#"{"spec":{"dsseRequestV002":{}}}"#, Form::V1),
            ("[]", Form::V1),
            ("7", Form::V1),
        ] {
            let body = format!("{{\"entries\":[{text}]}}");
            let items = items(&Bytes::from(body)).expect("a list");
            assert_eq!(items[0].form, expected, "{text}");
        }
    }

    #[test]
    fn the_envelope_is_read_with_the_leniency_of_the_other_bodies() {
        for (body, expected) in [
            (r#"{"entries":[{}]}"#, vec!["{}"]),
            (
                r#" {"Entries":[ {"a": [1]} , null,"x",7 ],"other":{}} trailing"#,
                vec![r#"{"a": [1]}"#, "null", "\"x\"", "7"],
            ),
            (r#"{"entries":[1],"ENTRIES":[2,3]}"#, vec!["2", "3"]),
        ] {
            assert_eq!(
                texts(body),
                Ok(expected.into_iter().map(str::to_owned).collect()),
                "{body}"
            );
        }
        for (body, code, message) in [
            ("", 602, "proposedEntries in body is required"),
            ("{}", 602, "entries in body is required"),
            ("null", 602, "entries in body is required"),
            (r#"{"entries":null}"#, 602, "entries in body is required"),
            (
                r#"{"entries":[]}"#,
                612,
                "entries in body should have at least 1 items",
            ),
        ] {
            assert_eq!(
                texts(body),
                Err(format!(r#"{{"code":{code},"message":"{message}"}}"#)),
                "{body}"
            );
        }
        for body in [
            "{",
            "[]",
            "[{}]",
            r#"{"entries":{}}"#,
            r#"{"entries":[{}"#,
            r#"{"entries":[{]}"#,
            r#"{"entries":[{},]}"#,
        ] {
            let refusal = texts(body).expect_err(body);
            let beginning =
                r#"{"code":400,"message":"parsing proposedEntries body from \"\" failed, because "#;
            assert!(refusal.starts_with(beginning), "{body}: {refusal}");
        }
    }

    #[test]
    fn a_batch_is_bounded_while_it_is_read() {
        let batch = |count: usize| format!(r#"{{"entries":[{}]}}"#, vec!["{}"; count].join(","));
        assert_eq!(
            texts(&batch(MAX_BATCH)).map(|texts| texts.len()),
            Ok(MAX_BATCH)
        );
        let refusal = r#"{"code":611,"message":"entries in body should have at most 1000 items"}"#;
        assert_eq!(texts(&batch(MAX_BATCH + 1)), Err(refusal.to_owned()));
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_read_or_refused(body in "[{}\\[\\]\",:a-c0-9 ]{0,40}", tail in any::<Vec<u8>>()) {
            let body = [br#"{"entries":["#, body.as_bytes(), &tail].concat();
            // What is accepted is what another parser finds.
            if let Ok(found) = items(&Bytes::from(body.clone())) {
                let mut values = serde_json::Deserializer::from_slice(&body).into_iter::<serde_json::Value>();
                let value = values.next().expect("a value").expect("valid");
                let found: Vec<serde_json::Value> =
                    found.iter().map(|item| serde_json::from_slice(&item.text).expect("valid")).collect();
                prop_assert_eq!(value["entries"].as_array().expect("a list"), &found);
            }
        }
    }
}
