//! Good documents: two logs, a certificate authority, and bundles of both APIs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SigningKey as _,
};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use tlog::{Checkpoint, NoteKey, SigningKey, TreeSize, sha256};

/// Within the validity of the certificates.
pub(super) const NOW: i64 = 1_798_800_000;
/// When the entries were logged.
pub(super) const LOGGED: i64 = NOW - 60;

pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// The keys of a log.
pub(super) struct Log {
    pub key: SigningKey,
    pub origin: &'static str,
    pub name: &'static str,
}

impl Log {
    pub(super) fn v1() -> Self {
        let rng = SystemRandom::new();
        let key = SigningKey::generate_p256_pkcs8(&rng).unwrap();
        let (origin, name) = ("log.example - 7", "log.example");
        let key = SigningKey::from_pkcs8(&key, &rng).unwrap();
        Self { key, origin, name }
    }

    pub(super) fn v2() -> Self {
        let rng = SystemRandom::new();
        let key = SigningKey::generate_ed25519_pkcs8(&rng).unwrap();
        let (origin, name) = ("v2.example", "v2.example");
        let key = SigningKey::from_pkcs8(&key, &rng).unwrap();
        Self { key, origin, name }
    }

    pub(super) fn id(&self) -> [u8; 32] {
        let key = NoteKey::new(self.name, self.key.verifying_key().clone()).unwrap();
        key.key_hash().0
    }

    pub(super) fn spki(&self) -> String {
        base64(self.key.verifying_key().spki())
    }

    /// The checkpoint of a tree with one leaf.
    pub(super) fn checkpoint(&self, leaf: &[u8]) -> String {
        let head = Checkpoint::new(self.origin, TreeSize(1), tlog::leaf_hash(leaf));
        head.sign(self.name, &self.key, &SystemRandom::new())
            .unwrap()
    }

    /// The entry of a leaf, as a bundle has it.
    pub(super) fn entry(&self, leaf: &Value) -> Value {
        let (kind, version) = (&leaf["kind"], &leaf["apiVersion"]);
        let leaf = leaf.to_string();
        json!({
            "logIndex": "0",
            "logId": {"keyId": base64(self.id())},
            "kindVersion": {"kind": kind, "version": version},
            "inclusionProof": {
                "logIndex": "0",
                "treeSize": "1",
                "rootHash": base64(tlog::leaf_hash(leaf.as_bytes())),
                "hashes": [],
                "checkpoint": {"envelope": self.checkpoint(leaf.as_bytes())},
            },
            "canonicalizedBody": base64(leaf),
        })
    }

    /// The same with a signed entry timestamp.
    pub(super) fn promised_entry(&self, leaf: &Value) -> Value {
        let mut entry = self.entry(leaf);
        let signed = format!(
            r#"{{"body":{},"integratedTime":{LOGGED},"logID":"{}","logIndex":0}}"#,
            entry["canonicalizedBody"],
            hex::encode(self.id()),
        );
        let signature = self
            .key
            .sign(signed.as_bytes(), &SystemRandom::new())
            .unwrap();
        entry["integratedTime"] = json!(LOGGED.to_string());
        entry["inclusionPromise"] = json!({"signedEntryTimestamp": base64(signature)});
        entry
    }
}

/// A signer with a certificate.
pub(super) struct Signer {
    pub key: KeyPair,
    pub der: Vec<u8>,
}

/// The parts of a certificate that a test may leave out or change.
pub(super) struct Profile {
    pub names: Vec<SanType>,
    pub issuer: bool,
    pub timestamps: bool,
    pub usage: ExtendedKeyUsagePurpose,
    pub is_ca: IsCa,
    pub year: i32,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            names: vec![SanType::Rfc822Name("ann@example.com".try_into().unwrap())],
            issuer: true,
            timestamps: true,
            usage: ExtendedKeyUsagePurpose::CodeSigning,
            is_ca: IsCa::NoCa,
            year: 2026,
        }
    }
}

impl Signer {
    pub(super) fn new(profile: Profile) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = profile.names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![profile.usage];
        params.is_ca = profile.is_ca;
        params.not_before = rcgen::date_time_ymd(profile.year, 1, 1);
        params.not_after = rcgen::date_time_ymd(profile.year + 2, 1, 1);
        if profile.issuer {
            let text = b"https://idp.example";
            let content = [&[0x0c, text.len() as u8], &text[..]].concat();
            let oid = [1, 3, 6, 1, 4, 1, 57264, 1, 8];
            params
                .custom_extensions
                .push(CustomExtension::from_oid_content(&oid, content));
        }
        if profile.timestamps {
            let oid = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
            params
                .custom_extensions
                .push(CustomExtension::from_oid_content(&oid, vec![4, 0]));
        }
        let (authority, authority_key) = authority("CA");
        let issuer = Issuer::new(authority, authority_key);
        let der = params.signed_by(&key, &issuer).unwrap().der().to_vec();
        Self { key, der }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(message).unwrap()
    }

    pub(super) fn pem(&self) -> String {
        let mut pem = Vec::new();
        pki::pem::encode("CERTIFICATE", &self.der, &mut pem);
        String::from_utf8(pem).unwrap()
    }
}

fn authority(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2036, 1, 1);
    (params, KeyPair::generate().unwrap())
}

/// The certificates of an authority in base64: an intermediate and the root.
pub(super) fn chain() -> Vec<String> {
    let (root, root_key) = authority("root");
    let (intermediate, key) = authority("intermediate");
    let root_der = root.self_signed(&root_key).unwrap().der().to_vec();
    let issuer = Issuer::new(root, root_key);
    let der = intermediate
        .signed_by(&key, &issuer)
        .unwrap()
        .der()
        .to_vec();
    vec![base64(der), base64(root_der)]
}

/// The certificates of a time-stamp authority in base64.
pub(super) fn stamper_chain() -> Vec<String> {
    let (root, root_key) = authority("stamp root");
    let root_der = root.self_signed(&root_key).unwrap().der().to_vec();
    let issuer = Issuer::new(root, root_key);
    let (mut leaf, key) = authority("stamper");
    leaf.is_ca = IsCa::NoCa;
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::TimeStamping];
    let der = leaf.signed_by(&key, &issuer).unwrap().der().to_vec();
    vec![base64(der), base64(root_der)]
}

/// A bundle of an artifact's signature in a v1 log.
pub(super) fn v1_bundle(log: &Log, signer: &Signer) -> Value {
    let artifact = b"an artifact";
    let signature = signer.sign(artifact);
    let leaf = json!({
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": sha256(artifact).to_string()}},
            "signature": {"content": base64(&signature), "publicKey": {"content": base64(signer.pem())}},
        },
    });
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": {"rawBytes": base64(&signer.der)},
            "tlogEntries": [log.promised_entry(&leaf)],
        },
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": base64(sha256(artifact))},
            "signature": base64(&signature),
        },
    })
}

/// A bundle of an attestation in a v2 log, with a timestamp.
pub(super) fn v2_bundle(log: &Log, signer: &Signer) -> Value {
    let payload_type = "application/vnd.in-toto+json";
    let payload = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "pkg:npm/a@1.0.0", "digest": {"sha256": "00"}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {},
    });
    let payload = payload.to_string().into_bytes();
    let signed = pki::dsse::pae(payload_type, payload.clone());
    let signature = signer.sign(&signed);
    let leaf = json!({
        "apiVersion": "0.0.2",
        "kind": "hashedrekord",
        "spec": {"hashedRekordV002": {
            "data": {"algorithm": "SHA2_256", "digest": base64(sha256(&signed))},
            "signature": {
                "content": base64(&signature),
                "verifier": {"keyDetails": "PKIX_ECDSA_P256_SHA_256", "x509Certificate": {"rawBytes": base64(&signer.der)}},
            },
        }},
    });
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": {"rawBytes": base64(&signer.der)},
            "tlogEntries": [log.entry(&leaf)],
            "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": base64(timestamp(&signature, "20270101000000Z"))}]},
        },
        "dsseEnvelope": {
            "payload": base64(&payload),
            "payloadType": payload_type,
            "signatures": [{"sig": base64(&signature), "keyid": ""}],
        },
    })
}

/// A DER element.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let length = contents.len();
    let mut element = vec![tag];
    match length {
        ..=127 => element.push(length as u8),
        _ => element.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    element.extend(contents);
    element
}

/// A response of a time-stamp authority without its signature.
pub(super) fn timestamp(signature: &[u8], time: &str) -> Vec<u8> {
    let sha256_id = element(
        6,
        &[&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01]],
    );
    let imprint = element(4, &[&sha256(signature).0]);
    let info = element(
        0x30,
        &[
            &element(2, &[&[1]]),
            &element(6, &[&[0x2a, 0x03]]),
            &element(0x30, &[&element(0x30, &[&sha256_id]), &imprint]),
            &element(2, &[&[5]]),
            &element(0x18, &[time.as_bytes()]),
        ],
    );
    let info_id = element(
        6,
        &[&[
            0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04,
        ]],
    );
    let content = element(0xa0, &[&element(4, &[&info])]);
    let signed = element(
        0x30,
        &[
            &element(2, &[&[3]]),
            &element(0x31, &[]),
            &element(0x30, &[&info_id, &content]),
        ],
    );
    let signed_id = element(
        6,
        &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02]],
    );
    let token = element(0x30, &[&signed_id, &element(0xa0, &[&signed])]);
    element(0x30, &[&element(0x30, &[&element(2, &[&[0]])]), &token])
}
