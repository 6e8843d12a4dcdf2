//! Faults of texts: checkpoints, PEM files, vkeys, and documents that are cut off.

use rcgen::KeyPair;
use serde_json::json;
use tlog::NoteKey;

use super::check_fault;
use super::fixtures::{Log, NOW, Profile, Signer, v1_bundle};
use crate::explain::Client::{Cosign, SigstoreGo, SigstoreJs};
use crate::explain::{Report, explain};

fn report(text: &str) -> Report {
    explain(text.as_bytes(), NOW)
}

#[test]
fn checkpoints_are_explained() {
    let (v1, v2) = (Log::v1().checkpoint(b"leaf"), Log::v2().checkpoint(b"leaf"));
    assert_eq!(report(&v1).what, "checkpoint in the form of Rekor v1");
    assert_eq!(report(&v2).what, "C2SP checkpoint, as Rekor v2 has them");
    for good in [&v1, &v2] {
        assert_eq!(report(good).findings, []);
    }
    check_fault(
        &report(&v2.replace('\n', "\r\n")),
        "note-crlf",
        Some(SigstoreGo),
    );
    check_fault(
        &report(v2.trim_end()),
        "note-without-final-newline",
        Some(SigstoreJs),
    );
    check_fault(
        &report(&v2.replace('—', "-")),
        "note-malformed",
        Some(SigstoreJs),
    );
    let elsewhere = Log {
        origin: "v2.example:3000",
        ..Log::v2()
    };
    check_fault(
        &report(&elsewhere.checkpoint(b"leaf")),
        "origin-not-host",
        Some(Cosign),
    );
    check_fault(
        &report(&elsewhere.checkpoint(b"leaf")),
        "checkpoint-signer-name",
        Some(Cosign),
    );
}

/// A signature by a P-384 key, in the form in which DER has it.
#[test]
fn checkpoint_keys_on_larger_curves_are_named() {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let signature = rcgen::SigningKey::sign(&key, b"any").unwrap();
    let blob = super::fixtures::base64([&[1, 2, 3, 4], &signature[..]].concat());
    let root = super::fixtures::base64([0; 32]);
    let note = format!("v2.example\n1\n{root}\n\n\u{2014} v2.example {blob}\n");
    check_fault(&report(&note), "checkpoint-key-curve", Some(SigstoreJs));
}

#[test]
fn pem_files_are_explained() {
    let signer = Signer::new(Profile::default());
    let pem = signer.pem();
    let key = Log::v1().key.verifying_key().to_pem();
    assert_eq!(report(&pem).what, "certificate (PEM)");
    assert_eq!(report(&pem).findings, []);
    assert_eq!(report(&key).what, "public key (PEM)");
    assert_eq!(report(&key).findings, []);
    check_fault(&report(&pem.replace('\n', "\r\n")), "pem-crlf", None);
    check_fault(
        &report(&format!("Bag Attributes\n    localKeyID: 01\n{pem}")),
        "pem-text-outside",
        Some(SigstoreJs),
    );
    check_fault(
        &report(&pem.replace("-----END CERTIFICATE-----", "")),
        "pem-broken",
        Some(SigstoreGo),
    );
    check_fault(
        &report(&signer.key.serialize_pem()),
        "private-key",
        Some(Cosign),
    );
    check_fault(
        &report(&key.replace("PUBLIC KEY", "RSA PUBLIC KEY")),
        "pem-label",
        Some(Cosign),
    );
    check_fault(
        &report(&key.replace("\nM", "\nN")),
        "key-unreadable",
        Some(Cosign),
    );
    check_fault(
        &report(&Log::v2().key.verifying_key().to_pem()),
        "key-ed25519",
        None,
    );
    check_fault(&explain(&signer.der, NOW), "der-file", None);
    let other = Signer::new(Profile::default());
    check_fault(&report(&(pem + &other.pem())), "chain-order", Some(Cosign));
    let without_issuer = Profile {
        issuer: false,
        ..Profile::default()
    };
    check_fault(
        &report(&Signer::new(without_issuer).pem()),
        "leaf-without-issuer",
        Some(Cosign),
    );
}

#[test]
fn a_chain_without_its_root_is_named() {
    let chain = super::fixtures::chain();
    let pem = |der: &str| {
        let mut pem = Vec::new();
        let der = crate::explain::node::base64(der).unwrap();
        pki::pem::encode("CERTIFICATE", &der, &mut pem);
        String::from_utf8(pem).unwrap()
    };
    let leaf = Signer::new(Profile::default()).pem();
    check_fault(
        &report(&(leaf + &pem(&chain[0]))),
        "root-missing",
        Some(Cosign),
    );
    let whole = report(&(pem(&chain[0]) + &pem(&chain[1])));
    assert_eq!(whole.findings, []);
    assert_eq!(whole.what, "chain of 2 certificates (PEM)");
}

#[test]
fn vkeys_and_proofs_are_explained() {
    let key = NoteKey::new("v2.example", Log::v2().key.verifying_key().clone()).unwrap();
    let vkeys = format!("# ours\n{key}\n");
    assert_eq!(report(&vkeys).what, "C2SP verifier keys (vkeys)");
    assert_eq!(report(&vkeys).findings, []);
    check_fault(
        &report(&vkeys.replace("v2.example", "v3.example")),
        "vkey-invalid",
        None,
    );
    let proof = format!(
        "c2sp.org/tlog-proof@v1\nindex 0\n\n{}",
        Log::v2().checkpoint(b"leaf")
    );
    assert_eq!(
        report(&proof).what,
        "C2SP tlog-proof over a C2SP checkpoint, as Rekor v2 has them"
    );
    check_fault(
        &report(&proof.replace("index 0\n", "")),
        "tlog-proof-malformed",
        None,
    );
}

#[test]
fn documents_that_are_cut_off_or_strange_are_named() {
    let bundle = v1_bundle(&Log::v1(), &Signer::new(Profile::default())).to_string();
    for length in [1, 100, bundle.len() - 1] {
        check_fault(&report(&bundle[..length]), "truncated", Some(SigstoreGo));
    }
    check_fault(
        &report(&bundle.replacen(':', ";", 1)),
        "json-syntax",
        Some(SigstoreGo),
    );
    check_fault(
        &report(&format!("{bundle}\n{bundle}\n")),
        "several-documents",
        Some(SigstoreGo),
    );
    check_fault(
        &report(&format!("{bundle} and more")),
        "trailing-text",
        Some(SigstoreGo),
    );
    check_fault(
        &report(&format!("\u{feff}{bundle}")),
        "byte-order-mark",
        Some(SigstoreJs),
    );
    check_fault(&report(" \n"), "empty", Some(SigstoreGo));
    check_fault(&report("hello"), "unknown-document", None);
    check_fault(&report("[1]"), "unknown-document", None);
    // The page that Rekor v1 has at its URL.
    let page = "<!DOCTYPE html>\n<html>\n\n<body>\n\u{2014} Rekor</body></html>\n";
    check_fault(&report(page), "unknown-document", None);
    check_fault(&explain(&[0xff, 0xfe], NOW), "unknown-document", None);
    let old = json!({"base64Signature": "AAAA", "cert": "…", "rekorBundle": {"Payload": {"logIndex": 1, "integratedTime": 2}}});
    check_fault(
        &report(&old.to_string()),
        "old-cosign-bundle",
        Some(SigstoreGo),
    );
}

#[test]
fn evidence_is_known() {
    let evidence = json!({
        "format": "treehead-evidence/1", "log": "https://log.example", "time": NOW, "claim": "fork",
    });
    let report = report(&evidence.to_string());
    assert_eq!(report.what, "evidence against a log");
    check_fault(&report, "evidence-check", None);
    assert!(!report.has_errors(), "{report:#?}");
}

/// Whatever is given, a report comes back: no panic, no control character.
#[test]
fn any_bytes_are_explained() {
    let bundle = v1_bundle(&Log::v1(), &Signer::new(Profile::default())).to_string();
    let bytes = bundle.as_bytes();
    for position in (0..bytes.len()).step_by(7) {
        for byte in [0, b'"', b'{', 0x1b, 0xff] {
            let mut changed = bytes.to_vec();
            changed[position] = byte;
            let report = explain(&changed, NOW);
            let texts = report.findings.iter().map(|finding| &finding.what);
            let texts = texts.chain(report.facts.iter().map(|fact| &fact.value));
            assert!(
                texts
                    .into_iter()
                    .all(|text| !text.contains(char::is_control))
            );
        }
    }
}
