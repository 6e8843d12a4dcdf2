//! One entry of a log with its proofs: a `TransparencyLogEntry`.

use serde_json::Value;
use tlog::{Checkpoint, Hash, LeafIndex, TreeSize};

use super::checkpoint::{self, Expected, Flavour};
use super::node::Node;
use super::report::{ALL, GO, GO_JS, JS, PYTHON, Report, time};

/// An entry as far as it could be read.
pub(super) struct Opened {
    pub place: String,
    pub flavour: Flavour,
    pub body: Option<Value>,
    /// The time that the log promised, if it did.
    pub promised_time: Option<i64>,
    pub has_proof: bool,
    pub has_checkpoint: bool,
    pub has_promise: bool,
}

const AGAIN: &str =
    "take the entry from the log again: `treehead get`, or GET /api/v1/log/entries/UUID";

/// Adds what an entry says, and checks it by itself.
pub(super) fn check(report: &mut Report, node: &Node<'_>, now: i64) -> Opened {
    let bytes = node.bytes_at("canonicalizedBody");
    let body: Option<Value> = bytes
        .as_deref()
        .and_then(|body| serde_json::from_slice(body).ok());
    let flavour = flavour(body.as_ref());
    match (&bytes, &body) {
        (None, _) => missing(report, node, "canonicalizedBody", "body-missing"),
        (Some(_), None) => {
            let what = "the leaf of the log is no JSON, so no client finds in it what was signed";
            report.error(
                "body-not-json",
                ALL,
                node.at("canonicalizedBody"),
                what,
                AGAIN,
            );
        }
        (Some(_), Some(body)) => check_kind(report, node, body, flavour),
    }
    let log_id = check_log_id(report, node);
    check_index(report, node);
    let promise = node.bytes_at("inclusionPromise/signedEntryTimestamp");
    let promised_time = check_time(report, node, flavour, promise.is_some(), now);
    let opened = Opened {
        place: node.place.clone(),
        flavour,
        body,
        promised_time,
        has_proof: node.get("inclusionProof").is_some(),
        has_checkpoint: node
            .text_at("inclusionProof/checkpoint/envelope")
            .is_some_and(|text| !text.is_empty()),
        has_promise: promise.is_some(),
    };
    if let Some(proof) = node.get("inclusionProof") {
        let expected = Expected {
            log_id: log_id.as_deref(),
            flavour,
        };
        check_proof(report, &proof, bytes.as_deref(), &expected);
    }
    check_presence(report, &opened);
    opened
}

/// Returns the API that an entry came by. Only leaves of v2 name their kind within the spec.
fn flavour(body: Option<&Value>) -> Flavour {
    let spec = body.and_then(|body| body.get("spec"));
    let has = |name| spec.is_some_and(|spec| spec.get(name).is_some());
    match has("hashedRekordV002") || has("dsseV002") {
        true => Flavour::V2,
        false => Flavour::V1,
    }
}

fn missing(report: &mut Report, node: &Node<'_>, member: &str, id: &'static str) {
    let what = format_args!("{member} is missing");
    report.error(id, ALL, node.at(member), what, AGAIN);
}

fn check_kind(report: &mut Report, node: &Node<'_>, body: &Value, flavour: Flavour) {
    let of_body = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let (kind, version) = (of_body("kind"), of_body("apiVersion"));
    report.fact("kind", format_args!("{kind} {version}"));
    let place = node.at("kindVersion");
    if node.get("kindVersion").is_none() {
        return missing(report, node, "kindVersion", "kind-version-missing");
    }
    let stated = |name| node.text_at(name).unwrap_or_default();
    let (stated_kind, stated_version) = (stated("kindVersion/kind"), stated("kindVersion/version"));
    if (stated_kind, stated_version) != (kind, version) {
        let what = format_args!(
            "it says {stated_kind} {stated_version}, and the leaf is {kind} {version}"
        );
        let remedy = format!("write {kind} and {version}, as in the leaf");
        report.error("kind-version-mismatch", GO_JS, &place, what, remedy);
    }
    match (flavour, kind, version) {
        (Flavour::V1, "hashedrekord" | "dsse", "0.0.1")
        | (Flavour::V2, "hashedrekord", "0.0.2") => {}
        (Flavour::V1, "intoto", "0.0.2") => report.note(
            "intoto-entry",
            PYTHON,
            place,
            "sigstore-python takes no time from entries of the kind intoto, and so refuses them \
                without a time-stamp authority",
        ),
        (Flavour::V2, "dsse", "0.0.2") => report.error(
            "v2-dsse-entry",
            GO,
            place,
            "sigstore-go knows no dsse entries of Rekor v2: it expects a hashedrekord over the \
                envelope (PAE)",
            "log attestations as hashedrekord, as cosign and sigstore-python do; sigstore-js \
                before that change cannot",
        ),
        _ => report.error(
            "kind-not-for-bundles",
            ALL,
            place,
            format_args!("clients of bundles do not know entries of the kind {kind} {version}"),
            "log what is to be in a bundle as hashedrekord or dsse",
        ),
    }
}

fn check_log_id(report: &mut Report, node: &Node<'_>) -> Option<Vec<u8>> {
    let Some(log_id) = node.bytes_at("logId/keyId") else {
        missing(report, node, "logId/keyId", "log-id-missing");
        return None;
    };
    report.fact("log ID", hex::encode(&log_id));
    if log_id.len() != 32 {
        let what = format_args!(
            "the log ID has {} bytes instead of 32, so no client finds the key of the log",
            log_id.len()
        );
        let remedy =
            "write the whole ID: SHA-256 of the key (v1), or the untruncated key hash of C2SP (v2)";
        report.error("log-id-length", GO_JS, node.at("logId"), what, remedy);
    }
    Some(log_id)
}

fn check_index(report: &mut Report, node: &Node<'_>) {
    match node.number_at("logIndex") {
        Some(index) if index < 0 => {
            let what = format_args!("the log index {index} is negative");
            report.error("log-index-negative", ALL, node.at("logIndex"), what, AGAIN);
        }
        // ProtoJSON leaves out 0.
        index => report.fact("log index", index.unwrap_or(0)),
    }
}

/// Returns the time that a promise covers.
fn check_time(
    report: &mut Report,
    node: &Node<'_>,
    flavour: Flavour,
    has_promise: bool,
    now: i64,
) -> Option<i64> {
    let seconds = node
        .number_at("integratedTime")
        .filter(|seconds| *seconds != 0);
    let place = node.at("integratedTime");
    if flavour == Flavour::V2 && has_promise {
        let what = "an entry of Rekor v2 has no signed entry timestamp: sigstore-go drops an \
            entry whose promise it cannot verify";
        let remedy = "remove inclusionPromise; the time comes from a time-stamp authority";
        report.error("v2-promise", GO, node.at("inclusionPromise"), what, remedy);
    }
    let Some(seconds) = seconds else {
        if has_promise && flavour == Flavour::V1 {
            let what = "the signed entry timestamp covers a time, and the time is missing";
            report.error("integrated-time-missing", ALL, place, what, AGAIN);
        }
        return None;
    };
    report.fact("logged at", time(seconds));
    if seconds > now {
        let what = format_args!(
            "the log dates the entry {}, and here it is {}",
            time(seconds),
            time(now)
        );
        let remedy = "check the clock of this machine first, then that of the log";
        report.error("integrated-time-in-future", ALL, place, what, remedy);
    }
    has_promise.then_some(seconds)
}

fn check_presence(report: &mut Report, entry: &Opened) {
    let place = &entry.place;
    if entry.flavour == Flavour::V2 && !entry.has_proof {
        let what = "an entry of Rekor v2 needs its inclusion proof";
        report.error("v2-without-proof", ALL, place, what, AGAIN);
    } else if !entry.has_promise && !entry.has_proof {
        let what = "the entry has neither a signed entry timestamp nor an inclusion proof: \
            nothing shows that it is in the log";
        report.error("neither-promise-nor-proof", ALL, place, what, AGAIN);
    }
    if entry.has_proof && !entry.has_checkpoint {
        let what = "the inclusion proof has no checkpoint, so nobody signed its root";
        report.error(
            "checkpoint-missing",
            ALL,
            format_args!("{place}/inclusionProof"),
            what,
            AGAIN,
        );
    }
}

fn check_proof(
    report: &mut Report,
    proof: &Node<'_>,
    leaf: Option<&[u8]>,
    expected: &Expected<'_>,
) {
    let envelope = proof
        .text_at("checkpoint/envelope")
        .filter(|text| !text.is_empty());
    let place = proof.at("checkpoint");
    let checkpoint = envelope.and_then(|text| checkpoint::check(report, &place, text, expected));
    let number = |name| {
        proof
            .number_at(name)
            .and_then(|number| u64::try_from(number).ok())
    };
    // ProtoJSON leaves out 0.
    let (index, size) = (
        number("logIndex").unwrap_or(0),
        number("treeSize").unwrap_or(0),
    );
    let root = hash(proof.bytes_at("rootHash"));
    if let Some(checkpoint) = &checkpoint {
        check_head(report, proof, checkpoint, size, root);
    }
    if index >= size {
        let what = format_args!("the proof is for leaf {index} of a tree of {size} leaves");
        report.error(
            "proof-index-beyond-tree",
            ALL,
            proof.at("logIndex"),
            what,
            AGAIN,
        );
        return;
    }
    report.fact("place in the tree", format_args!("leaf {index} of {size}"));
    let hashes: Option<Vec<Hash>> = proof
        .items("hashes")
        .iter()
        .map(|item| {
            let bytes = item.value.as_str().and_then(super::node::base64);
            hash(bytes)
        })
        .collect();
    let (Some(leaf), Some(root), Some(hashes)) = (leaf, root, hashes) else {
        if root.is_none() {
            let what = "rootHash is missing, or has not 32 bytes. sigstore-js and Go take the \
                root from the checkpoint";
            report.error(
                "proof-root-missing",
                PYTHON,
                proof.at("rootHash"),
                what,
                AGAIN,
            );
        }
        return;
    };
    let leaf = tlog::leaf_hash(leaf);
    let verified = tlog::verify_inclusion(&leaf, LeafIndex(index), TreeSize(size), &root, &hashes);
    if let Err(error) = verified {
        let what = format_args!("the proof does not lead from the leaf to the root: {error}");
        report.error("proof-invalid", ALL, &proof.place, what, AGAIN);
    }
}

fn check_head(
    report: &mut Report,
    proof: &Node<'_>,
    checkpoint: &Checkpoint,
    size: u64,
    root: Option<Hash>,
) {
    if checkpoint.size.0 != size {
        let what = format_args!(
            "the proof is for a tree of {size} leaves, and the checkpoint for one of {}",
            checkpoint.size
        );
        report.error(
            "checkpoint-other-size",
            ALL,
            proof.at("treeSize"),
            what,
            AGAIN,
        );
    }
    if root.is_some_and(|root| root != checkpoint.root) {
        let what = "the checkpoint has another root hash than the proof";
        report.error(
            "checkpoint-other-root",
            ALL,
            proof.at("rootHash"),
            what,
            AGAIN,
        );
    }
}

fn hash(bytes: Option<Vec<u8>>) -> Option<Hash> {
    Hash::try_from(bytes?.as_slice()).ok()
}

/// Says what an entry without a bundle lacks to make one.
pub(super) fn check_for_bundles(report: &mut Report, entry: &Opened) {
    if entry.flavour == Flavour::V1 && !entry.has_proof {
        let what = "without an inclusion proof the entry fits into no bundle but one of version \
            0.1, and sigstore-python reads none with it";
        report.error(
            "v1-without-proof",
            &[GO, JS, PYTHON].concat(),
            &entry.place,
            what,
            AGAIN,
        );
    }
    if entry.flavour == Flavour::V1 && !entry.has_promise {
        let what = "without a signed entry timestamp the log proves no time: a keyless signature \
            then needs a time-stamp authority";
        report.warning("v1-without-promise", &entry.place, what, AGAIN);
    }
}
