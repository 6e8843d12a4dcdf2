//! Rotation of a log while servers run and clients write: no write fails, nothing is lost, and the
//! old keys are needed no more. The other log of the ledger does not notice.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::entries::{self, Acknowledged, Author};
use crate::http;
use crate::postgres::Storage;
use crate::program::{self, Server};

const WRITERS: usize = 8;
const ROTATIONS: usize = 3;
/// Entries that are acknowledged before the next rotation begins.
const BETWEEN: usize = 100;

#[test]
fn no_write_fails_on_sqlite() {
    let storage = Storage::sqlite();
    let server = Server::start(&mut storage.serve());
    rotate_among_writers(&storage, vec![server]);
}

#[test]
fn no_write_fails_on_postgres_with_two_servers() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let servers = vec![
        Server::start(&mut storage.serve()),
        Server::start(&mut storage.serve()),
    ];
    rotate_among_writers(&storage, servers);
}

#[expect(clippy::disallowed_methods, reason = "real processes take real time")]
fn rotate_among_writers(storage: &Storage, servers: Vec<Server>) {
    let addresses: Vec<SocketAddr> = servers.iter().map(|server| server.api).collect();
    let (done, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    let started = Instant::now();
    let written_by: Vec<(Author, Vec<Acknowledged>)> = thread::scope(|scope| {
        let write = |number: usize| {
            let (done, written, addresses) = (&done, &written, &addresses);
            move || write_until(number, addresses[number % addresses.len()], done, written)
        };
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| scope.spawn(write(number)))
            .collect();
        for rotation in 1..=ROTATIONS {
            wait_for(&written, rotation * BETWEEN);
            let stdout = assert_rotates(&mut rotate(storage, &storage.data(), "v1"));
            assert!(
                stdout.contains("rotated the v1 log of localhost"),
                "{stdout}"
            );
        }
        let all = written.load(Ordering::Relaxed);
        wait_for(&written, all + BETWEEN);
        done.store(true, Ordering::Relaxed);
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect()
    });
    let all: usize = written_by.iter().map(|(_, entries)| entries.len()).sum();
    let (elapsed, servers_count) = (started.elapsed(), servers.len());
    println!(
        "{}: {all} entries in {elapsed:?} ({:.0} writes/s) by {servers_count} servers, {ROTATIONS} rotations, no failed write",
        if storage.url().is_some() {
            "postgres"
        } else {
            "sqlite"
        },
        all as f64 / elapsed.as_secs_f64(),
    );
    for server in &servers {
        assert_whole(server.api, &written_by);
    }
    servers.into_iter().for_each(Server::stop);
    storage.assert_in_order();

    // Only the key of the active tree is left.
    fs::remove_file(storage.data().join("v1-log.pem")).unwrap();
    for number in 2..=ROTATIONS {
        fs::remove_file(storage.data().join(format!("keys/v1-log-{number}.pem"))).unwrap();
    }
    let server = Server::start(&mut storage.serve());
    assert_whole(server.api, &written_by);
    entries::log(server.api, &Author::new("afterwards").sign("one more"));
    server.stop();
    storage.assert_in_order();
}

fn write_until(
    number: usize,
    server: SocketAddr,
    done: &AtomicBool,
    written: &AtomicUsize,
) -> (Author, Vec<Acknowledged>) {
    let author = Author::new(&format!("rotation writer {number}"));
    let mut acknowledged = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let proposal = author.sign(&format!("entry {}", acknowledged.len()));
        acknowledged.push(entries::log(server, &proposal));
        written.fetch_add(1, Ordering::Relaxed);
    }
    (author, acknowledged)
}

fn wait_for(written: &AtomicUsize, count: usize) {
    while written.load(Ordering::Relaxed) < count {
        thread::yield_now();
    }
}

/// Everything that was acknowledged is there, at log indexes without a gap, in as many shards as
/// there were rotations and one.
fn assert_whole(server: SocketAddr, written_by: &[(Author, Vec<Acknowledged>)]) {
    let mut indexes = Vec::new();
    for (author, acknowledged) in written_by {
        entries::assert_all_logged(server, author, acknowledged);
        indexes.extend(acknowledged.iter().map(|entry| entry.log_index));
    }
    indexes.sort_unstable();
    assert_eq!(indexes, (0..indexes.len() as u64).collect::<Vec<_>>());
    let log = http::get(server, "/api/v1/log").json();
    let frozen = log["inactiveShards"].as_array().unwrap();
    assert_eq!(frozen.len(), ROTATIONS);
    let size: u64 = frozen
        .iter()
        .chain([&log])
        .map(|shard| shard["treeSize"].as_u64().unwrap())
        .sum();
    assert_eq!(size, indexes.len() as u64);
    for shard in frozen {
        let tree = shard["treeID"].as_str().unwrap();
        let key = http::get(server, &format!("/api/v1/log/publicKey?treeID={tree}"));
        assert_eq!(key.status, 200, "{key:?}");
        let path = format!(
            "/api/v1/log/proof?firstSize=1&lastSize={}&treeID={tree}",
            shard["treeSize"]
        );
        assert_eq!(
            http::get(server, &path).json()["rootHash"],
            shard["rootHash"]
        );
    }
}

/// `treehead rotate` of one log.
pub(crate) fn rotate(storage: &Storage, data: &Path, log: &str) -> Command {
    let mut command = program::program();
    command
        .args(["rotate", "--log", log, "--data-dir"])
        .arg(data);
    storage.url().map(|url| command.args(["--database", &url]));
    command
}

/// Runs a rotation to its end, and returns what it printed.
pub(crate) fn assert_rotates(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let stdout = program::text(&output.stdout);
    let stderr = program::text(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("may be destroyed"), "{stdout}{stderr}");
    stdout
}

/// Number of frozen trees of the v1 log.
pub(crate) fn frozen_trees(server: SocketAddr) -> usize {
    let log = http::get(server, "/api/v1/log").json();
    log["inactiveShards"].as_array().map_or(0, Vec::len)
}

/// The default file of the next key.
pub(crate) fn key_file(storage: &Storage, name: &str) -> String {
    let path = storage.data().join("keys").join(name);
    path.display().to_string()
}

#[test]
fn a_v2_log_is_rotated_alone_to_a_key_of_either_algorithm() {
    let storage = Storage::sqlite();
    let mut command = storage.serve();
    let server = Server::start(command.args(["--name", "log.example", "--v2-name", "v2.example"]));
    let author = Author::new("v2");
    let logged = entries::log_v2(server.api, &author.sign("one"));
    let frozen = server.tree("v2").to_owned();
    let v1_tree = http::get(server.api, "/api/v1/log").json()["treeID"].clone();

    let stdout = assert_rotates(&mut rotate(&storage, &storage.data(), "v2"));
    assert!(stdout.contains("origin shard2.v2.example"), "{stdout}");
    let root = http::get(server.api, "/trust/trusted_root.json").body;
    assert_eq!(root.matches("\"PKIX_ED25519\"").count(), 2, "{root}");
    assert!(
        stdout.contains(&format!("frozen  tree {frozen}, 1 entries")),
        "{stdout}"
    );
    let note = http::get(server.api, &format!("/trees/{frozen}/freeze"));
    assert!(note.body.contains("Log frozen"), "{note:?}");
    let checkpoint = http::get(server.api, &format!("/trees/{frozen}/checkpoint"));
    assert!(
        checkpoint.body.starts_with("v2.example\n"),
        "{checkpoint:?}"
    );
    assert!(!checkpoint.body.contains("Log frozen"), "{checkpoint:?}");

    let p256 = storage.folder().join("p256.pem");
    fs::copy(another_ledger(&storage).join("v1-log.pem"), &p256).unwrap();
    let held = storage.data().join("keys/any-name.pem");
    fs::copy(&p256, held).unwrap();
    let mut command = rotate(&storage, &storage.data(), "v2");
    command
        .arg("--next-key")
        .arg(&p256)
        .args(["--origin", "three.example"]);
    let stdout = assert_rotates(&mut command);
    assert!(stdout.contains("origin three.example"), "{stdout}");

    entries::log_v2(server.api, &author.sign("two"));
    entries::assert_logged_v2(server.api, &frozen, &[logged]);
    let log = http::get(server.api, "/api/v1/log").json();
    assert_eq!(log["treeID"], v1_tree, "the v1 log was not rotated");
    assert_eq!(frozen_trees(server.api), 0);
    server.stop();
    storage.assert_in_order();
}

/// As after a run that ended with the freeze: the key that it opened the new tree with is still
/// registered.
pub(crate) const UNTOLD: &str = "INSERT INTO next_key (name, api, spki)
    SELECT t.name, t.api, k.spki FROM tree t JOIN tree_key k ON k.tree_id = t.tree_id AND k.role = 'log'
    WHERE t.state = 'active' AND t.api = 'v1'";

#[test]
fn a_rotation_that_nobody_was_told_of_is_told_and_not_repeated_on_sqlite() {
    tell_of_a_rotation(&Storage::sqlite());
}

#[test]
fn a_rotation_that_nobody_was_told_of_is_told_and_not_repeated_on_postgres() {
    if let Some(storage) = Storage::postgres() {
        tell_of_a_rotation(&storage);
    }
}

fn tell_of_a_rotation(storage: &Storage) {
    let server = Server::start(&mut storage.serve());
    entries::log(server.api, &Author::new("untold").sign("one"));
    let rotated = |more: &[&str], code| {
        let mut command = rotate(storage, &storage.data(), "v1");
        let Output {
            status,
            stdout,
            stderr,
        } = command.args(more).output().unwrap();
        let (stdout, stderr) = (program::text(&stdout), program::text(&stderr));
        assert_eq!(status.code(), Some(code), "{stdout}{stderr}");
        (stdout, frozen_trees(server.api), stderr)
    };
    let (first, frozen, _) = rotated(&[], 0);
    assert_eq!(frozen, 1);
    let told = &first[first.find("rotated the v1 log of localhost:").unwrap()..];
    let key = key_file(storage, "v1-log-2.pem");
    let absent = key_file(storage, "v1-log-3.pem");
    let no_key = program::file(storage.folder(), "no-key.pem", "no key")
        .display()
        .to_string();
    for more in [
        &[][..],
        &["--next-key", &key],
        &["--next-key", &absent],
        &["--next-key", &no_key],
    ] {
        storage.execute(UNTOLD);
        let (again, frozen, _) = rotated(more, 11);
        assert_eq!(frozen, 1, "{more:?}: {again}");
        assert!(
            again.starts_with("An earlier run ended") && again.ends_with(told),
            "{again}"
        );
    }
    assert!(!Path::new(&absent).exists());
    // Once it is told, the next run begins another one; so does one that names another key.
    assert_eq!(rotated(&[], 0).1, 2);
    storage.execute(UNTOLD);
    let another = storage.data().join("keys/another.pem");
    fs::copy(another_ledger(storage).join("v1-log.pem"), &another).unwrap();
    assert_eq!(rotated(&["--next-key", another.to_str().unwrap()], 0).1, 3);
    server.stop();
    storage.assert_in_order();
}

/// The data folder of a ledger with keys of its own.
pub(crate) fn another_ledger(storage: &Storage) -> PathBuf {
    let data = storage.folder().join("another");
    let output = program::run(&["init", "--data-dir", data.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    data
}
