//! `treehead doctor`: explains a document, looks at a log at a URL, or examines the server on this
//! machine. Changes nothing.

use std::fs;
use std::io::{self, Read};

use client::explain::{MAX_DOCUMENT_BYTES, Report, explain, explain_with};
use ledger::{Clock, SystemClock};

use crate::config::Given;
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::runtime;

pub(crate) use flags::DoctorFlags;

mod flags;
mod local;
mod print;
mod remote;

/// Prints what was found. Fails with [`FailureKind::Findings`] if there is a fault.
pub(crate) fn run(given: Given, flags: &DoctorFlags) -> Outcome<()> {
    let (subject, report) = match flags.document.as_deref() {
        None => local::examine(&given.config()?)?,
        Some(url) if url.contains("://") => {
            let report = runtime()?.block_on(remote::examine(url, flags))?;
            (url.to_owned(), report)
        }
        Some(file) => (file.to_owned(), document(&read(file)?, flags)?),
    };
    print::print(flags.format, &subject, &report)?;
    if !report.has_errors() {
        return Ok(());
    }
    let faults = print::count(&report);
    Err(Failure::new(
        FailureKind::Findings,
        format_args!("{subject}: {faults}"),
    ))
}

/// Explains a document, with the keys that the flags name if they name any.
fn document(bytes: &[u8], flags: &DoctorFlags) -> Outcome<Report> {
    if flags.trust.is_empty() {
        return Ok(explain(bytes, now()));
    }
    let mut trust = Vec::new();
    for path in &flags.trust {
        trust.push(fs::read_to_string(path).explain(FailureKind::Usage, path.display())?);
    }
    explain_with(bytes, now(), &trust).explain(FailureKind::Usage, "--trust")
}

/// Reads a file, or standard input for `-`.
fn read(file: &str) -> Outcome<Vec<u8>> {
    let limit = MAX_DOCUMENT_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    let read = match file {
        "-" => io::stdin().take(limit).read_to_end(&mut bytes),
        path => fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
    };
    read.explain(FailureKind::Usage, file)?;
    Ok(bytes)
}

/// Returns the time of this machine in Unix seconds.
fn now() -> i64 {
    SystemClock.unix_millis().div_euclid(1_000)
}
