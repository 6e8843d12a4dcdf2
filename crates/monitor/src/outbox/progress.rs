//! How far a channel is.

use serde::{Deserialize, Serialize};

/// The progress of one channel, as its file has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Progress {
    /// The number of the first notice that is not delivered.
    pub(super) next: u64,
    /// Whether an attempt to deliver that notice has begun.
    pub(super) has_begun: bool,
    /// Why the channel is switched off, if its receiver wants no more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) off: Option<String>,
}

impl Progress {
    pub(super) fn at(next: u64) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }

    /// Before the first attempt to deliver a notice.
    pub(super) fn beginning(number: u64) -> Self {
        Self {
            next: number,
            has_begun: true,
            off: None,
        }
    }

    pub(super) fn switched_off(self, reason: String) -> Self {
        Self {
            off: Some(reason),
            ..self
        }
    }

    pub(super) fn is_off(&self) -> bool {
        self.off.is_some()
    }
}
