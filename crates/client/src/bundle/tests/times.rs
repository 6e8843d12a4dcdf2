//! Times and statements that lie.

use serde_json::{Value, json};

use super::Case;
use super::hostile::{ENTRY, with, without};
use super::make::{dsse_bundle, hashedrekord, pae, statement};
use super::world::{ARTIFACT, SIGNED, World, base64};

#[test]
fn times_that_do_not_fit() {
    let world = World::new();
    let good = world.blob();
    let mut case = Case::new(&world, &good);
    case.now = SIGNED - 1;
    case.refused("clock that is slow", "Clock", "1 s later than the clock");
    case = Case::new(&world, &world.blob_v2());
    case.now = SIGNED - 60;
    case.refused(
        "clock that is slow, v2",
        "Clock",
        "60 s later than the clock",
    );
    case.now = 0;
    case.refused("clock of 1970", "Clock", "first use of the key");
    let unsigned = without(&good, ENTRY, "inclusionPromise");
    Case::new(&world, &unsigned).refused("time that nothing signs", "Time", "");

    let v2 = world.blob_v2();
    let bare = without(&v2, "/verificationMaterial", "timestampVerificationData");
    Case::new(&world, &bare).refused("no timestamp", "Time", "");
    let restamped = |world: &World, bytes: &[u8], time| {
        let mut bundle = v2.clone();
        let material = bundle["verificationMaterial"].take();
        bundle["verificationMaterial"] = world.stamped(material, bytes, time);
        bundle
    };
    let signature = v2.pointer("/messageSignature/signature").unwrap();
    let signature = pki::base64::decode_standard_base64(signature.as_str().unwrap()).unwrap();
    let cases = [
        (
            "stamp of another signature",
            restamped(&world, b"other", SIGNED),
            "Time",
        ),
        (
            "stamp of a stranger",
            restamped(&World::new(), &signature, SIGNED),
            "Time",
        ),
        (
            "stamp after the certificate",
            restamped(&world, &signature, SIGNED + 400),
            "Certificate",
        ),
        (
            "stamp before the certificate",
            restamped(&world, &signature, SIGNED - 400),
            "Certificate",
        ),
    ];
    for (name, bundle, kind) in cases {
        Case::new(&world, &bundle).refused(name, kind, "");
    }
    // The log gave its key up a second before the signature.
    world.ends.set(Some(SIGNED - 1));
    Case::new(&world, &good).refused("key that is no longer used", "Log", "not in use");
    Case::new(&world, &v2).refused(
        "key that is no longer used, v2",
        "Time",
        "younger than the key",
    );
    world.ends.set(Some(SIGNED));
    Case::new(&world, &good).verify().unwrap();
    Case::new(&world, &v2).verify().unwrap();
}

#[test]
fn attestations_of_something_else() {
    let world = World::new();
    let (good, v2) = (world.attestation(), world.attestation_v2());
    let other = statement(&[ARTIFACT, b"other"]).to_string();
    for (name, bundle) in [("v1", &good), ("v2", &v2)] {
        let payload = with(bundle, "/dsseEnvelope/payload", json!(base64(&other)));
        Case::new(&world, &payload).refused(name, "Signature", "DSSE");
        let signature = json!(base64(world.signer.sign(b"other")));
        let signature = with(bundle, "/dsseEnvelope/signatures/0/sig", signature);
        // A timestamp over another signature is noticed before.
        let kind = if name == "v1" { "Signature" } else { "Time" };
        Case::new(&world, &signature).refused(name, kind, "");
        let of_type = with(
            bundle,
            "/dsseEnvelope/payloadType",
            json!("application/json"),
        );
        Case::new(&world, &of_type).refused(name, "Unsupported", "payload type");
        let mut twice = bundle.clone();
        let first = twice["dsseEnvelope"]["signatures"][0].clone();
        twice["dsseEnvelope"]["signatures"]
            .as_array_mut()
            .unwrap()
            .push(first);
        Case::new(&world, &twice).refused(name, "Form", "exactly one signature");
        let mut case = Case::new(&world, bundle);
        case.artifact = b"other".to_vec();
        case.refused(name, "Artifact", "subject");
    }
    let mut odd = statement(&[ARTIFACT]);
    odd["_type"] = json!("https://acme.example/Statement/v1");
    let bundle = world.attest(&odd.to_string());
    Case::new(&world, &bundle).refused("statement type", "Attestation", "not one of in-toto");
    let bundle = world.attest(&statement(&[]).to_string());
    Case::new(&world, &bundle).refused("no subject", "Form", "no subjects");

    // Entries of other attestations, each in the log.
    let payload = statement(&[ARTIFACT]).to_string();
    let signature = world.signer.sign(&pae(payload.as_bytes()));
    let mut envelope = good["dsseEnvelope"].clone();
    envelope["signatures"][0]["sig"] = json!(base64(&signature));
    let v1 = |leaf: &Value| dsse_bundle(world.by_certificate(world.v1.take(leaf)), &envelope);
    let elsewhere = world.signer.sign(&pae(payload.as_bytes()));
    let of_payload = v1(&world.dsse(other.as_bytes(), &signature));
    let of_signature = v1(&world.dsse(payload.as_bytes(), &elsewhere));
    Case::new(&world, &of_payload).refused("entry of another payload", "Entry", "payload hash");
    Case::new(&world, &of_signature).refused("entry of another signature", "Entry", "");
    let signed = world.sign(ARTIFACT);
    let of_kind = v1(&hashedrekord(ARTIFACT, &signed));
    Case::new(&world, &of_kind).refused("entry of another kind", "Unsupported", "incompatible");

    let leaf = world.hashedrekord_v2(&tlog::sha256(ARTIFACT), &signature);
    let material = world.by_certificate(world.v2.take(&leaf));
    let bundle = dsse_bundle(world.stamped(material, &signature, SIGNED), &envelope);
    Case::new(&world, &bundle).refused("v2 entry over the artifact", "Artifact", "hashedrekord");
}
