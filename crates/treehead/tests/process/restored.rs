//! A running server whose database is put back to an older copy, and what it is once restarted.

use crate::copies;
use crate::entries::{self, Author};
use crate::http;
use crate::past::{Back, Past};
use crate::postgres::Storage;
use crate::program::Server;
use crate::put_back;

/// Entries in the older copy, and after it.
const BEFORE: usize = 5;
const AFTER: usize = 4;

#[test]
fn goes_read_only_and_names_both_heads_on_sqlite() {
    put_back(&Storage::sqlite);
}

#[test]
fn goes_read_only_and_names_both_heads_on_postgres() {
    if Storage::postgres().is_some() {
        put_back(&|| Storage::postgres().unwrap());
    }
}

#[test]
fn a_file_put_in_the_place_of_the_database_is_not_written_to() {
    let storage = Storage::sqlite();
    let author = Author::new("replaced");
    let server = Server::start(&mut storage.serve());
    entries::log(server.api, &author.sign("one"));
    let copy = storage.folder().join("copy.db");
    storage.execute(&format!("VACUUM INTO '{}'", copy.display()));
    entries::log(server.api, &author.sign("two"));
    std::fs::rename(&copy, storage.data().join("treehead.db")).unwrap();
    let before = std::fs::read(storage.data().join("treehead.db")).unwrap();
    // What went into the file that is gone would be acknowledged and lost.
    let refused = http::post(
        server.api,
        "/api/v1/log/entries",
        &author.sign("three").json,
    );
    assert_eq!(refused.status, 503, "{refused:?}");
    server.stop();
    assert_eq!(
        std::fs::read(storage.data().join("treehead.db")).unwrap(),
        before
    );
}

fn put_back(storage: &dyn Fn() -> Storage) {
    for (log, other) in [("v1", "v2"), ("v2", "v1")] {
        let (mut past, server) = Past::new(storage(), None);
        let before = past.write(server.api, BEFORE);
        let after = past.write(server.api, AFTER);
        copies::put_aside(&past.storage, log, before[log].0);
        let back = Back::of(&before, &after, &[log]);
        past.assert_refused(server.api, log);
        past.assert_halted(&server, &back);
        // The other log goes on.
        past.write_to(server.api, other, AFTER);
        past.assert_halted(&server, &back);
        server.stop();
        put_back::assert_stays_halted(&mut past, &back);
        copies::bring_back(&past.storage, log);
        put_back::assert_goes_on(&mut past);
    }
}

#[test]
fn all_servers_go_read_only() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let (mut past, first) = Past::new(storage, None);
    let second = Server::start(&mut past.serve());
    let before = past.write(first.api, BEFORE);
    let after = past.write(second.api, AFTER);
    copies::put_aside(&past.storage, "v1", before["v1"].0);
    let back = Back::of(&before, &after, &["v1"]);
    for server in [&first, &second, &first] {
        past.assert_refused(server.api, "v1");
        past.assert_halted(server, &back);
        past.write_to(server.api, "v2", 1);
    }
    first.stop();
    second.stop();
    put_back::assert_stays_halted(&mut past, &back);
}
