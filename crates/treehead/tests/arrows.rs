//! Holds the arrows between the crates, as docs/ARCHITECTURE.md draws them.

use std::collections::BTreeSet;
use std::path::Path;

const ARROWS: [(&str, &[&str]); 10] = [
    ("tlog", &[]),
    ("pki", &[]),
    ("entry", &["pki", "tlog"]),
    ("client", &["entry", "pki", "tlog"]),
    ("monitor", &["client", "entry", "tlog"]),
    ("ledger", &["tlog"]),
    ("host", &[]),
    ("server", &["entry", "host", "ledger", "tlog"]),
    ("witness", &["host", "tlog"]),
    (
        "treehead",
        &[
            "client", "entry", "host", "ledger", "monitor", "pki", "server", "tlog", "witness",
        ],
    ),
];

#[test]
fn the_crates_depend_on_each_other_as_drawn() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let names: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<String> = crates
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        found.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        names,
        "every crate is in the table above"
    );
    for (name, allowed) in ARROWS {
        let manifest = std::fs::read_to_string(crates.join(name).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(section).and_then(toml::Value::as_table) else {
                continue;
            };
            for dependency in dependencies
                .keys()
                .filter(|key| names.contains(key.as_str()))
            {
                assert!(
                    allowed.contains(&dependency.as_str()),
                    "{name} must not depend on {dependency} ({section})"
                );
            }
        }
    }
}

/// The pure crates have no way to a file, a socket, a clock or a runtime.
#[test]
fn the_pure_crates_stay_pure() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for name in ["tlog", "pki", "entry"] {
        let manifest: toml::Table = std::fs::read_to_string(crates.join(name).join("Cargo.toml"))
            .unwrap()
            .parse()
            .unwrap();
        let dependencies = manifest.get("dependencies").unwrap().as_table().unwrap();
        for banned in [
            "tokio",
            "sqlx",
            "axum",
            "hyper",
            "tracing",
            "futures-util",
            "reqwest",
        ] {
            assert!(
                !dependencies.contains_key(banned),
                "{name} is pure and must not depend on {banned}"
            );
        }
    }
}

/// In `client`, one file has a way to the network. The rest is pure.
#[test]
fn the_client_has_one_way_out() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for file in crates.join("client/src").read_dir().unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for banned in [
            "hyper",
            "tokio::",
            "http_body",
            "std::net",
            "std::fs",
            "std::time",
        ] {
            let is_there = text.contains(banned) && !path.ends_with("http.rs");
            assert!(!is_there, "{} must not name {banned}", path.display());
        }
    }
}

/// Rekor v1 and v2 are siblings: neither imports the other, and what lies below both imports
/// neither.
#[test]
fn the_apis_do_not_import_each_other() {
    let server = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("server/src");
    let mut seen = 0;
    let mut left = vec![server.clone()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let file = path
            .strip_prefix(&server)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let banned: &[&str] = match file.split(['/', '.']).next().unwrap() {
            "v1" => &["v2"],
            "v2" => &["v1"],
            // From requests to the APIs, and the crate's face.
            "router" | "own" | "lib" => continue,
            _ => &["v1", "v2"],
        };
        seen += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        for api in banned {
            for way in [
                format!("crate::{api}::"),
                format!("super::{api}::"),
                format!("crate::{api};"),
            ] {
                assert!(!text.contains(&way), "{file} must not name {way}");
            }
            let from_the_crate = text.lines().filter(|line| line.starts_with("use crate::{"));
            for line in from_the_crate {
                let mut names = line
                    .trim_start_matches("use crate::{")
                    .split([',', '}', ' ']);
                assert!(!names.any(|name| name == *api), "{file}: {line}");
            }
        }
    }
    assert!(seen > 20, "{seen} files");
}
