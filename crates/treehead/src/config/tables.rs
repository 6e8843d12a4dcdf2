//! The tables of the file, and the settings in them.

use super::setting::Setting;
use super::settings::SETTINGS;

/// The tables of the file, with their headings in `--help`.
pub(crate) const TABLES: [(&str, &str); 13] = [
    ("ledger", "The ledger"),
    ("v1", "The v1 log"),
    ("v2", "The v2 log"),
    ("keys", "Keys"),
    ("database", "Storage"),
    ("guard", "Guard"),
    ("server", "Server"),
    ("entries", "Entries"),
    ("duplicates", "Duplicates"),
    ("limits", "Limits"),
    ("witness", "Witnesses"),
    ("trust", "Trust material"),
    ("logging", "Logging"),
];

/// Returns the setting with this flag.
pub(crate) fn by_flag(flag: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.flag == flag)
}

/// Returns the setting with this table and key in the file.
pub(super) fn by_key(table: &str, key: &str) -> Option<&'static Setting> {
    of_table(table).find(|setting| setting.key == key)
}

/// Returns the settings of a table of the file.
pub(crate) fn of_table(table: &str) -> impl Iterator<Item = &'static Setting> {
    SETTINGS
        .iter()
        .filter(move |setting| setting.table == table)
}
