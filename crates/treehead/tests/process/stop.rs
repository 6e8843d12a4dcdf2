//! Signals.

use std::io::Write;

use crate::entries::{self, Author};
use crate::http;
use crate::postgres::Storage;
use crate::program::Server;

/// What the log says when the first signal arrived.
const STOPPING: &str = "stopping";

#[test]
fn an_accepted_request_is_finished() {
    for signal in ["TERM", "INT"] {
        let storage = Storage::sqlite();
        let mut server = Server::start(&mut storage.serve());
        let proposal = Author::new("stop").sign("half");
        let mut stream = http::connect(server.api).unwrap();
        let (first, rest) = proposal.json.split_at(proposal.json.len() / 2);
        let head = http::head("POST", "/api/v1/log/entries", proposal.json.len());
        // A whole answer on the same server: the accepting side has seen the connection before it.
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(first.as_bytes()).unwrap();
        assert_eq!(http::get(server.api, "/healthz").status, 200);
        server.signal(signal);
        server.wait_for_log(STOPPING);
        stream.write_all(rest.as_bytes()).unwrap();
        let answer = http::answer(stream).unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(server.wait(), Some(0), "{}", server.log());
        storage.assert_in_order();
    }
}

#[test]
fn a_later_signal_ends_at_once() {
    let storage = Storage::sqlite();
    let mut server = Server::start(&mut storage.serve());
    let mut stream = http::connect(server.api).unwrap();
    // Never finished: without the later signal the stop would wait for it.
    stream
        .write_all(http::head("POST", "/api/v1/log/entries", 1000).as_bytes())
        .unwrap();
    assert_eq!(http::get(server.api, "/healthz").status, 200);
    server.signal("TERM");
    server.wait_for_log(STOPPING);
    // Those within a second of the first are taken for the same.
    while !server.has_ended() {
        server.signal("TERM");
    }
    assert_eq!(server.wait(), Some(130), "{}", server.log());
}

#[test]
fn two_signals_at_once_are_one() {
    let storage = Storage::sqlite();
    let mut server = Server::start(&mut storage.serve());
    let proposal = Author::new("two signals").sign("half");
    let mut stream = http::connect(server.api).unwrap();
    let (first, rest) = proposal.json.split_at(proposal.json.len() / 2);
    stream
        .write_all(http::head("POST", "/api/v1/log/entries", proposal.json.len()).as_bytes())
        .unwrap();
    stream.write_all(first.as_bytes()).unwrap();
    assert_eq!(http::get(server.api, "/healthz").status, 200);
    server.signal("TERM");
    server.signal("TERM");
    server.wait_for_log(STOPPING);
    server.signal("INT");
    stream.write_all(rest.as_bytes()).unwrap();
    assert_eq!(http::answer(stream).unwrap().status, 201);
    assert_eq!(server.wait(), Some(0), "{}", server.log());
}

#[test]
fn a_hangup_changes_nothing() {
    let storage = Storage::sqlite();
    let server = Server::start(&mut storage.serve());
    server.signal("HUP");
    server.wait_for_log("SIGHUP changes nothing");
    entries::log(server.api, &Author::new("hangup").sign("afterwards"));
    server.stop();
}
