//! Chains of two and more certificates.
//!
//! The rules are Go's `x509.Certificate.Verify` with any key usage, because readers of the log
//! check again with it. rustls-webpki has others that matter here: it refuses a CA certificate as
//! leaf, does not date the trust root, wants v3 leaves, and its signature algorithms leave out what
//! private CAs use. The trust root comes from the submitter, so a chain that verifies proves
//! nothing but that its certificates belong together. Two things that Go takes are refused:
//! authorities with P-224 keys, which no library here verifies with, and authorities with rules
//! about policies (RFC 5280 sections 4.2.1.5 and 4.2.1.11), which no signing CA is known to have.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self as aws, ParsedPublicKey, VerificationAlgorithm};

use super::certificate::{Certificate, Version};
use super::der::Elements;
use super::error::{CertificateError, ChainError};
use crate::algorithms::{Curve, HashAlgorithm, KeyKind};
use crate::error::Error;
use crate::public_key::algorithm::{ecdsa_algorithm, rsa_algorithm};
use crate::signature::is_asn1_pair;
use crate::work::{TooCostly, Work};

/// Signatures checked for one chain: twice what ten certificates in order need. Ten that bear one
/// name could otherwise be tried in more orders than anyone waits for (Go stops at 100).
const MAX_SIGNATURE_CHECKS: usize = 20;

// Encoded identifiers of signature algorithms (RFC 5912, RFC 8410).
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const ECDSA_WITH_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
const ECDSA_WITH_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4];
const SHA256_WITH_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
const SHA384_WITH_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12];
const SHA512_WITH_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13];
const RSASSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const SHA1_WITH_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5];
const SHA1_WITH_RSA_OF_ISO: &[u8] = &[0x2b, 14, 3, 2, 29];
const ECDSA_WITH_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];

/// Hash functions that count in the signatures of a chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hashes {
    /// As in Go.
    Sha2,
    /// Also SHA-1, by which authorities signed until 2016: for chains that show who belongs
    /// together, not who is trusted.
    Sha1Too,
}

/// Verifies that the first certificate leads to the last one, over any of those between, as of the
/// beginning of its validity. A list of fewer than two certificates passes.
pub(crate) fn verify(chain: &[Vec<u8>], hashes: Hashes, work: &mut Work) -> Result<(), ChainError> {
    if chain.len() < 2 {
        return Ok(());
    }
    let certificates = chain
        .iter()
        .map(|der| Certificate::from_der(der))
        .collect::<Result<Vec<_>, CertificateError>>()?;
    let [leaf, intermediates @ .., root] = &certificates[..] else {
        return Ok(());
    };
    if leaf.extensions.has_unknown_critical {
        return Err(ChainError::UnknownCritical);
    }
    // It begins when it begins; it may only have ended before that.
    if leaf.not_after < leaf.not_before {
        return Err(ChainError::Expired);
    }
    if chain.first() == chain.last() {
        return Ok(());
    }
    let mut search = Search {
        leaf,
        root,
        intermediates,
        hashes,
        checks: 0,
        met_policy_rules: false,
        work,
    };
    if search.leads_to_root(&mut vec![leaf])? {
        return Ok(());
    }
    match search.met_policy_rules {
        true => Err(ChainError::PolicyRules),
        false => Err(ChainError::UnknownAuthority),
    }
}

struct Search<'c, 'a, 'w> {
    leaf: &'c Certificate<'a>,
    root: &'c Certificate<'a>,
    intermediates: &'c [Certificate<'a>],
    hashes: Hashes,
    checks: usize,
    met_policy_rules: bool,
    work: &'w mut Work,
}

impl<'c, 'a> Search<'c, 'a, '_> {
    /// Whether `path`, which begins with the leaf, can be continued to the root. Depth-first, root
    /// first.
    fn leads_to_root(&mut self, path: &mut Vec<&'c Certificate<'a>>) -> Result<bool, TooCostly> {
        // Whether rules about policies would admit the chain is not worked out.
        if path
            .iter()
            .any(|certificate| certificate.extensions.has_policy_rules)
        {
            self.met_policy_rules = true;
            return Ok(false);
        }
        if self.may_follow(path, self.root)?
            && admits_names(&[path, &[self.root][..]].concat(), self.work)?
        {
            return Ok(true);
        }
        for intermediate in self.intermediates {
            let is_ca = intermediate
                .extensions
                .basic_constraints
                .is_some_and(|constraints| constraints.is_ca);
            if is_ca && self.may_follow(path, intermediate)? {
                path.push(intermediate);
                if self.leads_to_root(path)? {
                    return Ok(true);
                }
                path.pop();
            }
        }
        Ok(false)
    }

    /// Whether `parent` may have issued the last certificate of `path`, and did.
    fn may_follow(
        &mut self,
        path: &[&'c Certificate<'a>],
        parent: &'c Certificate<'a>,
    ) -> Result<bool, TooCostly> {
        let Some(child) = path.last() else {
            return Ok(false);
        };
        let is_used = path.iter().any(|used| {
            used.subject == parent.subject
                && used.public_key_info == parent.public_key_info
                && used.extensions.alternative_name == parent.extensions.alternative_name
        });
        let now = self.leaf.not_before;
        if child.issuer != parent.subject
            || is_used
            || !may_sign(parent)
            || parent.extensions.has_unknown_critical
            || !(parent.not_before..=parent.not_after).contains(&now)
            || !is_within_path_length(parent, path.len() - 1)
            || self.checks == MAX_SIGNATURE_CHECKS
        {
            return Ok(false);
        }
        self.checks += 1;
        is_signed_by(child, parent, self.hashes, self.work)
    }
}

/// RFC 5280 sections 4.2.1.3 and 4.2.1.9: whether the certified key may sign certificates.
fn may_sign(parent: &Certificate<'_>) -> bool {
    let is_ca = match parent.extensions.basic_constraints {
        Some(constraints) => constraints.is_ca,
        None => parent.version != Version::V3,
    };
    is_ca && !parent.extensions.must_not_sign_certificates
}

/// Whether so many certificates between `parent` and the leaf are as many as it allows.
fn is_within_path_length(parent: &Certificate<'_>, between: usize) -> bool {
    let limit = parent
        .extensions
        .basic_constraints
        .and_then(|constraints| constraints.path_length);
    limit.is_none_or(|limit| between as u64 <= limit)
}

/// RFC 5280 section 4.2.1.10: whether every certificate bears only names that those above it admit.
fn admits_names(path: &[&Certificate<'_>], work: &mut Work) -> Result<bool, TooCostly> {
    for (at, below) in path.iter().enumerate() {
        if below.extensions.alternative_name.is_none() {
            continue;
        }
        for constraints in path[at + 1..]
            .iter()
            .filter_map(|above| above.extensions.name_constraints.as_ref())
        {
            if !constraints.admit(&below.extensions.subjects, work)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn is_signed_by(
    child: &Certificate<'_>,
    parent: &Certificate<'_>,
    hashes: Hashes,
    work: &mut Work,
) -> Result<bool, TooCostly> {
    // The key of the parent was parsed with it, so that it is of a bounded size.
    let Ok(key) = &parent.public_key else {
        return Ok(false);
    };
    if key.kind() == KeyKind::Ecdsa(Curve::P224) {
        return Ok(false);
    }
    if let Some(algorithm) = algorithm(child, key.kind()) {
        work.take_hashing(child.signed.len())?;
        work.take_signature(key.kind())?;
        let key = ParsedPublicKey::new(algorithm, parent.public_key_info);
        return Ok(key.is_ok_and(|key| key.verify_sig(child.signed, child.signature).is_ok()));
    }
    let identifier = Elements(child.signature_algorithm).object_identifier();
    let is_sha1 = matches!(
        (key.kind(), identifier),
        (
            KeyKind::Rsa { .. },
            Some(SHA1_WITH_RSA | SHA1_WITH_RSA_OF_ISO)
        ) | (KeyKind::Ecdsa(_), Some(ECDSA_WITH_SHA1))
    );
    if !is_sha1 || hashes != Hashes::Sha1Too {
        return Ok(false);
    }
    // Anybody could write the same signature as r ‖ s, and so make another entry of one archive.
    if matches!(key.kind(), KeyKind::Ecdsa(_)) && !is_asn1_pair(child.signature) {
        return Ok(false);
    }
    work.take_hashing(child.signed.len())?;
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, child.signed);
    match key.verify_hash(&hash, child.signature, work) {
        Err(Error::TooCostly(error)) => Err(error),
        verified => Ok(verified.is_ok()),
    }
}

/// The algorithm by which `child` says it is signed, for a key of this kind. SHA-1 does not count,
/// as in Go.
fn algorithm(child: &Certificate<'_>, key: KeyKind) -> Option<&'static dyn VerificationAlgorithm> {
    use HashAlgorithm::{Sha256, Sha384, Sha512};
    let mut fields = Elements(child.signature_algorithm);
    let identifier = fields.object_identifier()?;
    let parameters = fields.any().map(|parameters| parameters.whole);
    match (key, identifier, parameters) {
        (KeyKind::Ecdsa(curve), ECDSA_WITH_SHA256, _) => ecdsa_algorithm(curve, Sha256),
        (KeyKind::Ecdsa(curve), ECDSA_WITH_SHA384, _) => ecdsa_algorithm(curve, Sha384),
        (KeyKind::Ecdsa(curve), ECDSA_WITH_SHA512, _) => ecdsa_algorithm(curve, Sha512),
        (KeyKind::Rsa { bytes }, SHA256_WITH_RSA, _) => rsa_algorithm(bytes, Sha256),
        (KeyKind::Rsa { bytes }, SHA384_WITH_RSA, _) => rsa_algorithm(bytes, Sha384),
        (KeyKind::Rsa { bytes }, SHA512_WITH_RSA, _) => rsa_algorithm(bytes, Sha512),
        (KeyKind::Rsa { .. }, RSASSA_PSS, Some(parameters)) => pss_algorithm(parameters),
        (KeyKind::Ed25519, ED25519, None) => Some(&aws::ED25519),
        _ => None,
    }
}

/// RSASSA-PSS with one hash for everything and a salt of its length (RFC 4055), as in Go.
pub(crate) fn pss_algorithm(parameters: &[u8]) -> Option<&'static dyn VerificationAlgorithm> {
    // The last byte of the identifier of SHA-256, SHA-384 and SHA-512, and the length of the salt.
    if parameters == pss_parameters(1, 32) {
        return Some(&aws::RSA_PSS_2048_8192_SHA256);
    }
    if parameters == pss_parameters(2, 48) {
        return Some(&aws::RSA_PSS_2048_8192_SHA384);
    }
    (parameters == pss_parameters(3, 64)).then_some(&aws::RSA_PSS_2048_8192_SHA512)
}

/// `SEQUENCE { [0] hash, [1] mgf1 with hash, [2] salt length }`.
fn pss_parameters(hash: u8, salt: u8) -> Vec<u8> {
    let hash = [
        0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, hash, 5, 0,
    ];
    let mut parameters = vec![0x30, 52, 0xa0, 15];
    parameters.extend(hash);
    parameters.extend([
        0xa1, 28, 0x30, 26, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 8,
    ]);
    parameters.extend(hash);
    parameters.extend([0xa2, 3, 2, 1, salt]);
    parameters
}
