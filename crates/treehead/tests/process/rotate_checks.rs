//! Everything that a rotation needs is checked before anything is frozen.

use std::fs;

use crate::entries::{self, Author};
use crate::postgres::Storage;
use crate::program::{self, Server};
use crate::rotate::{another_ledger, assert_rotates, frozen_trees, key_file, rotate};

#[test]
fn the_log_is_named_where_there_are_several() {
    let storage = Storage::sqlite();
    init(&storage, &[]);
    let data = storage.data().display().to_string();
    let refused = program::refusal(&program::run(&["rotate", "--data-dir", &data]), 2);
    assert!(
        refused.contains("v1 and v2") && refused.contains("--log"),
        "{refused}"
    );
    let unknown = ["rotate", "--log", "v3", "--data-dir", &data];
    program::refusal(&program::run(&unknown), 2);

    let alone = Storage::sqlite();
    init(&alone, &["--logs", "v2", "--name", "log.example"]);
    let refused = rotate(&alone, &alone.data(), "v1").output().unwrap();
    let refused = program::refusal(&refused, 6);
    assert!(refused.contains("no v1 log, only v2"), "{refused}");
    let mut command = program::program();
    let stdout = assert_rotates(command.args(["rotate", "--data-dir"]).arg(alone.data()));
    assert!(stdout.contains("origin shard2.log.example"), "{stdout}");
}

#[test]
fn settings_that_do_not_do_are_refused_before_anything_is_frozen() {
    let storage = Storage::sqlite();
    init(&storage, &[]);
    let of_data = |name: &str| storage.data().join(name).display().to_string();
    let another = another_ledger(&storage).join("v1-checkpoint.pem");
    let another = another.display().to_string();
    let absent = storage.folder().join("absent").display().to_string();
    let no_key = program::file(storage.folder(), "no-key.pem", "no key");
    let no_key = no_key.display().to_string();
    let witness = storage.folder().join("witness").display().to_string();
    let witness = [
        "witness",
        "init",
        "--name",
        "w.example",
        "--data-dir",
        &witness,
    ];
    let vkey = program::text(&program::run(&witness).stdout);
    let policy = format!("witness w {}\nquorum w\n", vkey.trim());
    let no_url = program::file(storage.folder(), "policy", &policy);
    let no_url = no_url.display().to_string();
    let (v2_key, v1_key) = (of_data("v2-log.pem"), of_data("v1-log.pem"));
    // The log, a flag with its value, the exit code, a word of the reason.
    let settings = [
        (
            "v1",
            "--v1-checkpoint-key",
            absent.as_str(),
            5,
            "checkpoint",
        ),
        ("v1", "--v1-checkpoint-key", &another, 5, "checkpoint"),
        ("v1", "--v1-key", &absent, 5, "log key"),
        ("v1", "--v1-key", &no_key, 5, "no-key.pem"),
        ("v2", "--v2-key", &absent, 5, "log key"),
        ("v1", "--witness-policy", &absent, 2, "absent"),
        ("v1", "--witness-policy", &no_url, 2, "policy cannot be met"),
        ("v1", "--origin", "two.example", 2, "--origin"),
        ("v2", "--origin", "localhost", 2, "belongs to tree"),
        ("v2", "--origin", "https://two.example", 2, "two.example"),
        ("v1", "--next-key", &no_key, 5, "no-key.pem"),
        ("v1", "--next-key", &v2_key, 5, "ECDSA P-256"),
        ("v1", "--next-key", &v1_key, 5, "belongs to another tree"),
        ("v2", "--next-key", &v1_key, 5, "belongs to another tree"),
    ];
    for (log, flag, value, code, reason) in settings {
        let mut command = rotate(&storage, &storage.data(), log);
        let output = command.args([flag, value]).output().unwrap();
        let stderr = program::text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{flag} {value}: {stderr}");
        assert!(stderr.contains(reason), "{flag} {value}: {stderr}");
    }
    assert!(!storage.data().join("keys").exists());
    let server = Server::start(&mut storage.serve());
    assert_eq!(frozen_trees(server.api), 0);
    entries::log(server.api, &Author::new("checked").sign("one"));
    server.stop();
}

#[test]
fn below_an_address_another_origin_is_asked_for() {
    let storage = Storage::sqlite();
    init(&storage, &["--name", "192.168.1.4"]);
    let refused = rotate(&storage, &storage.data(), "v2").output().unwrap();
    let refused = program::refusal(&refused, 2);
    assert!(
        refused.contains("shard2.192.168.1.4") && refused.contains("--origin"),
        "{refused}"
    );
    assert!(!fs::exists(key_file(&storage, "v2-log-2.pem")).unwrap());
    let mut command = rotate(&storage, &storage.data(), "v2");
    assert_rotates(command.args(["--origin", "two.example"]));
}

fn init(storage: &Storage, more: &[&str]) {
    let mut command = program::program();
    command.arg("init").arg("--data-dir").arg(storage.data());
    let output = command.args(more).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
