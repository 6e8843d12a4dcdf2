//! What the first start makes and says, and what later starts find.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::entries::{self, Author};
use crate::http;
use crate::postgres::Storage;
use crate::program::{self, Server, program};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn makes_everything_and_says_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program();
    // No flags but free ports.
    command
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
        ])
        .current_dir(folder.path());
    let server = Server::start(&mut command);
    let data = folder.path().join("treehead-data").canonicalize().unwrap();
    assert_eq!(mode(&data), 0o700);
    for key in ["v1-log.pem", "v1-checkpoint.pem", "v2-log.pem"] {
        assert_eq!(mode(&data.join(key)), 0o600, "{key}");
    }
    assert_eq!(mode(&data.join("treehead.db")), 0o600);
    for wanted in [
        "created a new ledger",
        "localhost",
        "--name",
        &format!("{}/treehead.db", data.display()),
        &format!("{}/v1-log.pem", data.display()),
        &format!("{}/v1-checkpoint.pem", data.display()),
        &format!("{}/v2-log.pem", data.display()),
    ] {
        assert!(
            server.banner.contains(wanted),
            "{wanted}: {}",
            server.banner
        );
    }
    let log = http::get(server.api, "/api/v1/log").json();
    assert!(server.banner.contains(log["treeID"].as_str().unwrap()));
    let pem = http::get(server.api, "/api/v1/log/publicKey").body;
    assert!(server.banner.contains(&pem), "{}", server.banner);
    // The keys of the checkpoints of both logs.
    let vkeys = http::get(server.api, "/trust/checkpoint.vkey").body;
    assert_eq!(vkeys.lines().count(), 2);
    for vkey in vkeys.lines() {
        assert!(server.banner.contains(vkey), "{vkey}: {}", server.banner);
    }
    assert_eq!(http::get(server.api, "/readyz").status, 200);
    assert!(
        http::get(server.metrics, "/metrics")
            .body
            .contains("treehead_")
    );
    server.stop();
}

#[test]
fn printed_curl_lines_work_as_pasted() {
    for tool in ["curl", "openssl", "bash"] {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {tool}")])
            .output()
            .unwrap()
            .status
            .success();
        if !found {
            assert!(std::env::var_os("CI").is_none(), "{tool} is missing");
            println!("passed over: {tool} is missing");
            return;
        }
    }
    let storage = Storage::sqlite();
    let server = Server::start(&mut storage.serve());
    let printed = server.printed_until("With cosign 3:");
    for (heading, wanted) in [
        ("With curl, by Rekor v1:\n\n", "signedEntryTimestamp"),
        ("With curl, by Rekor v2:\n\n", "inclusionProof"),
    ] {
        let (_, block) = printed.split_once(heading).unwrap();
        let (block, _) = block.split_once("\n\nWith ").unwrap();
        let output = Command::new("bash").args(["-c", block]).output().unwrap();
        assert!(program::text(&output.stdout).contains(wanted), "{output:?}");
    }
}

#[test]
fn second_start_finds_the_same_ledger() {
    let storage = Storage::sqlite();
    let author = Author::new("second start");
    let first = Server::start(&mut storage.serve());
    let logged = entries::log(first.api, &author.sign("one"));
    let key = http::get(first.api, "/api/v1/log/publicKey").body;
    first.stop();

    let second = Server::start(&mut storage.serve());
    assert!(
        second.banner.contains("opened the ledger"),
        "{}",
        second.banner
    );
    assert_eq!(http::get(second.api, "/api/v1/log/publicKey").body, key);
    entries::assert_logged(second.api, &author, &logged);
    second.stop();
    storage.assert_in_order();
}

#[test]
fn init_makes_a_ledger_once() {
    let storage = Storage::sqlite();
    let data = storage.data().display().to_string();
    let output = program::run(&["init", "--data-dir", &data, "--name", "log.example"]);
    assert!(output.status.success(), "{output:?}");
    assert!(program::text(&output.stdout).contains("log.example"));
    let key = std::fs::read(storage.data().join("v1-log.pem")).unwrap();

    let again = program::refusal(
        &program::run(&["init", "--data-dir", &data, "--name", "other.example"]),
        6,
    );
    assert!(again.contains("log.example"), "{again}");
    assert_eq!(
        std::fs::read(storage.data().join("v1-log.pem")).unwrap(),
        key
    );

    // The name was given once; it need not be given again.
    let server = Server::start(&mut storage.serve());
    assert!(
        http::get(server.api, "/api/v1/log").json()["signedTreeHead"]
            .as_str()
            .unwrap()
            .starts_with("log.example - ")
    );
    server.stop();
}

#[test]
fn a_key_without_a_log_is_taken_only_if_it_is_named() {
    let storage = Storage::sqlite();
    let data = storage.data().display().to_string();
    program::run(&["init", "--data-dir", &data]);
    std::fs::remove_file(storage.data().join("treehead.db")).unwrap();
    let refused = program::refusal(&program::run(&["init", "--data-dir", &data]), 6);
    assert!(refused.contains("v1-log.pem"), "{refused}");
    // Nor does `serve` begin the log again under its old key.
    let refused = program::refusal(&storage.serve().output().unwrap(), 6);
    assert!(refused.contains("--v1-key"), "{refused}");
    let mut flags = vec!["init".to_owned(), "--data-dir".to_owned(), data];
    for (flag, file) in [
        ("--v1-key", "v1-log.pem"),
        ("--v1-checkpoint-key", "v1-checkpoint.pem"),
        ("--v2-key", "v2-log.pem"),
    ] {
        let flags_before: Vec<&str> = flags.iter().map(String::as_str).collect();
        let refused = program::refusal(&program::run(&flags_before), 6);
        assert!(refused.contains(file), "{refused}");
        let file = storage.data().join(file).display().to_string();
        flags.extend([flag.to_owned(), file]);
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let output = program::run(&flags);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn flag_goes_before_environment_before_file() {
    let storage = Storage::sqlite();
    let file = program::file(
        storage.folder(),
        "treehead.toml",
        "ledger.name = \"file.example\"\n",
    );
    let cases: [(&[&str], Option<&str>, &str); 3] = [
        (
            &["--name", "flag.example"],
            Some("variable.example"),
            "flag.example",
        ),
        (&[], Some("variable.example"), "variable.example"),
        (&[], None, "file.example"),
    ];
    for (flags, variable, name) in cases {
        let mut command = program();
        command
            .arg("init")
            .arg("--data-dir")
            .arg(storage.folder().join(name))
            .arg("--config")
            .arg(&file)
            .args(flags);
        variable.map(|variable| command.env("TREEHEAD_NAME", variable));
        let output = command.output().unwrap();
        let shown = program::text(&output.stdout);
        assert!(
            shown
                .lines()
                .any(|line| line.split_whitespace().eq(["name", name])),
            "{output:?}"
        );
    }
}

#[test]
fn settings_that_postgres_lacks_are_named_once_a_start() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let author = Author::new("settings");
    for (setting, lines) in [("off", 1), ("on", 0)] {
        storage.execute(&format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET wal_compression = {setting}', current_database()); END $$"
        ));
        let server = Server::start(&mut storage.serve());
        // The sequencer's connection is another one.
        entries::log(server.api, &author.sign(setting));
        // Said last; the test server has it as Postgres comes.
        server.wait_for_log("set max_wal_size = 16GB");
        assert_eq!(
            server.log().matches("set wal_compression = on").count(),
            lines,
            "{}",
            server.log()
        );
        server.stop();
    }
}

#[test]
fn a_read_only_server_creates_nothing_and_accepts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent");
    for data in [folder.path(), &absent] {
        let mut command = program::serve(data);
        let refused = program::refusal(&command.arg("--read-only").output().unwrap(), 6);
        assert!(refused.contains("there is no ledger in "), "{refused}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
    let data = folder;
    Server::start(&mut program::serve(data.path())).stop();
    let server = Server::start(program::serve(data.path()).env("TREEHEAD_READ_ONLY", "true"));
    let answer = http::post(
        server.api,
        "/api/v1/log/entries",
        &Author::new("a").sign("x").json,
    );
    assert_eq!(answer.status, 501, "{}", answer.body);
    assert_eq!(http::get(server.api, "/readyz").json()["readOnly"], true);
    assert_eq!(http::get(server.api, "/api/v1/log").json()["treeSize"], 0);
    server.stop();
}
