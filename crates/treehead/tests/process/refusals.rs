//! What does not start says why, in one line, with an exit code of its own.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::http;
use crate::postgres::Storage;
use crate::program::{self, Server, refusal};

#[test]
fn second_server_on_the_same_folder() {
    let storage = Storage::sqlite();
    let server = Server::start(&mut storage.serve());
    let refused = refusal(&storage.serve().output().unwrap(), 8);
    assert!(
        refused.contains(&storage.data().canonicalize().unwrap().display().to_string()),
        "{refused}"
    );
    // The first one is unharmed, and killed it leaves no lock behind.
    assert_eq!(http::get(server.api, "/readyz").status, 200);
    drop(server);
    Server::start(&mut storage.serve()).stop();
}

#[test]
fn lost_key_is_not_replaced() {
    let storage = Storage::sqlite();
    let server = Server::start(&mut storage.serve());
    let log_ids: Vec<String> = server
        .banner
        .lines()
        .filter_map(|line| line.trim().strip_prefix("log ID"))
        .map(|log_id| log_id.trim().to_owned())
        .collect();
    server.stop();
    for (name, log, log_id) in [
        ("v1-log", "v1 log", &log_ids[0]),
        ("v1-checkpoint", "v1 log", &log_ids[0]),
        ("v2-log", "v2 log", &log_ids[1]),
    ] {
        let flag = format!(
            "--{}",
            name.replace("-log", "-key").replace("point", "point-key")
        );
        let key = storage.data().join(format!("{name}.pem"));
        let elsewhere = storage.folder().join("copy.pem");
        fs::rename(&key, &elsewhere).unwrap();
        let refused = refusal(&storage.serve().output().unwrap(), 5);
        for wanted in [log, log_id, &key.display().to_string(), &flag] {
            assert!(refused.contains(wanted), "{wanted}: {refused}");
        }
        assert!(!key.exists());
        Server::start(storage.serve().arg(&flag).arg(&elsewhere)).stop();
        fs::rename(&elsewhere, &key).unwrap();
    }
}

#[test]
fn wrong_key_and_exposed_key() {
    let (storage, other) = (Storage::sqlite(), Storage::sqlite());
    Server::start(&mut storage.serve()).stop();
    Server::start(&mut other.serve()).stop();
    let refused = refusal(
        &storage
            .serve()
            .arg("--v1-key")
            .arg(other.data().join("v1-log.pem"))
            .output()
            .unwrap(),
        5,
    );
    assert!(refused.contains("holds another key"), "{refused}");

    let key = storage.data().join("v2-log.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = refusal(&storage.serve().output().unwrap(), 5);
    assert!(refused.contains("chmod 600"), "{refused}");
}

#[test]
fn logs_of_a_ledger_are_not_changed_by_a_start() {
    for storage in std::iter::once(Storage::sqlite()).chain(Storage::postgres()) {
        Server::start(storage.serve().args(["--logs", "v2"])).stop();
        let refused = refusal(
            &storage.serve().args(["--logs", "v1,v2"]).output().unwrap(),
            6,
        );
        assert!(
            refused.contains("are v2, not v1 and v2") && refused.contains("treehead log add"),
            "{refused}"
        );
        let server = Server::start(&mut storage.serve());
        assert_eq!(
            http::post(server.api, "/api/v1/log/entries", "{}").status,
            501
        );
        assert_eq!(
            http::post(server.api, "/api/v2/log/entries", "{}").status,
            400
        );
        server.stop();
    }
}

#[test]
fn another_host_name_of_the_v2_log() {
    let storage = Storage::sqlite();
    Server::start(storage.serve().args(["--v2-name", "v2.example"])).stop();
    let refused = refusal(
        &storage
            .serve()
            .args(["--v2-name", "localhost"])
            .output()
            .unwrap(),
        6,
    );
    assert!(
        refused.contains("the host name \"v2.example\", not \"localhost\""),
        "{refused}"
    );
    Server::start(storage.serve().args(["--v2-name", "v2.example"])).stop();
}

#[test]
fn keys_that_are_one_key() {
    let storage = Storage::sqlite();
    let key = storage.folder().join("one.pem");
    let refused = refusal(
        &storage
            .serve()
            .arg("--v1-checkpoint-key")
            .arg(&key)
            .arg("--v2-key")
            .arg(&key)
            .output()
            .unwrap(),
        5,
    );
    assert!(refused.contains("is given twice"), "{refused}");
}

#[test]
fn wrong_name() {
    let storage = Storage::sqlite();
    Server::start(&mut storage.serve()).stop();
    let refused = refusal(
        &storage
            .serve()
            .args(["--name", "log.example"])
            .output()
            .unwrap(),
        6,
    );
    assert!(
        refused.contains("localhost") && refused.contains("log.example"),
        "{refused}"
    );
}

#[test]
fn busy_port_leaves_no_ledger_behind() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--listen", "--metrics-listen"] {
        let storage = Storage::sqlite();
        let mut command = program::program();
        let (api, metrics) = if flag == "--listen" {
            (address.as_str(), "127.0.0.1:0")
        } else {
            ("127.0.0.1:0", address.as_str())
        };
        command
            .args(["serve", "--listen", api, "--metrics-listen", metrics])
            .arg("--data-dir")
            .arg(storage.data());
        let refused = refusal(&command.output().unwrap(), 7);
        assert!(
            refused.contains(&address) && refused.contains("in use"),
            "{refused}"
        );
        assert!(!storage.data().join("v1-log.pem").exists());
    }
}

#[test]
fn wrong_settings() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.toml").display().to_string();
    let unknown = program::file(folder.path(), "unknown.toml", "prot = 1\n")
        .display()
        .to_string();
    let cases: [(&[&str], &str); 14] = [
        (&["serve", "--prot", "1"], "'--prot'"),
        (&["serve", "--listen", "here"], "'here'"),
        (&["serv"], "'serv'"),
        (
            &["config", "--check", &unknown],
            "treehead config check FILE",
        ),
        (&["serve", "--config", &absent], "absent.toml"),
        (&["serve", "--config", &unknown], "prot"),
        (
            &["serve", "--database", "mysql://root:secret@db/x"],
            "postgres://",
        ),
        (&["serve", "--name", "two words"], "two words"),
        (&["serve", "--logs", "v1,v3"], "--logs: \"v3\" is not a log"),
        (&["init", "--v2-name", "log.example:1"], "--v2-name: "),
        (&["log", "add", "v3"], "v3"),
        (
            &["serve", "--key", "x"],
            "--key is now --v1-key and --v2-key",
        ),
        (
            &["init", "--ed25519-key=x"],
            "--ed25519-key is now --v1-checkpoint-key and --v2-key",
        ),
        (&["serve", "--apis", "both"], "--apis is now --logs"),
    ];
    for (arguments, wanted) in cases {
        let refused = refusal(&program::run(arguments), 2);
        assert!(
            refused.contains(wanted) && !refused.contains("secret"),
            "{refused}"
        );
    }
}

#[test]
fn unreachable_database() {
    let storage = Storage::sqlite();
    // Taken and let go: nothing listens there.
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("postgres://u:secret@{free}/d");
    let refused = refusal(
        &storage.serve().args(["--database", &url]).output().unwrap(),
        3,
    );
    assert!(
        refused.contains(&free.to_string()) && !refused.contains("secret"),
        "{refused}"
    );
    let file = program::file(storage.folder(), "url", &url);
    let refused = refusal(
        &storage
            .serve()
            .arg("--database-file")
            .arg(file)
            .output()
            .unwrap(),
        3,
    );
    assert!(!refused.contains("secret"), "{refused}");
}

#[test]
fn schema_of_a_later_release() {
    let storages = [Some(Storage::sqlite()), Storage::postgres()];
    for storage in storages.into_iter().flatten() {
        Server::start(&mut storage.serve()).stop();
        storage.execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', TRUE, '', 0)",
        );
        let refused = refusal(&storage.serve().output().unwrap(), 4);
        assert!(
            refused.contains("schema") || refused.contains("release"),
            "{refused}"
        );
    }
}
