//! What was acknowledged is found by the very next search under each of its keys, whichever of three
//! servers on one Postgres takes the entry and whichever is asked.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::entries::{Author, Proposal};
use crate::http;
use crate::postgres::Storage;
use crate::program::Server;
use crate::rotate_waits;
use crate::writer::Servers;

const WRITERS: usize = 8;
/// Entries of an ordinary run; `TREEHEAD_COMPLETENESS` asks for more.
const ENTRIES: usize = 800;
/// A client that was refused waits for this long.
const PAUSE: Duration = Duration::from_millis(20);

#[test]
fn what_was_acknowledged_is_found_by_the_next_search_through_any_server() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let entries = std::env::var("TREEHEAD_COMPLETENESS");
    let entries: usize = entries.map_or(ENTRIES, |entries| entries.parse().unwrap());
    let folders = [0, 1, 2].map(|number| storage.folder().join(format!("server-{number}")));
    let mut running = Vec::new();
    let servers = Servers::default();
    for folder in &folders {
        let server = Server::start(&mut storage.serve_with(folder));
        servers.add(server.api);
        running.push(server);
        for other in folders.iter().filter(|other| !other.exists()) {
            rotate_waits::copy_keys(&folders[0], other);
        }
    }
    let mut searches = 0;
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                scope.spawn({
                    let servers = &servers;
                    move || write(servers, number, entries / WRITERS)
                })
            })
            .collect();
        for writer in writers {
            searches += writer.join().unwrap();
        }
    });
    let written = entries / WRITERS * WRITERS;
    println!(
        "{written} of {written} acknowledged entries were found by the next search under each of their keys, {searches} in all, through any of three servers"
    );
    running.into_iter().for_each(Server::stop);
    storage.assert_in_order();
}

/// Writes and searches, one after the other. Returns the number of keys that were searched for.
fn write(servers: &Servers, number: usize, entries: usize) -> usize {
    let author = Author::new(&format!("writer {number}"));
    let mut searches = 0;
    for entry in 0..entries {
        let proposal = author.sign(&format!("entry {entry}"));
        // Writers with even numbers write to v1, the others to v2.
        let acknowledged = match number.is_multiple_of(2) {
            true => Logged::of_v1(&post(servers.next(), "/api/v1/log/entries", &proposal.json)),
            false => Logged::of_v2(&post(servers.next(), "/api/v2/log/entries", &proposal.v2)),
        };
        let keys = entry::index_keys_of_leaf(&acknowledged.leaf)
            .unwrap()
            .unwrap();
        searches += keys.len();
        acknowledged.assert_found(servers.next(), &keys);
        acknowledged.assert_found_otherwise(servers.next(), &proposal);
    }
    searches
}

/// Sends a write until a server takes it.
fn post(server: SocketAddr, path: &str, body: &str) -> Value {
    loop {
        let answer = http::post(server, path, body);
        match answer.status {
            200 | 201 => return answer.json(),
            503 => thread::sleep(PAUSE),
            _ => panic!("{path}: {answer:?}"),
        }
    }
}

/// An entry that was acknowledged.
struct Logged {
    leaf: Vec<u8>,
    log: &'static str,
}

impl Logged {
    fn of_v1(answer: &Value) -> Self {
        let (_, entry) = answer.as_object().unwrap().iter().next().unwrap();
        Self::new(&entry["body"], "v1")
    }

    fn of_v2(answer: &Value) -> Self {
        Self::new(&answer["canonicalizedBody"], "v2")
    }

    fn new(body: &Value, log: &'static str) -> Self {
        let leaf = BASE64_STANDARD.decode(body.as_str().unwrap()).unwrap();
        Self { leaf, log }
    }

    /// Whether one of the newest entries of a result is this one.
    fn is_in(&self, entries: &Value) -> bool {
        let leaf_hash = tlog::leaf_hash(&self.leaf).to_string();
        let mut entries = entries.as_array().unwrap().iter();
        entries.any(|entry| {
            let uuid = entry["uuid"].as_str().unwrap();
            entry["log"] == self.log && uuid.ends_with(&leaf_hash)
        })
    }

    /// Under all its keys at once.
    fn assert_found(&self, server: SocketAddr, keys: &[String]) {
        let found = post(
            server,
            "/api/v1/index/lookup",
            &json!({"keys": keys}).to_string(),
        );
        let results = found["results"].as_array().unwrap();
        assert_eq!(results.len(), keys.len());
        for (key, result) in keys.iter().zip(results) {
            assert!(self.is_in(&result["entries"]), "under {key}: {result}");
        }
    }

    /// Under the digest of its artifact, by the searches that people use.
    fn assert_found_otherwise(&self, server: SocketAddr, proposal: &Proposal) {
        let digest = &proposal.artifact_hash;
        if self.log == "v1" {
            let ask = json!({"hash": format!("sha256:{digest}")}).to_string();
            let ids = post(server, "/api/v1/index/retrieve", &ask);
            assert_eq!(ids.as_array().unwrap().len(), 1, "{digest}: {ids}");
        } else {
            let path = format!("/api/v1/index/search?sha256={digest}");
            let page = http::get(server, &path).json();
            assert!(self.is_in(&page["entries"]), "{path}: {page}");
        }
    }
}
