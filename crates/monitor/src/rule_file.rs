//! Files with rules and channels: in the form of this monitor, or of rekor-monitor.

use std::path::Path;

use serde::Deserialize;

use crate::channels::ChannelSection;
use crate::rekor_monitor;
use crate::rules::RuleSection;

/// The rules and channels of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleFile {
    /// The rules.
    pub rules: Vec<RuleSection>,
    /// The channels. Empty: the standard output.
    pub channels: Vec<ChannelSection>,
    /// Remarks for whoever wrote the file.
    pub notes: Vec<String>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleFileError {
    /// TOML that is malformed, or has a member that does not exist. It names the line.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// JSON, likewise.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// YAML of rekor-monitor, likewise.
    #[error(transparent)]
    Yaml(#[from] serde_norway::Error),
    /// Parts of rekor-monitor's configuration that have no counterpart here.
    #[error("rekor-monitor's configuration has parts that do not map:\n{}", .0.join("\n"))]
    Unmapped(Vec<String>),
    /// A file without a rule.
    #[error("there is no rule in it")]
    NoRule,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    #[serde(default, rename = "rule")]
    rules: Vec<RuleSection>,
    #[serde(default, rename = "channel")]
    channels: Vec<ChannelSection>,
}

impl RuleFile {
    /// Reads the text of a file. The end of its name says what it is: `.yaml` and `.yml` are
    /// rekor-monitor's configuration, `.json` is JSON, and everything else TOML with `[[rule]]`
    /// and `[[channel]]`.
    ///
    /// # Errors
    ///
    /// See [`RuleFileError`].
    pub fn read(name: &Path, text: &str) -> Result<Self, RuleFileError> {
        let extension = name.extension().and_then(|extension| extension.to_str());
        let file = match extension {
            Some("yaml" | "yml") => return Self::of_rekor_monitor(text),
            Some("json") => serde_json::from_str(text)?,
            _ => toml::from_str(text)?,
        };
        let Sections { rules, channels } = file;
        let notes = Vec::new();
        match rules.is_empty() {
            true => Err(RuleFileError::NoRule),
            false => Ok(Self {
                rules,
                channels,
                notes,
            }),
        }
    }

    /// Reads rekor-monitor's configuration. The channels of the file are not read: whoever is told
    /// is configured here.
    ///
    /// # Errors
    ///
    /// It is malformed, or parts of it do not map; the error names all of them.
    pub fn of_rekor_monitor(text: &str) -> Result<Self, RuleFileError> {
        rekor_monitor::read(text)
    }
}
