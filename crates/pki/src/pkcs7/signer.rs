//! `SignerInfo`: one signature, and the time stamp of it.

use aws_lc_rs::digest::{self, Digest};

use crate::work::Work;
use crate::x509::certificate::Certificate;
use crate::x509::der::{
    Element, Elements, GENERALIZED_TIME, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, UTC_TIME,
    constructed,
};

use super::algorithm::Identifier;
use super::error::SignerError;
use super::{SignedData, element, only};

// Identifiers of attributes: `messageDigest`, `signingTime` and `countersignature` (PKCS#9),
// `timeStampToken` (RFC 3161), and what Authenticode has in its place.
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
const SIGNING_TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 5];
const COUNTERSIGNATURE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 6];
const TIME_STAMP_TOKEN: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 14];
const MICROSOFT_TIME_STAMP: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 3, 3, 1];

pub(super) struct Signer<'a> {
    pub(super) whole: &'a [u8],
    issuer: &'a [u8],
    serial: &'a [u8],
    digest_algorithm: Identifier<'a>,
    /// The contents of `signedAttrs`. Empty if they are absent: then the content itself is signed.
    signed_attributes: &'a [u8],
    signature_algorithm: Identifier<'a>,
    signature: &'a [u8],
    unsigned_attributes: &'a [u8],
}

impl<'a> Signer<'a> {
    pub(super) fn read(element: &Element<'a>) -> Option<Self> {
        let mut fields = Elements(element.contents);
        fields.small_integer().filter(|_| element.tag == SEQUENCE)?;
        let mut id = fields.inside(SEQUENCE)?;
        let (issuer, serial) = (id.read(SEQUENCE)?, id.integer()?);
        let digest_algorithm = Identifier::read(&fields.any()?)?;
        let signed_attributes = fields.optional(constructed(0))?.unwrap_or_default();
        let signature_algorithm = Identifier::read(&fields.any()?)?;
        let signature = fields.read(OCTET_STRING)?;
        let unsigned_attributes = fields.optional(constructed(1))?.unwrap_or_default();
        let is_whole = id.is_empty()
            && fields.is_empty()
            && are_attributes(signed_attributes)
            && are_attributes(unsigned_attributes);
        is_whole.then_some(Self {
            whole: element.whole,
            issuer,
            serial,
            digest_algorithm,
            signed_attributes,
            signature_algorithm,
            signature,
            unsigned_attributes,
        })
    }

    /// Checks the signature over `content` by the certificate that it names. Returns the position
    /// of that certificate.
    pub(super) fn verify(
        &self,
        content: &[u8],
        certificates: &[Certificate<'_>],
        work: &mut Work,
    ) -> Result<usize, SignerError> {
        // RFC 5652 section 5.4: the digest of the content, or of the attributes as a set, of which
        // it is one.
        let hash = self.digest_algorithm.hash().ok_or(SignerError::Hash)?;
        work.take_hashing(content.len() + self.signed_attributes.len())?;
        let mut signed = digest::digest(hash, content);
        if !self.signed_attributes.is_empty() {
            let claimed =
                attribute(self.signed_attributes, MESSAGE_DIGEST).ok_or(SignerError::NoDigest)?;
            if only(claimed, OCTET_STRING) != Some(signed.as_ref()) {
                return Err(SignerError::OtherDigest);
            }
            signed = digest::digest(hash, &element(SET, &[self.signed_attributes]));
        }
        // Section 5.6, without a look at whether the certificate is valid.
        let at = certificates
            .iter()
            .position(|certificate| {
                certificate.issuer == self.issuer && certificate.serial == self.serial
            })
            .ok_or_else(|| SignerError::NoCertificate(hex::encode(self.serial)))?;
        self.signature_algorithm
            .verify(&signed, self.signature, &certificates[at], work)?;
        Ok(at)
    }

    /// Checks the time stamp of this signature, if it has one: by a token (RFC 3161), which has
    /// certificates of its own, or by a countersignature.
    pub(super) fn verify_time(
        &self,
        certificates: &[Certificate<'_>],
        work: &mut Work,
    ) -> Result<(), SignerError> {
        let token = attribute(self.unsigned_attributes, TIME_STAMP_TOKEN)
            .or_else(|| attribute(self.unsigned_attributes, MICROSOFT_TIME_STAMP));
        if let Some(token) = token {
            return self.verify_token(token, certificates, work);
        }
        let Some(countersignature) = attribute(self.unsigned_attributes, COUNTERSIGNATURE) else {
            return Ok(());
        };
        let mut elements = Elements(countersignature);
        let signer = elements
            .any()
            .and_then(|element| Signer::read(&element))
            .filter(|_| elements.is_empty());
        let signer = signer.ok_or(SignerError::MalformedTime)?;
        signer
            .verify(self.signature, certificates, work)
            .map_err(|error| SignerError::Time(Box::new(error)))?;
        let mut time =
            Elements(attribute(signer.signed_attributes, SIGNING_TIME).unwrap_or_default());
        let is_time = time
            .any()
            .is_some_and(|time| matches!(time.tag, UTC_TIME | GENERALIZED_TIME));
        is_time.then_some(()).ok_or(SignerError::MalformedTime)
    }

    fn verify_token(
        &self,
        token: &[u8],
        certificates: &[Certificate<'_>],
        work: &mut Work,
    ) -> Result<(), SignerError> {
        let token = only(token, SEQUENCE)
            .and_then(|content_info| SignedData::from_content_info(content_info).ok())
            .ok_or(SignerError::MalformedTime)?;
        let [signer] = &token.signers[..] else {
            return Err(SignerError::TimeSigners);
        };
        let info = token.content.ok_or(SignerError::MalformedTime)?;
        let (hash, imprint) = imprint(info).ok_or(SignerError::MalformedTime)?;
        if imprint_of(self.signature, hash)?.as_ref() != imprint {
            return Err(SignerError::Imprint);
        }
        // The stamper's certificate may be in either structure. Certificates that cannot be read
        // are skipped.
        let own = token
            .certificates()
            .map_err(|_| SignerError::MalformedTime)?;
        let own: Vec<Certificate<'_>> = own
            .into_iter()
            .filter_map(|der| Certificate::from_der(der).ok())
            .collect();
        let stamped = match signer.verify(info, certificates, work) {
            Err(SignerError::NoCertificate(_)) => signer.verify(info, &own, work),
            other => other,
        };
        stamped
            .map(drop)
            .map_err(|error| SignerError::Time(Box::new(error)))
    }
}

fn are_attributes(contents: &[u8]) -> bool {
    let mut attributes = Elements(contents);
    while !attributes.is_empty() {
        let Some(mut attribute) = attributes.inside(SEQUENCE) else {
            return false;
        };
        if attribute.object_identifier().is_none()
            || attribute.read(SET).is_none()
            || !attribute.is_empty()
        {
            return false;
        }
    }
    true
}

/// Returns the set of values of the first attribute of this kind. None if it is absent.
fn attribute<'a>(attributes: &'a [u8], oid: &[u8]) -> Option<&'a [u8]> {
    let mut attributes = Elements(attributes);
    while !attributes.is_empty() {
        let mut attribute = attributes.inside(SEQUENCE)?;
        if attribute.read(OBJECT_IDENTIFIER)? == oid {
            return attribute.read(SET);
        }
    }
    None
}

/// Hash function and value of the `messageImprint` in a `TSTInfo`, which has a time as well (RFC
/// 3161 section 2.4.2).
fn imprint(info: &[u8]) -> Option<(Identifier<'_>, &[u8])> {
    let mut fields = Elements(only(info, SEQUENCE)?);
    fields.small_integer()?;
    fields.object_identifier()?;
    let mut imprint = fields.inside(SEQUENCE)?;
    let hash = Identifier::read(&imprint.any()?)?;
    let value = imprint.read(OCTET_STRING)?;
    fields.integer()?;
    fields.read(GENERALIZED_TIME)?;
    Some((hash, value))
}

fn imprint_of(signature: &[u8], hash: Identifier<'_>) -> Result<Digest, SignerError> {
    Ok(digest::digest(
        hash.hash().ok_or(SignerError::Hash)?,
        signature,
    ))
}
