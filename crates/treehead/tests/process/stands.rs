//! A server under attack from one address still serves the others.
//!
//! An ordinary run is short and asserts what holds on a busy machine, in a debug build as well.
//! With `TREEHEAD_STAND_SECONDS` each attack lasts that long and the strict figures are asserted;
//! `TREEHEAD_STAND_PROGRAM` names a release build to try instead, `TREEHEAD_STAND_FLAGS` other
//! flags for `serve`, such as those of a log with a million entries. See docs/PERFORMANCE.md,
//! "Under attack".

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use crate::attack::{Attack, Attackers, with_many_files};
use crate::entries::Author;
use crate::http;
use crate::postgres::Storage;
use crate::program::Server;

/// What holds under attack.
struct Figures {
    /// How long each attack is watched.
    seconds: u64,
    /// The slowest `/healthz`.
    probe: Duration,
    /// The slowest of 99 in 100 reads, and of 99 in 100 writes.
    p99: Duration,
    /// Requests of 100 that succeed.
    succeed: usize,
    /// Most memory that the server ever held.
    mebibytes: u64,
}

/// A debug build, while other tests run.
const ORDINARY: Figures = Figures {
    seconds: 3,
    probe: Duration::from_secs(5),
    p99: Duration::from_secs(10),
    succeed: 90,
    mebibytes: 400,
};

/// A release build that has the machine for itself.
fn strict(seconds: u64) -> Figures {
    let milliseconds = Duration::from_millis;
    Figures {
        seconds,
        probe: milliseconds(100),
        p99: milliseconds(250),
        succeed: 99,
        mebibytes: 300,
    }
}

#[test]
fn a_server_under_attack_from_one_address_serves_the_others() {
    let figures = std::env::var("TREEHEAD_STAND_SECONDS")
        .map_or(ORDINARY, |seconds| strict(seconds.parse().unwrap()));
    let storage = Storage::sqlite();
    let program = std::env::var("TREEHEAD_STAND_PROGRAM")
        .unwrap_or(env!("CARGO_BIN_EXE_treehead").to_owned());
    let mut command = with_many_files(Path::new(&program));
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
        "--log-level",
        "warn",
    ]);
    match std::env::var("TREEHEAD_STAND_FLAGS") {
        Ok(flags) => command.args(flags.split_whitespace()),
        Err(_) => command.arg("--data-dir").arg(storage.data()),
    };
    let server = Server::start(&mut command);
    let mut failures = watch(&server, &[], &figures);
    for attack in Attack::ALL {
        failures.extend(watch(&server, &[attack], &figures));
    }
    failures.extend(watch(&server, &Attack::ALL, &figures));
    let mebibytes = most_memory(server.id()) / 1024;
    println!("memory: at most {mebibytes} MiB");
    if mebibytes > figures.mebibytes {
        failures.push(format!("{mebibytes} MiB"));
    }
    assert!(failures.is_empty(), "{failures:#?}");
    let address = server.api;
    server.stop();
    assert!(http::connect(address).is_err());
}

/// Watches the server under these attacks, and returns what does not hold.
fn watch(server: &Server, attacks: &[Attack], figures: &Figures) -> Vec<String> {
    let attackers = Attackers::start(attacks, server.api);
    let (api, metrics, over) = (server.api, server.metrics, AtomicBool::new(false));
    let over = &over;
    let timed = thread::scope(|scope| {
        let probes = scope.spawn(move || repeat(over, || is_ok(http::try_get(api, "/healthz"))));
        let beside = scope.spawn(move || repeat(over, || is_ok(http::try_get(metrics, "/readyz"))));
        let scrapes =
            scope.spawn(move || repeat(over, || is_ok(http::try_get(metrics, "/metrics"))));
        let reads = scope.spawn(move || repeat(over, || is_ok(http::try_get(api, "/api/v1/log"))));
        let writes = scope.spawn(move || write(over, api));
        thread::sleep(Duration::from_secs(figures.seconds));
        over.store(true, Ordering::Relaxed);
        [probes, beside, scrapes, reads, writes].map(|timed| timed.join().unwrap())
    });
    drop(attackers);
    let mut failures = Vec::new();
    println!("{attacks:?}");
    for (what, timed) in ["/healthz", "/readyz", "/metrics", "reads", "writes"]
        .into_iter()
        .zip(timed)
    {
        let Timed { mut took, failed } = timed;
        took.sort();
        let all = took.len() + failed;
        let at = |hundredth: usize| {
            took.get(took.len() * hundredth / 100)
                .or(took.last())
                .copied()
                .unwrap_or_default()
        };
        let (p50, p99, slowest) = (at(50), at(99), at(100));
        println!(
            "  {what}: {all}, {failed} failed; p50 {p50:.1?}, p99 {p99:.1?}, slowest {slowest:.1?}"
        );
        let holds = match what {
            "/healthz" => failed == 0 && slowest <= figures.probe,
            _ => (all - failed) * 100 >= all * figures.succeed && p99 <= figures.p99,
        };
        if !holds || took.is_empty() {
            failures.push(format!(
                "{attacks:?}: {what}: {failed} of {all} failed, p99 {p99:?}, slowest {slowest:?}"
            ));
        }
    }
    failures
}

/// Requests of one kind.
#[derive(Default)]
struct Timed {
    took: Vec<Duration>,
    failed: usize,
}

/// One request after the other, some 20 a second, each on a connection of its own.
fn repeat(over: &AtomicBool, mut request: impl FnMut() -> bool) -> Timed {
    let mut timed = Timed::default();
    while !over.load(Ordering::Relaxed) {
        let started = Instant::now();
        match request() {
            true => timed.took.push(started.elapsed()),
            false => timed.failed += 1,
        }
        thread::sleep(Duration::from_millis(50));
    }
    timed
}

fn write(over: &AtomicBool, api: SocketAddr) -> Timed {
    let author = Author::new("well-behaved");
    let mut number = 0;
    repeat(over, || {
        number += 1;
        let proposal = author.sign(&format!("{number} of {:?}", Instant::now()));
        http::try_post(api, "/api/v1/log/entries", &proposal.json)
            .is_ok_and(|answer| answer.status == 201)
    })
}

fn is_ok(answer: std::io::Result<http::Answer>) -> bool {
    answer.is_ok_and(|answer| answer.status == 200)
}

/// KiB that a process had in memory when it had most.
fn most_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
