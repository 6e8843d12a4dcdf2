//! A ledger whose database is put back to what it was before something was made that people know:
//! the ledger itself, a log, or a tree. None of them is made a second time.

use std::fs;

use crate::copies::{self, Copy};
use crate::entries::{self, Author};
use crate::http;
use crate::log_add;
use crate::past::{Back, Past};
use crate::postgres::Storage;
use crate::program::{self, Server};
use crate::put_back::{AFTER, BEFORE, Copies, assert_goes_on, assert_stays_halted};
use crate::rotate;

#[test]
fn a_database_that_is_empty_is_left_empty_on_sqlite() {
    a_database_that_is_empty(Storage::sqlite());
}

#[test]
fn a_database_that_is_empty_is_left_empty_on_postgres() {
    Storage::postgres()
        .into_iter()
        .for_each(a_database_that_is_empty);
}

/// Not a first start: the guard knows a ledger.
fn a_database_that_is_empty(storage: Storage) {
    let guard = storage.folder().join("guard-elsewhere");
    let (mut past, server) = Past::new(storage, Some(guard));
    let copies = Copies::make(&mut past, server, [BEFORE, AFTER]);
    copies::empty_database(&past.storage);
    assert_refuses_to_create(&past);
    assert_is_empty(&past.storage);
    // Nor with an empty data folder: no keys are made either.
    let (data, aside) = (past.storage.data(), past.storage.folder().join("aside"));
    fs::rename(&data, &aside).unwrap();
    assert_refuses_to_create(&past);
    assert!(!data.join("v1-log.pem").exists(), "it made keys");
    assert_is_empty(&past.storage);
    let _ = fs::remove_dir_all(&data);
    fs::rename(&aside, &data).unwrap();

    copies.older.put_back(&past.storage);
    assert_stays_halted(&mut past, &copies.back(&["v1", "v2"]));
    copies.newer.put_back(&past.storage);
    assert_goes_on(&mut past);
}

/// Neither a start nor `init` makes a ledger, and both end with one line that names the guard.
fn assert_refuses_to_create(past: &Past) {
    let mut init = program::program();
    init.arg("init").arg("--data-dir").arg(past.storage.data());
    past.storage
        .url()
        .map(|url| init.args(["--database", &url]));
    past.guard
        .as_ref()
        .map(|guard| init.arg("--guard").arg(guard));
    for command in [&mut past.serve(), &mut init, &mut past.serve()] {
        let output = match Server::try_start(command) {
            Ok(_) => panic!("it serves"),
            Err(output) => output,
        };
        let stderr = program::text(&output.stderr);
        assert!(!output.status.success(), "{stderr}");
        let line = stderr.lines().find(|line| line.starts_with("treehead: "));
        let line = line.unwrap_or_else(|| panic!("{stderr}"));
        assert!(line.contains("guard"), "{line}");
    }
}

fn assert_is_empty(storage: &Storage) {
    if storage.database().is_some() {
        storage.execute(
            "DO $$ BEGIN IF to_regclass('tree') IS NOT NULL AND (SELECT count(*) FROM tree) > 0 \
             THEN RAISE EXCEPTION 'it made a ledger'; END IF; END $$",
        );
    } else {
        let path = storage.data().join("treehead.db");
        if path.exists() && fs::metadata(path).unwrap().len() > 0 {
            let trees = storage.count("SELECT count(*) FROM tree");
            assert_eq!(trees, 0, "it made a ledger");
        }
    }
}

#[test]
fn to_before_a_rotation_on_sqlite() {
    to_before_a_rotation(Storage::sqlite());
}

#[test]
fn to_before_a_rotation_on_postgres() {
    Storage::postgres()
        .into_iter()
        .for_each(to_before_a_rotation);
}

/// The older copy has an active tree that was frozen since, and whose key is at hand. The tree that
/// followed may be empty.
fn to_before_a_rotation(storage: Storage) {
    let (mut past, server) = Past::new(storage, None);
    server.stop();
    for entries_after in [AFTER, 0] {
        let server = Server::start(&mut past.serve());
        let before = past.write(server.api, BEFORE);
        server.stop();
        let older = Copy::of(&past.storage);
        let server = Server::start(&mut past.serve());
        let mut rotation = rotate::rotate(&past.storage, &past.storage.data(), "v1");
        rotate::assert_rotates(&mut rotation);
        past.trust(&server);
        let after = past.write(server.api, entries_after);
        server.stop();
        let newer = Copy::of(&past.storage);

        older.put_back(&past.storage);
        let logs: &[&str] = if entries_after > 0 {
            &["v1", "v2"]
        } else {
            &["v1"]
        };
        let mut back = Back::of(&before, &after, logs);
        // The database has nothing of the tree that was shown.
        back[0].roots.truncate(1);
        back[0].proved = 0;
        assert_stays_halted(&mut past, &back);
        newer.put_back(&past.storage);
        assert_goes_on(&mut past);
    }
}

#[test]
fn to_before_a_log_was_added_on_sqlite() {
    to_before_a_log_was_added(Storage::sqlite());
}

#[test]
fn to_before_a_log_was_added_on_postgres() {
    Storage::postgres()
        .into_iter()
        .for_each(to_before_a_log_was_added);
}

/// The log that the older copy lacks is not made once more, with its old key and origin.
fn to_before_a_log_was_added(storage: Storage) {
    let author = Author::new("log added");
    let server = Server::start(storage.serve().args(["--logs", "v1"]));
    entries::log(server.api, &author.sign("before"));
    server.stop();
    let older = Copy::of(&storage);
    let add = || {
        let mut command = program::program();
        command.args(["log", "add", "v2", "--v2-key"]);
        command.arg(storage.data().join("v2-log.pem"));
        command.arg("--data-dir").arg(storage.data());
        storage.url().map(|url| command.args(["--database", &url]));
        command.output().unwrap()
    };
    let added = log_add::add(&storage, "v2");
    assert!(added.status.success(), "{added:?}");
    let server = Server::start(&mut storage.serve());
    entries::log_v2(server.api, &author.sign("after"));
    server.stop();
    let newer = Copy::of(&storage);

    older.put_back(&storage);
    let again = add();
    assert!(!again.status.success(), "{again:?}");
    let trees = || storage.count("SELECT count(*) FROM tree");
    assert_eq!(trees(), 1, "it made the log once more");
    for _ in 0..2 {
        // Whether it starts for the sake of the other log is its own affair.
        if let Ok(server) = Server::try_start(&mut storage.serve()) {
            let ready = http::get(server.api, "/readyz");
            assert_eq!(ready.status, 503, "{ready:?}");
            server.stop();
        }
        assert_eq!(trees(), 1, "it made the log once more");
    }
    newer.put_back(&storage);
    let server = Server::start(&mut storage.serve());
    entries::log_v2(server.api, &author.sign("afterwards"));
    server.stop();
    storage.assert_in_order();
}
