//! Every checkpoint and inclusion proof in the recorded answers of real servers (tests/recordings).

use std::fs;
use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tlog::{Checkpoint, Hash, LeafIndex, Note, TreeSize, leaf_hash, verify_inclusion};

#[test]
fn recorded_entries_are_included_in_their_checkpoints() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings");
    if !folder.is_dir() {
        assert!(
            std::env::var_os("CI").is_none(),
            "no recordings in {}",
            folder.display()
        );
        println!("passed over: there are no recordings");
        return;
    }
    let mut checked = 0;
    for file in files(&folder) {
        let Ok(recording) = serde_json::from_slice::<Value>(&fs::read(&file).expect("file")) else {
            continue;
        };
        for (leaf, proof) in entries(&recording) {
            check(&leaf, &proof).unwrap_or_else(|what| panic!("{}: {what}", file.display()));
            checked += 1;
        }
    }
    assert!(checked >= 84, "only {checked} entries");
}

/// Leaf bytes and inclusion proof of each entry in an answer of either version.
fn entries(recording: &Value) -> Vec<(Vec<u8>, Value)> {
    let answers = recording["responses"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let answers = answers.into_iter().chain([recording["response"].clone()]);
    let bodies =
        answers.filter_map(|answer| serde_json::from_str::<Value>(answer["body"].as_str()?).ok());
    let bodies = bodies.flat_map(|body| match body {
        Value::Array(list) => list,
        one => vec![one],
    });
    bodies
        .flat_map(|body| {
            entries_v1(&body)
                .into_iter()
                .chain(entry_v2(&body))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn entries_v1(body: &Value) -> Vec<(Vec<u8>, Value)> {
    let Some(entries) = body.as_object() else {
        return vec![];
    };
    let of = |entry: &Value| {
        Some((
            STANDARD.decode(entry["body"].as_str()?).ok()?,
            entry["verification"]["inclusionProof"].clone(),
        ))
    };
    entries.values().filter_map(of).collect()
}

fn entry_v2(body: &Value) -> Option<(Vec<u8>, Value)> {
    Some((
        STANDARD.decode(body["canonicalizedBody"].as_str()?).ok()?,
        body["inclusionProof"].clone(),
    ))
}

fn check(leaf: &[u8], proof: &Value) -> Result<(), String> {
    let number = |field: &str| {
        proof[field]
            .as_u64()
            .or_else(|| proof[field].as_str()?.parse().ok())
            .ok_or(format!("no {field}"))
    };
    let hashes = proof["hashes"].as_array().ok_or("no hashes")?;
    let hashes: Vec<Hash> = hashes
        .iter()
        .map(hash)
        .collect::<Option<_>>()
        .ok_or("not a hash")?;
    let root = hash(&proof["rootHash"]).ok_or("no root")?;
    let (index, size) = (
        LeafIndex(number("logIndex")?),
        TreeSize(number("treeSize")?),
    );
    verify_inclusion(&leaf_hash(leaf), index, size, &root, &hashes)
        .map_err(|error| error.to_string())?;
    let note = proof["checkpoint"]
        .as_str()
        .or_else(|| proof["checkpoint"]["envelope"].as_str())
        .ok_or("no checkpoint")?;
    let parsed = Note::parse(note).map_err(|error| error.to_string())?;
    let checkpoint = Checkpoint::parse(parsed.text()).map_err(|error| error.to_string())?;
    if (parsed.to_string(), checkpoint.size, checkpoint.root) != (note.to_owned(), size, root) {
        return Err("the checkpoint is of another head".into());
    }
    Ok(())
}

/// Hexadecimal in v1, base64 in v2.
fn hash(value: &Value) -> Option<Hash> {
    let text = value.as_str()?;
    let bytes = hex::decode(text).or_else(|_| STANDARD.decode(text)).ok()?;
    Hash::try_from(bytes.as_slice()).ok()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .expect("folder")
        .map(|entry| entry.expect("entry").path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
        .collect()
}
