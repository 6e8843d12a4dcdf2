//! What the commands print: text with aligned labels for people, or one JSON document.

use std::fmt::{Display, Write};
use std::io::{self, IsTerminal};

use serde_json::Value;

use super::flags::Format;
use crate::banner;
use crate::failure::Outcome;

/// Columns of a label and the space behind it.
const LABEL: usize = 13;

/// Green, and back.
const GREEN: (&str, &str) = ("\u{1b}[32m", "\u{1b}[0m");

/// Red, and back.
const RED: (&str, &str) = ("\u{1b}[31m", "\u{1b}[0m");

/// Text for people.
#[derive(Default)]
pub(crate) struct Text(String);

/// How a line begins on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// In green.
    Good,
    /// In red.
    Bad,
    /// Without a colour.
    Plain,
}

impl Text {
    /// Adds the line that says what was verified. It is coloured on a terminal.
    pub(crate) fn verified(&mut self, what: impl Display) {
        let (on, off) = if has_colours() { GREEN } else { ("", "") };
        self.raw(format_args!(
            "{on}verified{off}: {}",
            harmless(&what.to_string())
        ));
    }

    /// Adds a line about one of many things, with a word that says what holds of it.
    pub(crate) fn item(&mut self, style: Style, label: &str, value: impl Display) {
        let (on, off) = match style {
            Style::Good if has_colours() => GREEN,
            Style::Bad if has_colours() => RED,
            _ => ("", ""),
        };
        let value = harmless(&value.to_string());
        self.raw(format_args!("{on}{label:<LABEL$}{off}{value}"));
    }

    /// Adds a line of its own.
    pub(crate) fn line(&mut self, line: impl Display) {
        self.raw(harmless(&line.to_string()));
    }

    /// Adds a line with a label. Nothing that a log says reaches the terminal as a control
    /// character.
    pub(crate) fn fact(&mut self, label: &str, value: impl Display) {
        let value = harmless(&value.to_string());
        self.raw(format_args!("  {label:<LABEL$}{value}"));
    }

    /// Adds lines below a label.
    pub(crate) fn lines(&mut self, label: &str, lines: &str) {
        self.raw(format_args!("  {label}"));
        for line in lines.lines() {
            self.raw(format_args!("    {}", harmless(line)));
        }
    }

    fn raw(&mut self, line: impl Display) {
        // Writing into a string does not fail.
        let _ = writeln!(self.0, "{line}");
    }

    /// Prints it.
    pub(crate) fn print(&self) -> Outcome<()> {
        banner::print(self.0.trim_end())
    }
}

/// Prints in the format that was asked for.
pub(crate) fn print(format: Format, text: &Text, json: &Value) -> Outcome<()> {
    match format {
        Format::Text => text.print(),
        Format::Json => banner::print(format_args!("{json:#}")),
    }
}

/// Returns a time in RFC 3339.
pub(crate) fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok();
    let time = time.and_then(|time| time::OffsetDateTime::from_unix_timestamp(time).ok());
    match time {
        Some(time) => format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            time.year(),
            u8::from(time.month()),
            time.day(),
            time.hour(),
            time.minute(),
            time.second()
        ),
        None => format!("{seconds} s"),
    }
}

/// Replaces control characters and those that turn the direction of text.
pub(crate) fn harmless(text: &str) -> String {
    let is_harmful =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.replace(is_harmful, "\u{fffd}")
}

/// Returns whether text may be coloured.
pub(crate) fn has_colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_cannot_write_to_the_terminal() {
        let mut text = Text::default();
        text.fact("origin", "a\u{1b}[2Jb\u{9b}c\u{202e}d");
        text.lines("body", "x\u{7}\ny");
        assert_eq!(
            text.0,
            "  origin       a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\n  body\n    x\u{fffd}\n    y\n"
        );
    }

    #[test]
    fn times_are_in_rfc_3339() {
        assert_eq!(time(1_795_384_279), "2026-11-22T21:51:19Z");
        assert_eq!(time(u64::MAX), format!("{} s", u64::MAX));
    }
}
