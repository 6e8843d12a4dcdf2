//! Rules as a configuration file has them.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// One `[[rule]]`. An entry matches if each condition that is there holds; a condition holds if one
/// of its values does. `subject`, `issuer`, `extension` and `key` and their patterns have to hold
/// for one and the same signer of the entry.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RuleSection {
    /// The name that notices carry. Each rule has one of its own.
    pub name: String,
    /// Names in the certificate's subject alternative name (e-mail address, URI, host name, user
    /// name), or e-mail addresses in an OpenPGP key. Case does not matter.
    pub subject: Texts,
    /// Regular expressions for such a name, which may match anywhere in it.
    pub subject_regex: Texts,
    /// Issuers of the token behind a Fulcio certificate, `https://accounts.google.com`.
    pub issuer: Texts,
    /// Regular expressions for the issuer, which may match anywhere in it.
    pub issuer_regex: Texts,
    /// Certificate extensions that are text: Fulcio's name in kebab case
    /// (`source-repository-uri`) or the dotted object identifier, with the values of which the
    /// extension has one. Each extension that is named has to be there.
    pub extension: BTreeMap<String, Texts>,
    /// Fingerprints of keys: hexadecimal SHA-256 of the certificate, of the
    /// `SubjectPublicKeyInfo`, or of the canonical key by which Rekor searches; an OpenPGP
    /// fingerprint; an SSH fingerprint, `SHA256:…`.
    pub key: Texts,
    /// Package URLs, `pkg:npm/@scope/name@1.0.0`. Without a version they match all versions, and
    /// after the type `*` matches any text. An entry names a package only where the log keeps its
    /// attestation or, inside a ledger, where its statement was sent along.
    pub package: Texts,
    /// Digests of artifacts, payloads or subjects, `sha256:<hexadecimal digits>`. Without an
    /// algorithm they are SHA-256.
    pub digest: Texts,
    /// Kinds of entries, `hashedrekord` or `hashedrekord:0.0.1`.
    pub kind: Texts,
}

impl RuleSection {
    pub(super) fn has_conditions(&self) -> bool {
        let lists = [
            &self.subject,
            &self.subject_regex,
            &self.issuer,
            &self.issuer_regex,
            &self.key,
            &self.package,
            &self.digest,
            &self.kind,
        ];
        !self.extension.is_empty() || lists.iter().any(|list| !list.is_empty())
    }
}

/// One text, or a list of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(pub Vec<String>);

impl Texts {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
        Ok(Texts(vec![text.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element()? {
            texts.push(text);
        }
        Ok(Texts(texts))
    }
}
