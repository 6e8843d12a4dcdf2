//! The conditions about certificate extensions. A rule may have several, which all have to hold.

use std::collections::HashMap;

use super::bits::Bits;
use super::error::{Fault, RuleError};
use super::fulcio;
use super::section::RuleSection;

/// The extensions that rules ask for.
#[derive(Debug)]
pub(super) struct Extensions {
    /// The rules without a condition about extensions.
    pub(super) without: Bits,
    /// By dotted object identifier and value: the rule, and which of its conditions holds.
    values: HashMap<String, HashMap<String, Vec<(usize, usize)>>>,
    /// How many conditions each rule has.
    wanted: Vec<usize>,
}

impl Extensions {
    pub(super) fn new(sections: &[RuleSection]) -> Result<Self, RuleError> {
        let mut extensions = Self {
            without: Bits::of(sections.len(), |rule| sections[rule].extension.is_empty()),
            values: HashMap::new(),
            wanted: sections.iter().map(|rule| rule.extension.len()).collect(),
        };
        for (rule, section) in sections.iter().enumerate() {
            let fault = |fault| RuleError::new(&section.name, rule, fault);
            for (condition, (name, values)) in section.extension.iter().enumerate() {
                let identifiers = fulcio::identifiers(name);
                if identifiers.is_empty() {
                    return Err(fault(Fault::UnknownExtension(name.clone())));
                }
                if values.is_empty() || values.iter().any(str::is_empty) {
                    return Err(fault(Fault::EmptyValue));
                }
                for identifier in identifiers {
                    let of_identifier = extensions.values.entry(identifier).or_default();
                    for value in values.iter() {
                        let of_value = of_identifier.entry(value.to_owned()).or_default();
                        of_value.push((rule, condition));
                    }
                }
            }
        }
        Ok(extensions)
    }

    /// The rules for which the extensions of a certificate hold.
    pub(super) fn holding<'a>(&self, found: impl Iterator<Item = &'a (String, String)>) -> Bits {
        let mut rules = self.without.clone();
        if self.values.is_empty() {
            return rules;
        }
        let mut met: Vec<(usize, usize)> = Vec::new();
        for (identifier, value) in found {
            met.extend_from_slice(self.conditions(identifier, value));
        }
        met.sort_unstable();
        met.dedup();
        for of_rule in met.chunk_by(|one, other| one.0 == other.0) {
            let (rule, _) = of_rule[0];
            if of_rule.len() == self.wanted[rule] {
                rules.insert(rule);
            }
        }
        rules
    }

    /// Those of the extensions that a rule asks for, as `<identifier>=<value>`.
    pub(super) fn values<'a>(
        &self,
        rule: usize,
        found: impl Iterator<Item = &'a (String, String)>,
    ) -> Vec<String> {
        let met = found.filter(|(identifier, value)| {
            let conditions = self.conditions(identifier, value).iter();
            conditions.into_iter().any(|(found, _)| *found == rule)
        });
        met.map(|(identifier, value)| format!("{identifier}={value}"))
            .collect()
    }

    fn conditions(&self, identifier: &str, value: &str) -> &[(usize, usize)] {
        let of_identifier = self.values.get(identifier);
        let of_value = of_identifier.and_then(|values| values.get(value));
        of_value.map(Vec::as_slice).unwrap_or_default()
    }
}
