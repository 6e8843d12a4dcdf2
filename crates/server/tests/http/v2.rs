//! Rekor v2: entries, tiles that every reader can check, duplicates, and a log of each API beside
//! the other.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::Arc;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use http::Request;
use ledger::{Appended, EntryClaims, NewEntry, Tree};
use serde_json::{Value, json};
use server::OnDuplicate;
use tlog::{Checkpoint, Hash, LeafIndex, NoteKey, TILE_WIDTH, TileId, TileTree, TreeSize};

use crate::life::only_key;
use crate::proposal::Signer;
use crate::support::{Answer, NAME, OF_V1, OF_V2, TestLog, open_log, open_log_for};

const V1: &str = "/api/v1/log/entries";
const V2: &str = "/api/v2/log/entries";

#[tokio::test]
async fn an_entry_is_shown_by_the_api_that_it_came_by() {
    let log = TestLog::start().await;
    let signer = Signer::new();
    let by_v1 = log.post(V1, &signer.proposal(b"one")).await;
    assert_eq!(by_v1.status, 201, "{}", by_v1.body);
    let id = only_key(&by_v1.json());
    for artifact in [b"two", b"ten"] {
        let written = log.post(V2, &signer.proposal_v2(artifact)).await;
        assert_eq!(written.status, 201, "{}", written.body);
        verify(&log, &written.json());
    }
    let by_v2 = log.get(&format!("{V2}/1")).await;
    assert_eq!(
        (by_v2.status, by_v2.header("content-type")),
        (200, "application/json")
    );
    let by_v2 = by_v2.json();
    verify(&log, &by_v2);
    assert_eq!(
        (&by_v2["integratedTime"], &by_v2["inclusionPromise"]),
        (&"0".into(), &Value::Null)
    );

    // Neither API shows what the other one has.
    let hash = leaf_hash(&by_v2);
    let v2_id = format!("{:016x}{hash}", log.v2().tree().id.0);
    for target in [
        format!("{V1}/{v2_id}"),
        format!("{V1}/{hash}"),
        format!("{V1}?logIndex=1"),
        format!("{V2}/2"),
        "/tile/0/000.p/3".to_owned(),
    ] {
        assert_eq!(log.get(&target).await.status, 404, "{target}");
    }
    let ids = json!({"entryUUIDs": [v2_id, id, hash.to_string()]}).to_string();
    let retrieved = log.post("/api/v1/log/entries/retrieve", &ids).await.json();
    assert_eq!(retrieved.as_array().map(Vec::len), Some(1));
    assert_eq!(only_key(&retrieved[0]), id);
    let key = json!({"publicKey": {"format": "x509", "content": signer.public_key()}});
    let found = log.post("/api/v1/index/retrieve", &key.to_string()).await;
    assert_eq!(found.json(), json!([id]));
    let head = log.get("/api/v1/log").await.json();
    assert_eq!(
        (&head["treeSize"], &head["treeID"]),
        (&1.into(), &log.v1().tree().id.to_string().into())
    );
    let proof = log.get("/api/v1/log/proof?lastSize=1&treeID=").await;
    assert_eq!(proof.status, 200);
    let of_v2 = format!("/api/v1/log/publicKey?treeID={}", log.v2().tree().id);
    assert_eq!(log.get(&of_v2).await.status, 400);
    assert_eq!(
        log.get("/api/v1/log/publicKey").await.body,
        log.v1().tree().public_key_pem
    );
}

#[tokio::test]
async fn a_leaf_hash_is_looked_for_in_all_logs() {
    let log = TestLog::start().await;
    let signer = Signer::new();
    log.post(V2, &signer.proposal_v2(b"x")).await;
    let by_v1 = log.post(V1, &signer.proposal(b"x")).await.json();
    let id = only_key(&by_v1);
    let found = log.get(&format!("{V2}?leafHash={}", &id[16..])).await;
    assert_eq!(found.status, 200, "{}", found.body);
    let tree = log.v1().tree();
    assert_eq!(
        found.body + "\n",
        log.get(&format!("/trees/{}/entries/0", tree.id)).await.body
    );
    let by_v2 = log.get(&format!("{V2}/0")).await;
    let hash = leaf_hash(&by_v2.json());
    assert_eq!(
        log.get(&format!("{V2}?leafHash={hash}")).await.body,
        by_v2.body
    );
    let v1 = TestLog::of(open_log_for(OF_V1).await);
    let id = only_key(&v1.post(V1, &signer.proposal(b"x")).await.json());
    let found = v1.get(&format!("{V2}?leafHash={}", &id[16..])).await;
    assert_eq!(found.status, 200, "in a ledger without v2 log as well");
}

#[tokio::test]
async fn a_duplicate_is_one_within_its_log() {
    let log = TestLog::start().await;
    for log in log.ledger.logs() {
        let leaf = || NewEntry {
            leaf_bytes: b"{}".to_vec(),
            kind: "hashedrekord:0.0.1".into(),
            index_keys: Vec::new(),
            attestation: None,
            claims: EntryClaims::default(),
        };
        let first = log.append(leaf()).await.expect("appended");
        let again = log.append(leaf()).await.expect("found");
        assert!(matches!(first, Appended::Sequenced(_)), "{}", log.api());
        assert!(matches!(again, Appended::Duplicate(_)), "{}", log.api());
    }
}

#[tokio::test]
async fn what_is_not_there_or_no_question_is_refused() {
    let log = TestLog::start().await;
    log.post(V2, &Signer::new().proposal_v2(b"x")).await;
    for (target, status, code) in [
        ("/api/v2/log/entries/1", 404, 5),
        ("/api/v2/log/entries/-1", 400, 3),
        ("/api/v2/log/entries/x", 400, 3),
        ("/api/v2/log/entries/%ff", 400, 3),
        ("/api/v2/log/entries/9223372036854775808", 400, 3),
        ("/api/v2/log/entries?leafHash=00", 400, 3),
        ("/api/v2/log/entries?leafHash=", 400, 3),
        ("/api/v2/log/proof/consistency?first=1", 400, 3),
        ("/api/v2/log/proof/consistency?first=0&last=1", 400, 3),
        ("/api/v2/log/proof/consistency?first=1&last=2", 400, 3),
        ("/api/v2/log/entries/", 404, 5),
        ("//api/v2/log/entries/0", 404, 5),
        ("/api/v2/log/../log/entries/0", 404, 5),
        ("/tile/0/000", 404, 5),
        ("/tile/0/000.p/2", 404, 5),
        ("/tile/0/000.p/01", 404, 5),
        ("/tile/00/000.p/1", 404, 5),
        ("/tile/0/x000/000.p/1", 404, 5),
        ("/tile/0/000.p/1/", 404, 5),
        ("/tile/1/000.p/1", 404, 5),
        ("/tile/63/000.p/1", 404, 5),
        ("/tile/0/%30%30%30.p/1", 404, 5),
        ("/tile", 404, 5),
    ] {
        let answer = log.get(target).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (status, &code.into()),
            "{target}: {}",
            answer.body
        );
    }
    let absent = tlog::sha256(b"absent");
    for target in [
        format!("{V2}?leafHash={absent}"),
        "/tile/0/000".to_owned(),
        format!("{V2}/1"),
    ] {
        let answer = log.get(&target).await;
        assert_eq!(
            (answer.status, answer.header("cache-control")),
            (404, "no-cache"),
            "what comes may be there soon"
        );
    }
}

#[tokio::test]
async fn fifty_identical_posts_make_one_leaf() {
    for on_duplicate in [OnDuplicate::Stored, OnDuplicate::Conflict] {
        let mut opened = open_log().await;
        opened.1.duplicates.v2 = on_duplicate;
        let log = TestLog::of(opened);
        let request = Signer::new().proposal_v2(b"x");
        let answers = futures_util::future::join_all((0..50).map(|_| log.post(V2, &request))).await;
        assert_eq!(log.v2().head().size.0, 1);
        let mut created = 0;
        for answer in answers {
            match answer.status {
                201 => {
                    created += 1;
                    verify(&log, &answer.json());
                }
                409 => assert_eq!(answer.header("x-log-index"), "0"),
                status => panic!("{status}: {}", answer.body),
            }
        }
        assert_eq!(
            created,
            if on_duplicate == OnDuplicate::Stored {
                50
            } else {
                1
            }
        );
    }
}

#[tokio::test]
async fn v1_can_answer_duplicates_with_the_stored_entry_too() {
    let mut opened = open_log().await;
    opened.1.duplicates.v1 = OnDuplicate::Stored;
    let log = TestLog::of(opened);
    let proposal = Signer::new().proposal(b"x");
    let (first, again) = (log.post(V1, &proposal).await, log.post(V1, &proposal).await);
    assert_eq!(
        (first.status, again.status, &first.body),
        (201, 201, &again.body)
    );
    assert_eq!(first.header("location"), again.header("location"));
}

#[tokio::test]
async fn tiles_and_bundles_are_the_log() {
    let log = TestLog::start().await;
    let signer = Signer::new();
    for artifact in 0..300_u16 {
        let artifact = artifact.to_be_bytes();
        let answer = log.post(V2, &signer.proposal_v2(&artifact)).await;
        assert_eq!(answer.status, 201);
    }
    let note = log.get("/checkpoint").await;
    assert_eq!(
        (note.header("content-type"), note.header("cache-control")),
        ("text/plain; charset=utf-8", "no-cache")
    );
    let checkpoint = open_checkpoint(&log.v2().tree(), &note.body);
    assert_eq!(checkpoint.size, TreeSize(300));
    assert_eq!(log.get("/api/v2/checkpoint").await.body, note.body);

    let by_name = async |path: &str| {
        log.send(
            Request::get(path)
                .header("host", NAME)
                .body(Body::empty())
                .expect("a request"),
        )
        .await
    };
    let full = by_name("/tile/0/000").await;
    assert_eq!(
        full.header("cache-control"),
        "private, max-age=604800, immutable"
    );
    let partial = log.get("/api/v2/tile/0/001.p/44").await;
    assert_eq!(partial.header("content-type"), "application/octet-stream");
    let level_one = log.get("/tile/1/000.p/1").await;
    let tiles: HashMap<TileId, Arc<TileTree>> =
        [((0, 0), &full), ((0, 1), &partial), ((1, 0), &level_one)]
            .map(|((level, index), tile)| {
                (
                    TileId { level, index },
                    Arc::new(TileTree::new(&hashes(&tile.bytes)).expect("1 to 256")),
                )
            })
            .into();
    assert_eq!(
        tlog::root_at(TreeSize(300), &tiles).expect("all tiles"),
        checkpoint.root
    );

    // Every width that a tile ever had stays, and is the beginning of the full one.
    for width in [1, 17, 255] {
        let tile = by_name(&format!("/tile/0/000.p/{width}")).await;
        assert_eq!(tile.bytes, full.bytes[..32 * width]);
        assert_eq!(
            tile.header("cache-control"),
            "private, max-age=3600, immutable"
        );
    }
    let mut leaves = Vec::new();
    for (path, width) in [
        ("/tile/entries/000", TILE_WIDTH),
        ("/tile/entries/001.p/44", 44),
    ] {
        let plain = log.get(path).await;
        assert_eq!(plain.header("content-encoding"), "");
        let vary: Vec<_> = plain.headers.get_all("vary").iter().collect();
        assert_eq!(vary, ["accept-encoding"]);
        let request = Request::get(path)
            .header("accept-encoding", "br, gzip")
            .body(Body::empty())
            .expect("a request");
        let compressed = log.send(request).await;
        assert_eq!(compressed.header("content-encoding"), "gzip");
        let mut unpacked = Vec::new();
        GzDecoder::new(compressed.bytes.as_slice())
            .read_to_end(&mut unpacked)
            .expect("gzip");
        assert!(compressed.bytes.len() < plain.bytes.len());
        assert_eq!(unpacked, plain.bytes);
        let entries = entries(&plain.bytes);
        assert_eq!(entries.len(), width);
        leaves.extend(entries.iter().map(|entry| tlog::leaf_hash(entry)));
    }
    assert_eq!(
        leaves,
        [hashes(&full.bytes), hashes(&partial.bytes)].concat()
    );
    assert_eq!(
        entries(&log.get("/tile/entries/000.p/7").await.bytes).len(),
        7
    );

    let proof = log
        .get("/api/v2/log/proof/consistency?first=255&last=300")
        .await
        .json();
    assert_eq!(
        (&proof["firstSize"], &proof["lastSize"]),
        (&"255".into(), &"300".into())
    );
    let proof: Vec<Hash> = proof["hashes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(hash)
        .collect();
    let smaller: HashMap<TileId, Arc<TileTree>> = [(
        TileId { level: 0, index: 0 },
        Arc::new(TileTree::new(&leaves[..255]).expect("255")),
    )]
    .into();
    let root = tlog::root_at(TreeSize(255), &smaller).expect("one tile");
    tlog::verify_consistency(
        TreeSize(255),
        &root,
        TreeSize(300),
        &checkpoint.root,
        &proof,
    )
    .expect("consistent");
}

#[tokio::test]
async fn a_ledger_without_the_log_of_an_api_says_so() {
    let signer = Signer::new();
    let v1 = TestLog::of(open_log_for(OF_V1).await);
    assert_eq!(v1.post(V1, &signer.proposal(b"x")).await.status, 201);
    for (method, target) in [
        ("POST", V2),
        ("PUT", V2),
        ("GET", "/api/v2/log/entries/0"),
        ("GET", "/checkpoint"),
        ("GET", "/tile/0/000.p/1"),
    ] {
        let answer = send(&v1, method, target).await;
        assert_eq!(answer.status, 404, "{target}");
        assert_eq!(
            answer.json()["message"],
            "this ledger has no v2 log: use the Rekor v1 API"
        );
    }
    let v2 = TestLog::of(open_log_for(OF_V2).await);
    assert_eq!(v2.post(V2, &signer.proposal_v2(b"x")).await.status, 201);
    for (method, target) in [
        ("POST", V1),
        ("GET", "/api/v1/log/entries?logIndex=0"),
        ("GET", "/api/v1/log"),
        ("GET", "/api/v1/log/publicKey"),
        ("POST", "/api/v1/index/retrieve"),
    ] {
        let answer = send(&v2, method, target).await;
        let message = "this ledger has no v1 log: use the Rekor v2 API";
        assert_eq!(
            (answer.status, answer.json()),
            (501, json!({"code": 501, "message": message})),
            "{target}"
        );
    }
    for log in [&v1, &v2] {
        let found = log.get("/api/v1/index/search").await.json();
        assert_eq!(found["entries"].as_array().map(Vec::len), Some(1));
        assert_eq!(log.get("/readyz").await.status, 200);
    }
}

async fn send(log: &TestLog, method: &str, target: &str) -> Answer {
    let request = Request::builder().method(method).uri(target);
    log.send(request.body(Body::empty()).expect("a request"))
        .await
}

/// The entries of a bundle.
pub(crate) fn entries(mut bundle: &[u8]) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bundle.split_first_chunk() {
        let (entry, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        entries.push(entry.to_vec());
        bundle = rest;
    }
    entries
}

pub(crate) fn hashes(tile: &[u8]) -> Vec<Hash> {
    let (hashes, rest) = tile.as_chunks();
    assert!(rest.is_empty());
    hashes.iter().copied().map(Hash).collect()
}

/// All that a client of v2 verifies, of an entry in the active tree.
pub(crate) fn verify(log: &TestLog, entry: &Value) {
    verify_in(&log.v2().tree(), entry);
}

/// The same of an entry in one of the trees.
pub(crate) fn verify_in(tree: &Tree, entry: &Value) {
    let number = |value: &Value| {
        value
            .as_str()
            .and_then(|text| text.parse::<u64>().ok())
            .expect("a number as text")
    };
    let proof = &entry["inclusionProof"];
    assert_eq!(entry["logIndex"], proof["logIndex"]);
    let (index, size) = (
        LeafIndex(number(&proof["logIndex"])),
        TreeSize(number(&proof["treeSize"])),
    );
    let path: Vec<Hash> = proof["hashes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(hash)
        .collect();
    let leaf_hash = leaf_hash(entry);
    let root = hash(&proof["rootHash"]);
    tlog::verify_inclusion(&leaf_hash, index, size, &root, &path).expect("included");
    let note = proof["checkpoint"]["envelope"].as_str().expect("a note");
    let checkpoint = open_checkpoint(tree, note);
    assert_eq!((checkpoint.size, checkpoint.root), (size, root));
    let key = NoteKey::new(&tree.origin, tree.log_key.clone()).expect("a key name");
    assert_eq!(hash(&entry["logId"]["keyId"]), key.key_hash());
}

/// Opens a C2SP checkpoint of a tree.
pub(crate) fn open_checkpoint(tree: &Tree, note: &str) -> Checkpoint {
    let key = NoteKey::new(&tree.origin, tree.checkpoint_key.clone()).expect("a key name");
    Checkpoint::open(note, &tree.origin, &[key]).expect("signed by the log under its origin")
}

/// The leaf hash of an entry of v2.
pub(crate) fn leaf_hash(entry: &Value) -> Hash {
    tlog::leaf_hash(&bytes(&entry["canonicalizedBody"]))
}

pub(crate) fn hash(value: &Value) -> Hash {
    Hash(bytes(value).try_into().expect("32 bytes"))
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD
        .decode(value.as_str().expect("a text"))
        .expect("base64")
}
