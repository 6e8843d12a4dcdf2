//! The logs of a trusted root: keys, IDs, URLs and windows.

use pki::public_key::KeyKind;
use tlog::{KeyAlgorithm, NoteKey, VerifyingKey, sha256};

use super::key;
use crate::explain::address::{self, Address};
use crate::explain::certificate;
use crate::explain::node::Node;
use crate::explain::report::{ALL, Client, GO, GO_JS, GO_PYTHON, JS, Report, time};

/// Which kind of log is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Rekor,
    CertificateTransparency,
}

/// The form of a log ID, which says by which API clients take the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The hash of the key. An ECDSA key has the same ID in v2.
    V1,
    /// The hash of name and key, as C2SP notes have it.
    V2,
    Unknown,
}

/// Checks all logs of a list. Returns their forms.
pub(super) fn check_all(report: &mut Report, logs: &[Node<'_>], role: Role, now: i64) -> Vec<Form> {
    let forms = logs
        .iter()
        .map(|log| check(report, log, role, now))
        .collect();
    let id = |log: &Node<'_>| log.bytes_at("logId/keyId");
    for (number, log) in logs.iter().enumerate() {
        let is_repeated = logs
            .iter()
            .take(number)
            .any(|earlier| id(earlier).is_some() && id(earlier) == id(log));
        if is_repeated {
            let what = "another log before it has the same ID; sigstore-go keeps only the last \
                one, with its window";
            let remedy = "give each key one instance with a window that covers all of its entries";
            report.warning("log-id-twice", log.at("logId"), what, remedy);
        }
    }
    let starts: Vec<i64> = logs
        .iter()
        .filter_map(|log| log.time_at("publicKey/validFor/start"))
        .collect();
    if !starts.is_sorted() {
        let what = "the logs are not in the order of their windows, oldest first, as the \
            specification has them";
        let place = logs
            .first()
            .map(|log| log.place.clone())
            .unwrap_or_default();
        report.note("logs-order", &[], place, what);
    }
    forms
}

fn check(report: &mut Report, log: &Node<'_>, role: Role, now: i64) -> Form {
    let url = log.text("baseUrl").unwrap_or_default();
    let hash = log.text("hashAlgorithm").unwrap_or_default();
    if hash != "SHA2_256" {
        let what =
            format_args!("the hash of the log is {hash:?}, and sigstore-go knows SHA2_256 alone");
        report.error(
            "hash-algorithm",
            GO,
            log.at("hashAlgorithm"),
            what,
            "set hashAlgorithm to SHA2_256",
        );
    }
    check_window(report, log, now);
    let key = key::check(report, log);
    let form = check_id(report, log, url, key.as_ref(), role);
    let (label, is_v2) = match (role, form) {
        (Role::CertificateTransparency, _) => ("certificate transparency log", false),
        (Role::Rekor, Form::V2) => ("log for Rekor v2", true),
        (Role::Rekor, Form::V1) => ("log for Rekor v1", false),
        (Role::Rekor, Form::Unknown) => ("log", false),
    };
    let algorithm = key.map_or_else(
        || "unknown key".to_owned(),
        |(_, kind)| certificate::kind(kind),
    );
    report.fact(label, format_args!("{url}, {algorithm}, {}", window(log)));
    if is_v2 {
        address::check_v2(report, &log.at("baseUrl"), url);
    } else if role == Role::Rekor && !url.is_empty() && Address::of(url).scheme.is_empty() {
        let what = "the URL has no scheme. A v1 log is found by its ID all the same";
        report.note("v1-base-url-scheme", &[], log.at("baseUrl"), what);
    }
    if log.get("operator").is_some() || log.get("checkpointKeyId").is_some() {
        let what = "clients from before 2025 refuse members that they do not know: operator, \
            checkpointKeyId";
        report.note("new-members", &[], &log.place, what);
    }
    form
}

fn window(log: &Node<'_>) -> String {
    let time_of = |name| log.time_at(&format!("publicKey/validFor/{name}")).map(time);
    match (time_of("start"), time_of("end")) {
        (Some(start), Some(end)) => format!("{start} to {end}"),
        (Some(start), None) => format!("since {start}"),
        (None, _) => "no window".to_owned(),
    }
}

fn check_window(report: &mut Report, log: &Node<'_>, now: i64) {
    let place = log.at("publicKey/validFor").replace("~1", "/");
    let (start, end) = (
        log.time_at("publicKey/validFor/start"),
        log.time_at("publicKey/validFor/end"),
    );
    let Some(start) = start else {
        let what = "the key has no validFor.start. sigstore-go refuses the whole trusted root";
        let remedy =
            "set it to a time before the first entry of the log, such as 2026-01-01T00:00:00Z";
        report.error("log-without-start", GO_PYTHON, place, what, remedy);
        return;
    };
    if start > now {
        let what = format_args!(
            "the key is valid only from {}: entries before that are refused",
            time(start)
        );
        let remedy = "nothing, if the log begins then. Otherwise set an earlier start; and check \
            the clock of this machine";
        report.warning(
            "log-window-in-future",
            format_args!("{place}/start"),
            what,
            remedy,
        );
    }
    match end {
        Some(end) if end < start => {
            let what = "the window of the key ends before it begins, so no entry lies in it";
            report.error(
                "log-window-reversed",
                ALL,
                place,
                what,
                "swap start and end",
            );
        }
        Some(end) if end < now => {
            let what = "the log takes no entries any more; older ones still verify";
            report.note("log-window-ended", &[], place, what);
        }
        _ => {}
    }
}

/// Checks the log ID against the key, under the name that clients take from the URL.
fn check_id(
    report: &mut Report,
    log: &Node<'_>,
    url: &str,
    key: Option<&(Vec<u8>, KeyKind)>,
    role: Role,
) -> Form {
    let place = log.at("logId");
    let Some(id) = log.bytes_at("logId/keyId") else {
        let what = "the log has no ID, under which sigstore-go finds it";
        let remedy = "v1: SHA-256 of the key in DER. v2: the untruncated key hash of C2SP (cosign \
            trusted-root create with origin=…)";
        report.error("tlog-id-missing", GO_JS, place, what, remedy);
        return Form::Unknown;
    };
    let Some((spki, kind)) = key else {
        return Form::Unknown;
    };
    let of_key = sha256(spki);
    let is_of_key = id == of_key.0;
    let form = if is_of_key {
        check_v1_key(report, log, *kind, role)
    } else {
        check_v2_id(report, &place, url, spki, &id)
    };
    check_checkpoint_id(report, log, &id, form);
    form
}

fn check_v1_key(report: &mut Report, log: &Node<'_>, kind: KeyKind, role: Role) -> Form {
    if role == Role::Rekor && kind == KeyKind::Ed25519 {
        let what = "an Ed25519 key under the ID of a v1 log. sigstore-go verifies signed entry \
            timestamps with ECDSA alone; and if \
                    the log is one of v2, its entries carry another ID";
        let remedy = "v1: run the log with an ECDSA P-256 key. v2: write the untruncated key hash \
            of C2SP as logId (cosign \
                      trusted-root create with origin=HOST)";
        report.error(
            "v1-log-key-ed25519",
            GO_JS,
            log.at("publicKey"),
            what,
            remedy,
        );
    }
    Form::V1
}

fn check_v2_id(report: &mut Report, place: &str, url: &str, spki: &[u8], id: &[u8]) -> Form {
    let wrong = |report: &mut Report| {
        let what = "the log ID is neither the hash of the key (v1) nor that of the host in \
            baseUrl and the key (v2), so no entry is \
                    found under it";
        let remedy = "write the ID that the entries of the log carry. v1: SHA-256 of the key in \
            DER. v2: cosign trusted-root create \
                      with origin=HOST";
        report.error("log-id-mismatch", GO_JS, place, what, remedy);
        Form::Unknown
    };
    let Ok(key) = VerifyingKey::from_spki(spki) else {
        return wrong(report);
    };
    let is_of = |name: &str| {
        let named = NoteKey::new(name, key.clone());
        named.is_ok_and(|named| named.key_hash().0 == id)
    };
    let host = Address::of(url).host;
    // Without a URL there is no name to compare with, which is a fault of its own.
    if is_of(&host) || (host.is_empty() && key.algorithm() == KeyAlgorithm::Ed25519) {
        return Form::V2;
    }
    let verbatim = Address::without_scheme(url);
    let names = [verbatim, verbatim.trim_end_matches('/')];
    match names.into_iter().find(|name| is_of(name)) {
        Some(name) => {
            let what = format_args!(
                "the log ID is that of the origin {name:?}, and sigstore-go wants the host in \
                    baseUrl for the origin: {host:?}"
            );
            let remedy = "give the log a host name of its own on the default port, and that name \
                as its origin";
            report.error("origin-not-host", GO, place, what, remedy);
            Form::V2
        }
        None => wrong(report),
    }
}

fn check_checkpoint_id(report: &mut Report, log: &Node<'_>, id: &[u8], form: Form) {
    let Some(checkpoint_id) = log.bytes_at("checkpointKeyId/keyId") else {
        return;
    };
    let place = log.at("checkpointKeyId");
    let remedy = "write the same value as in logId, or remove checkpointKeyId";
    if checkpoint_id.len() == 4 {
        let what = "checkpointKeyId has 4 bytes, as one sentence of the specification says. \
            sigstore-js takes it for the whole log ID, \
                    and then finds no key for signed entry timestamps";
        let refused_by: &[Client] = if form == Form::V2 && id.starts_with(&checkpoint_id) {
            &[]
        } else {
            JS
        };
        match refused_by.is_empty() {
            true => report.warning("checkpoint-key-id-short", place, what, remedy),
            false => report.error("checkpoint-key-id-short", refused_by, place, what, remedy),
        }
    } else if checkpoint_id != id {
        let what = "checkpointKeyId is another ID than logId; sigstore-js looks the log up by it, \
            the other clients by logId";
        report.error("checkpoint-key-id-differs", JS, place, what, remedy);
    }
}
