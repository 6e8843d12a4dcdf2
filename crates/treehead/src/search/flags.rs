//! The flags of `search`.

use std::path::PathBuf;

use clap::Args;
use tlog::Hash;

use crate::check::flags::{LogFlags, sha256};

/// Flags of `search`. An entry must meet all conditions.
#[derive(Debug, Args)]
pub(crate) struct SearchFlags {
    /// Digest of an artifact, payload or envelope: SHA-256 and longer in a ledger of treehead,
    /// SHA-1 too by Rekor's search
    #[arg(long, value_name = "DIGEST")]
    pub hash: Vec<String>,
    /// SHA-256 of this file
    #[arg(long, value_name = "FILE")]
    pub file: Vec<PathBuf>,
    /// E-mail address of the signer
    #[arg(long, value_name = "ADDRESS")]
    pub email: Vec<String>,
    /// Public key or certificate of the signer, in any format that logs read
    #[arg(long, value_name = "FILE")]
    pub public_key: Vec<PathBuf>,
    /// SHA-256 of the signer's key in the form in which entries hold it
    #[arg(long, value_name = "DIGEST", value_parser = sha256)]
    pub key_hash: Option<Hash>,
    /// Name in the certificate or key, or name of a subject of a statement
    #[arg(long, value_name = "NAME")]
    pub subject: Vec<String>,
    /// OIDC issuer in the certificate
    #[arg(long, value_name = "URL")]
    pub issuer: Vec<String>,
    /// Source repository in the certificate
    #[arg(long, value_name = "REPOSITORY")]
    pub repository: Vec<String>,
    /// Workflow in the certificate: its file without the ref, or its name
    #[arg(long, value_name = "WORKFLOW")]
    pub workflow: Vec<String>,
    /// Source commit in the certificate
    #[arg(long, value_name = "COMMIT")]
    pub commit: Vec<String>,
    /// Package URL of a subject of a statement; without a version, all versions
    #[arg(long, value_name = "PURL")]
    pub purl: Vec<String>,
    /// Kind, such as intoto, or one version of it, intoto:0.0.2
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// Logged at this time or later: RFC 3339 or Unix seconds
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Logged before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Most entries that are fetched
    #[arg(long, value_name = "NUMBER", default_value = "10", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
    #[command(flatten)]
    pub log: LogFlags,
}
