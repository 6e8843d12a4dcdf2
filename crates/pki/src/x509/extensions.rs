//! Extensions of certificates (RFC 5280 section 4.2).

use std::collections::HashSet;

use super::der::{
    BOOLEAN, Elements, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, constructed, context,
    is_integer,
};
use super::error::CertificateError;
use super::fulcio::ClaimExtensions;
use super::name_constraints::NameConstraints;
use super::subjects::Subjects;

/// `2.5.29`, below which the extensions of RFC 5280 are.
const ID_CE: [u8; 2] = [0x55, 0x1d];
/// `1.3.6.1.5.5.7.1.1`.
const AUTHORITY_INFO_ACCESS: [u8; 8] = [0x2b, 6, 1, 5, 5, 7, 1, 1];
/// Bit 5 of the key usage, as a bit of its first byte.
const KEY_CERT_SIGN: u8 = 0x04;

/// The extensions of a certificate.
#[derive(Default)]
pub(crate) struct Extensions<'a> {
    pub(super) subjects: Subjects,
    /// Fulcio's extensions, which name the signer.
    pub(super) claims: ClaimExtensions<'a>,
    /// The encoded subject alternative name.
    pub(super) alternative_name: Option<&'a [u8]>,
    pub(super) basic_constraints: Option<BasicConstraints>,
    /// Whether a key usage is there that allows something, but not to sign certificates.
    pub(super) must_not_sign_certificates: bool,
    pub(super) name_constraints: Option<NameConstraints<'a>>,
    /// Whether there are policy mappings or policy constraints.
    pub(super) has_policy_rules: bool,
    /// Whether a critical extension is one that a verifier in Go does not understand.
    pub(super) has_unknown_critical: bool,
}

#[derive(Clone, Copy)]
pub(super) struct BasicConstraints {
    pub(super) is_ca: bool,
    /// How many intermediate certificates may follow.
    pub(super) path_length: Option<u64>,
}

impl<'a> Extensions<'a> {
    /// Reads the contents of `Extensions`. Those that Go reads have to be as it wants them, because
    /// otherwise it reads nothing of the certificate.
    pub(super) fn read(contents: &'a [u8]) -> Result<Self, CertificateError> {
        let mut list = Elements(contents);
        let mut extensions = Self::default();
        let mut seen = HashSet::new();
        while !list.is_empty() {
            let (id, critical, value) =
                one(&mut list).ok_or(CertificateError::Not("malformed extension"))?;
            if !seen.insert(id) {
                return Err(CertificateError::Not("duplicate extension"));
            }
            let is_understood = extensions.read_one(id, critical, value)?;
            extensions.has_unknown_critical |= critical && !is_understood;
        }
        Ok(extensions)
    }

    /// Reads one extension and tells whether a verifier in Go understands it.
    fn read_one(
        &mut self,
        id: &[u8],
        critical: bool,
        value: &'a [u8],
    ) -> Result<bool, CertificateError> {
        let require = |what, is_so: Option<bool>| match is_so {
            Some(true) => Ok(true),
            Some(false) | None => Err(CertificateError::Not(what)),
        };
        let mut value_elements = Elements(value);
        match id.strip_prefix(&ID_CE) {
            Some([14]) => {
                let id = value_elements.read(OCTET_STRING).map(|_| !critical);
                require("invalid subject key identifier", id)
            }
            Some([15]) => {
                let usage = value_elements
                    .bit_string()
                    .ok_or(CertificateError::Not("invalid key usage"))?;
                self.must_not_sign_certificates = is_without_certificate_signing(usage);
                Ok(true)
            }
            Some([17]) => {
                self.alternative_name = Some(value);
                self.subjects = Subjects::read(value)?;
                Ok(self.subjects.has_ordinary())
            }
            Some([19]) => {
                let constraints = basic_constraints(value_elements)
                    .ok_or(CertificateError::Not("invalid basic constraints"))?;
                self.basic_constraints = Some(constraints);
                Ok(true)
            }
            Some([30]) => {
                let constraints = NameConstraints::read(value)?;
                let is_understood = !constraints.has_other_kinds;
                self.name_constraints = Some(constraints);
                Ok(is_understood)
            }
            Some([31]) => require(
                "invalid CRL distribution points",
                crl_distribution_points(value_elements),
            ),
            Some([32]) => require(
                "invalid certificate policies",
                certificate_policies(value_elements),
            ),
            Some([33]) => {
                self.has_policy_rules = true;
                require("invalid policy mappings", policy_mappings(value_elements))
            }
            Some([35]) => {
                let is_read = value_elements
                    .inside(SEQUENCE)
                    .and_then(|mut id| id.optional(context(0)));
                require(
                    "invalid authority key identifier",
                    is_read.map(|_| !critical),
                )
            }
            Some([36]) => {
                self.has_policy_rules = true;
                require(
                    "invalid policy constraints",
                    policy_constraints(value_elements),
                )
            }
            Some([37]) => require(
                "invalid extended key usages",
                extended_key_usages(value_elements),
            ),
            Some([54]) => {
                let is_small = value_elements
                    .integer()
                    .map(|skip| skip.len() <= size_of::<i64>());
                require("invalid inhibit any policy extension", is_small)
            }
            _ if id == AUTHORITY_INFO_ACCESS => {
                let is_read = authority_info_access(value_elements);
                require("invalid authority info access", is_read.map(|_| !critical))
            }
            _ => {
                self.claims.read(id, value);
                Ok(false)
            }
        }
    }
}

/// Whether this identifies the subject alternative name.
pub(super) fn is_alternative_name(id: &[u8]) -> bool {
    id.strip_prefix(&ID_CE) == Some(&[17])
}

/// Identifier and value in the fields of an extension, whatever its criticality.
pub(super) fn id_and_value<'a>(fields: &mut Elements<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let id = fields.object_identifier()?;
    fields.optional(BOOLEAN)?;
    Some((id, fields.read(OCTET_STRING)?))
}

/// Identifier, criticality and value of the next extension.
fn one<'a>(list: &mut Elements<'a>) -> Option<(&'a [u8], bool, &'a [u8])> {
    let mut fields = list.inside(SEQUENCE)?;
    let id = fields.object_identifier()?;
    let critical = fields.is_next(BOOLEAN) && fields.boolean()?;
    Some((id, critical, fields.read(OCTET_STRING)?))
}

fn is_without_certificate_signing((_, bytes): (u8, &[u8])) -> bool {
    // Nine bits have a meaning.
    let first = bytes.first().copied().unwrap_or_default();
    let ninth = bytes.get(1).copied().unwrap_or_default() & 0x80;
    (first != 0 || ninth != 0) && first & KEY_CERT_SIGN == 0
}

fn basic_constraints(mut value: Elements<'_>) -> Option<BasicConstraints> {
    let mut fields = value.inside(SEQUENCE)?;
    let is_ca = fields.is_next(BOOLEAN) && fields.boolean()?;
    let path_length = match fields.is_next(INTEGER) {
        true => Some(fields.integer().and_then(number)?),
        false => None,
    };
    Some(BasicConstraints { is_ca, path_length })
}

/// A number from 0 to `i64::MAX`.
fn number(bytes: &[u8]) -> Option<u64> {
    let is_small =
        bytes.len() <= size_of::<u64>() && bytes.first().is_some_and(|first| *first < 0x80);
    is_small.then(|| {
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    })
}

fn crl_distribution_points(mut value: Elements<'_>) -> Option<bool> {
    let mut points = value.inside(SEQUENCE)?;
    while !points.is_empty() {
        let mut point = points.inside(SEQUENCE)?;
        if let Some(name) = point.optional(constructed(0))? {
            let mut full_name = Elements(name).inside(constructed(0))?;
            while full_name.is_next(context(6)) {
                full_name.read(context(6))?;
            }
        }
    }
    Some(true)
}

fn certificate_policies(mut value: Elements<'_>) -> Option<bool> {
    let mut policies = value.inside(SEQUENCE)?;
    let mut seen = HashSet::new();
    while !policies.is_empty() {
        let id = policies.inside(SEQUENCE)?.big_object_identifier()?;
        if !seen.insert(id) {
            return None;
        }
    }
    Some(true)
}

fn policy_mappings(mut value: Elements<'_>) -> Option<bool> {
    let mut mappings = value.inside(SEQUENCE)?;
    while !mappings.is_empty() {
        let mut mapping = mappings.inside(SEQUENCE)?;
        mapping.read(OBJECT_IDENTIFIER)?;
        mapping.read(OBJECT_IDENTIFIER)?;
    }
    Some(true)
}

fn policy_constraints(mut value: Elements<'_>) -> Option<bool> {
    let mut fields = value.inside(SEQUENCE)?;
    for field in [context(0), context(1)] {
        if let Some(skip) = fields.optional(field)?
            && !(is_integer(skip) && skip.len() <= size_of::<i64>())
        {
            return None;
        }
    }
    Some(true)
}

fn extended_key_usages(mut value: Elements<'_>) -> Option<bool> {
    let mut usages = value.inside(SEQUENCE)?;
    while !usages.is_empty() {
        usages.object_identifier()?;
    }
    Some(true)
}

fn authority_info_access(mut value: Elements<'_>) -> Option<bool> {
    let mut descriptions = value.inside(SEQUENCE)?;
    while !descriptions.is_empty() {
        let mut description = descriptions.inside(SEQUENCE)?;
        description.object_identifier()?;
        description.optional(context(6))?;
    }
    Some(true)
}
