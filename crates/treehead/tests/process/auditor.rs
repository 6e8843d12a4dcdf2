//! Trusts nothing: collects the heads of every tree of a ledger from any of its servers, and
//! recomputes all of them from the entries.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use tlog::{Audit, Checkpoint, Hash, NoteKey, TreeSize, VerifyingKey};

use crate::entries::Acknowledged;
use crate::http::{self, Answer};

/// Knows the trees of a ledger by origins and public keys, and all that they ever signed.
#[derive(Default)]
pub(crate) struct Auditor {
    signers: Vec<Signer>,
    /// By tree ID.
    trees: BTreeMap<String, Tree>,
}

/// Texts with this origin are signed with this key.
#[derive(Clone)]
struct Signer {
    origin: String,
    key: NoteKey,
    tree: String,
}

/// Everything that is known of a tree.
#[derive(Default)]
struct Tree {
    heads: BTreeMap<TreeSize, Hash>,
    /// Leaf bytes of the entries that were acknowledged, by index in the tree.
    leaves: BTreeMap<u64, Vec<u8>>,
}

impl Auditor {
    /// Takes names, trees and keys from a server.
    pub(crate) fn new(server: SocketAddr) -> Self {
        let mut auditor = Self::default();
        auditor.trust(server);
        auditor
    }

    /// Takes in the trees that came with rotations as well.
    pub(crate) fn trust(&mut self, server: SocketAddr) {
        let log = http::get(server, "/api/v1/log").json();
        let note = log["signedTreeHead"].as_str().unwrap();
        let origin = note.lines().next().unwrap().to_owned();
        let (name, tree) = origin.split_once(" - ").unwrap();
        assert_eq!(log["treeID"], tree);
        let pem = http::get(server, "/api/v1/log/publicKey").body;
        self.sign(&origin, NoteKey::new(name, public_key(&pem)).unwrap(), tree);

        let vkeys = http::get(server, "/trust/checkpoint.vkey").body;
        for vkey in vkeys.lines() {
            let key: NoteKey = vkey.parse().unwrap();
            let origin = key.name().to_owned();
            // A tree of v2 has no ID in its origin, and is known by that.
            let tree = origin.split_once("/trees/").map_or(&*origin, |(_, id)| id);
            self.sign(&origin, key.clone(), tree);
        }
    }

    fn sign(&mut self, origin: &str, key: NoteKey, tree: &str) {
        if self.signers.iter().all(|signer| signer.origin != origin) {
            let (origin, tree) = (origin.to_owned(), tree.to_owned());
            self.trees.entry(tree.clone()).or_default();
            self.signers.push(Signer { origin, key, tree });
        }
    }

    /// Verifies a signed head and compares it with all that were seen.
    pub(crate) fn see(&mut self, note: &str) -> Head {
        let origin = note.lines().next().unwrap();
        let signer = self.signers.iter().find(|signer| signer.origin == origin);
        let signer = signer.unwrap_or_else(|| panic!("nobody is known to sign {note}"));
        let head = Checkpoint::open(note, origin, std::slice::from_ref(&signer.key)).unwrap();
        let tree = self.trees.get_mut(&signer.tree).unwrap();
        let first = *tree.heads.entry(head.size).or_insert(head.root);
        assert_eq!(first, head.root, "two roots for size {}: {note}", head.size);
        Head {
            tree: signer.tree.clone(),
            size: head.size,
        }
    }

    /// Sees the heads that a server shows on all of its routes. A server may refuse to show one.
    pub(crate) fn glance(&mut self, server: SocketAddr) -> io::Result<Vec<Head>> {
        let mut heads = Vec::new();
        if let Some(answer) = shown(server, "/api/v1/log")? {
            let log = answer.json();
            let frozen = log["inactiveShards"].as_array().cloned();
            for shard in frozen.unwrap_or_default().iter().chain([&log]) {
                let head = self.see(shard["signedTreeHead"].as_str().unwrap());
                assert_eq!(shard["treeSize"], head.size.0);
                heads.push(head);
            }
        }
        let of_v1 = self.trees.keys().filter(|tree| tree.parse::<u64>().is_ok());
        let of_v1 = of_v1.map(|tree| format!("/trees/{tree}/checkpoint"));
        let mut paths = vec!["/checkpoint".to_owned(), "/api/v2/checkpoint".to_owned()];
        paths.extend(of_v1);
        for path in paths {
            if let Some(answer) = shown(server, &path)? {
                heads.push(self.see(&answer.body));
            }
        }
        Ok(heads)
    }

    /// Sees the heads of a server, none of which may be older than one that was seen before.
    pub(crate) fn look(&mut self, server: SocketAddr) {
        let newest: BTreeMap<String, TreeSize> = self
            .trees
            .iter()
            .filter_map(|(id, tree)| Some((id.clone(), *tree.heads.keys().next_back()?)))
            .collect();
        for Head { tree, size } in self.glance(server).unwrap() {
            let newest = newest.get(&tree).copied().unwrap_or_default();
            assert!(
                size >= newest,
                "a server that was asked later shows {size} of {tree} after {newest}"
            );
            if tree.parse::<u64>().is_ok() {
                self.assert_proved(server, &tree, newest, size);
            }
        }
    }

    /// The server proves that the second head of a tree of v1 extends the first one.
    fn assert_proved(&self, server: SocketAddr, tree: &str, first: TreeSize, second: TreeSize) {
        if first.0 == 0 || first == second {
            return;
        }
        let path = format!("/api/v1/log/proof?firstSize={first}&lastSize={second}&treeID={tree}");
        let answer = http::get(server, &path);
        assert_eq!(answer.status, 200, "{answer:?}");
        let hashes = answer.json()["hashes"].as_array().unwrap().clone();
        let proof: Vec<Hash> = hashes
            .iter()
            .map(|text| Hash::try_from(&*hex::decode(text.as_str().unwrap()).unwrap()).unwrap())
            .collect();
        let root = |size| self.trees[tree].heads[&size];
        tlog::verify_consistency(first, &root(first), second, &root(second), &proof).unwrap();
    }

    /// Keeps an entry that v1 acknowledged, and sees the head in its proof.
    pub(crate) fn keep(&mut self, acknowledged: &Acknowledged) {
        let entry = &acknowledged.entry;
        let proof = &entry["verification"]["inclusionProof"];
        let body = entry["body"].as_str().unwrap();
        self.keep_leaf(&proof["checkpoint"], proof["logIndex"].as_u64(), body);
    }

    /// Keeps an entry that v2 acknowledged, and sees the head in its proof.
    pub(crate) fn keep_v2(&mut self, entry: &Value) {
        let proof = &entry["inclusionProof"];
        let body = entry["canonicalizedBody"].as_str().unwrap();
        // protobuf leaves out the index 0.
        let index = entry["logIndex"].as_str().unwrap_or("0").parse();
        self.keep_leaf(&proof["checkpoint"]["envelope"], index.ok(), body);
    }

    fn keep_leaf(&mut self, checkpoint: &Value, index: Option<u64>, body: &str) {
        let head = self.see(checkpoint.as_str().unwrap());
        let index = index.unwrap();
        assert!(index < head.size.0, "{index} is not in {}", head.size);
        let leaf = BASE64_STANDARD.decode(body).unwrap();
        let leaves = &mut self.trees.get_mut(&head.tree).unwrap().leaves;
        let first = leaves.entry(index).or_insert_with(|| leaf.clone());
        assert_eq!(*first, leaf, "index {index} was given twice");
    }

    /// Recomputes every head that was seen from the leaves of the acknowledged entries. Those that
    /// nobody was told of come from the server.
    pub(crate) fn recompute(&self, server: SocketAddr) {
        for (id, tree) in &self.trees {
            let mut audit = Audit::new();
            for (size, root) in &tree.heads {
                while audit.size() < *size {
                    let index = audit.size().0;
                    let leaf = tree.leaves.get(&index).cloned();
                    let leaf = leaf.unwrap_or_else(|| self.leaf(server, id, index));
                    audit.push(tlog::leaf_hash(&leaf));
                }
                assert_eq!(audit.root(), *root, "tree {id} at size {size}");
            }
        }
    }

    fn leaf(&self, server: SocketAddr, tree: &str, index: u64) -> Vec<u8> {
        let path = match tree.parse::<u64>() {
            Ok(_) => format!("/trees/{tree}/entries/{index}"),
            Err(_) => format!("/api/v2/log/entries/{index}"),
        };
        let answer = http::get(server, &path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let body = answer.json()["canonicalizedBody"].clone();
        BASE64_STANDARD.decode(body.as_str().unwrap()).unwrap()
    }

    /// Size and root of the newest head of a tree, as people write them.
    pub(crate) fn newest(&self, tree: &str) -> (u64, String) {
        let (size, root) = self.trees[tree].heads.last_key_value().unwrap();
        (size.0, root.to_string())
    }

    /// How many heads were seen.
    pub(crate) fn heads(&self) -> usize {
        self.trees.values().map(|tree| tree.heads.len()).sum()
    }
}

/// A head that was seen.
pub(crate) struct Head {
    pub tree: String,
    pub size: TreeSize,
}

/// The answer, unless the server says that it cannot give one now.
fn shown(server: SocketAddr, path: &str) -> io::Result<Option<Answer>> {
    let answer = http::try_get(server, path)?;
    assert!(matches!(answer.status, 200 | 503), "{path}: {answer:?}");
    Ok((answer.status == 200).then_some(answer))
}

fn public_key(pem: &str) -> VerifyingKey {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    let spki = BASE64_STANDARD.decode(lines.collect::<String>()).unwrap();
    VerifyingKey::from_spki(&spki).unwrap()
}
