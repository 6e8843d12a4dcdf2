//! Faults of bundles.

use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa};
use serde_json::json;

use super::fixtures::{Log, NOW, Profile, Signer, base64, timestamp, v1_bundle, v2_bundle};
use super::{check_fault, check_faults, check_good, remove, set};
use crate::explain::Client::{Cosign, SigstoreGo, SigstoreJs, SigstorePython};
use crate::explain::explain;
use crate::explain::report::ALL;

const ENTRY: &str = "/verificationMaterial/tlogEntries/0";

fn at(member: &str) -> String {
    format!("{ENTRY}/{member}")
}

#[test]
fn good_bundles_have_no_findings() {
    let signer = Signer::new(Profile::default());
    let what = "Sigstore bundle v0.3, signed with a certificate";
    check_good(&v1_bundle(&Log::v1(), &signer), NOW, what, ALL);
    check_good(&v2_bundle(&Log::v2(), &signer), NOW, what, ALL);
}

#[test]
fn faults_of_the_form_are_named() {
    let good = v1_bundle(&Log::v1(), &Signer::new(Profile::default()));
    check_faults(
        &good,
        NOW,
        &[
            ("bundle-media-type", Some(SigstoreJs), |b| {
                set(
                    b,
                    "/mediaType",
                    "application/vnd.dev.sigstore.bundle.v0.9+json",
                )
            }),
            ("verification-material-missing", Some(Cosign), |b| {
                remove(b, "/verificationMaterial")
            }),
            ("content-missing", Some(SigstorePython), |b| {
                remove(b, "/messageSignature")
            }),
            ("content-twice", Some(SigstoreGo), |b| {
                set(
                    b,
                    "/dsseEnvelope",
                    json!({"payload": "AA==", "payloadType": "x", "signatures": []}),
                )
            }),
            ("message-digest-missing", Some(SigstoreJs), |b| {
                remove(b, "/messageSignature/messageDigest")
            }),
            ("message-digest-length", Some(SigstoreJs), |b| {
                set(b, "/messageSignature/messageDigest/digest", "AAAA")
            }),
            ("message-digest-algorithm", Some(SigstoreGo), |b| {
                set(b, "/messageSignature/messageDigest/algorithm", "MD5")
            }),
            ("signature-missing", Some(SigstoreGo), |b| {
                set(b, "/messageSignature/signature", "")
            }),
            ("signature-invalid", Some(SigstoreGo), |b| {
                set(b, "/messageSignature/signature", base64("another"))
            }),
            ("signer-missing", Some(SigstoreJs), |b| {
                remove(b, "/verificationMaterial/certificate")
            }),
            ("certificate-unreadable", Some(Cosign), |b| {
                set(
                    b,
                    "/verificationMaterial/certificate/rawBytes",
                    base64("-----BEGIN"),
                )
            }),
            ("bundle-by-key", Some(SigstorePython), |b| {
                set(b, "/verificationMaterial/publicKey", json!({"hint": "k"}))
            }),
            ("chain-in-bundle", Some(SigstoreGo), |b| {
                let certificate = b["verificationMaterial"]["certificate"].take();
                set(
                    b,
                    "/verificationMaterial/x509CertificateChain",
                    json!({"certificates": [certificate]}),
                );
            }),
            ("chain-empty", Some(SigstoreJs), |b| {
                set(
                    b,
                    "/verificationMaterial/x509CertificateChain",
                    json!({"certificates": []}),
                )
            }),
            ("certificate-in-old-bundle", Some(SigstorePython), |b| {
                set(
                    b,
                    "/mediaType",
                    "application/vnd.dev.sigstore.bundle+json;version=0.2",
                )
            }),
            ("bundle-old-version", None, |b| {
                set(
                    b,
                    "/mediaType",
                    "application/vnd.dev.sigstore.bundle+json;version=0.1",
                )
            }),
            ("unknown-member", Some(SigstoreGo), |b| {
                set(b, "/verificationMaterial/comment", "hello")
            }),
            ("snake-case-member", Some(SigstoreJs), |b| {
                set(b, "/media_type", "x")
            }),
            ("wrong-type", Some(SigstoreGo), |b| {
                set(b, "/verificationMaterial/tlogEntries", json!({}))
            }),
            ("base64-url-alphabet", Some(SigstorePython), |b| {
                set(b, "/messageSignature/signature", "-_--")
            }),
            ("base64-no-padding", Some(SigstorePython), |b| {
                set(b, "/messageSignature/signature", "AA")
            }),
            ("base64-invalid", Some(SigstoreJs), |b| {
                set(b, "/messageSignature/signature", "?")
            }),
            ("base64-white-space", Some(SigstorePython), |b| {
                set(b, "/messageSignature/signature", "AA\nAA")
            }),
            ("number-format", Some(SigstoreGo), |b| {
                set(b, &at("logIndex"), "one")
            }),
        ],
    );
}

#[test]
fn faults_of_a_v2_bundle_are_named() {
    let good = v2_bundle(&Log::v2(), &Signer::new(Profile::default()));
    check_faults(
        &good,
        NOW,
        &[
            ("v2-without-timestamp", Some(Cosign), |b| {
                remove(b, "/verificationMaterial/timestampVerificationData")
            }),
            ("v2-without-proof", Some(SigstoreGo), |b| {
                remove(b, &at("inclusionProof"))
            }),
            ("v2-promise", Some(SigstoreGo), |b| {
                set(
                    b,
                    &at("inclusionPromise"),
                    json!({"signedEntryTimestamp": "AAAA"}),
                )
            }),
            ("v2-dsse-entry", Some(SigstoreGo), |b| {
                let leaf = json!({"apiVersion": "0.0.2", "kind": "dsse", "spec": {"dsseV002": {}}});
                set(b, &at("canonicalizedBody"), base64(leaf.to_string()));
            }),
            ("payload-type", None, |b| {
                set(b, "/dsseEnvelope/payloadType", "text/plain")
            }),
            ("payload-missing", Some(SigstoreJs), |b| {
                set(b, "/dsseEnvelope/payload", "")
            }),
            ("statement-unreadable", Some(SigstoreJs), |b| {
                set(b, "/dsseEnvelope/payload", base64("{"))
            }),
            ("statement-without-subject", Some(SigstoreJs), |b| {
                set(b, "/dsseEnvelope/payload", base64("{}"))
            }),
            ("body-other-content", Some(SigstoreGo), |b| {
                set(b, "/dsseEnvelope/payload", base64("{}"))
            }),
            ("signature-invalid", Some(SigstoreGo), |b| {
                set(b, "/dsseEnvelope/payload", base64("{}"))
            }),
            ("envelope-signatures", Some(SigstoreGo), |b| {
                set(
                    b,
                    "/dsseEnvelope/signatures",
                    json!([{"sig": "AAAA"}, {"sig": "AAAA"}]),
                )
            }),
            ("timestamp-unreadable", Some(SigstoreGo), |b| {
                set(
                    b,
                    "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp",
                    "AAAA",
                );
            }),
            ("timestamp-of-something-else", Some(SigstoreGo), |b| {
                let stamp = base64(timestamp(b"the artifact", "20270101000000Z"));
                set(
                    b,
                    "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp",
                    stamp,
                );
            }),
            ("timestamp-outside-certificate", Some(SigstoreJs), |b| {
                let stamp = base64(timestamp(b"the artifact", "20200101000000Z"));
                set(
                    b,
                    "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp",
                    stamp,
                );
            }),
        ],
    );
}

#[test]
fn faults_of_the_certificate_are_named() {
    let log = Log::v1();
    let report = |profile| {
        let bundle = v1_bundle(&log, &Signer::new(profile));
        explain(bundle.to_string().as_bytes(), NOW)
    };
    let profile = Profile::default;
    let without_name = Profile {
        names: vec![],
        ..profile()
    };
    check_fault(&report(without_name), "leaf-without-name", Some(SigstoreGo));
    let without_issuer = Profile {
        issuer: false,
        ..profile()
    };
    check_fault(&report(without_issuer), "leaf-without-issuer", Some(Cosign));
    let without_sct = Profile {
        timestamps: false,
        ..profile()
    };
    check_fault(&report(without_sct), "leaf-without-sct", Some(SigstoreJs));
    let usage = ExtendedKeyUsagePurpose::ServerAuth;
    check_fault(
        &report(Profile { usage, ..profile() }),
        "leaf-not-for-code-signing",
        Some(SigstorePython),
    );
    let is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    check_fault(
        &report(Profile { is_ca, ..profile() }),
        "leaf-is-authority",
        Some(SigstorePython),
    );
    check_fault(
        &report(Profile {
            year: 2028,
            ..profile()
        }),
        "certificate-not-yet-valid",
        None,
    );
}
