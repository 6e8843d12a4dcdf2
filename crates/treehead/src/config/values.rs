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

/// By which APIs a log takes entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Apis {
    /// Rekor v1.
    V1,
    /// Rekor v2.
    V2,
    /// Rekor v1 and v2.
    Both,
}

impl From<Apis> for ledger::Apis {
    fn from(apis: Apis) -> Self {
        match apis {
            Apis::V1 => Self::V1,
            Apis::V2 => Self::V2,
            Apis::Both => Self::Both,
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
