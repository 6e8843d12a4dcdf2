//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::process::Process;
use crate::random::Skew;
use crate::work::{Beside, Mix, Work};

const AFTER_HELP: &str = "\
Works:
  write-v1, write-v2   POST one hashedrekord (ECDSA P-256); proof in the answer
  batch                POST /api/v1/log/entries/batch with --batch entries (treehead only);
                       /s, errors and CPU count entries, latencies are those of requests
  entry-by-index       GET an entry with its proof, by log index,
  entry-by-uuid          by entry ID,
  entry-by-hash          by leaf hash
  consistency          GET the proof from a random size to that of the head at the start
  tree-head            GET /api/v1/log
  checkpoint           GET [--tiles]/checkpoint
  tile                 GET [--tiles]/tile/0/…, a full tile
  entries-bundle       GET [--tiles]/tile/entries/…, a full bundle
  search               POST /api/v1/index/retrieve with the SHA-256 of an artifact in the log

Columns:
  answers, /s    good answers, and how many came per second from the first request to the last answer
  p50 … max ms   time to the whole answer: from the send (closed loop), or from when the request was due (--rate), with
                 those that were never sent counting up to the end
  errors         answers of another status, broken connections, and kept answers that did not verify
  late           with --rate: requests sent over 1 ms after they were due because no connection was free, and those
                 that were due and never sent
  verified       answers that were kept and checked after the clock stopped: inclusion and consistency proofs, checkpoints,
                 signed entry timestamps, hashes of tiles up to a checkpoint, and that they answer what was asked
  … CPU µs       CPU time per answer, of each --pid and of this program (load); runs with --beside: of all answers
  … peak MiB     most memory: of a process without children since it started; else their sum (shared pages count
                 once), read every 5 s

Examples:
  treehead-bench --work write-v1 --connections 64,256 --pid server=$(pidof treehead)
  treehead-bench --work tree-head --work tile --work entry-by-index:4,consistency:1,search:1 --connections 64
  treehead-bench --work entry-by-index --connections 64 --beside write-v1@2000
  treehead-bench --work search --rate 3000 --connections 256 --seconds 60 --json results.json

The exit status is 1 if there was any error.";

/// Loads a transparency log that speaks the Rekor v1 or v2 API, prints rate and latency, and checks
/// what it answered.
///
/// Entries are signed, and what has to be known of the log is fetched, before the clock starts.
/// Each --work is a run of its own with each number of connections. In a closed loop (the default)
/// each connection sends its next request when the last one is answered; with --rate, requests are
/// due at fixed times.
#[derive(Parser)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// The log, http://host:port
    #[arg(long, default_value = "http://127.0.0.1:3000")]
    pub(crate) url: http::Uri,
    /// What to do: one work, or several at random by weight. Given several times: one run after the
    /// other
    #[arg(
        long = "work",
        value_name = "WORK[:WEIGHT],…",
        default_value = "write-v1"
    )]
    pub(crate) works: Vec<Mix>,
    /// Numbers of connections, one run each
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "N,…",
        default_value = "1,16,64,256"
    )]
    pub(crate) connections: Vec<usize>,
    /// Requests a second at fixed times, however long answers take. Without it: closed loop
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
    /// How long a run lasts; no request starts later
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) seconds: u64,
    /// Entries signed for a run that writes in a closed loop. It ends when they are used up
    #[arg(long, value_name = "N", default_value_t = 40_000)]
    pub(crate) entries: usize,
    /// A second work in each run, at a fixed rate on connections of its own, with a row of its own
    #[arg(long, value_name = "WORK@RATE")]
    pub(crate) beside: Option<Beside>,
    /// Connections of --beside
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) beside_connections: usize,
    /// Entries in one request of the work batch, up to 1,000
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) batch: u32,
    /// Which entries, tiles and sizes are read how often
    #[arg(long, value_enum, default_value = "uniform")]
    pub(crate) skew: Skew,
    /// Entries sampled from the log before the clock starts, at random: those that entry-by-uuid,
    /// entry-by-hash and search ask for. Fetched ten at a time
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) known: u32,
    /// One of this many answers, chosen at random, is kept and verified
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) sample: u32,
    /// Decides all random choices but keys and artifacts
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// PEM file of the log's public key. Without it /api/v1/log/publicKey and
    /// /trust/checkpoint.vkey are asked
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Where tiles are, below the log: /api/v2 for other logs of Rekor v2
    #[arg(
        long,
        value_name = "PATH",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) tiles: String,
    /// A process whose CPU time and memory go into the table, with its descendants. May be given
    /// several times
    #[arg(long = "pid", value_name = "NAME=PID")]
    pub(crate) processes: Vec<Process>,
    /// First column of the table
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) label: String,
    /// Leave out the table's heading, to print several tables as one
    #[arg(long)]
    pub(crate) no_heading: bool,
    /// Add each row to this file as a line of JSON, with machine, time and settings
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl Arguments {
    /// All that any run does.
    pub(crate) fn all_works(&self) -> Vec<Work> {
        let mut all = Vec::new();
        let beside = self.beside.iter().flat_map(|beside| beside.mix.works());
        for work in self.works.iter().flat_map(Mix::works).chain(beside) {
            if !all.contains(&work) {
                all.push(work);
            }
        }
        all
    }

    /// Entries that a mix needs in one run: all that can be due, or [`Arguments::entries`].
    pub(crate) fn entries_for(&self, mix: &Mix, rate: Option<u32>) -> usize {
        if !mix.works().any(Work::writes) {
            return 0;
        }
        let each = if mix.works().any(|work| work == Work::Batch) {
            self.batch as usize
        } else {
            1
        };
        rate.map_or(self.entries, |rate| {
            rate as usize * self.seconds as usize * each
        })
    }

    /// The conditions of the figures, for the record.
    pub(crate) fn settings(&self) -> serde_json::Value {
        serde_json::json!({
            "url": self.url.to_string(), "seconds": self.seconds, "entries": self.entries, "batch": self.batch,
            "skew": format!("{:?}", self.skew).to_lowercase(), "known": self.known, "sample": self.sample, "seed": self.seed,
            "beside": self.beside.as_ref().map(|beside| format!("{}@{}", beside.mix, beside.rate)),
            "beside_connections": self.beside_connections,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_explains_every_work() {
        Arguments::command().debug_assert();
        for work in <Work as clap::ValueEnum>::value_variants() {
            assert!(AFTER_HELP.contains(&work.name()), "{work:?}");
        }
        for example in AFTER_HELP
            .lines()
            .filter_map(|line| line.trim().strip_prefix("treehead-bench "))
        {
            let example = example.replace("$(pidof treehead)", "42");
            Arguments::try_parse_from(["treehead-bench"].into_iter().chain(example.split(' ')))
                .unwrap();
        }
    }

    #[test]
    fn entries_are_signed_for_all_that_is_due() {
        let arguments =
            Arguments::parse_from(["treehead-bench", "--seconds", "5", "--entries", "7"]);
        let entries = |mix: &str, rate| arguments.entries_for(&mix.parse().unwrap(), rate);
        assert_eq!(entries("tile", None), 0);
        assert_eq!(entries("tile,write-v2", None), 7);
        assert_eq!(entries("write-v1", Some(2000)), 10_000);
        assert_eq!(entries("batch", Some(2)), 1000);
    }
}
