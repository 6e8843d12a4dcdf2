//! The report as JSON, which docs/VERIFYING.md documents.

use client::lock::{Artefact, Locked, Verdict};
use client::lookup::KeyHit;
use serde_json::{Value, json};

use super::known::Shown;
use super::report::Report;

pub(super) fn json(report: &Report<'_>) -> Value {
    let counts = report.counts();
    let artefacts = report.lines().map(|(artefact, judgement)| {
        let entries = |hits: &[KeyHit]| {
            let entries = hits.iter().filter_map(|hit| entry(report, artefact, hit));
            Value::Array(entries.collect())
        };
        let (status, reason, logged) = match &judgement.verdict {
            Verdict::Logged(hits) => ("logged", None, entries(hits)),
            Verdict::Indexed(hits) => ("indexed", None, entries(hits)),
            Verdict::Absent => ("absent", None, entries(&[])),
            Verdict::NotCheckable(why) => ("unchecked", Some(why), entries(&[])),
        };
        json!({
            "name": artefact.name,
            "version": artefact.version,
            "file": artefact.file,
            "purl": artefact.purl,
            "line": artefact.line,
            "digests": digests(artefact),
            "status": status,
            "reason": reason,
            "entries": logged,
            "contradicting": entries(&judgement.contradicting),
            "beside": entries(&judgement.beside),
        })
    });
    json!({
        "url": report.url,
        "file": report.file,
        "format": report.lock.format.name(),
        "logged": counts.logged,
        "indexed": counts.indexed,
        "absent": counts.absent,
        "contradicted": counts.contradicted,
        "unchecked": counts.not_checkable,
        "artefacts": artefacts.collect::<Vec<_>>(),
    })
}

fn digests(artefact: &Artefact) -> Vec<String> {
    match &artefact.locked {
        Locked::Digests(digests) => {
            let texts = digests.iter();
            texts
                .map(|digest| format!("{}:{}", digest.algorithm, digest.hex))
                .collect()
        }
        Locked::Nothing(_) => Vec::new(),
    }
}

fn entry(report: &Report<'_>, artefact: &Artefact, hit: &KeyHit) -> Option<Value> {
    let known = report.known(hit)?;
    let shown_by = match report.shown(artefact, hit) {
        Shown::ByEntry => "entry",
        Shown::ByIndex => "index",
    };
    Some(json!({
        "uuid": hit.uuid,
        "log": hit.log,
        "logIndex": known.entry.log_index,
        "integratedTime": known.entry.time,
        "kind": known.entry.kind(),
        "shownBy": shown_by,
        "signers": known.summary.signers,
        "packages": known.statement.as_ref().map(|statement| &statement.packages),
    }))
}
