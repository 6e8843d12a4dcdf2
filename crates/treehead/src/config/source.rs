//! Where each setting was given, for messages.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Where a setting was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// On the command line; the flag with its dashes.
    Flag(String),
    /// In the environment; the variable.
    Variable(String),
    /// In the configuration file.
    File {
        path: PathBuf,
        line: Option<usize>,
        setting: String,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::File {
                path,
                line: Some(line),
                setting,
            } => write!(f, "{} line {line}: {setting}", path.display()),
            Self::File {
                path,
                line: None,
                setting,
            } => write!(f, "{}: {setting}", path.display()),
        }
    }
}

/// The sources of the settings that were given, by their flags.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sources(BTreeMap<String, Source>);

impl Sources {
    /// Adds a setting, whose source is nearer than those of a file.
    pub(crate) fn add(&mut self, setting: &str, source: Source) {
        self.0.insert(setting.to_owned(), source);
    }

    /// Adds nearer sources.
    pub(super) fn extend(&mut self, nearer: Self) {
        self.0.extend(nearer.0);
    }

    /// The source of a setting that was given.
    pub(crate) fn get(&self, setting: &str) -> Option<&Source> {
        self.0.get(setting)
    }
}
