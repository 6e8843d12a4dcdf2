//! The flags of `audit`.

use std::path::PathBuf;

use clap::Args;

use crate::check::flags::LogFlags;

/// Flags of `audit`.
#[derive(Debug, Args)]
pub(crate) struct AuditFlags {
    /// Audit this search key alone, as the log has it: sha256:…, purl=pkg:npm/name@1.0.0, an e-mail
    /// address. Unset: all keys that follow from the entries
    #[arg(long, value_name = "KEY")]
    pub key_text: Option<String>,
    /// File for the report (JSON). A folder for intermediate data is beside it meanwhile: some 120
    /// bytes for each key of each entry
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    #[command(flatten)]
    pub log: LogFlags,
}
