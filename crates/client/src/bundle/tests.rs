//! Bundles that this test makes itself: good ones are accepted, each other one is refused for its
//! own reason.

use regex::Regex;
use serde_json::{Value, json};

use super::{
    Artifact, Bundle, BundleError, CertificatePolicy, Expected, Pattern, Policy, Shown, Signer,
    TrustRoot, Verified,
};
use make::PREDICATE;
use world::{ARTIFACT, IDENTITY, ISSUER, Key, NOW, SIGNED, World, base64};

mod hostile;
mod make;
mod odd;
mod stamp;
mod times;
mod world;

/// One question: a bundle, and what it is compared with.
pub(super) struct Case {
    bundle: String,
    artifact: Vec<u8>,
    trust: Value,
    policy: Policy,
    now: i64,
}

impl Case {
    fn new(world: &World, bundle: &Value) -> Self {
        Self {
            bundle: bundle.to_string(),
            artifact: ARTIFACT.to_vec(),
            trust: world.trusted_root(),
            policy: by_certificate(),
            now: NOW,
        }
    }

    fn by_key(world: &World, bundle: &Value) -> Self {
        let mut case = Self::new(world, bundle);
        case.policy.signer = Expected::key(&world.signer.pem()).unwrap();
        case
    }

    fn verify(&self) -> Result<Verified, BundleError> {
        let trust = TrustRoot::read([self.trust.to_string().as_str()])?;
        let bundle = Bundle::read(self.bundle.as_bytes())?;
        let artifact = Artifact::Bytes(&self.artifact);
        bundle.verify(artifact, &trust, &self.policy, self.now)
    }

    /// The refusal must be of this kind, and say this.
    fn refused(&self, name: &str, kind: &str, says: &str) {
        let error = match self.verify() {
            Ok(verified) => panic!("{name} is accepted: {verified:?}"),
            Err(error) => error,
        };
        let text = error.to_string();
        let debug = format!("{error:?}");
        assert!(debug.starts_with(kind), "{name}: {debug}");
        assert!(text.contains(says), "{name}: {text}");
    }
}

fn by_certificate() -> Policy {
    Policy {
        signer: Expected::Certificate(CertificatePolicy {
            identity: Pattern::Is(IDENTITY.to_owned()),
            issuer: Pattern::Is(ISSUER.to_owned()),
            extensions: Vec::new(),
        }),
        predicate_type: None,
    }
}

#[test]
fn a_signature_in_either_log_is_accepted() {
    let world = World::new();
    let verified = Case::new(&world, &world.blob()).verify().unwrap();
    let Signer::Certificate(certificate) = &verified.signer else {
        panic!("{verified:?}")
    };
    assert_eq!(certificate.names, [IDENTITY]);
    assert_eq!(certificate.issuer.as_deref(), Some(ISSUER));
    assert!(!certificate.has_ct);
    let entry = &verified.logged[0];
    assert_eq!((entry.time, verified.stamped.len()), (Some(SIGNED), 0));
    assert!(matches!(&entry.shown, Shown::Included(it) if it.head.origin() == "log.example - 7"));

    let verified = Case::new(&world, &world.blob_v2()).verify().unwrap();
    let entry = &verified.logged[0];
    assert_eq!((entry.time, &verified.stamped[..]), (None, &[SIGNED][..]));
    assert!(matches!(&entry.shown, Shown::Included(it) if it.head.origin() == "v2.log.example"));

    let verified = Case::by_key(&world, &world.blob_by_key()).verify().unwrap();
    assert!(matches!(verified.signer, Signer::Key));
}

#[test]
fn an_attestation_in_either_log_is_accepted() {
    let world = World::new();
    for bundle in [world.attestation(), world.attestation_v2()] {
        let mut case = Case::new(&world, &bundle);
        case.policy.predicate_type = Some(PREDICATE.to_owned());
        let verified = case.verify().unwrap();
        let statement = verified.statement.unwrap();
        assert_eq!(statement.predicate_type, PREDICATE);
        assert_eq!(statement.subjects[0].name, "artifact");
    }
}

#[test]
fn an_artifact_may_be_a_digest_or_a_stream() {
    let world = World::new();
    let trust = TrustRoot::read([world.trusted_root().to_string().as_str()]).unwrap();
    for bundle in [world.blob(), world.attestation_v2()] {
        let bundle = Bundle::read(bundle.to_string().as_bytes()).unwrap();
        let verify =
            |artifact: Artifact<'_>| bundle.verify(artifact, &trust, &by_certificate(), NOW);
        verify(Artifact::Sha256(tlog::sha256(ARTIFACT))).unwrap();
        let (mut right, mut wrong) = (ARTIFACT, &b"other"[..]);
        verify(Artifact::Reader(&mut right)).unwrap();
        assert!(verify(Artifact::Sha256(tlog::sha256(b"other"))).is_err());
        assert!(verify(Artifact::Reader(&mut wrong)).is_err());
    }
}

#[test]
fn older_versions_are_accepted() {
    let world = World::new();
    for version in ["0.1", "0.2"] {
        let mut bundle = world.blob();
        let material = &mut bundle["verificationMaterial"];
        let leaf = material["certificate"].take();
        material.as_object_mut().unwrap().remove("certificate");
        material["x509CertificateChain"] = json!({"certificates": [leaf]});
        bundle["mediaType"] = json!(format!(
            "application/vnd.dev.sigstore.bundle+json;version={version}"
        ));
        Case::new(&world, &bundle).verify().unwrap();
    }
}

/// The bundle of `cosign sign-blob` before version 3: a promise, and no proof.
#[test]
fn the_older_bundle_of_cosign_holds_a_promise() {
    let world = World::new();
    let cosign = |bundle: Value, cert: String| {
        let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
        let number = |text: &Value| text.as_str().unwrap().parse::<u64>().unwrap();
        json!({
            "base64Signature": bundle["messageSignature"]["signature"], "cert": cert,
            "rekorBundle": {
                "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
                "Payload": {
                    "body": entry["canonicalizedBody"], "integratedTime": number(&entry["integratedTime"]),
                    "logIndex": number(&entry["logIndex"]), "logID": world.v1.id().to_string(),
                },
            },
        })
    };
    let bundle = cosign(world.blob(), base64(world.certificate_pem()));
    let verified = Case::new(&world, &bundle).verify().unwrap();
    assert_eq!(verified.logged[0].shown, Shown::Promised(world.v1.id()));
    let mut case = Case::new(&world, &bundle);
    case.artifact = b"other".to_vec();
    case.refused("another artifact", "Signature", "");

    let bundle = cosign(world.blob_by_key(), String::new());
    Case::by_key(&world, &bundle).verify().unwrap();
}

#[test]
fn an_entry_of_a_log_is_a_bundle_by_itself() {
    let world = World::new();
    let trust = TrustRoot::read([world.trusted_root().to_string().as_str()]).unwrap();
    for bundle in [world.blob(), world.blob_by_key()] {
        let mut entry = bundle["verificationMaterial"]["tlogEntries"][0].clone();
        let by_key = bundle["verificationMaterial"].get("publicKey").is_some();
        let policy = match by_key {
            true => Case::by_key(&world, &bundle).policy,
            false => by_certificate(),
        };
        let whole = Bundle::of_entry(entry.to_string().as_bytes()).unwrap();
        whole
            .verify(Artifact::Bytes(ARTIFACT), &trust, &policy, NOW)
            .unwrap();
        entry["canonicalizedBody"] = json!(base64(r#"{"kind":"rekord","spec":{}}"#));
        let error = Bundle::of_entry(entry.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, BundleError::Unsupported(_)), "{error}");
    }
}

#[test]
fn the_policy_decides() {
    let world = World::new();
    let pattern = |text| Pattern::Matches(Regex::new(text).unwrap());
    let with = |identity, issuer, extension: Option<(&str, &str)>| {
        let extensions = extension.map(|(id, value)| (id.to_owned(), value.to_owned()));
        let mut case = Case::new(&world, &world.blob());
        case.policy.signer = Expected::Certificate(CertificatePolicy {
            identity,
            issuer,
            extensions: extensions.into_iter().collect(),
        });
        case
    };
    let is = |text: &str| Pattern::Is(text.to_owned());
    let source = "1.3.6.1.4.1.57264.1.12";
    let good = Some((source, "https://git.example/acme/app"));
    with(pattern("@acme"), pattern("^https://"), good)
        .verify()
        .unwrap();
    for (name, case) in [
        ("identity", with(is("dev@acme.exampl"), is(ISSUER), None)),
        (
            "issuer",
            with(is(IDENTITY), is("https://accounts.exampl"), None),
        ),
        ("pattern", with(pattern("^acme"), is(ISSUER), None)),
        (
            "pattern of the issuer",
            with(is(IDENTITY), pattern("^http:"), None),
        ),
        (
            "extension",
            with(
                is(IDENTITY),
                is(ISSUER),
                Some((source, "https://git.example")),
            ),
        ),
        (
            "no extension",
            with(is(IDENTITY), is(ISSUER), Some(("1.2.3", "x"))),
        ),
    ] {
        case.refused(name, "Signer", "was expected");
    }
    Case::by_key(&world, &world.blob()).refused("key", "Signer", "has a certificate");
    Case::new(&world, &world.blob_by_key()).refused("no key", "Signer", "a key signed");
    let mut case = Case::by_key(&world, &world.blob_by_key());
    case.policy.signer = Expected::key(&Key::new().pem()).unwrap();
    case.refused("another key", "Signature", "");

    let mut case = Case::new(&world, &world.attestation());
    case.policy.predicate_type = Some("https://acme.example/other".to_owned());
    case.refused("type", "Attestation", PREDICATE);
    case.bundle = world.blob().to_string();
    case.refused("no attestation", "Attestation", "attests nothing");
}
