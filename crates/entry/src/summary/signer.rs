//! The signers that a leaf names.

use serde::Serialize;

use crate::parts::KeyFormat;
use crate::search::{claim_keys, key_hash, raw_keys};
use pki::x509::Outline;
use pki::{Key, UnixSeconds, Work, minisign, pem, pgp, ssh, tuf};

/// Certificates of one chain that are looked at; a log takes ten.
const MAX_CERTIFICATES: usize = 32;
const PUBLIC_KEY: &str = "PUBLIC KEY";
const CERTIFICATE: &str = "CERTIFICATE";

/// A key in a leaf, and whom it names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Signer {
    /// The SHA-256 of the canonical key in hexadecimal digits: Rekor's search key. If the key
    /// cannot be read, that of its bytes in the leaf.
    pub key_hash: String,
    /// The SHA-256 of the `SubjectPublicKeyInfo` in hexadecimal digits. Keys of OpenPGP, SSH,
    /// minisign and TUF have none.
    pub spki_sha256: Option<String>,
    /// Fingerprints by which other tools name the key: hexadecimal ones of OpenPGP keys and their
    /// subkeys, `SHA256:<base64>` of SSH keys.
    pub fingerprints: Vec<String>,
    /// The certificate of the key; of a chain, the first one.
    pub certificate: Option<CertificateSummary>,
    /// The names in the certificate's subject alternative name, or the e-mail addresses in an
    /// OpenPGP key, as they are written.
    pub names: Vec<String>,
}

/// A certificate as far as it can be read. Whether it can be trusted is another question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CertificateSummary {
    /// The SHA-256 of its DER in hexadecimal digits.
    pub sha256: String,
    /// The serial number in hexadecimal digits, without leading zeros.
    pub serial: Option<String>,
    /// The issuer of the token that the signer showed, from Fulcio's extensions.
    pub issuer: Option<String>,
    /// The extensions that are text, as dotted object identifier and text, in their order.
    pub extensions: Vec<(String, String)>,
    /// When it begins to be valid, in Unix seconds.
    pub not_before: Option<i64>,
    /// The last second in which it is valid, in Unix seconds.
    pub not_after: Option<i64>,
}

impl Signer {
    /// Reads a key, and returns its search keys beyond its hash as well.
    pub(super) fn read(format: KeyFormat, key: &[u8]) -> (Self, Vec<String>) {
        match format {
            KeyFormat::Pem => of_pem(key),
            KeyFormat::PublicKeyDer => (of_public_key(key), Vec::new()),
            KeyFormat::CertificateDer => of_certificate(key, &[]),
            KeyFormat::Pgp => of_key::<pgp::Key>(key),
            KeyFormat::Minisign => of_key::<minisign::Key>(key),
            KeyFormat::Ssh => of_key::<ssh::Key>(key),
            KeyFormat::Tuf => of_key::<tuf::Root>(key),
        }
    }
}

/// Reads PEM as [`pki::x509::Key::from_pem`] does: one public key, or certificates whatever their
/// labels say.
fn of_pem(text: &[u8]) -> (Signer, Vec<String>) {
    let mut blocks = Vec::new();
    let trimmed =
        std::str::from_utf8(text).map_or(text.trim_ascii(), |text| text.trim().as_bytes());
    let mut rest = trimmed;
    let mut is_public_key = false;
    while let Some((block, after)) = pem::decode(rest)
        && blocks.len() < MAX_CERTIFICATES
    {
        is_public_key |= block.label == PUBLIC_KEY.as_bytes() && after.is_empty();
        blocks.push(block.bytes);
        rest = after;
    }
    match &blocks[..] {
        [] => (unread(text), Vec::new()),
        [key] if is_public_key => (of_public_key(key), Vec::new()),
        [leaf, others @ ..] => of_certificate(leaf, others),
    }
}

fn of_public_key(der: &[u8]) -> Signer {
    let mut canonical = Vec::new();
    pem::encode(PUBLIC_KEY, der, &mut canonical);
    Signer {
        key_hash: sha256(&canonical),
        spki_sha256: Some(sha256(der)),
        ..Signer::default()
    }
}

fn of_certificate(der: &[u8], others: &[Vec<u8>]) -> (Signer, Vec<String>) {
    let mut canonical = Vec::new();
    for certificate in [der].into_iter().chain(others.iter().map(Vec::as_slice)) {
        pem::encode(CERTIFICATE, certificate, &mut canonical);
    }
    let outline = Outline::read(der);
    let mut index_keys = raw_keys(&outline.names);
    index_keys.extend(claim_keys(&outline.claims));
    let seconds = |time: UnixSeconds| time.0;
    let signer = Signer {
        key_hash: sha256(&canonical),
        spki_sha256: outline.public_key_info.map(sha256),
        fingerprints: Vec::new(),
        certificate: Some(CertificateSummary {
            sha256: sha256(der),
            serial: outline.serial.map(digits),
            issuer: outline.claims.issuer,
            extensions: outline.extensions,
            not_before: outline.not_before.map(seconds),
            not_after: outline.not_after.map(seconds),
        }),
        names: outline.names,
    };
    (signer, index_keys)
}

fn of_key<K: Key>(key: &[u8]) -> (Signer, Vec<String>) {
    let work = &mut Work::of_request(key.len());
    match K::parse(key, work) {
        Ok(parsed) if !work.is_exhausted() => {
            let signer = Signer {
                key_hash: key_hash(&parsed),
                fingerprints: parsed.fingerprints(),
                names: parsed.subjects().to_vec(),
                ..Signer::default()
            };
            (signer, raw_keys(parsed.subjects()))
        }
        _ => (unread(key), Vec::new()),
    }
}

/// A key that cannot be read. Leaf bytes hold keys in their canonical form, so that its hash is
/// most likely the search key.
fn unread(key: &[u8]) -> Signer {
    Signer {
        key_hash: sha256(key),
        ..Signer::default()
    }
}

fn digits(number: &[u8]) -> String {
    let text = hex::encode(number);
    match text.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => digits.to_owned(),
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(tlog::sha256(bytes).0)
}
