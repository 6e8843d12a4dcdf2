//! Why the program ends: one clear line on stderr and an exit code for scripts and service
//! managers.

use std::fmt;
use std::process::ExitCode;

use crate::check::show::harmless;

/// A reason to end with another status than 0.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: FailureKind,
    message: String,
}

/// The reason that the exit code gives. The numbers are documented in `docs/OPERATING.md` and never change
/// their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// Anything that has no number of its own.
    Other = 1,
    /// Wrong flags, environment or configuration file.
    Usage = 2,
    /// The database cannot be reached.
    DatabaseUnavailable = 3,
    /// The database answers but cannot be used: newer schema, damaged data.
    DatabaseUnusable = 4,
    /// A key is missing, unreadable, readable by others, or not the one of the stored log.
    Key = 5,
    /// The database holds another ledger or other logs than asked for, or holds already what was
    /// to be created.
    Log = 6,
    /// A listen address cannot be used.
    Address = 7,
    /// Another process serves from the data folder.
    InUse = 8,
    /// `fsck` found differences.
    Differs = 9,
    /// A part of the program ended although it must not: a bug. Started again, it is whole.
    Bug = 10,
    /// `rotate` told of an earlier rotation instead.
    NotRotated = 11,
    /// The guard cannot be opened or written, contradicts the database, or knows too little.
    Guard = 12,
    /// A log's answer does not verify.
    NotVerified = 20,
    /// A log does not continue the history that it showed before.
    Forked = 21,
    /// A log that was to be read cannot be reached, or refuses.
    LogUnavailable = 22,
    /// A log does not have what was asked for.
    Absent = 23,
    /// A check was made to its end and found something.
    Findings = 24,
    /// What was to be logged is not in the log yet, and waits in the queue.
    Pending = 25,
    /// `recover` changed nothing more: its source lacks the entries or has another history, the
    /// database itself has another history, or the loss was not confirmed.
    NotRecovered = 13,
}

/// Result of everything the program does.
pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(kind: FailureKind, message: impl fmt::Display) -> Self {
        Self {
            kind,
            message: one_line(&message.to_string()),
        }
    }

    /// Returns the kind.
    pub(crate) fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The status the process ends with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind as u8)
    }
}

/// Returns a failure because of flags, environment, configuration or a file that they name.
pub(crate) fn usage(why: impl fmt::Display) -> Failure {
    Failure::new(FailureKind::Usage, why)
}

/// Turns an error into a [`Failure`] of a kind, with what was being done in front.
pub(crate) trait Explain<T> {
    fn explain(self, kind: FailureKind, doing: impl fmt::Display) -> Outcome<T>;
}

impl<T, E: fmt::Display> Explain<T> for Result<T, E> {
    fn explain(self, kind: FailureKind, doing: impl fmt::Display) -> Outcome<T> {
        self.map_err(|error| Failure::new(kind, format_args!("{doing}: {error}")))
    }
}

/// Returns a text as one line, whatever a library or a server put into it. No control character
/// reaches a terminal.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    harmless(&lines.join(" ").replace('\t', " "))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_harmless_line() {
        let failure = Failure::new(FailureKind::Other, "a\u{1b}[2J\r\n\n b\tc\u{202e}\n");
        assert_eq!(failure.to_string(), "a\u{fffd}[2J b c\u{fffd}");
    }
}
