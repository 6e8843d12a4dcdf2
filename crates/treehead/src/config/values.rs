//! Settings that are one of a few words.

use serde::{Deserialize, Serialize};

/// The answers to duplicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Duplicates {
    /// Of the v1 API.
    #[serde(default = "conflict")]
    pub v1: OnDuplicate,
    /// Of the v2 API.
    #[serde(default = "stored")]
    pub v2: OnDuplicate,
}

/// How an API answers a duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnDuplicate {
    /// 409.
    Conflict,
    /// 201 with the stored entry.
    Stored,
}

fn conflict() -> OnDuplicate {
    OnDuplicate::Conflict
}

fn stored() -> OnDuplicate {
    OnDuplicate::Stored
}

impl From<OnDuplicate> for server::OnDuplicate {
    fn from(answer: OnDuplicate) -> Self {
        match answer {
            OnDuplicate::Conflict => Self::Conflict,
            OnDuplicate::Stored => Self::Stored,
        }
    }
}

/// Whether a package may have two digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Uniqueness {
    /// It may.
    Off,
    /// It may, and is reported.
    Warn,
    /// It may not.
    Refuse,
}

impl From<Uniqueness> for server::OnSecondDigest {
    fn from(rule: Uniqueness) -> Self {
        match rule {
            Uniqueness::Off => Self::Ignored,
            Uniqueness::Warn => Self::Reported,
            Uniqueness::Refuse => Self::Refused,
        }
    }
}

/// Whether entries are accepted that cannot be judged by their packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unjudged {
    /// They are.
    Accept,
    /// They are refused.
    Refuse,
}

impl From<Unjudged> for server::OnUnjudged {
    fn from(rule: Unjudged) -> Self {
        match rule {
            Unjudged::Accept => Self::Accepted,
            Unjudged::Refuse => Self::Refused,
        }
    }
}

/// The algorithm of a log key that is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogKeyAlgorithm {
    /// Ed25519.
    Ed25519,
    /// ECDSA on the curve P-256.
    EcdsaP256,
}

impl From<LogKeyAlgorithm> for tlog::KeyAlgorithm {
    fn from(algorithm: LogKeyAlgorithm) -> Self {
        match algorithm {
            LogKeyAlgorithm::Ed25519 => Self::Ed25519,
            LogKeyAlgorithm::EcdsaP256 => Self::EcdsaP256,
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}
