//! The flags of `treehead rotate`.

use std::path::PathBuf;

use clap::Args;
use ledger::Api;

use crate::log_name::api;

/// Flags of `rotate`.
#[derive(Debug, Args)]
pub(crate) struct RotateFlags {
    /// The log to rotate, by its API: v1 or v2. May be left out in a ledger with one log
    #[arg(long, value_name = "API", value_parser = api, help_heading = "The log")]
    pub log: Option<&'static Api>,
    /// Take back a rotation that has not frozen its tree yet: the next key is no longer registered,
    /// and its file stays
    #[arg(long, conflicts_with_all = ["next_key", "origin"], help_heading = "The log")]
    pub abort: bool,
    /// File of the next key, created if it is absent [default: v1-log-2.pem, v1-log-3.pem, … or
    /// v2-log-2.pem, … in the key folder]
    #[arg(long, value_name = "FILE", help_heading = "The next tree")]
    pub next_key: Option<PathBuf>,
    /// Origin of the next tree of a v2 log: the host name under which it is read [default:
    /// shard2.NAME, shard3.NAME, … below the origin of the first tree]
    #[arg(long, value_name = "NAME", help_heading = "The next tree")]
    pub origin: Option<String>,
}
