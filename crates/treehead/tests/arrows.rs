//! Holds the arrows between the crates, as docs/ARCHITECTURE.md draws them.

use std::collections::BTreeSet;
use std::path::Path;

const ARROWS: [(&str, &[&str]); 7] = [
    ("tlog", &[]),
    ("entry", &["tlog"]),
    ("ledger", &["tlog"]),
    ("host", &[]),
    ("server", &["entry", "host", "ledger", "tlog"]),
    ("witness", &["host", "tlog"]),
    ("treehead", &["entry", "host", "ledger", "server", "tlog", "witness"]),
];

#[test]
fn the_crates_depend_on_each_other_as_drawn() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let names: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<String> =
        crates.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), names, "every crate is in the table above");
    for (name, allowed) in ARROWS {
        let manifest = std::fs::read_to_string(crates.join(name).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
            for dependency in dependencies.keys().filter(|key| names.contains(key.as_str())) {
                assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency} ({section})");
            }
        }
    }
}

/// The pure crates have no way to a file, a socket, a clock or a runtime.
#[test]
fn the_pure_crates_stay_pure() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for name in ["tlog", "entry"] {
        let manifest: toml::Table =
            std::fs::read_to_string(crates.join(name).join("Cargo.toml")).unwrap().parse().unwrap();
        let dependencies = manifest.get("dependencies").unwrap().as_table().unwrap();
        for banned in ["tokio", "sqlx", "axum", "hyper", "tracing", "futures-util", "reqwest"] {
            assert!(!dependencies.contains_key(banned), "{name} is pure and must not depend on {banned}");
        }
    }
}
