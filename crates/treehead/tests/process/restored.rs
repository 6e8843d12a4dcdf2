//! A running server whose database is put back to an older copy.

use crate::entries::{self, Author};
use crate::http;
use crate::postgres::Storage;
use crate::program::Server;

/// Entries in the older copy, and after it.
const BEFORE: u64 = 5;
const AFTER: u64 = 4;

#[test]
fn goes_read_only_and_names_both_heads_on_sqlite() {
    put_back(&Storage::sqlite());
}

#[test]
fn goes_read_only_and_names_both_heads_on_postgres() {
    if let Some(storage) = Storage::postgres() {
        put_back(&storage);
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

fn put_back(storage: &Storage) {
    let author = Author::new("restored");
    let server = Server::start(&mut storage.serve());
    let head = || {
        let log = http::get(server.api, "/api/v1/log").json();
        format!(
            "size {} root {}",
            log["treeSize"],
            log["rootHash"].as_str().unwrap()
        )
    };
    let entry = |number| author.sign(&format!("entry {number}"));
    let before: Vec<_> = (0..BEFORE)
        .map(|number| entries::log(server.api, &entry(number)))
        .collect();
    let old_head = head();
    (BEFORE..BEFORE + AFTER).for_each(|number| drop(entries::log(server.api, &entry(number))));
    let new_head = head();

    let newer = [
        "entry",
        "body",
        "leaf",
        "index_key",
        "signed_entry_timestamp",
        "attestation",
    ]
    .map(|table| format!("DELETE FROM {table} WHERE leaf_index >= {BEFORE};"));
    storage.execute(&format!(
        "BEGIN; {} DELETE FROM head WHERE prev_size >= {BEFORE}; COMMIT;",
        newer.concat()
    ));

    let refused = http::post(server.api, "/api/v1/log/entries", &entry(99).json);
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.body.contains("read-only"), "{refused:?}");
    server.wait_for_log(&old_head);
    server.wait_for_log(&new_head);
    // The other log goes on.
    entries::log_v2(server.api, &entry(99));
    // It stays so, takes nothing, and says so to whoever watches.
    assert_eq!(
        http::post(server.api, "/api/v1/log/entries", &entry(100).json).status,
        503
    );
    assert_eq!(http::get(server.api, "/readyz").status, 503);
    assert_eq!(http::get(server.api, "/healthz").status, 200);
    let metrics = http::get(server.metrics, "/metrics").body;
    assert!(
        metrics.contains("treehead_read_only{log=\"v1\"} 1\n")
            && metrics.contains("treehead_read_only{log=\"v2\"} 0\n")
            && metrics.contains("treehead_ready 0\n"),
        "{metrics}"
    );
    // What both heads hold is shown as before.
    before
        .iter()
        .for_each(|entry| entries::assert_shown(server.api, entry));
    server.stop();
    storage.assert_in_order();
}
