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

fn put_back(storage: &Storage) {
    let author = Author::new("restored");
    let server = Server::start(&mut storage.serve());
    let head = || {
        let log = http::get(server.api, "/api/v1/log").json();
        format!("size {} root {}", log["treeSize"], log["rootHash"].as_str().unwrap())
    };
    let entry = |number| author.sign(&format!("entry {number}"));
    let before: Vec<_> = (0..BEFORE).map(|number| entries::log(server.api, &entry(number))).collect();
    let old_head = head();
    (BEFORE..BEFORE + AFTER).for_each(|number| drop(entries::log(server.api, &entry(number))));
    let new_head = head();

    let newer = ["entry", "body", "leaf", "index_key", "signed_entry_timestamp", "attestation"]
        .map(|table| format!("DELETE FROM {table} WHERE leaf_index >= {BEFORE};"));
    storage.execute(&format!("BEGIN; {} DELETE FROM head WHERE prev_size >= {BEFORE}; COMMIT;", newer.concat()));

    let refused = http::post(server.api, "/api/v1/log/entries", &entry(99).json);
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.body.contains("read-only"), "{refused:?}");
    let log = server.log();
    assert!(log.contains(&old_head) && log.contains(&new_head), "{old_head}, {new_head}: {log}");
    // It stays so, takes nothing, and says so to whoever watches.
    assert_eq!(http::post(server.api, "/api/v1/log/entries", &entry(100).json).status, 503);
    assert_eq!(http::get(server.api, "/readyz").status, 503);
    assert_eq!(http::get(server.api, "/healthz").status, 200);
    assert!(http::get(server.metrics, "/metrics").body.contains("treehead_read_only 1"));
    // What both heads hold is shown as before.
    before.iter().for_each(|entry| entries::assert_logged(server.api, &author, entry));
    server.stop();
    storage.assert_in_order();
}
