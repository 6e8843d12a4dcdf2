//! Settings that earlier builds had, when one key and one tree served both APIs. They are refused
//! with their new names: a key that is named and not used would be replaced by a new one.

use super::setting::{Setting, variable_of};
use super::tables::by_flag;

/// The table of the file that is now called `ledger`.
pub(super) const OLD_LEDGER_TABLE: &str = "log";

/// A setting that there is no more.
pub(crate) struct Replaced {
    /// Its flag without the dashes.
    pub(super) flag: &'static str,
    /// Its table in the file.
    pub(super) table: &'static str,
    /// Its key in that table.
    pub(super) key: &'static str,
    /// The flags of the settings in its place.
    by: &'static [&'static str],
}

static REPLACED: [Replaced; 3] = [
    Replaced {
        flag: "key",
        table: "keys",
        key: "log",
        by: &["v1-key", "v2-key"],
    },
    Replaced {
        flag: "ed25519-key",
        table: "keys",
        key: "ed25519",
        by: &["v1-checkpoint-key", "v2-key"],
    },
    Replaced {
        flag: "apis",
        table: OLD_LEDGER_TABLE,
        key: "apis",
        by: &["logs"],
    },
];

/// Returns the replaced setting that `is_given` finds.
pub(super) fn find(is_given: impl Fn(&Replaced) -> bool) -> Option<&'static Replaced> {
    REPLACED.iter().find(|replaced| is_given(replaced))
}

/// Returns the refusal of a replaced setting that was given as a flag or in the environment.
pub(crate) fn refused_setting(
    has_flag: impl Fn(&str) -> bool,
    has_variable: impl Fn(&str) -> bool,
) -> Option<String> {
    if let Some(replaced) = find(|replaced| has_flag(&format!("--{}", replaced.flag))) {
        let names = replaced.names(|setting| format!("--{}", setting.flag));
        return Some(format!("--{} is now {names}", replaced.flag));
    }
    let replaced = find(|replaced| has_variable(&variable_of(replaced.flag)))?;
    let names = replaced.names(Setting::variable);
    Some(format!("{} is now {names}", variable_of(replaced.flag)))
}

impl Replaced {
    /// Returns the names of the settings in its place.
    pub(super) fn names(&self, name: impl Fn(&'static Setting) -> String) -> String {
        let settings = self.by.iter().filter_map(|flag| by_flag(flag));
        settings.map(name).collect::<Vec<_>>().join(" and ")
    }
}
