//! Where the keys and digests of an entry are in its leaf bytes.
//!
//! Each kind names the places, and everything is read leniently: leaf bytes may come from another
//! log, whose rules were others.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use serde_json::value::RawValue;

use crate::member::Member;
use pki::base64::decode_standard_base64;

/// Signatures of one entry. As many do not fit into a megabyte of leaf bytes.
const MAX_SIGNATURES: usize = 4_096;

/// Base64 of ProtoJSON, with or without padding.
const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The form in which a leaf holds a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFormat {
    /// PEM of a public key, a certificate or a chain.
    Pem,
    /// DER of a `SubjectPublicKeyInfo`.
    PublicKeyDer,
    /// DER of one certificate.
    CertificateDer,
    Pgp,
    Minisign,
    Ssh,
    /// The root of a TUF repository.
    Tuf,
}

/// How entries of a kind are found by the hash of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum KeyIndex {
    /// By the hash in hexadecimal digits, and by the names in the key.
    #[default]
    Hash,
    /// Also by the hash after `sha256:`.
    HashTwice,
    /// Neither by the hash nor by names.
    None,
}

/// The parts of leaf bytes that say what was signed, and by whom.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) keys: Vec<(KeyFormat, Vec<u8>)>,
    /// `<algorithm>:<hexadecimal digits>`; index keys, too.
    pub(crate) digests: Vec<String>,
    pub(crate) key_index: KeyIndex,
    /// Further index keys.
    pub(crate) index_keys: Vec<String>,
}

impl Parts {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn indexed_by(self, key_index: KeyIndex) -> Self {
        Self { key_index, ..self }
    }

    /// Adds the digest `{"algorithm":…,"value":…}` at `path`.
    pub(crate) fn with_digest(mut self, spec: &RawValue, path: &[&str]) -> Self {
        let hash = member_at(Member::of(spec), path);
        let algorithm = text_at(hash, &["algorithm"]);
        if let (Some(algorithm), Some(value)) = (algorithm, text_at(hash, &["value"])) {
            self.digests.push(format!("{algorithm}:{value}"));
        }
        self
    }

    pub(crate) fn with_digests(mut self, digests: Vec<String>) -> Self {
        self.digests.extend(digests);
        self
    }

    /// Adds the digest `{"algorithm":"SHA2_256","digest":…}` at `path`, as leaf bytes of Rekor v2
    /// have it.
    pub(crate) fn with_v2_digest(mut self, spec: &RawValue, path: &[&str]) -> Self {
        let hash = member_at(Member::of(spec), path);
        let algorithm = text_at(hash, &["algorithm"]);
        let algorithm = algorithm.as_deref().and_then(|name| match name {
            "SHA2_256" => Some("sha256"),
            "SHA2_384" => Some("sha384"),
            "SHA2_512" => Some("sha512"),
            _ => None,
        });
        if let (Some(algorithm), Some(digest)) = (algorithm, bytes_at(hash, &["digest"])) {
            let digits = hex::encode(digest);
            self.digests.push(format!("{algorithm}:{digits}"));
        }
        self
    }

    /// Adds the key whose base64 is at `path`.
    pub(crate) fn with_key(self, spec: &RawValue, format: KeyFormat, path: &[&str]) -> Self {
        match bytes_at(Member::of(spec), path) {
            Some(key) => self.with_key_bytes(format, key),
            None => self,
        }
    }

    /// Adds the key in the member `name` of each element of the list at `path`.
    pub(crate) fn with_keys(
        mut self,
        spec: &RawValue,
        format: KeyFormat,
        path: &[&str],
        name: &str,
    ) -> Self {
        for element in elements_at(spec, path) {
            if let Some(key) = bytes_at(element, &[name]) {
                self = self.with_key_bytes(format, key);
            }
        }
        self
    }

    /// Adds the key or certificate of the verifier of Rekor v2 at `path`.
    pub(crate) fn with_v2_verifier(self, spec: &RawValue, path: &[&str]) -> Self {
        self.with_verifier(member_at(Member::of(spec), path))
    }

    /// Adds the verifier of each signature in the list at `path`.
    pub(crate) fn with_v2_verifiers(mut self, spec: &RawValue, path: &[&str]) -> Self {
        for element in elements_at(spec, path) {
            self = self.with_verifier(member_at(element, &["verifier"]));
        }
        self
    }

    fn with_verifier(mut self, verifier: Member<'_>) -> Self {
        for (name, format) in [
            ("publicKey", KeyFormat::PublicKeyDer),
            ("x509Certificate", KeyFormat::CertificateDer),
        ] {
            if let Some(key) = bytes_at(verifier, &[name, "rawBytes"]) {
                self = self.with_key_bytes(format, key);
            }
        }
        self
    }

    pub(crate) fn with_key_bytes(mut self, format: KeyFormat, key: Vec<u8>) -> Self {
        self.keys.push((format, key));
        self
    }

    pub(crate) fn with_certificates(mut self, certificates: Vec<&[u8]>) -> Self {
        for certificate in certificates {
            self = self.with_key_bytes(KeyFormat::CertificateDer, certificate.to_vec());
        }
        self
    }

    pub(crate) fn with_index_keys(mut self, keys: impl IntoIterator<Item = String>) -> Self {
        self.index_keys.extend(keys);
        self
    }
}

/// Returns the member at the end of a path of names; an absent one if anything on the way is no
/// object.
pub(crate) fn member_at<'a>(mut member: Member<'a>, path: &[&str]) -> Member<'a> {
    for name in path {
        let found = member.object([*name]).ok().flatten();
        member = found.map_or_else(Member::default, |[found]| found);
    }
    member
}

/// Returns the text at the end of a path.
pub(crate) fn text_at(member: Member<'_>, path: &[&str]) -> Option<String> {
    let text = member_at(member, path).text().ok().flatten()?;
    Some(text.into_owned())
}

/// Returns the bytes whose base64 is at the end of a path, of either alphabet. None if there are
/// no bytes.
pub(crate) fn bytes_at(member: Member<'_>, path: &[&str]) -> Option<Vec<u8>> {
    let text = text_at(member, path)?;
    let standard = decode_standard_base64(&text).ok();
    let bytes = standard.or_else(|| {
        let text = text.replace('-', "+").replace('_', "/");
        ANY_PADDING.decode(text).ok()
    })?;
    (!bytes.is_empty()).then_some(bytes)
}

fn elements_at<'a>(spec: &'a RawValue, path: &[&str]) -> Vec<Member<'a>> {
    let list = member_at(Member::of(spec), path);
    let elements = list.elements("signatures", MAX_SIGNATURES);
    elements.ok().flatten().unwrap_or_default()
}
