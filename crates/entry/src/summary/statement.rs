//! What an in-toto statement says, which a log may keep beside an entry as its attestation.

use std::borrow::Cow;

use serde::Serialize;

use crate::index_keys::lower_case;
use crate::package::Package;
use crate::packages::Naming;
use crate::search;
use crate::statement::{self, Digests};
use pki::cose_sign1::Sign1;
use pki::go_json::{self, Value};

/// The claims of a statement about its subjects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StatementSummary {
    /// The predicate type, `https://slsa.dev/provenance/v1`. Empty if it is absent.
    pub predicate_type: String,
    /// The subjects that are packages.
    pub packages: Vec<Package>,
    /// Digests of the subjects, `<algorithm>:<digest>`, in lower case.
    pub digests: Vec<String>,
    /// Search keys that follow from the statement, each once and in lower case.
    pub index_keys: Vec<String>,
}

/// Returns the claims of an attestation as Rekor keeps it: an in-toto statement, or a COSE_Sign1
/// message with one as its payload. Anything else says nothing: the summary is empty.
pub fn summarize_attestation(attestation: &[u8]) -> StatementSummary {
    match Sign1::from_tagged(attestation) {
        Ok(message) => of_statement(message.payload()),
        Err(_) => of_statement(attestation),
    }
}

fn of_statement(payload: &[u8]) -> StatementSummary {
    let payload = String::from_utf8_lossy(payload);
    let members = go_json::members(&payload, ["predicateType", "subject"]);
    let Ok([predicate_type, subjects]) = members else {
        return StatementSummary::default();
    };
    let mut summary = StatementSummary {
        predicate_type: text(&predicate_type).into_owned(),
        ..StatementSummary::default()
    };
    let naming = Naming::of(&summary.predicate_type);
    // Too many keys: an entry with them would not be accepted here.
    let keys = statement::index_keys(payload.as_bytes(), Digests::Readable);
    summary.index_keys = lower_case(keys.unwrap_or_default());
    let subjects = subjects.beginning_with('[');
    // Whatever is wrong with one subject, the others are read.
    let _ = subjects.each_element(|subject| {
        let subject = subject.beginning_with('{');
        let members = subject.members(["name", "uri", "digest"]);
        let [name, uri, digest] = members.unwrap_or_default();
        let digests = lower_case(digest_texts(&digest));
        let sha256 = digests
            .iter()
            .find_map(|digest| digest.strip_prefix("sha256:"));
        let packages = statement::packages(&text(&name), &text(&uri), naming, sha256);
        summary.packages.extend(packages.iter().map(|purl| Package {
            purl: purl.exact(),
            digests: digests.clone(),
        }));
        summary.digests.extend(digests);
        Ok::<(), go_json::Error>(())
    });
    summary.digests = lower_case(summary.digests);
    summary
}

fn digest_texts(digest: &Value<'_>) -> Vec<String> {
    let mut digests = Vec::new();
    let _ = digest.beginning_with('{').each_member(|algorithm, value| {
        let value = Value::of(value);
        let digest = format!("{algorithm}:{}", text(&value));
        if !search::is_reserved(&digest) {
            digests.push(digest);
        }
        Ok::<(), go_json::Error>(())
    });
    digests
}

/// The text of a member; an empty one if it is absent or of another type.
fn text<'a>(value: &Value<'a>) -> Cow<'a, str> {
    value.text().unwrap_or_default()
}
