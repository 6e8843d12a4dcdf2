//! `treehead-fill`: makes a v1 log as large as one is wanted, straight through the ledger.
//!
//! HTTP and the check of each entry's signature are left out, because what is measured is the log
//! that is left behind: its rows, indexes, tiles and signed entry timestamps are those that
//! `treehead serve` would have written.
#![expect(
    clippy::print_stdout,
    reason = "a command-line program: the last line is its product"
)]

mod certificate;
mod entries;
mod log;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use indicatif::{ProgressBar, ProgressStyle};
use ledger::{Appended, Log, MAX_ROUND_ENTRIES, NewEntry};
use tokio::time::Instant;

use crate::entries::{Entries, Verifiers};
use crate::log::Place;

/// Appends that wait at once: while one round commits, the next one fills.
const IN_FLIGHT: usize = 2 * MAX_ROUND_ENTRIES;
/// Often enough for a bar, rare enough to cost nothing.
const BAR_INTERVAL: Duration = Duration::from_millis(200);

/// treehead's own, so that memory and speed are alike.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Fills the v1 log of a ledger with entries as clients would have written them, made up but for their form.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Entries that the log has afterwards; it goes on from those that are there
    #[arg(long)]
    entries: u64,
    /// The same seed makes the same entries
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Signed with certificates such as Fulcio gives to a workflow, instead of keys
    #[arg(long)]
    certificates: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let verifiers = if arguments.certificates {
        Verifiers::Certificates
    } else {
        Verifiers::Keys
    };
    let entries = Entries::new(arguments.seed, verifiers)?;
    let opened = log::open(&arguments.place).await?;
    let before = opened.log.head().size.0;
    let bar = progress_bar(before, arguments.entries)?;
    let started = Instant::now();
    let filled = fill(
        &opened.log,
        arguments.entries,
        |number| entries.entry(number),
        &bar,
    )
    .await;
    // Stores the signed entry timestamps that wait.
    opened.ledger.stop().await;
    bar.finish_and_clear();
    filled?;
    let (size, seconds) = (opened.log.head().size.0, started.elapsed().as_secs_f64());
    let added = size - before;
    println!(
        "{size} entries, {added} of them added in {seconds:.1} s, {:.0}/s",
        added as f64 / seconds
    );
    Ok(())
}

/// Appends entries until the log has `size` of them. The one at leaf index N is `entry(N)`; all of
/// them have their signed entry timestamps, the last of which are stored when the ledger stops.
async fn fill(
    log: &Log,
    size: u64,
    entry: impl Fn(u64) -> NewEntry,
    bar: &ProgressBar,
) -> Result<()> {
    let mut next = log.head().size.0;
    // First polled in the order they were pushed, and the first poll of an append is what queues
    // it: indexes follow numbers.
    let mut in_flight = FuturesUnordered::new();
    loop {
        while next < size && in_flight.len() < IN_FLIGHT {
            in_flight.push(append(log, next, entry(next)));
            next += 1;
        }
        let Some(outcome) = in_flight.next().await else {
            return Ok(());
        };
        outcome?;
        bar.inc(1);
    }
}

async fn append(log: &Log, number: u64, entry: NewEntry) -> Result<()> {
    let appended = log
        .append(entry)
        .await
        .with_context(|| format!("entry {number}"))?;
    let Appended::Sequenced(entry) = appended else {
        anyhow::bail!("entry {number} was there: use another seed")
    };
    ensure!(
        entry.leaf_index.0 == number,
        "entry {number} got the leaf index {}: others write too",
        entry.leaf_index
    );
    let log = log.clone();
    // Signatures are most of the work: a task each, so that all processors share it.
    tokio::spawn(async move { log.signed_entry_timestamp(&entry).map(drop) }).await??;
    Ok(())
}

fn progress_bar(from: u64, to: u64) -> Result<ProgressBar> {
    let style =
        ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} {per_sec} {eta}")?;
    let bar = ProgressBar::new(to).with_position(from).with_style(style);
    bar.reset_eta();
    bar.enable_steady_tick(BAR_INTERVAL);
    Ok(bar)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    async fn root(folder: &Path, sizes: &[u64], verifiers: Verifiers) -> tlog::Hash {
        let place = Place::in_folder(folder);
        let entries = Entries::new(1, verifiers).unwrap();
        let mut root = tlog::EMPTY_ROOT;
        for size in sizes {
            let opened = log::open(&place).await.unwrap();
            fill(
                &opened.log,
                *size,
                |number| entries.entry(number),
                &ProgressBar::hidden(),
            )
            .await
            .unwrap();
            opened.ledger.stop().await;
            let head = opened.log.head();
            let last = opened
                .log
                .entries(&head, &[tlog::LeafIndex(size - 1)])
                .await
                .unwrap();
            assert_eq!(
                (head.size.0, last[0].signed_entry_timestamp.is_some()),
                (*size, true)
            );
            root = head.root;
        }
        root
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_log_that_was_filled_in_parts_is_the_same_log() {
        let [parts, whole, certificates] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let parts = root(parts.path(), &[700, 700, 3_000], Verifiers::Keys).await;
        assert_eq!(parts, root(whole.path(), &[3_000], Verifiers::Keys).await);
        assert_ne!(
            parts,
            root(certificates.path(), &[100], Verifiers::Certificates).await
        );
    }
}
