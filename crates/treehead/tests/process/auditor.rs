//! Trusts nothing: collects heads from any server of a log, proves each consistent with the one
//! before, and at the end recomputes all of them from the entries.

use std::net::SocketAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tlog::{Audit, Checkpoint, Hash, NoteKey, TreeSize, VerifyingKey};

use crate::http;

/// Entries of one `retrieve`.
const PAGE: u64 = 10;

/// Knows a log by its origin and public key, and what it said so far.
pub(crate) struct Auditor {
    origin: String,
    key: NoteKey,
    heads: Vec<(TreeSize, Hash)>,
}

impl Auditor {
    /// Takes name, tree and key from a server; every later head must be of that tree and by that
    /// key.
    pub(crate) fn new(server: SocketAddr) -> Self {
        let pem = http::get(server, "/api/v1/log/publicKey").body;
        let body: String = pem
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .collect();
        let key = VerifyingKey::from_spki(&BASE64_STANDARD.decode(body).unwrap()).unwrap();
        let log = http::get(server, "/api/v1/log").json();
        let origin = log["signedTreeHead"]
            .as_str()
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .to_owned();
        let (name, tree_id) = origin.split_once(" - ").unwrap();
        assert_eq!(log["treeID"], tree_id);
        let key = NoteKey::new(name, key).unwrap();
        Self {
            origin,
            key,
            heads: vec![(TreeSize(0), tlog::EMPTY_ROOT)],
        }
    }

    /// Fetches the head of a server and proves it consistent with the last one seen, from whichever
    /// server.
    pub(crate) fn look(&mut self, server: SocketAddr) -> TreeSize {
        let log = http::get(server, "/api/v1/log").json();
        let note = log["signedTreeHead"].as_str().unwrap();
        let head = Checkpoint::open(note, &self.origin, std::slice::from_ref(&self.key)).unwrap();
        assert_eq!(log["rootHash"], head.root.to_string());
        assert_eq!(log["treeSize"], head.size.0);
        let (size, root) = *self.heads.last().unwrap();
        assert!(
            head.size >= size,
            "a server that was asked later shows {} after {size}",
            head.size
        );
        let proof = if head.size > size && size.0 > 0 {
            proof(server, size, head.size)
        } else {
            Vec::new()
        };
        tlog::verify_consistency(size, &root, head.size, &head.root, &proof).unwrap();
        self.heads.push((head.size, head.root));
        head.size
    }

    /// Recomputes every head that was seen from the leaf bytes that the server shows.
    pub(crate) fn recompute(&self, server: SocketAddr) {
        let mut audit = Audit::new();
        for (size, root) in &self.heads {
            while audit.size() < *size {
                let first = audit.size().0;
                let indexes: Vec<u64> = (first..size.0.min(first + PAGE)).collect();
                leaves(server, &indexes)
                    .iter()
                    .for_each(|leaf| drop(audit.push(tlog::leaf_hash(leaf))));
                assert!(audit.size().0 > first, "no entry at {first}");
            }
            assert_eq!(audit.root(), *root, "at size {size}");
        }
    }
}

fn proof(server: SocketAddr, first: TreeSize, second: TreeSize) -> Vec<Hash> {
    let answer = http::get(
        server,
        &format!("/api/v1/log/proof?firstSize={first}&lastSize={second}"),
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    let hashes = answer.json()["hashes"].as_array().unwrap().clone();
    hashes
        .iter()
        .map(|text| {
            Hash(
                hex::decode(text.as_str().unwrap())
                    .unwrap()
                    .try_into()
                    .unwrap(),
            )
        })
        .collect()
}

fn leaves(server: SocketAddr, indexes: &[u64]) -> Vec<Vec<u8>> {
    let query = json!({"logIndexes": indexes}).to_string();
    let answer = http::post(server, "/api/v1/log/entries/retrieve", &query);
    assert_eq!(answer.status, 200, "{answer:?}");
    let Value::Array(entries) = answer.json() else {
        panic!("{answer:?}")
    };
    let body = |entry: &Value| {
        entry.as_object().unwrap().values().next().unwrap()["body"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    entries
        .iter()
        .map(|entry| BASE64_STANDARD.decode(body(entry)).unwrap())
        .collect()
}
