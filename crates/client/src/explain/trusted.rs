//! A document compared with what is trusted: whose logs its entries name, and whether its proofs
//! verify with their keys.

use serde_json::Value;

use super::address::Address;
use super::checkpoint::tree_id;
use super::node::Node;
use super::report::{ALL, GO, GO_JS, JS, Report, time};
use crate::key::LogKey;
use crate::{SignedHead, v1, v2};

/// Verifies the entries and checkpoints of a document.
pub(super) fn check(report: &mut Report, document: &[u8], trust: &[String], keys: &[LogKey]) {
    let roots: Vec<Value> = trust
        .iter()
        .filter_map(|text| serde_json::from_str(text).ok())
        .collect();
    if let Ok(text) = std::str::from_utf8(document)
        && text.contains("\n\u{2014} ")
        && !text.starts_with('{')
    {
        let note = text
            .split_once("\n\n")
            .filter(|_| text.starts_with(super::text::PROOF));
        return check_head(report, note.map_or(text, |(_, note)| note), keys);
    }
    let Ok(value) = serde_json::from_slice::<Value>(document) else {
        return;
    };
    let node = Node::root(&value);
    if super::v1_entry::is_answer(&value) {
        return outcome(report, "", v1::open_entry(keys, document).map(drop));
    }
    let entries = match node.get("canonicalizedBody") {
        Some(_) => vec![node],
        None => node
            .walk("verificationMaterial/tlogEntries")
            .map(|list| list.elements())
            .unwrap_or_default(),
    };
    for entry in entries {
        if !roots.is_empty() {
            check_log(report, &entry, &roots);
        }
        verify(report, &entry, keys);
    }
}

fn verify(report: &mut Report, entry: &Node<'_>, keys: &[LogKey]) {
    let text = entry.value.to_string();
    outcome(
        report,
        &entry.place,
        v2::open_entry(keys, text.as_bytes()).map(drop),
    );
}

fn check_head(report: &mut Report, note: &str, keys: &[LogKey]) {
    outcome(report, "", SignedHead::open(keys, note).map(drop));
}

fn outcome(report: &mut Report, place: &str, verified: crate::Result<()>) {
    match verified {
        Ok(()) => report.fact(
            "verified",
            "with a trusted key: the log signed the head, and the proof leads to it",
        ),
        Err(error) => {
            let what = format_args!("it does not verify with the trusted keys: {error}");
            let remedy = "compare the log ID with the trusted root: another log, another key, or \
                a changed entry";
            report.error("not-verified", ALL, place, what, remedy);
        }
    }
}

/// Compares an entry with the log that it names, in whichever trusted root has it.
fn check_log(report: &mut Report, entry: &Node<'_>, roots: &[Value]) {
    let id = entry.bytes_at("logId/keyId");
    let logs = roots.iter().flat_map(|root| {
        let document = Node::root(root);
        let root = document.get("trustedRoot").unwrap_or(document);
        root.items("tlogs")
    });
    let is_its_log = |log: &Node<'_>| id.is_some() && log.bytes_at("logId/keyId") == id;
    let found: Vec<Node<'_>> = logs.filter(is_its_log).collect();
    let Some(log) = found.first() else {
        let what = "the trusted root has no log with this ID";
        let remedy = "add the log to the trusted root. Was it rotated, or is this the root of \
            another instance?";
        report.error("log-not-trusted", GO_JS, entry.at("logId"), what, remedy);
        return;
    };
    let url = log.text("baseUrl").unwrap_or_default();
    check_origin(report, entry, url);
    let Some(seconds) = entry
        .number_at("integratedTime")
        .filter(|seconds| *seconds != 0)
    else {
        return;
    };
    let (start, end) = (
        log.time_at("publicKey/validFor/start"),
        log.time_at("publicKey/validFor/end"),
    );
    if start.is_some_and(|start| seconds < start) || end.is_some_and(|end| seconds > end) {
        let what = format_args!(
            "the log dates the entry {}, which is outside the window of its key in the trusted \
                root",
            time(seconds)
        );
        let remedy = "correct validFor of the log in the trusted root; if the entry is new, check \
            the clock of the log";
        report.error(
            "integrated-time-outside-key-window",
            ALL,
            entry.at("integratedTime"),
            what,
            remedy,
        );
    }
}

fn check_origin(report: &mut Report, entry: &Node<'_>, url: &str) {
    let note = entry
        .text_at("inclusionProof/checkpoint/envelope")
        .unwrap_or_default();
    let origin = note.lines().next().unwrap_or_default();
    let place = entry.at("inclusionProof");
    let host = Address::of(url).host;
    if !origin.is_empty() && tree_id(origin).is_none() && origin != host {
        let what = format_args!(
            "the origin is {origin:?}, and sigstore-go wants the host in baseUrl: {host:?}"
        );
        let remedy = "set baseUrl to https:// and the origin, if the origin is a host name";
        report.error("origin-other-host", GO, &place, what, remedy);
    }
    let names = note
        .lines()
        .filter_map(|line| line.strip_prefix("\u{2014} "));
    let mut names = names.filter_map(|line| line.split(' ').next());
    if !note.is_empty() && !names.any(|name| url.contains(name)) {
        let what = format_args!(
            "no name of a signature is a part of baseUrl ({url}), as sigstore-js asks"
        );
        let remedy = "set baseUrl to a URL with the host name under which the log signs";
        report.error("signer-not-in-url", JS, place, what, remedy);
    }
}
