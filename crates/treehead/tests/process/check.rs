//! The commands that read a log: `log`, `get` and `proof`, against servers of this program.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use tlog::{NoteKey, TlogProof};

use crate::entries::{self, Author};
use crate::program::{self, Server};

/// A client with its own state and the trust material of one ledger.
pub(crate) struct Client {
    folder: tempfile::TempDir,
}

impl Client {
    /// Trusts what the server at this address hands out.
    pub(crate) fn of(server: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["trusted_root.json", "log.pub", "checkpoint.vkey"] {
            let document = crate::http::get(server, &format!("/trust/{name}"));
            fs::write(folder.path().join(name), document.body).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn run_with(&self, trust: &str, server: SocketAddr, arguments: &[&str]) -> Output {
        let mut command = program::program();
        command.args(arguments).args(["--trust", &self.path(trust)]);
        command.args(["--url", &format!("http://{server}")]);
        if arguments[0] == "log" {
            command.args(["--state", &self.path("state")]);
        }
        command.output().unwrap()
    }

    pub(crate) fn run(&self, server: SocketAddr, arguments: &[&str]) -> Output {
        self.run_with("trusted_root.json", server, arguments)
    }

    /// Runs a command that must succeed, and returns its JSON.
    pub(crate) fn json(&self, server: SocketAddr, arguments: &[&str]) -> Value {
        let output = self.run(server, &[arguments, &["--format", "json"]].concat());
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a command that must succeed, and returns its text.
    pub(crate) fn text(&self, server: SocketAddr, arguments: &[&str]) -> String {
        let output = self.run(server, arguments);
        assert!(output.status.success(), "{output:?}");
        assert!(!output.stdout.contains(&0x1b), "no colours in a pipe");
        program::text(&output.stdout)
    }
}

/// Copies the data folder of a server that is stopped.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[test]
fn heads_are_remembered_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut program::serve(folder.path()));
    let (author, client) = (Author::new("heads"), Client::of(server.api));
    for api in ["v1", "v2"] {
        let log = ["log", "--api", api];
        assert_eq!(client.json(server.api, &log)["history"], "new");
        assert_eq!(client.json(server.api, &log)["history"], "same");
        for number in 0..3 {
            let proposal = author.sign(&format!("{api} {number}"));
            match api {
                "v1" => drop(entries::log(server.api, &proposal)),
                _ => drop(entries::log_v2(server.api, &proposal)),
            }
        }
        let head = client.json(server.api, &log);
        assert_eq!(
            (&head["history"], &head["head"]["size"]),
            (&"extends".into(), &3.into())
        );
        assert_eq!(head["seen"]["size"], 0);
        let text = client.text(server.api, &log);
        assert!(text.starts_with("verified: the head of http://"), "{text}");
        assert!(text.contains("the same as seen at 20"), "{text}");
    }
    server.stop();
}

#[test]
fn a_log_that_went_back_or_forked_is_an_alarm_with_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let (data, old) = (folder.path().join("data"), folder.path().join("old"));
    let server = Server::start(&mut program::serve(&data));
    let (author, client) = (Author::new("fork"), Client::of(server.api));
    entries::log(server.api, &author.sign("first"));
    let address = server.api;
    server.stop();
    copy(&data, &old);
    let start = |data: &Path| {
        let mut command = program::program();
        let (listen, data) = (address.to_string(), data.display().to_string());
        command.args([
            "serve",
            "--listen",
            &listen,
            "--metrics-listen",
            "127.0.0.1:0",
        ]);
        Server::start(command.args(["--data-dir", &data]))
    };
    let server = start(&data);
    entries::log(server.api, &author.sign("second"));
    assert_eq!(client.json(server.api, &["log"])["head"]["size"], 2);
    server.stop();

    let server = start(&old);
    let refused = program::refusal(&client.run(server.api, &["log"]), 21);
    assert!(refused.contains("the log went back"), "{refused}");
    // The head that was seen stays remembered, so the alarm does too.
    entries::log(server.api, &author.sign("other"));
    let refused = program::refusal(&client.run(server.api, &["log"]), 21);
    assert!(refused.contains("two roots of one size"), "{refused}");
    entries::log(server.api, &author.sign("third"));
    let refused = program::refusal(&client.run(server.api, &["log"]), 21);
    assert!(
        refused.contains("no proof leads from one to the other"),
        "{refused}"
    );
    let (_, evidence) = refused.rsplit_once("Both heads are in ").unwrap();
    let evidence: Value = serde_json::from_slice(&fs::read(evidence).unwrap()).unwrap();
    assert!(
        evidence["seen"].as_str().unwrap().contains("\n2\n"),
        "{evidence}"
    );
    assert!(
        evidence["now"].as_str().unwrap().contains("\n3\n"),
        "{evidence}"
    );
    server.stop();
}

#[test]
fn entries_are_fetched_by_index_id_hash_and_file() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut program::serve(folder.path()));
    let (author, client) = (Author::new("get"), Client::of(server.api));
    let proposal = author.sign("artifact");
    let logged = entries::log(server.api, &proposal);
    entries::log_v2(server.api, &proposal);
    let artifact = program::file(client.folder.path(), "artifact", "artifact by get");
    let artifact = artifact.display().to_string();
    let hash = format!("sha256:{}", proposal.artifact_hash);
    for api in ["v1", "v2"] {
        let by_index = ["get", "--api", api, "--log-index", "0"];
        let found = client.json(server.api, &by_index);
        let entry = &found["entries"][0];
        let id = match api {
            "v1" => logged.uuid.clone(),
            _ => entry["inclusion"]["leafHash"].as_str().unwrap().to_owned(),
        };
        assert_eq!(
            client.json(server.api, &["get", "--api", api, "--uuid", &id]),
            found
        );
        for search in [["--hash", &hash], ["--file", &artifact]] {
            let found = client.json(server.api, &[&["get", "--api", api][..], &search].concat());
            assert_eq!(found["entries"][0]["body"], entry["body"]);
            assert_eq!(
                (&found["found"], &found["entries"][0]["statesHash"]),
                (&1.into(), &true.into())
            );
        }
        let text = client.text(server.api, &by_index);
        assert!(text.contains("kind         hashedrekord 0.0."), "{text}");
        let absent = ["get", "--api", api, "--log-index", "1"];
        program::refusal(&client.run(server.api, &absent), 23);
        let absent = ["get", "--api", api, "--hash", &"0".repeat(64)];
        program::refusal(&client.run(server.api, &absent), 23);
    }
    server.stop();
}

#[test]
fn proofs_show_their_path_and_are_written_as_tlog_proof() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut program::serve(folder.path()));
    let (author, client) = (Author::new("proof"), Client::of(server.api));
    for number in 0..7 {
        entries::log(server.api, &author.sign(&number.to_string()));
    }
    let file = client.path("entry.tlog-proof");
    let arguments = ["proof", "--log-index", "5", "--tlog-proof", &file];
    let proof = client.json(server.api, &arguments);
    let text = client.text(server.api, &arguments);
    let root = proof["head"]["root"].as_str().unwrap();
    assert!(
        text.trim_end().ends_with(&format!("= node {root}")),
        "{text}"
    );
    let leaf_hash = hash(&proof["leafHash"]);
    let written: TlogProof = fs::read_to_string(&file).unwrap().parse().unwrap();
    let signer: NoteKey = proof["head"]["signer"].as_str().unwrap().parse().unwrap();
    let origin = proof["head"]["origin"].as_str().unwrap();
    written.verify(&leaf_hash, origin, &[signer]).unwrap();

    let first = client.json(server.api, &["proof", "--first", "3"]);
    let first_root = first["firstRoot"].as_str().unwrap();
    let text = client.text(
        server.api,
        &["proof", "--first", "3", "--first-root", first_root],
    );
    assert!(
        text.trim_end().ends_with(&format!("= second {root}")),
        "{text}"
    );
    let wrong = ["proof", "--first", "3", "--first-root", root];
    program::refusal(&client.run(server.api, &wrong), 20);
    let power = program::refusal(&client.run(server.api, &["proof", "--first", "4"]), 20);
    assert!(power.contains("give it"), "{power}");

    // The tree of the v1 log as tiles, under its C2SP key.
    let tree = server.tree("v1").to_owned();
    let mut command = program::program();
    let url = format!("http://{}/trees/{tree}", server.api);
    command.args(["proof", "--api", "v2", "--log-index", "5", "--url", &url]);
    let output = command
        .args(["--trust", &client.path("checkpoint.vkey")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = program::text(&output.stdout);
    assert!(
        text.trim_end().ends_with(&format!("= node {root}")),
        "{text}"
    );
    server.stop();
}

#[test]
fn what_was_kept_is_verified_without_a_network() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut program::serve(folder.path()));
    let (author, client) = (Author::new("verify"), Client::of(server.api));
    let proposal = author.sign("artifact");
    let answer = crate::http::post(server.api, "/api/v1/log/entries", &proposal.json);
    let v2 = entries::log_v2(server.api, &proposal).to_string();
    let tree = server.tree("v1").to_owned();
    let bundled = crate::http::get(server.api, &format!("/trees/{tree}/entries/0")).body;
    let proof = format!("/trees/{tree}/entries/0/tlog-proof");
    let proof = crate::http::get(server.api, &proof).body;
    server.stop();

    let keep = |name: &str, text: &str| {
        let path = program::file(client.folder.path(), name, text);
        path.display().to_string()
    };
    let artifact = keep("artifact", "artifact by verify");
    let other = keep("other", "artifact by another");
    let verify = |trust: &str, arguments: &[&str]| {
        let trust = client.path(trust);
        program::run(&[&["verify", "--trust", &trust][..], arguments].concat())
    };
    let mut leaf = Vec::new();
    for (name, text) in [("v1", &answer.body), ("v2", &v2), ("bundled", &bundled)] {
        let entry = keep(name, text);
        let output = verify(
            "trusted_root.json",
            &["--entry", &entry, &artifact, "--format", "json"],
        );
        assert!(output.status.success(), "{name}: {output:?}");
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["integratedTime"].is_null(), name == "v2", "{json}");
        leaf = BASE64_STANDARD
            .decode(json["body"].as_str().unwrap())
            .unwrap();
        let refused = verify("trusted_root.json", &["--entry", &entry, &other]);
        let refused = program::refusal(&refused, 20);
        assert!(refused.contains("does not state"), "{refused}");
        // One digit of the signed time, or of the index in the tree.
        let digits = text.replace("\"integratedTime\":1", "\"integratedTime\":2");
        let digits = digits.replace("\"integratedTime\":\"1", "\"integratedTime\":\"2");
        let changed = match name {
            "v2" => text.replace("\"treeSize\":\"1\"", "\"treeSize\":\"2\""),
            _ => digits,
        };
        assert_ne!(changed, *text, "{text}");
        let changed = keep("changed", &changed);
        program::refusal(&verify("trusted_root.json", &["--entry", &changed]), 20);
        let cut = keep("cut", &text[..text.len() / 2]);
        program::refusal(&verify("trusted_root.json", &["--entry", &cut]), 20);
    }

    // The loop ended with the entry of the v1 tree, whose leaf the tlog-proof proves.
    let (leaf_hash, proof) = (tlog::leaf_hash(&leaf).to_string(), keep("proof", &proof));
    std::fs::write(client.path("leaf"), &leaf).unwrap();
    for given in [
        ["--leaf-hash", &leaf_hash],
        ["--leaf", &client.path("leaf")],
    ] {
        let arguments = [&["--tlog-proof", &proof][..], &given].concat();
        let output = verify("checkpoint.vkey", &arguments);
        assert!(output.status.success(), "{output:?}");
        // The trusted root has no key of C2SP checkpoints of v1.
        program::refusal(&verify("trusted_root.json", &arguments), 20);
    }
    let zeros = "0".repeat(64);
    let wrong = ["--tlog-proof", &proof, "--leaf-hash", &zeros];
    program::refusal(&verify("checkpoint.vkey", &wrong), 20);
    program::refusal(&verify("checkpoint.vkey", &["--tlog-proof", &proof]), 2);
    program::refusal(&verify("checkpoint.vkey", &[]), 2);
}

fn hash(text: &Value) -> tlog::Hash {
    let mut hash = tlog::Hash([0; 32]);
    hex::decode_to_slice(text.as_str().unwrap(), &mut hash.0).unwrap();
    hash
}

#[test]
fn refusals_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut program::serve(folder.path()));
    let address = server.api;
    let client = Client::of(address);
    let other = tempfile::tempdir().unwrap();
    let other = Server::start(&mut program::serve(other.path()));
    let stranger = Client::of(other.api);
    other.stop();
    let refused = program::refusal(&stranger.run(address, &["log"]), 20);
    assert!(refused.contains("is signed by localhost+"), "{refused}");
    assert!(refused.contains("by no trusted key"), "{refused}");
    for trust in ["log.pub", "checkpoint.vkey", "trusted_root.json"] {
        let api = if trust == "log.pub" { "v1" } else { "v2" };
        let output = client.run_with(trust, address, &["log", "--api", api]);
        assert!(output.status.success(), "{trust}: {output:?}");
    }
    let absent = program::refusal(&client.run_with("absent", address, &["log"]), 2);
    assert!(absent.contains("absent"), "{absent}");
    program::refusal(&client.run(address, &["get"]), 2);
    program::refusal(&client.run(address, &["get", "--uuid", "12"]), 2);
    program::refusal(&client.run(address, &["get", "--hash", "12"]), 2);
    program::refusal(&program::run(&["log"]), 2);
    // The variables of `log` do not stand in the way of `log add`.
    let mut add = program::program();
    add.args(["log", "add", "v1", "--data-dir", &client.path("absent")]);
    add.envs([
        ("TREEHEAD_URL", "http://x"),
        ("TREEHEAD_TRUST", "x"),
        ("TREEHEAD_STATE", "x"),
    ]);
    program::refusal(&add.output().unwrap(), 6);
    server.stop();
    let refused = program::refusal(&client.run(address, &["log"]), 22);
    assert!(refused.contains("cannot be reached"), "{refused}");
}

#[test]
fn the_help_is_what_was_reviewed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    for command in [
        "log",
        "get",
        "proof",
        "verify",
        "verify-lock",
        "monitor",
        "doctor",
        "search",
        "upload",
        "attest",
        "audit",
        "audit-pack",
    ] {
        let help = program::text(&program::run(&[command, "--help"]).stdout);
        let path = folder.join(format!("{command}.txt"));
        if std::env::var_os("WRITE_HELP").is_some() {
            fs::write(&path, &help).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            help, kept,
            "if this is meant: WRITE_HELP=1 cargo test -p treehead help"
        );
    }
}
