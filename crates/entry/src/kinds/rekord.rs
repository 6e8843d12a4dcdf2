//! `rekord` 0.0.1: a signature over an artifact that the client sends along, in one of four
//! formats.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use crate::kind::{Canonical, Kind, Proposal, Purpose, Weight};
use crate::member::Member;
use crate::parts::{KeyFormat, Parts, text_at};
use crate::refusal::Refusal;
use crate::search;
use pki::Work;
use pki::x509;
use pki::{Key, minisign, pgp, ssh};

/// `rekord:0.0.1`.
pub(super) struct V001;

impl Kind for V001 {
    fn tag(&self) -> &'static str {
        "rekord:0.0.1"
    }

    fn weight(&self) -> Weight {
        Weight::Heavy
    }

    fn decode(&self, spec: &RawValue) -> Result<Box<dyn Proposal>, Refusal> {
        Ok(Box::new(Spec::from_json(spec)?))
    }

    fn index_keys_of_leaf(&self, spec: &RawValue) -> Result<Option<Vec<String>>, Refusal> {
        let spec = Spec::from_json(spec)?;
        let hash = spec
            .hash
            .as_deref()
            .ok_or_else(|| Refusal::Invalid("missing data hash".to_owned()))?;
        let work = &mut Work::of_accepted();
        Ok(Some(match spec.format {
            Format::Pgp => index_keys(&pgp::Key::parse(&spec.public_key, work)?, hash),
            Format::Minisign => index_keys(&minisign::Key::parse(&spec.public_key, work)?, hash),
            Format::X509 => index_keys(&x509::Key::parse(&spec.public_key, work)?, hash),
            Format::Ssh => index_keys(&ssh::Key::parse(&spec.public_key, work)?, hash),
        }))
    }

    fn parts_of_leaf(&self, spec: &RawValue) -> Parts {
        let parts = Parts::new().with_digest(spec, &["data", "hash"]);
        let format = text_at(Member::of(spec), &["signature", "format"]);
        match format.as_deref().and_then(Format::from_name) {
            Some(format) => parts.with_key(
                spec,
                format.key_format(),
                &["signature", "publicKey", "content"],
            ),
            None => parts,
        }
    }
}

/// A format of signature and key.
#[derive(Clone, Copy)]
enum Format {
    Pgp,
    Minisign,
    X509,
    Ssh,
}

impl Format {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "pgp" => Some(Self::Pgp),
            "minisign" => Some(Self::Minisign),
            "x509" => Some(Self::X509),
            "ssh" => Some(Self::Ssh),
            _ => None,
        }
    }

    fn key_format(self) -> KeyFormat {
        match self {
            Self::Pgp => KeyFormat::Pgp,
            Self::Minisign => KeyFormat::Minisign,
            Self::X509 => KeyFormat::Pem,
            Self::Ssh => KeyFormat::Ssh,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Pgp => "pgp",
            Self::Minisign => "minisign",
            Self::X509 => "x509",
            Self::Ssh => "ssh",
        }
    }
}

/// A spec whose fields are all there and in range.
struct Spec {
    format: Format,
    signature: Vec<u8>,
    public_key: Vec<u8>,
    /// The artifact; empty where only its hash is given.
    content: Vec<u8>,
    /// 64 hexadecimal digits, as written.
    hash: Option<String>,
}

impl Proposal for Spec {
    fn check(self: Box<Self>, purpose: Purpose<'_>, work: &mut Work) -> Result<Canonical, Refusal> {
        if let Purpose::Insert { .. } = purpose
            && self.content.is_empty()
        {
            return Err(Refusal::Invalid(
                "entry not insertable into log: missing data content".to_owned(),
            ));
        }
        work.take_hashing(self.content.len())?;
        let computed = tlog::sha256(&self.content).to_string();
        if let Some(given) = &self.hash
            && *given != computed
        {
            return Err(Refusal::Invalid(format!(
                "SHA mismatch: {computed} != {given}"
            )));
        }
        match self.format {
            Format::Pgp => self.check_format::<pgp::Signature>(&computed, purpose, work),
            Format::Minisign => self.check_format::<minisign::Signature>(&computed, purpose, work),
            Format::X509 => self.check_format::<x509::Signature>(&computed, purpose, work),
            Format::Ssh => self.check_format::<ssh::Signature>(&computed, purpose, work),
        }
    }
}

impl Spec {
    fn from_json(spec: &RawValue) -> Result<Self, Refusal> {
        let [signature, data] = Member::of(spec)
            .object(["signature", "data"])?
            .unwrap_or_default();
        // Base64 is decoded before anything is found to be missing.
        let signature = SignatureFields::of(signature)?;
        let data = DataFields::of(data)?;
        validate(signature.as_ref(), data.as_ref())?;

        let invalid = |what: &str| Refusal::Invalid(what.to_owned());
        let (Some(signature), Some(data)) = (signature, data) else {
            return Err(invalid("missing signature or data"));
        };
        let format = signature.format.as_deref().and_then(Format::from_name);
        let hash = data.value.map(Cow::into_owned);
        match &hash {
            Some(hash)
                if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
            {
                return Err(invalid("invalid value for hash"));
            }
            None if data.content.is_empty() => {
                return Err(invalid("'content' must be specified for data"));
            }
            _ => {}
        }
        Ok(Self {
            format: format.ok_or_else(|| invalid("missing signature format"))?,
            signature: signature.content,
            public_key: signature
                .public_key
                .ok_or_else(|| invalid("missing public key"))?,
            content: data.content,
            hash,
        })
    }

    fn check_format<S: pki::Signature>(
        &self,
        hash: &str,
        purpose: Purpose<'_>,
        work: &mut Work,
    ) -> Result<Canonical, Refusal> {
        let signature = S::parse(&self.signature)?;
        let key: S::Key = purpose.parse_key(&self.public_key, work)?;
        purpose.admit_leaf_with(key.canonical().len() + signature.canonical().len())?;
        signature.verify(&self.content, &key, work)?;
        Ok(Canonical {
            leaf_bytes: self.leaf_bytes(&signature, &key, hash),
            index_keys: index_keys(&key, hash),
            attestation: None,
            packages: Vec::new(),
        })
    }

    /// Members are in the order of RFC 8785, and no value needs an escape: base64, hexadecimal
    /// digits, a known name.
    fn leaf_bytes<S: pki::Signature>(&self, signature: &S, key: &S::Key, hash: &str) -> Vec<u8> {
        let (signature, key) = (signature.canonical(), key.canonical());
        let mut leaf = String::with_capacity(320 + (signature.len() + key.len()) / 2 * 3);
        leaf += r#"{"apiVersion":"0.0.1","kind":"rekord","spec":{"data":{"hash":{"algorithm":"sha256","value":""#;
        leaf += hash;
        leaf += r#""}},"signature":{"content":""#;
        STANDARD.encode_string(signature, &mut leaf);
        leaf += r#"","format":""#;
        leaf += self.format.name();
        leaf += r#"","publicKey":{"content":""#;
        STANDARD.encode_string(key, &mut leaf);
        leaf += r#""}}}}"#;
        leaf.into_bytes()
    }
}

/// The key's hash (without a prefix), its names, the artifact's hash.
fn index_keys(key: &impl Key, hash: &str) -> Vec<String> {
    let mut keys = vec![search::key_hash(key)];
    keys.extend(search::key_names(key));
    keys.push(format!("sha256:{hash}"));
    keys
}

/// The members of `signature`. `content` is empty if it is absent.
struct SignatureFields<'a> {
    format: Option<Cow<'a, str>>,
    content: Vec<u8>,
    public_key: Option<Vec<u8>>,
}

impl<'a> SignatureFields<'a> {
    fn of(signature: Member<'a>) -> Result<Option<Self>, Refusal> {
        let Some([format, content, public_key]) =
            signature.object(["format", "content", "publicKey"])?
        else {
            return Ok(None);
        };
        let (format, content) = (format.text()?, content.base64("signature content")?);
        let public_key = public_key.object(["content"])?;
        let public_key = public_key
            .map(|[content]| content.base64("signature publicKey content"))
            .transpose()?;
        Ok(Some(Self {
            format,
            content,
            public_key,
        }))
    }

    fn add_faults(&self, faults: &mut Vec<&str>) {
        if self.content.is_empty() {
            faults.push("signature.signature.content in body is required");
        }
        match self.format.as_deref() {
            None => faults.push("signature.signature.format in body is required"),
            Some(format) if Format::from_name(format).is_none() => {
                faults.push(
                    "signature.signature.format in body should be one of [pgp minisign x509 ssh]",
                );
            }
            Some(_) => {}
        }
        match &self.public_key {
            None => faults.push("signature.signature.publicKey in body is required"),
            Some(content) if content.is_empty() => {
                faults.push(
                    "signature.signature.publicKey.signature.publicKey.content in body is required",
                );
            }
            Some(_) => {}
        }
    }
}

/// The members of `data`. `content` is empty if it is absent.
struct DataFields<'a> {
    has_hash: bool,
    algorithm: Option<Cow<'a, str>>,
    value: Option<Cow<'a, str>>,
    content: Vec<u8>,
}

impl<'a> DataFields<'a> {
    fn of(data: Member<'a>) -> Result<Option<Self>, Refusal> {
        let Some([hash, content]) = data.object(["hash", "content"])? else {
            return Ok(None);
        };
        let hash = hash.object(["algorithm", "value"])?;
        let has_hash = hash.is_some();
        let [algorithm, value] = hash.unwrap_or_default();
        let (algorithm, value) = (algorithm.text()?, value.text()?);
        Ok(Some(Self {
            has_hash,
            algorithm,
            value,
            content: content.base64("data content")?,
        }))
    }

    fn add_faults(&self, faults: &mut Vec<&str>) {
        if !self.has_hash {
            return;
        }
        match self.algorithm.as_deref() {
            None => faults.push("data.data.hash.data.hash.algorithm in body is required"),
            Some("sha256") => {}
            Some(_) => {
                faults.push("data.data.hash.data.hash.algorithm in body should be one of [sha256]")
            }
        }
        if self.value.is_none() {
            faults.push("data.data.hash.data.hash.value in body is required");
        }
    }
}

/// Checks the fields as Rekor does: all faults are in one message.
fn validate(
    signature: Option<&SignatureFields<'_>>,
    data: Option<&DataFields<'_>>,
) -> Result<(), Refusal> {
    let mut faults = vec!["validation failure list:"];
    match data {
        Some(data) => data.add_faults(&mut faults),
        None => faults.push("data in body is required"),
    }
    match signature {
        Some(signature) => signature.add_faults(&mut faults),
        None => faults.push("signature in body is required"),
    }
    match faults.len() {
        1 => Ok(()),
        _ => Err(Refusal::Invalid(faults.join("\n"))),
    }
}
