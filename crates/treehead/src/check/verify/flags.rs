//! The flags of `verify`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use client::bundle::{CertificatePolicy, Expected, Pattern};
use ledger::Api;
use regex::Regex;
use tlog::Hash;

use super::artifact::read;
use crate::check::flags::{TrustFlags, sha256};
use crate::failure::{Explain, FailureKind, Outcome, usage};
use crate::log_name::api;

/// Flags of `verify`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").args(["bundle", "entry", "tlog_proof"])))]
#[command(group(ArgGroup::new("proved").args(["leaf", "leaf_hash"])))]
pub(crate) struct VerifyFlags {
    /// The artifact: a file, or its digest as sha256:HEX. A bundle, an entry or evidence may stand
    /// here without its flag, if its content says what it is
    #[arg(value_name = "FILE", num_args = 0..=2)]
    pub files: Vec<PathBuf>,
    /// File with a Sigstore bundle, for a signature or an attestation. Unset: FILE.sigstore.json,
    /// if it exists
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    #[command(flatten)]
    pub signer: SignerFlags,
    /// Predicate type that an attestation must have
    #[arg(long = "type", value_name = "URI")]
    pub predicate_type: Option<String>,
    /// File with an entry: the answer of a log of Rekor v1 or v2, or an entry of a Sigstore bundle
    #[arg(long, value_name = "FILE")]
    pub entry: Option<PathBuf>,
    /// File with a C2SP tlog-proof
    #[arg(long, value_name = "FILE", requires = "proved")]
    pub tlog_proof: Option<PathBuf>,
    /// File with the leaf bytes that are proved
    #[arg(long, value_name = "FILE", requires = "tlog_proof")]
    pub leaf: Option<PathBuf>,
    /// Their leaf hash, in hexadecimal
    #[arg(long, value_name = "HASH", value_parser = sha256, requires = "tlog_proof")]
    pub leaf_hash: Option<Hash>,
    /// URL of a log, which is asked for the entries of the artifact if there is no bundle and no
    /// entry. Nothing else reaches a network
    #[arg(long, env = "TREEHEAD_URL", value_name = "URL")]
    pub url: Option<String>,
    /// How that log is read: v1 is the API of Rekor v1, v2 are the tiles of Rekor v2 and C2SP.
    /// Unset: v1 if the server has it
    #[arg(long, value_name = "API", value_parser = api)]
    pub api: Option<&'static Api>,
    #[command(flatten)]
    pub trust: TrustFlags,
}

impl VerifyFlags {
    /// Returns the URL of the log that is to be asked. An empty one is none.
    pub(super) fn log(&self) -> Option<&str> {
        self.url.as_deref().filter(|url| !url.is_empty())
    }

    /// Returns whether a signer or the type of a statement is expected.
    pub(super) fn says_who_or_what(&self) -> bool {
        self.signer.is_given() || self.predicate_type.is_some()
    }

    /// Refuses an expected signer or type, where nothing would check it.
    pub(super) fn refuse_who_and_what(&self, why: &str) -> Outcome<()> {
        match self.says_who_or_what() {
            true => Err(usage(format_args!(
                "--key, --certificate-… and --type are not checked here: {why}"
            ))),
            false => Ok(()),
        }
    }
}

/// Who must have signed.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("identity").args(["certificate_identity", "certificate_identity_regexp"])))]
#[command(group(ArgGroup::new("issuer").args(["certificate_oidc_issuer", "certificate_oidc_issuer_regexp"])))]
pub(crate) struct SignerFlags {
    /// File with the public key that must have signed (PEM)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["identity", "issuer", "certificate_extension"])]
    pub key: Option<PathBuf>,
    /// Identity that the certificate must name: an e-mail address, a URI
    #[arg(long, value_name = "NAME", requires = "issuer")]
    pub certificate_identity: Option<String>,
    /// Regular expression that must be found in it. Anchor it with ^ and $
    #[arg(long, value_name = "REGEXP", requires = "issuer")]
    pub certificate_identity_regexp: Option<Regex>,
    /// Issuer of the identity
    #[arg(long, value_name = "URL", requires = "identity")]
    pub certificate_oidc_issuer: Option<String>,
    /// Regular expression that must be found in it
    #[arg(long, value_name = "REGEXP", requires = "identity")]
    pub certificate_oidc_issuer_regexp: Option<Regex>,
    /// Value that an extension of the certificate must have, by its object identifier, such as
    /// `1.3.6.1.4.1.57264.1.12=https://github.com/acme/app`. May be given several times
    #[arg(long, value_name = "OID=VALUE", value_parser = extension, requires = "identity")]
    pub certificate_extension: Vec<(String, String)>,
}

impl SignerFlags {
    /// Returns whether any flag says who must have signed.
    pub(super) fn is_given(&self) -> bool {
        self.key.is_some()
            || self.certificate_identity.is_some()
            || self.certificate_identity_regexp.is_some()
            || self.certificate_oidc_issuer.is_some()
            || self.certificate_oidc_issuer_regexp.is_some()
            || !self.certificate_extension.is_empty()
    }

    /// Returns who is expected, if the flags say it.
    pub(super) fn expected(&self) -> Outcome<Option<Expected>> {
        if let Some(path) = &self.key {
            let pem = String::from_utf8(read(path)?);
            let pem = pem.explain(FailureKind::Usage, path.display())?;
            let key = Expected::key(&pem).explain(FailureKind::Usage, path.display())?;
            return Ok(Some(key));
        }
        let (identity, issuer) = (self.identity(), self.issuer());
        Ok(identity.zip(issuer).map(|(identity, issuer)| {
            let extensions = self.certificate_extension.clone();
            Expected::Certificate(CertificatePolicy {
                identity,
                issuer,
                extensions,
            })
        }))
    }

    /// Returns who is expected. Nobody is no answer: a bundle of anybody proves nothing.
    pub(super) fn required(&self) -> Outcome<Expected> {
        let why = "say who must have signed: --key FILE, or --certificate-identity[-regexp] together with --certificate-oidc-issuer[-regexp]";
        self.expected()?.ok_or_else(|| usage(why))
    }

    fn identity(&self) -> Option<Pattern> {
        pattern(
            &self.certificate_identity,
            &self.certificate_identity_regexp,
        )
    }

    fn issuer(&self) -> Option<Pattern> {
        let regexp = &self.certificate_oidc_issuer_regexp;
        pattern(&self.certificate_oidc_issuer, regexp)
    }
}

fn pattern(text: &Option<String>, regexp: &Option<Regex>) -> Option<Pattern> {
    match (text, regexp) {
        (Some(text), _) => Some(Pattern::Is(text.clone())),
        (None, Some(regexp)) => Some(Pattern::Matches(regexp.clone())),
        (None, None) => None,
    }
}

fn extension(text: &str) -> Result<(String, String), &'static str> {
    let (id, value) = text.split_once('=').ok_or("write OID=VALUE")?;
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match is_id {
        true => Ok((id.to_owned(), value.to_owned())),
        false => Err("an object identifier has digits and dots"),
    }
}
