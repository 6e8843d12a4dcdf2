//! `treehead verify-lock`: which artefacts of a lock file are in a log, by whom, and whether anybody
//! logged other bytes under their names.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use client::Http;
use client::lock::{Artefact, Judgement, Lock, LockFormat, judge};
use client::lookup::KeySearch;

use crate::banner;
use crate::check::log;
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::runtime;
use known::Shown;
use report::Report;

pub(crate) use flags::LockFlags;
use flags::ReportFormat;

mod flags;
mod json;
mod junit;
mod known;
mod report;
mod sarif;
mod search;
mod text;

/// Largest lock file that is read: some ten times the largest in public repositories.
const MAX_LOCK_BYTES: u64 = 64 << 20;
/// Largest file with a public key that is read.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// Checks a lock file.
pub(crate) fn run(flags: &LockFlags) -> Outcome<()> {
    let lock = read_lock(&flags.file)?;
    let mut signers = Vec::new();
    for path in &flags.key {
        signers.push(spki_sha256(path)?);
    }
    runtime()?.block_on(verify(flags, &lock, &signers))
}

async fn verify(flags: &LockFlags, lock: &Lock, signers: &[String]) -> Outcome<()> {
    let keys = log::keys(&flags.trust)?;
    let search = KeySearch::open(&flags.url, keys, Http::new()).await;
    let search = Arc::new(search.map_err(log::failure)?);
    let hits = search::hits(&search, lock, flags.api).await?;
    let known = known::entries(&search, &hits).await?;
    let counts = |id: &str| {
        signers.is_empty()
            || known
                .get(id)
                .is_some_and(|entry| entry.is_signed_by(signers))
    };
    let shows = |artefact: &Artefact, id: &str| {
        let known = known.get(id);
        known.is_some_and(|entry| entry.shows(&artefact.digest_keys()) == Shown::ByEntry)
    };
    let judgements = judge(lock, &hits, &counts, &shows);
    let file = flags.file.display().to_string();
    let report = Report {
        file: &file,
        url: &flags.url,
        lock,
        judgements: &judgements,
        known: &known,
        search: search.api(),
        trusts_index: flags.trust_index,
    };
    print(flags.format, &report)?;
    let is_bad = |judgement: &&Judgement| !judgement.is_good(flags.trust_index);
    let findings = judgements.iter().filter(is_bad);
    match findings.count() {
        0 => Ok(()),
        count => {
            let all = judgements.len();
            let why = format_args!(
                "{count} of {all} artefacts in {file} are not shown to be in the log, or were logged with another digest"
            );
            Err(Failure::new(FailureKind::Findings, why))
        }
    }
}

fn print(format: ReportFormat, report: &Report<'_>) -> Outcome<()> {
    match format {
        ReportFormat::Text => text::text(report).print(),
        ReportFormat::Json => banner::print(format_args!("{:#}", json::json(report))),
        ReportFormat::Junit => {
            let junit = junit::junit(report).explain(FailureKind::Other, "JUnit")?;
            banner::print(junit.trim_end())
        }
        ReportFormat::Sarif => {
            banner::print(sarif::sarif(report).explain(FailureKind::Other, "SARIF")?)
        }
    }
}

fn read_lock(path: &Path) -> Outcome<Lock> {
    let name = path.file_name().and_then(|name| name.to_str());
    let format = LockFormat::of_name(name.unwrap_or_default());
    let format = format.explain(FailureKind::Usage, path.display())?;
    let text = read(path, MAX_LOCK_BYTES)?;
    Lock::read(format, &text).explain(FailureKind::Usage, path.display())
}

/// Returns the SHA-256 of the public key in a PEM file, in hexadecimal digits.
fn spki_sha256(path: &Path) -> Outcome<String> {
    let text = read(path, MAX_KEY_BYTES)?;
    let lines = text.lines().map(str::trim);
    let der = match lines.clone().next() {
        Some("-----BEGIN PUBLIC KEY-----") => {
            let base64: String = lines.filter(|line| !line.starts_with("-----")).collect();
            BASE64_STANDARD.decode(base64).ok()
        }
        _ => None,
    };
    let why = format_args!("{}: it is not one public key in PEM", path.display());
    let der = der.ok_or_else(|| Failure::new(FailureKind::Usage, why))?;
    Ok(tlog::sha256(&der).to_string())
}

fn read(path: &Path, limit: u64) -> Outcome<String> {
    let mut text = String::new();
    let file = File::open(path).explain(FailureKind::Usage, path.display())?;
    let read = file.take(limit + 1).read_to_string(&mut text);
    let read = read.explain(FailureKind::Usage, path.display())?;
    if read as u64 > limit {
        let why = format_args!("{}: it has more than {limit} bytes", path.display());
        return Err(Failure::new(FailureKind::Usage, why));
    }
    Ok(text)
}
