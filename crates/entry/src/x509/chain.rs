//! Chains of two and more certificates.
//!
//! The rules are Go's `x509.Certificate.Verify` with any key usage, because readers of the log check again with it.
//! rustls-webpki has others that matter here: it refuses a CA certificate as leaf, does not date the trust root, wants
//! v3 leaves, and its signature algorithms leave out what private CAs use. The trust root comes from the submitter, so
//! a chain that verifies proves nothing but that its certificates belong together. Hence not here: name constraints
//! and policies, which could only be restrictions that the submitter lays on itself.

use aws_lc_rs::signature::{self as aws, ParsedPublicKey, VerificationAlgorithm};
use const_oid::db::rfc5280::{
    ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_BASIC_CONSTRAINTS, ID_CE_CERTIFICATE_POLICIES, ID_CE_CRL_DISTRIBUTION_POINTS,
    ID_CE_EXT_KEY_USAGE, ID_CE_INHIBIT_ANY_POLICY, ID_CE_KEY_USAGE, ID_CE_NAME_CONSTRAINTS, ID_CE_POLICY_CONSTRAINTS,
    ID_CE_POLICY_MAPPINGS, ID_CE_SUBJECT_ALT_NAME,
};
use const_oid::db::{rfc5912, rfc8410};
use der::Encode;
use der::asn1::ObjectIdentifier;

use super::certificate::{Certificate, CertificateError, Version};
use crate::digest::HashAlgorithm;
use crate::public_key::{Curve, KeyKind, ecdsa_algorithm, rsa_algorithm};

/// Signatures checked for one chain, as in Go. Ten certificates can be ordered in more ways than anyone waits for.
const MAX_SIGNATURE_CHECKS: usize = 100;

/// Extensions that Go understands, and which therefore may be critical.
const UNDERSTOOD: [ObjectIdentifier; 10] = [
    ID_CE_AUTHORITY_KEY_IDENTIFIER,
    ID_CE_BASIC_CONSTRAINTS,
    ID_CE_CERTIFICATE_POLICIES,
    ID_CE_CRL_DISTRIBUTION_POINTS,
    ID_CE_EXT_KEY_USAGE,
    ID_CE_INHIBIT_ANY_POLICY,
    ID_CE_KEY_USAGE,
    ID_CE_NAME_CONSTRAINTS,
    ID_CE_POLICY_CONSTRAINTS,
    ID_CE_POLICY_MAPPINGS,
];

/// Why certificates are no chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChainError {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("x509: unhandled critical extension")]
    UnknownCritical,
    #[error("x509: certificate has expired or is not yet valid")]
    Expired,
    #[error("x509: certificate signed by unknown authority")]
    UnknownAuthority,
}

/// Verifies that the first certificate leads to the last one, over any of those between, as of the beginning of its
/// validity. Fewer than two certificates are no chain and pass.
pub(super) fn verify(chain: &[Vec<u8>]) -> Result<(), ChainError> {
    if chain.len() < 2 {
        return Ok(());
    }
    let certificates =
        chain.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, CertificateError>>()?;
    let [leaf, intermediates @ .., root] = &certificates[..] else { return Ok(()) };
    if has_unknown_critical(leaf) {
        return Err(ChainError::UnknownCritical);
    }
    // It begins when it begins; it may only have ended before that.
    if leaf.not_after < leaf.not_before {
        return Err(ChainError::Expired);
    }
    if chain.first() == chain.last() {
        return Ok(());
    }
    let mut search = Search { leaf, root, intermediates, checks: 0 };
    match search.leads_to_root(&mut vec![leaf]) {
        true => Ok(()),
        false => Err(ChainError::UnknownAuthority),
    }
}

struct Search<'c, 'a> {
    leaf: &'c Certificate<'a>,
    root: &'c Certificate<'a>,
    intermediates: &'c [Certificate<'a>],
    checks: usize,
}

impl<'c, 'a> Search<'c, 'a> {
    /// Whether `path`, which begins with the leaf, can be continued to the root. Depth-first, root first.
    fn leads_to_root(&mut self, path: &mut Vec<&'c Certificate<'a>>) -> bool {
        if self.may_follow(path, self.root) {
            return true;
        }
        for intermediate in self.intermediates {
            let is_ca = intermediate.basic_constraints.as_ref().is_some_and(|constraints| constraints.ca);
            if is_ca && self.may_follow(path, intermediate) {
                path.push(intermediate);
                if self.leads_to_root(path) {
                    return true;
                }
                path.pop();
            }
        }
        false
    }

    /// Whether `parent` may have issued the last certificate of `path`, and did.
    fn may_follow(&mut self, path: &[&Certificate<'a>], parent: &Certificate<'a>) -> bool {
        let Some(child) = path.last() else { return false };
        let is_used = path.iter().any(|used| {
            used.subject == parent.subject
                && used.public_key_info == parent.public_key_info
                && alternative_name(used) == alternative_name(parent)
        });
        let now = self.leaf.not_before;
        if child.issuer != parent.subject
            || is_used
            || !may_sign(parent)
            || has_unknown_critical(parent)
            || !(parent.not_before..=parent.not_after).contains(&now)
            || path_limit(parent).is_some_and(|limit| path.len() - 1 > limit)
            || self.checks == MAX_SIGNATURE_CHECKS
        {
            return false;
        }
        self.checks += 1;
        is_signed_by(child, parent)
    }
}

/// RFC 5280 sections 4.2.1.3 and 4.2.1.9: whether the certified key may sign certificates.
fn may_sign(parent: &Certificate<'_>) -> bool {
    let is_ca = match &parent.basic_constraints {
        Some(constraints) => constraints.ca,
        None => parent.version != Version::V3,
    };
    is_ca && parent.key_usage.as_ref().is_none_or(|usage| usage.0.is_empty() || usage.key_cert_sign())
}

fn path_limit(parent: &Certificate<'_>) -> Option<usize> {
    parent.basic_constraints.as_ref()?.path_len_constraint.map(usize::from)
}

fn has_unknown_critical(certificate: &Certificate<'_>) -> bool {
    certificate.extensions.iter().any(|extension| {
        let is_understood = match extension.id {
            // As in Go, for which an OtherName is no name.
            ID_CE_SUBJECT_ALT_NAME => certificate.has_ordinary_names,
            id => UNDERSTOOD.contains(&id),
        };
        extension.critical && !is_understood
    })
}

fn alternative_name<'a>(certificate: &Certificate<'a>) -> Option<&'a [u8]> {
    certificate.extension(ID_CE_SUBJECT_ALT_NAME).map(|extension| extension.value)
}

fn is_signed_by(child: &Certificate<'_>, parent: &Certificate<'_>) -> bool {
    // The key of the parent was parsed with it, so that it is of a bounded size.
    let (Ok(key), Some(algorithm)) = (&parent.public_key, algorithm(child, parent)) else { return false };
    key.kind() != KeyKind::Ecdsa(Curve::P224)
        && ParsedPublicKey::new(algorithm, parent.public_key_info)
            .is_ok_and(|key| key.verify_sig(child.signed, child.signature).is_ok())
}

/// The algorithm by which `child` says it is signed, for a key like that of `parent`. SHA-1 is none, as in Go.
fn algorithm(child: &Certificate<'_>, parent: &Certificate<'_>) -> Option<&'static dyn VerificationAlgorithm> {
    let key = parent.public_key.as_ref().ok()?.kind();
    Some(match (child.signature_algorithm.oid, key) {
        (rfc5912::ECDSA_WITH_SHA_256, KeyKind::Ecdsa(curve)) => ecdsa_algorithm(curve, HashAlgorithm::Sha256)?,
        (rfc5912::ECDSA_WITH_SHA_384, KeyKind::Ecdsa(curve)) => ecdsa_algorithm(curve, HashAlgorithm::Sha384)?,
        (rfc5912::ECDSA_WITH_SHA_512, KeyKind::Ecdsa(curve)) => ecdsa_algorithm(curve, HashAlgorithm::Sha512)?,
        (rfc5912::SHA_256_WITH_RSA_ENCRYPTION, KeyKind::Rsa { bytes }) => rsa_algorithm(bytes, HashAlgorithm::Sha256)?,
        (rfc5912::SHA_384_WITH_RSA_ENCRYPTION, KeyKind::Rsa { bytes }) => rsa_algorithm(bytes, HashAlgorithm::Sha384)?,
        (rfc5912::SHA_512_WITH_RSA_ENCRYPTION, KeyKind::Rsa { bytes }) => rsa_algorithm(bytes, HashAlgorithm::Sha512)?,
        (rfc5912::ID_RSASSA_PSS, KeyKind::Rsa { .. }) => pss_algorithm(child)?,
        (rfc8410::ID_ED_25519, KeyKind::Ed25519) => &aws::ED25519,
        _ => return None,
    })
}

/// RSASSA-PSS with one hash for everything and a salt of its length (RFC 4055), as in Go.
fn pss_algorithm(child: &Certificate<'_>) -> Option<&'static dyn VerificationAlgorithm> {
    let parameters = child.signature_algorithm.parameters?.to_der().ok()?;
    // The last byte of the identifier of SHA-256, SHA-384 and SHA-512, and the length of the salt.
    let is = |hash: u8, salt: u8| parameters == pss_parameters(hash, salt);
    if is(1, 32) {
        return Some(&aws::RSA_PSS_2048_8192_SHA256);
    }
    if is(2, 48) {
        return Some(&aws::RSA_PSS_2048_8192_SHA384);
    }
    is(3, 64).then_some(&aws::RSA_PSS_2048_8192_SHA512)
}

/// `SEQUENCE { [0] hash, [1] mgf1 with hash, [2] salt length }`.
fn pss_parameters(hash: u8, salt: u8) -> Vec<u8> {
    let hash = [0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, hash, 5, 0];
    let mut parameters = vec![0x30, 52, 0xa0, 15];
    parameters.extend(hash);
    parameters.extend([0xa1, 28, 0x30, 26, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 8]);
    parameters.extend(hash);
    parameters.extend([0xa2, 3, 2, 1, salt]);
    parameters
}
