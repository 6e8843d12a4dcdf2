//! The configuration file: settings in tables by role.

use std::path::Path;

use toml::{Table, Value};

use super::fields::Config;
use super::layers::{parse, read_small};
use super::replaced::{self, OLD_LEDGER_TABLE, Replaced};
use super::setting::Setting;
use super::source::{Source, Sources};
use super::tables::{self, TABLES};
use crate::failure::{Failure, Outcome, usage};

/// Reads a file. Returns its settings in a table by flags, and where each one is.
pub(super) fn read(path: &Path) -> Outcome<(Table, Sources)> {
    let file = File {
        path,
        text: &read_small(path)?,
    };
    let (mut found, mut sources) = (Table::new(), Sources::default());
    for (table, value) in parse::<Table>(path, file.text)? {
        let Value::Table(keys) = value else {
            return Err(file.without_table(&table));
        };
        let is_given =
            |replaced: &Replaced| replaced.table == table && keys.contains_key(replaced.key);
        if let Some(replaced) = replaced::find(is_given) {
            return Err(file.replaced(replaced));
        }
        if TABLES.iter().all(|(known, _)| *known != table) {
            return Err(file.unknown_table(&table));
        }
        for (key, value) in keys {
            let Some(setting) = tables::by_key(&table, &key) else {
                return Err(file.unknown_key(&table, &key));
            };
            file.check_type(setting, &value)?;
            setting.put(&mut found, value);
            let line = line_of(file.text, &table, &key);
            let source = Source::File {
                path: path.to_owned(),
                line,
                setting: setting.name(),
            };
            sources.add(setting.flag, source);
        }
    }
    Ok((found, sources))
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    /// Refuses a key outside of the tables. Earlier releases had all settings there.
    fn without_table(&self, key: &str) -> Failure {
        let place = self.place("", key);
        match tables::by_flag(key) {
            Some(Setting {
                table, key: new, ..
            }) => usage(format_args!(
                "{place}: {key} is now `{new}` in the table [{table}]"
            )),
            None => match replaced::find(|replaced| replaced.flag == key) {
                Some(replaced) => {
                    let names = replaced.names(Setting::name);
                    usage(format_args!("{place}: {key} is now {names}"))
                }
                None => usage(format_args!(
                    "{place}: {key} is not a setting; settings are in the tables {}",
                    table_names()
                )),
            },
        }
    }

    fn replaced(&self, replaced: &Replaced) -> Failure {
        let Replaced { table, key, .. } = replaced;
        let place = self.place(table, key);
        let names = replaced.names(Setting::name);
        usage(format_args!("{place}: {table}.{key} is now {names}"))
    }

    fn unknown_table(&self, table: &str) -> Failure {
        let place = self.place(table, "");
        if table == OLD_LEDGER_TABLE {
            return usage(format_args!("{place}: [{table}] is now [ledger]"));
        }
        usage(format_args!(
            "{place}: [{table}] is not a table of settings; known are {}",
            table_names()
        ))
    }

    fn unknown_key(&self, table: &str, key: &str) -> Failure {
        let place = self.place(table, key);
        let known: Vec<&str> = tables::of_table(table).map(|setting| setting.key).collect();
        usage(format_args!(
            "{place}: {key} is not a setting of [{table}]; known are {}",
            known.join(", ")
        ))
    }

    /// Refuses a value of another type than the setting's.
    fn check_type(&self, setting: &Setting, value: &Value) -> Outcome<()> {
        let mut alone = Table::new();
        setting.put(&mut alone, value.clone());
        let place = || self.place(setting.table, setting.key);
        let typed = alone.try_into::<Config>();
        typed.map(drop).map_err(|error| {
            usage(format_args!(
                "{}: {}: {}",
                place(),
                setting.name(),
                error.message()
            ))
        })
    }

    fn place(&self, table: &str, key: &str) -> String {
        let line = line_of(self.text, table, key).map(|line| format!(" line {line}"));
        format!("{}{}", self.path.display(), line.unwrap_or_default())
    }
}

fn table_names() -> String {
    TABLES.map(|(table, _)| format!("[{table}]")).join(", ")
}

/// Returns the line of a key in a table, or of the table's heading for an empty key.
fn line_of(text: &str, table: &str, key: &str) -> Option<usize> {
    let mut current = "";
    for (index, line) in text.lines().map(str::trim_start).enumerate() {
        let heading = line
            .strip_prefix('[')
            .and_then(|rest| rest.split(']').next());
        current = heading.map_or(current, str::trim);
        let is_heading = key.is_empty() && heading.is_some() && current == table;
        let is_key = !key.is_empty() && current == table && begins_with_key(line, key);
        let dotted = line
            .strip_prefix(table)
            .map(str::trim_start)
            .and_then(|rest| rest.strip_prefix('.'));
        let is_dotted = current.is_empty()
            && dotted.is_some_and(|rest| begins_with_key(rest.trim_start(), key));
        if is_heading || is_key || is_dotted {
            return Some(index + 1);
        }
    }
    None
}

fn begins_with_key(line: &str, key: &str) -> bool {
    let rest = line.strip_prefix(key);
    rest.is_some_and(|rest| key.is_empty() || rest.trim_start().starts_with(['=', '.']))
}
