//! The flags of `treehead recover`.

use std::path::PathBuf;

use clap::Args;
use ledger::Api;

use crate::log_name::api;

/// Flags of `recover`.
#[derive(Debug, Args)]
pub(crate) struct RecoverFlags {
    /// Take what is missing from here: an SQLite file or a data folder, postgres://… of another copy
    /// of the database, or https://… of a server that has the entries
    #[arg(
        long,
        value_name = "COPY|URL",
        required_unless_present = "accept_loss",
        help_heading = "The way out"
    )]
    pub from: Option<String>,
    /// Go on in a new tree without the entries that are lost, once their number was typed. This
    /// cannot be undone
    #[arg(long, conflicts_with = "from", help_heading = "The way out")]
    pub accept_loss: bool,
    /// Accept the loss of this log alone: v1 or v2
    #[arg(
        long,
        value_name = "API",
        value_parser = api,
        requires = "accept_loss",
        help_heading = "With --accept-loss"
    )]
    pub log: Option<&'static Api>,
    /// File of the key of the new tree, created if it is absent [default: v1-log-2.pem,
    /// v1-log-3.pem, … or v2-log-2.pem, … in the key folder, the first one that does not exist]
    #[arg(
        long,
        value_name = "FILE",
        requires = "log",
        help_heading = "With --accept-loss"
    )]
    pub next_key: Option<PathBuf>,
    /// Origin of the new tree of a v2 log: the host name under which it is read [default:
    /// shard2.NAME, shard3.NAME, … below the origin of the first tree]
    #[arg(
        long,
        value_name = "NAME",
        requires = "log",
        help_heading = "With --accept-loss"
    )]
    pub origin: Option<String>,
}
