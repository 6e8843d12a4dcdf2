//! Why rules are refused.

use std::fmt;

/// A rule that cannot be used.
#[derive(Debug)]
pub struct RuleError {
    name: String,
    /// From 1. None: all rules together.
    number: Option<usize>,
    fault: Fault,
}

/// The fault of a rule.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It has no name.
    #[error("it has no `name`, which notices would carry")]
    NoName,
    /// Another rule has its name.
    #[error("another rule has the same name")]
    RepeatedName,
    /// It has no condition.
    #[error("it has no condition, so that every entry would match")]
    NoCondition,
    /// There are too many rules.
    #[error("there are more than {0} rules, the limit")]
    TooManyRules(usize),
    /// A value is empty, or a list is.
    #[error("a value is empty")]
    EmptyValue,
    /// A regular expression is too long.
    #[error("a regular expression has more than {0} bytes, the limit")]
    LongPattern(usize),
    /// A regular expression is malformed, or too large when it is compiled.
    #[error("the regular expression {pattern:?}: {error}")]
    Regex {
        /// The expression.
        pattern: String,
        /// Its fault.
        error: Box<regex::Error>,
    },
    /// All regular expressions together are too large.
    #[error("all regular expressions together: {0}")]
    AllPatterns(Box<regex::Error>),
    /// An extension has neither a known name nor an object identifier.
    #[error(
        "the extension {0:?} is neither a name of Fulcio's (such as source-repository-uri) nor a dotted object \
         identifier"
    )]
    UnknownExtension(String),
    /// A key is no fingerprint.
    #[error(
        "the key {0:?} is no fingerprint: hexadecimal digits (SHA-256 of a certificate or key, OpenPGP), or SHA256:… \
         of SSH"
    )]
    Fingerprint(String),
    /// A digest is malformed.
    #[error("the digest {0:?} has not the form sha256:<hexadecimal digits>")]
    Digest(String),
    /// A package is no package URL.
    #[error("the package {0:?} is no package URL, pkg:<type>/<name>")]
    Package(String),
}

impl RuleError {
    pub(super) fn new(name: &str, position: usize, fault: Fault) -> Self {
        Self {
            name: name.to_owned(),
            number: Some(position + 1),
            fault,
        }
    }

    /// All rules together.
    pub(super) fn of_all(fault: Fault) -> Self {
        Self {
            name: String::new(),
            number: None,
            fault,
        }
    }

    /// Returns the fault of the rule.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.number, &*self.name) {
            (None, _) => write!(f, "{}", self.fault),
            (Some(number), "") => write!(f, "rule {number}: {}", self.fault),
            (Some(number), name) => write!(f, "rule {number} ({name:?}): {}", self.fault),
        }
    }
}

impl std::error::Error for RuleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.fault)
    }
}
