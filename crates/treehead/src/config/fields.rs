//! The value of each setting.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::source::Sources;
use super::values::{Duplicates, LogFormat, LogKeyAlgorithm, OnDuplicate, Uniqueness, Unjudged};
use crate::database_url::DatabaseUrl;
use crate::listen::ListenAddress;

/// The value of every setting.
///
/// Each field belongs to the row of [`SETTINGS`](super::SETTINGS) whose flag has its name. The text
/// of that row documents it, for operators and for readers of this file alike. Fields stand in the
/// order of the rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    pub name: Option<String>,
    pub logs: Option<Vec<String>>,
    pub v1_key: Option<PathBuf>,
    pub v1_checkpoint_key: Option<PathBuf>,
    pub v2_name: Option<String>,
    pub v2_key: Option<PathBuf>,
    pub v2_key_algorithm: Option<LogKeyAlgorithm>,
    pub key_dir: Option<PathBuf>,
    pub data_dir: PathBuf,
    pub database: Option<DatabaseUrl>,
    pub database_file: Option<PathBuf>,
    pub guard: Vec<String>,
    pub listen: ListenAddress,
    pub metrics_listen: ListenAddress,
    pub read_only: bool,
    pub enabled_api_endpoints: Option<Vec<String>>,
    pub public: bool,
    pub cors_origins: Vec<String>,
    pub stop_grace_seconds: u64,
    pub subscriptions: Option<PathBuf>,
    pub enabled_entry_types: Option<Vec<String>>,
    pub client_signing_algorithms: Vec<String>,
    pub unique_packages: Uniqueness,
    pub unique_packages_unjudged: Unjudged,
    pub duplicates: Duplicates,
    pub max_body_bytes: Bytes,
    pub max_body_bytes_in_flight: Bytes,
    pub max_attestation_bytes: Bytes,
    pub max_connections: usize,
    pub max_connections_per_address: usize,
    pub witness_policy: Option<PathBuf>,
    pub witness_fail_open_seconds: Option<u64>,
    pub public_url: Option<String>,
    pub trusted_root_base: Option<PathBuf>,
    pub signing_config_base: Option<PathBuf>,
    pub log_format: LogFormat,
    pub log_level: String,

    /// Where each setting was given.
    #[serde(skip)]
    pub sources: Sources,
    /// Oddities that do not prevent a start. They are logged once logging has begun.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: None,
            logs: None,
            v1_key: None,
            v1_checkpoint_key: None,
            v2_name: None,
            v2_key: None,
            v2_key_algorithm: None,
            key_dir: None,
            data_dir: PathBuf::from("./treehead-data"),
            database: None,
            database_file: None,
            guard: Vec::new(),
            listen: ListenAddress::local(DEFAULT_PORT),
            metrics_listen: ListenAddress::local(DEFAULT_METRICS_PORT),
            read_only: false,
            enabled_api_endpoints: None,
            public: false,
            cors_origins: Vec::new(),
            stop_grace_seconds: host::limits::DEFAULT_STOP_GRACE.as_secs(),
            subscriptions: None,
            enabled_entry_types: None,
            client_signing_algorithms: entry::DEFAULT_ALGORITHMS.map(str::to_owned).to_vec(),
            unique_packages: Uniqueness::Off,
            unique_packages_unjudged: Unjudged::Accept,
            duplicates: Duplicates {
                v1: OnDuplicate::Conflict,
                v2: OnDuplicate::Stored,
            },
            max_body_bytes: Bytes(host::limits::DEFAULT_BODY_BYTES),
            max_body_bytes_in_flight: Bytes(host::limits::DEFAULT_BODY_BYTES_IN_FLIGHT),
            max_attestation_bytes: Bytes(server::settings::DEFAULT_ATTESTATION_BYTES),
            max_connections: host::limits::DEFAULT_CONNECTIONS,
            max_connections_per_address: host::limits::DEFAULT_CONNECTIONS_PER_ADDRESS,
            witness_policy: None,
            witness_fail_open_seconds: None,
            public_url: None,
            trusted_root_base: None,
            signing_config_base: None,
            log_format: LogFormat::Text,
            log_level: "info".to_owned(),
            sources: Sources::default(),
            warnings: Vec::new(),
        }
    }
}

/// Rekor's own port.
const DEFAULT_PORT: u16 = 3000;
/// Rekor's own metrics port.
const DEFAULT_METRICS_PORT: u16 = 2112;
