//! `treehead-bench`: posts signed entries to a Rekor log as fast as it answers, and checks what comes back.
//!
//! Closed loop: each connection sends its next entry when the last one is answered, so latency and rate belong
//! together. All entries are signed before the clock starts. A sample of the answers is verified after it stopped.
#![expect(clippy::print_stdout, reason = "a command-line program: the table is its product")]

mod answer;
mod api;
mod connection;
mod load;
mod process;
mod proposal;
mod report;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use std::time::Duration;

use answer::Log;
use api::Api;
use connection::{Connection, Target};
use process::Process;

/// Posts signed entries to a Rekor log as fast as it answers, and prints rate and latency.
#[derive(Parser)]
struct Arguments {
    /// The log, `http://host:port`.
    #[arg(long, default_value = "http://127.0.0.1:3000")]
    url: http::Uri,
    /// The API to write by.
    #[arg(long, value_enum, default_value = "v1")]
    api: Api,
    /// Numbers of connections, one run each.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256")]
    connections: Vec<usize>,
    /// A run ends after this many entries …
    #[arg(long, default_value_t = 40_000)]
    entries: usize,
    /// … or after this time, whichever comes first.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// One of this many answers has its proof and its signed entry timestamp verified.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    sample: u32,
    /// The server's process: its memory and CPU time go into the table.
    #[arg(long)]
    pid: Option<u32>,
    /// First column of the table.
    #[arg(long, default_value = "")]
    label: String,
    /// Leave out the table's heading (to print several tables as one).
    #[arg(long)]
    no_heading: bool,
}

// One thread is enough to keep the server busy, and leaves it the other core.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let target = Target::new(&arguments.url)?;
    let server = arguments.pid.map(Process::new);
    let mut probe = Connection::open(&target).await.with_context(|| format!("no log at {}", arguments.url))?;
    let log = Log::fetch(&mut probe).await?;

    if !arguments.no_heading {
        println!("{}", report::HEADING);
    }
    let mut failed = 0;
    for &connections in &arguments.connections {
        let proposals = proposal::sign(arguments.api, arguments.entries)?;
        let time = Duration::from_secs(arguments.seconds);
        let limits = load::Limits { api: arguments.api, connections, time, sample: arguments.sample };
        let before = server.as_ref().map(Process::usage).transpose()?;
        let run = load::run(&target, proposals, limits).await?;
        let after = server.as_ref().map(Process::usage).transpose()?;
        let verified = run
            .sample
            .iter()
            .try_fold(0_usize, |count, answer| log.verify(arguments.api, answer).map(|()| count + 1))?;
        println!("{}", report::row(&arguments.label, connections, &run, before.zip(after), verified));
        for (error, count) in &run.errors {
            println!("  {count} x {error}");
            failed += count;
        }
    }
    ensure!(failed == 0, "{failed} requests failed");
    Ok(())
}
