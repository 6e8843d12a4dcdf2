//! Entries as the Rekor v1 API answers them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::entry;
use super::node::{self, Node};
use super::report::{ALL, Report};

/// Returns whether a document is an answer of the v1 API with entries.
pub(super) fn is_answer(value: &Value) -> bool {
    let Some(members) = value.as_object() else {
        return false;
    };
    let is_id =
        |id: &str| [64, 80].contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    !members.is_empty()
        && members
            .iter()
            .all(|(id, entry)| is_id(id) && entry.get("body").is_some())
}

/// Explains an answer of the v1 API.
pub(super) fn explain(report: &mut Report, root: &Node<'_>, now: i64) {
    report.what = "answer of a log by the Rekor v1 API".to_owned();
    report.readers = ALL.to_vec();
    let members = root.value.as_object().into_iter().flatten();
    let ids: Vec<&str> = members.map(|(id, _)| id.as_str()).collect();
    if ids.len() != 1 {
        let what = format_args!(
            "the answer has {} entries; clients expect exactly one",
            ids.len()
        );
        report.error("v1-several-entries", ALL, "", what, "ask for one entry");
    }
    for id in ids.iter().take(10) {
        let Some(entry) = root.get(id) else { continue };
        report.fact("UUID", id);
        explain_entry(report, id, &entry, now);
    }
}

fn explain_entry(report: &mut Report, id: &str, entry: &Node<'_>, now: i64) {
    let again = "take the entry from the log again: GET /api/v1/log/entries/UUID";
    if entry.get("verification").is_none() {
        let what = "the entry has no verification: neither a signed entry timestamp nor an \
            inclusion proof";
        report.error("v1-verification-missing", ALL, &entry.place, what, again);
    }
    if let Some(body) = entry.bytes_at("body") {
        let leaf = tlog::leaf_hash(&body).to_string();
        if !id.to_ascii_lowercase().ends_with(&leaf) {
            let what =
                format_args!("the UUID ends with another hash than that of the leaf, {leaf}");
            report.error("v1-uuid-mismatch", ALL, &entry.place, what, again);
        }
    }
    let as_bundled = bundled(entry);
    let node = Node {
        value: &as_bundled,
        place: entry.place.clone(),
    };
    let opened = entry::check(report, &node, now);
    entry::check_for_bundles(report, &opened);
}

/// Returns the entry as a bundle would have it, so that the same rules apply.
fn bundled(entry: &Node<'_>) -> Value {
    let hexadecimal = |text: Option<&str>| {
        let bytes = text.and_then(|text| hex::decode(text).ok());
        bytes.map(|bytes| STANDARD.encode(bytes))
    };
    let body = entry.bytes_at("body");
    let leaf: Option<Value> = body
        .as_deref()
        .and_then(|body| serde_json::from_slice(body).ok());
    let of_leaf = |name: &str| leaf.as_ref().and_then(|leaf| leaf.get(name)).cloned();
    let mut bundled = json!({
        "logIndex": entry.number_at("logIndex"),
        "logId": {"keyId": hexadecimal(entry.text("logID"))},
        "integratedTime": entry.number_at("integratedTime"),
        "kindVersion": {"kind": of_leaf("kind"), "version": of_leaf("apiVersion")},
        "canonicalizedBody": body.map(|body| STANDARD.encode(body)),
    });
    if let Some(promise) = entry.text_at("verification/signedEntryTimestamp") {
        bundled["inclusionPromise"] = json!({"signedEntryTimestamp": promise});
    }
    if let Some(proof) = entry.walk("verification/inclusionProof") {
        let hashes = proof.items("hashes");
        let hashes = hashes.iter().map(|item| hexadecimal(item.value.as_str()));
        bundled["inclusionProof"] = json!({
            "logIndex": proof.number_at("logIndex"),
            "treeSize": proof.number_at("treeSize"),
            "rootHash": hexadecimal(proof.text("rootHash")),
            "hashes": hashes.collect::<Vec<_>>(),
            "checkpoint": {"envelope": proof.text("checkpoint")},
        });
    }
    bundled
}

/// Returns whether a document is a bundle of cosign before version 3.
pub(super) fn is_old_bundle(value: &Value) -> bool {
    value.get("base64Signature").is_some()
        || value.get("rekorBundle").is_some()
        || value.get("SignedEntryTimestamp").is_some()
}

/// Explains a bundle of cosign before version 3.
pub(super) fn explain_old_bundle(report: &mut Report, root: &Node<'_>) {
    report.what = "bundle of cosign 1 and 2, before Sigstore bundles".to_owned();
    report.readers = ALL.to_vec();
    let payload = root
        .walk("rekorBundle/Payload")
        .or_else(|| root.get("Payload"));
    if let Some(payload) = payload {
        report.fact("log index", payload.number_at("logIndex").unwrap_or(0));
        if let Some(seconds) = payload.number_at("integratedTime") {
            report.fact("logged at", super::report::time(seconds));
        }
        let body = payload.text("body").and_then(node::base64);
        let body = body.and_then(|body| serde_json::from_slice::<Value>(&body).ok());
        if let Some(kind) = body.as_ref().and_then(|body| body.get("kind")?.as_str()) {
            report.fact("kind", kind);
        }
    }
    let what = "this is no Sigstore bundle: it has no inclusion proof, and only cosign reads it, \
        with --new-bundle-format=false";
    let remedy = "make a Sigstore bundle of it: cosign bundle create --in OLD --out NEW …; or \
        sign again with cosign 3, or treehead upload";
    report.error("old-cosign-bundle", ALL, "", what, remedy);
}
