//! What real servers of Rekor v1 answered (tests/recordings), with the keys that they handed out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use client::{Trust, v1};
use serde_json::Value;

/// The texts that a server answered in the recordings of a folder.
fn answers(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut answers = Vec::new();
    for file in folder.read_dir().unwrap() {
        let path = file.unwrap().path();
        let Ok(bytes) = fs::read(&path) else { continue };
        let Ok(recording) = serde_json::from_slice::<Value>(&bytes) else {
            continue;
        };
        if let Some(body) = recording["response"]["body"].as_str() {
            answers.push((path, body.to_owned()));
        }
    }
    answers
}

/// The keys of all trees of a log: answers that are PEM, or PEM as a JSON string.
fn trust(folder: &Path) -> Trust {
    let texts = answers(folder).into_iter().map(|(_, text)| text);
    let pems: BTreeSet<String> = texts
        .map(|text| serde_json::from_str(&text).unwrap_or(text))
        .filter(|text| text.starts_with("-----BEGIN PUBLIC KEY-----"))
        .map(|pem| format!("{}\n", pem.trim()))
        .collect();
    Trust::read(&pems.into_iter().collect::<String>()).unwrap()
}

#[test]
fn entries_and_heads_of_rekor_verify() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings");
    if !folder.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "no recordings");
        println!("passed over: there are no recordings");
        return;
    }
    for (log, more, least) in [
        ("v1/own", &[][..], 60),
        (
            "newest/v1/own",
            &["newest/new/v1", "newest/new/v1b", "newest/new/v1x"][..],
            240,
        ),
    ] {
        let keys = trust(&folder.join(log)).keys;
        let (mut entries, mut heads) = (0, 0);
        for (path, text) in [&[log], more]
            .concat()
            .iter()
            .flat_map(|at| answers(&folder.join(at)))
        {
            let Ok(Value::Object(answer)) = serde_json::from_str(&text) else {
                continue;
            };
            let is_entry = |value: &Value| value.get("body").is_some();
            if answer.contains_key("signedTreeHead") {
                let opened = v1::open_heads(&keys, text.as_bytes());
                assert!(opened.is_ok(), "{}: {opened:?}", path.display());
                heads += 1;
            } else if answer.len() == 1 && answer.values().all(is_entry) {
                let opened = client::open_entry(&keys, text.as_bytes());
                assert!(opened.is_ok(), "{}: {opened:?}", path.display());
                entries += 1;
            }
        }
        assert!(entries >= least && heads >= 10, "{log}: {entries} {heads}");
    }
}
