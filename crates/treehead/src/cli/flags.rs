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
        " serve" | " config show" => Some(|_| true),
        " init" => Some(|setting| ["log", "keys", "database", "logging"].contains(&setting.table)),
        " migrate" => Some(|setting| ["database", "logging"].contains(&setting.table)),
        " fsck" => {
            Some(|setting| is_log_name(setting) || ["database", "logging"].contains(&setting.table))
        }
        " rotate" => Some(|setting| {
            is_log_name(setting)
                || ["keys", "database", "witness", "logging"].contains(&setting.table)
        }),
        " trust export" => Some(|setting| {
            is_log_name(setting) || ["database", "trust", "logging"].contains(&setting.table)
        }),
        _ => None,
    }
}

fn arg(setting: &Setting, path: &str) -> Arg {
    let creates_logs = [" serve", " init", " config show"].contains(&path);
    if is_log_name(setting) && !creates_logs {
        return setting
            .arg()
            .help("Name of the log, for a database that holds several");
    }
    setting.arg()
}

/// A command for a log that exists only needs to know which one is meant.
fn is_log_name(setting: &Setting) -> bool {
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
