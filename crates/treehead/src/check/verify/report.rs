//! What was verified of a bundle, and what was not, in words and as JSON.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use client::bundle::{Certificate, Logged, Shown, Signer, Statement, Verified};
use serde_json::{Map, Value, json};
use tlog::Hash;

use super::artifact::Artifact;
use super::flags::VerifyFlags;
use crate::check::describe;
use crate::check::show::{self, Text};
use crate::failure::Outcome;

/// Prints a bundle that was verified.
pub(super) fn print(
    flags: &VerifyFlags,
    path: &Path,
    artifact: &Artifact,
    hash: &Hash,
    verified: &Verified,
) -> Outcome<()> {
    let mut text = Text::default();
    text.verified(format_args!("{artifact} by {}", path.display()));
    describe(&mut text, flags, hash, verified);
    let mut json = to_json(hash, verified);
    json["bundle"] = json!(path.display().to_string());
    show::print(flags.trust.format, &text, &json)
}

/// Prints entries of a log that were verified as bundles are.
pub(super) fn print_all(
    flags: &VerifyFlags,
    artifact: &Artifact,
    hash: &Hash,
    all: &[Verified],
) -> Outcome<()> {
    let mut text = Text::default();
    for verified in all {
        text.verified(format_args!("{artifact} by an entry of the log"));
        describe(&mut text, flags, hash, verified);
    }
    let verified: Vec<Value> = all.iter().map(|one| to_json(hash, one)).collect();
    show::print(flags.trust.format, &text, &json!({"verified": verified}))
}

fn describe(text: &mut Text, flags: &VerifyFlags, hash: &Hash, verified: &Verified) {
    text.fact("artifact", format_args!("sha256:{hash}"));
    match (&verified.signer, &flags.signer.key) {
        (Signer::Certificate(certificate), _) => describe_certificate(text, certificate),
        (Signer::Key, Some(path)) => {
            text.fact("signed by", format_args!("the key in {}", path.display()));
        }
        (Signer::Key, None) => text.fact("signed by", "the expected key"),
    }
    if let Some(statement) = &verified.statement {
        describe_statement(text, statement, hash);
    }
    for time in &verified.stamped {
        let time = seconds(*time);
        text.fact(
            "signed at",
            format_args!("{time}, by a timestamp authority"),
        );
    }
    for logged in &verified.logged {
        describe_entry(text, logged);
    }
    for claim in not_checked(verified) {
        text.fact("not checked", claim);
    }
}

fn describe_certificate(text: &mut Text, certificate: &Certificate) {
    text.fact("signed by", certificate.names.join(", "));
    if let Some(issuer) = &certificate.issuer {
        text.fact("issuer", issuer);
    }
    let (from, to) = (certificate.not_before, certificate.not_after);
    let (from, to) = (seconds(from), seconds(to));
    text.fact(
        "certificate",
        format_args!("of a trusted authority, valid {from} to {to}"),
    );
    if certificate.has_ct {
        text.fact("", "and in a trusted certificate transparency log");
    }
    for (id, name, value) in &certificate.claims {
        if Some(value) != certificate.issuer.as_ref() {
            text.fact("claim", format_args!("{name}: {value} ({id})"));
        }
    }
}

fn describe_statement(text: &mut Text, statement: &Statement, hash: &Hash) {
    text.fact("attests", &statement.predicate_type);
    let digest = format!("sha256:{hash}");
    let mut subjects = statement.subjects.iter();
    if let Some(subject) = subjects.find(|subject| subject.digests.contains(&digest)) {
        text.fact("about", format_args!("{} ({digest})", subject.name));
    }
    if statement.subjects.len() > 1 {
        let others = statement.subjects.len() - 1;
        text.fact("", format_args!("and {others} further artifacts"));
    }
}

fn describe_entry(text: &mut Text, logged: &Logged) {
    text.fact(
        "log entry",
        format_args!("{}, index {}", logged.kind, logged.log_index),
    );
    if let Some(time) = logged.time {
        text.fact(
            "logged at",
            format_args!("{}, signed by the log", seconds(time)),
        );
    }
    match &logged.shown {
        Shown::Included(inclusion) => {
            let head = &inclusion.head;
            let (index, size, origin) = (inclusion.leaf_index, head.size(), head.origin());
            text.fact("tree", format_args!("leaf {index} of {size} in {origin}"));
            text.fact("head by", &head.signer);
        }
        Shown::Promised(log) => text.fact("promised by", format_args!("log {log}")),
    }
}

/// Returns what a reader might believe, and must not.
fn not_checked(verified: &Verified) -> Vec<&'static str> {
    let mut claims = Vec::new();
    let is_promised = |logged: &&Logged| matches!(logged.shown, Shown::Promised(_));
    if verified.logged.iter().any(|logged| is_promised(&logged)) {
        claims.push("that the log has the entry: the bundle holds its promise and no proof");
    }
    let has_time = verified.logged.iter().any(|logged| logged.time.is_some());
    if verified.stamped.is_empty() && !has_time {
        claims.push("when it was signed: nothing that is trusted states a time");
    }
    if let Signer::Certificate(certificate) = &verified.signer
        && !certificate.has_ct
    {
        claims.push("certificate transparency: the trust root names no such log");
    }
    if verified.statement.is_some() {
        claims.push("whether it is true what the attestation says");
    }
    claims
}

fn to_json(hash: &Hash, verified: &Verified) -> Value {
    let entries: Vec<Value> = verified.logged.iter().map(entry_json).collect();
    json!({
        "sha256": hash.to_string(),
        "signer": signer_json(&verified.signer),
        "statement": verified.statement.as_ref().map(statement_json),
        "timestamps": verified.stamped,
        "entries": entries,
        "notChecked": not_checked(verified),
    })
}

fn signer_json(signer: &Signer) -> Value {
    let Signer::Certificate(certificate) = signer else {
        return json!({"kind": "key"});
    };
    let extensions = certificate.claims.iter();
    let extensions: Map<String, Value> = extensions
        .map(|(id, _, value)| ((*id).to_owned(), json!(value)))
        .collect();
    json!({
        "kind": "certificate",
        "names": certificate.names,
        "issuer": certificate.issuer,
        "notBefore": certificate.not_before,
        "notAfter": certificate.not_after,
        "extensions": extensions,
        "certificateTransparency": certificate.has_ct,
    })
}

fn statement_json(statement: &Statement) -> Value {
    let subjects = statement.subjects.iter();
    let subjects: Vec<Value> = subjects
        .map(|subject| json!({"name": subject.name, "digests": subject.digests}))
        .collect();
    json!({"predicateType": statement.predicate_type, "subjects": subjects})
}

fn entry_json(logged: &Logged) -> Value {
    let inclusion = match &logged.shown {
        Shown::Included(inclusion) => describe::inclusion_json(inclusion),
        Shown::Promised(_) => Value::Null,
    };
    json!({
        "kind": logged.kind,
        "logIndex": logged.log_index,
        "integratedTime": logged.time,
        "body": BASE64_STANDARD.encode(&logged.body),
        "inclusion": inclusion,
    })
}

fn seconds(time: i64) -> String {
    u64::try_from(time).map_or_else(|_| format!("{time} s"), show::time)
}
