//! `/trees/…`: every tree of every log below a path of its own.

use std::sync::Arc;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use ledger::{Api, Appended, EntryClaims, HeadForm, Log, NewEntry, SystemClock, Tree, V1, V2};
use serde_json::{Value, json};
use tlog::{Checkpoint, KeyAlgorithm, LeafIndex, NoteKey, Receipt, TileTree, TlogProof, TreeSize};

use crate::life::only_key;
use crate::proposal::{CertifiedSigner, Signer};
use crate::support::{Logs, NAME, OF_V1, OF_V2, TestLog, open_logs};
use crate::v2::{entries, hash, hashes, open_checkpoint, verify_in};

const ENTRIES_V1: &str = "/api/v1/log/entries";
const ENTRIES_V2: &str = "/api/v2/log/entries";

/// The API of a log of leaves that nobody reads.
static OPAQUE: Api = Api {
    name: "opaque",
    log_key: &[KeyAlgorithm::Ed25519],
    heads: HeadForm::Checkpoint,
    max_leaf_bytes: 100,
};

static APIS: [&Api; 3] = [&V1, &V2, &OPAQUE];

/// A ledger with frozen and active trees of both logs.
async fn four_trees() -> TestLog {
    let log = TestLog::start().await;
    let signer = Signer::new();
    for tree in 0..2_u8 {
        for number in 0..2 + tree {
            let artifact = [tree, number];
            for (target, proposal) in [
                (ENTRIES_V1, signer.proposal(&artifact)),
                (ENTRIES_V2, signer.proposal_v2(&artifact)),
            ] {
                let answer = log.post(target, &proposal).await;
                assert_eq!(answer.status, 201, "{}", answer.body);
            }
        }
        if tree == 0 {
            log.rotate_v1().await;
            log.rotate_v2("two.example").await;
        }
    }
    log
}

#[tokio::test]
async fn all_trees_are_listed() {
    let log = four_trees().await;
    let listed = log.get("/trees").await.json();
    let tree = |number: usize| {
        let tree = &listed["trees"][number];
        let id = tree["treeID"].as_str().expect("a text").to_owned();
        let facts = ["log", "firstLogIndex", "treeSize", "state"].map(|name| tree[name].clone());
        (id, json!(facts))
    };
    for (number, facts) in [
        json!(["v1", 0, 2, "frozen"]),
        json!(["v1", 2, 3, "active"]),
        json!(["v2", 0, 2, "frozen"]),
        json!(["v2", 2, 3, "active"]),
    ]
    .into_iter()
    .enumerate()
    {
        let (id, found) = tree(number);
        assert_eq!(found, facts, "{listed}");
        let checkpoint = log.get(&format!("/trees/{id}/checkpoint")).await.body;
        let origin = listed["trees"][number]["origin"].as_str();
        assert_eq!(checkpoint.lines().next(), origin);
    }
}

/// The base64 of a JSON text.
fn bytes(value: &Value) -> Vec<u8> {
    STANDARD
        .decode(value.as_str().expect("a text"))
        .expect("base64")
}

/// Reads a whole tree as a stranger would who has its origin and key.
async fn read_whole(log: &TestLog, tree: &Tree) -> u64 {
    let path = |rest: &str| format!("/trees/{}/{rest}", tree.id);
    let note = log.get(&path("checkpoint")).await;
    assert_eq!(
        (note.header("content-type"), note.header("cache-control")),
        ("text/plain; charset=utf-8", "no-cache")
    );
    let checkpoint = open_checkpoint(tree, &note.body);
    assert!(checkpoint.extensions.is_empty(), "{}", note.body);
    let size = checkpoint.size.0;
    let tile = log.get(&path(&format!("tile/0/000.p/{size}"))).await;
    let bundle = log.get(&path(&format!("tile/entries/000.p/{size}"))).await;
    for resource in [&tile, &bundle] {
        assert_eq!(
            (
                resource.status,
                resource.header("content-type"),
                resource.header("cache-control")
            ),
            (
                200,
                "application/octet-stream",
                "private, max-age=3600, immutable"
            ),
            "its address means this tree alone"
        );
    }
    let leaf_hashes = hashes(&tile.bytes);
    let root = TileTree::new(&leaf_hashes).expect("1 to 256").root();
    assert_eq!(root, checkpoint.root);
    let leaves = entries(&bundle.bytes);
    let bundled: Vec<_> = leaves.iter().map(|leaf| tlog::leaf_hash(leaf)).collect();
    assert_eq!(bundled, leaf_hashes);
    for (index, leaf) in leaves.iter().enumerate() {
        let entry = log.get(&path(&format!("entries/{index}"))).await;
        assert_eq!(
            (entry.status, entry.header("cache-control")),
            (200, "no-cache"),
            "{}",
            entry.body
        );
        assert_eq!(bytes(&entry.json()["canonicalizedBody"]), *leaf);
        let proof = log.get(&path(&format!("entries/{index}/tlog-proof"))).await;
        assert_eq!(
            (proof.header("content-type"), proof.header("cache-control")),
            ("text/plain; charset=utf-8", "no-cache"),
            "{}",
            proof.body
        );
        let proof: TlogProof = proof.body.parse().expect("a tlog-proof");
        assert_eq!(proof.index, LeafIndex(index as u64));
        let key = NoteKey::new(&tree.origin, tree.checkpoint_key.clone()).expect("a name");
        let proved = proof.verify(&leaf_hashes[index], &tree.origin, &[key]);
        assert_eq!(proved.as_ref(), Ok(&checkpoint));
        let asked =
            Request::get(path(&format!("entries/{index}"))).header("accept", "application/cose");
        let receipt = log
            .send(asked.body(Body::empty()).expect("a request"))
            .await;
        assert_eq!(
            (
                receipt.header("content-type"),
                receipt.header("cache-control")
            ),
            (tlog::RECEIPT_MEDIA_TYPE, "no-cache")
        );
        let receipt = Receipt::from_bytes(&receipt.bytes).expect("a receipt");
        assert_eq!(
            (receipt.index, receipt.size),
            (proof.index, checkpoint.size)
        );
        assert_eq!(receipt.origin(), Some(&*tree.origin));
        let proved = receipt.verify(&leaf_hashes[index], &tree.log_key);
        assert_eq!(proved, Ok(checkpoint.root));
    }
    size
}

#[tokio::test]
async fn every_tree_of_every_log_is_read_below_its_id() {
    let log = four_trees().await;
    let mut sizes = Vec::new();
    for one in log.ledger.logs() {
        let shards = one.shards();
        for head in shards.frozen().iter().chain([shards.active()]) {
            sizes.push(read_whole(&log, &head.tree).await);
        }
    }
    assert_eq!(sizes, [2, 3, 2, 3]);
    let v1 = log.v1().tree();
    assert_eq!(v1.origin, format!("{NAME}/trees/{}", v1.id));
    let frozen = log.v2().shards().frozen()[0].tree.clone();
    let by_host = Request::get("/checkpoint").header("host", &frozen.origin);
    let by_host = by_host.body(Body::empty()).expect("a request");
    let by_id = format!("/trees/{}/checkpoint", frozen.id);
    assert_eq!(log.send(by_host).await.body, log.get(&by_id).await.body);
}

#[tokio::test]
async fn an_entry_has_all_that_a_bundle_of_its_api_has() {
    let log = four_trees().await;
    for head in log.v2().shards().active_first() {
        let entry = log.get(&format!("/trees/{}/entries/1", head.tree.id)).await;
        verify_in(&head.tree, &entry.json());
        assert_eq!(entry.json()["logIndex"], "1");
    }
    let shards = log.v1().shards();
    for (head, log_index) in [(&shards.frozen()[0], 1), (shards.active(), 3)] {
        let tree = &head.tree;
        let entry = log.get(&format!("/trees/{}/entries/1", tree.id)).await;
        let entry = entry.json();
        let by_v1 = log.get(&format!("{ENTRIES_V1}?logIndex={log_index}")).await;
        let by_v1 = by_v1.json();
        let by_v1 = &by_v1[only_key(&by_v1)];
        assert_eq!(entry["logIndex"], log_index.to_string());
        assert_eq!(entry["canonicalizedBody"], by_v1["body"]);
        assert_eq!(entry["integratedTime"], by_v1["integratedTime"].to_string());
        assert_eq!(
            entry["kindVersion"],
            json!({"kind": "hashedrekord", "version": "0.0.1"})
        );
        assert_eq!(
            entry["inclusionPromise"]["signedEntryTimestamp"],
            by_v1["verification"]["signedEntryTimestamp"]
        );
        assert_eq!(hash(&entry["logId"]["keyId"]), tree.log_key.log_id());
        let proof = &entry["inclusionProof"];
        assert_eq!(proof["logIndex"], "1", "in its tree");
        let note = proof["checkpoint"]["envelope"].as_str().expect("a note");
        let by_v1 = &by_v1["verification"]["inclusionProof"];
        assert_eq!(by_v1["checkpoint"], note);
        let key = NoteKey::new(NAME, tree.log_key.clone()).expect("a name");
        let origin = format!("{NAME} - {}", tree.id);
        let checkpoint = Checkpoint::open(note, &origin, &[key]).expect("Rekor's text");
        let size = proof["treeSize"].as_str().expect("a text");
        let size = TreeSize(size.parse().expect("a number"));
        let root = hash(&proof["rootHash"]);
        assert_eq!((checkpoint.size, checkpoint.root), (size, root));
        let path = proof["hashes"].as_array().expect("a list");
        let path: Vec<_> = path.iter().map(hash).collect();
        let leaf_hash = tlog::leaf_hash(&bytes(&entry["canonicalizedBody"]));
        tlog::verify_inclusion(&leaf_hash, LeafIndex(1), size, &root, &path).expect("included");
    }
}

#[tokio::test]
async fn a_frozen_tree_has_a_note_that_says_so() {
    let log = four_trees().await;
    for one in log.ledger.logs() {
        let shards = one.shards();
        let frozen = &shards.frozen()[0].tree;
        let note = log.get(&format!("/trees/{}/freeze", frozen.id)).await;
        assert_eq!(
            (note.status, note.header("content-type")),
            (200, "text/plain; charset=utf-8")
        );
        let stated = open_checkpoint(frozen, &note.body);
        assert!(
            stated.extensions[0].starts_with("Log frozen \u{2014} "),
            "{}",
            note.body
        );
        let checkpoint = log.get(&format!("/trees/{}/checkpoint", frozen.id)).await;
        let checkpoint = open_checkpoint(frozen, &checkpoint.body);
        assert_eq!(
            (stated.size, stated.root),
            (checkpoint.size, checkpoint.root)
        );
        let active = shards.active().tree.id;
        let absent = log.get(&format!("/trees/{active}/freeze")).await;
        let message = format!("tree {active} is not frozen");
        assert_eq!(
            (absent.status, absent.json()),
            (404, json!({"code": 404, "message": message}))
        );
    }
}

#[tokio::test]
async fn what_a_tree_does_not_have_is_said() {
    let log = TestLog::start().await;
    log.post(ENTRIES_V1, &Signer::new().proposal(b"x")).await;
    let tree = log.v1().tree().id;
    let absent = tree.0 ^ 1;
    for (target, status, message) in [
        (
            format!("/trees/{absent}/checkpoint"),
            404,
            format!("this ledger has no tree {absent}"),
        ),
        (
            "/trees/x/tile/0/000".to_owned(),
            404,
            "this ledger has no tree x".to_owned(),
        ),
        (
            format!("/trees/0{tree}/checkpoint"),
            404,
            format!("this ledger has no tree 0{tree}"),
        ),
        (
            format!("/trees/{tree}/tile/0/000"),
            404,
            format!("tree {tree} has no tile/0/000"),
        ),
        (
            format!("/trees/{tree}/tile/0/0"),
            404,
            format!("tree {tree} has no tile/0/0"),
        ),
        (
            format!("/trees/{tree}/tile/entries/000.p/2"),
            404,
            format!("tree {tree} has no tile/entries/000.p/2"),
        ),
        (
            format!("/trees/{tree}/entries/1"),
            404,
            format!("tree {tree} has no entries/1"),
        ),
    ] {
        let answer = log.get(&target).await;
        assert_eq!(
            (answer.status, answer.json()["message"].as_str()),
            (status, Some(message.as_str())),
            "{target}"
        );
        assert_eq!(answer.header("cache-control"), "no-cache", "{target}");
    }
    let answer = log.get(&format!("/trees/{tree}/entries/x")).await;
    assert_eq!((answer.status, &answer.json()["code"]), (422, &601.into()));
    let answer = log.post(&format!("/trees/{tree}/checkpoint"), "").await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET,HEAD"));
    let target = format!("/trees/{tree}");
    assert_eq!(log.get(&target).await.status, 404, "{target}");
}

#[tokio::test]
async fn a_leaf_that_no_bundle_holds_goes_into_v1_and_its_bundle_says_where_it_is() {
    let log = TestLog::start().await;
    let large = CertifiedSigner::with_extension(&[7; 50_000]);
    for proposal in [large.proposal(b"x"), Signer::new().proposal(b"x")] {
        let answer = log.post(ENTRIES_V1, &proposal).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    let tree = log.v1().tree().id;
    let entry = log.get(&format!("/trees/{tree}/entries/0")).await;
    assert!(bytes(&entry.json()["canonicalizedBody"]).len() > 65_535);
    let tile = log.get(&format!("/trees/{tree}/tile/0/000.p/2")).await;
    assert_eq!(tile.status, 200);
    let bundle = log
        .get(&format!("/trees/{tree}/tile/entries/000.p/2"))
        .await;
    assert_eq!(bundle.status, 404, "{}", bundle.body);
    let message = bundle.json()["message"]
        .as_str()
        .expect("a text")
        .to_owned();
    assert!(
        message.contains("65535") && message.contains("entries/"),
        "{message}"
    );
}

async fn append(log: &Log, leaf: &str) -> Appended {
    let entry = NewEntry {
        leaf_bytes: leaf.as_bytes().to_vec(),
        kind: "opaque:1".to_owned(),
        index_keys: vec![format!("subject={leaf}")],
        attestation: None,
        claims: EntryClaims::default(),
    };
    log.append(entry).await.expect("appended")
}

/// A log of another API needs a value of [`Api`] and a row in the database, and nothing of the
/// server.
#[tokio::test]
async fn a_third_log_is_a_row_and_a_type() {
    const LOGS: Logs = &[OF_V1[0], OF_V2[0], (&OPAQUE, KeyAlgorithm::Ed25519)];
    let log = TestLog::of(open_logs(Arc::new(SystemClock), LOGS, &APIS).await);
    let signer = Signer::new();
    assert_eq!(
        log.post(ENTRIES_V1, &signer.proposal(b"x")).await.status,
        201
    );
    assert_eq!(
        log.post(ENTRIES_V2, &signer.proposal_v2(b"x")).await.status,
        201
    );
    let opaque = log.ledger.log(&OPAQUE).expect("a third log");
    for leaf in ["one", "two", "\u{0}"] {
        assert!(matches!(append(opaque, leaf).await, Appended::Sequenced(_)));
    }
    assert!(matches!(
        append(opaque, "two").await,
        Appended::Duplicate(_)
    ));
    assert_eq!(read_whole(&log, &opaque.tree()).await, 3);

    let found = log.get("/api/v1/index/search?subject=two").await.json();
    let url = format!("/trees/{}/entries/1", opaque.tree().id);
    assert_eq!(
        (&found["entries"][0]["log"], &found["entries"][0]["url"]),
        (&"opaque".into(), &url.as_str().into())
    );
    let hash = tlog::leaf_hash(b"two");
    let by_hash = log.get(&format!("{ENTRIES_V2}?leafHash={hash}")).await;
    assert_eq!(by_hash.body + "\n", log.get(&url).await.body);
    let all = log.get("/api/v1/index/search").await.json();
    assert_eq!(all["entries"].as_array().map(Vec::len), Some(5));
    for path in [
        "/readyz",
        "/trust/trusted_root.json",
        "/trust/checkpoint.vkey",
    ] {
        assert_eq!(log.get(path).await.status, 200, "{path}");
    }
}
