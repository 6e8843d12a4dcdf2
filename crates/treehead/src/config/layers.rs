//! From the file, the environment and the flags to one configuration.

use std::fs;
use std::path::{Path, PathBuf};

use super::fields::Config;
use super::file;
use super::source::{Source, Sources};
use crate::failure::{Explain, FailureKind, Outcome, usage};

/// A configuration or URL file is never larger than a page or two; this keeps a wrong path from
/// being read into memory.
const MAX_FILE: u64 = 64 * 1024;

/// The two ways to name the database are one setting: the nearer source wins whichever it uses.
const DATABASE_KEYS: [&str; 2] = ["database", "database-file"];

/// The settings that flags and environment gave.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// The given settings, and no others, in a table by flags.
    pub settings: toml::Table,
    /// Where each of them was given.
    pub sources: Sources,
    /// Oddities of the environment.
    pub warnings: Vec<String>,
}

impl Given {
    /// Lays these settings over those of the file, and these over the defaults.
    pub(crate) fn config(self) -> Outcome<Config> {
        let file = self.file.clone();
        Config::layered(file.as_deref(), self)
    }
}

impl Config {
    /// Reads a file by itself: keys, types and whether the values make sense.
    pub(super) fn from_file(path: &Path) -> Outcome<Self> {
        Self::layered(Some(path), Given::default())
    }

    /// Lays `given` over the file, if there is one, over the defaults.
    pub(crate) fn layered(path: Option<&Path>, given: Given) -> Outcome<Self> {
        let Given {
            settings,
            sources: nearer,
            warnings,
            ..
        } = given;
        let (mut layers, mut sources) = (toml::Table::new(), Sources::default());
        if let Some(path) = path {
            (layers, sources) = file::read(path)?;
        }
        if DATABASE_KEYS.iter().any(|key| settings.contains_key(*key)) {
            DATABASE_KEYS
                .iter()
                .for_each(|key| drop(layers.remove(*key)));
        }
        lay_over(&mut layers, settings);
        sources.extend(nearer);
        let config: Self = layers
            .try_into()
            .map_err(|error: toml::de::Error| usage(error.message()))?;
        let mut config = Self {
            sources,
            warnings,
            ..config
        };
        config.check()?;
        config.warn_of_open_password();
        Ok(config)
    }

    /// Arguments are in the list of processes, which every user of a machine can read.
    fn warn_of_open_password(&mut self) {
        let is_flag = matches!(self.sources.get("database"), Some(Source::Flag(_)));
        if is_flag && self.database.as_ref().is_some_and(|url| url.has_password()) {
            let warning = "--database has a password in it, which every user of this machine can read in the list of \
                           processes: put the URL into a file and name it with --database-file";
            self.warnings.push(warning.to_owned());
        }
    }
}

/// Merges two layers. A value that `nearer` does not give stays, also within tables.
fn lay_over(layers: &mut toml::Table, nearer: toml::Table) {
    for (key, value) in nearer {
        match (layers.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => lay_over(below, above),
            (_, value) => drop(layers.insert(key, value)),
        }
    }
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Outcome<T> {
    toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let line = line.map(|line| format!(" line {line}")).unwrap_or_default();
        usage(format_args!(
            "{}{line}: {}",
            path.display(),
            error.message()
        ))
    })
}

/// Reads a text file that has no reason to be large.
pub(crate) fn read_small(path: &Path) -> Outcome<String> {
    let size = fs::metadata(path)
        .explain(FailureKind::Usage, path.display())?
        .len();
    if size > MAX_FILE {
        return Err(usage(format_args!(
            "{}: {size} bytes, at most {MAX_FILE} expected",
            path.display()
        )));
    }
    fs::read_to_string(path).explain(FailureKind::Usage, path.display())
}
