//! `hashedrekord` 0.0.1: a signature over a digest that the client gives, by a key in x509 format.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::{Canonical, Kind, Proposal, Purpose};
use crate::digest::{Digest, HashAlgorithm};
use crate::member::{Member, Members, Object, Text, decode_base64, ignore};
use crate::public_key::SignatureError;
use crate::refusal::Refusal;
use crate::x509::{Key, VerifyError};

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
    fn check(self: Box<Self>, purpose: Purpose<'_>) -> Result<Canonical, Refusal> {
        // The order of Rekor's checks, so that of several faults the same one is named.
        let key = self.key()?;
        let digest = self.digest()?;
        key.verify_digest(&digest, &self.signature).map_err(|error| match error {
            VerifyError::Signature(SignatureError::NotAllowed) => Refusal::invalid(SignatureError::NotAllowed),
            error => Refusal::Invalid(format!("verifying signature: {error}")),
        })?;
        if let Purpose::Insert(policy) = purpose
            && !policy.admits(key.public_key().kind(), digest.algorithm())
        {
            return Err(Refusal::invalid(SignatureError::NotAllowed));
        }
        Ok(Canonical { leaf_bytes: self.leaf_bytes(&key), index_keys: index_keys(&key, &self) })
    }
}

impl Spec {
    fn from_json(spec: &RawValue) -> Result<Self, Refusal> {
        let Member(members) = serde_json::from_str::<Member<Object<SpecMembers<'_>>>>(spec.get())
            .map_err(|error| Refusal::Json(error.to_string()))?;
        let SpecMembers { signature, data } = members.map(|Object(members)| members).unwrap_or_default();
        // Base64 is decoded before anything is found to be missing.
        let signature = signature.0.map(|Object(signature)| signature.decode()).transpose()?;
        // `data` without a `hash` is no data.
        let hash = data.0.and_then(|Object(data)| data.hash.0).map(|Object(hash)| hash.validate());
        let (signature, hash) = match (signature, hash) {
            (Some(signature), Some(Ok(hash))) => (signature, hash),
            (signature, hash) => {
                let mut list = "validation failure list:".to_owned();
                match hash {
                    None => list += "\ndata in body is required",
                    Some(Err(fault)) => list = list + "\ndata.data.hash.data.hash." + fault,
                    Some(Ok(_)) => {}
                }
                if signature.is_none() {
                    list += "\nsignature in body is required";
                }
                return Err(Refusal::Invalid(list));
            }
        };
        let (signature, public_key) = signature;
        let (algorithm, value) = hash;
        Ok(Self { signature, public_key, algorithm, value })
    }

    fn key(&self) -> Result<Key, Refusal> {
        match &self.public_key {
            Some(pem) => Key::from_pem(pem),
            None => Err(Refusal::Invalid("missing public key".to_owned())),
        }
    }

    fn digest(&self) -> Result<Digest, Refusal> {
        Digest::from_hex(self.algorithm, &self.value).map_err(Refusal::invalid)
    }

    /// Members are in the order of RFC 8785, and no value needs an escape: base64, hexadecimal digits, a known name.
    fn leaf_bytes(&self, key: &Key) -> Vec<u8> {
        let mut leaf =
            String::with_capacity(256 + self.value.len() + (self.signature.len() + key.canonical().len()) / 2 * 3);
        leaf += r#"{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":""#;
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
    let mut keys = vec![tlog::sha256(key.canonical()).to_string()];
    keys.extend_from_slice(key.subjects());
    keys.push(format!("{}:{}", spec.algorithm.name(), spec.value));
    keys
}

#[derive(Default)]
struct SpecMembers<'a> {
    signature: Member<Object<SignatureMembers<'a>>>,
    data: Member<Object<DataMembers<'a>>>,
}

#[derive(Default)]
struct SignatureMembers<'a> {
    content: Member<Text<'a>>,
    public_key: Member<Object<PublicKeyMembers<'a>>>,
}

#[derive(Default)]
struct PublicKeyMembers<'a> {
    content: Member<Text<'a>>,
}

#[derive(Default)]
struct DataMembers<'a> {
    hash: Member<Object<HashMembers<'a>>>,
}

#[derive(Default)]
struct HashMembers<'a> {
    algorithm: Member<Text<'a>>,
    value: Member<Text<'a>>,
}

impl SignatureMembers<'_> {
    /// The signature, and the key if there is a `publicKey`.
    fn decode(&self) -> Result<(Vec<u8>, Option<Vec<u8>>), Refusal> {
        let text = |member: &Member<Text<'_>>, what| {
            member.0.as_ref().map_or(Ok(Vec::new()), |Text(text)| decode_base64(what, text))
        };
        let signature = text(&self.content, "signature content")?;
        let key = self.public_key.0.as_ref().map(|Object(key)| text(&key.content, "public key content")).transpose()?;
        Ok((signature, key))
    }
}

impl HashMembers<'_> {
    /// The algorithm and the value, or what Rekor says of the first of them that is missing or wrong.
    fn validate(self) -> Result<(HashAlgorithm, String), &'static str> {
        let Text(algorithm) = self.algorithm.0.ok_or("algorithm in body is required")?;
        let algorithm =
            HashAlgorithm::from_name(&algorithm).ok_or("algorithm in body should be one of [sha256 sha384 sha512]")?;
        let Text(value) = self.value.0.ok_or("value in body is required")?;
        Ok((algorithm, value.into_owned()))
    }
}

impl<'de> Members<'de> for SpecMembers<'de> {
    fn read<A: MapAccess<'de>>(&mut self, name: &str, object: &mut A) -> Result<(), A::Error> {
        match name {
            "signature" => self.signature = object.next_value()?,
            "data" => self.data = object.next_value()?,
            _ => ignore(object)?,
        }
        Ok(())
    }
}

impl<'de> Members<'de> for SignatureMembers<'de> {
    fn read<A: MapAccess<'de>>(&mut self, name: &str, object: &mut A) -> Result<(), A::Error> {
        match name {
            "content" => self.content = object.next_value()?,
            "publicKey" => self.public_key = object.next_value()?,
            _ => ignore(object)?,
        }
        Ok(())
    }
}

impl<'de> Members<'de> for PublicKeyMembers<'de> {
    fn read<A: MapAccess<'de>>(&mut self, name: &str, object: &mut A) -> Result<(), A::Error> {
        match name {
            "content" => self.content = object.next_value()?,
            _ => ignore(object)?,
        }
        Ok(())
    }
}

impl<'de> Members<'de> for DataMembers<'de> {
    fn read<A: MapAccess<'de>>(&mut self, name: &str, object: &mut A) -> Result<(), A::Error> {
        match name {
            "hash" => self.hash = object.next_value()?,
            _ => ignore(object)?,
        }
        Ok(())
    }
}

impl<'de> Members<'de> for HashMembers<'de> {
    fn read<A: MapAccess<'de>>(&mut self, name: &str, object: &mut A) -> Result<(), A::Error> {
        match name {
            "algorithm" => self.algorithm = object.next_value()?,
            "value" => self.value = object.next_value()?,
            _ => ignore(object)?,
        }
        Ok(())
    }
}
