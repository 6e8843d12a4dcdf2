//! No log line hurts, whatever stderr is: a full disk, a pipe that nobody reads, a pipe whose
//! reader is gone.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor};

use crate::entries::{self, Author};
use crate::http;
use crate::postgres::Storage;
use crate::program::{self, Server};

/// As a file on a full disk: every write fails.
fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// The sample of a metric without labels.
fn metric(server: &Server, name: &str) -> u64 {
    let text = http::get(server.metrics, "/metrics").body;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name}: {text}"))
        .parse()
        .unwrap()
}

const DROPPED: &str = "treehead_log_lines_dropped_total";

#[test]
fn a_server_whose_log_cannot_be_written_starts_serves_and_stops() {
    let storage = Storage::sqlite();
    let mut server = Server::start_on(&mut storage.serve(), full());
    for number in 0..3 {
        entries::log(server.api, &Author::new("full").sign(&number.to_string()));
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(http::get(server.api, path).status, 200, "{path}");
    }
    // The line that says that it serves was the first.
    assert!(metric(&server, DROPPED) > 0);
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    storage.assert_in_order();
}

#[test]
fn a_database_that_was_busy_is_written_to_again_though_nobody_could_be_told() {
    let storage = Storage::sqlite();
    let mut server = Server::start_on(&mut storage.serve(), Stdio::piped());
    let author = Author::new("reader gone");
    entries::log(server.api, &author.sign("before"));
    drop(server.stderr());
    let busy = author.sign("while another program holds the database");
    let answer = holding(&storage.data().join("treehead.db"), || {
        http::post(server.api, "/api/v1/log/entries", &busy.json)
    });
    assert_eq!(answer.status, 503, "{answer:?}");
    entries::log(server.api, &busy);
    assert_eq!(http::get(server.api, "/readyz").status, 200);
    assert!(metric(&server, DROPPED) > 0);
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    storage.assert_in_order();
}

/// Holds the right to write to a SQLite file meanwhile.
fn holding<T>(file: &Path, work: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut connection = runtime
        .block_on(SqliteConnection::connect(&format!(
            "sqlite://{}",
            file.display()
        )))
        .unwrap();
    runtime
        .block_on(connection.execute("BEGIN IMMEDIATE"))
        .unwrap();
    let outcome = work();
    runtime.block_on(connection.execute("ROLLBACK")).unwrap();
    runtime.block_on(connection.close()).unwrap();
    outcome
}

/// Requests whose lines are more than the pipe and all buffers hold: 10,000 of some 700 bytes.
const REQUESTS: usize = 10_000;

#[test]
fn a_server_whose_log_nobody_reads_answers_and_stops() {
    for signal in ["TERM", "INT"] {
        let storage = Storage::sqlite();
        let mut server = Server::start_on(&mut storage.serve(), Stdio::piped());
        let unread = server.stderr();
        ask_often(server.api, &format!("/api/v1/{}", "x".repeat(500)));
        assert_eq!(http::get(server.api, "/healthz").status, 200);
        assert!(metric(&server, DROPPED) > 0);
        entries::log(server.api, &Author::new("unread").sign("one"));
        server.signal(signal);
        assert_eq!(server.wait(), Some(0), "{signal}");
        drop(unread);
    }
}

/// Sends [`REQUESTS`] requests over one connection and reads all answers.
fn ask_often(server: SocketAddr, path: &str) {
    let mut stream = http::connect(server).unwrap();
    let mut writing = stream.try_clone().unwrap();
    let (kept, last) = (
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes(),
        http::head("GET", path, 0).into_bytes(),
    );
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 1..REQUESTS {
                writing.write_all(&kept).unwrap();
            }
            writing.write_all(&last).unwrap();
        });
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers).unwrap();
        assert_eq!(
            String::from_utf8(answers)
                .unwrap()
                .matches("HTTP/1.1 404")
                .count(),
            REQUESTS
        );
    });
}

#[test]
fn a_witness_whose_log_cannot_be_written_serves_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("witness");
    let output = program::run(&[
        "witness",
        "init",
        "--name",
        "witness.example",
        "--data-dir",
        data.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{output:?}");
    let logs = program::file(folder.path(), "logs", "");
    let serve = || {
        let mut command = program::program();
        command.args([
            "witness",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
            "--data-dir",
        ]);
        command.arg(&data).arg("--logs").arg(&logs);
        command
    };
    for stderr in [Stdio::piped(), full().into()] {
        let mut server = Server::start_on(&mut serve(), stderr);
        // Where it is a pipe, its reader goes away here.
        drop(server.stderr());
        server.signal("HUP");
        // It is answered in a moment, with a line that nobody takes.
        while metric(&server, DROPPED) == 0 {
            thread::yield_now();
        }
        server.signal("TERM");
        assert_eq!(server.wait(), Some(0));
    }
}

/// Every command ends with the code that it has where its log can be written.
#[test]
fn commands_end_as_usual() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let out = folder.path().join("trust").display().to_string();
    let bad = program::file(folder.path(), "bad.toml", "logging.level = \"warning\"\n")
        .display()
        .to_string();
    let witness = folder.path().join("witness").display().to_string();
    let commands: [(&[&str], i32); 12] = [
        (&["--version"], 0),
        (&["serve", "--help"], 0),
        (&[], 2),
        (&["serve", "--no-such-flag"], 2),
        (&["config", "check", &bad], 2),
        (&["fsck", "--data-dir", &data], 6),
        (&["init", "--data-dir", &data], 0),
        (&["fsck", "--data-dir", &data], 0),
        (&["trust", "export", "--data-dir", &data, "--out", &out], 0),
        (
            &["serve", "--data-dir", &data, "--listen", "192.0.2.1:1"],
            7,
        ),
        (
            &[
                "witness",
                "init",
                "--name",
                "witness.example",
                "--data-dir",
                &witness,
            ],
            0,
        ),
        (&["witness", "vkey", "--data-dir", &witness], 0),
    ];
    for (arguments, code) in commands {
        let output = program::program()
            .args(arguments)
            .stderr(full())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
    // What nobody can read was not done.
    let help = program::program()
        .arg("--help")
        .stdout(full())
        .output()
        .unwrap();
    assert_eq!(help.status.code(), Some(1), "{help:?}");
}

#[test]
fn a_rotation_whose_log_cannot_be_written_is_one_rotation() {
    let storage = Storage::sqlite();
    let rotate = || {
        let mut command: Command = program::program();
        command
            .args(["rotate", "--log", "v1", "--data-dir"])
            .arg(storage.data());
        command
    };
    program::run(&["init", "--data-dir", storage.data().to_str().unwrap()]);
    // Nobody would learn of it: nothing is frozen.
    assert_eq!(
        rotate().stdout(full()).output().unwrap().status.code(),
        Some(1)
    );
    assert_eq!(trees(&storage), 2);
    let output = rotate().stderr(full()).output().unwrap();
    let told = program::text(&output.stdout);
    assert!(
        output.status.success() && told.contains("may be destroyed"),
        "{told}"
    );
    assert_eq!(trees(&storage), 3);
    storage.assert_in_order();
}

/// How many trees the ledger has, as `fsck` sees it.
fn trees(storage: &Storage) -> usize {
    let output = program::run(&["fsck", "--data-dir", storage.data().to_str().unwrap()]);
    program::text(&output.stdout).matches("in order").count()
}
