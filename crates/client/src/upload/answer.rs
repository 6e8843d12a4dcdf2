//! Answers to uploads.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashMap;

use crate::error::{Result, VerifyError};

/// What a log of Rekor v1 signs beside its tree: that it accepted an entry at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// SHA-256 of the log's key.
    pub log_id: Vec<u8>,
    /// The signed entry timestamp.
    pub timestamp: Vec<u8>,
}

impl Promise {
    /// Returns the promise in an answer of Rekor v1 with one entry, which the caller verified.
    pub(super) fn of(answer: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Entry {
            #[serde(rename = "logID")]
            log_id: String,
            verification: Verification,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Verification {
            signed_entry_timestamp: String,
        }
        let entries: HashMap<String, Entry> =
            serde_json::from_slice(answer).map_err(VerifyError::expected("a log entry"))?;
        let mut entries = entries.into_values();
        let (Some(entry), None) = (entries.next(), entries.next()) else {
            let why = "the answer has not one entry".to_owned();
            return Err(VerifyError::Mismatch(why));
        };
        Ok(Self {
            log_id: hex::decode(entry.log_id)?,
            timestamp: STANDARD.decode(entry.verification.signed_entry_timestamp)?,
        })
    }
}

/// One result of a batch: the answer that the entry would get if it were sent alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchResult<'a> {
    pub status: u16,
    #[serde(borrow)]
    pub entry: Option<&'a RawValue>,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
    pub location: Option<String>,
    pub retry_after: Option<u64>,
}

/// Returns the results in the answer to a batch of `count` entries.
pub(super) fn results(answer: &[u8], count: usize) -> Result<Vec<BatchResult<'_>>> {
    #[derive(Deserialize)]
    struct Results<'a> {
        #[serde(borrow)]
        results: Vec<BatchResult<'a>>,
    }
    let answer: Results<'_> =
        serde_json::from_slice(answer).map_err(VerifyError::expected("a list of results"))?;
    match answer.results.len() == count {
        true => Ok(answer.results),
        false => Err(VerifyError::Mismatch(format!(
            "{} results for {count} entries",
            answer.results.len()
        ))),
    }
}

/// Returns the entry ID that an answer names, in its `Location` or in its message.
pub(super) fn entry_id(location: Option<&str>, body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let texts = [location.unwrap_or_default(), &text];
    let words = texts.into_iter().flat_map(|text| {
        text.split(|c: char| !c.is_ascii_hexdigit())
            .map(str::to_owned)
    });
    let mut ids = words.filter(|word| [64, 80].contains(&word.len()));
    ids.next().map(|id| id.to_ascii_lowercase())
}

/// Returns the index that an answer of Rekor v2 names, in a header or in its message.
pub(super) fn log_index(header: Option<&str>, body: &[u8]) -> Option<u64> {
    if let Some(index) = header.and_then(|index| index.trim().parse().ok()) {
        return Some(index);
    }
    let json: Value = serde_json::from_slice(body).ok()?;
    let message = json.get("message")?.as_str()?;
    let (_, index) = message.rsplit_once("with index ")?;
    index.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_are_found_by_header_and_by_message() {
        let id = "ab".repeat(40);
        let location = format!("/api/v1/log/entries/{id}");
        let known = "an equivalent entry already exists in the transparency log";
        let message = format!(r#"{{"code":409,"message":"{known} with UUID {id}"}}"#);
        assert_eq!(entry_id(Some(&location), b""), Some(id.clone()));
        assert_eq!(entry_id(None, message.as_bytes()), Some(id));
        assert_eq!(entry_id(Some("/x"), b"{}"), None);

        let message = format!(r#"{{"code":6,"message":"{known} with index 7"}}"#);
        assert_eq!(log_index(Some("3"), message.as_bytes()), Some(3));
        assert_eq!(log_index(None, message.as_bytes()), Some(7));
        assert_eq!(log_index(Some("x"), b"{}"), None);
    }
}
