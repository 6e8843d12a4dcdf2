//! The command line and the environment as they were given: defaults in the help, sources of
//! settings, readable refusals.

use std::env;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use super::flags::FILE;
use crate::config::{self, Config, Empty, Given, SETTINGS, Source};
use crate::failure::{Failure, FailureKind, Outcome};

/// All variables of the program begin with this.
const PREFIX: &str = "TREEHEAD_";

/// Parses the command line and the environment. Ends the process after `--help` and `--version`.
pub(super) fn parse(command: Command) -> Outcome<ArgMatches> {
    if env::args_os().nth(1).is_some_and(|word| word == "config")
        && env::args_os()
            .nth(2)
            .is_some_and(|word| word.to_string_lossy().starts_with("--check"))
    {
        let renamed = "`treehead config --check FILE` is now `treehead config check FILE`";
        return Err(Failure::new(FailureKind::Usage, renamed));
    }
    let parsed = without_empty(command.clone()).try_get_matches();
    if let Err(error) = &parsed
        && (!error.use_stderr()
            || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand)
    {
        let code = error.exit_code();
        match error.print() {
            // Whoever asked for help does not get it.
            Err(error) if code == 0 => {
                return Err(Failure::new(
                    FailureKind::Other,
                    format_args!("stdout: {error}"),
                ));
            }
            Ok(()) | Err(_) => std::process::exit(code),
        }
    }
    let arguments: Vec<String> = env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let has_variable = |name: &str| env::var_os(name).is_some();
    let (_, invoked) = invoked(&command, &arguments);
    // The name may have another meaning for the commands that read a log.
    let has_flag = |flag: &str| !has(invoked, flag) && is_given(&arguments, flag);
    if let Some(refused) = config::refused_setting(has_flag, has_variable) {
        return Err(Failure::new(FailureKind::Usage, refused));
    }
    if let Some(name) = refused_empty(&command, &arguments) {
        let why = format_args!("{name} is set and empty: unset it, or give it a value");
        return Err(Failure::new(FailureKind::Usage, why));
    }
    parsed
        .map_err(|error| Failure::new(FailureKind::Usage, explained(&command, &arguments, &error)))
}

/// The definitions without the variables that are set and empty, which clap would read as values.
fn without_empty(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        if is_empty(&arg) {
            arg.env(Resettable::Reset)
        } else {
            arg
        }
    });
    command.mut_subcommands(without_empty)
}

/// The first variable that the invoked command would read, and that may not be empty. A flag goes
/// before its variable.
fn refused_empty(command: &Command, arguments: &[String]) -> Option<String> {
    let (_, command) = invoked(command, arguments);
    let is_refused = |arg: &&clap::Arg| {
        let long = arg.get_long().unwrap_or_default();
        let may_be_empty =
            config::by_flag(long).is_some_and(|setting| setting.empty == Empty::Unset);
        is_empty(arg) && !may_be_empty && !is_given(arguments, &format!("--{long}"))
    };
    command.get_arguments().find(is_refused).map(variable)
}

fn is_empty(arg: &clap::Arg) -> bool {
    arg.get_env()
        .and_then(env::var_os)
        .is_some_and(|value| value.is_empty())
}

/// The definitions with each default in its help, so that a default is written in one place.
pub(super) fn with_defaults(command: Command) -> Command {
    let defaults = toml::Table::try_from(Config::default()).unwrap_or_default();
    with_defaults_of(command, &defaults)
}

fn with_defaults_of(command: Command, defaults: &toml::Table) -> Command {
    let command = command.mut_args(|arg| {
        let has_its_own = !arg.get_default_values().is_empty();
        match arg.get_long().and_then(|long| setting(defaults, long)) {
            Some(default) if !has_its_own => {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                arg.help(format!("{help} [default: {}]", shown(default)))
            }
            _ => arg,
        }
    });
    command.mut_subcommands(|subcommand| with_defaults_of(subcommand, defaults))
}

fn shown(default: &toml::Value) -> String {
    match default {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(list) => list
            .iter()
            .filter_map(toml::Value::as_str)
            .collect::<Vec<_>>()
            .join(","),
        other => other.to_string(),
    }
}

/// The value of a key, which may be one of a table: `duplicates.v1`.
fn setting<'a>(settings: &'a toml::Table, key: &str) -> Option<&'a toml::Value> {
    match key.split_once('.') {
        Some((table, key)) => settings.get(table)?.get(key),
        None => settings.get(key),
    }
}

/// Returns the settings that the invoked command was given, with their sources.
pub(super) fn given(matches: &ArgMatches) -> Given {
    let mut matches = matches;
    while let Some((_, inner)) = matches.subcommand() {
        matches = inner;
    }
    let mut given = Given {
        file: matches.try_get_one(FILE).ok().flatten().cloned(),
        ..Given::default()
    };
    for setting in &SETTINGS {
        let Ok(Some(values)) = matches.try_get_many::<toml::Value>(setting.flag) else {
            continue;
        };
        let source = match matches.value_source(setting.flag) {
            Some(ValueSource::CommandLine) => Source::Flag(format!("--{}", setting.flag)),
            _ => Source::Variable(setting.variable()),
        };
        if let Some(value) = setting.kind.joined(values.cloned().collect()) {
            setting.put(&mut given.settings, value);
            given.sources.add(setting.flag, source);
        }
    }
    given
}

fn variable(arg: &clap::Arg) -> String {
    arg.get_env()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// A warning for each variable that looks like a setting and is none.
pub(super) fn unknown_variables(command: &Command) -> Vec<String> {
    let known = variables(command);
    let given = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let unknown = given.filter(|name| {
        name.starts_with(PREFIX) && !known.contains(name) && !is_of_kubernetes(name)
    });
    unknown
        .map(|name| format!("the environment variable {name} is no setting and is ignored"))
        .collect()
}

/// Kubernetes puts the addresses of a service called `treehead` or `treehead-…` into the
/// environment of each pod.
fn is_of_kubernetes(name: &str) -> bool {
    name.contains("_SERVICE_") || name.ends_with("_PORT") || name.contains("_PORT_")
}

fn variables(command: &Command) -> Vec<String> {
    let own = command
        .get_arguments()
        .map(variable)
        .filter(|name| !name.is_empty());
    own.chain(command.get_subcommands().flat_map(variables))
        .collect()
}

/// Returns the error without the usage that follows it, and where the help is.
fn explained(command: &Command, arguments: &[String], error: &clap::Error) -> String {
    let (path, invoked) = invoked(command, arguments);
    let text = error.render().to_string();
    let wrong = text
        .split("\n\nUsage:")
        .next()
        .unwrap_or(&text)
        .split("\n\nFor more")
        .next()
        .unwrap_or(&text);
    let mut wrong = wrong
        .strip_prefix("error: ")
        .unwrap_or(wrong)
        .replace("\n\n  tip: ", "; ");
    if let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg)
        && let Some(variable) = variable_of(invoked, arguments, shown)
    {
        wrong = wrong.replace(&format!("'{shown}'"), &variable);
    }
    format!("{wrong} (see {path} --help)")
}

/// The command that the arguments lead to, and how it is called.
fn invoked<'a>(command: &'a Command, arguments: &[String]) -> (String, &'a Command) {
    let mut path = command.get_name().to_owned();
    let mut command = command;
    for argument in arguments.iter().skip(1) {
        let Some(subcommand) = command.find_subcommand(argument) else {
            break;
        };
        path = format!("{path} {argument}");
        command = subcommand;
    }
    (path, command)
}

/// The variable that gave the value of an argument, which clap shows as `--listen <ADDRESS>`.
fn variable_of(command: &Command, arguments: &[String], shown: &str) -> Option<String> {
    let flag = shown.split([' ', '=']).next()?;
    let arg = command
        .get_arguments()
        .find(|arg| arg.get_long() == flag.strip_prefix("--"))?;
    let variable = Some(variable(arg)).filter(|name| env::var_os(name).is_some());
    variable.filter(|_| !is_given(arguments, flag))
}

/// Returns whether a command has a flag of this name, dashes included.
fn has(command: &Command, flag: &str) -> bool {
    let mut arguments = command.get_arguments();
    arguments.any(|arg| {
        arg.get_long()
            .is_some_and(|long| flag.strip_prefix("--") == Some(long))
    })
}

fn is_given(arguments: &[String], flag: &str) -> bool {
    arguments
        .iter()
        .any(|argument| argument.split('=').next() == Some(flag))
}
