//! Rotation while servers run and clients write: no write fails, nothing is lost, and the old keys
//! are needed no more.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
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
            let output = rotate(storage, &storage.data(), &[]).output().unwrap();
            let (stdout, stderr) = (program::text(&output.stdout), program::text(&output.stderr));
            assert!(output.status.success(), "{stdout}{stderr}");
            assert!(
                stdout.contains("rotated localhost") && stdout.contains("may be destroyed"),
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
    fs::remove_file(storage.data().join("log-key.pem")).unwrap();
    for number in 2..=ROTATIONS {
        fs::remove_file(storage.data().join(format!("keys/log-key-{number}.pem"))).unwrap();
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

fn rotate(storage: &Storage, data: &Path, more: &[&str]) -> Command {
    let mut command = program::program();
    command.arg("rotate").arg("--data-dir").arg(data).args(more);
    storage.url().map(|url| command.args(["--database", &url]));
    command
}

/// As after a run that ended with the freeze: the key that it opened the new tree with is still
/// registered.
const UNTOLD: &str = "INSERT INTO next_key (name, spki)
    SELECT t.name, k.spki FROM tree t JOIN tree_key k ON k.tree_id = t.tree_id AND k.role = 'log' WHERE t.state = 'active'";

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
        let output = rotate(storage, &storage.data(), more).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let frozen = http::get(server.api, "/api/v1/log").json()["inactiveShards"]
            .as_array()
            .unwrap()
            .len();
        (
            program::text(&output.stdout),
            frozen,
            program::text(&output.stderr),
        )
    };
    let (first, frozen, _) = rotated(&[], 0);
    assert_eq!(frozen, 1);
    let told = &first[first.find("rotated localhost:").unwrap()..];
    let key = storage
        .data()
        .join("keys/log-key-2.pem")
        .display()
        .to_string();
    let absent = storage
        .data()
        .join("keys/log-key-3.pem")
        .display()
        .to_string();
    let no_key = program::file(storage.folder(), "no-key.pem", "no key")
        .display()
        .to_string();
    let named = ["--next-key", &key, "--origin", "new.example"];
    for more in [
        &[][..],
        &named,
        &["--next-key", &absent],
        &["--next-key", &no_key],
    ] {
        storage.execute(UNTOLD);
        let (again, frozen, why) = rotated(more, 11);
        assert_eq!(frozen, 1, "{more:?}: {again}");
        assert!(
            again.starts_with("An earlier run ended") && again.ends_with(told),
            "{again}"
        );
        assert_eq!(
            why.contains("--origin new.example is not used"),
            more == named,
            "{why}"
        );
    }
    assert!(!Path::new(&absent).exists());
    // Once it is told, the next run begins another one; so does one that names another key.
    assert_eq!(rotated(&[], 0).1, 2);
    storage.execute(UNTOLD);
    let another = storage.data().join("keys/another.pem");
    fs::copy(another_log(storage).join("log-key.pem"), &another).unwrap();
    assert_eq!(rotated(&["--next-key", another.to_str().unwrap()], 0).1, 3);
    server.stop();
    storage.assert_in_order();
}

/// The data folder of a log with keys of its own.
fn another_log(storage: &Storage) -> PathBuf {
    let data = storage.folder().join("another");
    let key = data.join("ed25519.pem");
    let arguments = [
        "init",
        "--data-dir",
        data.to_str().unwrap(),
        "--ed25519-key",
        key.to_str().unwrap(),
    ];
    let output = program::run(&arguments);
    assert!(output.status.success(), "{output:?}");
    data
}

#[test]
fn settings_that_do_not_do_are_refused_before_anything_is_frozen() {
    let storage = Storage::sqlite();
    let output = program::run(&["init", "--data-dir", storage.data().to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let another = another_log(&storage)
        .join("ed25519.pem")
        .display()
        .to_string();
    let absent = storage.folder().join("absent").display().to_string();
    let settings = [
        ("--ed25519-key", &absent, 5),
        ("--ed25519-key", &another, 5),
        ("--witness-policy", &absent, 2),
    ];
    for (flag, file, code) in settings {
        let output = rotate(&storage, &storage.data(), &[flag, file])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
    assert!(!storage.data().join("keys").exists());
}

#[test]
fn below_an_address_another_origin_is_asked_for() {
    let storage = Storage::sqlite();
    Server::start(storage.serve().args(["--name", "192.168.1.4"])).stop();
    let refused = program::refusal(&rotate(&storage, &storage.data(), &[]).output().unwrap(), 2);
    assert!(
        refused.contains("shard2.192.168.1.4") && refused.contains("--origin"),
        "{refused}"
    );
    assert!(!storage.data().join("keys/log-key-2.pem").exists());
    let rotated = rotate(&storage, &storage.data(), &["--origin", "two.example"])
        .output()
        .unwrap();
    assert!(rotated.status.success(), "{rotated:?}");
}

#[test]
fn a_server_that_lacks_the_key_is_named_and_waited_for() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let (here, there) = (
        storage.folder().join("here"),
        storage.folder().join("there"),
    );
    let first = Server::start(&mut storage.serve_with(&here));
    let second = Server::start(
        storage
            .serve_with(&there)
            .arg("--key")
            .arg(here.join("log-key.pem")),
    );
    let mut rotation = rotate(&storage, &here, &["--origin", "two.example"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(rotation.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let waiting = lines
        .find(|line| line.starts_with("waiting for 1 of 2 servers"))
        .unwrap();
    assert!(
        waiting.contains(&format!("process {}", second.id())),
        "{waiting}"
    );
    let log = |server: &Server| http::get(server.api, "/api/v1/log").json();
    assert!(
        log(&first)["inactiveShards"].is_null(),
        "nothing has changed yet"
    );
    fs::create_dir_all(there.join("keys")).unwrap();
    fs::copy(
        here.join("keys/log-key-2.pem"),
        there.join("keys/any-name.pem"),
    )
    .unwrap();
    let rest: Vec<String> = lines.collect();
    assert!(rotation.wait().unwrap().success(), "{rest:?}");
    assert!(
        rest.iter()
            .any(|line| line.contains("v2 origin two.example")),
        "{rest:?}"
    );
    for server in [first, second] {
        entries::log(
            server.api,
            &Author::new("both").sign(&server.id().to_string()),
        );
        assert_eq!(log(&server)["inactiveShards"].as_array().unwrap().len(), 1);
        server.stop();
    }
}

#[test]
fn a_server_that_lacks_the_key_all_the_same_stops_and_names_it() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let (here, there) = (
        storage.folder().join("here"),
        storage.folder().join("there"),
    );
    let first = Server::start(&mut storage.serve_with(&here));
    let mut second = Server::start(
        storage
            .serve_with(&there)
            .arg("--key")
            .arg(here.join("log-key.pem")),
    );
    // As if it did not live: the rotation does not see it.
    storage.execute(&format!(
        "UPDATE server SET name = '-' WHERE place LIKE '%process {},%'",
        second.id()
    ));
    let output = rotate(&storage, &here, &[]).output().unwrap();
    let text = program::text(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        program::text(&output.stderr)
    );
    assert_eq!(second.wait(), Some(5));
    let log_id = text
        .lines()
        .find_map(|line| line.split_once("log ID "))
        .unwrap()
        .1
        .split(',')
        .next()
        .unwrap();
    let said = second.log();
    assert!(
        said.contains(&format!("needs the key with log ID {log_id}"))
            && said.contains("there/keys"),
        "{said}"
    );
    first.stop();
}
