//! `audit`, against servers of this program.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::entries::Author;
use crate::http;
use crate::postgres::Storage;
use crate::program::{self, Server};

/// Runs an audit, and returns it with its report.
fn audit(server: SocketAddr, folder: &Path, arguments: &[&str]) -> (Output, Value) {
    let root = http::get(server, "/trust/trusted_root.json");
    fs::write(folder.join("trusted_root.json"), root.body).unwrap();
    let report = folder.join("report.json");
    let mut command = program::program();
    command.args(["audit", "--url", &format!("http://{server}"), "--trust"]);
    command.arg(folder.join("trusted_root.json"));
    let output = command
        .arg("--out")
        .arg(&report)
        .args(arguments)
        .output()
        .unwrap();
    assert!(!folder.join("report.json.parts").exists());
    let report = fs::read(report).unwrap_or_default();
    (output, serde_json::from_slice(&report).unwrap_or_default())
}

/// Logs all proposals in one request, in their order.
fn log_all<'a>(server: SocketAddr, proposals: impl Iterator<Item = &'a str>) {
    let batch = format!(
        "{{\"entries\":[{}]}}",
        proposals.collect::<Vec<_>>().join(",")
    );
    let answer = http::post(server, "/api/v1/log/entries/batch", &batch);
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    let mut results = answer["results"].as_array().unwrap().iter();
    assert!(results.all(|result| result["status"] == 201), "{answer}");
}

/// The row of a search key of an entry.
fn row(key: &str, leaf_index: u64) -> String {
    let hash = &tlog::sha256(key.as_bytes()).to_string()[..32];
    format!("leaf_index = {leaf_index} AND key_hash = x'{hash}'")
}

#[test]
fn a_key_that_the_index_lost_is_named() {
    let storage = Storage::sqlite();
    let server = Server::start(&mut storage.serve());
    let folder = tempfile::tempdir().unwrap();
    let author = Author::new("audit");
    // More than a bundle, and more than one page of the author's key.
    let proposals: Vec<_> = (0..300)
        .map(|n| author.sign(&format!("entry {n}")))
        .collect();
    log_all(
        server.api,
        proposals.iter().map(|proposal| proposal.json.as_str()),
    );
    log_all(
        server.api,
        proposals[..3].iter().map(|proposal| proposal.v2.as_str()),
    );
    for api in ["v1", "v2"] {
        let (output, report) = audit(server.api, folder.path(), &["--api", api]);
        assert!(output.status.success(), "{output:?}");
        assert!(
            program::text(&output.stdout).starts_with("complete     http"),
            "{output:?}"
        );
        assert_eq!(
            (&report["missingCount"], &report["surplusCount"]),
            (&0.into(), &0.into())
        );
        let (size, derived) = match api {
            "v1" => (300, 600),
            _ => (3, 6),
        };
        assert_eq!(report["trees"][0]["head"]["size"], size);
        assert_eq!(report["derived"], derived);
        assert_eq!(report["keys"], size + 1);
        assert!(report["trees"][0]["id"].is_string());
    }

    // One key of one entry, and one of an entry that has a frequent key.
    let digest = format!("sha256:{}", proposals[260].artifact_hash);
    let key = tlog::sha256(author.public_pem().as_bytes()).to_string();
    let tree = server.tree("v1").to_owned();
    for (key, leaf_index) in [(&digest, 260), (&key, 5)] {
        let row = row(key, leaf_index);
        let before = storage.count("SELECT count(*) FROM index_key");
        storage.execute(&format!(
            "DELETE FROM index_key WHERE tree_id = {tree} AND {row}"
        ));
        assert_eq!(storage.count("SELECT count(*) FROM index_key"), before - 1);
    }
    let (output, report) = audit(server.api, folder.path(), &[]);
    assert_eq!(output.status.code(), Some(24), "{output:?}");
    let text = program::text(&output.stdout);
    assert!(
        text.contains(&format!("missing      entry 260 of tree 0 under {digest}")),
        "{text}"
    );
    assert!(
        text.contains(&format!("missing      entry 5 of tree 0 under {key}")),
        "{text}"
    );
    assert_eq!(
        (&report["missingCount"], &report["surplusCount"]),
        (&2.into(), &0.into())
    );

    // One key alone.
    let one = |key: &str| audit(server.api, folder.path(), &["--key-text", key]).1;
    assert_eq!(one(&digest.to_uppercase())["missingCount"], 1);
    let good = one(&format!("sha256:{}", proposals[0].artifact_hash));
    assert_eq!(
        (&good["missingCount"], &good["derived"]),
        (&0.into(), &1.into())
    );
    assert_eq!(one("nobody@example.com")["missingCount"], 0);
    server.stop();
}

/// As a log of Rekor v1 that is not treehead: it has neither bundles nor a search for many keys.
#[test]
fn a_log_without_bundles_is_read_by_its_api() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = program::serve(&folder.path().join("data"));
    let server = Server::start(serve.args([
        "--enabled-api-endpoints",
        "getLogInfo,getTrustedRoot,createLogEntries,searchLogQuery,searchIndex",
    ]));
    let author = Author::new("api");
    let proposals: Vec<_> = (0..23)
        .map(|n| author.sign(&format!("entry {n}")))
        .collect();
    log_all(
        server.api,
        proposals.iter().map(|proposal| proposal.json.as_str()),
    );
    let (output, report) = audit(server.api, folder.path(), &[]);
    assert!(output.status.success(), "{output:?}");
    let numbers = ["derived", "keys", "skippedKeys", "missingCount"].map(|name| &report[name]);
    assert_eq!(numbers, [46, 23, 1, 0], "{report}");
    server.stop();
}

#[test]
fn a_log_without_a_search_is_not_audited() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = program::serve(&folder.path().join("data"));
    let server =
        Server::start(serve.args(["--enabled-api-endpoints", "getLogInfo,getTrustedRoot"]));
    let (output, _) = audit(server.api, folder.path(), &[]);
    assert!(program::refusal(&output, 2).contains("has no search"));
    server.stop();
}
