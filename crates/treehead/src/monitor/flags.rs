//! The flags of `monitor`.

use std::path::PathBuf;

use clap::Args;

use crate::config::LogFormat;

/// Flags of `monitor`.
#[derive(Debug, Args)]
pub(crate) struct MonitorFlags {
    /// Configuration file: the logs, the rules, and where notices go (docs/MONITORING.md)
    #[arg(long, env = "TREEHEAD_MONITOR_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
    /// Look at each log once, wait until the notices are delivered, and end. For cron
    #[arg(long)]
    pub once: bool,
    /// Further URL where heads are compared: /heads of another monitor, /guard of a treehead, or a
    /// cosigned checkpoint. May be given several times
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    pub peers: Vec<String>,
    /// Log format (stderr)
    #[arg(long, env = "TREEHEAD_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// error, warn, info, debug or trace, or a list such as info,sqlx=warn
    #[arg(
        long,
        env = "TREEHEAD_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info"
    )]
    pub log_level: String,
}
