//! A report as text for people, or as JSON.

use std::fmt::Write as _;

use client::explain::{Client, Finding, Report, Severity};
use serde_json::json;

use crate::banner;
use crate::check::flags::Format;
use crate::check::show::has_colours;
use crate::failure::Outcome;

/// Widest column of labels.
const MAX_LABEL: usize = 30;

/// Prints a report.
pub(super) fn print(format: Format, subject: &str, report: &Report) -> Outcome<()> {
    match format {
        Format::Text => banner::print(text(subject, report).trim_end()),
        Format::Json => banner::print(format_args!("{:#}", document(subject, report))),
    }
}

fn document(subject: &str, report: &Report) -> serde_json::Value {
    json!({
        "subject": subject,
        "what": report.what,
        "facts": report.facts,
        "findings": report.findings,
        "readers": report.readers,
        "acceptedBy": report.accepted_by(),
        "leftOut": report.left_out,
    })
}

/// Says how many faults and warnings there are.
pub(super) fn count(report: &Report) -> String {
    let of = |severity| {
        let findings = report.findings.iter();
        findings
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let named = |number: usize, one: &str| match number {
        1 => format!("1 {one}"),
        many => format!("{many} {one}s"),
    };
    let faults = named(of(Severity::Error), "fault");
    match of(Severity::Warning) {
        0 => faults,
        warnings => format!("{faults}, {}", named(warnings, "warning")),
    }
}

fn text(subject: &str, report: &Report) -> String {
    let mut text = format!("{subject}: {}\n", report.what);
    let widest = report
        .facts
        .iter()
        .map(|fact| fact.label.chars().count())
        .max();
    let width = widest.unwrap_or(0).min(MAX_LABEL);
    for fact in &report.facts {
        // Writing into a string does not fail.
        let _ = writeln!(text, "  {:<width$}  {}", fact.label, fact.value);
    }
    for finding in &report.findings {
        text.push('\n');
        add_finding(&mut text, finding);
    }
    if report.left_out > 0 {
        let _ = writeln!(text, "\n{} more are not shown.", report.left_out);
    }
    text.push('\n');
    text.push_str(&verdict(report));
    text
}

fn add_finding(text: &mut String, finding: &Finding) {
    let (label, colour) = match finding.severity {
        Severity::Error => ("FAULT", "\u{1b}[31m"),
        Severity::Warning => ("warning", "\u{1b}[33m"),
        Severity::Note => ("note", ""),
    };
    let (on, off) = match has_colours() && !colour.is_empty() {
        true => (colour, "\u{1b}[0m"),
        false => ("", ""),
    };
    let place = match finding.place.as_str() {
        "" => String::new(),
        place => format!(" at {place}"),
    };
    let _ = writeln!(text, "{on}{label}{off} {}{place}", finding.id);
    let _ = writeln!(text, "  {}", finding.what);
    if !finding.refused_by.is_empty() {
        let _ = writeln!(text, "  refused by: {}", names(&finding.refused_by));
    }
    if !finding.remedy.is_empty() {
        let _ = writeln!(text, "  do: {}", finding.remedy);
    }
}

fn verdict(report: &Report) -> String {
    let accepted = report.accepted_by();
    if report.readers.is_empty() {
        return match report.has_errors() {
            true => format!("{}.", count(report)),
            false => "No fault was found.".to_owned(),
        };
    }
    let accepted = match accepted.as_slice() {
        [] => "no client".to_owned(),
        clients => names(clients),
    };
    format!("Nothing in it would make these refuse it: {accepted}.")
}

fn names(clients: &[Client]) -> String {
    let names: Vec<String> = clients.iter().map(ToString::to_string).collect();
    names.join(", ")
}
