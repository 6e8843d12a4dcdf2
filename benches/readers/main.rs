//! `treehead-readers`: follows a log by streams of events that come and go, and checks that each
//! reader sees each entry once, in order. `--help` says how; `scripts/events` runs it.
#![expect(
    clippy::print_stdout,
    reason = "a command-line program: what it says is its product"
)]

mod reader;

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use reader::{Reader, Tally};

/// Follows a log by many streams of events, each of which ends at a random moment and is continued.
///
/// Prints a line once all readers are connected, and another one when each has seen all entries. The
/// exit status is 1 if one saw an entry twice, missed one, or was too slow.
#[derive(Parser)]
struct Arguments {
    /// Address of the log, host:port. Nothing else may write to it
    #[arg(long, default_value = "127.0.0.1:3000")]
    address: String,
    /// Readers at once
    #[arg(long, default_value_t = 200)]
    readers: u64,
    /// Readers beside them that connect and read nothing
    #[arg(long, default_value_t = 0)]
    stalled: u64,
    /// Entries that each reader waits for, counted from the first entry of the log
    #[arg(long, default_value_t = 10_000)]
    entries: u64,
    /// Longest time of a connection, in milliseconds
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..))]
    stay: u64,
    /// Longest time for all, in seconds
    #[arg(long, default_value_t = 60)]
    patience: u64,
}

// One thread is enough for all, and leaves the server and the writer the other cores.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut stalled = Vec::new();
    for _ in 0..arguments.stalled {
        stalled.push(Reader::stall(&arguments.address).await?);
    }
    let mut readers = JoinSet::new();
    for number in 0..arguments.readers {
        let reader = Reader::open(&arguments.address, number, arguments.stay).await?;
        readers.spawn(reader.follow(arguments.entries));
    }
    println!("{} readers are connected", arguments.readers);
    let started = Instant::now();
    let patience = Duration::from_secs(arguments.patience);
    let all = timeout(patience, collect(readers)).await;
    let Ok(tally) = all else {
        bail!(
            "not all readers saw {} entries within {patience:?}",
            arguments.entries
        );
    };
    let Tally {
        events,
        connections,
        bytes,
        refused,
    } = tally?;
    ensure!(
        events == arguments.entries * arguments.readers,
        "{events} events in all"
    );
    println!(
        "{} readers saw {} entries once each, in order, on {connections} connections ({refused} refused), {} MiB in {:.1} s",
        arguments.readers,
        arguments.entries,
        bytes >> 20,
        started.elapsed().as_secs_f64(),
    );
    drop::<Vec<TcpStream>>(stalled);
    Ok(())
}

async fn collect(mut readers: JoinSet<Result<Tally>>) -> Result<Tally> {
    let mut all = Tally::default();
    while let Some(reader) = readers.join_next().await {
        all.add(reader.context("a reader panicked")??);
    }
    Ok(all)
}
