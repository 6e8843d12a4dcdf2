//! A database that went back is brought forward again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::entries::{self, Acknowledged, Author};
use crate::http;
use crate::postgres::{self, Storage};
use crate::program::{self, Server};
use crate::rotate::{assert_rotates, rotate};

mod loss;

#[test]
fn from_a_copy_on_sqlite() {
    from_a_copy(&Storage::sqlite());
}

#[test]
fn from_a_copy_on_postgres() {
    if let Some(storage) = Storage::postgres() {
        from_a_copy(&storage);
    }
}

#[test]
fn from_a_server_on_sqlite() {
    from_a_server(&Storage::sqlite());
}

#[test]
fn from_a_server_on_postgres() {
    if let Some(storage) = Storage::postgres() {
        from_a_server(&storage);
    }
}

/// Another copy of the database and of the data folder.
struct Older {
    data: PathBuf,
    url: Option<String>,
    server: Option<String>,
    name: String,
}

impl Older {
    /// Copies those of a server that does not run.
    fn of(storage: &Storage) -> Self {
        let data = storage.folder().join("older");
        copy_folder(&storage.data(), &data);
        let mut older = Self {
            data,
            url: None,
            server: None,
            name: String::new(),
        };
        if let Some(url) = storage.url() {
            let (front, options) = url.split_once('?').unwrap_or((&url, ""));
            let (server, database) = front.rsplit_once('/').unwrap();
            older.name = format!("{database}_older");
            let copy = format!("CREATE DATABASE {} TEMPLATE {database}", older.name);
            let server = std::env::var("TREEHEAD_TEST_POSTGRES").unwrap_or(server.to_owned());
            postgres::try_execute(&server, &copy).unwrap();
            older.url = Some(url.replace(&format!("/{database}"), &format!("/{}", older.name)));
            assert!(options.is_empty() || url.ends_with(options));
            older.server = Some(server);
        }
        older
    }

    fn command(&self, name: &str) -> Command {
        let mut command = program::program();
        command.arg(name).arg("--data-dir").arg(&self.data);
        self.url.iter().for_each(|url| {
            command.args(["--database", url]);
        });
        command
    }

    fn recover(&self, from: &str) -> Output {
        self.command("recover")
            .args(["--from", from])
            .output()
            .unwrap()
    }

    fn serve(&self) -> Command {
        let mut command = program::serve(&self.data);
        self.url.iter().for_each(|url| {
            command.args(["--database", url]);
        });
        command
    }

    fn assert_in_order(&self) {
        let output = self.command("fsck").output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

impl Drop for Older {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            let remove = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
            let _ = postgres::try_execute(server, &remove);
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let to = to.join(file.file_name());
        match file.file_type().unwrap().is_dir() {
            true => copy_folder(&file.path(), &to),
            false => drop(fs::copy(file.path(), to).unwrap()),
        }
    }
}

/// What a ledger acknowledged after the older copy was made.
struct Newer {
    author: Author,
    v1: Vec<Acknowledged>,
    v2: Vec<Value>,
    v2_tree: String,
}

/// A ledger whose older copy lacks entries of both logs and a rotation.
fn grow(storage: &Storage) -> (Older, Newer) {
    let author = Author::new("recover");
    let server = Server::start(&mut storage.serve());
    let v2_tree = server.tree("v2").to_owned();
    let log = |server: &Server, number: u32| {
        let proposal = author.sign(&format!("entry {number}"));
        let v1 = entries::log(server.api, &proposal);
        (v1, entries::log_v2(server.api, &proposal))
    };
    let (mut v1, mut v2): (Vec<_>, Vec<_>) = (0..3).map(|number| log(&server, number)).unzip();
    server.stop();
    let older = Older::of(storage);
    let server = Server::start(&mut storage.serve());
    for number in 3..6 {
        let (one, two) = log(&server, number);
        v1.push(one);
        v2.push(two);
    }
    assert_rotates(&mut rotate(storage, &storage.data(), "v1"));
    for number in 6..8 {
        let (one, two) = log(&server, number);
        v1.push(one);
        v2.push(two);
    }
    server.stop();
    // The key of the tree that came with the rotation.
    let keys = older.data.join("keys");
    copy_folder(&storage.data().join("keys"), &keys);
    let newer = Newer {
        author,
        v1,
        v2,
        v2_tree,
    };
    (older, newer)
}

/// The older copy has everything now.
fn assert_whole(older: &Older, newer: &Newer) {
    older.assert_in_order();
    let server = Server::start(&mut older.serve());
    entries::assert_all_logged(server.api, &newer.author, &newer.v1);
    entries::assert_logged_v2(server.api, &newer.v2_tree, &newer.v2);
    // It goes on where the other one was.
    let next = entries::log(server.api, &newer.author.sign("next"));
    assert_eq!(next.log_index, newer.v1.len() as u64);
    server.stop();
    older.assert_in_order();
}

fn heads_of(server: &Server) -> Value {
    let mut log = http::get(server.api, "/api/v1/log").json();
    // Signatures differ, what they state does not.
    log.as_object_mut().unwrap().remove("signedTreeHead");
    for shard in log["inactiveShards"].as_array_mut().unwrap() {
        shard.as_object_mut().unwrap().remove("signedTreeHead");
    }
    log
}

fn from_a_copy(storage: &Storage) {
    let (older, newer) = grow(storage);
    let from = match storage.url() {
        Some(url) => url,
        None => storage.data().display().to_string(),
    };
    let output = older.recover(&from);
    let stdout = program::text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(
        stdout.contains("the v1 log of localhost: adding 5 entries")
            && stdout.contains("the v2 log of localhost: adding 5 entries"),
        "{stdout}"
    );
    let again = older.recover(&from);
    let stdout = program::text(&again.stdout);
    assert!(again.status.success(), "{again:?}");
    assert_eq!(
        stdout.matches("has all that the source has").count(),
        2,
        "{stdout}"
    );
    assert_whole(&older, &newer);
}

fn from_a_server(storage: &Storage) {
    let (older, newer) = grow(storage);
    let source = Server::start(&mut storage.serve());
    let heads = heads_of(&source);
    let from = format!("http://{}", source.api);
    let output = older.recover(&from);
    assert!(output.status.success(), "{output:?}");
    let recovered = Server::start(&mut older.serve());
    assert_eq!(heads_of(&recovered), heads);
    recovered.stop();
    source.stop();
    assert_whole(&older, &newer);
}

#[test]
fn what_cannot_be_a_source_is_refused() {
    let storage = Storage::sqlite();
    let server = Server::start(&mut storage.serve());
    let data = storage.data().display().to_string();
    let recover = |from: &str| program::run(&["recover", "--from", from, "--data-dir", &data]);
    // While a server runs.
    program::refusal(&recover(&data), 8);
    let other = storage.folder().join("other");
    let made = program::run(&["init", "--data-dir", other.to_str().unwrap()]);
    assert!(made.status.success(), "{made:?}");
    let other = other.display().to_string();
    program::refusal(&recover(&other), 8);
    server.stop();
    let another = program::refusal(&recover(&other), 13);
    assert!(another.contains("another ledger"), "{another}");
    let itself = program::refusal(&recover(&data), 2);
    assert!(itself.contains("itself"), "{itself}");
    program::refusal(&recover("/nowhere"), 2);
    program::refusal(&recover("mysql://localhost/x"), 2);
    let help = program::text(&program::run(&["recover", "--help"]).stdout);
    assert!(
        help.contains("--from") && help.contains("--data-dir"),
        "{help}"
    );
}
