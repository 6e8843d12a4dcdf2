//! `treehead doctor`: documents, URLs, and the server on this machine, with one fault after the
//! other.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use serde_json::Value;

use crate::entries::{self, Author};
use crate::http;
use crate::postgres::Storage;
use crate::program::{self, Server};

/// Runs the command and returns its exit code and its JSON.
fn examine(command: &mut Command) -> (Option<i32>, Value) {
    let output = command.args(["--format", "json"]).output().unwrap();
    let document = serde_json::from_slice(&output.stdout);
    let document = document.unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code(), document)
}

fn doctor(document: &str) -> Command {
    let mut command = program::program();
    command.args(["doctor", document]);
    command
}

/// Findings that depend on the machine of the test.
const OF_THE_MACHINE: [&str; 4] = [
    "disk-nearly-full",
    "memory",
    "memory-file-system",
    "clock-not-synchronised",
];

/// The IDs of the findings of one severity, but for those of the machine.
fn ids(report: &Value, severity: &str) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    let findings = findings.filter(|finding| finding["severity"] == severity);
    let ids = findings.map(|finding| finding["id"].as_str().unwrap());
    ids.filter(|id| !OF_THE_MACHINE.contains(id))
        .map(str::to_owned)
        .collect()
}

fn fact(report: &Value, label: &str) -> String {
    let mut facts = report["facts"].as_array().unwrap().iter();
    let found = facts.find(|fact| fact["label"] == label);
    let found = found.unwrap_or_else(|| panic!("no {label} in {report:#}"));
    found["value"].as_str().unwrap().to_owned()
}

/// `doctor` about the server of this storage, which may run.
fn local(storage: &Storage, server: Option<&Server>) -> Command {
    // With port 0 nobody knows where a server would be.
    let unknown = || "127.0.0.1:0".to_owned();
    let api = server.map_or_else(unknown, |server| server.api.to_string());
    let metrics = server.map_or_else(unknown, |server| server.metrics.to_string());
    local_at(storage, &api, &metrics)
}

fn local_at(storage: &Storage, api: &str, metrics: &str) -> Command {
    let mut command = program::program();
    command.arg("doctor").arg("--data-dir").arg(storage.data());
    command.arg("--guard").arg(guard(storage));
    storage.url().map(|url| command.args(["--database", &url]));
    command.args(["--listen", api, "--metrics-listen", metrics]);
    command
}

fn guard(storage: &Storage) -> std::path::PathBuf {
    storage.folder().join("guard")
}

fn serve(storage: &Storage) -> Server {
    Server::start(storage.serve().arg("--guard").arg(guard(storage)))
}

fn fsck(storage: &Storage) -> Output {
    let mut command = program::program();
    command.arg("fsck").arg("--data-dir").arg(storage.data());
    storage.url().map(|url| command.args(["--database", &url]));
    command.output().unwrap()
}

/// The hash of each file of a folder, but for the two that SQLite makes beside a database while
/// anybody reads it.
fn hashes(folder: &Path) -> BTreeMap<String, String> {
    let mut hashes = BTreeMap::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if path.is_dir() {
            hashes.extend(self::hashes(&path));
        } else if !name.ends_with("-wal") && !name.ends_with("-shm") {
            hashes.insert(name, tlog::sha256(&fs::read(&path).unwrap()).to_string());
        }
    }
    hashes
}

#[test]
fn documents_of_a_ledger_are_in_order_and_faults_are_named() {
    let storage = Storage::sqlite();
    let server = Server::start(&mut storage.serve());
    let entry = entries::log(server.api, &Author::new("doctor").sign("one"));
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = program::file(folder.path(), name, text);
        path.display().to_string()
    };
    let trust = |name: &str| http::get(server.api, &format!("/trust/{name}")).body;
    let root = trust("trusted_root.json");
    for (name, text, what) in [
        ("root", root.as_str(), "Sigstore trusted root"),
        (
            "config",
            &trust("signing_config.v0.2.json"),
            "Sigstore signing configuration",
        ),
        (
            "both",
            &trust("trust_config.json"),
            "Sigstore client trust configuration",
        ),
        ("pem", &trust("log.pub"), "public key (PEM)"),
        (
            "vkey",
            &trust("checkpoint.vkey"),
            "C2SP verifier keys (vkeys)",
        ),
        (
            "checkpoint",
            &http::get(server.api, "/checkpoint").body,
            "C2SP checkpoint, as Rekor v2 has them",
        ),
        (
            "head",
            &http::get(server.api, "/api/v1/log").body,
            "tree head of a log by the Rekor v1 API",
        ),
    ] {
        let (code, report) = examine(&mut doctor(&write(name, text)));
        assert_eq!(
            (code, &report["what"]),
            (Some(0), &Value::from(what)),
            "{report:#}"
        );
    }
    // An entry, verified with the keys of the ledger.
    let answer = Value::from_iter([(entry.uuid, entry.entry)]).to_string();
    let answer = write("entry", &answer);
    let root = write("root", &root);
    let (code, report) = examine(doctor(&answer).args(["--trust", &root]));
    assert_eq!(code, Some(0), "{report:#}");
    assert!(fact(&report, "verified").contains("signed the head"));
    let other = write("other", Author::new("other").public_pem());
    let (code, report) = examine(doctor(&answer).args(["--trust", &other]));
    assert_eq!(
        (code, ids(&report, "error")),
        (Some(24), vec!["not-verified".to_owned()])
    );

    // A fault, as text for people.
    let newer = fs::read_to_string(&root)
        .unwrap()
        .replace("version=0.1", "version=0.2");
    let newer = write("newer", &newer);
    let output = doctor(&newer).output().unwrap();
    let text = program::text(&output.stdout);
    assert_eq!(output.status.code(), Some(24));
    for part in [
        "FAULT trusted-root-media-type at /mediaType",
        "refused by: cosign, sigstore-go, sigstore-python",
        "do: set mediaType to application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "Nothing in it would make these refuse it: sigstore-js, rekor-monitor.",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(program::text(&output.stderr).contains("1 fault"));
    program::refusal(&program::run(&["doctor", "/nowhere/bundle.json"]), 2);
    server.stop();
}

#[test]
fn the_url_of_a_log_is_looked_at() {
    let storage = Storage::sqlite();
    let server = Server::start(&mut storage.serve());
    let port = server.api.port();
    // Under the name in its origin the log works for all but rekor-monitor, which wants no port.
    let (code, report) = examine(&mut doctor(&format!("http://localhost:{port}")));
    assert_eq!(ids(&report, "error"), ["origin-other-url"], "{report:#}");
    assert_eq!(code, Some(24));
    let accepted = report["acceptedBy"].as_array().unwrap();
    assert_eq!(
        accepted,
        &["cosign", "sigstore-go", "sigstore-js", "sigstore-python"],
        "{report:#}"
    );
    assert!(fact(&report, "v1 head").contains("signed by"));
    assert!(fact(&report, "v2 head").contains("signed by"));
    // By its address cosign would refuse it.
    let (_, report) = examine(&mut doctor(&format!("http://127.0.0.1:{port}")));
    assert!(
        ids(&report, "error").contains(&"origin-other-host".to_owned()),
        "{report:#}"
    );
    // A URL may lead to a document.
    let (code, report) = examine(&mut doctor(&format!(
        "http://localhost:{port}/trust/trusted_root.json"
    )));
    assert_eq!(
        (code, &report["what"]),
        (Some(0), &"Sigstore trusted root".into()),
        "{report:#}"
    );
    server.stop();
    let (code, report) = examine(&mut doctor(&format!("http://localhost:{port}")));
    assert_eq!(
        (code, ids(&report, "error")),
        (Some(24), vec!["unreachable".to_owned()]),
        "{report:#}"
    );
    program::refusal(&program::run(&["doctor", "ftp://log.example"]), 2);
}

/// A server that is no log, an hour ahead, and sends clients elsewhere.
#[test]
fn a_url_with_faults_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let answer = "HTTP/1.1 301 Moved Permanently\r\nLocation: https://log.example\r\n\
                Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let (code, report) = examine(&mut doctor(&url));
    assert_eq!(code, Some(24));
    let errors = ids(&report, "error");
    for id in ["clock-differs", "no-log-here"] {
        assert!(errors.contains(&id.to_owned()), "{report:#}");
    }
    assert_eq!(ids(&report, "warning"), ["redirect"]);
}

fn a_healthy_server_is_healthy(storage: &Storage) {
    let server = serve(storage);
    entries::log(server.api, &Author::new("healthy").sign("one"));
    let (_, report) = examine(&mut local(storage, Some(&server)));
    assert!(
        ids(&report, "warning").contains(&"fsck-never".to_owned()),
        "{report:#}"
    );
    assert!(fsck(storage).status.success());
    let (code, report) = examine(&mut local(storage, Some(&server)));
    assert_eq!(
        (code, ids(&report, "error")),
        (Some(0), vec![]),
        "{report:#}"
    );
    assert!(fact(&report, "ready").contains("SERVING"));
    assert!(fact(&report, "last fsck").contains("no difference"));
    assert_eq!(
        fact(&report, "server"),
        format!("runs as process {}", server.id())
    );
    assert!(!ids(&report, "note").contains(&"not-running".to_owned()));
    server.stop();

    if storage.url().is_none() {
        // SQLite would do that by itself when somebody reads a database that nobody serves.
        storage.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    }
    let before = hashes(storage.folder());
    let (code, report) = examine(&mut local(storage, None));
    assert_eq!(
        (code, ids(&report, "error")),
        (Some(0), vec![]),
        "{report:#}"
    );
    assert_eq!(hashes(storage.folder()), before);
    let running = !ids(&report, "note").contains(&"not-running".to_owned());
    assert!(!running, "{report:#}");
}

#[test]
fn a_healthy_server_on_sqlite_is_healthy() {
    a_healthy_server_is_healthy(&Storage::sqlite());
}

#[test]
fn a_healthy_server_on_postgres_is_healthy() {
    if let Some(storage) = Storage::postgres() {
        a_healthy_server_is_healthy(&storage);
    }
}

#[test]
fn faults_of_the_machine_are_named() {
    let storage = Storage::sqlite();
    let server = serve(&storage);
    entries::log(server.api, &Author::new("faults").sign("one"));
    server.stop();
    assert!(fsck(&storage).status.success());
    let errors = |command: &mut Command| {
        let (code, report) = examine(command);
        let errors = ids(&report, "error");
        assert_eq!(
            code,
            Some(if errors.is_empty() { 0 } else { 24 }),
            "{report:#}"
        );
        errors
    };
    let mode =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let key = storage.data().join("v1-log.pem");
    mode(&key, 0o644);
    assert_eq!(errors(&mut local(&storage, None)), ["key-file"]);
    mode(&key, 0o600);
    let kept = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    assert_eq!(errors(&mut local(&storage, None)), ["key-file"]);
    fs::write(&key, kept).unwrap();
    mode(&key, 0o600);
    mode(&storage.data(), 0o777);
    let (code, report) = examine(&mut local(&storage, None));
    assert_eq!(
        (code, ids(&report, "warning")),
        (Some(0), vec!["data-folder-open".to_owned()])
    );
    mode(&storage.data(), 0o700);

    // A trusted root that is not there, and one with a fault. That it has no log is none.
    let absent = storage.folder().join("absent.json").display().to_string();
    let mut command = local(&storage, None);
    command.args(["--trusted-root-base", &absent]);
    assert_eq!(errors(&mut command), ["trusted-root-base"]);
    let empty =
        r#"{"mediaType": "application/vnd.dev.sigstore.trustedroot.v0.2+json", "tlogs": []}"#;
    let base = program::file(storage.folder(), "base.json", empty);
    let mut command = local(&storage, None);
    command.arg("--trusted-root-base").arg(base);
    assert_eq!(errors(&mut command), ["trusted-root-media-type"]);

    // Another program on the port, and a witness that nobody runs.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = local_at(&storage, "127.0.0.1:0", &address);
    assert_eq!(errors(&mut command), ["port-taken"]);
    drop(taken);
    let folder = storage.folder().join("witness");
    let folder = folder.to_str().unwrap();
    let vkey = program::run(&[
        "witness",
        "init",
        "--name",
        "witness.example",
        "--data-dir",
        folder,
    ]);
    let policy = format!(
        "witness a {} http://{address}\nquorum a\n",
        program::text(&vkey.stdout).trim()
    );
    let policy = program::file(storage.folder(), "policy", &policy)
        .display()
        .to_string();
    let (_, report) = examine(local(&storage, None).args(["--witness-policy", &policy]));
    assert_eq!(ids(&report, "error"), ["witness-quorum"], "{report:#}");
    assert_eq!(ids(&report, "warning"), ["witness-unreachable"]);

    // A guard that is damaged, and a database that is no database.
    let place = guard(&storage);
    let kept = fs::read(&place).unwrap();
    fs::write(&place, "damaged").unwrap();
    assert_eq!(errors(&mut local(&storage, None)), ["guard-unreadable"]);
    fs::write(&place, kept).unwrap();
    let database = storage.data().join("treehead.db");
    // All of it into the one file.
    storage.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    let kept = fs::read(&database).unwrap();
    fs::write(
        &database,
        "no database, but as long as a header of one has to be: ".repeat(9),
    )
    .unwrap();
    assert!(errors(&mut local(&storage, None)).contains(&"database-unusable".to_owned()));
    fs::write(&database, kept).unwrap();
    assert_eq!(errors(&mut local(&storage, None)), Vec::<String>::new());
    fs::remove_file(&database).unwrap();
    assert_eq!(errors(&mut local(&storage, None)), ["database-missing"]);
}

#[test]
fn a_database_that_went_back_and_differences_are_named() {
    let storage = Storage::sqlite();
    let author = Author::new("back");
    let server = serve(&storage);
    entries::log(server.api, &author.sign("one"));
    server.stop();
    let copy = storage.folder().join("copy.db");
    storage.execute(&format!("VACUUM INTO '{}'", copy.display()));
    let server = serve(&storage);
    entries::log(server.api, &author.sign("two"));
    server.stop();
    for name in ["treehead.db-wal", "treehead.db-shm"] {
        // They may be gone with the server.
        let _ = fs::remove_file(storage.data().join(name));
    }
    fs::rename(&copy, storage.data().join("treehead.db")).unwrap();
    assert!(fsck(&storage).status.success());
    let (code, report) = examine(&mut local(&storage, None));
    assert_eq!(code, Some(24));
    assert!(
        ids(&report, "error")
            .iter()
            .all(|id| id == "database-went-back"),
        "{report:#}"
    );
    // The server runs and is read-only: the reason leads to the section of the guide.
    let server = serve(&storage);
    let (_, report) = examine(&mut local(&storage, Some(&server)));
    assert!(
        ids(&report, "error").contains(&"not-ready".to_owned()),
        "{report:#}"
    );
    server.stop();
    storage.execute("DELETE FROM index_key");
    assert_eq!(fsck(&storage).status.code(), Some(9));
    let (_, report) = examine(&mut local(&storage, None));
    assert!(
        ids(&report, "error").contains(&"fsck-differences".to_owned()),
        "{report:#}"
    );
}
