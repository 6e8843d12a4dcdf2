//! `rfc3161` 0.0.1: the answer of a time-stamping authority, verified by the certificate in it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::hash::validated;
use crate::kind::{Canonical, Kind, Proposal, Purpose};
use crate::member::Member;
use crate::parts::{KeyIndex, Parts};
use crate::refusal::Refusal;
use pki::Work;
use pki::pkcs7::SignedData;
use pki::time_stamp;

/// Bytes of one answer, as in Rekor. That bounds its certificates and signers, too.
const MAX_BYTES: usize = 10 * 1024;

/// `rfc3161:0.0.1`.
pub(super) struct V001;

impl Kind for V001 {
    fn tag(&self) -> &'static str {
        "rfc3161:0.0.1"
    }

    fn decode(&self, spec: &RawValue) -> Result<Box<dyn Proposal>, Refusal> {
        Ok(Box::new(Spec::from_json(spec)?))
    }

    fn index_keys_of_leaf(&self, spec: &RawValue) -> Result<Option<Vec<String>>, Refusal> {
        Ok(Some(Spec::from_json(spec)?.index_keys()))
    }

    fn parts_of_leaf(&self, spec: &RawValue) -> Parts {
        let parts = Parts::new().indexed_by(KeyIndex::None);
        let Ok(spec) = Spec::from_json(spec) else {
            return parts;
        };
        parts
            .with_digests(spec.index_keys())
            .with_certificates(spec.certificates())
    }
}

/// A spec whose answer is there.
struct Spec {
    /// DER of a `TimeStampResp`.
    response: Vec<u8>,
}

impl Proposal for Spec {
    fn check(self: Box<Self>, _: Purpose<'_>, work: &mut Work) -> Result<Canonical, Refusal> {
        if self.response.len() > MAX_BYTES {
            return Err(Refusal::Invalid(
                "tsr exceeds maximum allowed size (10kB)".to_owned(),
            ));
        }
        let (status, token) = time_stamp::response(&self.response).ok_or_else(|| {
            Refusal::Invalid("asn1: structure error: not a time-stamp response".to_owned())
        })?;
        if !matches!(status, GRANTED | GRANTED_WITH_MODS) {
            return Err(Refusal::Invalid(format!(
                "tsr status not granted: {}",
                hex::encode(status)
            )));
        }
        let token = token.ok_or_else(|| Refusal::Invalid("tsr wrong content type: ".to_owned()))?;
        SignedData::from_content_info(token)
            .and_then(|signed| signed.verify_attached(work))
            .map_err(|error| Refusal::Invalid(format!("tsr verification error: {error}")))?;
        Ok(Canonical {
            leaf_bytes: self.leaf_bytes(),
            index_keys: self.index_keys(),
            attestation: None,
            packages: Vec::new(),
        })
    }
}

impl Spec {
    fn from_json(spec: &RawValue) -> Result<Self, Refusal> {
        let [tsr] = Member::of(spec).object(["tsr"])?.unwrap_or_default();
        let Some([content]) = tsr.object(["content"])? else {
            validated(vec!["tsr in body is required".to_owned()])?;
            return Err(Refusal::Invalid("missing tsr data".to_owned()));
        };
        let response = content.base64("tsr content")?;
        if response.is_empty() {
            validated(vec!["tsr.tsr.content in body is required".to_owned()])?;
        }
        Ok(Self { response })
    }

    /// Returns the certificates that the answer brings along, in DER.
    fn certificates(&self) -> Vec<&[u8]> {
        let token = time_stamp::response(&self.response).and_then(|(_, token)| token);
        let signed = token.and_then(|token| SignedData::from_content_info(token).ok());
        let certificates = signed.and_then(|signed| signed.certificates().ok());
        certificates.unwrap_or_default()
    }

    fn index_keys(&self) -> Vec<String> {
        vec![format!("sha256:{}", tlog::sha256(&self.response))]
    }

    fn leaf_bytes(&self) -> Vec<u8> {
        let mut leaf =
            r#"{"apiVersion":"0.0.1","kind":"rfc3161","spec":{"tsr":{"content":""#.to_owned();
        STANDARD.encode_string(&self.response, &mut leaf);
        leaf += r#""}}}"#;
        leaf.into_bytes()
    }
}

// Contents of `PKIStatus` (RFC 3161 section 2.4.2).
const GRANTED: &[u8] = &[0];
const GRANTED_WITH_MODS: &[u8] = &[1];
