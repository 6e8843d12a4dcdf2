//! `verify-lock`, against servers of this program.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use p256::ecdsa::DerSignature;
use p256::ecdsa::signature::Signer;
use serde_json::{Value, json};

use crate::entries::{self, Author};
use crate::http;
use crate::program::{self, Server};

/// Files of one test, and the trust material of its ledger.
struct Files(tempfile::TempDir);

impl Files {
    fn of(server: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = http::get(server, "/trust/trusted_root.json");
        fs::write(folder.path().join("trusted_root.json"), root.body).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn run(&self, server: SocketAddr, lock: &Path, arguments: &[&str]) -> Output {
        let mut command = program::program();
        command.arg("verify-lock").arg(lock).args(arguments);
        command.args(["--url", &format!("http://{server}"), "--trust"]);
        command.arg(self.0.path().join("trusted_root.json"));
        command.output().unwrap()
    }
}

/// A crate of a registry, in a `Cargo.lock`.
fn locked(name: &str, checksum: &str) -> String {
    format!(
        "[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n\
         source = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{checksum}\"\n\n"
    )
}

/// Logs an in-toto statement with one subject, as an entry that keeps the statement or not.
fn log_statement(server: SocketAddr, author: &Author, kind: &str, subject: &Value) -> String {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://example.com/p",
        "subject": [subject],
        "predicate": {},
    });
    let (payload, payload_type) = (statement.to_string(), "application/vnd.in-toto+json");
    let signed = format!(
        "DSSEv1 {} {payload_type} {} {payload}",
        payload_type.len(),
        payload.len()
    );
    let signature: DerSignature = author.key().sign(signed.as_bytes());
    let signature = BASE64_STANDARD.encode(signature.as_bytes());
    let (payload, key) = (
        BASE64_STANDARD.encode(&payload),
        BASE64_STANDARD.encode(author.public_pem()),
    );
    let proposal = match kind {
        "dsse" => {
            let envelope = json!({
                "payloadType": payload_type, "payload": payload, "signatures": [{"sig": signature}],
            });
            let content = json!({"envelope": envelope.to_string(), "verifiers": [key]});
            json!({"kind": "dsse", "apiVersion": "0.0.1", "spec": {"proposedContent": content}})
        }
        _ => {
            let signatures = json!([{
                "sig": BASE64_STANDARD.encode(&signature), "publicKey": key,
            }]);
            let envelope = json!({
                "payloadType": payload_type, "payload": BASE64_STANDARD.encode(&payload),
                "signatures": signatures,
            });
            let hash = tlog::sha256(envelope.to_string().as_bytes()).to_string();
            let content = json!({
                "envelope": envelope, "hash": {"algorithm": "sha256", "value": hash},
            });
            json!({"kind": "intoto", "apiVersion": "0.0.2", "spec": {"content": content}})
        }
    };
    let answer = http::post(server, "/api/v1/log/entries", &proposal.to_string());
    assert_eq!(answer.status, 201, "{answer:?}");
    answer
        .json()
        .as_object()
        .unwrap()
        .keys()
        .next()
        .unwrap()
        .clone()
}

#[test]
fn artefacts_are_found_and_contradicted() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut program::serve(folder.path()));
    let api = server.api;
    let (author, other) = (Author::new("lock"), Author::new("another"));
    let files = Files::of(api);
    let [in_v1, in_v2, twice] = ["v1", "v2", "twice"].map(|name| author.sign(name));
    let first = entries::log(api, &in_v1);
    entries::log_v2(api, &in_v2);
    entries::log(api, &twice);
    let digest = |byte: u8| hex::encode([byte; 32]);
    let subject = |name: &str, byte| json!({"name": name, "digest": {"sha256": digest(byte)}});
    log_statement(api, &author, "dsse", &subject("pkg:cargo/stated@1.0.0", 3));
    log_statement(api, &author, "intoto", &subject("pkg:cargo/kept@1.0.0", 4));
    let evil = log_statement(api, &other, "intoto", &subject("pkg:cargo/twice@1.0.0", 5));

    let good = [
        locked("in-v1", &in_v1.artifact_hash),
        locked("in-v2", &in_v2.artifact_hash),
        locked("stated", &digest(3)),
        locked("kept", &digest(4)),
        "[[package]]\nname = \"project\"\nversion = \"0.1.0\"\n".to_owned(),
    ]
    .concat();
    let lock = files.write("Cargo.lock", &good);
    // What only the index says is not enough, unless that is asked for.
    let output = files.run(api, &lock, &[]);
    assert_eq!(output.status.code(), Some(24), "{output:?}");
    let stderr = program::text(&output.stderr);
    assert!(stderr.contains("1 of 5 artefacts"), "{stderr}");
    let output = files.run(api, &lock, &["--trust-index"]);
    let text = program::text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("logged       in-v1 1.0.0 by key "), "{text}");
    assert!(text.contains("indexed      stated 1.0.0 by key"), "{text}");
    assert_eq!(
        text.matches("by the log's index alone").count(),
        1,
        "{text}"
    );
    assert!(
        text.contains("unchecked    project 0.1.0: a crate of the workspace"),
        "{text}"
    );

    let bad = [
        &good,
        &locked("twice", &twice.artifact_hash),
        &locked("absent", &digest(9)),
    ];
    let lock = files.write("Cargo.lock", &bad.map(String::as_str).concat());
    let run = |format| {
        let output = files.run(api, &lock, &["--format", format]);
        assert_eq!(output.status.code(), Some(24), "{output:?}");
        let stderr = program::text(&output.stderr);
        assert!(stderr.contains("3 of 7 artefacts"), "{stderr}");
        program::text(&output.stdout)
    };
    let text = run("text");
    assert!(text.contains("absent       absent 1.0.0"), "{text}");
    assert!(text.contains(&format!(", in {evil}")), "{text}");
    let json: Value = serde_json::from_str(&run("json")).unwrap();
    assert_eq!(
        (
            &json["logged"],
            &json["indexed"],
            &json["absent"],
            &json["contradicted"],
            &json["unchecked"]
        ),
        (&json!(4), &json!(1), &json!(1), &json!(1), &json!(1))
    );
    let artefacts = json["artefacts"].as_array().unwrap();
    let of = |name: &str| {
        artefacts
            .iter()
            .find(|artefact| artefact["name"] == name)
            .unwrap()
    };
    assert_eq!(of("in-v1")["entries"][0]["uuid"], first.uuid);
    assert_eq!(of("in-v2")["entries"][0]["log"], "v2");
    assert_eq!(of("stated")["status"], "indexed");
    assert_eq!(of("stated")["entries"][0]["shownBy"], "index");
    assert_eq!(of("kept")["entries"][0]["shownBy"], "entry");
    assert_eq!(of("twice")["status"], "logged");
    assert_eq!(of("twice")["contradicting"][0]["uuid"], evil);
    assert_eq!(
        of("twice")["contradicting"][0]["packages"][0]["digests"],
        json!([format!("sha256:{}", digest(5))])
    );
    let junit = run("junit");
    assert!(
        junit.contains("tests=\"7\" skipped=\"1\" errors=\"0\" failures=\"3\""),
        "{junit}"
    );
    let sarif: Value = serde_json::from_str(&run("sarif")).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let rules: Vec<&str> = results
        .iter()
        .map(|result| result["ruleId"].as_str().unwrap())
        .collect();
    assert_eq!(
        rules,
        [
            "by-index-alone",
            "not-checkable",
            "other-digest",
            "not-in-log"
        ]
    );
    let region = &results[3]["locations"][0]["physicalLocation"]["region"];
    assert_eq!(region["startLine"], 38);

    // Entries of other keys neither vouch nor contradict.
    let lock = files.write("Cargo.lock", &locked("twice", &twice.artifact_hash));
    let key = files.write("key.pub", author.public_pem());
    let of_key = |key: &Path| files.run(api, &lock, &["--key", key.to_str().unwrap()]);
    assert!(of_key(&key).status.success());
    let key = files.write("other.pub", other.public_pem());
    assert_eq!(of_key(&key).status.code(), Some(24));
    server.stop();
}

#[test]
fn an_artefact_that_is_logged_often_is_read_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut program::serve(folder.path()));
    let files = Files::of(server.api);
    // One artefact, by many keys.
    let digest = tlog::sha256(b"often").to_string();
    for number in 0..40 {
        let author = Author::new(&format!("key {number}"));
        let signature: DerSignature = author.key().sign(b"often");
        let proposal = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": digest}},
            "signature": {
                "content": BASE64_STANDARD.encode(signature.as_bytes()),
                "publicKey": {"content": BASE64_STANDARD.encode(author.public_pem())},
            },
        }});
        let answer = http::post(server.api, "/api/v1/log/entries", &proposal.to_string());
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let lock = files.write("Cargo.lock", &locked("often", &digest));
    let output = files.run(server.api, &lock, &["--format", "json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        json["artefacts"][0]["entries"].as_array().unwrap().len(),
        40
    );
    server.stop();
}

#[test]
fn a_log_without_the_bulk_search_is_asked_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = program::serve(folder.path());
    let server = Server::start(serve.args([
        "--enabled-api-endpoints",
        "createLogEntry,searchIndex,searchLogQuery,getTrustedRoot",
    ]));
    let files = Files::of(server.api);
    let proposal = Author::new("rekor").sign("artefact");
    entries::log(server.api, &proposal);
    let lock = [
        locked("a", &proposal.artifact_hash),
        locked("b", &hex::encode([1; 32])),
    ]
    .concat();
    let lock = files.write("Cargo.lock", &lock);
    let output = files.run(server.api, &lock, &[]);
    assert_eq!(output.status.code(), Some(24), "{output:?}");
    let text = program::text(&output.stdout);
    assert!(
        text.contains("logged       a 1.0.0") && text.contains("absent       b 1.0.0"),
        "{text}"
    );
    assert!(
        text.contains("cannot be searched by the name of a package"),
        "{text}"
    );
    server.stop();
}

#[test]
fn refusals_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut program::serve(folder.path()));
    let (api, files) = (server.api, Files::of(server.api));
    let proposal = Author::new("refused").sign("artefact");
    entries::log(api, &proposal);
    let lock = files.write("Cargo.lock", &locked("a", &proposal.artifact_hash));
    let refused = |lock: &Path, code| program::refusal(&files.run(api, lock, &[]), code);
    assert!(refused(&files.write("lock.json", "{}"), 2).contains("the name of a lock file"));
    let cut = files.write(
        "package-lock.json",
        "{\"lockfileVersion\": 3, \"packages\": {\"",
    );
    assert!(refused(&cut, 2).contains("is cut short"));
    let not_a_key = files.run(api, &lock, &["--key", lock.to_str().unwrap()]);
    assert!(program::refusal(&not_a_key, 2).contains("public key in PEM"));

    // Another ledger's key.
    let other = tempfile::tempdir().unwrap();
    let stranger = Server::start(&mut program::serve(other.path()));
    let root = http::get(stranger.api, "/trust/trusted_root.json");
    files.write("trusted_root.json", &root.body);
    assert!(refused(&lock, 20).contains("does not verify"));
    stranger.stop();
    server.stop();
    assert!(refused(&lock, 22).contains("cannot be reached"));
}
