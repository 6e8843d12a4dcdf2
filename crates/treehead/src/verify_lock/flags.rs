//! The flags of `verify-lock`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ledger::Api;

use crate::log_name::api;

/// Flags of `verify-lock`.
#[derive(Debug, Args)]
pub(crate) struct LockFlags {
    /// package-lock.json, npm-shrinkwrap.json, pnpm-lock.yaml, Cargo.lock, uv.lock, poetry.lock or
    /// go.sum
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Count only entries that are signed with this public key (PEM). May be given several times
    #[arg(long, value_name = "FILE")]
    pub key: Vec<PathBuf>,
    /// Count entries that only the log's index ties to an artefact, because they have no more than
    /// the digest of a statement
    #[arg(long)]
    pub trust_index: bool,
    /// URL of the log
    #[arg(long, env = "TREEHEAD_URL", value_name = "URL")]
    pub url: String,
    /// Which log is asked: v1 or v2. Unset: all logs that the search of the server covers
    #[arg(long, value_name = "API", value_parser = api)]
    pub api: Option<&'static Api>,
    /// File with the log's public key: a trusted root (JSON), public keys in PEM, or vkeys. May be
    /// given several times
    #[arg(
        long,
        env = "TREEHEAD_TRUST",
        value_name = "FILE",
        required = true,
        value_delimiter = ','
    )]
    pub trust: Vec<PathBuf>,
    /// Text for people, one JSON document, or a report for CI systems
    #[arg(long, value_enum, default_value = "text")]
    pub format: ReportFormat,
}

/// The form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    Text,
    Json,
    /// A test report: a case for each artefact
    Junit,
    /// SARIF 2.1.0: a result for each finding, at its line of the lock file
    Sarif,
}
