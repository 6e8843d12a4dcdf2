//! Rules: which entries somebody is told about.
//!
//! A rule is a name and conditions ([`RuleSection`]). All rules are matched together: exact values
//! are looked up in one table for each kind of condition, and patterns are one set of regular
//! expressions, so that an entry costs about the same whether there is one rule or a hundred.

mod bits;
mod condition;
mod error;
mod extensions;
mod fulcio;
mod section;
mod values;

use std::collections::HashSet;

use entry::{Signer, Summary};
use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use bits::Bits;
use condition::{Condition, Pattern};
use extensions::Extensions;

pub use error::{Fault, RuleError};
pub use section::{RuleSection, Texts};

/// Rules of one file. Each costs memory only.
const MAX_RULES: usize = 10_000;
/// Kinds whose attestation a log may keep, with the payload that names packages and digests.
const WITH_ATTESTATION: [&str; 2] = ["intoto", "cose"];

/// Rules that are ready to be matched.
#[derive(Debug)]
pub struct Rules {
    names: Vec<String>,
    subject: Condition,
    issuer: Condition,
    extension: Extensions,
    key: Condition,
    package: Condition,
    digest: Condition,
    kind: Condition,
}

/// A rule that an entry matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit<'r> {
    /// The name of the rule.
    pub rule: &'r str,
    /// The values of the entry by which the conditions of the rule hold, in the order of
    /// [`RuleSection`].
    pub matched: Vec<Matched>,
}

/// A value of an entry by which a condition holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matched {
    /// The name of the condition, `subject`.
    pub condition: String,
    /// The value as the entry has it.
    pub value: String,
}

impl Rules {
    /// Prepares rules.
    ///
    /// # Errors
    ///
    /// A rule has no name, the name of another rule, no condition or a malformed value, or there
    /// are too many rules. The error names the rule.
    pub fn new(sections: &[RuleSection]) -> Result<Self, RuleError> {
        if sections.len() > MAX_RULES {
            return Err(RuleError::of_all(Fault::TooManyRules(MAX_RULES)));
        }
        let mut names = HashSet::new();
        for (at, section) in sections.iter().enumerate() {
            let repeated = !names.insert(&section.name);
            let fault = match () {
                () if section.name.trim().is_empty() => Fault::NoName,
                () if repeated => Fault::RepeatedName,
                () if !section.has_conditions() => Fault::NoCondition,
                () => continue,
            };
            return Err(RuleError::new(&section.name, at, fault));
        }
        Self::compile(sections)
    }

    fn compile(sections: &[RuleSection]) -> Result<Self, RuleError> {
        let exact = |texts: fn(&RuleSection) -> &Texts, read: values::Read| {
            Condition::new(sections).with_values(sections, texts, read)
        };
        let regex = |condition: Condition, texts: fn(&RuleSection) -> &Texts| {
            condition.with_patterns(sections, texts, Pattern::regex)
        };
        let subject = exact(|rule| &rule.subject, values::lower_case)?;
        let issuer = exact(|rule| &rule.issuer, values::unchanged)?;
        Ok(Self {
            names: sections.iter().map(|rule| rule.name.clone()).collect(),
            subject: regex(subject, |rule| &rule.subject_regex)?,
            issuer: regex(issuer, |rule| &rule.issuer_regex)?,
            extension: Extensions::new(sections)?,
            key: exact(|rule| &rule.key, values::key)?,
            package: Condition::new(sections).with_patterns(
                sections,
                |rule| &rule.package,
                Pattern::package,
            )?,
            digest: exact(|rule| &rule.digest, values::digest)?,
            kind: exact(|rule| &rule.kind, values::unchanged)?,
        })
    }

    /// Returns how many rules there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns the rules that an entry matches, in the order of the file.
    pub fn matches(&self, facts: &Facts<'_>) -> Vec<Hit<'_>> {
        let mut matching = self.matching_leaf(facts.summary);
        if !matching.is_empty() {
            matching.retain(&self.digest.holding(digests(facts)));
            matching.retain(&self.package.holding(packages(facts)));
        }
        let hits = matching.iter();
        hits.map(|rule| self.hit(rule, facts)).collect()
    }

    /// Whether an entry may match a rule by the attestation that a log keeps beside it, and only by
    /// that.
    pub fn wants_attestation(&self, summary: &Summary) -> bool {
        WITH_ATTESTATION.contains(&&*summary.kind) && self.is_undecided(summary)
    }

    /// Whether an entry may match a rule by a package or digest that its leaf does not show, and
    /// only by that.
    pub fn is_undecided(&self, summary: &Summary) -> bool {
        let mut undecided = self.matching_leaf(summary);
        let digests = self.digest.holding(summary.digests.iter());
        let mut decided = undecided.clone();
        decided.retain(&digests);
        decided.retain(&self.package.without);
        undecided.remove(&decided);
        !undecided.is_empty()
    }

    /// The rules whose conditions about the kind and the signers hold.
    fn matching_leaf(&self, summary: &Summary) -> Bits {
        let mut matching = self.kind.holding(kinds(summary));
        if !matching.is_empty() {
            matching.retain(&self.signed_by_any(&summary.signers));
        }
        matching
    }

    fn signed_by_any(&self, signers: &[Signer]) -> Bits {
        // Rules that do not ask for a signer.
        let mut matching = self.subject.without.clone();
        matching.retain(&self.issuer.without);
        matching.retain(&self.extension.without);
        matching.retain(&self.key.without);
        for signer in signers {
            matching.add(&self.signed_by(signer));
        }
        matching
    }

    fn signed_by(&self, signer: &Signer) -> Bits {
        let mut matching = self.subject.holding(subjects(signer));
        matching.retain(&self.issuer.holding(issuer(signer)));
        matching.retain(&self.key.holding(keys(signer)));
        matching.retain(&self.extension.holding(extensions(signer)));
        matching
    }

    fn hit(&self, rule: usize, facts: &Facts<'_>) -> Hit<'_> {
        let mut matched = Vec::new();
        let mut add = |condition: &str, values: Vec<String>| {
            matched.extend(values.into_iter().map(|value| Matched {
                condition: condition.to_owned(),
                value,
            }));
        };
        let signers = facts.summary.signers.iter();
        let mut signers = signers.filter(|signer| self.signed_by(signer).contains(rule));
        if let Some(signer) = signers.next() {
            add("subject", self.subject.values(rule, subjects(signer)));
            add("issuer", self.issuer.values(rule, issuer(signer)));
            add("extension", self.extension.values(rule, extensions(signer)));
            add("key", self.key.values(rule, keys(signer)));
        }
        add("package", self.package.values(rule, packages(facts)));
        add("digest", self.digest.values(rule, digests(facts)));
        add("kind", self.kind.values(rule, kinds(facts.summary)));
        Hit {
            rule: &self.names[rule],
            matched,
        }
    }
}

fn kinds(summary: &Summary) -> impl Iterator<Item = String> {
    let Summary { kind, version, .. } = summary;
    [kind.clone(), format!("{kind}:{version}")].into_iter()
}

fn subjects(signer: &Signer) -> impl Iterator<Item = &String> {
    signer.names.iter()
}

fn issuer(signer: &Signer) -> impl Iterator<Item = &String> {
    let certificate = signer.certificate.iter();
    certificate.filter_map(|certificate| certificate.issuer.as_ref())
}

fn extensions(signer: &Signer) -> impl Iterator<Item = &(String, String)> {
    let certificate = signer.certificate.iter();
    certificate.flat_map(|certificate| &certificate.extensions)
}

fn keys(signer: &Signer) -> impl Iterator<Item = &String> {
    let certificate = signer.certificate.iter();
    [&signer.key_hash]
        .into_iter()
        .chain(&signer.spki_sha256)
        .chain(certificate.map(|certificate| &certificate.sha256))
        .chain(&signer.fingerprints)
}

fn digests<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a str> {
    let statement = facts.statement.into_iter();
    let digests = statement.flat_map(|statement| &statement.digests);
    let all = facts.summary.digests.iter().chain(digests);
    all.chain(facts.index_keys).map(String::as_str)
}

fn packages<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a str> {
    let statement = facts.statement.into_iter();
    let packages = statement.flat_map(|statement| &statement.packages);
    let keys = facts.index_keys.iter();
    let indexed = keys.filter_map(|key| key.strip_prefix("purl="));
    packages.map(|package| package.purl.as_str()).chain(indexed)
}

#[cfg(test)]
mod tests;
