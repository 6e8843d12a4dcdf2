//! Faults of entries, in bundles and in answers of logs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fixtures::{LOGGED, Log, NOW, Profile, Signer, base64, v1_bundle, v2_bundle};
use super::{check_fault, check_faults, check_good, remove, set};
use crate::explain::Client::{Cosign, SigstoreGo, SigstoreJs, SigstorePython};
use crate::explain::report::ALL;
use crate::explain::{explain, explain_with};

const ENTRY: &str = "/verificationMaterial/tlogEntries/0";

fn at(member: &str) -> String {
    format!("{ENTRY}/{member}")
}

/// Changes one member of the leaf. The proof of the entry does not hold any more.
fn change_leaf(bundle: &mut Value, pointer: &str, value: impl Into<Value>) {
    let body = bundle
        .pointer(&at("canonicalizedBody"))
        .unwrap()
        .as_str()
        .unwrap();
    let body = crate::explain::node::base64(body).unwrap();
    let mut leaf: Value = serde_json::from_slice(&body).unwrap();
    set(&mut leaf, pointer, value);
    set(bundle, &at("canonicalizedBody"), base64(leaf.to_string()));
}

#[test]
fn faults_of_the_entry_are_named() {
    let good = v1_bundle(&Log::v1(), &Signer::new(Profile::default()));
    check_faults(
        &good,
        NOW,
        &[
            ("no-log-entry", Some(SigstoreGo), |b| {
                set(b, "/verificationMaterial/tlogEntries", json!([]))
            }),
            ("several-log-entries", Some(SigstorePython), |b| {
                let entry = b.pointer(ENTRY).unwrap().clone();
                set(
                    b,
                    "/verificationMaterial/tlogEntries",
                    json!([entry, entry]),
                );
            }),
            ("duplicate-log-entry", Some(SigstoreJs), |b| {
                let entry = b.pointer(ENTRY).unwrap().clone();
                set(
                    b,
                    "/verificationMaterial/tlogEntries",
                    json!([entry, entry]),
                );
            }),
            ("neither-promise-nor-proof", Some(SigstoreGo), |b| {
                remove(b, &at("inclusionPromise"));
                remove(b, &at("inclusionProof"));
            }),
            ("proof-missing", Some(SigstoreJs), |b| {
                remove(b, &at("inclusionProof"))
            }),
            ("promise-missing", Some(SigstoreGo), |b| {
                set(
                    b,
                    "/mediaType",
                    "application/vnd.dev.sigstore.bundle+json;version=0.1",
                );
                remove(b, &at("inclusionPromise"));
            }),
            ("proof-missing-v01", Some(SigstorePython), |b| {
                set(
                    b,
                    "/mediaType",
                    "application/vnd.dev.sigstore.bundle+json;version=0.1",
                );
                remove(b, &at("inclusionProof"));
            }),
            ("no-signed-time", Some(SigstorePython), |b| {
                remove(b, &at("inclusionPromise"))
            }),
            ("checkpoint-missing", Some(SigstorePython), |b| {
                remove(b, &at("inclusionProof/checkpoint"))
            }),
            ("log-id-missing", Some(SigstoreGo), |b| {
                remove(b, &at("logId"))
            }),
            ("log-id-length", Some(SigstoreGo), |b| {
                set(b, &at("logId/keyId"), "AAAAAA==")
            }),
            ("kind-version-missing", Some(SigstoreJs), |b| {
                remove(b, &at("kindVersion"))
            }),
            ("kind-version-mismatch", Some(SigstoreGo), |b| {
                set(b, &at("kindVersion/version"), "0.0.2")
            }),
            ("kind-not-for-bundles", Some(SigstoreGo), |b| {
                change_leaf(b, "/kind", "rekord")
            }),
            ("body-missing", Some(SigstoreGo), |b| {
                remove(b, &at("canonicalizedBody"))
            }),
            ("body-not-json", Some(SigstoreJs), |b| {
                set(b, &at("canonicalizedBody"), base64("no"))
            }),
            ("body-other-signature", Some(SigstoreGo), |b| {
                change_leaf(b, "/spec/signature/content", base64("another"))
            }),
            ("body-other-digest", Some(SigstoreGo), |b| {
                change_leaf(b, "/spec/data/hash/value", "00".repeat(32))
            }),
            ("body-other-certificate", Some(SigstorePython), |b| {
                let other = Signer::new(Profile::default());
                change_leaf(b, "/spec/signature/publicKey/content", base64(other.pem()));
            }),
            ("log-index-negative", Some(SigstorePython), |b| {
                set(b, &at("logIndex"), "-1")
            }),
            ("integrated-time-missing", Some(SigstoreGo), |b| {
                remove(b, &at("integratedTime"))
            }),
            ("integrated-time-in-future", Some(SigstoreGo), |b| {
                set(b, &at("integratedTime"), (NOW + 10).to_string())
            }),
            (
                "integrated-time-outside-certificate",
                Some(SigstoreJs),
                |b| set(b, &at("integratedTime"), "1700000000"),
            ),
            ("proof-invalid", Some(SigstoreGo), |b| {
                set(b, &at("inclusionProof/hashes"), json!([base64([0; 32])]))
            }),
            ("proof-root-missing", Some(SigstorePython), |b| {
                remove(b, &at("inclusionProof/rootHash"))
            }),
            ("proof-index-beyond-tree", Some(SigstoreJs), |b| {
                set(b, &at("inclusionProof/logIndex"), "1")
            }),
            ("checkpoint-other-size", Some(SigstoreGo), |b| {
                set(b, &at("inclusionProof/treeSize"), "2")
            }),
            ("checkpoint-other-root", Some(SigstorePython), |b| {
                set(b, &at("inclusionProof/rootHash"), base64([1; 32]))
            }),
            ("checkpoint-key-hint", Some(SigstoreJs), |b| {
                set(b, &at("logId/keyId"), base64([7; 32]))
            }),
        ],
    );
}

#[test]
fn checkpoints_in_proofs_are_judged_by_the_api() {
    let signer = Signer::new(Profile::default());
    let odd = Log {
        origin: "log.example",
        ..Log::v1()
    };
    let bundle = v1_bundle(&odd, &signer);
    check_fault(
        &explain(bundle.to_string().as_bytes(), NOW),
        "v1-origin-form",
        Some(SigstoreGo),
    );
    let with_port = Log {
        origin: "v2.example:3000",
        name: "v2.example:3000",
        ..Log::v2()
    };
    let bundle = v2_bundle(&with_port, &signer);
    check_fault(
        &explain(bundle.to_string().as_bytes(), NOW),
        "origin-not-host",
        Some(SigstoreGo),
    );
    let renamed = Log {
        origin: "v3.example",
        ..Log::v2()
    };
    let bundle = v2_bundle(&renamed, &signer);
    check_fault(
        &explain(bundle.to_string().as_bytes(), NOW),
        "checkpoint-signer-name",
        Some(Cosign),
    );
}

/// The answer of a v1 log is held to the same rules as an entry of a bundle.
#[test]
fn answers_of_v1_are_explained() {
    let (log, signer) = (Log::v1(), Signer::new(Profile::default()));
    let entry = v1_bundle(&log, &signer)["verificationMaterial"]["tlogEntries"][0].take();
    let body = crate::explain::node::base64(entry["canonicalizedBody"].as_str().unwrap()).unwrap();
    let id = format!("{:016x}{}", 7, tlog::leaf_hash(&body));
    let proof = &entry["inclusionProof"];
    let answer = json!({
        "body": entry["canonicalizedBody"],
        "integratedTime": LOGGED,
        "logID": hex::encode(log.id()),
        "logIndex": 0,
        "verification": {
            "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            "inclusionProof": {
                "checkpoint": proof["checkpoint"]["envelope"], "hashes": [], "logIndex": 0, "treeSize": 1,
                "rootHash": tlog::leaf_hash(&body).to_string(),
            },
        },
    });
    let good = Value::from_iter([(id.clone(), answer.clone())]);
    check_good(&good, NOW, "answer of a log by the Rekor v1 API", ALL);
    let trust = log.key.verifying_key().to_pem();
    let verified = explain_with(good.to_string().as_bytes(), NOW, &[trust]).unwrap();
    assert!(!verified.has_errors(), "{verified:#?}");
    let with = |change: fn(&mut Value)| {
        let mut changed = answer.clone();
        change(&mut changed);
        explain(
            Value::from_iter([(id.clone(), changed)])
                .to_string()
                .as_bytes(),
            NOW,
        )
    };
    check_fault(
        &with(|a| remove(a, "/verification")),
        "v1-verification-missing",
        Some(SigstoreGo),
    );
    check_fault(
        &with(|a| set(a, "/body", base64("{}"))),
        "v1-uuid-mismatch",
        Some(SigstoreGo),
    );
    check_fault(
        &with(|a| remove(a, "/verification/signedEntryTimestamp")),
        "v1-without-promise",
        None,
    );
    check_fault(
        &with(|a| remove(a, "/verification/inclusionProof")),
        "v1-without-proof",
        Some(SigstorePython),
    );
    let two: BTreeMap<String, &Value> =
        BTreeMap::from([(id.clone(), &answer), ("0".repeat(64), &answer)]);
    let report = explain(serde_json::to_string(&two).unwrap().as_bytes(), NOW);
    check_fault(&report, "v1-several-entries", Some(SigstoreJs));
}
