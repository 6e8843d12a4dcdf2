//! A rotation that waits for servers: it names them, and can be continued or aborted meanwhile.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::entries::{self, Author};
use crate::postgres::Storage;
use crate::program::{self, Server};
use crate::rotate::{UNTOLD, assert_rotates, frozen_trees, rotate};

/// A rotation that runs. Killed when it goes out of scope.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads on up to a line with this text.
    fn wait_for(&mut self, text: &str) -> String {
        let mut lines = self.lines.by_ref().map(Result::unwrap);
        lines.find(|line| line.contains(text)).unwrap()
    }

    /// Waits for the end. Returns the exit code and the lines that were not read yet.
    fn end(mut self) -> (Option<i32>, String) {
        let rest: Vec<String> = self.lines.by_ref().map(Result::unwrap).collect();
        (self.child.wait().unwrap().code(), rest.join("\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A rotation to a key that the server does not find: it is in another folder.
fn rotate_elsewhere(storage: &Storage) -> Command {
    let mut command = rotate(storage, &storage.data(), "v1");
    command
        .arg("--key-dir")
        .arg(storage.folder().join("elsewhere"));
    command
}

#[test]
fn a_rotation_that_was_stopped_is_continued() {
    let storage = Storage::sqlite();
    let server = Server::start(&mut storage.serve());
    let mut first = Running::start(&mut rotate_elsewhere(&storage));
    first.wait_for("waiting for 1 of 1 servers");
    let hint = first.wait_for("has mode 0600");
    assert!(hint.contains("elsewhere/v1-log-2.pem"), "{hint}");
    drop(first);
    assert_eq!(frozen_trees(server.api), 0, "nothing has changed yet");

    // Elsewhere the key is not found, and no second one is made.
    let refused = rotate(&storage, &storage.data(), "v1").output().unwrap();
    let stderr = program::text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(5), "{stderr}");
    assert!(
        stderr.contains("was begun") && stderr.contains("--abort"),
        "{stderr}"
    );

    let mut second = Running::start(&mut rotate_elsewhere(&storage));
    second.wait_for("continues the rotation that an earlier run began");
    second.wait_for("waiting for 1 of 1 servers");
    let key = storage.folder().join("elsewhere/v1-log-2.pem");
    fs::create_dir_all(storage.data().join("keys")).unwrap();
    fs::copy(key, storage.data().join("keys/any-name.pem")).unwrap();
    let (code, rest) = second.end();
    assert_eq!(code, Some(0), "{rest}");
    assert_eq!(frozen_trees(server.api), 1, "{rest}");
    entries::log(server.api, &Author::new("continued").sign("one"));
    server.stop();
    storage.assert_in_order();
}

#[test]
fn a_rotation_is_aborted_until_the_freeze_on_sqlite() {
    abort(&Storage::sqlite());
}

#[test]
fn a_rotation_is_aborted_until_the_freeze_on_postgres() {
    if let Some(storage) = Storage::postgres() {
        abort(&storage);
    }
}

fn abort(storage: &Storage) {
    let server = Server::start(&mut storage.serve());
    let author = Author::new("aborted");
    entries::log(server.api, &author.sign("one"));
    let aborted = |code| {
        let mut command = rotate(storage, &storage.data(), "v1");
        let output = command.arg("--abort").output().unwrap();
        let stdout = program::text(&output.stdout);
        let stderr = program::text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
        format!("{stdout}{stderr}")
    };
    assert!(aborted(0).contains("nothing to abort"));

    let mut waiting = Running::start(&mut rotate_elsewhere(storage));
    waiting.wait_for("waiting for 1 of 1 servers");
    let text = aborted(0);
    assert!(
        text.contains("aborted the rotation of the v1 log"),
        "{text}"
    );
    let (code, rest) = waiting.end();
    assert_eq!(code, Some(6), "{rest}");
    assert!(storage.folder().join("elsewhere/v1-log-2.pem").exists());
    assert!(aborted(0).contains("nothing to abort"));
    assert_eq!(frozen_trees(server.api), 0);

    // The next one begins anew, with a key that the server finds.
    assert_rotates(&mut rotate(storage, &storage.data(), "v1"));
    assert_eq!(frozen_trees(server.api), 1);
    storage.execute(UNTOLD);
    let text = aborted(11);
    assert!(text.contains("cannot be aborted"), "{text}");
    let again = rotate(storage, &storage.data(), "v1").output().unwrap();
    assert_eq!(
        again.status.code(),
        Some(11),
        "still to be reported: {again:?}"
    );
    assert_eq!(frozen_trees(server.api), 1);
    entries::log(server.api, &author.sign("two"));
    server.stop();
    storage.assert_in_order();
}

#[test]
fn a_server_that_lacks_the_key_is_named_and_waited_for() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let (here, there) = (
        storage.folder().join("here"),
        storage.folder().join("there"),
    );
    let first = Server::start(&mut storage.serve_with(&here));
    copy_keys(&here, &there);
    let second = Server::start(&mut storage.serve_with(&there));
    let mut rotation = Running::start(&mut rotate(&storage, &here, "v1"));
    let waiting = rotation.wait_for("waiting for 1 of 2 servers");
    assert!(
        waiting.contains(&format!("process {}", second.id())),
        "{waiting}"
    );
    assert_eq!(frozen_trees(first.api), 0, "nothing has changed yet");
    fs::create_dir_all(there.join("keys")).unwrap();
    let next = here.join("keys/v1-log-2.pem");
    fs::copy(next, there.join("keys/any-name.pem")).unwrap();
    let (code, rest) = rotation.end();
    assert_eq!(code, Some(0), "{rest}");
    assert!(rest.contains("origin localhost/trees/"), "{rest}");
    for server in [first, second] {
        entries::log(
            server.api,
            &Author::new("both").sign(&server.id().to_string()),
        );
        assert_eq!(frozen_trees(server.api), 1);
        server.stop();
    }
}

#[test]
fn a_server_that_lacks_the_key_all_the_same_stops_and_names_it() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let (here, there) = (
        storage.folder().join("here"),
        storage.folder().join("there"),
    );
    let first = Server::start(&mut storage.serve_with(&here));
    copy_keys(&here, &there);
    let mut second = Server::start(&mut storage.serve_with(&there));
    // As if it did not live: the rotation does not see it.
    storage.execute(&format!(
        "UPDATE server SET name = '-' WHERE place LIKE '%process {},%'",
        second.id()
    ));
    let text = assert_rotates(&mut rotate(&storage, &here, "v1"));
    assert_eq!(second.wait(), Some(5));
    let (_, rest) = text.split_once("SHA-256 ").unwrap();
    let digest = rest.split(';').next().unwrap();
    let said = second.log();
    assert!(
        said.contains(digest) && said.contains("there/keys"),
        "{said}"
    );
    first.stop();
}

/// The keys of a ledger, for a second server of it.
pub(crate) fn copy_keys(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for name in ["v1-log.pem", "v1-checkpoint.pem", "v2-log.pem"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

#[test]
fn a_key_file_that_was_lost_is_replaced_while_a_server_runs() {
    let storage = Storage::sqlite();
    let server = Server::start(&mut storage.serve());
    let author = Author::new("lost");
    let logged = entries::log(server.api, &author.sign("one"));
    fs::remove_file(storage.data().join("v1-log.pem")).unwrap();
    let text = assert_rotates(&mut rotate(&storage, &storage.data(), "v1"));
    assert!(text.contains("Running servers hold it"), "{text}");
    entries::log(server.api, &author.sign("two"));
    server.stop();
    let server = Server::start(&mut storage.serve());
    entries::assert_logged(server.api, &author, &logged);
    server.stop();
    storage.assert_in_order();
}
