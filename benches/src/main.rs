//! `treehead-bench`: loads a transparency log over HTTP, and checks what comes back. `--help` says
//! how.
#![expect(
    clippy::print_stdout,
    reason = "a command-line program: the table is its product"
)]

mod arguments;
mod ask;
mod bench;
mod connection;
mod known;
mod load;
mod machine;
mod memory;
mod process;
mod progress;
mod proposal;
mod random;
mod refusals;
mod report;
mod schedule;
mod verify;
mod work;

use anyhow::{Result, ensure};
use clap::Parser;

use arguments::Arguments;
use bench::Bench;

// One thread is enough to keep the server busy, and leaves it the other core.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let bench = Bench::prepare(Arguments::parse()).await?;
    let errors = bench.run_all(&mut |line| println!("{line}")).await?;
    ensure!(errors == 0, "{errors} errors");
    Ok(())
}
