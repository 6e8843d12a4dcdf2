//! The flags that are settings, in groups: each group is a heading of `--help`, and a command takes the groups that it uses.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::config::{Apis, Bytes, LogFormat, OnDuplicate};
use crate::listen::ListenAddress;

/// The settings whose variable counts as not set when it is empty: what takes its place, of the file or the default, opens
/// nothing. The variable of any other setting is refused when it is empty: whoever empties it may mean to close what the
/// default leaves open, and without its database or data folder a second log would be made.
pub(super) const EMPTY_IS_UNSET: [&str; 12] = [
    "listen",
    "metrics-listen",
    "duplicates.v1",
    "duplicates.v2",
    "max-body-bytes",
    "max-body-bytes-in-flight",
    "max-connections",
    "max-connections-per-address",
    "stop-grace-seconds",
    "public-url",
    "log-format",
    "log-level",
];

/// What a new log is.
#[derive(Debug, Args, Serialize)]
#[command(next_help_heading = "The log")]
#[serde(rename_all = "kebab-case")]
pub(super) struct LogFlags {
    /// Name of the log: the host name that clients use. Given when the log is created, never changes [default for a new log: localhost]
    #[arg(long, env = "TREEHEAD_NAME", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// APIs by which the log takes entries. Given when the log is created, never changes [default for a new log: both]
    #[arg(long, env = "TREEHEAD_APIS", value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    apis: Option<Apis>,
}

/// Which log of a database is meant.
#[derive(Debug, Args, Serialize)]
#[command(next_help_heading = "The log")]
#[serde(rename_all = "kebab-case")]
pub(super) struct WhichLogFlags {
    /// Name of the log, for a database that holds several
    #[arg(long, env = "TREEHEAD_NAME", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// Where the log is kept.
#[derive(Debug, Args, Serialize)]
#[command(next_help_heading = "Storage")]
#[serde(rename_all = "kebab-case")]
pub(super) struct StorageFlags {
    /// Folder of the SQLite database, the log key and further keys
    #[arg(long, env = "TREEHEAD_DATA_DIR", value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,
    /// Postgres database to use instead of SQLite, postgres://…; one with a password belongs into a file
    #[arg(long, env = "TREEHEAD_DATABASE", value_name = "URL", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    /// File that holds the URL of the Postgres database
    #[arg(long, env = "TREEHEAD_DATABASE_FILE", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    database_file: Option<PathBuf>,
}

/// Where its keys are.
#[derive(Debug, Args, Serialize)]
#[command(next_help_heading = "Keys")]
#[serde(rename_all = "kebab-case")]
pub(super) struct KeyFlags {
    /// File of the log's private key, created with the log [default: log-key.pem in the data folder]
    #[arg(long, env = "TREEHEAD_KEY", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<PathBuf>,
    /// Folder of further log keys, which rotations create [default: keys in the data folder]
    #[arg(long, env = "TREEHEAD_KEY_DIR", value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    key_dir: Option<PathBuf>,
    /// File of a second, Ed25519 key that witnesses ask for, created with the log [default: none]
    #[arg(long, env = "TREEHEAD_ED25519_KEY", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ed25519_key: Option<PathBuf>,
}

/// Where the server is reached.
#[derive(Debug, Args, Serialize)]
#[command(next_help_heading = "Listeners")]
#[serde(rename_all = "kebab-case")]
pub(super) struct ListenerFlags {
    /// Host and port of the API, or :3000 for every address
    #[arg(long, env = "TREEHEAD_LISTEN", value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<ListenAddress>,
    /// Host and port of the Prometheus metrics
    #[arg(long, env = "TREEHEAD_METRICS_LISTEN", value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_listen: Option<ListenAddress>,
}

/// What is admitted and how it is answered.
#[derive(Debug, Args, Serialize)]
#[command(next_help_heading = "Entries and operations")]
#[serde(rename_all = "kebab-case")]
pub(super) struct EntryFlags {
    /// Kinds of entries that are accepted, comma-separated [default: all]
    #[arg(long, env = "TREEHEAD_ENABLED_ENTRY_TYPES", value_name = "NAMES", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled_entry_types: Option<Vec<String>>,
    /// Operations of the APIs that are served, comma-separated [default: all]
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
    /// Origins of web pages that may read and write, comma-separated
    #[arg(long, env = "TREEHEAD_CORS_ORIGINS", value_name = "ORIGINS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    cors_origins: Option<Vec<String>>,
    /// Signing algorithms of clients that are accepted, comma-separated
    #[arg(long, env = "TREEHEAD_CLIENT_SIGNING_ALGORITHMS", value_name = "NAMES", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    client_signing_algorithms: Option<Vec<String>>,
    /// Largest attestation that is kept beside its entry; 0 keeps none
    #[arg(long, env = "TREEHEAD_MAX_ATTESTATION_BYTES", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attestation_bytes: Option<Bytes>,
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

/// What bounds the server.
#[derive(Debug, Args, Serialize)]
#[command(next_help_heading = "Limits")]
#[serde(rename_all = "kebab-case")]
pub(super) struct LimitFlags {
    /// Largest request body, such as 48MiB
    #[arg(long, env = "TREEHEAD_MAX_BODY_BYTES", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_body_bytes: Option<Bytes>,
    /// All request bodies at work together
    #[arg(long, env = "TREEHEAD_MAX_BODY_BYTES_IN_FLIGHT", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_body_bytes_in_flight: Option<Bytes>,
    /// Open connections to the API
    #[arg(long, env = "TREEHEAD_MAX_CONNECTIONS", value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_connections: Option<usize>,
    /// Open connections to the API from one address
    #[arg(long, env = "TREEHEAD_MAX_CONNECTIONS_PER_ADDRESS", value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_connections_per_address: Option<usize>,
    /// How long a stop waits for accepted requests
    #[arg(long, env = "TREEHEAD_STOP_GRACE_SECONDS", value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_grace_seconds: Option<u64>,
}

/// Who cosigns the log.
#[derive(Debug, Args, Serialize)]
#[command(next_help_heading = "Witnesses")]
#[serde(rename_all = "kebab-case")]
pub(super) struct QuorumFlags {
    /// File of the witness policy (C2SP tlog-policy): a head is published once its quorum has cosigned it
    #[arg(long, env = "TREEHEAD_WITNESS_POLICY", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    witness_policy: Option<PathBuf>,
    /// Publish a head without its quorum after this many seconds [default: never]
    #[arg(long, env = "TREEHEAD_WITNESS_FAIL_OPEN_SECONDS", value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    witness_fail_open_seconds: Option<u64>,
}

/// The trust material for clients.
#[derive(Debug, Args, Serialize)]
#[command(next_help_heading = "Trust material")]
#[serde(rename_all = "kebab-case")]
pub(super) struct TrustFlags {
    /// URL at which clients reach the log [default: https:// and its name, for localhost http:// and the port]
    #[arg(long, env = "TREEHEAD_PUBLIC_URL", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    public_url: Option<String>,
    /// trusted_root.json with certificate and time-stamp authorities, to which this log is added
    #[arg(long, env = "TREEHEAD_TRUSTED_ROOT_BASE", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted_root_base: Option<PathBuf>,
    /// signing_config.v0.2.json with the URLs of those services, to which this log is added
    #[arg(long, env = "TREEHEAD_SIGNING_CONFIG_BASE", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_config_base: Option<PathBuf>,
}

/// Flags of every command that reads the configuration.
#[derive(Debug, Args, Serialize)]
#[command(next_help_heading = "Configuration and logging")]
#[serde(rename_all = "kebab-case")]
pub(super) struct CommonFlags {
    /// TOML file with any of these settings; flags and environment variables override it
    #[arg(long, env = "TREEHEAD_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub(super) config: Option<PathBuf>,
    /// Log format (stderr)
    #[arg(long, env = "TREEHEAD_LOG_FORMAT", value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_format: Option<LogFormat>,
    /// error, warn, info, debug, trace or off, or a list such as info,sqlx=warn
    #[arg(long, env = "TREEHEAD_LOG_LEVEL", value_name = "LEVEL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_level: Option<String>,
}
