//! Faults of trusted roots, signing configurations and client trust configurations.

use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};
use tlog::sha256;

use super::fixtures::{
    Log, NOW, Profile, Signer, base64, chain, stamper_chain, v1_bundle, v2_bundle,
};
use super::signing::config;
use super::{check_fault, check_faults, check_good, remove, set};
use crate::explain::Client::{Cosign, RekorMonitor, SigstoreGo, SigstoreJs, SigstorePython};
use crate::explain::explain_with;

const START: &str = "2026-01-01T00:00:00Z";

fn certificates(chain: Vec<String>) -> Value {
    let certificates = chain.into_iter().map(|der| json!({"rawBytes": der}));
    json!({"certificates": certificates.collect::<Vec<_>>()})
}

fn log(log: &Log, url: &str, details: &str) -> Value {
    json!({
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {"rawBytes": log.spki(), "keyDetails": details, "validFor": {"start": START}},
        "logId": {"keyId": base64(log.id())},
    })
}

/// A trusted root: a v1 log, a v2 log, and everything that keyless signatures need.
fn root(v1: &Log, v2: &Log) -> Value {
    json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [log(v1, "https://log.example", "PKIX_ECDSA_P256_SHA_256"), log(v2, "https://v2.example", "PKIX_ED25519")],
        "ctlogs": [log(&Log::v1(), "https://ct.example", "PKIX_ECDSA_P256_SHA_256")],
        "certificateAuthorities": [{"uri": "https://ca.example", "certChain": certificates(chain()), "validFor": {"start": START}}],
        "timestampAuthorities": [{"uri": "https://tsa.example", "certChain": certificates(stamper_chain()), "validFor": {"start": START}}],
    })
}

#[test]
fn good_documents_have_no_findings() {
    let root = root(&Log::v1(), &Log::v2());
    check_good(
        &root,
        NOW,
        "Sigstore trusted root",
        &[Cosign, SigstoreGo, SigstoreJs, SigstorePython, RekorMonitor],
    );
    check_good(
        &config(),
        NOW,
        "Sigstore signing configuration",
        &[Cosign, SigstoreGo, SigstoreJs, SigstorePython],
    );
    let both = json!({
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": root,
        "signingConfig": config(),
    });
    check_good(
        &both,
        NOW,
        "Sigstore client trust configuration",
        &[SigstorePython],
    );
    check_faults(
        &both,
        NOW,
        &[
            (
                "client-trust-config-media-type",
                Some(SigstorePython),
                |c| remove(c, "/mediaType"),
            ),
            ("client-trust-config-part", Some(SigstorePython), |c| {
                set(c, "/signingConfig", Value::Null)
            }),
            ("signing-log-not-trusted", None, |c| {
                set(
                    c,
                    "/signingConfig/rekorTlogUrls/0/url",
                    "https://v3.example",
                )
            }),
            ("selector-missing", Some(SigstoreGo), |c| {
                remove(c, "/signingConfig/rekorTlogConfig")
            }),
        ],
    );
}

#[test]
fn faults_of_logs_are_named() {
    check_faults(
        &root(&Log::v1(), &Log::v2()),
        NOW,
        &[
            ("trusted-root-media-type", Some(SigstoreGo), |r| {
                set(
                    r,
                    "/mediaType",
                    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
                )
            }),
            ("no-log", Some(SigstorePython), |r| {
                set(r, "/tlogs", json!([]))
            }),
            ("log-without-start", Some(SigstoreGo), |r| {
                set(r, "/tlogs/0/publicKey/validFor", json!({"end": START}))
            }),
            ("log-window-in-future", None, |r| {
                set(
                    r,
                    "/tlogs/0/publicKey/validFor/start",
                    "2040-01-01T00:00:00Z",
                )
            }),
            ("log-window-reversed", Some(SigstoreJs), |r| {
                set(r, "/tlogs/0/publicKey/validFor/end", "2025-01-01T00:00:00Z")
            }),
            ("log-window-ended", None, |r| {
                set(r, "/tlogs/0/publicKey/validFor/end", "2026-02-01T00:00:00Z")
            }),
            ("time-format", Some(SigstoreGo), |r| {
                set(r, "/tlogs/0/publicKey/validFor/start", "yesterday")
            }),
            ("hash-algorithm", Some(SigstoreGo), |r| {
                set(r, "/tlogs/0/hashAlgorithm", "SHA2_512")
            }),
            ("tlog-id-missing", Some(SigstoreGo), |r| {
                remove(r, "/tlogs/0/logId")
            }),
            ("log-id-mismatch", Some(SigstoreGo), |r| {
                set(r, "/tlogs/0/logId/keyId", base64([1; 32]))
            }),
            ("log-id-mismatch", Some(SigstoreJs), |r| {
                set(r, "/tlogs/1/baseUrl", "https://other.example")
            }),
            ("log-key-missing", Some(SigstorePython), |r| {
                remove(r, "/tlogs/0/publicKey/rawBytes")
            }),
            ("log-key-unreadable", Some(SigstorePython), |r| {
                set(r, "/tlogs/0/publicKey/rawBytes", "AAAA")
            }),
            ("key-details-unknown", Some(SigstoreGo), |r| {
                set(r, "/tlogs/0/publicKey/keyDetails", "PKIX_ED25519_PH")
            }),
            ("key-details-mismatch", Some(SigstorePython), |r| {
                set(r, "/tlogs/0/publicKey/keyDetails", "PKIX_ED25519")
            }),
            ("checkpoint-key-id-short", Some(SigstoreJs), |r| {
                set(r, "/tlogs/0/checkpointKeyId", json!({"keyId": "AAAAAA=="}))
            }),
            ("checkpoint-key-id-differs", Some(SigstoreJs), |r| {
                set(
                    r,
                    "/tlogs/0/checkpointKeyId",
                    json!({"keyId": base64([1; 32])}),
                )
            }),
            ("new-members", None, |r| {
                set(r, "/tlogs/0/operator", "example.org")
            }),
            ("log-id-twice", None, |r| {
                let log = r["tlogs"][0].clone();
                set(r, "/tlogs", json!([log, log]));
            }),
            ("base-url-missing", Some(SigstoreGo), |r| {
                remove(r, "/tlogs/1/baseUrl")
            }),
            ("base-url-scheme", Some(SigstoreGo), |r| {
                set(r, "/tlogs/1/baseUrl", "v2.example")
            }),
            ("base-url-port", None, |r| {
                set(r, "/tlogs/1/baseUrl", "https://v2.example:3000")
            }),
            ("base-url-path", None, |r| {
                set(r, "/tlogs/1/baseUrl", "https://v2.example/rekor")
            }),
            ("base-url-trailing-slash", Some(RekorMonitor), |r| {
                set(r, "/tlogs/1/baseUrl", "https://v2.example/")
            }),
            ("unknown-member", Some(SigstoreGo), |r| {
                set(r, "/tlogs/1/comment", "ours")
            }),
        ],
    );
}

#[test]
fn keys_and_origins_that_some_clients_refuse_are_named() {
    let good = root(&Log::v1(), &Log::v2());
    let report = |log: Value| {
        let mut root = good.clone();
        set(&mut root, "/tlogs", json!([log]));
        crate::explain::explain(root.to_string().as_bytes(), NOW)
    };
    // A v1 log with an Ed25519 key.
    let v2 = Log::v2();
    let mut ed25519 = log(&v2, "https://log.example", "PKIX_ED25519");
    set(
        &mut ed25519,
        "/logId/keyId",
        base64(sha256(v2.key.verifying_key().spki())),
    );
    check_fault(&report(ed25519), "v1-log-key-ed25519", Some(SigstoreGo));
    // A key on a larger curve.
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384)
        .unwrap()
        .subject_public_key_info();
    let mut large = log(&Log::v1(), "https://log.example", "PKIX_ECDSA_P384_SHA_384");
    set(&mut large, "/publicKey/rawBytes", base64(&p384));
    set(&mut large, "/logId/keyId", base64(sha256(&p384)));
    check_fault(&report(large), "log-key-curve", Some(SigstoreJs));
    // An origin with a port, under which rekor-monitor alone would find the log.
    let with_port = Log {
        origin: "v2.example:3000",
        name: "v2.example:3000",
        ..Log::v2()
    };
    let with_port = log(&with_port, "https://v2.example:3000", "PKIX_ED25519");
    check_fault(&report(with_port), "origin-not-host", Some(Cosign));
}

#[test]
fn faults_of_authorities_are_named() {
    check_faults(
        &root(&Log::v1(), &Log::v2()),
        NOW,
        &[
            ("no-ct-log", None, |r| set(r, "/ctlogs", json!([]))),
            ("no-time-stamp-authority", None, |r| {
                set(r, "/timestampAuthorities", json!([]))
            }),
            ("no-certificate-authority", None, |r| {
                set(r, "/certificateAuthorities", json!([]))
            }),
            ("authority-without-chain", Some(SigstoreGo), |r| {
                remove(r, "/certificateAuthorities/0/certChain")
            }),
            ("certificate-unreadable", Some(SigstoreGo), |r| {
                set(
                    r,
                    "/certificateAuthorities/0/certChain/certificates/0/rawBytes",
                    base64("-----BEGIN CERTIFICATE-----"),
                );
            }),
            ("chain-order", Some(SigstoreJs), |r| {
                let list = r
                    .pointer_mut("/certificateAuthorities/0/certChain/certificates")
                    .unwrap();
                list.as_array_mut().unwrap().reverse();
            }),
            ("chain-without-root", Some(SigstoreJs), |r| {
                let list = r
                    .pointer_mut("/certificateAuthorities/0/certChain/certificates")
                    .unwrap();
                list.as_array_mut().unwrap().pop();
            }),
            ("authority-not-ca", Some(SigstoreGo), |r| {
                let stamper = r["timestampAuthorities"][0]["certChain"].clone();
                set(r, "/certificateAuthorities/0/certChain", stamper);
            }),
            ("stamper-chain-short", Some(SigstorePython), |r| {
                let list = r
                    .pointer_mut("/timestampAuthorities/0/certChain/certificates")
                    .unwrap();
                list.as_array_mut().unwrap().pop();
            }),
            ("stamper-usage", Some(SigstorePython), |r| {
                let leaf = Signer::new(Profile::default());
                set(
                    r,
                    "/timestampAuthorities/0/certChain/certificates/0/rawBytes",
                    base64(&leaf.der),
                );
            }),
            ("authority-window-reversed", Some(SigstoreGo), |r| {
                set(
                    r,
                    "/certificateAuthorities/0/validFor/end",
                    "2020-01-01T00:00:00Z",
                )
            }),
        ],
    );
    let good = root(&Log::v1(), &Log::v2());
    let later = crate::explain::explain(good.to_string().as_bytes(), NOW + 400_000_000);
    check_fault(&later, "authority-expired", None);
    // 20 days before 2036-01-01.
    let soon = crate::explain::explain(good.to_string().as_bytes(), 2_082_758_400 - 20 * 86_400);
    check_fault(&soon, "authority-expires", None);
    let earlier = crate::explain::explain(good.to_string().as_bytes(), NOW - 100_000_000);
    check_fault(&earlier, "authority-not-yet-valid", None);
}

#[test]
fn entries_are_compared_with_what_is_trusted() {
    let (v1, v2, signer) = (Log::v1(), Log::v2(), Signer::new(Profile::default()));
    let root = root(&v1, &v2);
    let with = |bundle: &Value, root: &Value| {
        explain_with(bundle.to_string().as_bytes(), NOW, &[root.to_string()]).unwrap()
    };
    for bundle in [v1_bundle(&v1, &signer), v2_bundle(&v2, &signer)] {
        let report = with(&bundle, &root);
        assert!(!report.has_errors(), "{report:#?}");
        assert!(
            report.facts.iter().any(|fact| fact.label == "verified"),
            "{report:#?}"
        );
    }
    let stranger = v1_bundle(&Log::v1(), &signer);
    check_fault(&with(&stranger, &root), "log-not-trusted", Some(SigstoreGo));
    check_fault(
        &with(&stranger, &root),
        "not-verified",
        Some(SigstorePython),
    );
    let changed = |pointer: &str, value: &str| {
        let mut changed = root.clone();
        set(&mut changed, pointer, value);
        changed
    };
    let ended = changed("/tlogs/0/publicKey/validFor/end", "2026-06-01T00:00:00Z");
    check_fault(
        &with(&v1_bundle(&v1, &signer), &ended),
        "integrated-time-outside-key-window",
        Some(SigstoreGo),
    );
    let moved = changed("/tlogs/1/baseUrl", "https://rekor.example");
    check_fault(
        &with(&v2_bundle(&v2, &signer), &moved),
        "origin-other-host",
        Some(SigstoreGo),
    );
    check_fault(
        &with(&v2_bundle(&v2, &signer), &moved),
        "signer-not-in-url",
        Some(SigstoreJs),
    );
}
