//! What checking an entry costs: `price TIMES FILE…` checks each request body so often, and prints
//! for each its length, the work that was counted, the limit and what came of it. Run by
//! scripts/prices, which counts the instructions meanwhile.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use entry::{Policy, ProposedEntry, UnixSeconds};

/// Late in 2026, as the seeds of the fuzz targets were made.
const NOW: UnixSeconds = UnixSeconds(1_795_384_279);

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let times = arguments
        .next()
        .and_then(|times| times.parse().ok())
        .unwrap_or(1);
    for file in arguments {
        let body = std::fs::read(&file)?;
        for time in 1..=times {
            let Ok(proposed) = ProposedEntry::from_json(&body) else {
                break;
            };
            let (outcome, work) = proposed.verify_counting(&Policy::default(), NOW);
            if time == times {
                let outcome = if outcome.is_ok() {
                    "accepted"
                } else {
                    "refused"
                };
                println!(
                    "{file} {} {} {} {outcome}",
                    body.len(),
                    work.spent(),
                    work.limit()
                );
            }
        }
    }
    Ok(())
}
