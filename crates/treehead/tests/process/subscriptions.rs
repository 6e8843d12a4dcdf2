//! Subscriptions: a receiver of webhooks is told of each entry that matches, over kills too.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use p256::ecdsa::DerSignature;
use p256::ecdsa::signature::Signer;
use ring::hmac;
use serde_json::{Value, json};

use crate::entries::{self, Author};
use crate::http;
use crate::postgres::Storage;
use crate::program::{Server, refusal};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The reply that never comes.
const NEVER: u16 = 0;

/// A receiver that checks each signature by itself.
struct Receiver {
    url: String,
    reply: Arc<AtomicU16>,
    got: Arc<(Mutex<Vec<Value>>, Condvar)>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            reply: Arc::new(AtomicU16::new(200)),
            got: Arc::default(),
        };
        let (reply, got) = (Arc::clone(&receiver.reply), Arc::clone(&receiver.got));
        thread::spawn(move || {
            // Connections that never get a reply stay open.
            let mut open = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let notice = read(&mut stream);
                let status = reply.load(Ordering::SeqCst);
                got.0.lock().unwrap().push(notice);
                got.1.notify_all();
                if status == NEVER {
                    open.push(stream);
                    continue;
                }
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        receiver
    }

    fn reply_with(&self, status: u16) {
        self.reply.store(status, Ordering::SeqCst);
    }

    /// Waits for so many requests; returns all.
    fn wait_for(&self, requests: usize) -> Vec<Value> {
        let got = self.got.0.lock().unwrap();
        let is_short = |got: &mut Vec<Value>| got.len() < requests;
        let waited = self.got.1.wait_timeout_while(got, http::PATIENCE, is_short);
        let (got, timed_out) = waited.unwrap();
        assert!(
            !timed_out.timed_out(),
            "{} of {requests}: {got:?}",
            got.len()
        );
        got.clone()
    }
}

/// Reads a request and checks its signature with an HMAC of its own.
fn read(stream: &mut TcpStream) -> Value {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("POST /hook "), "{line}");
    let mut headers = HashMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    let secret = SECRET.strip_prefix("whsec_").unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(secret).unwrap());
    let (id, time) = (&headers["webhook-id"], &headers["webhook-timestamp"]);
    let signature = headers["webhook-signature"].strip_prefix("v1,").unwrap();
    let signature = BASE64_STANDARD.decode(signature).unwrap();
    let signed = format!("{id}.{time}.{body}");
    hmac::verify(&key, signed.as_bytes(), &signature).unwrap();
    let notice: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(notice["id"], id.as_str());
    notice
}

/// Starts a server with these rules, which tells a receiver.
fn serve(storage: &Storage, receiver: &Receiver, rules: &str) -> Server {
    let secret = storage.folder().join("secret");
    fs::write(&secret, SECRET).unwrap();
    let file = storage.folder().join("subscriptions.toml");
    let text = format!(
        "{rules}\n[[channel]]\ntype = 'webhook'\nurl = '{}'\nsecret-file = '{}'\n",
        receiver.url,
        secret.display()
    );
    fs::write(&file, text).unwrap();
    let mut command = storage.serve();
    Server::start(command.arg("--subscriptions").arg(&file))
}

fn rule_of(author: &Author) -> String {
    let key = tlog::sha256(author.public_pem().as_bytes());
    format!("[[rule]]\nname = 'mine'\nkey = '{key}'\n")
}

/// ID, log and log index of each notice, and whether it is a repetition.
fn told(notices: &[Value]) -> Vec<(String, String, u64, bool)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let told = notices.iter().map(|notice| {
        assert_eq!(notice["type"], "entry", "{notice}");
        let index = notice["data"]["logIndex"].as_u64().unwrap();
        let repeated = notice["repeated"].as_bool().unwrap();
        (text(&notice["id"]), text(&notice["log"]), index, repeated)
    });
    told.collect()
}

#[test]
fn entries_of_both_logs_that_match_are_told_once() {
    let storage = Storage::sqlite();
    let receiver = Receiver::start();
    let (mine, other) = (Author::new("mine"), Author::new("other"));
    let server = serve(&storage, &receiver, &rule_of(&mine));
    receiver.reply_with(500);
    entries::log(server.api, &other.sign("a"));
    let first = entries::log(server.api, &mine.sign("b"));
    receiver.wait_for(2);
    receiver.reply_with(204);
    entries::log(server.api, &other.sign("c"));
    let second = entries::log(server.api, &mine.sign("d"));
    // The first one is told before the second one, and again until it is taken.
    let begun = receiver.wait_for(4);
    let of_first: Vec<&Value> = begun
        .iter()
        .filter(|n| n["data"]["uuid"] == first.uuid)
        .collect();
    assert!(of_first.len() >= 3, "{begun:?}");
    assert_eq!(of_first[0]["repeated"], false);
    assert!(
        of_first[1..]
            .iter()
            .all(|notice| notice["repeated"] == true)
    );
    assert!(
        of_first
            .iter()
            .all(|notice| notice["id"] == of_first[0]["id"])
    );
    let before = begun.len();
    entries::log_v2(server.api, &mine.sign("e"));
    let all = receiver.wait_for(before.max(of_first.len() + 2));
    let last = &all[of_first.len()..];
    let told = told(last);
    assert_eq!(told[0].2, second.log_index);
    assert_eq!(
        (&*told[1].1, told[1].2, told[1].3),
        ("localhost v2", 0, false)
    );
    let metrics = http::get(server.metrics, "/metrics").body;
    let delivered = "treehead_notices_delivered_total{channel=\"webhook\"}";
    assert!(metrics.contains(delivered), "{metrics}");
    assert!(
        metrics.contains("treehead_subscriptions_behind 0"),
        "{metrics}"
    );
    server.stop();
    storage.assert_in_order();
}

#[test]
fn packages_of_envelopes_are_told_though_no_leaf_shows_them() {
    let storage = Storage::sqlite();
    let receiver = Receiver::start();
    let rule = "[[rule]]\nname = 'package'\npackage = 'pkg:npm/@scope/*'\n";
    let server = serve(&storage, &receiver, rule);
    let author = Author::new("publisher");
    for purl in ["pkg:npm/%40other/name@1.0.0", "pkg:npm/%40scope/name@1.0.0"] {
        let answer = http::post(server.api, "/api/v1/log/entries", &envelope(&author, purl));
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let notices = receiver.wait_for(1);
    assert_eq!(notices[0]["data"]["logIndex"], 1);
    let matched = &notices[0]["data"]["matched"][0];
    assert_eq!(matched["condition"], "package");
    assert!(
        matched["value"]
            .as_str()
            .unwrap()
            .starts_with("pkg:npm/@scope/name")
    );
    server.stop();
}

/// A `dsse` entry about a package.
fn envelope(author: &Author, purl: &str) -> String {
    let payload = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": purl, "digest": {"sha512": "ab".repeat(64)}}],
        "predicateType": "https://slsa.dev/provenance/v1",
    });
    let payload = payload.to_string();
    let kind = "application/vnd.in-toto+json";
    let signed = format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len());
    let signature: DerSignature = author.key().sign(signed.as_bytes());
    let envelope = json!({
        "payloadType": kind,
        "payload": BASE64_STANDARD.encode(&payload),
        "signatures": [{"sig": BASE64_STANDARD.encode(signature.as_bytes())}],
    });
    let verifier = BASE64_STANDARD.encode(author.public_pem());
    json!({
        "apiVersion": "0.0.1", "kind": "dsse",
        "spec": {"proposedContent": {"envelope": envelope.to_string(), "verifiers": [verifier]}},
    })
    .to_string()
}

/// Killed while a notice is on its way, right after an entry was acknowledged, and right after a
/// start: every entry is told, and none twice without its mark.
#[test]
fn no_notice_is_lost_by_kills_or_told_twice_without_its_mark() {
    let storage = Storage::sqlite();
    let receiver = Receiver::start();
    let mine = Author::new("mine");
    let mut acknowledged = Vec::new();
    for round in 0..6 {
        let mut server = serve(&storage, &receiver, &rule_of(&mine));
        let got = receiver.wait_for(0).len();
        receiver.reply_with(if round % 2 == 0 { NEVER } else { 200 });
        for number in 0..4 {
            let entry = entries::log(server.api, &mine.sign(&format!("{round} {number}")));
            acknowledged.push(entry.uuid);
        }
        if round % 3 != 2 {
            receiver.wait_for(got + 1);
        }
        server.kill();
    }
    receiver.reply_with(200);
    let server = serve(&storage, &receiver, &rule_of(&mine));
    let told = loop {
        let all = receiver.wait_for(0);
        let mut told: BTreeMap<String, Vec<bool>> = BTreeMap::new();
        for notice in &all {
            let uuid = notice["data"]["uuid"].as_str().unwrap().to_owned();
            let repeated = notice["repeated"].as_bool().unwrap();
            told.entry(uuid).or_default().push(repeated);
        }
        if acknowledged.iter().all(|uuid| told.contains_key(uuid)) {
            break told;
        }
        thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(told.len(), acknowledged.len());
    for (uuid, marks) in &told {
        let unmarked = marks.iter().filter(|repeated| !**repeated).count();
        assert!(
            unmarked <= 1 && marks[1..].iter().all(|mark| *mark),
            "{uuid}: {marks:?}"
        );
    }
    server.stop();
    storage.assert_in_order();
}

#[test]
fn a_wrong_file_is_refused_with_its_place() {
    let storage = Storage::sqlite();
    let file = storage.folder().join("subscriptions.toml");
    for (text, expected) in [
        ("[[rule]]\nname = 'a'\nkinds = 'dsse'\n", "line 3"),
        (
            "[[rule]]\nname = 'a'\nsubject-regex = '('\n",
            "rule 1 (\"a\")",
        ),
        ("", "there is no rule in it"),
        (
            "[[rule]]\nname = 'a'\nkind = 'dsse'\n[[channel]]\ntype = 'x'\n",
            "unknown variant",
        ),
    ] {
        fs::write(&file, text).unwrap();
        let mut command = storage.serve();
        let output = command.arg("--subscriptions").arg(&file).output().unwrap();
        let refused = refusal(&output, 2);
        assert!(
            refused.contains(expected) && refused.contains("--subscriptions"),
            "{refused}"
        );
        assert!(!storage.data().join("v1-log.pem").exists());
    }
}
