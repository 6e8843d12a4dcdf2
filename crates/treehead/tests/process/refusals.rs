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
    let log_id = server
        .banner
        .lines()
        .find_map(|line| line.trim().strip_prefix("log ID"))
        .unwrap()
        .trim()
        .to_owned();
    server.stop();
    let key = storage.data().join("log-key.pem");
    let elsewhere = storage.folder().join("copy.pem");
    fs::rename(&key, &elsewhere).unwrap();
    let refused = refusal(&storage.serve().output().unwrap(), 5);
    assert!(
        refused.contains(&log_id) && refused.contains("log-key.pem"),
        "{refused}"
    );
    assert!(!key.exists());
    Server::start(storage.serve().arg("--key").arg(elsewhere)).stop();
}

#[test]
fn wrong_key_and_exposed_key() {
    let (storage, other) = (Storage::sqlite(), Storage::sqlite());
    Server::start(&mut storage.serve()).stop();
    Server::start(&mut other.serve()).stop();
    let refused = refusal(
        &storage
            .serve()
            .arg("--key")
            .arg(other.data().join("log-key.pem"))
            .output()
            .unwrap(),
        5,
    );
    assert!(refused.contains("does not belong to this log"), "{refused}");

    let key = storage.data().join("log-key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = refusal(&storage.serve().output().unwrap(), 5);
    assert!(refused.contains("chmod 600"), "{refused}");
}

#[test]
fn apis_never_change() {
    for storage in std::iter::once(Storage::sqlite()).chain(Storage::postgres()) {
        Server::start(storage.serve().args(["--apis", "v2"])).stop();
        let refused = refusal(
            &storage.serve().args(["--apis", "both"]).output().unwrap(),
            6,
        );
        assert!(
            refused.contains("was created with --apis v2, not both"),
            "{refused}"
        );
        let server = Server::start(&mut storage.serve());
        assert_eq!(
            http::post(server.api, "/api/v1/log/entries", "{}").status,
            405
        );
        assert_eq!(
            http::post(server.api, "/api/v2/log/entries", "{}").status,
            400
        );
        server.stop();
    }
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
fn busy_port_leaves_no_log_behind() {
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
        assert!(!storage.data().join("log-key.pem").exists());
    }
}

#[test]
fn wrong_settings() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.toml").display().to_string();
    let unknown = program::file(folder.path(), "unknown.toml", "prot = 1\n")
        .display()
        .to_string();
    let cases: [(&[&str], &str); 8] = [
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
