//! Requests of Rekor v2 against the recordings, the reader of the generated types, and their own
//! properties.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use entry::{Policy, ProposedEntry, Refusal, UnixSeconds, VerifiedEntry, index_keys_of_leaf};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::EncodePublicKey;
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};
use sigstore_protobuf_specs::dev::sigstore::rekor::v2::CreateEntryRequest;

use crate::golden;

/// No entry of v2 expires.
const NOW: UnixSeconds = UnixSeconds(0);

/// Where this log is stricter: the label is not the key's, something follows the request, or the
/// leaf is too large (which the ledger says).
const STRICTER: [&str; 5] = [
    "mismatch-p256details-rsa2048key",
    "mismatch-pssdetails-pkcs1sig",
    "mismatch-rsa2048details-rsa4096key",
    "neg-trailing-garbage",
    "neg-two-json-values",
];

fn verify(json: &[u8]) -> Result<VerifiedEntry, Refusal> {
    ProposedEntry::from_v2_json(json).and_then(|entry| entry.verify(&Policy::default(), NOW))
}

#[test]
fn recorded_requests() {
    let mut counts = [0; 2];
    for folder in [
        "v2/v2.2.1",
        "v2",
        "v2/ecdsa-signer",
        "newest/v2",
        "newest/new/v2",
    ] {
        let Some(folder) = golden::path(folder) else {
            return;
        };
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let case: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let (name, request) = (case["name"].as_str().unwrap(), &case["request"]);
            let (Some("POST"), Some(body)) = (request["method"].as_str(), request["body"].as_str())
            else {
                continue;
            };
            let Some(leaf) = case["canonicalized_body"].as_str() else {
                // Refused, whatever the version; but for DSSE after v2.2.1, and what depends on
                // path and state.
                if name.starts_with("neg-") && !name.contains("path") && name != "neg-pushback"
                    || name.contains("key")
                {
                    counts[1] += 1;
                    assert!(verify(body.as_bytes()).is_err(), "{name}");
                }
                continue;
            };
            if STRICTER.contains(&name) {
                assert!(verify(body.as_bytes()).is_err(), "{name}");
                continue;
            }
            counts[0] += 1;
            let entry =
                verify(body.as_bytes()).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
            assert_eq!(String::from_utf8_lossy(entry.leaf_bytes()), leaf, "{name}");
            match index_keys_of_leaf(leaf.as_bytes()).unwrap() {
                Some(keys) => assert_eq!(keys, entry.index_keys(), "{name}"),
                None => assert_eq!(entry.kind(), "dsse:0.0.2"),
            }
        }
    }
    assert!(
        counts[0] >= 60 && counts[1] >= 60,
        "recordings are missing: {counts:?}"
    );
}

struct Signed {
    digest: Vec<u8>,
    signature: Vec<u8>,
    key: Vec<u8>,
}

fn signed(artifact: &[u8]) -> Signed {
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let digest = tlog::sha256(artifact).0.to_vec();
    let signature: Signature = key.sign_prehash(&digest).unwrap();
    let spki = key.verifying_key().to_public_key_der().unwrap();
    Signed {
        digest,
        signature: signature.to_der().as_bytes().to_vec(),
        key: spki.as_bytes().to_vec(),
    }
}

fn request(encode: impl Fn(&[u8]) -> String) -> Value {
    let Signed {
        digest,
        signature,
        key,
    } = signed(b"artifact");
    json!({"hashedRekordRequestV002": {"digest": encode(&digest), "signature": {"content": encode(&signature),
        "verifier": {"publicKey": {"rawBytes": encode(&key)}, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}}}})
}

fn leaf(request: &str) -> Vec<u8> {
    verify(request.as_bytes())
        .unwrap_or_else(|refusal| panic!("{request}: {refusal}"))
        .leaf_bytes()
        .to_vec()
}

#[test]
fn one_request_in_many_spellings_is_one_leaf() {
    let plain = request(|bytes| STANDARD.encode(bytes));
    let expected = leaf(&plain.to_string());
    for engine in [&STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
        assert_eq!(
            leaf(&request(|bytes| engine.encode(bytes)).to_string()),
            expected
        );
    }
    let text = plain.to_string();
    for (from, to) in [
        ("hashedRekordRequestV002", "hashed_rekord_request_v002"),
        ("keyDetails", "key_details"),
        ("publicKey", "public_key"),
        ("rawBytes", "raw_bytes"),
        ("\"PKIX_ECDSA_P256_SHA_256\"", "5"),
        ("{\"hashed", "{\"dsseRequestV002\":null,\"hashed"),
        ("{\"rawBytes", " {\n\"rawBytes"),
    ] {
        assert!(text.contains(from), "{from}");
        assert_eq!(leaf(&text.replace(from, to)), expected, "{to}");
    }
    let binary = serde_json::from_value::<CreateEntryRequest>(plain)
        .unwrap()
        .encode_to_vec();
    let entry = ProposedEntry::from_v2_protobuf(&binary)
        .and_then(|entry| entry.verify(&Policy::default(), NOW))
        .unwrap();
    assert_eq!(
        (entry.leaf_bytes(), entry.kind()),
        (&expected[..], "hashedrekord:0.0.2")
    );
}

#[test]
fn json_that_protojson_refuses_is_refused() {
    let text = request(|bytes| STANDARD.encode(bytes)).to_string();
    for (from, to, reason) in [
        (
            "{\"digest\"",
            "{\"digest\":null,\"digest\"",
            "duplicate field \"digest\"",
        ),
        (
            "\"keyDetails\":",
            "\"key_details\":5,\"keyDetails\":",
            "duplicate field \"keyDetails\"",
        ),
        (
            "\"keyDetails\":",
            "\"x\":1,\"keyDetails\":",
            "unknown field \"x\"",
        ),
        (
            "\"publicKey\":",
            "\"x509Certificate\":{},\"publicKey\":",
            "two members",
        ),
        (
            "\"PKIX_ECDSA_P256_SHA_256\"",
            "\"5\"",
            "invalid value for an enum",
        ),
        (
            "\"PKIX_ECDSA_P256_SHA_256\"",
            "[]",
            "expected the name or number of an enum",
        ),
        ("{\"rawBytes", "[{\"rawBytes", "expected an object"),
        ("\"}}}}}", "\"}}}}} {}", "trailing characters"),
        ("\"}}}}}", "\"}}}}}x", "trailing characters"),
        ("{\"hashed", "[{\"hashed", "expected an object"),
        ("{\"hashed", "\"{\\\"hashed", "expected an object"),
    ] {
        assert!(text.contains(from), "{from}");
        let Err(Refusal::Json(found)) = verify(text.replace(from, to).as_bytes()).map(drop) else {
            panic!("{to}")
        };
        assert!(found.contains(reason), "{to}: {found}");
    }
    for empty in ["", " \n", "{}", "{\"hashedRekordRequestV002\":null}"] {
        let refusal = verify(empty.as_bytes()).map(drop).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "invalid type, must be either hashedrekord or dsse"
        );
    }
    let long = format!("{{\"{}\":1}}", "x".repeat(100_000));
    assert!(
        verify(long.as_bytes())
            .map(drop)
            .unwrap_err()
            .to_string()
            .len()
            < 400,
        "a refusal does not repeat the body"
    );
}

#[test]
fn a_label_must_be_the_keys_and_the_policy_may_admit_more() {
    let Signed {
        digest,
        signature,
        key,
    } = signed(b"artifact");
    let request = |details: &str, signature: &[u8]| {
        json!({"hashedRekordRequestV002": {"digest": STANDARD.encode(&digest), "signature": {
            "content": STANDARD.encode(signature),
            "verifier": {"publicKey": {"rawBytes": STANDARD.encode(&key)}, "keyDetails": details}}}})
        .to_string()
    };
    for (details, reason) in [
        (
            "PKIX_ECDSA_P384_SHA_384",
            "PKIX_ECDSA_P384_SHA_384 is no algorithm for this key",
        ),
        (
            "PKIX_RSA_PKCS1V15_2048_SHA256",
            "is no algorithm for this key",
        ),
        ("PKIX_ED25519", "is no algorithm for this key"),
        (
            "PUBLIC_KEY_DETAILS_UNSPECIFIED",
            "is no algorithm for this key",
        ),
    ] {
        let refusal = verify(request(details, &signature).as_bytes())
            .map(drop)
            .unwrap_err()
            .to_string();
        assert!(
            refusal.starts_with("invalid hashedrekord request: ") && refusal.contains(reason),
            "{refusal}"
        );
    }
    let trailing = [&signature[..], &[0]].concat();
    assert!(verify(request("PKIX_ECDSA_P256_SHA_256", &trailing).as_bytes()).is_err());
    let none = Policy::from_names(["ed25519-ph"]).unwrap();
    let entry =
        ProposedEntry::from_v2_json(request("PKIX_ECDSA_P256_SHA_256", &signature).as_bytes())
            .unwrap();
    assert!(entry.verify(&none, NOW).is_err());
}

#[test]
fn an_envelope_is_found_by_what_its_statement_is_about() {
    let payload = br#"{"subject":[{"name":"pkg:npm/x@1","digest":{"sha512":"AB"}}]}"#;
    let payload_type = "application/vnd.in-toto+json";
    let mut message = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    message.extend_from_slice(payload);
    let Signed { signature, key, .. } = signed(&message);
    let verifier = json!({"publicKey": {"rawBytes": STANDARD.encode(&key)}, "keyDetails": "PKIX_ECDSA_P256_SHA_256"});
    let request = |signatures: usize| {
        json!({"dsseRequestV002": {"verifiers": [verifier], "envelope": {
            "payload": STANDARD.encode(payload), "payloadType": payload_type,
            "signatures": vec![json!({"sig": STANDARD.encode(&signature), "keyid": "x"}); signatures]}}})
    };
    let entry = verify(request(1).to_string().as_bytes()).unwrap();
    let payload_hash = tlog::sha256(payload);
    for key in [
        format!("sha256:{payload_hash}"),
        "sha512:ab".to_owned(),
        "purl=pkg:npm/x@1".to_owned(),
    ] {
        assert!(
            entry.index_keys().contains(&key),
            "{key} is not among {:?}",
            entry.index_keys()
        );
    }
    let hash = STANDARD.encode(payload_hash.0);
    let text = String::from_utf8_lossy(entry.leaf_bytes()).into_owned();
    assert!(
        text.contains(&format!(
            r#""payloadHash":{{"algorithm":"SHA2_256","digest":"{hash}"}}"#
        )),
        "{text}"
    );
    assert!(
        verify(request(2).to_string().as_bytes()).is_err(),
        "a key counts once"
    );
}

#[test]
fn a_key_that_comes_twice_is_logged_as_it_came_first() {
    let message = b"DSSEv1 1 t 2 {}";
    let key = rcgen::KeyPair::generate().unwrap();
    let signature = rcgen::SigningKey::sign(&key, message).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["a.example".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let key = rcgen::PublicKeyData::subject_public_key_info(&key);
    let verifier = |how: &str, bytes: &[u8]| json!({how: {"rawBytes": STANDARD.encode(bytes)}, "keyDetails": "PKIX_ECDSA_P256_SHA_256"});
    let other = verifier("publicKey", &signed(b"").key);
    let (as_key, as_certificate) = (
        verifier("publicKey", &key),
        verifier("x509Certificate", certificate.der()),
    );
    for (verifiers, logged) in [
        (json!([other, as_key, as_certificate]), "publicKey"),
        (json!([other, as_certificate, as_key]), "x509Certificate"),
        (json!([as_key, other, as_certificate]), "publicKey"),
    ] {
        let request = json!({"dsseRequestV002": {"verifiers": verifiers, "envelope": {
            "payload": STANDARD.encode("{}"), "payloadType": "t", "signatures": [{"sig": STANDARD.encode(&signature)}]}}});
        let entry = verify(request.to_string().as_bytes()).unwrap();
        let leaf = String::from_utf8_lossy(entry.leaf_bytes()).into_owned();
        assert!(leaf.contains(&format!("\"{logged}\":")), "{leaf}");
    }
}

#[test]
fn the_v1_api_does_not_know_these_versions() {
    for kind in ["hashedrekord", "dsse"] {
        let entry = json!({"kind": kind, "apiVersion": "0.0.2", "spec": {}}).to_string();
        let refusal = ProposedEntry::from_json(entry.as_bytes())
            .map(drop)
            .unwrap_err();
        let text = format!(
            "{kind} implementation for version '0.0.2' not found: unable to locate entry for version 0.0.2"
        );
        assert_eq!(refusal, Refusal::Invalid(text));
    }
}

#[test]
fn a_message_that_is_hashed_often_is_bounded() {
    let key = ed25519_spki();
    let verifier =
        json!({"publicKey": {"rawBytes": STANDARD.encode(&key)}, "keyDetails": "PKIX_ED25519"});
    let request = json!({"dsseRequestV002": {"verifiers": vec![verifier; 10], "envelope": {
        "payload": STANDARD.encode(vec![0; 3 << 20]), "payloadType": "x",
        "signatures": vec![json!({"sig": STANDARD.encode([0; 64])}); 10]}}});
    let request = request.to_string();
    let entry = ProposedEntry::from_v2_json(request.as_bytes()).unwrap();
    let (outcome, work) = entry.verify_counting(&Policy::default(), NOW);
    let refusal = outcome.map(drop).unwrap_err().to_string();
    assert!(refusal.contains("a signature does not verify"), "{refusal}");
    // Once for its digest, once for the only key that there is.
    assert!(work.spent() < 2 * 5 * (3 << 20), "{}", work.spent());
}

/// Some point on the curve: the base point.
fn ed25519_spki() -> Vec<u8> {
    let mut spki = vec![0x30, 42, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 33, 0, 0x58];
    spki.resize(44, 0x66);
    spki
}

proptest! {
    /// What the stricter reader takes, the generated one takes for the same.
    #[test]
    fn both_readers_agree(text in member_soup()) {
        let ours = ProposedEntry::from_v2_json(text.as_bytes()).map(drop);
        let theirs = serde_json::from_str::<CreateEntryRequest>(&text);
        if matches!(&ours, Ok(())) {
            prop_assert!(theirs.is_ok_and(|request| request.spec.is_some()), "{text}");
        }
    }
}

/// Objects with the names of a request in all places.
fn member_soup() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("\"YQ==\"".to_owned()),
        Just("\"YQ\"".to_owned()),
        Just("5".to_owned()),
        Just("\"PKIX_ED25519\"".to_owned()),
        Just("{}".to_owned()),
        Just("[]".to_owned()),
    ];
    let name = prop_oneof![
        Just("hashedRekordRequestV002"),
        Just("dsse_request_v002"),
        Just("digest"),
        Just("signature"),
        Just("content"),
        Just("verifier"),
        Just("verifiers"),
        Just("public_key"),
        Just("rawBytes"),
        Just("keyDetails"),
        Just("envelope"),
        Just("payload"),
    ];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec((name.clone(), inner.clone()), 0..4).prop_map(|members| {
                let members: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("\"{name}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
            prop::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(","))),
        ]
    })
}
