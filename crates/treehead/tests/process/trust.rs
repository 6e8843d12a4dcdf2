//! `treehead trust export` beside the server that answers the same.

use std::fs;
use std::process::Command;

use crate::http;
use crate::postgres::Storage;
use crate::program::{self, Server};

const NO_TSA: &str = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json",
    "caUrls":[{"url":"https://ca.example","majorApiVersion":1,"validFor":{"start":"2026-01-01T00:00:00Z"},"operator":"o"}]}"#;

/// `trust export` of this log.
fn export(storage: &Storage) -> Command {
    let mut command = program::program();
    command
        .args(["trust", "export", "--data-dir"])
        .arg(storage.data());
    command
}

#[test]
fn the_exported_files_are_what_the_server_answers() {
    let storage = Storage::sqlite();
    let folder = tempfile::tempdir().unwrap();
    let base = program::file(folder.path(), "base.json", NO_TSA);
    let flags = [
        "--public-url",
        "https://log.example.org",
        "--signing-config-base",
        base.to_str().unwrap(),
    ];
    let server = Server::start(storage.serve().args(flags));
    let out = folder.path().join("made/of/folders");
    let export = export(&storage)
        .args(flags)
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    let named = program::text(&export.stdout);
    assert!(export.status.success(), "{}", program::text(&export.stderr));
    assert_eq!(named.lines().count(), 6, "{named}");
    for path in named.lines() {
        let (_, name) = path.rsplit_once('/').unwrap();
        assert_eq!(
            fs::read_to_string(path).unwrap(),
            http::get(server.api, &format!("/trust/{name}")).body,
            "{name}"
        );
    }
    let config = fs::read_to_string(out.join("signing_config.v0.2.json")).unwrap();
    assert!(
        config.contains("\"https://log.example.org\"") && config.contains("\"https://ca.example\""),
        "{config}"
    );
}

#[test]
fn a_wrong_base_is_refused_before_a_log_is_made() {
    let storage = Storage::sqlite();
    let folder = tempfile::tempdir().unwrap();
    let base = program::file(folder.path(), "base.json", NO_TSA);
    let output = storage
        .serve()
        .arg("--trusted-root-base")
        .arg(&base)
        .output()
        .unwrap();
    let refused = program::refusal(&output, 2);
    assert!(
        refused.contains("base.json: not a trusted root"),
        "{refused}"
    );
    program::refusal(&export(&storage).output().unwrap(), 6);
}
