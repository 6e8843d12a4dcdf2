//! The APIs of a log at a URL, and whether stock clients would work with it.

use client::explain::{Address, Client, Finding, Report, Severity, explain};
use client::{LogKey, SignedHead, v1};
use http::StatusCode;
use tlog::{KeyAlgorithm, VerifyingKey};

use super::{GO, Site};
use crate::doctor::now;

/// The documents of a treehead below /trust/.
const TRUST: [&str; 3] = [
    "/trust/trusted_root.json",
    "/trust/signing_config.v0.2.json",
    "/trust/trust_config.json",
];

/// Looks at every API.
pub(super) async fn check(report: &mut Report, site: &Site, address: &Address) {
    let has_v1 = check_v1(report, site).await;
    let has_tiles = check_tiles(report, site, address).await;
    let documents = check_trust(report, site).await;
    check_ready(report, site).await;
    if documents == 0 && (has_v1 || has_tiles) {
        let what = "the server hands out no trust material (/trust/…), as other logs than \
            treehead do: its key has to come another way";
        report.note("no-trust-material", &[], "", what);
    }
    if !has_v1 && !has_tiles {
        let what =
            "there is no log here: neither GET /api/v1/log nor GET /checkpoint has an answer";
        let remedy = "give the URL of the log itself, without the path of an API; or the server \
            is a proxy that does not pass these paths";
        report.error("no-log-here", GO, "", what, remedy);
    }
    if has_tiles {
        report.readers = vec![
            Client::Cosign,
            Client::SigstoreGo,
            Client::SigstoreJs,
            Client::SigstorePython,
            Client::RekorMonitor,
        ];
    } else if has_v1 {
        report.readers = vec![
            Client::Cosign,
            Client::SigstoreGo,
            Client::SigstoreJs,
            Client::SigstorePython,
        ];
    }
}

/// Looks at the Rekor v1 API. Returns whether the server has it.
async fn check_v1(report: &mut Report, site: &Site) -> bool {
    let Some(head) = site.found("/api/v1/log").await else {
        return false;
    };
    let place = "/api/v1/log: ";
    let explained = explain(&head, now());
    add(report, "v1", place, explained);
    let pem = site.found("/api/v1/log/publicKey").await;
    let pem = pem.map(|pem| String::from_utf8_lossy(&pem).into_owned());
    let Some(pem) = pem else {
        let what = "the log does not tell its public key, which rekor-cli asks for";
        let remedy = "the proxy in front must pass GET /api/v1/log/publicKey";
        report.warning("v1-no-public-key", "/api/v1/log/publicKey", what, remedy);
        return true;
    };
    let Ok(trust) = client::Trust::read(&pem) else {
        let what = "the public key of the log is neither ECDSA P-256 nor Ed25519: clients \
            disagree about signatures of other keys";
        report.error(
            "log-key-curve",
            &[Client::SigstoreJs],
            "/api/v1/log/publicKey",
            what,
            "run the log with an ECDSA P-256 key",
        );
        return true;
    };
    if let Some(key) = trust.keys.first() {
        check_v1_key(report, key.verifying_key());
    }
    match v1::open_heads(&trust.keys, &head) {
        Ok(_) => report.fact("v1 head", "signed by the key that the server shows"),
        Err(error) => {
            let what = format!("the head is not signed by the key that the server shows: {error}");
            let remedy = "several servers behind this URL, or a cache, answer for different logs: \
                clear it, and compare them one by one";
            report.error("v1-head-not-signed", GO, "/api/v1/log", what, remedy);
        }
    }
    true
}

fn check_v1_key(report: &mut Report, key: &VerifyingKey) {
    report.fact("v1 log ID", key.log_id());
    if key.algorithm() == KeyAlgorithm::Ed25519 {
        let what = "the key of the v1 log is Ed25519: sigstore-go and cosign verify signed entry \
            timestamps with ECDSA alone";
        report.error(
            "v1-log-key-ed25519",
            GO,
            "/api/v1/log/publicKey",
            what,
            "run the v1 log with an ECDSA P-256 key",
        );
    }
}

/// Looks at the tiles of a Rekor v2 or C2SP log. Returns whether the server has them.
async fn check_tiles(report: &mut Report, site: &Site, address: &Address) -> bool {
    let mut found = None;
    for path in ["/checkpoint", "/api/v2/checkpoint"] {
        if let Some(note) = site.found(path).await {
            found = Some((path, String::from_utf8_lossy(&note).into_owned()));
            break;
        }
    }
    let Some((path, note)) = found else {
        return false;
    };
    let explained = explain(note.as_bytes(), now());
    if !explained.what.contains("checkpoint") {
        return false;
    }
    add(report, "v2", &format!("{path}: "), explained);
    check_origin(report, site, address, &note);
    if path == "/checkpoint" && site.found("/api/v2/checkpoint").await.is_none() {
        let what = "tiles without the Rekor v2 API: monitors and witnesses read such a log, \
            clients of Sigstore do not sign with it";
        report.note("tiles-only", &[], "/api/v2/checkpoint", what);
    }
    check_vkeys(report, site, &note).await;
    true
}

/// Compares the origin with the names that clients take from the URL.
fn check_origin(report: &mut Report, site: &Site, address: &Address, note: &str) {
    let origin = note.lines().next().unwrap_or_default();
    if origin != address.host {
        let what = format!(
            "the origin is {origin:?}. sigstore-go and cosign compare it with the host of the \
                URL, {:?}, and would refuse each entry \
             of this log under this URL",
            address.host
        );
        let remedy = "reach the log under the name in its origin. A treehead gets it from \
            --v2-name (else --name) when the log is created";
        report.error("origin-other-host", GO, "/checkpoint: line 1", what, remedy);
    }
    let verbatim = Address::without_scheme(&site.base);
    if origin != verbatim {
        let what = format!(
            "rekor-monitor expects the origin {verbatim:?}, which is the URL without its scheme"
        );
        let remedy = "serve the log on the default port of the host in its origin, without a path";
        report.error(
            "origin-other-url",
            &[Client::RekorMonitor],
            "/checkpoint: line 1",
            what,
            remedy,
        );
    }
}

/// Verifies the checkpoint with the vkeys that a treehead hands out.
async fn check_vkeys(report: &mut Report, site: &Site, note: &str) {
    let Some(vkeys) = site.found("/trust/checkpoint.vkey").await else {
        return;
    };
    let trust = client::Trust::read(&String::from_utf8_lossy(&vkeys));
    let keys: Vec<LogKey> = trust.map(|trust| trust.keys).unwrap_or_default();
    match SignedHead::open(&keys, note) {
        Ok(_) => report.fact("v2 head", "signed by a vkey that the server shows"),
        Err(error) => {
            let what =
                format!("the checkpoint is not signed by a vkey that the server shows: {error}");
            let remedy = "several servers behind this URL, or a cache, answer for different logs: \
                clear it, and compare them one by one";
            report.error("v2-head-not-signed", GO, "/checkpoint", what, remedy);
        }
    }
}

/// Explains the trust material. Returns how many documents there are.
async fn check_trust(report: &mut Report, site: &Site) -> usize {
    let mut documents = 0;
    for path in TRUST {
        let Some(document) = site.found(path).await else {
            continue;
        };
        documents += 1;
        let explained = explain(&document, now());
        report.fact("trust material", format_args!("{path}: {}", explained.what));
        // The last one repeats the two before it, and notes are for who reads the document itself.
        if path != "/trust/trust_config.json" {
            let is_fault = |finding: &Finding| finding.severity != Severity::Note;
            let findings = explained.findings.into_iter().filter(is_fault).collect();
            let faults = Report {
                findings,
                ..Report::default()
            };
            report.absorb(&format!("{path}: "), faults);
        }
    }
    documents
}

async fn check_ready(report: &mut Report, site: &Site) {
    let Ok(answer) = site.get("/readyz").await else {
        return;
    };
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status == StatusCode::SERVICE_UNAVAILABLE && text.contains("NOT_SERVING") {
        let what = format!("the server takes no writes now: {}", text.trim());
        let remedy =
            "run `treehead doctor` on the machine of the server, which names the next action";
        report.error("not-ready", GO, "/readyz", what, remedy);
    } else if answer.status == StatusCode::OK {
        report.fact("ready", text.trim());
    }
}

/// Adds what an answer says, and what is wrong with it.
fn add(report: &mut Report, label: &str, place: &str, explained: Report) {
    for fact in &explained.facts {
        report.fact(format_args!("{label} {}", fact.label), &fact.value);
    }
    report.absorb(place, explained);
}
