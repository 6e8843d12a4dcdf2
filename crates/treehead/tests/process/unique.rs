//! Unique packages, decided by several servers on one database.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use p256::ecdsa::DerSignature;
use p256::ecdsa::signature::Signer;
use serde_json::json;

use crate::entries::Author;
use crate::http;
use crate::postgres::Storage;
use crate::program::Server;

const PAIRS: usize = 50;
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A `dsse` entry, for v1 and v2, that gives a package this digest.
fn proposals(author: &Author, purl: &str, content: &str) -> [String; 2] {
    let digest = tlog::sha256(content.as_bytes()).to_string();
    let payload = json!({
        "subject": [{"name": purl, "digest": {"sha256": digest}}],
        "predicateType": "https://slsa.dev/provenance/v1",
    })
    .to_string();
    let (kind, length) = (PAYLOAD_TYPE, payload.len());
    let message = format!("DSSEv1 {} {kind} {length} {payload}", kind.len());
    let signature: DerSignature = author.key().sign(message.as_bytes());
    let envelope = json!({
        "payloadType": PAYLOAD_TYPE,
        "payload": BASE64_STANDARD.encode(&payload),
        "signatures": [{"sig": BASE64_STANDARD.encode(signature.as_bytes())}],
    });
    let pem = author.public_pem();
    let v1 = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": {
        "envelope": envelope.to_string(),
        "verifiers": [BASE64_STANDARD.encode(pem)],
    }}});
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    let v2 = json!({"dsseRequestV002": {
        "envelope": envelope,
        "verifiers": [{
            "publicKey": {"rawBytes": lines.collect::<String>()},
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
        }],
    }});
    [v1.to_string(), v2.to_string()]
}

/// Each pair gives one package two digests in one moment: by two servers, to one log or to both.
#[test]
fn of_two_digests_that_race_exactly_one_is_logged() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let servers = [storage.data(), storage.data()].map(|data| {
        let mut serve = storage.serve_with(&data);
        Server::start(serve.args(["--unique-packages", "refuse"]))
    });
    let addresses = [servers[0].api, servers[1].api];
    let barrier = Barrier::new(2);
    let race = |server: usize| -> Vec<(u16, String)> {
        let author = Author::new(&format!("racer {server}"));
        let answers = (0..PAIRS).map(|pair| {
            let purl = format!("pkg:npm/race@1.0.{pair}");
            let bodies = proposals(&author, &purl, &format!("digest of {server}"));
            let api = (server * pair) % 2;
            let path = ["/api/v1/log/entries", "/api/v2/log/entries"][api];
            barrier.wait();
            let answer = http::post(addresses[server], path, &bodies[api]);
            (answer.status, answer.body)
        });
        answers.collect()
    };
    let race = &race;
    let [one, other] = thread::scope(|scope| {
        let racers = [0, 1].map(|server| scope.spawn(move || race(server)));
        racers.map(|racer| racer.join().unwrap())
    });
    let mut winners: BTreeMap<usize, usize> = BTreeMap::new();
    for (pair, (one, other)) in one.into_iter().zip(other).enumerate() {
        let (winner, loser) = match (one.0, other.0) {
            (201, 409) => (0, other.1),
            (409, 201) => (1, one.1),
            _ => panic!("pair {pair}: {one:?} {other:?}"),
        };
        *winners.entry(winner).or_default() += 1;
        assert!(loser.contains("has another digest"), "{loser}");
        assert_digest_is_of(addresses[1 - winner], pair, winner);
    }
    println!("won by each server: {winners:?}");
    for server in servers {
        server.stop();
    }
    storage.assert_in_order();
}

/// One entry names the package, and it has the digest of this server.
fn assert_digest_is_of(server: SocketAddr, pair: usize, winner: usize) {
    let digest = tlog::sha256(format!("digest of {winner}").as_bytes());
    for (query, count) in [
        (format!("purl=pkg:npm/race@1.0.{pair}"), 1),
        (format!("purl=pkg:npm/race@1.0.{pair}&sha256={digest}"), 1),
    ] {
        let found = http::get(server, &format!("/api/v1/index/search?{query}")).json();
        let entries = found["entries"].as_array().unwrap();
        assert_eq!(entries.len(), count, "{query}: {found}");
    }
}
