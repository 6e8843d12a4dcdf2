//! The refusal of a setting, with the place where it was given.

use std::fmt;
use std::path::Path;

use super::fields::Config;
use crate::failure::{Failure, usage};

impl Config {
    /// Refuses a setting. The message names the flag, the variable or the line of the file that
    /// gave it.
    pub(super) fn wrong(&self, setting: &str, why: impl fmt::Display) -> Failure {
        match self.sources.get(setting) {
            Some(source) => usage(format_args!("{source}: {why}")),
            None => usage(format_args!("{setting}: {why}")),
        }
    }

    /// Refuses the content of the file that a setting names.
    pub(super) fn wrong_file(&self, setting: &str, path: &Path, why: impl fmt::Display) -> Failure {
        self.wrong(setting, format_args!("{}: {why}", path.display()))
    }
}
