//! `treehead audit`: reads a whole log, derives every search key anew, and compares with what the
//! log's search answers.
//!
//! The entries are proved in the signed heads, so the log cannot leave one out. The keys follow from
//! the entries. What the search does not find under them, or finds without them, is named.

use std::sync::{Arc, OnceLock};

use client::Http;
use client::lookup::KeySearch;
use ledger::Clock;

use crate::banner;
use crate::check::flags::Format;
use crate::check::log::{failure, keys};
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::progress::Progress;
use crate::runtime;
use ask::{Asked, Outcomes, ReadTree};
use pairs::Pairs;
use report::Report;
use trees::Tree;

pub(crate) use flags::AuditFlags;

mod ask;
mod compare;
mod flags;
mod pairs;
mod read;
mod report;
mod trees;

/// Audits a log.
pub(crate) fn run(flags: &AuditFlags) -> Outcome<()> {
    runtime()?.block_on(audit(flags))
}

async fn audit(flags: &AuditFlags) -> Outcome<()> {
    let began = now();
    let key = flags.key_text.as_ref().map(|key| lower_case(key));
    let trusted = keys(&flags.log.trust.trust)?;
    let search = KeySearch::open(&flags.log.url, trusted, Http::new()).await;
    let search = search.map_err(failure)?;
    let trees = trees::trees(&flags.log).await?;
    let heads: Vec<_> = trees.iter().map(|tree| tree.head.clone()).collect();
    let entries = heads.iter().map(|head| head.size().0).sum();
    let pairs = Pairs::create(&flags.out, entries);
    let what = format_args!("intermediate data beside {}", flags.out.display());
    let mut pairs = pairs.explain(FailureKind::Other, what)?;
    let api = trees.first().map_or(ledger::V2.name, Tree::api);
    let asked = Arc::new(Asked {
        trees: read_trees(trees, key.as_deref(), &mut pairs).await?,
        search,
        api,
    });
    let derived = pairs.count;
    let outcomes = match &key {
        Some(key) => ask::ask_one(&asked, key, &mut pairs).await?,
        None => ask::ask(&asked, &mut pairs).await?,
    };
    let report = Report {
        url: &flags.log.url,
        key_text: key.as_deref(),
        heads: &heads,
        asked: &asked,
        derived,
        outcomes: &outcomes,
        began,
        ended: now(),
    };
    report.write(&flags.out)?;
    show(flags, &report, &outcomes)
}

/// Reads the trees one after the other.
async fn read_trees(
    trees: Vec<Tree>,
    key: Option<&str>,
    pairs: &mut Pairs,
) -> Outcome<Vec<ReadTree>> {
    let entries = trees.iter().map(|tree| tree.head.size().0).sum();
    let progress = Progress::new("entries", entries);
    let mut read = Vec::with_capacity(trees.len());
    for (tree, number) in trees.into_iter().zip(0..) {
        let id = tree.id().map_or_else(OnceLock::new, OnceLock::from);
        let size = tree.head.size().0;
        let entries = read::read(number, tree, key, pairs, &progress).await?;
        read.push(ReadTree { id, size, entries });
    }
    Ok(read)
}

fn show(flags: &AuditFlags, report: &Report<'_>, outcomes: &Outcomes) -> Outcome<()> {
    match flags.log.trust.format {
        Format::Text => report.text(&flags.out).print()?,
        Format::Json => banner::print(format_args!("{:#}", report.json()))?,
    }
    if !report.differs() {
        return Ok(());
    }
    let (missing, surplus) = (outcomes.missing_count, outcomes.surplus_count);
    let why = format_args!(
        "the search lacks {missing} entries under their keys, and has {surplus} under keys that are not theirs: see {}",
        flags.out.display()
    );
    Err(Failure::new(FailureKind::Findings, why))
}

/// Returns a key as logs index it: letter by letter in lower case.
fn lower_case(key: &str) -> String {
    let letters = key.chars();
    letters
        .filter_map(|letter| letter.to_lowercase().next())
        .collect()
}

fn now() -> i64 {
    ledger::SystemClock.unix_millis() / 1_000
}
