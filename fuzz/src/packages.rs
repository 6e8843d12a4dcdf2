//! Kinds that take an artifact which brings its signature: packages, archives, provenance.

use std::io::{Cursor, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entry::{ProposedEntry, VerifiedEntry, index_keys_of_leaf, is_readable};
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::cost;

/// The keys by which the seeds are signed.
const ALPINE_KEY: &[u8] = include_bytes!("../keys/alpine.pub");
const PGP_KEY: &[u8] = include_bytes!("../keys/pgp.asc");
/// The files that the seeds of `pkcs7` sign.
const MANIFEST: &[u8] = include_bytes!("../keys/MANIFEST.MF");
const SIGNATURE_FILE: &[u8] = include_bytes!("../keys/TEST.SF");

/// A package that is accepted becomes canonical leaf bytes that tell the index keys, and whose hash
/// is its own.
pub fn alpine(package: &[u8]) {
    if let Some(entry) = accepted("alpine", package) {
        check_hash(&entry, "package", package);
    }
}

/// The same holds for archives; and a second parser reads an archive of at least as many files as a
/// signature needs.
pub fn jar(archive: &[u8]) {
    let Some(entry) = accepted("jar", archive) else {
        return;
    };
    check_hash(&entry, "archive", archive);
    assert!(
        ZipArchive::new(Cursor::new(archive))
            .expect("an archive")
            .len()
            >= 3
    );
}

/// A signature block that is accepted for an archive has a canonical form, which is accepted for it
/// as well and is its own canonical form.
pub fn pkcs7(block: &[u8]) {
    let Some(signature) = signature_of(block) else {
        return;
    };
    let pem: String = signature
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let canonical = STANDARD.decode(pem).expect("base64");
    assert_eq!(signature_of(&canonical).as_ref(), Some(&signature));
}

/// The same holds as for Alpine packages.
pub fn rpm(package: &[u8]) {
    if let Some(entry) = accepted("rpm", package) {
        check_hash(&entry, "package", package);
    }
}

/// Provenance that is accepted becomes canonical leaf bytes that tell the index keys.
pub fn helm(provenance: &[u8]) {
    accepted("helm", provenance);
}

/// Reads the parts of a package behind its signature, which no fuzzer gets past.
pub fn rpm_package(package: &[u8]) {
    cost::within(package, |work| is_readable("rpm", package, work));
}

/// Reads provenance behind its signature.
pub fn helm_provenance(provenance: &[u8]) {
    cost::within(provenance, |work| is_readable("helm", provenance, work));
}

/// Whether an input of one of these targets is accepted.
pub fn is_accepted(target: &str, bytes: &[u8]) -> bool {
    match target {
        "pkcs7" => signature_of(bytes).is_some(),
        kind => accepted(kind, bytes).is_some(),
    }
}

/// The canonical signature of an archive with this signature block, if that is accepted.
fn signature_of(block: &[u8]) -> Option<String> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let files = [
        ("META-INF/MANIFEST.MF", MANIFEST),
        ("META-INF/TEST.SF", SIGNATURE_FILE),
        ("META-INF/TEST.EC", block),
        ("a/one", b"one\n"),
        ("two", b"two\n"),
    ];
    for (name, contents) in files {
        archive.start_file(name, options).expect("in memory");
        archive.write_all(contents).expect("in memory");
    }
    let archive = archive.finish().expect("in memory").into_inner();
    let entry = accepted("jar", &archive)?;
    let signature = spec_of(&entry)["signature"]["content"]
        .as_str()
        .map(|text| STANDARD.decode(text).expect("base64"));
    Some(String::from_utf8(signature.expect("a signature")).expect("PEM"))
}

/// The entry of an artifact, if it is accepted; its leaf bytes are canonical and tell the index
/// keys.
fn accepted(kind: &str, artifact: &[u8]) -> Option<VerifiedEntry> {
    let content = json!({"content": STANDARD.encode(artifact)});
    let key = |key| json!({"content": STANDARD.encode(key)});
    let spec = match kind {
        "jar" => json!({"archive": content}),
        "helm" => json!({"publicKey": key(PGP_KEY), "chart": {"provenance": content}}),
        "rpm" => json!({"publicKey": key(PGP_KEY), "package": content}),
        _ => json!({"publicKey": key(ALPINE_KEY), "package": content}),
    };
    let body = json!({"apiVersion": "0.0.1", "kind": kind, "spec": spec}).to_string();
    let entry = cost::verify(ProposedEntry::from_json, body.as_bytes()).ok()?;
    let leaf = entry.leaf_bytes();
    let value: Value = serde_json::from_slice(leaf).expect("leaf bytes are JSON");
    assert_eq!(
        leaf,
        serde_json_canonicalizer::to_vec(&value).expect("JSON has a canonical form")
    );
    assert_eq!(
        index_keys_of_leaf(leaf)
            .expect("a leaf")
            .expect("with keys"),
        entry.index_keys()
    );
    Some(entry)
}

fn spec_of(entry: &VerifiedEntry) -> Value {
    let leaf: Value = serde_json::from_slice(entry.leaf_bytes()).expect("leaf bytes are JSON");
    leaf["spec"].clone()
}

fn check_hash(entry: &VerifiedEntry, name: &str, content: &[u8]) {
    let hash = tlog::sha256(content).to_string();
    assert_eq!(spec_of(entry)[name]["hash"]["value"], hash.as_str());
    assert_eq!(entry.index_keys().last(), Some(&format!("sha256:{hash}")));
}
