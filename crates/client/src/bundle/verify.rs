//! Verifies a bundle, part by part.

use std::io::Read;

use sigstore_verify::crypto::{CertificateInfo, parse_certificate_info};
use sigstore_verify::types::bundle::VerificationMaterialContent;
use sigstore_verify::types::{Artifact as Blob, Sha256Hash};
use sigstore_verify::{
    Policy as SigstorePolicy, PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult,
};
use tlog::Hash;

use super::claims;
use super::error::{BundleError, Result, check_not_later};
use super::logs::{self, Logged, Shown};
use super::policy::{Expected, Policy};
use super::read::Bundle;
use super::statement::Statement;
use super::trust::TrustRoot;

/// The artifact that a bundle is compared with.
pub enum Artifact<'a> {
    /// Its bytes. Signatures by Ed25519 need them.
    Bytes(&'a [u8]),
    /// Its SHA-256.
    Sha256(Hash),
    /// Its bytes, read once to their end.
    Reader(&'a mut dyn Read),
}

/// What was verified of a bundle.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Who signed.
    pub signer: Signer,
    /// The statement about the artifact, if the bundle is an attestation.
    pub statement: Option<Statement>,
    /// The log entries. At least one.
    pub logged: Vec<Logged>,
    /// The times at which trusted timestamp authorities saw the signature, Unix seconds.
    pub stamped: Vec<i64>,
}

/// What follows from a signature.
pub(super) struct Checked {
    /// The times in timestamps over it, Unix seconds.
    pub(super) stamped: Vec<i64>,
    /// The certificate. `None`: a key alone signed.
    pub(super) certificate: Option<Box<Certificate>>,
}

/// Who signed.
#[derive(Clone, Debug)]
pub enum Signer {
    /// The owner of the key that was expected.
    Key,
    /// The owner of a certificate.
    Certificate(Box<Certificate>),
}

/// A certificate that leads to a trusted authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The names in its subject alternative name.
    pub names: Vec<String>,
    /// The issuer of the identity.
    pub issuer: Option<String>,
    /// The first second of its validity.
    pub not_before: i64,
    /// The last second of its validity.
    pub not_after: i64,
    /// Claims about a build, each with object identifier, name and value.
    pub claims: Vec<(&'static str, &'static str, String)>,
    /// Whether a trusted certificate transparency log has it. Otherwise the trust root names no
    /// such log.
    pub has_ct: bool,
}

impl Certificate {
    /// Returns the value of an extension, by its object identifier in dotted form.
    pub fn extension(&self, id: &str) -> Option<&str> {
        let mut claims = self.claims.iter();
        let claim = claims.find(|(found, ..)| *found == id);
        claim.map(|(.., value)| value.as_str())
    }
}

impl Bundle {
    /// Verifies the bundle for an artifact, as of `now` (Unix seconds).
    ///
    /// # Errors
    ///
    /// A part does not hold, or the signer is another one than expected.
    pub fn verify(
        &self,
        artifact: Artifact<'_>,
        trust: &TrustRoot,
        policy: &Policy,
        now: i64,
    ) -> Result<Verified> {
        self.check_material(&policy.signer, trust)?;
        let statement = self.statement()?;
        let logged = logs::verify(self, trust, now)?;
        self.check_validity(&logged)?;
        let checked = match (&policy.signer, self.over_other_digest()) {
            (Expected::Key(key), Some(message)) => {
                self.verify_other_digest(message, artifact, trust, key)?
            }
            _ => self.verify_signature(artifact, trust, &policy.signer, &logged)?,
        };
        for time in &checked.stamped {
            check_not_later(*time, now, || "the time in a timestamp".to_owned())?;
        }
        check_windows(&logged, &checked.stamped, now)?;
        let verified = Verified {
            signer: match checked.certificate {
                Some(certificate) => Signer::Certificate(certificate),
                None => Signer::Key,
            },
            statement,
            logged,
            stamped: checked.stamped,
        };
        verified.check(policy)?;
        Ok(verified)
    }

    /// Checks that the bundle has what the policy asks about.
    fn check_material(&self, signer: &Expected, trust: &TrustRoot) -> Result<()> {
        use VerificationMaterialContent::{PublicKey, X509CertificateChain};
        let refuse = |why: &str| Err(BundleError::Signer(why.to_owned()));
        match (&self.content.verification_material.content, signer) {
            (PublicKey(_), Expected::Certificate(_)) => {
                return refuse("a key signed and no certificate: say which key is expected");
            }
            (PublicKey(_), Expected::Key(_)) => {}
            (_, Expected::Key(_)) => {
                return refuse("the bundle has a certificate: say whose certificate is expected");
            }
            (X509CertificateChain { certificates }, _) => {
                let mut issuers = certificates.iter().skip(1);
                if issuers.any(|issuer| trust.is_root(issuer.raw_bytes.as_bytes())) {
                    return Err(BundleError::form(
                        "it brings the root certificate of an authority along",
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Compares the certificate with the times that logs signed. `sigstore-verify` does it as well,
    /// with less to say.
    fn check_validity(&self, logged: &[Logged]) -> Result<()> {
        let Some(certificate) = self.content.signing_certificate() else {
            return Ok(());
        };
        let info = parse_certificate_info(certificate);
        let info = info.map_err(|error| BundleError::Certificate(error.into()))?;
        let (from, to) = (info.not_before, info.not_after);
        for (entry, logged) in self.entries().iter().zip(logged) {
            let (Some(time), Some(_)) = (entry.integrated_time, logged.time) else {
                continue;
            };
            if time < from || time > to {
                let why = format!("it is valid from {from} to {to}, and the log signed {time}");
                return Err(BundleError::Certificate(why.into()));
            }
        }
        Ok(())
    }

    /// Verifies certificate, times and signature, and that the entries are of this bundle.
    fn verify_signature(
        &self,
        artifact: Artifact<'_>,
        trust: &TrustRoot,
        signer: &Expected,
        logged: &[Logged],
    ) -> Result<Checked> {
        let policy: Box<dyn SigstorePolicy> = match signer {
            Expected::Key(key) => Box::new(PublicKeyVerificationPolicy::new(key.clone())),
            // The names are compared afterwards, by this crate.
            Expected::Certificate(_) if trust.has_ct_logs() => {
                Box::new(VerificationPolicy::any_identity())
            }
            Expected::Certificate(_) => Box::new(VerificationPolicy::any_identity().skip_sct()),
        };
        let (verifier, bundle, policy) = (trust.verifier(), &self.content, policy.as_ref());
        let result = match artifact {
            Artifact::Bytes(bytes) => verifier.verify(bytes, bundle, policy)?,
            Artifact::Sha256(hash) => {
                let digest = Blob::from(Sha256Hash::new(hash.0));
                verifier.verify(digest, bundle, policy)?
            }
            Artifact::Reader(reader) => verifier.verify_reader(reader, bundle, policy)?,
        };
        Ok(Checked {
            stamped: stamped(&result, logged),
            certificate: self.certificate(&result)?,
        })
    }

    fn certificate(&self, result: &VerificationResult) -> Result<Option<Box<Certificate>>> {
        let (Some(info), Some(der)) = (result.certificate(), self.content.signing_certificate())
        else {
            return Ok(None);
        };
        if !result.certificate_verified() {
            return Err(BundleError::Certificate("it was not verified".into()));
        }
        let certificate = pki::x509::Key::from_certificate_der(der.as_bytes());
        let certificate = certificate.map_err(|error| BundleError::Certificate(error.into()))?;
        let names = certificate.subjects().to_vec();
        let has_ct = result.sct_verified();
        Ok(Some(Box::new(facts(info, names, has_ct))))
    }
}

fn facts(info: &CertificateInfo, names: Vec<String>, has_ct: bool) -> Certificate {
    Certificate {
        names,
        issuer: info.issuer.clone(),
        not_before: info.not_before.as_second(),
        not_after: info.not_after.as_second(),
        claims: claims::of(info),
        has_ct,
    }
}

impl Verified {
    fn check(&self, policy: &Policy) -> Result<()> {
        match (&policy.signer, &self.signer) {
            (Expected::Key(_), Signer::Key) => {}
            (Expected::Certificate(expected), Signer::Certificate(certificate)) => {
                expected.check(certificate)?;
            }
            _ => return Err(BundleError::Signer("another kind than expected".to_owned())),
        }
        let Some(expected) = &policy.predicate_type else {
            return Ok(());
        };
        match &self.statement {
            Some(statement) if statement.predicate_type == *expected => Ok(()),
            Some(statement) => Err(BundleError::Attestation(format!(
                "its type is {}, and {expected} was expected",
                statement.predicate_type
            ))),
            None => Err(BundleError::Attestation(
                "the bundle signs the artifact itself, and attests nothing about it".to_owned(),
            )),
        }
    }
}

/// Returns the times that are not the logs' own.
fn stamped(result: &VerificationResult, logged: &[Logged]) -> Vec<i64> {
    let times = result.verified_timestamps().iter();
    let mut times: Vec<i64> = times.map(|time| time.as_second()).collect();
    for own in logged.iter().filter_map(|entry| entry.time) {
        if let Some(place) = times.iter().position(|time| *time == own) {
            times.remove(place);
        }
    }
    times
}

/// A key that a log gave up proves nothing about a signature that is younger. The time of an entry
/// of Rekor v1 was compared with its signature; for others the timestamps tell.
fn check_windows(logged: &[Logged], stamped: &[i64], now: i64) -> Result<()> {
    for (number, entry) in logged.iter().enumerate() {
        let (None, Some(end), Shown::Included(inclusion)) =
            (entry.time, entry.window.end, &entry.shown)
        else {
            continue;
        };
        let origin = inclusion.head.origin();
        // Without any time the signature may be as young as now.
        if stamped.is_empty() && now > end {
            return Err(BundleError::Time(
                format!(
                    "no timestamp tells that it is older than the end of the key of {origin}, \
                     which signed entry {number}"
                )
                .into(),
            ));
        }
        if stamped.iter().any(|time| *time > end) {
            return Err(BundleError::Time(
                format!("it is younger than the key of {origin}, which signed entry {number}")
                    .into(),
            ));
        }
    }
    Ok(())
}
