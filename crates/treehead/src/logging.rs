//! Structured log lines on stderr; stdout is for what a command was asked for.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal};
use std::panic;
use std::thread;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;
use tracing_subscriber::fmt::format::{DefaultFields, Format};

use crate::config::{Config, LogFormat};
use crate::failure::{Explain, FailureKind, Outcome};
use crate::log_lines::{self, LogLines};

/// Starts logging for the whole process. Call once.
pub(crate) fn start(config: &Config) -> Outcome<()> {
    start_with(config.log_format, &config.log_level)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// The same for a command without that configuration.
pub(crate) fn start_with(format: LogFormat, level: &str) -> Outcome<()> {
    let builder: SubscriberBuilder<DefaultFields, Format, EnvFilter, LogLines> =
        tracing_subscriber::fmt()
            .with_env_filter(filter(level).explain(FailureKind::Usage, "log-level")?)
            .with_writer(LogLines)
            // It would complain by `eprintln!`, which panics where stderr cannot be written.
            .log_internal_errors(false);
    match format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init(),
    }
    .explain(FailureKind::Other, "logging")
}

/// Reads the value of `log-level`, or says why it is none.
pub(crate) fn filter(levels: &str) -> Result<EnvFilter, String> {
    // The filter takes any other word for the name of a module, and then logs nothing but that
    // module.
    let is_unknown = |word: &&str| {
        word.contains(' ') || !word.contains(['=', '[']) && word.parse::<LevelFilter>().is_err()
    };
    if let Some(word) = levels.split(',').map(str::trim).find(is_unknown) {
        let expected =
            "error, warn, info, debug, trace or off expected, or a list such as info,sqlx=warn";
        return Err(format!("{word:?} is not a level: {expected}"));
    }
    EnvFilter::try_new(levels).map_err(|error| format!("{levels:?}: {error}"))
}

/// Has panics reported as all else is: the standard hook writes to stderr itself, and waits for
/// whoever does not read it.
pub(crate) fn report_panics() {
    panic::set_hook(Box::new(|panic| {
        let thread = thread::current();
        let backtrace = Backtrace::capture();
        let shown = if backtrace.status() == BacktraceStatus::Captured {
            format!("\n{backtrace}")
        } else {
            String::new()
        };
        log_lines::line(format_args!(
            "thread {:?} {panic}{shown}",
            thread.name().unwrap_or("unnamed")
        ));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for level in [
            "info",
            "WARN",
            "off",
            "info,sqlx=warn",
            "sqlx=warn, debug",
            "treehead=debug",
            "info,[request]=debug",
        ] {
            assert!(filter(level).is_ok(), "{level}");
        }
        for level in [
            "warning",
            "verbose",
            "infos,sqlx=warn",
            "info,sqlx",
            "info sqlx=warn",
        ] {
            assert!(
                filter(level).unwrap_err().contains("is not a level"),
                "{level}"
            );
        }
    }
}
