//! A small server in front of a log that is made here, so that it can lie in any way.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU8;
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use tlog::{
    Checkpoint, Edge, Hash, LeafIndex, NoteKey, SigningKey, TileId, TilePath, TileResource,
    TileTree, TreeSize,
};

/// The name of the log, and the ID of its tree in v1.
pub(crate) const NAME: &str = "log.example";
pub(crate) const TREE: u64 = 7;

/// The key of a log.
pub(crate) struct Key(SigningKey);

/// A tree with all that can be asked of it.
#[derive(Clone)]
pub(crate) struct Tree {
    pub leaves: Vec<Vec<u8>>,
    pub root: Hash,
    tiles: HashMap<TileId, Arc<TileTree>>,
}

/// What is answered: bodies by path, and the entries of v1 by log index.
#[derive(Default)]
pub(crate) struct Answers {
    pub paths: HashMap<String, Vec<u8>>,
    pub entries: BTreeMap<u64, Value>,
}

/// The server. It answers until the process ends.
pub(crate) struct Hostile {
    pub address: SocketAddr,
    answers: Arc<Mutex<Answers>>,
}

impl Key {
    pub(crate) fn new() -> Self {
        let rng = SystemRandom::new();
        let pkcs8 = SigningKey::generate_ed25519_pkcs8(&rng).unwrap();
        Self(SigningKey::from_pkcs8(&pkcs8, &rng).unwrap())
    }

    pub(crate) fn vkey(&self) -> String {
        let key = NoteKey::new(NAME, self.0.verifying_key().clone());
        key.unwrap().to_string()
    }

    /// Signs a head under this origin.
    pub(crate) fn sign(&self, origin: &str, size: u64, root: Hash) -> String {
        let checkpoint = Checkpoint::new(origin, TreeSize(size), root);
        checkpoint
            .sign(NAME, &self.0, &SystemRandom::new())
            .unwrap()
    }

    pub(crate) fn checkpoint(&self, tree: &Tree) -> String {
        self.sign(NAME, tree.size(), tree.root)
    }

    /// All that a v2 log shows of a tree.
    pub(crate) fn v2(&self, tree: &Tree) -> Answers {
        let mut paths = tree.paths();
        let checkpoint = self.checkpoint(tree).into_bytes();
        paths.insert("/checkpoint".to_owned(), checkpoint);
        Answers {
            paths,
            ..Answers::default()
        }
    }

    /// All that a real Rekor v1 shows of a tree. `earlier` are the sizes from which it proves.
    pub(crate) fn v1(&self, tree: &Tree, earlier: &[u64]) -> Answers {
        let (size, root) = (tree.size(), tree.root);
        let head = self.sign(&format!("{NAME} - {TREE}"), size, root);
        let log = json!({
            "inactiveShards": null, "rootHash": root.to_string(), "signedTreeHead": head,
            "treeID": TREE.to_string(), "treeSize": size,
        });
        let mut answers = Answers::default();
        let log = log.to_string().into_bytes();
        answers.paths.insert("/api/v1/log".to_owned(), log);
        for first in earlier {
            let hashes = tree.consistency(*first);
            let path = format!("/api/v1/log/proof?firstSize={first}&lastSize={size}&treeID={TREE}");
            let proof = json!({"rootHash": root.to_string(), "hashes": hashes});
            answers.paths.insert(path, proof.to_string().into_bytes());
        }
        for index in 0..size {
            let entry = self.entry(tree, index, &head);
            answers.entries.insert(index, entry);
        }
        answers
    }

    fn entry(&self, tree: &Tree, index: u64, head: &str) -> Value {
        let leaf = &tree.leaves[index as usize];
        let (body, log_id) = (
            BASE64_STANDARD.encode(leaf),
            self.0.verifying_key().log_id(),
        );
        let time = 1_700_000_000 + index;
        let signed = format!(
            r#"{{"body":"{body}","integratedTime":{time},"logID":"{log_id}","logIndex":{index}}}"#
        );
        let timestamp = self
            .0
            .sign(signed.as_bytes(), &SystemRandom::new())
            .unwrap();
        let hashes = tlog::inclusion_proof(LeafIndex(index), TreeSize(tree.size()), &tree.tiles);
        let hashes: Vec<_> = hashes.unwrap().iter().map(Hash::to_string).collect();
        let id = format!("{TREE:016x}{}", tlog::leaf_hash(leaf));
        json!({id: {
            "body": body, "integratedTime": time, "logID": log_id.to_string(), "logIndex": index,
            "verification": {
                "inclusionProof": {
                    "checkpoint": head, "hashes": hashes, "logIndex": index,
                    "rootHash": tree.root.to_string(), "treeSize": tree.size(),
                },
                "signedEntryTimestamp": BASE64_STANDARD.encode(timestamp),
            },
        }})
    }
}

impl Tree {
    pub(crate) fn new(leaves: Vec<Vec<u8>>) -> Self {
        let hashes: Vec<_> = leaves.iter().map(|leaf| tlog::leaf_hash(leaf)).collect();
        let mut edge = Edge::empty();
        let full = edge.append(&hashes);
        let mut tiles: HashMap<_, _> = edge.tiles().into_iter().collect();
        for tile in full {
            tiles.insert(tile.id, Arc::new(TileTree::new(&tile.hashes).unwrap()));
        }
        let root = edge.root();
        Self {
            leaves,
            root,
            tiles,
        }
    }

    /// Leaves that are entries of no kind that is known, and differ from `forked` on by `branch`.
    pub(crate) fn plain(size: u64, forked: u64, branch: &str) -> Self {
        let leaf = |number: u64| match number < forked {
            true => format!(r#"{{"kind":"plain","apiVersion":"1","spec":{{"n":{number}}}}}"#),
            false => format!(r#"{{"kind":"{branch}","apiVersion":"1","spec":{{"n":{number}}}}}"#),
        };
        Self::new((0..size).map(|number| leaf(number).into_bytes()).collect())
    }

    pub(crate) fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    fn consistency(&self, first: u64) -> Vec<String> {
        let (first, size) = (TreeSize(first), TreeSize(self.size()));
        let hashes = tlog::consistency_proof(first, size, &self.tiles).unwrap();
        hashes.iter().map(Hash::to_string).collect()
    }

    /// Tiles and bundles by their paths.
    fn paths(&self) -> HashMap<String, Vec<u8>> {
        let mut paths = HashMap::new();
        for (id, tile) in &self.tiles {
            let path = path(TileResource::Tile(*id), tile.width());
            paths.insert(path, tile.bytes().to_vec());
            if id.level == 0 {
                let first = id.index as usize * 256;
                let bundle = bundle(&self.leaves[first..first + tile.width()]);
                let path = path_of_bundle(id.index, tile.width());
                paths.insert(path, bundle);
            }
        }
        paths
    }
}

/// Returns the path of the bundle with this number, if it has so many entries.
pub(crate) fn path_of_bundle(number: u64, width: usize) -> String {
    path(TileResource::Entries(number), width)
}

/// Returns the path of a tile with so many hashes.
pub(crate) fn path(resource: TileResource, width: usize) -> String {
    let partial = u8::try_from(width).ok().and_then(NonZeroU8::new);
    format!("/{}", TilePath { resource, partial })
}

/// Returns a bundle of these leaves.
pub(crate) fn bundle(leaves: &[Vec<u8>]) -> Vec<u8> {
    let entry = |leaf: &Vec<u8>| {
        let length = u16::try_from(leaf.len()).unwrap();
        [&length.to_be_bytes()[..], leaf].concat()
    };
    leaves.iter().flat_map(entry).collect()
}

impl Hostile {
    pub(crate) fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Arc::new(Mutex::new(answers));
        let shared = Arc::clone(&answers);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let answers = Arc::clone(&shared);
                // A client may leave at any time.
                thread::spawn(move || drop(serve(stream.unwrap(), &answers)));
            }
        });
        Self { address, answers }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Shows something else from now on.
    pub(crate) fn show(&self, answers: Answers) {
        *self.answers.lock().unwrap() = answers;
    }

    /// Changes one answer.
    pub(crate) fn change(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut answers = self.answers.lock().unwrap();
        let body = answers.paths.get_mut(path);
        change(body.unwrap_or_else(|| panic!("nothing is shown at {path}")));
    }
}

fn serve(stream: TcpStream, answers: &Mutex<Answers>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let found = match path.as_str() {
        "/api/v1/log/entries/retrieve" => retrieve(&answers.lock().unwrap(), &body),
        path => answers.lock().unwrap().paths.get(path).cloned(),
    };
    let (status, body) = match found {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", Vec::new()),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let mut stream = reader.into_inner();
    stream.write_all(&[head.as_bytes(), &body].concat())
}

fn retrieve(answers: &Answers, body: &[u8]) -> Option<Vec<u8>> {
    let asked: Value = serde_json::from_slice(body).ok()?;
    let indexes = asked["logIndexes"].as_array()?.iter();
    let entry = |index: &Value| answers.entries.get(&index.as_u64()?).cloned();
    let entries: Option<Vec<Value>> = indexes.map(entry).collect();
    Some(json!(entries?).to_string().into_bytes())
}
