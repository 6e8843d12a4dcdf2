//! Bundles and trust roots that are damaged or odd.

use pki::digest::{Digest, HashAlgorithm};
use rcgen::{KeyPair, PublicKeyData, SigningKey};
use serde_json::{Value, json};

use super::make::{Signed, by_key, hashedrekord, message};
use super::world::{ARTIFACT, NOW, SIGNED, World, base64, pem};
use super::{Artifact, Bundle, BundleError, Case, Expected, TrustRoot};

#[test]
fn damaged_files_are_named() {
    let world = World::new();
    let good = world.blob().to_string();
    let mut case = Case::new(&world, &json!({}));
    for (name, text, says) in [
        ("truncated", good[..good.len() / 2].to_owned(), "truncated"),
        ("empty", String::new(), "truncated"),
        ("more behind it", format!("{good}{good}"), "trailing"),
        ("no bundle", "{}".to_owned(), "mediaType is missing"),
        (
            "another version",
            good.replace("v0.3+json", "v9.9+json"),
            "v9.9",
        ),
        (
            "a negative index",
            good.replace(r#""1000001""#, r#""-1""#),
            "",
        ),
        (
            "no base64",
            good.replace(r#""signature":""#, r#""signature":"!"#),
            "",
        ),
        (
            "a member twice",
            good.replacen(r#""mediaType""#, r#""mediaType":"x","mediaType""#, 1),
            "duplicate",
        ),
    ] {
        case.bundle = text;
        case.refused(name, "Form", says);
    }
    let error = Bundle::read(b"\xff{}").unwrap_err();
    assert!(matches!(error, BundleError::Form(_)), "{error}");
}

#[test]
fn entries_are_counted() {
    let world = World::new();
    let good = world.blob();
    let entries = |entries: Vec<Value>| {
        let mut bundle = good.clone();
        bundle["verificationMaterial"]["tlogEntries"] = json!(entries);
        bundle
    };
    let entry = good["verificationMaterial"]["tlogEntries"][0].clone();
    for (name, bundle, says) in [
        ("none", entries(vec![]), "no log entry"),
        (
            "twice",
            entries(vec![entry.clone(), entry.clone()]),
            "twice",
        ),
        ("too many", entries(vec![entry; 33]), "more than 32"),
    ] {
        Case::new(&world, &bundle).refused(name, "Form", says);
    }
    let mut bundle = good.clone();
    let material = bundle["verificationMaterial"].as_object_mut().unwrap();
    material.remove("certificate");
    material.insert(
        "x509CertificateChain".to_owned(),
        json!({"certificates": []}),
    );
    Case::new(&world, &bundle).refused("no certificate", "Form", "chain is empty");
}

/// In Rekor v2 the name of the log is in its ID, and an entry has one index.
#[test]
fn a_v2_entry_is_of_its_log_and_index() {
    let world = World::new();
    let good = world.blob_v2();
    let entry = "/verificationMaterial/tlogEntries/0";
    let root = good
        .pointer(&format!("{entry}/inclusionProof/rootHash"))
        .unwrap();
    let root = pki::base64::decode_standard_base64(root.as_str().unwrap()).unwrap();
    let renamed = world.v2.head(
        "other.example",
        2,
        tlog::Hash::try_from(root.as_slice()).unwrap(),
    );
    for (name, path, value, says) in [
        (
            "another name",
            "/inclusionProof/checkpoint/envelope",
            json!(renamed),
            "no trusted key",
        ),
        (
            "another index",
            "/logIndex",
            json!("0"),
            "its proof is of entry 1",
        ),
        (
            "another index of the proof",
            "/inclusionProof/logIndex",
            json!("0"),
            "",
        ),
    ] {
        let mut bundle = good.clone();
        *bundle.pointer_mut(&format!("{entry}{path}")).unwrap() = value;
        Case::new(&world, &bundle).refused(name, "Log", says);
    }
    let mut bundle = good;
    let entry = bundle.pointer_mut(entry).unwrap().as_object_mut().unwrap();
    entry.remove("inclusionProof");
    Case::new(&world, &bundle).refused("no proof", "Log", "neither");
}

#[test]
fn trust_roots_with_faults_are_refused() {
    let world = World::new();
    let good = world.trusted_root();
    let config = json!({"trustedRoot": good, "signingConfig": {}}).to_string();
    let text = good.to_string();
    // Two files count together, and one twice is no fault.
    let trust = TrustRoot::read([text.as_str(), config.as_str()]).unwrap();
    assert_eq!(trust.keys().len(), 3);
    for (name, pointer, value) in [
        ("no log", "/tlogs", json!([])),
        (
            "a window without a start",
            "/tlogs/0/publicKey/validFor",
            json!({}),
        ),
        (
            "a key that is none",
            "/tlogs/0/publicKey/rawBytes",
            json!("!"),
        ),
        ("an ID that is none", "/tlogs/0/logId/keyId", json!("AAAA")),
        (
            "a certificate that is none",
            "/certificateAuthorities/0/certChain/certificates/0/rawBytes",
            json!(base64("x")),
        ),
        (
            "an empty chain",
            "/timestampAuthorities/0/certChain/certificates",
            json!([]),
        ),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        let Err(error) = TrustRoot::read([bad.to_string().as_str()]) else {
            panic!("{name} is accepted")
        };
        assert!(matches!(error, BundleError::Trust(_)), "{name}: {error}");
    }
    assert!(TrustRoot::read([]).is_err());
    assert!(TrustRoot::read([world.signer.pem().as_str()]).is_err());
}

/// A hashedrekord of a P-384 key over SHA-384, which `sigstore-verify` does not compare.
#[test]
fn a_key_may_sign_another_digest() {
    let world = World::new();
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let verifier_pem = pem("PUBLIC KEY", &key.subject_public_key_info());
    let sign = |bytes: &[u8]| Signed {
        signature: key.sign(bytes).unwrap(),
        verifier_pem: verifier_pem.clone(),
    };
    let leaf = |artifact: &[u8], signed: &Signed| {
        let mut leaf = hashedrekord(artifact, signed);
        let digest = hex::encode(Digest::of(HashAlgorithm::Sha384, artifact).bytes());
        leaf["spec"]["data"]["hash"] = json!({"algorithm": "sha384", "value": digest});
        leaf
    };
    let case = |bundle: &Value| {
        let mut case = Case::new(&world, bundle);
        case.policy.signer = Expected::key(&verifier_pem).unwrap();
        case
    };
    let signed = sign(ARTIFACT);
    let good = message(
        by_key(world.v1.take(&leaf(ARTIFACT, &signed))),
        &signed.signature,
    );
    assert!(case(&good).verify().unwrap().stamped.is_empty());
    let mut stamped = good.clone();
    let material = stamped["verificationMaterial"].take();
    stamped["verificationMaterial"] = world.stamped(material.clone(), &signed.signature, SIGNED);
    assert_eq!(case(&stamped).verify().unwrap().stamped, [SIGNED]);
    stamped["verificationMaterial"] = world.stamped(material, b"other", SIGNED);
    case(&stamped).refused("stamp of another signature", "Time", "");

    let mut other = case(&good);
    other.artifact = b"other".to_vec();
    other.refused("another artifact", "Artifact", "digest");
    let another = sign(ARTIFACT);
    let bundle = message(
        by_key(world.v1.take(&leaf(ARTIFACT, &another))),
        &signed.signature,
    );
    case(&bundle).refused("entry of another signature", "Entry", "signature");
    let bundle = message(
        by_key(world.v1.take(&leaf(b"other", &signed))),
        &signed.signature,
    );
    case(&bundle).refused("entry of another artifact", "Artifact", "hashedrekord");
    let forged = sign(b"other");
    let bundle = message(
        by_key(world.v1.take(&leaf(ARTIFACT, &forged))),
        &forged.signature,
    );
    case(&bundle).refused("signature over another artifact", "Signature", "");
    Case::by_key(&world, &good).refused("another key", "Entry", "expected key");

    let trust = TrustRoot::read([world.trusted_root().to_string().as_str()]).unwrap();
    let bundle = Bundle::read(good.to_string().as_bytes()).unwrap();
    let (mut file, policy) = (ARTIFACT, case(&good).policy);
    bundle
        .verify(Artifact::Reader(&mut file), &trust, &policy, NOW)
        .unwrap();
    let digest = Artifact::Sha256(tlog::sha256(ARTIFACT));
    let error = bundle.verify(digest, &trust, &policy, NOW).unwrap_err();
    assert!(matches!(error, BundleError::Unsupported(_)), "{error}");
}
