//! No server says of an entry that was acknowledged that it is absent: not while its database went
//! back, nor because it takes itself to be alone on the database.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use crate::entries::{self, Acknowledged, Author};
use crate::http::{self, Answer};
use crate::postgres::Storage;
use crate::program::Server;

/// Entries of the v1 log in the older copy, and after it.
const BEFORE: u64 = 5;
const AFTER: u64 = 4;

#[test]
fn a_log_that_went_back_says_nothing_is_absent_on_sqlite() {
    go_back(&Storage::sqlite());
}

#[test]
fn a_log_that_went_back_says_nothing_is_absent_on_postgres() {
    if let Some(storage) = Storage::postgres() {
        go_back(&storage);
    }
}

fn go_back(storage: &Storage) {
    let author = Author::new("absent");
    let server = Server::start(&mut storage.serve());
    let api = server.api;
    let entry = |number| entries::log(api, &author.sign(&format!("entry {number}")));
    let before: Vec<Acknowledged> = (0..BEFORE).map(entry).collect();
    let after: Vec<Acknowledged> = (BEFORE..BEFORE + AFTER).map(entry).collect();
    let other = entries::log_v2(api, &author.sign("in the other log"));
    let newest = head(api);

    let newer = [
        "entry",
        "body",
        "leaf",
        "index_key",
        "signed_entry_timestamp",
    ]
    .map(|table| format!("DELETE FROM {table} WHERE leaf_index >= {BEFORE};"));
    storage.execute(&format!(
        "BEGIN; {} DELETE FROM head WHERE prev_size >= {BEFORE}; COMMIT;",
        newer.concat()
    ));
    // From the first moment on, whether or not the server has noticed.
    let lost = &after[0];
    for answer in asked(&server, lost) {
        assert_read_only(&answer, &newest);
    }
    let ready = http::get(api, "/readyz");
    assert_read_only(&ready, &newest);
    assert_eq!(ready.json()["log"], "v1", "{ready:?}");
    assert_eq!(http::get(server.metrics, "/readyz").body, ready.body);
    let refused = http::post(api, "/api/v1/log/entries", &author.sign("another").json);
    assert_read_only(&refused, &newest);
    assert_eq!(head(api), newest, "the head that was let out is still true");
    for entry in &before {
        for path in paths(entry) {
            assert_eq!(http::get(api, &path).status, 200, "{path}");
        }
    }
    // The other log says what it has, and what it does not.
    entries::assert_logged_v2(api, server.tree("v2"), &[other]);
    entries::log_v2(api, &author.sign("later"));
    assert_eq!(http::get(api, "/api/v2/log/entries/9").status, 404);
    assert_eq!(http::get(api, "/tile/0/001").status, 404);
    server.stop();
}

fn paths(entry: &Acknowledged) -> [String; 2] {
    [
        format!("/api/v1/log/entries/{}", entry.uuid),
        format!("/api/v1/log/entries?logIndex={}", entry.log_index),
    ]
}

/// All questions of which the lost entry is an answer, or part of one.
fn asked(server: &Server, lost: &Acknowledged) -> Vec<Answer> {
    let (api, tree) = (server.api, server.tree("v1"));
    let hash = format!("sha256:{}", lost.artifact_hash);
    let (_, leaf_hash) = lost.uuid.split_at(16);
    let [by_uuid, by_index] = paths(lost);
    let mut answers: Vec<Answer> = [
        by_uuid,
        by_index,
        format!("/api/v1/index/search?key={hash}"),
        format!("/api/v2/log/entries?leafHash={leaf_hash}"),
        format!("/trees/{tree}/entries/{}", lost.log_index),
        format!("/trees/{tree}/tile/entries/000.p/{}", lost.log_index + 1),
        format!("/trees/{tree}/tile/0/001"),
        format!("/trees/{tree}/freeze"),
        "/trees/1/checkpoint".to_owned(),
        "/api/v1/log/proof?lastSize=1000".to_owned(),
        "/api/v1/log/entries?logIndex=1000".to_owned(),
    ]
    .iter()
    .map(|path| http::get(api, path))
    .collect();
    let posts = [
        ("/api/v1/index/retrieve", json!({"hash": hash})),
        (
            "/api/v1/log/entries/retrieve",
            json!({"entryUUIDs": [lost.uuid]}),
        ),
        (
            "/api/v1/log/entries/retrieve",
            json!({"logIndexes": [0, lost.log_index]}),
        ),
    ];
    answers.extend(posts.map(|(path, body)| http::post(api, path, &body.to_string())));
    answers
}

fn assert_read_only(answer: &Answer, newest: &str) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.contains("the log is read-only: "), "{answer:?}");
    for named in [newest, &format!("found size {BEFORE} root ")] {
        assert!(answer.body.contains(named), "{named}: {answer:?}");
    }
    if !answer.body.contains("NOT_SERVING") {
        assert_eq!(answer.header("retry-after"), Some("60"), "{answer:?}");
    }
}

fn head(server: SocketAddr) -> String {
    let log = http::get(server, "/api/v1/log").json();
    let root = log["rootHash"].as_str().unwrap();
    format!("size {} root {root}", log["treeSize"])
}

/// An hour and some more, in milliseconds.
const HOUR: u64 = 3_700_000;

/// Each entry that is acknowledged by one server is at the other one at once.
fn assert_seen(writer: &Server, reader: &Server, author: &Author, number: u32) {
    let logged = entries::log(writer.api, &author.sign(&format!("entry {number}")));
    entries::assert_logged(reader.api, author, &logged);
    let size = http::get(reader.api, "/api/v1/log").json()["treeSize"].clone();
    assert!(size.as_u64() > Some(logged.log_index), "{size} {logged:?}");
}

/// The rows of all servers are an hour old at once, as on a machine whose clock was wrong.
#[test]
fn a_leap_of_the_databases_clock_hides_no_entry() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let author = Author::new("leap");
    let servers = [(); 2].map(|()| Server::start(&mut storage.serve()));
    for round in 0..3 {
        storage.execute(&format!("UPDATE server SET seen = seen - {HOUR}"));
        for number in 0..8 {
            sleep(Duration::from_millis(40));
            let writer = number as usize % 2;
            let (writer, reader) = (&servers[writer], &servers[1 - writer]);
            assert_seen(writer, reader, &author, round * 8 + number);
        }
        // Days, so that whoever looks removes the rows.
        storage.execute(&format!("UPDATE server SET seen = seen - {}", 200 * HOUR));
    }
    servers.into_iter().for_each(Server::stop);
}

/// A server that stood still for so long that the other one took itself to be alone writes at once.
#[test]
fn a_server_that_comes_back_after_an_hour_hides_no_entry() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let author = Author::new("asleep");
    let [asleep, awake] = [(); 2].map(|()| Server::start(&mut storage.serve()));
    for round in 0..3 {
        asleep.signal("STOP");
        storage.execute(&format!("UPDATE server SET seen = seen - {HOUR}"));
        // Longer than a look for neighbours is apart from the next one.
        sleep(Duration::from_millis(300));
        // Its row is gone: the other one cannot know that it is still there.
        storage.execute("DELETE FROM server");
        sleep(Duration::from_millis(300));
        asleep.signal("CONT");
        for number in 0..8 {
            let logged = entries::log(asleep.api, &author.sign(&format!("{round} {number}")));
            entries::assert_logged(awake.api, &author, &logged);
        }
    }
    asleep.stop();
    awake.stop();
}
