//! `hashedrekord` 0.0.1: a signature over a digest that the client gives, by a key in x509 format.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use crate::kind::{Canonical, Kind, Proposal, Purpose};
use crate::member::Member;
use crate::parts::{KeyFormat, Parts};
use crate::refusal::Refusal;
use crate::search;
use pki::Work;
use pki::digest::{Digest, HashAlgorithm};
use pki::public_key::SignatureError;
use pki::x509::Key;

/// `hashedrekord:0.0.1`.
pub(super) struct V001;

impl Kind for V001 {
    fn tag(&self) -> &'static str {
        "hashedrekord:0.0.1"
    }

    fn decode(&self, spec: &RawValue) -> Result<Box<dyn Proposal>, Refusal> {
        Ok(Box::new(Spec::from_json(spec)?))
    }

    fn index_keys_of_leaf(&self, spec: &RawValue) -> Result<Option<Vec<String>>, Refusal> {
        let spec = Spec::from_json(spec)?;
        Ok(Some(index_keys(&spec.key()?, &spec)))
    }

    fn parts_of_leaf(&self, spec: &RawValue) -> Parts {
        Parts::new().with_digest(spec, &["data", "hash"]).with_key(
            spec,
            KeyFormat::Pem,
            &["signature", "publicKey", "content"],
        )
    }
}

/// A spec whose fields are all there and in range.
struct Spec {
    signature: Vec<u8>,
    /// PEM; absent where `publicKey` is.
    public_key: Option<Vec<u8>>,
    algorithm: HashAlgorithm,
    /// As written: leaf bytes keep the case.
    value: String,
}

impl Proposal for Spec {
    fn check(self: Box<Self>, purpose: Purpose<'_>, work: &mut Work) -> Result<Canonical, Refusal> {
        // The order of Rekor's checks, so that of several faults the same one is named.
        let key = self.key()?;
        let digest = self.digest()?;
        purpose.admit_leaf_with(key.canonical().len())?;
        key.verify_digest(&digest, &self.signature, work)
            .map_err(|error| match error {
                pki::Error::Signature(SignatureError::NotAllowed) => error.into(),
                error => Refusal::Invalid(format!("verifying signature: {error}")),
            })?;
        if let Purpose::Insert { algorithms, .. } = purpose
            && !algorithms.admits(key.public_key().kind(), digest.algorithm())
        {
            return Err(Refusal::invalid(SignatureError::NotAllowed));
        }
        Ok(Canonical {
            leaf_bytes: self.leaf_bytes(&key),
            index_keys: index_keys(&key, &self),
            attestation: None,
            packages: Vec::new(),
        })
    }
}

impl Spec {
    fn from_json(spec: &RawValue) -> Result<Self, Refusal> {
        let [signature, data] = Member::of(spec)
            .object(["signature", "data"])?
            .unwrap_or_default();
        // Base64 is decoded before anything is found to be missing.
        let signature = match signature.object(["content", "publicKey"])? {
            Some([content, public_key]) => {
                let content = content.base64("signature content")?;
                let public_key = public_key.object(["content"])?;
                Some((
                    content,
                    public_key
                        .map(|[content]| content.base64("public key content"))
                        .transpose()?,
                ))
            }
            None => None,
        };
        // `data` without a `hash` counts as absent.
        let [hash] = data.object(["hash"])?.unwrap_or_default();
        let hash = match hash.object(["algorithm", "value"])? {
            Some([algorithm, value]) => validate(algorithm.text()?, value.text()?),
            None => Err("data in body is required"),
        };
        match (signature, hash) {
            (Some((signature, public_key)), Ok((algorithm, value))) => Ok(Self {
                signature,
                public_key,
                algorithm,
                value,
            }),
            (signature, hash) => {
                let missing = signature
                    .is_none()
                    .then_some("signature in body is required");
                let faults: Vec<&str> = ["validation failure list:"]
                    .into_iter()
                    .chain(hash.err())
                    .chain(missing)
                    .collect();
                Err(Refusal::Invalid(faults.join("\n")))
            }
        }
    }

    fn key(&self) -> Result<Key, Refusal> {
        match &self.public_key {
            Some(pem) => Ok(Key::from_pem(pem)?),
            None => Err(Refusal::Invalid("missing public key".to_owned())),
        }
    }

    fn digest(&self) -> Result<Digest, Refusal> {
        Ok(Digest::from_hex(self.algorithm, &self.value)?)
    }

    /// Members are in the order of RFC 8785, and no value needs an escape: base64, hexadecimal
    /// digits, a known name.
    fn leaf_bytes(&self, key: &Key) -> Vec<u8> {
        let mut leaf = String::with_capacity(
            256 + self.value.len() + (self.signature.len() + key.canonical().len()) / 2 * 3,
        );
        leaf +=
            r#"{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":""#;
        leaf += self.algorithm.name();
        leaf += r#"","value":""#;
        leaf += &self.value;
        leaf += r#""}},"signature":{"content":""#;
        STANDARD.encode_string(&self.signature, &mut leaf);
        leaf += r#"","publicKey":{"content":""#;
        STANDARD.encode_string(key.canonical(), &mut leaf);
        leaf += r#""}}}}"#;
        leaf.into_bytes()
    }
}

/// The key's hash (without a prefix), the certificate's names, the digest.
fn index_keys(key: &Key, spec: &Spec) -> Vec<String> {
    let mut keys = vec![search::key_hash(key)];
    keys.extend(search::key_names(key));
    keys.push(format!("{}:{}", spec.algorithm.name(), spec.value));
    keys
}

/// Algorithm and value of a hash, or what Rekor says of the first of them that is missing or wrong.
fn validate(
    algorithm: Option<Cow<'_, str>>,
    value: Option<Cow<'_, str>>,
) -> Result<(HashAlgorithm, String), &'static str> {
    let algorithm = algorithm.ok_or("data.data.hash.data.hash.algorithm in body is required")?;
    let algorithm = HashAlgorithm::from_name(&algorithm).ok_or(
        "data.data.hash.data.hash.algorithm in body should be one of [sha256 sha384 sha512]",
    )?;
    let value = value.ok_or("data.data.hash.data.hash.value in body is required")?;
    Ok((algorithm, value.into_owned()))
}
