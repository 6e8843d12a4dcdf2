//! Bundles that lie. Each was made by somebody who has keys of his own, and none of the others'.

use serde_json::{Value, json};

use super::Case;
use super::make::{Signed, by, by_key, hashedrekord, message};
use super::world::{ARTIFACT, Authority, Key, SIGNED, World, base64};

/// Changes one text of a bundle.
pub(super) fn with(bundle: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = bundle.clone();
    *changed.pointer_mut(pointer).unwrap() = value;
    changed
}

pub(super) fn without(bundle: &Value, pointer: &str, member: &str) -> Value {
    let mut changed = bundle.clone();
    let object = changed.pointer_mut(pointer).unwrap().as_object_mut();
    object.unwrap().remove(member).unwrap();
    changed
}

pub(super) const ENTRY: &str = "/verificationMaterial/tlogEntries/0";

#[test]
fn entries_that_no_trusted_log_shows() {
    let world = World::new();
    let good = world.blob();
    let at = |path: &str| format!("{ENTRY}{path}");
    let zeros = json!(base64([0; 32]));
    let other = world.other.id();
    let root = good.pointer(&at("/inclusionProof/rootHash")).unwrap();
    let root = tlog::Hash(base64_32(root));
    let stranger = World::new();
    let by_other_log = world.other.head("log.example", 2, root);
    let by_stranger = stranger.v1.head("log.example", 2, root);
    let unsigned = world
        .v1
        .head("log.example", 2, root)
        .replace("\n2\n", "\n3\n");
    for (name, bundle, says) in [
        (
            "unknown log",
            with(&good, &at("/logId/keyId"), zeros.clone()),
            "does not name",
        ),
        (
            "another trusted log's ID",
            with(&good, &at("/logId/keyId"), json!(base64(other))),
            "no trusted key",
        ),
        (
            "head by another trusted log",
            with(
                &good,
                &at("/inclusionProof/checkpoint/envelope"),
                json!(by_other_log),
            ),
            "no trusted key",
        ),
        (
            "head by a stranger",
            with(
                &good,
                &at("/inclusionProof/checkpoint/envelope"),
                json!(by_stranger),
            ),
            "no trusted key",
        ),
        (
            "changed head",
            with(
                &good,
                &at("/inclusionProof/checkpoint/envelope"),
                json!(unsigned),
            ),
            "checkpoint",
        ),
        (
            "changed proof",
            with(&good, &at("/inclusionProof/hashes/0"), zeros.clone()),
            "",
        ),
        (
            "longer proof",
            with(
                &good,
                &at("/inclusionProof/hashes"),
                json!([base64([0; 32]), base64([0; 32])]),
            ),
            "",
        ),
        (
            "another root",
            with(&good, &at("/inclusionProof/rootHash"), zeros),
            "another head",
        ),
        (
            "another size",
            with(&good, &at("/inclusionProof/treeSize"), json!("3")),
            "another head",
        ),
        (
            "another leaf index",
            with(&good, &at("/inclusionProof/logIndex"), json!("0")),
            "",
        ),
        (
            "no proof",
            without(&good, ENTRY, "inclusionProof"),
            "no inclusion proof",
        ),
        (
            "neither proof nor promise",
            without(
                &without(&good, ENTRY, "inclusionProof"),
                ENTRY,
                "inclusionPromise",
            ),
            "neither",
        ),
        (
            "changed time",
            with(
                &good,
                &at("/integratedTime"),
                json!((SIGNED - 1).to_string()),
            ),
            "signed entry timestamp",
        ),
        (
            "changed index",
            with(&good, &at("/logIndex"), json!("1000002")),
            "signed entry timestamp",
        ),
        (
            "changed promise",
            with(
                &good,
                &at("/inclusionPromise/signedEntryTimestamp"),
                json!(base64([0; 70])),
            ),
            "signed entry timestamp",
        ),
        (
            "promise without a time",
            without(&good, ENTRY, "integratedTime"),
            "without a time",
        ),
        (
            "another kind",
            with(
                &good,
                &at("/kindVersion"),
                json!({"kind": "dsse", "version": "0.0.1"}),
            ),
            "another kind",
        ),
    ] {
        Case::new(&world, &bundle).refused(name, "Log", says);
    }
    let mut promised = good.clone();
    world.other.promise(
        &mut promised["verificationMaterial"]["tlogEntries"][0],
        SIGNED,
    );
    Case::new(&world, &promised).refused("promise by another log", "Log", "signed entry timestamp");
    // The first entry is good. The second must be as well.
    let mut two = good.clone();
    let mut second = good.pointer(ENTRY).unwrap().clone();
    second["logIndex"] = json!("5");
    two["verificationMaterial"]["tlogEntries"]
        .as_array_mut()
        .unwrap()
        .push(second);
    Case::new(&world, &two).refused("second entry", "Log { number: 1", "");
}

fn base64_32(text: &Value) -> [u8; 32] {
    let bytes = pki::base64::decode_standard_base64(text.as_str().unwrap()).unwrap();
    bytes.try_into().unwrap()
}

#[test]
fn entries_of_other_signatures() {
    let world = World::new();
    let good = world.blob();
    let signed = world.sign(ARTIFACT);
    let signature = signed.signature.clone();
    let logged = |artifact: &[u8], entry: &Signed, shown: &[u8]| {
        let entry = world.v1.take(&hashedrekord(artifact, entry));
        message(world.by_certificate(entry), shown)
    };
    let elsewhere = world.sign(ARTIFACT);
    let stranger = World::new();
    let of_stranger = Signed {
        signature: signature.clone(),
        verifier_pem: stranger.certificate_pem(),
    };
    let by_bare_key = by(&world.signer, ARTIFACT);
    for (name, bundle, kind, says) in [
        (
            "entry of another artifact",
            logged(b"other", &signed, &signature),
            "Artifact",
            "hashedrekord",
        ),
        (
            "entry of another signature",
            logged(ARTIFACT, &elsewhere, &signature),
            "Entry",
            "signature",
        ),
        (
            "entry of another certificate",
            logged(ARTIFACT, &of_stranger, &signature),
            "Entry",
            "certificate",
        ),
        (
            "entry of a bare key",
            logged(ARTIFACT, &by_bare_key, &by_bare_key.signature),
            "Entry",
            "",
        ),
        (
            "signature of another artifact",
            with(
                &good,
                "/messageSignature/signature",
                json!(base64(world.signer.sign(b"other"))),
            ),
            "Signature",
            "",
        ),
        (
            "no signature",
            with(&good, "/messageSignature/signature", json!("")),
            "Signature",
            "",
        ),
        (
            "another digest",
            with(
                &good,
                "/messageSignature/messageDigest/digest",
                json!(base64([0; 32])),
            ),
            "Artifact",
            "digest",
        ),
        (
            "weaker digest",
            with(
                &good,
                "/messageSignature/messageDigest/algorithm",
                json!("SHA1"),
            ),
            "Form",
            "",
        ),
    ] {
        Case::new(&world, &bundle).refused(name, kind, says);
    }
    let mut case = Case::new(&world, &good);
    case.artifact = b"other".to_vec();
    case.refused("another artifact", "Artifact", "");

    let signed = by(&Key::new(), ARTIFACT);
    let entry = world.v1.take(&hashedrekord(ARTIFACT, &signed));
    let own = by(&world.signer, ARTIFACT);
    let bundle = message(by_key(entry.clone()), &own.signature);
    Case::by_key(&world, &bundle).refused("entry of another key", "Entry", "");
    let bundle = message(by_key(entry), &signed.signature);
    Case::by_key(&world, &bundle).refused("signature by another key", "Signature", "");
}

#[test]
fn certificates_that_do_not_count() {
    use rcgen::ExtendedKeyUsagePurpose::{CodeSigning, ServerAuth};
    let mut world = World::new();
    let stranger = Authority::new("authority");
    let (from, to) = (SIGNED - 300, SIGNED + 300);
    for (name, certificate) in [
        (
            "of a stranger",
            stranger.certify(&world.signer, CodeSigning, from, to),
        ),
        (
            "for servers",
            world.authority.certify(&world.signer, ServerAuth, from, to),
        ),
        (
            "expired",
            world
                .authority
                .certify(&world.signer, CodeSigning, from, SIGNED - 1),
        ),
        (
            "not yet valid",
            world
                .authority
                .certify(&world.signer, CodeSigning, SIGNED + 1, to),
        ),
    ] {
        world.certificate = certificate;
        Case::new(&world, &world.blob()).refused(name, "Certificate", "");
        Case::new(&world, &world.blob_v2()).refused(name, "Certificate", "");
    }
    let world = World::new();
    let mut case = Case::new(&world, &world.blob());
    case.trust["ctlogs"] = json!([case.trust["tlogs"][2]]);
    case.refused("in no certificate transparency log", "Certificate", "SCT");
    let mut case = Case::new(&world, &world.blob());
    case.trust["certificateAuthorities"][0]["validFor"]["end"] = json!("2026-01-01T00:00:00Z");
    case.refused(
        "of an authority that ended",
        "Certificate",
        "no trusted certificate authority",
    );
    case.trust["certificateAuthorities"] = json!([]);
    case.refused(
        "of no authority",
        "Certificate",
        "no trusted certificate authority",
    );

    let mut bundle = world.blob();
    let chain =
        [&world.certificate, &world.authority.root].map(|der| json!({"rawBytes": base64(der)}));
    let material = bundle["verificationMaterial"].as_object_mut().unwrap();
    material.remove("certificate");
    material.insert(
        "x509CertificateChain".to_owned(),
        json!({"certificates": chain}),
    );
    Case::new(&world, &bundle).refused("a chain in version 0.3", "Form", "");
    bundle["mediaType"] = json!("application/vnd.dev.sigstore.bundle+json;version=0.2");
    Case::new(&world, &bundle).refused("with its root", "Form", "root certificate");
}
