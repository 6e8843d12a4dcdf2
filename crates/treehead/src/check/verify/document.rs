//! What a JSON file says that it is.

use client::bundle::Bundle;
use serde_json::Value;

/// How evidence of a monitor begins to say what it is.
const EVIDENCE: &str = "treehead-evidence/";

/// A document that can be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Document {
    /// A Sigstore bundle, or cosign's older one.
    Bundle,
    /// The answer of a Rekor v1 log, or a `TransparencyLogEntry`.
    Entry,
    /// Evidence against a log.
    Evidence,
}

impl Document {
    /// Returns what the bytes say that they are.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        if Bundle::is_one(bytes) {
            return Some(Self::Bundle);
        }
        let json: Value = serde_json::from_slice(bytes).ok()?;
        let is_evidence = |format: &Value| {
            let format = format.as_str();
            format.is_some_and(|format| format.starts_with(EVIDENCE))
        };
        if json.get("format").is_some_and(is_evidence) {
            return Some(Self::Evidence);
        }
        is_entry(&json).then_some(Self::Entry)
    }
}

fn is_entry(json: &Value) -> bool {
    if json.get("canonicalizedBody").is_some() {
        return true;
    }
    // Rekor v1 answers an object whose only member is the entry, under its ID.
    let Some(members) = json.as_object().filter(|members| members.len() == 1) else {
        return false;
    };
    let mut entries = members.values();
    entries.all(|entry| entry.get("body").is_some() && entry.get("logID").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_say_what_they_are() {
        for (text, expected) in [
            (
                r#"{"mediaType":"m","verificationMaterial":{}}"#,
                Some(Document::Bundle),
            ),
            (
                r#"{"base64Signature":"","rekorBundle":{}}"#,
                Some(Document::Bundle),
            ),
            (
                r#"{"canonicalizedBody":"","logIndex":"1"}"#,
                Some(Document::Entry),
            ),
            (
                r#"{"24…":{"body":"","logID":"","logIndex":1}}"#,
                Some(Document::Entry),
            ),
            (
                r#"{"format":"treehead-evidence/1"}"#,
                Some(Document::Evidence),
            ),
            (r#"{"format":"cyclonedx"}"#, None),
            (r#"{"a":{"body":""},"b":{"body":""}}"#, None),
            ("[]", None),
            ("artifact", None),
        ] {
            assert_eq!(Document::of(text.as_bytes()), expected, "{text}");
        }
    }
}
