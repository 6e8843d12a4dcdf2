//! Explains any document of a transparency log or of Sigstore: what it is, what is in it, which
//! clients refuse it, why, and what to do.
//!
//! The rules are those of cosign, sigstore-go, sigstore-js, sigstore-python and rekor-monitor, as
//! of 2026. Pure: the time is an argument. Nothing is believed: a report says what a document
//! claims, and only [`explain_with`] verifies proofs with keys.
//!
//! ```
//! let report = client::explain::explain(br#"{"mediaType": "application/vnd.dev.sigstore.trustedroot.v0.2+json"}"#, 0);
//! assert_eq!(report.what, "Sigstore trusted root");
//! assert_eq!(report.findings[0].id, "trusted-root-media-type");
//! ```

use serde_json::Value;
use serde_json::error::Category;

mod address;
mod bundle;
mod certificate;
mod checkpoint;
mod client_trust;
mod entry;
mod node;
mod pem;
mod report;
mod schema;
mod signing_config;
mod text;
mod trusted;
mod trusted_root;
mod v1_entry;

pub use address::Address;
use node::Node;
use report::{ALL, GO_JS};
pub use report::{Client, Fact, Finding, Report, Severity};

/// The beginning of the format of an evidence file.
const EVIDENCE: &str = "treehead-evidence/";
/// Largest document that is read: bundles hold attestations.
pub const MAX_DOCUMENT_BYTES: usize = 32 * 1024 * 1024;

/// Explains a document. `now` is in Unix seconds.
pub fn explain(document: &[u8], now: i64) -> Report {
    let mut report = Report::default();
    explain_into(&mut report, document, now);
    report.sort();
    report
}

/// Explains a document, and verifies the entries in it with what is trusted. Each text of `trust`
/// is a trusted root, public keys in PEM, or vkeys.
///
/// # Errors
///
/// A trusted text cannot be read.
pub fn explain_with(
    document: &[u8],
    now: i64,
    trust: &[String],
) -> Result<Report, crate::TrustError> {
    let mut keys = Vec::new();
    for text in trust {
        keys.extend(crate::Trust::read(text)?.keys);
    }
    let mut report = Report::default();
    explain_into(&mut report, document, now);
    trusted::check(&mut report, document, trust, &keys);
    report.sort();
    Ok(report)
}

fn explain_into(report: &mut Report, document: &[u8], now: i64) {
    report.what = "unknown document".to_owned();
    if document.len() > MAX_DOCUMENT_BYTES {
        let what = format_args!(
            "{} bytes: no document of Sigstore is that large",
            document.len()
        );
        report.error(
            "too-large",
            ALL,
            "",
            what,
            "name the document itself, not the artifact",
        );
        return;
    }
    let document = match document.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => {
            let what =
                "the file begins with a byte order mark, which Go and JavaScript refuse in JSON";
            report.error(
                "byte-order-mark",
                GO_JS,
                "line 1",
                what,
                "save it as UTF-8 without one",
            );
            rest
        }
        None => document,
    };
    let Ok(text) = std::str::from_utf8(document) else {
        return explain_binary(report, document, now);
    };
    let trimmed = text.trim_start();
    if trimmed.is_empty() {
        let what = "the file is empty";
        report.error(
            "empty",
            ALL,
            "",
            what,
            "write it again; the program that wrote it may have been stopped",
        );
    } else if trimmed.starts_with(['{', '[']) {
        explain_json(report, text, now);
    } else if trimmed.starts_with('<') {
        unknown(report, "it is a page of HTML or XML");
    } else if text.contains("-----BEGIN ") {
        pem::explain(report, document, now);
    } else if text.starts_with(text::PROOF) {
        text::explain_proof(report, text);
    } else if text.contains("\n\u{2014} ") || text.contains("\n\n") {
        checkpoint::explain(report, text);
    } else if text::has_vkeys(text) {
        text::explain_vkeys(report, text);
    } else {
        unknown(
            report,
            "neither JSON, nor PEM, nor a signed note, nor a vkey",
        );
    }
}

/// A certificate or a key in DER is what people most often give by mistake.
fn explain_binary(report: &mut Report, document: &[u8], now: i64) {
    let label = match (
        certificate::Facts::read(document),
        trusted_root::spki_kind(document),
    ) {
        (Ok(_), _) => "CERTIFICATE",
        (_, Ok(_)) => "PUBLIC KEY",
        _ => return unknown(report, "it is no text"),
    };
    let mut text = Vec::new();
    pki::pem::encode(label, document, &mut text);
    pem::explain(report, &text, now);
    report.what = report.what.replace("(PEM)", "(DER)");
    let what = "the file is in DER. The flags of cosign take PEM; in JSON documents its base64 is \
        rawBytes";
    report.warning(
        "der-file",
        "",
        what,
        "openssl x509 -inform DER -in FILE, or openssl pkey -pubin -inform DER -in FILE",
    );
}

fn unknown(report: &mut Report, what: &str) {
    let remedy = "known are bundles, entries, checkpoints, trusted roots, signing configurations, \
        client trust configurations, \
                  tlog-proofs, evidence files, keys and certificates in PEM, vkeys, and URLs of \
                  logs";
    report.error("unknown-document", &[], "", what, remedy);
}

fn explain_json(report: &mut Report, text: &str, now: i64) {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = match values.next() {
        Some(Ok(value)) => value,
        Some(Err(error)) => return broken_json(report, &error),
        None => return,
    };
    match values.next() {
        Some(Ok(_)) => {
            let what = "several JSON documents follow each other, as in a .jsonl file; clients \
                read one. Only the first is explained";
            let remedy = "split the file: one line, one document";
            report.error("several-documents", ALL, "", what, remedy);
        }
        Some(Err(error)) => {
            let what = format_args!("something follows the JSON document: {error}");
            report.error(
                "trailing-text",
                ALL,
                "",
                what,
                "remove what follows the last brace",
            );
        }
        None => {}
    }
    explain_value(report, &value, now);
}

fn broken_json(report: &mut Report, error: &serde_json::Error) {
    report.what = "JSON document that cannot be read".to_owned();
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        Category::Eof => {
            let what = "the document ends too early: it was cut off";
            let remedy = "copy or download it again, and compare the sizes";
            report.error("truncated", ALL, place, what, remedy);
        }
        _ => report.error(
            "json-syntax",
            ALL,
            place,
            error,
            "write the document again with the tool that made it",
        ),
    }
}

fn explain_value(report: &mut Report, value: &Value, now: i64) {
    let root = Node::root(value);
    let has = |name: &str| root.get(name).is_some();
    let media_type = root.text("mediaType").unwrap_or_default();
    let is = |name: &str| media_type.starts_with(&format!("application/vnd.dev.sigstore.{name}"));
    if is("clienttrustconfig") || (has("trustedRoot") && has("signingConfig")) {
        schema::check(report, &root, &schema::CLIENT_TRUST_CONFIG);
        client_trust::explain(report, &root, now);
    } else if is("trustedroot") || has("tlogs") {
        schema::check(report, &root, &schema::TRUSTED_ROOT);
        trusted_root::explain(report, &root, now);
    } else if is("signingconfig") || has("rekorTlogUrls") {
        schema::check(report, &root, &schema::SIGNING_CONFIG);
        signing_config::explain(report, &root, now);
    } else if is("bundle") || has("verificationMaterial") {
        schema::check(report, &root, &schema::BUNDLE);
        bundle::explain(report, &root, now);
    } else if has("canonicalizedBody") {
        schema::check(report, &root, &schema::ENTRY);
        report.what = "entry of a log, as in a bundle (TransparencyLogEntry)".to_owned();
        report.readers = ALL.to_vec();
        let opened = entry::check(report, &root, now);
        entry::check_for_bundles(report, &opened);
    } else if v1_entry::is_answer(value) {
        v1_entry::explain(report, &root, now);
    } else if v1_entry::is_old_bundle(value) {
        v1_entry::explain_old_bundle(report, &root);
    } else if root.text("signedTreeHead").is_some() {
        explain_tree_head(report, &root);
    } else if let (Some(seen), Some(now)) = (root.text("seen"), root.text("now")) {
        explain_two_heads(report, seen, now);
    } else if root
        .text("format")
        .is_some_and(|format| format.starts_with(EVIDENCE))
    {
        explain_evidence(report, &root);
    } else {
        unknown(
            report,
            "it is JSON, and none of the documents that are known",
        );
    }
}

/// Explains the answer of `GET /api/v1/log`.
fn explain_tree_head(report: &mut Report, root: &Node<'_>) {
    checkpoint::explain(report, root.text("signedTreeHead").unwrap_or_default());
    report.what = "tree head of a log by the Rekor v1 API".to_owned();
    report.fact("tree ID", root.text("treeID").unwrap_or_default());
    report.fact("frozen trees", root.items("inactiveShards").len());
}

/// Explains what a monitor kept against a log.
fn explain_evidence(report: &mut Report, root: &Node<'_>) {
    report.what = "evidence against a log".to_owned();
    report.fact("log", root.text("log").unwrap_or_default());
    report.fact("claim", root.text("claim").unwrap_or_default());
    if let Some(seconds) = root.number_at("time") {
        report.fact("observed at", report::time(seconds));
    }
    let what = "to check the signatures in it, and whether they show what is claimed: treehead \
        verify FILE --trust KEYS";
    report.note("evidence-check", &[], "", what);
}

/// Explains two heads that contradict each other.
fn explain_two_heads(report: &mut Report, seen: &str, now: &str) {
    report.fact("seen earlier", "");
    checkpoint::explain(report, seen);
    report.fact("seen then", "");
    checkpoint::explain(report, now);
    report.what = "evidence: two heads of one log".to_owned();
    let what = "to check both signatures and whether the heads contradict each other: treehead \
        verify FILE";
    report.note("evidence-check", &[], "", what);
}

#[cfg(test)]
mod tests;
