//! A ledger whose database is put back to an older copy while it is stopped. It is read-only, start
//! after start, until the database is brought forward again; no size gets a second root.

use std::fs;

use crate::copies::{self, Copy};
use crate::past::{Back, Newest, Past};
use crate::postgres::Storage;
use crate::program::Server;
use crate::rotate;

/// Entries of each log in the older copy, and after it.
pub(crate) const BEFORE: usize = 5;
pub(crate) const AFTER: usize = 4;

/// The log's database in both states, and the heads that people saw in them.
pub(crate) struct Copies {
    pub older: Copy,
    pub newer: Copy,
    heads: [Newest; 2],
}

impl Copies {
    /// Writes, copies the database while the server is stopped, writes again and copies it again.
    pub(crate) fn make(past: &mut Past, server: Server, counts: [usize; 2]) -> Self {
        let before = past.write(server.api, counts[0]);
        server.stop();
        let older = Copy::of(&past.storage);
        let server = Server::start(&mut past.serve());
        let after = past.write(server.api, counts[1]);
        server.stop();
        let newer = Copy::of(&past.storage);
        Self {
            older,
            newer,
            heads: [before, after],
        }
    }

    pub(crate) fn back(&self, logs: &[&'static str]) -> Vec<Back> {
        Back::of(&self.heads[0], &self.heads[1], logs)
    }
}

/// It stays read-only at a start, at one after a stop, and at one after a kill.
pub(crate) fn assert_stays_halted(past: &mut Past, back: &[Back]) {
    let server = Server::start(&mut past.serve());
    past.assert_halted(&server, back);
    server.stop();
    let mut server = Server::start(&mut past.serve());
    past.assert_halted(&server, back);
    server.kill();
    let server = Server::start(&mut past.serve());
    past.assert_halted(&server, back);
    server.stop();
}

/// It serves as if nothing had been.
pub(crate) fn assert_goes_on(past: &mut Past) {
    let server = Server::start(&mut past.serve());
    past.assert_whole(&server);
    server.stop();
    past.storage.assert_in_order();
}

#[test]
fn the_database_alone_on_sqlite() {
    the_database_alone(Storage::sqlite());
}

#[test]
fn the_database_alone_on_postgres() {
    Storage::postgres().into_iter().for_each(the_database_alone);
}

fn the_database_alone(storage: Storage) {
    let (mut past, server) = Past::new(storage, None);
    let copies = Copies::make(&mut past, server, [BEFORE, AFTER]);
    copies.older.put_back(&past.storage);
    assert_stays_halted(&mut past, &copies.back(&["v1", "v2"]));
    // Nor does a rotation sign where it ends now, or give indexes again from there.
    assert_is_not_rotated(&past);
    let server = Server::start(&mut past.serve());
    assert_is_not_rotated(&past);
    past.assert_halted(&server, &copies.back(&["v1", "v2"]));
    server.stop();
    copies.newer.put_back(&past.storage);
    assert_goes_on(&mut past);
}

fn assert_is_not_rotated(past: &Past) {
    for log in ["v1", "v2"] {
        let mut command = rotate::rotate(&past.storage, &past.storage.data(), log);
        let output = command.output().unwrap();
        assert!(!output.status.success(), "it was rotated: {output:?}");
        let frozen = "SELECT count(*) FROM tree WHERE state = 'frozen'";
        assert_eq!(past.storage.count(frozen), 0, "{output:?}");
    }
}

#[test]
fn with_the_whole_data_folder_on_sqlite() {
    with_the_whole_data_folder(Storage::sqlite());
}

#[test]
fn with_the_whole_data_folder_on_postgres() {
    Storage::postgres()
        .into_iter()
        .for_each(with_the_whole_data_folder);
}

/// As a snapshot of the machine's disk does. The guard is elsewhere.
fn with_the_whole_data_folder(storage: Storage) {
    let guard = storage.folder().join("guard-elsewhere");
    let (mut past, server) = Past::new(storage, Some(guard));
    let (data, folder) = (past.storage.data(), past.storage.folder().join("folder"));
    let before = past.write(server.api, BEFORE);
    server.stop();
    let older = Copy::of(&past.storage);
    copies::copy_folder(&data, &folder);
    let server = Server::start(&mut past.serve());
    let after = past.write(server.api, AFTER);
    server.stop();
    let newer = Copy::of(&past.storage);

    older.put_back(&past.storage);
    fs::remove_dir_all(&data).unwrap();
    copies::copy_folder(&folder, &data);
    assert_stays_halted(&mut past, &Back::of(&before, &after, &["v1", "v2"]));
    newer.put_back(&past.storage);
    assert_goes_on(&mut past);
}

#[test]
fn one_log_back_and_the_other_not_on_sqlite() {
    one_log_back(Storage::sqlite());
}

#[test]
fn one_log_back_and_the_other_not_on_postgres() {
    Storage::postgres().into_iter().for_each(one_log_back);
}

fn one_log_back(storage: Storage) {
    let (mut past, server) = Past::new(storage, None);
    server.stop();
    for (log, other) in [("v1", "v2"), ("v2", "v1")] {
        let server = Server::start(&mut past.serve());
        let before = past.write(server.api, BEFORE);
        let after = past.write(server.api, AFTER);
        server.stop();
        copies::put_aside(&past.storage, log, before[log].0);
        let back = Back::of(&before, &after, &[log]);
        assert_stays_halted(&mut past, &back);
        // The other one goes on.
        let server = Server::start(&mut past.serve());
        past.write_to(server.api, other, AFTER);
        past.assert_halted(&server, &back);
        server.stop();
        copies::bring_back(&past.storage, log);
        assert_goes_on(&mut past);
    }
}

/// Tiles that are full in what was shown and not in the copy cannot be proved from; those that are
/// full in both can.
#[test]
fn by_more_than_a_tile_on_sqlite() {
    let (mut past, server) = Past::new(Storage::sqlite(), None);
    let copies = Copies::make(&mut past, server, [260, 260]);
    copies.older.put_back(&past.storage);
    let mut back = copies.back(&["v1", "v2"]);
    back.iter_mut().for_each(|back| back.proved = 256);
    let server = Server::start(&mut past.serve());
    past.assert_halted(&server, &back);
    server.stop();
    copies.newer.put_back(&past.storage);
    assert_goes_on(&mut past);
}

/// A server that shares its folder keeps a guard of its own there. The one that starts again need
/// not be the one that was last.
#[test]
fn the_guard_of_another_server_in_the_same_folder_counts() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let (mut past, first) = Past::new(storage, None);
    let second = Server::start(&mut past.serve());
    past.write(first.api, BEFORE);
    first.stop();
    let before = past.write(second.api, AFTER);
    let after = past.write(second.api, AFTER);
    second.stop();
    copies::put_aside(&past.storage, "v1", before["v1"].0);
    assert_stays_halted(&mut past, &Back::of(&before, &after, &["v1"]));
    copies::bring_back(&past.storage, "v1");
    assert_goes_on(&mut past);
}

/// The guard in the folder is as old as the copy, and the one that knows better cannot be asked, as
/// on a volume that is not mounted.
#[test]
fn nothing_is_taken_while_a_place_of_the_guard_is_not_there() {
    let storage = Storage::sqlite();
    let (volume, away) = (
        storage.folder().join("volume"),
        storage.folder().join("away"),
    );
    fs::create_dir(&volume).unwrap();
    let (mut past, server) = Past::new(storage, Some(volume.join("guard")));
    let (data, folder) = (past.storage.data(), past.storage.folder().join("folder"));
    past.write(server.api, BEFORE);
    server.stop();
    copies::copy_folder(&data, &folder);
    let server = Server::start(&mut past.serve());
    past.write(server.api, AFTER);
    server.stop();
    fs::remove_dir_all(&data).unwrap();
    copies::copy_folder(&folder, &data);
    fs::rename(&volume, &away).unwrap();
    for _ in 0..2 {
        // Whether it starts at all is its own affair.
        if let Ok(server) = Server::try_start(&mut past.serve()) {
            for log in ["v1", "v2"] {
                past.assert_refused(server.api, log);
            }
            server.stop();
        }
    }
}
