//! `upload --queue`: what could not be sent is kept, and looks like no proof.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::check::Client;
use crate::entries::Author;
use crate::program::{self, Server};
use crate::upload::{keys, many, names, size, statuses, verify_entry};

#[test]
fn a_queue_keeps_what_could_not_be_sent() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut program::serve(folder.path()));
    let (author, client, address) = (Author::new("queue"), Client::of(server.api), server.api);
    keys(&client, &author);
    server.stop();
    let (key, queue, bundle) = (
        client.path("key.pem"),
        client.path("queue"),
        client.path("b.json"),
    );
    let artifact = client.path("artifact");
    fs::write(&artifact, "an artifact").unwrap();
    let upload = [
        "upload", &artifact, "--key", &key, "--queue", &queue, "--bundle", &bundle,
    ];
    // Without --api nobody knows what to keep.
    let refused = program::refusal(&client.run(address, &upload), 22);
    assert!(refused.contains("--api"), "{refused}");
    let pending = client.run(
        address,
        &[&upload[..], &["--api", "v1", "--format", "json"]].concat(),
    );
    assert_eq!(pending.status.code(), Some(25), "{pending:?}");
    let json: Value = serde_json::from_slice(&pending.stdout).unwrap();
    assert_eq!(statuses(&json), ["pending"]);
    assert!(
        !Path::new(&bundle).exists(),
        "a pending upload has no bundle"
    );
    let held = names(Path::new(&queue), ".pending.json");
    assert_eq!(held.len(), 1);
    // Nothing takes the file of the queue for a proof.
    let trust = client.path("trusted_root.json");
    let held = held[0].display().to_string();
    let verify = program::run(&["verify", "--trust", &trust, "--entry", &held]);
    program::refusal(&verify, 20);

    let mut command = program::program();
    command
        .args(["serve", "--metrics-listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path());
    let server = Server::start(command.args(["--listen", &address.to_string()]));
    let json = client.json(address, &["upload", "--queue", &queue]);
    assert_eq!(statuses(&json), ["logged"], "{json}");
    verify_entry(&client, &bundle, Some(&artifact));
    assert!(names(Path::new(&queue), "").is_empty());
    let json = client.json(address, &["upload", "--queue", &queue]);
    assert!(statuses(&json).is_empty());

    // What the log refuses is set aside with its reason.
    let entry = serde_json::json!({
        "state": "pending", "url": format!("http://{address}/other"), "api": "v1", "name": "x",
        "request": "{}", "outputs": [],
    });
    fs::write(
        Path::new(&queue).join("other.pending.json"),
        entry.to_string(),
    )
    .unwrap();
    let json = client.json(address, &["upload", "--queue", &queue]);
    assert_eq!(json["elsewhere"], 1);
    server.stop();
}

#[test]
fn a_killed_upload_loses_nothing_that_was_queued() {
    const FILES: usize = 300;
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut program::serve(folder.path()));
    let (author, client) = (Author::new("killed"), Client::of(server.api));
    keys(&client, &author);
    let source = tempfile::tempdir().unwrap();
    let (queue, bundles) = (client.path("queue"), client.path("bundles"));
    let mut command = program::program();
    command.args(["upload", "--api", "v1", "--key", &client.path("key.pem")]);
    command.args(["--queue", &queue, "--bundle-dir", &bundles]);
    command.args(["--url", &format!("http://{}", server.api)]);
    command.args(["--trust", &client.path("trusted_root.json")]);
    command
        .args(many(source.path(), FILES))
        .stdout(Stdio::null());
    let mut upload = command.spawn().unwrap();
    // The first bundle shows that all are queued, and that it is being sent.
    while names(Path::new(&bundles), ".sigstore.json").is_empty() {
        assert!(
            upload.try_wait().unwrap().is_none(),
            "it ended before it was killed"
        );
        std::thread::yield_now();
    }
    upload.kill().unwrap();
    upload.wait().unwrap();
    let done = names(Path::new(&bundles), ".sigstore.json").len();
    let held = names(Path::new(&queue), ".pending.json").len();
    assert!(
        done + held >= FILES && held > 0,
        "{done} done and {held} held"
    );
    client.json(server.api, &["upload", "--api", "v1", "--queue", &queue]);
    assert_eq!(names(Path::new(&bundles), ".sigstore.json").len(), FILES);
    assert!(names(Path::new(&queue), ".pending.json").is_empty());
    assert_eq!(size(server.api), FILES as u64);
    server.stop();
}
