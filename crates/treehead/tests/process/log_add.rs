//! `treehead log add`: the log that a ledger lacks, made later.

use crate::entries::{self, Author};
use crate::http;
use crate::postgres::Storage;
use crate::program::{self, Server};

#[test]
fn a_log_is_added_to_a_ledger_that_lacks_it() {
    for storage in std::iter::once(Storage::sqlite()).chain(Storage::postgres()) {
        for_a_ledger_with("v1", "v2", &storage);
    }
    for_a_ledger_with("v2", "v1", &Storage::sqlite());
}

fn for_a_ledger_with(first: &str, second: &str, storage: &Storage) {
    let author = Author::new("log add");
    let log = |server: &Server, log: &str, artifact: &str| {
        let entry = author.sign(artifact);
        match log {
            "v1" => drop(entries::log(server.api, &entry)),
            _ => drop(entries::log_v2(server.api, &entry)),
        }
    };
    let path = format!("/api/{second}/log/entries");
    let server = Server::start(storage.serve().args(["--logs", first]));
    log(&server, first, "before");
    let status = |server: &Server| http::post(server.api, &path, "{}").status;
    assert_ne!(status(&server), 400, "there is no {second} log");

    let output = add(storage, second);
    let said = program::text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let key = format!("{second}-log.pem");
    for wanted in ["tree ID", &key, "start it again"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    // The running server does not know of it.
    assert_ne!(status(&server), 400);
    server.stop();

    let server = Server::start(&mut storage.serve());
    for name in [first, second] {
        log(&server, name, "afterwards");
    }
    server.stop();
    let refused = program::refusal(&add(storage, second), 6);
    assert!(
        refused.contains(&format!("has its {second} log already")),
        "{refused}"
    );
    storage.assert_in_order();
}

#[test]
fn a_key_that_is_there_is_taken_only_if_it_is_named() {
    let storage = Storage::sqlite();
    Server::start(storage.serve().args(["--logs", "v1"])).stop();
    let key = storage.data().join("v2-log.pem");
    std::fs::copy(storage.data().join("v1-log.pem"), &key).unwrap();
    let refused = program::refusal(&add(&storage, "v2"), 6);
    assert!(refused.contains("give --v2-key"), "{refused}");
    // Nor does one key serve both logs.
    let output = command(&storage, "v2").arg("--v2-key").arg(&key).output();
    let refused = program::refusal(&output.unwrap(), 5);
    assert!(
        refused.contains("each log has keys of its own"),
        "{refused}"
    );
}

#[test]
fn a_log_is_added_to_a_ledger_only() {
    let storage = Storage::sqlite();
    let refused = program::refusal(&add(&storage, "v2"), 6);
    assert!(refused.contains("there is no ledger in"), "{refused}");
    assert!(!storage.data().exists());
}

pub(crate) fn add(storage: &Storage, log: &str) -> std::process::Output {
    command(storage, log).output().unwrap()
}

fn command(storage: &Storage, log: &str) -> std::process::Command {
    let mut command = program::program();
    command
        .args(["log", "add", log, "--data-dir"])
        .arg(storage.data());
    storage.url().map(|url| command.args(["--database", &url]));
    command
}
