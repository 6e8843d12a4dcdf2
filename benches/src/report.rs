//! The table, one Markdown row a run.

use std::time::Duration;

use crate::load::Run;
use crate::process::Usage;

/// Names of the columns.
pub(crate) const HEADING: &str = "\
| log | connections | entries | entries/s | p50 ms | p90 ms | p99 ms | max ms | errors | verified | server CPU µs/entry | server MiB before → after |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

/// One run as a row. `usage` is the server's before and after it; `verified` the answers that were checked.
pub(crate) fn row(
    label: &str,
    connections: usize,
    run: &Run,
    usage: Option<(Usage, Usage)>,
    verified: usize,
) -> String {
    let accepted = run.latencies.len();
    let errors: usize = run.errors.values().sum();
    let [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1.0].map(|share| milliseconds(run.latency(share)));
    let (cpu, memory) = match usage {
        Some((before, after)) => {
            let cpu = (after.cpu - before.cpu).as_micros() as f64 / accepted.max(1) as f64;
            (format!("{cpu:.0}"), format!("{} → {}", before.resident_mib, after.resident_mib))
        }
        None => ("–".into(), "–".into()),
    };
    format!(
        "| {label} | {connections} | {accepted} | {:.0} | {p50} | {p90} | {p99} | {max} | {errors} | {verified} | {cpu} | {memory} |",
        run.rate()
    )
}

fn milliseconds(latency: Option<Duration>) -> String {
    latency.map_or_else(|| "–".into(), |latency| format!("{:.1}", latency.as_secs_f64() * 1000.0))
}
