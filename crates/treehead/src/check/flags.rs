//! The flags of the commands that read a log.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use ledger::Api;
use tlog::Hash;

use crate::log_name::api;

/// What is trusted, and how the answer is printed.
#[derive(Debug, Args)]
pub(crate) struct TrustFlags {
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
    /// Text for people, or one JSON document
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Which log is read, and what is trusted.
#[derive(Debug, Args)]
pub(crate) struct LogFlags {
    /// URL of the log
    #[arg(long, env = "TREEHEAD_URL", value_name = "URL")]
    pub url: String,
    /// How the log is read: v1 is the API of Rekor v1, v2 are the tiles of Rekor v2 and C2SP.
    /// Unset: v1 if the server has it
    #[arg(long, value_name = "API", value_parser = api)]
    pub api: Option<&'static Api>,
    #[command(flatten)]
    pub trust: TrustFlags,
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Flags of `log`.
#[derive(Debug, Args)]
pub(crate) struct HeadFlags {
    #[command(flatten)]
    pub log: LogFlags,
    /// Folder in which the last head of each log is remembered. Unset: treehead in
    /// $XDG_STATE_HOME, else ~/.local/state/treehead
    #[arg(long, env = "TREEHEAD_STATE", value_name = "FOLDER")]
    pub state: Option<PathBuf>,
}

/// Which entry is meant.
#[derive(Debug, Args)]
pub(crate) struct EntryFlags {
    /// Entry at this index of the log
    #[arg(long, value_name = "NUMBER")]
    pub log_index: Option<u64>,
    /// Entry of this ID: 80 hexadecimal digits, or the last 64 of them, which are the leaf hash
    #[arg(long, value_name = "ID", value_parser = uuid)]
    pub uuid: Option<String>,
}

/// Flags of `get`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["log_index", "uuid", "hash", "file", "purl"])))]
pub(crate) struct GetFlags {
    #[command(flatten)]
    pub entry: EntryFlags,
    /// Entries that the log's search finds under this SHA-256
    #[arg(long, value_name = "DIGEST", value_parser = sha256)]
    pub hash: Option<Hash>,
    /// Entries that the log's search finds under the SHA-256 of this file
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Entries that the log's search finds for this package URL; only treehead has that
    #[arg(long, value_name = "PURL")]
    pub purl: Option<String>,
    /// Most entries of a search that are fetched
    #[arg(long, value_name = "NUMBER", default_value = "10", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
    #[command(flatten)]
    pub log: LogFlags,
}

/// Flags of `proof`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["log_index", "uuid", "first"])))]
pub(crate) struct ProofFlags {
    #[command(flatten)]
    pub entry: EntryFlags,
    /// Prove that the tree of this size is the beginning of the active tree
    #[arg(long, value_name = "SIZE", value_parser = clap::value_parser!(u64).range(1..))]
    pub first: Option<u64>,
    /// Root of the tree of that size, in hexadecimal. Without it, the root follows from the proof
    #[arg(long, value_name = "HASH", value_parser = sha256, requires = "first")]
    pub first_root: Option<Hash>,
    /// Also write the proof of an entry into this file, as C2SP tlog-proof
    #[arg(long, value_name = "FILE", conflicts_with = "first")]
    pub tlog_proof: Option<PathBuf>,
    #[command(flatten)]
    pub log: LogFlags,
}

fn uuid(text: &str) -> Result<String, &'static str> {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match is_hex && [64, 80].contains(&text.len()) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("an ID has 80 hexadecimal digits, or 64"),
    }
}

pub(crate) fn sha256(text: &str) -> Result<Hash, &'static str> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let mut hash = [0; 32];
    hex::decode_to_slice(digits, &mut hash).map_err(|_| "a SHA-256 has 64 hexadecimal digits")?;
    Ok(Hash(hash))
}
