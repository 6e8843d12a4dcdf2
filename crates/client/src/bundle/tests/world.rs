//! A world of its own: authorities, logs and keys, and the bundles that they make.

use std::cell::Cell;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tlog::{Checkpoint, Hash, NoteKey, SigningKey, TreeSize};

use super::stamp;

/// A second of the year 2026 that means now.
pub(super) const NOW: i64 = 1_780_000_000;
/// When everything is signed.
pub(super) const SIGNED: i64 = NOW - 1_000;
pub(super) const ARTIFACT: &[u8] = b"an artifact\n";
pub(super) const IDENTITY: &str = "dev@acme.example";
pub(super) const ISSUER: &str = "https://accounts.example";
const YEAR: i64 = 31_536_000;

pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// A key that signs.
pub(super) struct Key {
    pub pair: KeyPair,
    signing: SigningKey,
}

impl Key {
    pub(super) fn new() -> Self {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let pair = KeyPair::try_from(pkcs8.as_slice()).unwrap();
        let signing = SigningKey::from_pkcs8(&pkcs8, &SystemRandom::new()).unwrap();
        Self { pair, signing }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.signing.sign(message, &SystemRandom::new()).unwrap()
    }

    pub(super) fn pem(&self) -> String {
        self.signing.verifying_key().to_pem()
    }
}

/// A certificate authority, for signers or for time stamps.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub root: Vec<u8>,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().to_vec();
        let issuer = Issuer::new(params, key);
        Self { issuer, root }
    }

    pub(super) fn certify(
        &self,
        key: &Key,
        usage: ExtendedKeyUsagePurpose,
        from: i64,
        to: i64,
    ) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.subject_alt_names = vec![SanType::Rfc822Name(IDENTITY.try_into().unwrap())];
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.not_before = OffsetDateTime::from_unix_timestamp(from).unwrap();
        params.not_after = OffsetDateTime::from_unix_timestamp(to).unwrap();
        for (number, value) in [(8, ISSUER), (12, "https://git.example/acme/app")] {
            let oid = [1, 3, 6, 1, 4, 1, 57264, 1, number];
            let text = stamp::tlv(0x0c, value.as_bytes());
            params
                .custom_extensions
                .push(CustomExtension::from_oid_content(&oid, text));
        }
        let certificate = params.signed_by(&key.pair, &self.issuer).unwrap();
        certificate.der().to_vec()
    }
}

/// A log of either API.
pub(super) struct Log {
    key: SigningKey,
    /// The name under which it signs.
    pub name: &'static str,
    /// Rekor v1 writes it into the origin.
    tree: Option<&'static str>,
}

impl Log {
    fn v1(name: &'static str) -> Self {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
        let key = SigningKey::from_pkcs8(&pkcs8, &SystemRandom::new()).unwrap();
        let tree = Some("7");
        Self { key, name, tree }
    }

    fn v2(name: &'static str) -> Self {
        let pkcs8 = SigningKey::generate_ed25519_pkcs8(&SystemRandom::new()).unwrap();
        let key = SigningKey::from_pkcs8(&pkcs8, &SystemRandom::new()).unwrap();
        let tree = None;
        Self { key, name, tree }
    }

    pub(super) fn id(&self) -> Hash {
        let key = self.key.verifying_key().clone();
        NoteKey::new(self.name, key).unwrap().key_hash()
    }

    /// Signs the head of a tree under a name.
    pub(super) fn head(&self, name: &str, size: u64, root: Hash) -> String {
        let origin = match self.tree {
            Some(tree) => format!("{name} - {tree}"),
            None => name.to_owned(),
        };
        let head = Checkpoint::new(origin, TreeSize(size), root);
        head.sign(name, &self.key, &SystemRandom::new()).unwrap()
    }

    /// Logs a leaf as the second of two.
    pub(super) fn take(&self, leaf: &Value) -> Value {
        let text = leaf.to_string();
        let (first, second) = (tlog::leaf_hash(b"other"), tlog::leaf_hash(text.as_bytes()));
        let root = tlog::node_hash(&first, &second);
        let mut entry = json!({
            "logIndex": "1",
            "logId": {"keyId": base64(self.id())},
            "kindVersion": {"kind": leaf["kind"], "version": leaf["apiVersion"]},
            "inclusionProof": {
                "logIndex": "1", "treeSize": "2", "rootHash": base64(root), "hashes": [base64(first)],
                "checkpoint": {"envelope": self.head(self.name, 2, root)},
            },
            "canonicalizedBody": base64(&text),
        });
        if self.tree.is_some() {
            entry["logIndex"] = json!("1000001");
            self.promise(&mut entry, SIGNED);
        }
        entry
    }

    /// Signs the time of an entry.
    pub(super) fn promise(&self, entry: &mut Value, time: i64) {
        let (body, index) = (&entry["canonicalizedBody"], &entry["logIndex"]);
        let index: u64 = index.as_str().unwrap().parse().unwrap();
        let signed = format!(
            r#"{{"body":{body},"integratedTime":{time},"logID":"{}","logIndex":{index}}}"#,
            self.id()
        );
        let timestamp = self.key.sign(signed.as_bytes(), &SystemRandom::new());
        entry["integratedTime"] = json!(time.to_string());
        entry["inclusionPromise"] = json!({"signedEntryTimestamp": base64(timestamp.unwrap())});
    }

    fn trusted(&self, from: i64, to: Option<i64>) -> Value {
        json!({
            "baseUrl": format!("https://{}", self.name), "hashAlgorithm": "SHA2_256", "logId": {"keyId": base64(self.id())},
            "publicKey": {
                "rawBytes": base64(self.key.verifying_key().spki()), "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": range(from, to),
            },
        })
    }
}

fn range(from: i64, to: Option<i64>) -> Value {
    let text = |time| stamp::calendar(time, "-", "T", ":");
    match to {
        Some(to) => json!({"start": text(from), "end": text(to)}),
        None => json!({"start": text(from)}),
    }
}

/// Everybody who takes part.
pub(super) struct World {
    pub authority: Authority,
    pub v1: Log,
    pub v2: Log,
    /// A log that is trusted as well.
    pub other: Log,
    pub stamper: stamp::Stamper,
    pub signer: Key,
    pub certificate: Vec<u8>,
    /// Ends of the windows of logs and authority, for a trust root that is out of date.
    pub ends: Cell<Option<i64>>,
}

impl World {
    pub(super) fn new() -> Self {
        let authority = Authority::new("authority");
        let signer = Key::new();
        let usage = ExtendedKeyUsagePurpose::CodeSigning;
        let certificate = authority.certify(&signer, usage, SIGNED - 300, SIGNED + 300);
        Self {
            authority,
            v1: Log::v1("log.example"),
            v2: Log::v2("v2.log.example"),
            other: Log::v1("other.example"),
            stamper: stamp::Stamper::new(),
            signer,
            certificate,
            ends: Cell::new(None),
        }
    }

    pub(super) fn trusted_root(&self) -> Value {
        let (from, to) = (NOW - YEAR, self.ends.get());
        let chain = |certificates: &[&[u8]]| {
            let certificates = certificates.iter();
            let certificates = certificates.map(|der| json!({"rawBytes": base64(der)}));
            json!({"certificates": certificates.collect::<Vec<_>>()})
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self.v1.trusted(from, to), self.v2.trusted(from, to), self.other.trusted(from, to)],
            "certificateAuthorities": [{
                "uri": "https://ca.example", "subject": {"organization": "o", "commonName": "c"},
                "certChain": chain(&[&self.authority.root]), "validFor": range(from, None),
            }],
            "timestampAuthorities": [{
                "subject": {"organization": "o", "commonName": "c"},
                "certChain": chain(&[&self.stamper.certificate, &self.stamper.root]), "validFor": range(from, None),
            }],
        })
    }

    pub(super) fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }
}

pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let mut pem = Vec::new();
    pki::pem::encode(label, der, &mut pem);
    String::from_utf8(pem).unwrap()
}
