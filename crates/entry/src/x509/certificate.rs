//! Certificates, as far as a log reads them.

use std::time::Duration;

use const_oid::AssociatedOid;
use der::asn1::{BitStringRef, IntRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Header, Reader, SliceReader, Tag, TagMode, TagNumber};
use spki::AlgorithmIdentifierRef;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectAltName};
use x509_cert::time::Validity;

use super::subjects::{self, Subjects};
use crate::public_key::{KeyError, PublicKey};

/// A certificate, borrowed from its DER. Nothing is verified.
pub(super) struct Certificate<'a> {
    /// What the issuer signed: the element `tbsCertificate`.
    pub(super) signed: &'a [u8],
    pub(super) signature_algorithm: AlgorithmIdentifierRef<'a>,
    pub(super) signature: &'a [u8],
    pub(super) version: Version,
    /// Distinguished names as encoded; they are compared byte by byte.
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    /// Since 1970, the ends included.
    pub(super) not_before: Duration,
    pub(super) not_after: Duration,
    pub(super) public_key_info: &'a [u8],
    /// An unknown algorithm does no harm to a certificate that signs nothing.
    pub(super) public_key: Result<PublicKey, KeyError>,
    pub(super) extensions: Vec<Extension<'a>>,
    pub(super) basic_constraints: Option<BasicConstraints>,
    pub(super) key_usage: Option<KeyUsage>,
    /// Names of the subject alternative name, in the order of [`subjects::read`].
    pub(super) subjects: Vec<String>,
    /// Whether the subject alternative name has a DNS name, e-mail address, IP address or URI.
    pub(super) has_ordinary_names: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) enum Version {
    V1,
    V2,
    V3,
}

pub(super) struct Extension<'a> {
    pub(super) id: ObjectIdentifier,
    pub(super) critical: bool,
    pub(super) value: &'a [u8],
}

/// Why DER is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CertificateError {
    #[error("x509: malformed certificate: {0}")]
    Malformed(#[from] der::Error),
    #[error("x509: malformed certificate: {0}")]
    Not(&'static str),
    #[error("x509: {0}")]
    Key(KeyError),
}

impl<'a> Certificate<'a> {
    /// Parses RFC 5280 section 4.1 with the leniency of Go, which other readers of the log use: what follows the
    /// fields that a version has is not looked at.
    pub(super) fn from_der(der: &'a [u8]) -> Result<Self, CertificateError> {
        let mut outer = SliceReader::new(der)?;
        let mut certificate = contents(&mut outer, Tag::Sequence)?;
        outer.finish()?;
        let signed = certificate.tlv_bytes()?;
        let outer_algorithm = certificate.tlv_bytes()?;
        let signature = BitStringRef::decode(&mut certificate)?;

        let mut element = SliceReader::new(signed)?;
        let mut fields = contents(&mut element, Tag::Sequence)?;
        let version = version(&mut fields)?;
        if IntRef::decode(&mut fields)?.as_bytes().first().is_some_and(|first| *first >= 0x80) {
            return Err(CertificateError::Not("negative serial number"));
        }
        if fields.tlv_bytes()? != outer_algorithm {
            return Err(CertificateError::Not("inner and outer signature algorithm identifiers don't match"));
        }
        let issuer = fields.tlv_bytes()?;
        let validity = Validity::<x509_cert::certificate::Rfc5280>::decode(&mut fields)?;
        let subject = fields.tlv_bytes()?;
        let public_key_info = fields.tlv_bytes()?;
        let public_key = match PublicKey::from_spki(public_key_info) {
            Err(error @ (KeyError::Malformed | KeyError::UnknownCurve)) => return Err(CertificateError::Key(error)),
            other => other,
        };
        let extensions = extensions(version, &mut fields)?;
        let names = match find(&extensions, SubjectAltName::OID) {
            Some(extension) => subjects::read(extension.value)?,
            None => Subjects::default(),
        };
        Ok(Self {
            signed,
            signature_algorithm: AlgorithmIdentifierRef::from_der(outer_algorithm)?,
            signature: signature.as_bytes().ok_or(CertificateError::Not("signature is not whole bytes"))?,
            version,
            issuer,
            subject,
            not_before: validity.not_before.to_unix_duration(),
            not_after: validity.not_after.to_unix_duration(),
            public_key_info,
            public_key,
            basic_constraints: decode(&extensions)?,
            key_usage: decode(&extensions)?,
            has_ordinary_names: !names.ordinary.is_empty(),
            subjects: names.ordinary.into_iter().chain(names.other).collect(),
            extensions,
        })
    }

    /// The extension with this identifier.
    pub(super) fn extension(&self, id: ObjectIdentifier) -> Option<&Extension<'a>> {
        find(&self.extensions, id)
    }
}

/// The contents of the next element, which has to have this tag.
pub(super) fn contents<'a>(reader: &mut SliceReader<'a>, tag: Tag) -> der::Result<SliceReader<'a>> {
    let header = Header::decode(reader)?;
    header.tag().assert_eq(tag)?;
    SliceReader::new(reader.read_slice(header.length())?)
}

fn version(fields: &mut SliceReader<'_>) -> Result<Version, CertificateError> {
    match fields.context_specific::<u8>(TagNumber(0), TagMode::Explicit)? {
        None | Some(0) => Ok(Version::V1),
        Some(1) => Ok(Version::V2),
        Some(2) => Ok(Version::V3),
        Some(_) => Err(CertificateError::Not("invalid version")),
    }
}

fn extensions<'a>(version: Version, fields: &mut SliceReader<'a>) -> Result<Vec<Extension<'a>>, CertificateError> {
    let mut extensions: Vec<Extension<'a>> = Vec::new();
    if version != Version::V3 {
        return Ok(extensions);
    }
    for number in [TagNumber(1), TagNumber(2)] {
        skip(fields, Tag::ContextSpecific { constructed: false, number })?;
    }
    let tag = Tag::ContextSpecific { constructed: true, number: TagNumber(3) };
    if fields.is_finished() || Tag::peek(fields)? != tag {
        return Ok(extensions);
    }
    let mut list = contents(&mut contents(fields, tag)?, Tag::Sequence)?;
    while !list.is_finished() {
        let mut fields = contents(&mut list, Tag::Sequence)?;
        let id = ObjectIdentifier::decode(&mut fields)?;
        let critical = Tag::peek(&fields)? == Tag::Boolean && bool::decode(&mut fields)?;
        let value = <&OctetStringRef>::decode(&mut fields)?.as_bytes();
        if find(&extensions, id).is_some() {
            return Err(CertificateError::Not("duplicate extension"));
        }
        extensions.push(Extension { id, critical, value });
    }
    Ok(extensions)
}

/// Reads over the next element if it has this tag.
fn skip(reader: &mut SliceReader<'_>, tag: Tag) -> der::Result<()> {
    if !reader.is_finished() && Tag::peek(reader)? == tag {
        reader.tlv_bytes()?;
    }
    Ok(())
}

fn find<'e, 'a>(extensions: &'e [Extension<'a>], id: ObjectIdentifier) -> Option<&'e Extension<'a>> {
    extensions.iter().find(|extension| extension.id == id)
}

fn decode<'a, T: AssociatedOid + Decode<'a, Error = der::Error>>(
    extensions: &[Extension<'a>],
) -> der::Result<Option<T>> {
    find(extensions, T::OID).map(|extension| T::from_der(extension.value)).transpose()
}
