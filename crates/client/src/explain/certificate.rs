//! Certificates: what they say, and what Sigstore's profile asks of them.

use tlog::sha256;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use super::report::{ALL, GO, JS, PYTHON, Report, list, shown, time};

/// Extension of Fulcio with the issuer of the signer's token, and its older form.
const ISSUER_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.8");
const ISSUER_V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.1");
/// Timestamps of certificate transparency logs, embedded in the certificate.
const TIMESTAMPS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");
const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
/// Longest certificate that is read, as elsewhere in this program.
const MAX_BYTES: usize = 64 * 1024;

/// A certificate that was read. Nothing is verified.
pub(super) struct Facts {
    der: Vec<u8>,
    parsed: Certificate,
    pub not_before: i64,
    pub not_after: i64,
}

impl Facts {
    /// Reads a certificate.
    pub(super) fn read(der: &[u8]) -> Result<Self, String> {
        if der.len() > MAX_BYTES {
            return Err(format!("it has {} bytes", der.len()));
        }
        let parsed = Certificate::from_der(der).map_err(|error| error.to_string())?;
        let validity = parsed.tbs_certificate().validity();
        let seconds = |time: &x509_cert::time::Time| {
            i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
        };
        Ok(Self {
            not_before: seconds(&validity.not_before),
            not_after: seconds(&validity.not_after),
            der: der.to_vec(),
            parsed,
        })
    }

    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    pub(super) fn subject(&self) -> String {
        shown(self.parsed.tbs_certificate().subject())
    }

    pub(super) fn is_self_issued(&self) -> bool {
        let body = self.parsed.tbs_certificate();
        body.subject() == body.issuer()
    }

    /// Returns whether `issuer` has the name that this certificate gives as its issuer.
    pub(super) fn is_issued_by(&self, issuer: &Self) -> bool {
        self.parsed.tbs_certificate().issuer() == issuer.parsed.tbs_certificate().subject()
    }

    pub(super) fn is_authority(&self) -> bool {
        let constraints = self
            .parsed
            .tbs_certificate()
            .get_extension::<BasicConstraints>();
        matches!(constraints, Ok(Some((_, constraints))) if constraints.ca)
    }

    pub(super) fn contains(&self, seconds: i64) -> bool {
        (self.not_before..=self.not_after).contains(&seconds)
    }

    /// Returns the times between which it is valid, in words.
    pub(super) fn window(&self) -> String {
        format!("{} to {}", time(self.not_before), time(self.not_after))
    }

    fn has(&self, id: ObjectIdentifier) -> bool {
        let extensions = self.parsed.tbs_certificate().extensions();
        extensions.is_some_and(|all| all.iter().any(|extension| extension.extn_id == id))
    }

    fn has_usage(&self, usage: ObjectIdentifier) -> bool {
        let usages = self
            .parsed
            .tbs_certificate()
            .get_extension::<ExtendedKeyUsage>();
        matches!(usages, Ok(Some((_, usages))) if usages.0.contains(&usage))
    }

    fn signs(&self) -> bool {
        let usage = self.parsed.tbs_certificate().get_extension::<KeyUsage>();
        matches!(usage, Ok(Some((_, usage))) if usage.digital_signature())
    }

    pub(super) fn stamps_time(&self) -> bool {
        self.has_usage(TIME_STAMPING)
    }

    /// Returns the issuer of the token that the signer showed.
    fn token_issuer(&self) -> Option<String> {
        let extensions = self.parsed.tbs_certificate().extensions()?;
        let value = |id| {
            let found = extensions
                .iter()
                .find(|extension| extension.extn_id == id)?;
            Some(found.extn_value.as_bytes())
        };
        if let Some(text) = value(ISSUER_V2) {
            return String::from_der(text).ok();
        }
        String::from_utf8(value(ISSUER_V1)?.to_vec()).ok()
    }
}

/// Adds what a certificate says.
pub(super) fn describe(report: &mut Report, label: &str, facts: &Facts) {
    let body = facts.parsed.tbs_certificate();
    report.fact(format_args!("{label} issued by"), body.issuer());
    if !body.subject().is_empty() {
        report.fact(format_args!("{label} subject"), body.subject());
    }
    if let Ok(key) = pki::x509::Key::from_certificate_der(&facts.der) {
        if !key.subjects().is_empty() {
            report.fact(format_args!("{label} names"), list(key.subjects()));
        }
        report.fact(format_args!("{label} key"), kind(key.public_key().kind()));
    }
    if let Some(issuer) = facts.token_issuer() {
        report.fact(format_args!("{label} signed in at"), issuer);
    }
    report.fact(format_args!("{label} valid"), facts.window());
    report.fact(format_args!("{label} SHA-256"), sha256(&facts.der));
}

/// Returns the algorithm of a key, in words.
pub(super) fn kind(kind: pki::public_key::KeyKind) -> String {
    use pki::public_key::{Curve, KeyKind};
    match kind {
        KeyKind::Ecdsa(Curve::P224) => "ECDSA P-224".to_owned(),
        KeyKind::Ecdsa(Curve::P256) => "ECDSA P-256".to_owned(),
        KeyKind::Ecdsa(Curve::P384) => "ECDSA P-384".to_owned(),
        KeyKind::Ecdsa(Curve::P521) => "ECDSA P-521".to_owned(),
        KeyKind::Rsa { bytes } => format!("RSA, {} bits", 8 * bytes),
        KeyKind::Ed25519 => "Ed25519".to_owned(),
    }
}

/// Checks the certificate of a signer against the profile that clients of Sigstore ask for.
pub(super) fn check_leaf(report: &mut Report, place: &str, facts: &Facts, now: i64) {
    let again =
        "sign again with a certificate of Fulcio, or of another authority that follows its profile";
    if facts.is_authority() {
        let what =
            "this is the certificate of an authority, where the certificate of the signer belongs";
        let remedy = "put the certificate of the signer here, alone; authorities belong into the \
            trusted root";
        report.error("leaf-is-authority", ALL, place, what, remedy);
        return;
    }
    let subjects = pki::x509::Key::from_certificate_der(&facts.der);
    if subjects.is_ok_and(|key| key.subjects().is_empty()) {
        let what = "the certificate names nobody: it has no subject alternative name, so no \
            identity can match it";
        report.error("leaf-without-name", ALL, place, what, again);
    }
    if facts.token_issuer().is_none() {
        let what = "the certificate does not say who vouched for the signer (Fulcio's issuer \
            extension), so \
                    --certificate-oidc-issuer cannot match";
        report.error("leaf-without-issuer", ALL, place, what, again);
    }
    if !facts.has_usage(CODE_SIGNING) {
        let what = "the certificate is not for code signing (extended key usage)";
        report.error("leaf-not-for-code-signing", ALL, place, what, again);
    }
    if !facts.signs() {
        let what = "the certificate is not for digital signatures (key usage)";
        report.error("leaf-not-for-signatures", PYTHON, place, what, again);
    }
    if !facts.has(TIMESTAMPS) {
        let what = "no certificate transparency log has timestamped the certificate";
        let remedy = "connect the authority to a certificate transparency log. cosign alone can \
            do without: --insecure-ignore-sct";
        report.error(
            "leaf-without-sct",
            &[GO, JS, PYTHON].concat(),
            place,
            what,
            remedy,
        );
    }
    if facts.not_before > now {
        let what = format_args!(
            "the certificate is not valid before {}, and here it is {}",
            time(facts.not_before),
            time(now)
        );
        let remedy = "check the clock of this machine, and the clock of the authority";
        report.warning("certificate-not-yet-valid", place, what, remedy);
    }
}

/// Checks that each certificate of a chain is followed by its issuer, and that the last one is a
/// root.
pub(super) fn check_order(report: &mut Report, place: &str, chain: &[Facts]) {
    for (number, pair) in chain.windows(2).enumerate() {
        let [certificate, issuer] = pair else {
            continue;
        };
        if !certificate.is_issued_by(issuer) {
            let what = format_args!(
                "certificate {number} ({}) is not followed by its issuer, but by {}",
                certificate.subject(),
                issuer.subject()
            );
            let remedy =
                "put the certificates in order: each before the one that issued it, the root last";
            report.error("chain-order", ALL, place, what, remedy);
            return;
        }
    }
    if let Some(last) = chain.last().filter(|last| !last.is_self_issued()) {
        let what = format_args!(
            "the chain ends with {}, which is no root. sigstore-js follows a chain only to a \
                self-signed certificate",
            last.subject()
        );
        report.error(
            "chain-without-root",
            JS,
            place,
            what,
            "add the root at the end",
        );
    }
}
