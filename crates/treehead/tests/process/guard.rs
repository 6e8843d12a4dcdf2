//! The places of the guard as people name, look at and lose them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::entries::{self, Author};
use crate::http;
use crate::postgres::Storage;
use crate::program::{self, Server, program, refusal, text};

const WARNING: &str = "the only guard is in the data folder";

#[test]
fn each_place_has_the_newest_heads() {
    let storage = Storage::sqlite();
    let place = storage.folder().join("elsewhere");
    let server = Server::start(storage.serve().arg("--guard").arg(&place));
    entries::log(server.api, &Author::new("guard").sign("one"));
    entries::log_v2(server.api, &Author::new("guard").sign("two"));
    let peer = format!("http://{}", server.api);
    let mut command = guard(&storage, "show");
    command.arg("--guard").arg(&place).args(["--guard", &peer]);
    let shown = command.output().unwrap();
    let shown = text(&shown.stdout);
    for log in ["v1", "v2"] {
        let lines = shown.lines();
        let heads: Vec<&str> = lines
            .filter(|line| line.trim().starts_with(&format!("{log} log, tree ")))
            .collect();
        assert_eq!(heads.len(), 3, "{shown}");
        assert!(heads[0].contains(": 1 entries, root "), "{shown}");
        assert!(heads.iter().all(|head| *head == heads[0]), "{shown}");
    }
    assert!(!server.log().contains(WARNING), "{}", server.log());
    server.stop();
}

#[test]
fn a_start_on_sqlite_warns_while_the_guard_is_only_in_the_data_folder() {
    let storage = Storage::sqlite();
    let server = Server::start(&mut storage.serve());
    server.wait_for_log(WARNING);
    server.stop();
    let inside = storage.data().join("again");
    let server = Server::start(storage.serve().arg("--guard").arg(inside));
    server.wait_for_log(WARNING);
    server.stop();
}

#[test]
fn two_servers_cannot_keep_one_file() {
    let storage = Storage::sqlite();
    let place = storage.folder().join("shared");
    let server = Server::start(storage.serve().arg("--guard").arg(&place));
    let other = Storage::sqlite();
    let output = other.serve().arg("--guard").arg(&place).output().unwrap();
    let refused = refusal(&output, 12);
    assert!(
        refused.contains("another server keeps this guard"),
        "{refused}"
    );
    server.stop();
    // A ledger of another name does not take over a guard either; here both are called localhost.
    let mut command = other.serve();
    command.arg("--guard").arg(&place);
    command.args(["--name", "other.example.org"]);
    let refused = refusal(&command.output().unwrap(), 12);
    assert!(refused.contains("localhost"), "{refused}");
}

#[test]
fn a_place_that_cannot_be_is_refused() {
    let storage = Storage::sqlite();
    for (place, code, words) in [
        ("ftp://log.example.org/guard", 2, "--guard: "),
        ("s3://bucket", 2, "--guard: "),
        ("s3://bucket/guard", 12, "AWS_ACCESS_KEY_ID"),
        ("/nowhere/guard", 12, "/nowhere/guard: "),
    ] {
        let output = storage.serve().args(["--guard", place]).output().unwrap();
        let refused = refusal(&output, code);
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn places_come_from_a_variable_and_a_file_too() {
    let shown = program()
        .args(["config", "show"])
        .env("TREEHEAD_GUARD", "/a/guard,s3://bucket/guard?region=here")
        .output()
        .unwrap();
    let shown = text(&shown.stdout);
    let line = "places = [\"/a/guard\", \"s3://bucket/guard?region=here\"]  # environment variable";
    assert!(shown.contains(line), "{shown}");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "[guard]\nplaces = [\"x://y\"]\n").unwrap();
    let path = file.path().display().to_string();
    let refused = refusal(&program::run(&["config", "check", &path]), 2);
    assert!(refused.contains("line 2: guard.places: "), "{refused}");
}

#[test]
fn a_ledger_whose_guard_is_lost_is_accepted_by_hand() {
    let storage = Storage::sqlite();
    let author = Author::new("accept");
    let server = Server::start(&mut storage.serve());
    entries::log(server.api, &author.sign("one"));
    entries::log(server.api, &author.sign("two"));
    let in_use = typed(&storage, &[], "2\n0\n");
    assert!(refusal(&in_use, 8).contains("another treehead is using"));
    server.stop();
    fs::remove_file(storage.data().join("guard")).unwrap();
    let refused = refusal(&storage.serve().output().unwrap(), 12);
    assert!(refused.contains("`treehead guard accept`"), "{refused}");
    for wrong in ["", "3\n0\n", "2\n1\n", "yes\nyes\n"] {
        let output = typed(&storage, &[], wrong);
        assert_eq!(output.status.code(), Some(12), "{output:?}");
        assert!(text(&output.stderr).contains("nothing was accepted"));
        refusal(&storage.serve().output().unwrap(), 12);
    }
    let place = storage.folder().join("elsewhere");
    let place = ["--guard", place.to_str().unwrap()];
    let output = typed(&storage, &place, "2\n0\n");
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(
        shown.contains("v1 log, tree ") && shown.contains(": 2 entries, root "),
        "{shown}"
    );
    let server = Server::start(storage.serve().args(place));
    entries::log(server.api, &author.sign("three"));
    server.stop();
    let output = typed(&storage, &place, "");
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("nothing to accept"));
}

#[test]
fn an_older_copy_cannot_be_accepted_while_a_place_knows_better() {
    let storage = Storage::sqlite();
    let author = Author::new("older");
    let place = storage.folder().join("elsewhere");
    let place = ["--guard", place.to_str().unwrap()];
    let server = Server::start(storage.serve().args(place));
    entries::log(server.api, &author.sign("one"));
    let copy = storage.folder().join("copy.db");
    storage.execute(&format!("VACUUM INTO '{}'", copy.display()));
    entries::log(server.api, &author.sign("two"));
    server.stop();
    put_back(&copy, &storage.data());
    fs::remove_file(storage.data().join("guard")).unwrap();
    let output = typed(&storage, &place, "1\n0\n");
    assert_eq!(output.status.code(), Some(12), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains("treehead recover"), "{said}");
    let server = Server::start(storage.serve().args(place));
    assert_eq!(http::get(server.api, "/readyz").status, 503);
    server.stop();
}

#[test]
fn a_file_that_a_server_left_behind_counts_too() {
    let storage = Storage::sqlite();
    let author = Author::new("left behind");
    let server = Server::start(&mut storage.serve());
    entries::log(server.api, &author.sign("one"));
    let copy = storage.folder().join("copy.db");
    storage.execute(&format!("VACUUM INTO '{}'", copy.display()));
    entries::log(server.api, &author.sign("two"));
    server.stop();
    put_back(&copy, &storage.data());
    let data = storage.data();
    fs::rename(data.join("guard"), data.join("guard-3")).unwrap();
    let server = Server::start(&mut storage.serve());
    assert_eq!(http::get(server.api, "/readyz").status, 503);
    server.wait_for_log("guard-3");
    server.stop();
}

/// Puts a copy of the database in its place.
fn put_back(copy: &Path, data: &Path) {
    for name in ["treehead.db", "treehead.db-wal", "treehead.db-shm"] {
        drop(fs::remove_file(data.join(name)));
    }
    fs::copy(copy, data.join("treehead.db")).unwrap();
}

fn guard(storage: &Storage, command: &str) -> Command {
    let mut program = program();
    program.args(["guard", command, "--data-dir"]);
    program.arg(storage.data());
    program
}

/// `guard accept` with these lines typed.
fn typed(storage: &Storage, flags: &[&str], lines: &str) -> Output {
    let mut command = guard(storage, "accept");
    command.args(flags).stdin(Stdio::piped());
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that refuses at once reads nothing.
    drop(stdin.write_all(lines.as_bytes()));
    drop(stdin);
    child.wait_with_output().unwrap()
}
