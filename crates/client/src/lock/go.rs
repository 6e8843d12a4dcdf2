//! `go.sum` of Go.
//!
//! A line has the hash of a module, or of its `go.mod` alone. The hash is not that of a file that
//! can be downloaded, but the SHA-256 of a list of the files in it, see [`Digest::of_go`].

use std::collections::HashSet;

use super::artefact::{Item, Locked, Origin};
use super::digest::Digest;

/// Behind the version where a line is about the `go.mod` alone.
const ONLY_MOD: &str = "/go.mod";

pub(super) fn items(text: &str) -> Result<Vec<Item>, String> {
    let mut lines = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [] => {}
            [module, version, hash] => lines.push((module, version, hash)),
            _ => return Err(format!("line {number} does not have three words")),
        }
    }
    let whole = lines
        .iter()
        .filter(|(_, version, _)| !version.ends_with(ONLY_MOD));
    let whole: HashSet<(&str, &str)> = whole
        .map(|(module, version, _)| (*module, *version))
        .collect();
    let items = lines.iter().filter_map(|&(module, version, hash)| {
        let (version, locked) = match (version.strip_suffix(ONLY_MOD), Digest::of_go(hash)) {
            (Some(version), _) if whole.contains(&(module, version)) => return None,
            (Some(version), _) => (version, Locked::Nothing("only its go.mod is locked")),
            (None, Some(digest)) => (version, Locked::Digests(vec![digest])),
            (None, None) => (version, Locked::Nothing("locked by a hash other than h1")),
        };
        Some(Item {
            name: module.to_owned(),
            version: version.to_owned(),
            file: None,
            origin: Origin::Registry,
            anchor: hash.to_owned(),
            locked,
        })
    });
    Ok(items.collect())
}
