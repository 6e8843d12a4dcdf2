//! The flags that are settings: a command takes the tables of settings that it uses.

use clap::{Arg, Command};

use crate::config::{Setting, TABLES, of_table};

/// The flag of the configuration file.
pub(super) const FILE: &str = "config";

/// Adds the settings to the commands that use any. `path` is the path of the command above.
pub(super) fn with_settings(command: Command, path: &str) -> Command {
    let command = command.mut_subcommands(|subcommand| {
        let path = format!("{path} {}", subcommand.get_name());
        with_settings(subcommand, &path)
    });
    let Some(takes) = taken(path) else {
        return command;
    };
    let mut command = command;
    for (table, heading) in TABLES {
        let settings = of_table(table).filter(|setting| takes(setting));
        command = command.args(settings.map(|setting| arg(setting, path).help_heading(heading)));
    }
    command.arg(file())
}

/// Returns which settings a command takes.
fn taken(path: &str) -> Option<fn(&Setting) -> bool> {
    match path {
        " serve" | " config show" | " doctor" => Some(|_| true),
        " init" => Some(|setting| {
            ["ledger", "v1", "v2", "keys", "database", "guard", "logging"].contains(&setting.table)
        }),
        " log add" => Some(|setting| {
            is_name(setting)
                || ["v1", "v2", "database", "guard", "logging"].contains(&setting.table)
        }),
        " migrate" => Some(|setting| ["database", "logging"].contains(&setting.table)),
        " fsck" => {
            Some(|setting| is_name(setting) || ["database", "logging"].contains(&setting.table))
        }
        " rotate" | " recover" => Some(|setting| {
            let is_key = ["v1", "keys"].contains(&setting.table) || setting.flag == "v2-key";
            is_name(setting)
                || is_key
                || ["database", "guard", "witness", "logging"].contains(&setting.table)
        }),
        " guard show" => Some(|setting| {
            setting.flag == "data-dir" || ["guard", "logging"].contains(&setting.table)
        }),
        " guard accept" => Some(|setting| {
            let is_key = ["v1", "keys"].contains(&setting.table) || setting.flag == "v2-key";
            is_name(setting)
                || is_key
                || ["database", "guard", "witness", "logging"].contains(&setting.table)
        }),
        " trust export" => Some(|setting| {
            is_name(setting) || ["database", "trust", "logging"].contains(&setting.table)
        }),
        _ => None,
    }
}

fn arg(setting: &Setting, path: &str) -> Arg {
    let creates_ledgers = [" serve", " init", " config show"].contains(&path);
    if is_name(setting) && !creates_ledgers {
        return setting
            .arg()
            .help("Name of the ledger, for a database that holds several");
    }
    setting.arg()
}

/// A command for a ledger that exists only needs to know which one is meant.
fn is_name(setting: &Setting) -> bool {
    setting.flag == "name"
}

fn file() -> Arg {
    Arg::new(FILE)
        .long(FILE)
        .env("TREEHEAD_CONFIG")
        .value_name("FILE")
        .value_parser(clap::value_parser!(std::path::PathBuf))
        .help("TOML file with any of these settings; flags and environment variables override it")
        .help_heading("Configuration")
}
