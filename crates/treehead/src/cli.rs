//! The command line. A flag and its environment variable are one definition; a command takes only those that it uses.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::Serialize;

use crate::config::{Apis, Config, LogFormat, OnDuplicate};
use crate::failure::{Explain, Failure, FailureKind, Outcome};

/// A transparency log in one binary, compatible with Sigstore's Rekor.
#[derive(Debug, Parser)]
#[command(name = "treehead", version = crate::version::VERSION, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the log; make it first if there is none
    Serve(Box<Serve>),
    /// Make a new log without serving it; refuses what exists
    Init(Init),
    /// Recompute everything from the leaf bytes up, compare every table, and name what differs. May run beside `serve`
    Fsck(Fsck),
    /// Freeze the active tree and open the next one under a new key, while servers run
    Rotate(RotateFlags),
    /// Check a configuration file
    Config(CheckConfig),
    /// What clients have to trust
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
    serving: ServingFlags,
    #[command(flatten)]
    trust: TrustFlags,
    #[command(flatten)]
    storage: StorageFlags,
    #[command(flatten)]
    keys: KeyFlags,
    #[command(flatten)]
    common: CommonFlags,
}

/// Flags of `rotate`.
#[derive(Debug, Args)]
pub(crate) struct RotateFlags {
    /// File of the next key, made if it is absent [default: log-key-2.pem, log-key-3.pem, … in the key folder]
    #[arg(long, value_name = "FILE")]
    pub next_key: Option<PathBuf>,
    /// Origin of the next tree's v2 checkpoints, the host name under which its v2 API is read [default: shard2.NAME, shard3.NAME, …]
    #[arg(long, value_name = "NAME")]
    pub origin: Option<String>,
    #[command(flatten)]
    storage: StorageFlags,
    #[command(flatten)]
    keys: KeyFlags,
    #[command(flatten)]
    common: CommonFlags,
}

/// Flags of `init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    #[command(flatten)]
    storage: StorageFlags,
    #[command(flatten)]
    keys: KeyFlags,
    #[command(flatten)]
    common: CommonFlags,
}

/// Flags of `fsck`.
#[derive(Debug, Args)]
pub(crate) struct Fsck {
    #[command(flatten)]
    storage: StorageFlags,
    #[command(flatten)]
    common: CommonFlags,
}

/// Flags of `trust export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Folder for the files, made if it is absent
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub out: PathBuf,
    #[command(flatten)]
    trust: TrustFlags,
    #[command(flatten)]
    storage: StorageFlags,
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
    /// Make a witness: its folder and its Ed25519 key; prints its vkey
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
    /// Address and port of the witness
    #[arg(long, env = "TREEHEAD_WITNESS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:3010")]
    pub listen: SocketAddr,
    /// Address and port of the Prometheus metrics
    #[arg(long, env = "TREEHEAD_WITNESS_METRICS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:2113")]
    pub metrics_listen: SocketAddr,
    /// How log lines look on stderr
    #[arg(long, env = "TREEHEAD_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// error, warn, info, debug or trace, or a list such as info,sqlx=warn
    #[arg(long, env = "TREEHEAD_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
}

/// How the API is served.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ServingFlags {
    /// Address and port of the API
    #[arg(long, env = "TREEHEAD_LISTEN", value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<SocketAddr>,
    /// Address and port of the Prometheus metrics
    #[arg(long, env = "TREEHEAD_METRICS_LISTEN", value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_listen: Option<SocketAddr>,
    /// Largest request body in bytes
    #[arg(long, env = "TREEHEAD_MAX_BODY_BYTES", value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_body_bytes: Option<u64>,
    /// All request bodies at work together, in bytes
    #[arg(long, env = "TREEHEAD_MAX_BODY_BYTES_IN_FLIGHT", value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_body_bytes_in_flight: Option<u64>,
    /// Largest attestation that is kept beside its entry, in bytes; 0 keeps none
    #[arg(long, env = "TREEHEAD_MAX_ATTESTATION_BYTES", value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attestation_bytes: Option<u64>,
    /// Open connections to the API
    #[arg(long, env = "TREEHEAD_MAX_CONNECTIONS", value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_connections: Option<usize>,
    /// Signing algorithms of clients that are admitted, with commas between
    #[arg(long, env = "TREEHEAD_CLIENT_SIGNING_ALGORITHMS", value_name = "NAMES", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    client_signing_algorithms: Option<Vec<String>>,
    /// File of the witness policy (C2SP tlog-policy): heads are shown once its quorum has cosigned them
    #[arg(long, env = "TREEHEAD_WITNESS_POLICY", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    witness_policy: Option<PathBuf>,
    /// After how long a head is shown without its quorum [default: never]
    #[arg(long, env = "TREEHEAD_WITNESS_FAIL_OPEN_SECONDS", value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    witness_fail_open_seconds: Option<u64>,
    /// Kinds of entries that are taken in, with commas between [default: all]
    #[arg(long, env = "TREEHEAD_ENABLED_ENTRY_TYPES", value_name = "NAMES", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled_entry_types: Option<Vec<String>>,
    /// Operations of the APIs that are served, with commas between [default: all]
    #[arg(long, env = "TREEHEAD_ENABLED_API_ENDPOINTS", value_name = "NAMES", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled_api_endpoints: Option<Vec<String>>,
    /// Refuse every write, by whichever API it comes
    #[arg(
        long,
        env = "TREEHEAD_READ_ONLY",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    read_only: Option<bool>,
    /// Anybody may read this log: web pages of all origins too
    #[arg(
        long,
        env = "TREEHEAD_PUBLIC",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<bool>,
    /// Origins of web pages that may read and write, with commas between
    #[arg(long, env = "TREEHEAD_CORS_ORIGINS", value_name = "ORIGINS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    cors_origins: Option<Vec<String>>,
    /// How long a stop waits for accepted requests
    #[arg(long, env = "TREEHEAD_STOP_GRACE_SECONDS", value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_grace_seconds: Option<u64>,
    #[command(flatten)]
    duplicates: DuplicateFlags,
}

/// How duplicates are answered.
#[derive(Debug, Args, Serialize)]
struct DuplicateFlags {
    /// Answer of the v1 API to an entry that is there already
    #[arg(long = "duplicates.v1", env = "TREEHEAD_DUPLICATES_V1", value_name = "ANSWER", value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    v1: Option<OnDuplicate>,
    /// Answer of the v2 API to an entry that is there already
    #[arg(long = "duplicates.v2", env = "TREEHEAD_DUPLICATES_V2", value_name = "ANSWER", value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    v2: Option<OnDuplicate>,
}

/// What clients are told to trust.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
struct TrustFlags {
    /// Where clients reach the log [default: https:// and its name, for localhost http:// and the port]
    #[arg(long, env = "TREEHEAD_PUBLIC_URL", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    public_url: Option<String>,
    /// trusted_root.json with certificate and time-stamp authorities, to which this log is added
    #[arg(long, env = "TREEHEAD_TRUSTED_ROOT_BASE", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted_root_base: Option<PathBuf>,
    /// signing_config.v0.2.json with the URLs of those services, likewise
    #[arg(long, env = "TREEHEAD_SIGNING_CONFIG_BASE", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_config_base: Option<PathBuf>,
}

/// Where the log is.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
struct StorageFlags {
    /// Folder for the SQLite database and the log key
    #[arg(long, env = "TREEHEAD_DATA_DIR", value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,
    /// Postgres database to use instead of SQLite, `postgres://…`
    #[arg(long, env = "TREEHEAD_DATABASE", value_name = "URL", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    /// File that holds the URL of the database
    #[arg(long, env = "TREEHEAD_DATABASE_FILE", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    database_file: Option<PathBuf>,
    /// Name of the log; given once, when it is made [default for a new log: localhost]
    #[arg(long, env = "TREEHEAD_NAME", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// Where its keys are.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
struct KeyFlags {
    /// File of the log's private key, made if the log is new [default: log-key.pem in the data folder]
    #[arg(long, env = "TREEHEAD_KEY", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<PathBuf>,
    /// File of a second, Ed25519 key that witnesses ask for, made if the log is new [default: none]
    #[arg(long, env = "TREEHEAD_ED25519_KEY", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ed25519_key: Option<PathBuf>,
    /// Folder of further log keys, those of trees that a rotation opens [default: keys in the data folder]
    #[arg(long, env = "TREEHEAD_KEY_DIR", value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    key_dir: Option<PathBuf>,
    /// The APIs by which a new log takes entries; given once, when it is made [default for a new log: both]
    #[arg(long, env = "TREEHEAD_APIS", value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    apis: Option<Apis>,
}

/// What every command takes.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
struct CommonFlags {
    /// TOML file with any of these settings; flags and environment go before it
    #[arg(long, env = "TREEHEAD_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    config: Option<PathBuf>,
    /// How log lines look on stderr
    #[arg(long, env = "TREEHEAD_LOG_FORMAT", value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_format: Option<LogFormat>,
    /// error, warn, info, debug or trace, or a list such as info,sqlx=warn
    #[arg(long, env = "TREEHEAD_LOG_LEVEL", value_name = "LEVEL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_level: Option<String>,
}

impl Cli {
    /// Reads the command line and the environment. Ends the process after `--help` and `--version`.
    pub(crate) fn read() -> Outcome<Self> {
        let matches = command().try_get_matches();
        matches.and_then(|matches| Self::from_arg_matches(&matches)).map_err(|error| {
            if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
                let code = error.exit_code();
                match error.print() {
                    // Whoever asked for help does not get it.
                    Err(error) if code == 0 => {
                        return Failure::new(FailureKind::Other, format_args!("stdout: {error}"));
                    }
                    Ok(()) | Err(_) => std::process::exit(code),
                }
            }
            Failure::new(FailureKind::Usage, in_short(&error.render().to_string()))
        })
    }
}

/// What is wrong, without the usage that follows it.
fn in_short(text: &str) -> String {
    let wrong = text.split("\n\nUsage:").next().unwrap_or(text).split("\n\nFor more").next().unwrap_or(text);
    format!("{} (see treehead --help)", wrong.strip_prefix("error: ").unwrap_or(wrong))
}

impl Serve {
    /// All layers, laid over each other.
    pub(crate) fn config(&self) -> Outcome<Config> {
        let groups = [&table(&self.serving)?, &table(&self.trust)?, &table(&self.storage)?, &table(&self.keys)?];
        layered(&self.common, &groups)
    }
}

impl Init {
    /// All layers, laid over each other.
    pub(crate) fn config(&self) -> Outcome<Config> {
        layered(&self.common, &[&table(&self.storage)?, &table(&self.keys)?])
    }
}

impl RotateFlags {
    /// All layers, laid over each other.
    pub(crate) fn config(&self) -> Outcome<Config> {
        layered(&self.common, &[&table(&self.storage)?, &table(&self.keys)?])
    }
}

impl Export {
    /// All layers, laid over each other.
    pub(crate) fn config(&self) -> Outcome<Config> {
        layered(&self.common, &[&table(&self.trust)?, &table(&self.storage)?])
    }
}

impl Fsck {
    /// All layers, laid over each other.
    pub(crate) fn config(&self) -> Outcome<Config> {
        layered(&self.common, &[&table(&self.storage)?])
    }
}

fn layered(common: &CommonFlags, groups: &[&toml::Table]) -> Outcome<Config> {
    let mut given = table(common)?;
    groups.iter().for_each(|group| given.extend((*group).clone()));
    Config::layered(common.config.as_deref(), given)
}

fn table(flags: &impl Serialize) -> Outcome<toml::Table> {
    toml::Table::try_from(flags).explain(FailureKind::Usage, "flags and environment")
}

/// The definitions with each default in its help, so that a default is written in one place.
fn command() -> clap::Command {
    let defaults = toml::Table::try_from(Config::default()).unwrap_or_default();
    Cli::command().mut_subcommands(|subcommand| {
        subcommand.mut_args(|arg| match arg.get_long().and_then(|long| setting(&defaults, long)) {
            Some(default) => {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                let default = match default {
                    toml::Value::String(text) => text.clone(),
                    toml::Value::Array(list) => {
                        list.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(",")
                    }
                    other => other.to_string(),
                };
                arg.help(format!("{help} [default: {default}]"))
            }
            None => arg,
        })
    })
}

/// The value of a key, which may be one of a table: `duplicates.v1`.
fn setting<'a>(settings: &'a toml::Table, key: &str) -> Option<&'a toml::Value> {
    match key.split_once('.') {
        Some((table, key)) => settings.get(table)?.get(key),
        None => settings.get(key),
    }
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
