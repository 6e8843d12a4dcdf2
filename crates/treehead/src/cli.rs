//! The command line. A flag and its environment variable are one definition; a command takes only those that it uses.

use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::Serialize;

use crate::config::{Config, Given, LogFormat, Outside};
use crate::failure::{Explain, FailureKind, Outcome};
use crate::listen::ListenAddress;

mod flags;
mod invocation;

use flags::{
    CommonFlags, EntryFlags, KeyFlags, LimitFlags, ListenerFlags, LogFlags, QuorumFlags, StorageFlags, TrustFlags,
    WhichLogFlags,
};

/// A transparency log in one binary, compatible with Sigstore's Rekor.
#[derive(Debug, Parser)]
#[command(name = "treehead", version = crate::version::VERSION, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Where the settings stand outside of the configuration file.
    #[arg(skip)]
    pub outside: Outside,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the log; create it first if there is none
    Serve(Box<Serve>),
    /// Create a log without starting the server; fails if one exists
    Init(Init),
    /// Bring the schema of the database up to date, for servers whose database role may not change it
    Migrate(Migrate),
    /// Recompute everything from the leaf bytes up, compare every table, and name what differs. May run beside `serve`
    Fsck(Fsck),
    /// Freeze the active tree and open the next one under a new key, while servers run
    Rotate(RotateFlags),
    /// Check a configuration file and the files that it names
    Config(CheckConfig),
    /// Export the trust material that clients need
    #[command(subcommand)]
    Trust(Trust),
    /// Cosign other logs' checkpoints (C2SP tlog-witness)
    #[command(subcommand)]
    Witness(WitnessCommand),
}

/// What to do with the trust material.
#[derive(Debug, Subcommand)]
pub(crate) enum Trust {
    /// Write it into files, as `serve` answers it below /trust/. May run beside `serve`
    Export(Export),
}

/// Flags of `serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    log: LogFlags,
    #[command(flatten)]
    listeners: ListenerFlags,
    #[command(flatten)]
    storage: StorageFlags,
    #[command(flatten)]
    keys: KeyFlags,
    #[command(flatten)]
    entries: EntryFlags,
    #[command(flatten)]
    limits: LimitFlags,
    #[command(flatten)]
    quorum: QuorumFlags,
    #[command(flatten)]
    trust: TrustFlags,
    #[command(flatten)]
    common: CommonFlags,
}

/// Flags of `rotate`.
#[derive(Debug, Args)]
pub(crate) struct RotateFlags {
    /// File of the next key, created if it is absent [default: log-key-2.pem, log-key-3.pem, … in the key folder]
    #[arg(long, value_name = "FILE", help_heading = "The next tree")]
    pub next_key: Option<PathBuf>,
    /// Origin of the next tree's v2 checkpoints: the host name under which its v2 API is read [default: shard2.NAME, shard3.NAME, …]
    #[arg(long, value_name = "NAME", help_heading = "The next tree")]
    pub origin: Option<String>,
    #[command(flatten)]
    log: WhichLogFlags,
    #[command(flatten)]
    storage: StorageFlags,
    #[command(flatten)]
    keys: KeyFlags,
    #[command(flatten)]
    quorum: QuorumFlags,
    #[command(flatten)]
    common: CommonFlags,
}

/// Flags of `init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    #[command(flatten)]
    log: LogFlags,
    #[command(flatten)]
    storage: StorageFlags,
    #[command(flatten)]
    keys: KeyFlags,
    #[command(flatten)]
    common: CommonFlags,
}

/// Flags of `migrate`.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    storage: StorageFlags,
    #[command(flatten)]
    common: CommonFlags,
}

/// Flags of `fsck`.
#[derive(Debug, Args)]
pub(crate) struct Fsck {
    #[command(flatten)]
    log: WhichLogFlags,
    #[command(flatten)]
    storage: StorageFlags,
    #[command(flatten)]
    common: CommonFlags,
}

/// Flags of `trust export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Folder for the files, created if it is absent
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub out: PathBuf,
    #[command(flatten)]
    log: WhichLogFlags,
    #[command(flatten)]
    storage: StorageFlags,
    #[command(flatten)]
    trust: TrustFlags,
    #[command(flatten)]
    common: CommonFlags,
}

/// Flags of `config`.
#[derive(Debug, Args)]
pub(crate) struct CheckConfig {
    /// Read this file as `--config` would, say what is wrong with it, and end
    #[arg(long, value_name = "FILE")]
    pub check: PathBuf,
}

/// The witness role.
#[derive(Debug, Subcommand)]
pub(crate) enum WitnessCommand {
    /// Create a witness: its folder and its Ed25519 key; prints its vkey
    Init(WitnessInit),
    /// Print the vkey of a witness, for the policies of logs
    Vkey(WitnessFolder),
    /// Cosign the checkpoints of trusted logs
    Serve(WitnessServe),
}

/// Where a witness is.
#[derive(Debug, Args)]
pub(crate) struct WitnessFolder {
    /// Folder of its key and its state
    #[arg(long, env = "TREEHEAD_WITNESS_DIR", value_name = "FOLDER", default_value = "./treehead-witness")]
    pub data_dir: PathBuf,
}

/// Flags of `witness init`.
#[derive(Debug, Args)]
pub(crate) struct WitnessInit {
    #[command(flatten)]
    pub folder: WitnessFolder,
    /// Name of the witness, a URL without scheme; it is in every cosignature and never changes
    #[arg(long, env = "TREEHEAD_WITNESS_NAME", value_name = "NAME")]
    pub name: String,
}

/// Flags of `witness serve`.
#[derive(Debug, Args)]
pub(crate) struct WitnessServe {
    #[command(flatten)]
    pub folder: WitnessFolder,
    /// File with the vkey of each trusted log, one a line, and its origin after a space where that is not the key's name
    #[arg(long, env = "TREEHEAD_WITNESS_LOGS", value_name = "FILE")]
    pub logs: PathBuf,
    /// Host and port of the witness
    #[arg(long, env = "TREEHEAD_WITNESS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:3010")]
    pub listen: ListenAddress,
    /// Host and port of the Prometheus metrics
    #[arg(long, env = "TREEHEAD_WITNESS_METRICS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:2113")]
    pub metrics_listen: ListenAddress,
    /// Log format (stderr)
    #[arg(long, env = "TREEHEAD_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// error, warn, info, debug or trace, or a list such as info,sqlx=warn
    #[arg(long, env = "TREEHEAD_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
}

impl Cli {
    /// Reads the command line and the environment. Ends the process after `--help` and `--version`.
    pub(crate) fn read() -> Outcome<Self> {
        let command = command();
        let matches = invocation::parse(command.clone())?;
        let sources = invocation::sources(&command, &matches);
        let warnings = invocation::unknown_variables(&command);
        let cli = Self::from_arg_matches(&matches).explain(FailureKind::Usage, "flags")?;
        Ok(Self { outside: Outside { sources, warnings }, ..cli })
    }
}

impl Serve {
    /// All layers, laid over each other.
    pub(crate) fn config(&self, outside: Outside) -> Outcome<Config> {
        let (log, entries, limits) = (table(&self.log)?, table(&self.entries)?, table(&self.limits)?);
        let (listeners, storage, keys) = (table(&self.listeners)?, table(&self.storage)?, table(&self.keys)?);
        let (quorum, trust) = (table(&self.quorum)?, table(&self.trust)?);
        layered(&self.common, outside, [log, listeners, storage, keys, entries, limits, quorum, trust])
    }
}

impl Init {
    /// All layers, laid over each other.
    pub(crate) fn config(&self, outside: Outside) -> Outcome<Config> {
        layered(&self.common, outside, [table(&self.log)?, table(&self.storage)?, table(&self.keys)?])
    }
}

impl RotateFlags {
    /// All layers, laid over each other.
    pub(crate) fn config(&self, outside: Outside) -> Outcome<Config> {
        let (log, storage) = (table(&self.log)?, table(&self.storage)?);
        layered(&self.common, outside, [log, storage, table(&self.keys)?, table(&self.quorum)?])
    }
}

impl Export {
    /// All layers, laid over each other.
    pub(crate) fn config(&self, outside: Outside) -> Outcome<Config> {
        layered(&self.common, outside, [table(&self.log)?, table(&self.storage)?, table(&self.trust)?])
    }
}

impl Fsck {
    /// All layers, laid over each other.
    pub(crate) fn config(&self, outside: Outside) -> Outcome<Config> {
        layered(&self.common, outside, [table(&self.log)?, table(&self.storage)?])
    }
}

impl Migrate {
    /// All layers, laid over each other.
    pub(crate) fn config(&self, outside: Outside) -> Outcome<Config> {
        layered(&self.common, outside, [table(&self.storage)?])
    }
}

fn layered<const N: usize>(common: &CommonFlags, outside: Outside, groups: [toml::Table; N]) -> Outcome<Config> {
    let mut settings = table(common)?;
    settings.extend(groups.into_iter().flatten());
    Config::layered(common.config.as_deref(), Given { settings, outside })
}

fn table(flags: &impl Serialize) -> Outcome<toml::Table> {
    toml::Table::try_from(flags).explain(FailureKind::Usage, "flags and environment")
}

fn command() -> clap::Command {
    invocation::with_defaults(Cli::command())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Flags that are no settings: they say what to do, or where the settings are.
    const NO_SETTINGS: [&str; 3] = ["config", "help", "check"];

    #[test]
    fn definitions_hold_together() {
        command().debug_assert();
    }

    #[test]
    fn every_setting_is_a_flag_a_variable_and_a_key_of_the_sample() {
        let serve = command().find_subcommand("serve").unwrap().clone();
        let settings =
            serve.get_arguments().filter(|arg| arg.get_long().is_some_and(|long| !NO_SETTINGS.contains(&long)));
        let flags: BTreeSet<String> = settings
            .map(|arg| {
                let flag = arg.get_long().unwrap().to_owned();
                assert_eq!(
                    arg.get_env().unwrap(),
                    format!("TREEHEAD_{}", flag.to_uppercase().replace(['-', '.'], "_")).as_str()
                );
                flag
            })
            .collect();
        let keys = sample().into_iter().flat_map(|(key, value)| match value {
            toml::Value::Table(table) => table.keys().map(|inner| format!("{key}.{inner}")).collect(),
            _ => vec![key],
        });
        assert_eq!(flags, keys.collect());
    }

    #[test]
    fn a_variable_that_may_be_empty_is_that_of_a_setting() {
        let serve = command().find_subcommand("serve").unwrap().clone();
        for name in flags::EMPTY_IS_UNSET {
            assert!(serve.get_arguments().any(|arg| arg.get_long() == Some(name)), "{name}");
        }
    }

    #[test]
    fn the_sample_shows_the_defaults() {
        sample().try_into::<Config>().unwrap();
        for (key, default) in toml::Table::try_from(Config::default()).unwrap() {
            assert_eq!(sample()[&key], default, "{key}");
        }
    }

    /// The sample in `deploy/` with its settings switched on: `#key = value` is a setting, `# text` is not.
    fn sample() -> toml::Table {
        let lines = include_str!("../../../deploy/treehead.toml").lines().map(|line| match line.strip_prefix('#') {
            Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase()) => setting,
            _ => line,
        });
        toml::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap()
    }
}
