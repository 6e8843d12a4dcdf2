//! The flags of `audit-pack`.

use std::path::PathBuf;

use clap::Args;

use super::bound::Bound;
use crate::check::flags::LogFlags;

/// Flags of `audit-pack`.
#[derive(Debug, Args)]
pub(crate) struct AuditPackFlags {
    /// Begin of the period: a time (2026-11-01T00:00:00Z), a day (2026-11-01, UTC), or a log index.
    /// Entries of Rekor v2 state no time, so there it is an index
    #[arg(long, value_name = "TIME|INDEX")]
    pub since: Bound,
    /// End of the period, which does not belong to it
    #[arg(long, value_name = "TIME|INDEX")]
    pub until: Bound,
    /// The pack: a tar archive compressed with zstd. A file that exists is not replaced
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// File with the witness policy in force (C2SP tlog-policy). Its cosignatures are checked
    #[arg(long, value_name = "FILE")]
    pub witness_policy: Option<PathBuf>,
    #[command(flatten)]
    pub log: LogFlags,
}
