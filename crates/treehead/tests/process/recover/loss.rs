//! A log goes on without entries that nobody has any more.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::json;

use super::copy_folder;
use crate::entries::{self, Author};
use crate::http;
use crate::postgres::Storage;
use crate::program::{self, Server};

#[test]
fn is_accepted_on_sqlite() {
    accept(&Storage::sqlite());
}

#[test]
fn is_accepted_on_postgres() {
    if let Some(storage) = Storage::postgres() {
        accept(&storage);
    }
}

/// Takes from the v1 log what came after it had this size.
fn go_back(storage: &Storage, size: u64) {
    let of_v1 = "tree_id IN (SELECT tree_id FROM tree WHERE api = 'v1')";
    let tables = [
        "entry",
        "body",
        "leaf",
        "index_key",
        "signed_entry_timestamp",
    ];
    let newer =
        tables.map(|table| format!("DELETE FROM {table} WHERE leaf_index >= {size} AND {of_v1};"));
    let heads = format!("DELETE FROM head WHERE prev_size >= {size} AND {of_v1};");
    storage.execute(&format!("BEGIN; {} {heads} COMMIT;", newer.concat()));
}

fn recover(storage: &Storage, typed: &str) -> Output {
    let mut command: Command = program::program();
    command
        .args(["recover", "--accept-loss", "--data-dir"])
        .arg(storage.data());
    storage.url().iter().for_each(|url| {
        command.args(["--database", url]);
    });
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end before it reads.
    let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
    child.wait_with_output().unwrap()
}

fn accept(storage: &Storage) {
    let author = Author::new("loss");
    let entry = |number: u64| author.sign(&format!("entry {number}"));
    let server = Server::start(&mut storage.serve());
    let tree = server.tree("v1").to_owned();
    let before: Vec<_> = (0..7)
        .map(|number| entries::log(server.api, &entry(number)))
        .collect();
    let v2 = entries::log_v2(server.api, &entry(0));
    let v2_tree = server.tree("v2").to_owned();
    server.stop();
    go_back(storage, 4);

    // The wrong number changes nothing, and asks again the next time.
    let refused = recover(storage, "7\n");
    assert_eq!(refused.status.code(), Some(13), "{refused:?}");
    let done = recover(storage, "3\n");
    let stdout = program::text(&done.stdout);
    assert!(done.status.success(), "{done:?}");
    assert!(
        stdout.contains("3, at the log indexes 4 to 6")
            && stdout.contains("first log index 7")
            && stdout.contains("the v2 log of localhost has lost nothing")
            && stdout.contains(&format!("All of tree {tree} is signed")),
        "{stdout}"
    );
    // Once is enough.
    let again = recover(storage, "");
    assert!(again.status.success(), "{again:?}");

    let server = Server::start(&mut storage.serve());
    entries::assert_all_logged(server.api, &author, &before[..4]);
    entries::assert_logged_v2(server.api, &v2_tree, &[v2]);
    let next = entries::log(server.api, &entry(100));
    assert_eq!(next.log_index, 7);
    let log = http::get(server.api, "/api/v1/log").json();
    let frozen = &log["inactiveShards"][0];
    assert_eq!(
        (&frozen["treeID"], &frozen["treeSize"]),
        (&json!(tree), &json!(4))
    );
    assert_eq!(log["treeSize"], 1);
    assert_lost(&server, &tree, &before[5].uuid);
    let size = log["treeSize"].as_u64().unwrap();
    server.stop();

    // It stays so after a restart, and the next rotation goes on from there.
    let server = Server::start(&mut storage.serve());
    assert_lost(&server, &tree, &before[5].uuid);
    crate::rotate::assert_rotates(&mut crate::rotate::rotate(storage, &storage.data(), "v1"));
    let next = entries::log(server.api, &entry(101));
    assert_eq!(next.log_index, 7 + size);
    let roots = http::get(server.api, "/trust/trusted_root.json");
    assert_eq!(roots.status, 200, "{roots:?}");
    server.stop();
    storage.assert_in_order();
    nothing_was_signed_twice(storage, &before, &next);
}

/// A lost entry is lost on every route, and never absent.
fn assert_lost(server: &Server, tree: &str, uuid: &str) {
    let bare = &uuid[uuid.len() - 64..];
    for path in [
        "/api/v1/log/entries?logIndex=4".to_owned(),
        "/api/v1/log/entries?logIndex=6".to_owned(),
        format!("/api/v1/log/entries/{uuid}"),
        format!("/trees/{tree}/entries/4"),
        format!("/trees/{tree}/tile/0/000.p/7"),
        format!("/trees/{tree}/tile/entries/000.p/5"),
        format!("/api/v1/log/proof?firstSize=4&lastSize=7&treeID={tree}"),
    ] {
        let answer = http::get(server.api, &path);
        assert_eq!(answer.status, 503, "{path}: {answer:?}");
        assert!(answer.body.contains("lost"), "{path}: {answer:?}");
    }
    for query in [json!({"logIndexes": [0, 5]}), json!({"entryUUIDs": [uuid]})] {
        let path = "/api/v1/log/entries/retrieve";
        let answer = http::post(server.api, path, &query.to_string());
        assert_eq!(answer.status, 503, "{query}: {answer:?}");
    }
    // What belongs to no lost entry is absent as ever.
    for path in [
        "/api/v1/log/entries?logIndex=1000".to_owned(),
        format!("/api/v1/log/entries/{bare}"),
        format!("/trees/{tree}/entries/7"),
    ] {
        let answer = http::get(server.api, &path);
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
}

/// No log index and no size of a tree was given to two things: all signed texts that were ever seen
/// agree.
fn nothing_was_signed_twice(
    storage: &Storage,
    before: &[entries::Acknowledged],
    next: &entries::Acknowledged,
) {
    let server = Server::start(&mut storage.serve());
    let mut leaves: BTreeMap<u64, String> = BTreeMap::new();
    let mut heads: BTreeMap<(String, u64), String> = BTreeMap::new();
    let log_indexes = (0..next.log_index)
        .map(|index| http::get(server.api, &format!("/api/v1/log/entries?logIndex={index}")));
    let shown = log_indexes.filter(|answer| answer.status == 200);
    let shown = shown.map(|answer| answer.json().as_object().unwrap().values().next().cloned());
    let seen = before
        .iter()
        .chain([next])
        .map(|entry| Some(entry.entry.clone()));
    for entry in seen.chain(shown).flatten() {
        let index = entry["logIndex"].as_u64().unwrap();
        let body = entry["body"].as_str().unwrap().to_owned();
        let first = leaves.entry(index).or_insert_with(|| body.clone());
        assert_eq!(*first, body, "log index {index}");
        let proof = &entry["verification"]["inclusionProof"];
        let checkpoint = proof["checkpoint"].as_str().unwrap();
        let origin = checkpoint.lines().next().unwrap().to_owned();
        let root = proof["rootHash"].as_str().unwrap().to_owned();
        let of_size = (origin, proof["treeSize"].as_u64().unwrap());
        let first = heads.entry(of_size).or_insert_with(|| root.clone());
        assert_eq!(*first, root);
    }
    assert_eq!(leaves.len(), 9, "{leaves:?}");
    server.stop();
}

#[test]
fn a_whole_folder_and_a_killed_recovery_end_at_the_same_root() {
    let storage = Storage::sqlite();
    let author = Author::new("killed");
    let server = Server::start(&mut storage.serve());
    entries::log(server.api, &author.sign("first"));
    server.stop();
    let older = storage.folder().join("older");
    copy_folder(&storage.data(), &older);
    let server = Server::start(&mut storage.serve());
    for number in 0..40 {
        entries::log(server.api, &author.sign(&number.to_string()));
    }
    let whole = http::get(server.api, "/api/v1/log").json()["rootHash"].clone();
    server.stop();
    let from = storage.data().display().to_string();
    let to = older.display().to_string();
    let arguments = ["recover", "--from", &from, "--data-dir", &to];
    for pause in [5, 20, 40, 60] {
        let mut child = program::program()
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        pause_for(pause);
        child.kill().unwrap();
        child.wait().unwrap();
        let checked = program::run(&["fsck", "--data-dir", &to]);
        assert!(checked.status.success(), "{checked:?}");
    }
    let done = program::run(&arguments);
    assert!(done.status.success(), "{done:?}");
    fs::remove_dir_all(storage.data()).unwrap();
    let server = Server::start(&mut program::serve(&older));
    assert_eq!(
        http::get(server.api, "/api/v1/log").json()["rootHash"],
        whole
    );
    server.stop();
}

fn pause_for(millis: u64) {
    std::thread::sleep(std::time::Duration::from_millis(millis));
}
