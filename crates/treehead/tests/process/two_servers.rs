//! Several servers on one Postgres database: one tree a log, the same keys, one history.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::auditor::Auditor;
use crate::entries::{self, Author};
use crate::http;
use crate::postgres::Storage;
use crate::program::{self, Server};

const WRITERS: usize = 16;
const ENTRIES_EACH: usize = 12;

/// Starts both in the same moment.
fn start_both(storage: &Storage, folders: [&Path; 2]) -> [Result<Server, std::process::Output>; 2] {
    thread::scope(|scope| {
        let threads = folders
            .map(|folder| scope.spawn(move || Server::try_start(&mut storage.serve_with(folder))));
        threads.map(|thread| thread.join().unwrap())
    })
}

#[test]
fn with_the_same_key_files_both_write_one_log() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let data = storage.data();
    let [first, second] = start_both(&storage, [&data, &data])
        .map(|server| server.unwrap_or_else(|output| panic!("{output:?}")));
    let known = |server: &Server| http::get(server.api, "/api/v1/log/publicKey").body;
    assert_eq!(known(&first), known(&second));
    storage
        .execute("DO $$ BEGIN IF (SELECT count(*) FROM tree) <> 2 THEN RAISE EXCEPTION 'not one tree a log'; END IF; END $$");

    let mut auditor = Auditor::new(first.api);
    let servers = [first.api, second.api];
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| scope.spawn(move || write(number, servers)))
            .collect();
        let auditor = &mut auditor;
        let done = &done;
        let audit = scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                for server in servers {
                    auditor.look(server);
                }
            }
        });
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
        audit.join().unwrap();
    });
    for server in servers {
        auditor.look(server);
        assert_eq!(
            auditor.newest(first.tree("v1")).0,
            (WRITERS * ENTRIES_EACH) as u64
        );
        auditor.recompute(server);
    }
    first.stop();
    second.stop();
    storage.assert_in_order();
}

/// Writes to one server and finds each entry on the other at once.
fn write(number: usize, servers: [SocketAddr; 2]) {
    let author = Author::new(&format!("replica writer {number}"));
    let (here, there) = (servers[number % 2], servers[1 - number % 2]);
    for entry in 0..ENTRIES_EACH {
        let logged = entries::log(here, &author.sign(&format!("entry {entry}")));
        entries::assert_logged(there, &author, &logged);
    }
}

#[test]
fn with_key_files_of_their_own_one_says_why_it_stops() {
    for _ in 0..3 {
        let Some(storage) = Storage::postgres() else {
            return;
        };
        let folders = [storage.folder().join("a"), storage.folder().join("b")];
        let mut started = start_both(&storage, [&folders[0], &folders[1]]).into_iter();
        let (server, output) = match (started.next().unwrap(), started.next().unwrap()) {
            (Ok(server), Err(output)) | (Err(output), Ok(server)) => (server, output),
            (Ok(_), Ok(_)) => panic!("both serve, each with keys of its own"),
            (Err(one), Err(other)) => panic!("{one:?} {other:?}"),
        };
        let log_id = server
            .banner
            .lines()
            .find_map(|line| line.trim().strip_prefix("log ID"))
            .unwrap()
            .trim();
        let refused = program::refusal(&output, 5);
        assert!(refused.contains(log_id), "{refused}");
        entries::log(server.api, &Author::new("winner").sign("one"));
        server.stop();
    }
}
