//! One kind of condition of all rules, matched together.

use std::collections::HashMap;

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::bits::Bits;
use super::error::{Fault, RuleError};
use super::section::{RuleSection, Texts};
use super::values::{self, Read};

/// Bytes of one regular expression as it is written.
const MAX_PATTERN_BYTES: usize = 4 * 1024;
/// Memory of one compiled expression: room for some hundred alternatives, not for `.{1000}{1000}`.
const MAX_COMPILED_BYTES: usize = 1024 * 1024;
/// Memory of all expressions of one kind of condition.
const MAX_SET_BYTES: usize = 64 * 1024 * 1024;
/// Memory of the cache in which an expression set keeps the states that it met, for each thread.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// The values and patterns that rules have for one kind of condition.
#[derive(Debug)]
pub(super) struct Condition {
    /// The rules without this condition.
    pub(super) without: Bits,
    exact: HashMap<String, Vec<usize>>,
    /// How a value of an entry is written in `exact`.
    read: Read,
    patterns: Option<Patterns>,
}

#[derive(Debug)]
struct Patterns {
    set: RegexSet,
    /// The rule of each pattern.
    rules: Vec<usize>,
}

/// A regular expression, made from a text of a rule.
pub(super) struct Pattern(String);

impl Pattern {
    /// A regular expression as it is written.
    pub(super) fn regex(text: &str) -> Result<Self, Fault> {
        match text.len() {
            0 => Err(Fault::EmptyValue),
            1..=MAX_PATTERN_BYTES => Ok(Self(text.to_owned())),
            _ => Err(Fault::LongPattern(MAX_PATTERN_BYTES)),
        }
    }

    /// A package URL in which `*` is any text. Without a version it is one of any version, and
    /// without a file of the version one of any file.
    pub(super) fn package(text: &str) -> Result<Self, Fault> {
        let purl = values::package(text)?;
        let name = purl.rsplit('/').next().unwrap_or_default();
        let has_version = name.find('@').is_some_and(|at| at > 0);
        let parts: Vec<String> = purl.split('*').map(regex::escape).collect();
        let end = match () {
            () if name.contains('?') => "$",
            () if has_version => r"(?:\?.*)?$",
            () => "(?:@.*)?$",
        };
        Self::regex(&format!("(?is)^{}{end}", parts.join(".*")))
    }

    fn compile(&self) -> Result<Regex, Fault> {
        let compiled = RegexBuilder::new(&self.0)
            .size_limit(MAX_COMPILED_BYTES)
            .build();
        compiled.map_err(|error| Fault::Regex {
            pattern: self.0.clone(),
            error: Box::new(error),
        })
    }
}

impl Condition {
    /// A condition that no rule has yet.
    pub(super) fn new(sections: &[RuleSection]) -> Self {
        Self {
            without: Bits::of(sections.len(), |_| true),
            exact: HashMap::new(),
            read: values::unchanged,
            patterns: None,
        }
    }

    /// Adds the exact values of all rules, each as `read` writes it.
    pub(super) fn with_values(
        mut self,
        sections: &[RuleSection],
        texts: fn(&RuleSection) -> &Texts,
        read: Read,
    ) -> Result<Self, RuleError> {
        self.read = read;
        for (rule, section) in sections.iter().enumerate() {
            for text in texts(section).iter() {
                let value = match text {
                    "" => Err(Fault::EmptyValue),
                    text => read(text),
                };
                let value = value.map_err(|fault| RuleError::new(&section.name, rule, fault))?;
                self.exact.entry(value).or_default().push(rule);
            }
        }
        self.exclude(sections, texts);
        Ok(self)
    }

    /// Adds the patterns of all rules.
    pub(super) fn with_patterns(
        mut self,
        sections: &[RuleSection],
        texts: fn(&RuleSection) -> &Texts,
        read: fn(&str) -> Result<Pattern, Fault>,
    ) -> Result<Self, RuleError> {
        let (mut patterns, mut rules) = (Vec::new(), Vec::new());
        for (rule, section) in sections.iter().enumerate() {
            for text in texts(section).iter() {
                let pattern = read(text).and_then(|pattern| {
                    // The error of a set does not say which pattern it is about.
                    pattern.compile()?;
                    Ok(pattern)
                });
                let pattern = pattern.map_err(|f| RuleError::new(&section.name, rule, f))?;
                patterns.push(pattern.0);
                rules.push(rule);
            }
        }
        self.exclude(sections, texts);
        if !patterns.is_empty() {
            let set = RegexSetBuilder::new(&patterns)
                .size_limit(MAX_SET_BYTES)
                .dfa_size_limit(CACHE_BYTES)
                .build();
            let too_large = |error| RuleError::of_all(Fault::AllPatterns(Box::new(error)));
            let set = set.map_err(too_large)?;
            self.patterns = Some(Patterns { set, rules });
        }
        Ok(self)
    }

    fn exclude(&mut self, sections: &[RuleSection], texts: fn(&RuleSection) -> &Texts) {
        let without = Bits::of(sections.len(), |rule| texts(&sections[rule]).is_empty());
        self.without.retain(&without);
    }

    /// The rules for which it holds: they do not have the condition, or one of these values meets
    /// it.
    pub(super) fn holding<V: AsRef<str>>(&self, values: impl Iterator<Item = V>) -> Bits {
        let mut rules = self.without.clone();
        if self.exact.is_empty() && self.patterns.is_none() {
            return rules;
        }
        for value in values {
            self.each_rule_for(value.as_ref(), |rule| rules.insert(rule));
        }
        rules
    }

    /// Those of the values that meet the condition of a rule.
    pub(super) fn values<V: AsRef<str>>(
        &self,
        rule: usize,
        values: impl Iterator<Item = V>,
    ) -> Vec<String> {
        let mut met = Vec::new();
        for value in values {
            let mut is_met = false;
            self.each_rule_for(value.as_ref(), |found| is_met |= found == rule);
            if is_met {
                met.push(value.as_ref().to_owned());
            }
        }
        met
    }

    fn each_rule_for(&self, value: &str, mut take: impl FnMut(usize)) {
        if !self.exact.is_empty()
            && let Ok(read) = (self.read)(value)
            && let Some(rules) = self.exact.get(&read)
        {
            rules.iter().for_each(|rule| take(*rule));
        }
        if let Some(patterns) = &self.patterns {
            for pattern in patterns.set.matches(value) {
                take(patterns.rules[pattern]);
            }
        }
    }
}
