//! Certificates, as far as a log reads them.

use std::time::Duration;

use super::der::{Elements, INTEGER, SEQUENCE, constructed, context};
use super::error::CertificateError;
use super::extensions::Extensions;
use super::{name, time};
use crate::error::KeyError;
use crate::public_key::PublicKey;

/// A certificate, borrowed from its DER. Nothing is verified.
pub(crate) struct Certificate<'a> {
    /// The bytes that the issuer signed: the element `tbsCertificate`.
    pub(crate) signed: &'a [u8],
    /// The contents of `signatureAlgorithm`: an identifier and its parameters.
    pub(crate) signature_algorithm: &'a [u8],
    pub(crate) signature: &'a [u8],
    pub(crate) version: Version,
    /// Big-endian two's complement.
    pub(crate) serial: &'a [u8],
    /// Distinguished names as encoded; they are compared byte by byte.
    pub(crate) issuer: &'a [u8],
    pub(crate) subject: &'a [u8],
    /// Since 1970, the ends included.
    pub(crate) not_before: Duration,
    pub(crate) not_after: Duration,
    pub(crate) public_key_info: &'a [u8],
    /// An unknown algorithm does no harm to a certificate that signs nothing.
    pub(crate) public_key: Result<PublicKey, KeyError>,
    pub(crate) extensions: Extensions<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
    V3,
}

/// The fields of a certificate before any of them is looked into.
struct Parts<'a> {
    signed: &'a [u8],
    signature_algorithm: &'a [u8],
    signature: &'a [u8],
    version: Version,
    serial: &'a [u8],
    issuer: &'a [u8],
    validity: &'a [u8],
    subject: &'a [u8],
    public_key_info: &'a [u8],
    extensions: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Parses RFC 5280 section 4.1 with the leniency of Go, which other readers of the log use:
    /// what follows the fields that a version has is not looked at.
    pub(crate) fn from_der(der: &'a [u8]) -> Result<Self, CertificateError> {
        let parts = Parts::split(der).ok_or(CertificateError::Not(
            "its fields are not those of RFC 5280",
        ))?;
        if !name::is_well_formed(parts.issuer) || !name::is_well_formed(parts.subject) {
            return Err(CertificateError::Not("invalid RDNSequence"));
        }
        let mut validity = Elements(parts.validity);
        let (Some(not_before), Some(not_after)) =
            (time::read(&mut validity), time::read(&mut validity))
        else {
            return Err(CertificateError::Not("malformed validity"));
        };
        let public_key = match PublicKey::parse(parts.public_key_info) {
            Err(error @ (KeyError::Malformed | KeyError::UnknownCurve)) => {
                return Err(CertificateError::Key(error));
            }
            other => other,
        };
        Ok(Self {
            signed: parts.signed,
            signature_algorithm: parts.signature_algorithm,
            signature: parts.signature,
            version: parts.version,
            serial: parts.serial,
            issuer: parts.issuer,
            subject: parts.subject,
            not_before,
            not_after,
            public_key_info: parts.public_key_info,
            public_key,
            extensions: Extensions::read(parts.extensions)?,
        })
    }
}

impl<'a> Parts<'a> {
    fn split(der: &'a [u8]) -> Option<Self> {
        let mut outer = Elements(der);
        let mut certificate = outer.inside(SEQUENCE)?;
        let signed = certificate
            .any()
            .filter(|element| element.tag == SEQUENCE)?;
        let signature_algorithm = certificate.read(SEQUENCE)?;
        let (missing_bits, signature) = certificate.bit_string()?;

        let mut fields = Elements(signed.contents);
        let version = version(&mut fields)?;
        let serial = fields.integer()?;
        let inner_algorithm = fields.read(SEQUENCE)?;
        let issuer = fields.read(SEQUENCE)?;
        let validity = fields.read(SEQUENCE)?;
        let subject = fields.read(SEQUENCE)?;
        let public_key_info = fields
            .any()
            .filter(|element| element.tag == SEQUENCE)?
            .whole;
        let is_consistent = outer.is_empty()
            && missing_bits == 0
            && serial.first().is_some_and(|first| *first < 0x80)
            && inner_algorithm == signature_algorithm
            && is_algorithm(signature_algorithm);
        is_consistent.then_some(Self {
            signed: signed.whole,
            signature_algorithm,
            signature,
            version,
            serial,
            issuer,
            validity,
            subject,
            public_key_info,
            extensions: extensions(version, fields)?,
        })
    }
}

fn version(fields: &mut Elements<'_>) -> Option<Version> {
    match fields.optional(constructed(0))? {
        None => Some(Version::V1),
        Some([INTEGER, 1, 0]) => Some(Version::V1),
        Some([INTEGER, 1, 1]) => Some(Version::V2),
        Some([INTEGER, 1, 2]) => Some(Version::V3),
        Some(_) => None,
    }
}

fn is_algorithm(contents: &[u8]) -> bool {
    let mut fields = Elements(contents);
    fields.object_identifier().is_some() && (fields.is_empty() || fields.any().is_some())
}

/// The contents of `Extensions`, nothing where a certificate has none.
fn extensions(version: Version, mut fields: Elements<'_>) -> Option<&[u8]> {
    if version == Version::V1 {
        return Some(&[]);
    }
    for unique_id in [context(1), context(2)] {
        fields.optional(unique_id)?;
    }
    match (version, fields.is_next(constructed(3))) {
        (Version::V3, true) => fields.inside(constructed(3))?.read(SEQUENCE),
        _ => Some(&[]),
    }
}
