//! Structured log lines on stderr; stdout is for what a command was asked for.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;
use tracing_subscriber::fmt::format::{DefaultFields, Format};

use crate::config::{Config, LogFormat};
use crate::failure::{Explain, FailureKind, Outcome};
use crate::log_lines::LogLines;

/// Starts logging for the whole process. Call once.
pub(crate) fn start(config: &Config) -> Outcome<()> {
    start_with(config.log_format, &config.log_level)
}

/// The same for a command without that configuration.
pub(crate) fn start_with(format: LogFormat, level: &str) -> Outcome<()> {
    let filter = EnvFilter::try_new(level).explain(FailureKind::Usage, "log-level")?;
    let builder: SubscriberBuilder<DefaultFields, Format, EnvFilter, LogLines> =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(LogLines);
    match format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    }
    .explain(FailureKind::Other, "logging")
}
