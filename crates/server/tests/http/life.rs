//! An entry from its proposal to the proofs that a client checks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tlog::{Checkpoint, Hash, LeafIndex, NoteKey, TreeSize, VerifyingKey};

use crate::proposal::Signer;
use crate::support::{NAME, TestLog};

const ENTRIES: &str = "/api/v1/log/entries";

#[tokio::test]
async fn what_a_writer_gets_verifies() {
    let log = TestLog::start().await;
    let signer = Signer::new();
    for artifact in 0..5_u8 {
        let proposal = signer.proposal(&[artifact]);
        let answer = log.post(ENTRIES, &proposal).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        let entry = answer.json();
        let id = only_key(&entry);
        assert_eq!(answer.header("etag"), id, "without quotes");
        assert_eq!(answer.header("location"), format!("{ENTRIES}/{id}"));
        verify(&log, &id, &entry[&id]).await;
        assert_eq!(entry[&id]["logIndex"], artifact);
        assert!(answer.body.ends_with("}\n"));

        let again = log
            .post(&format!("{ENTRIES}/?apiKey=secret&x=1"), &proposal)
            .await;
        assert_eq!(again.status, 409);
        assert_eq!(again.header("location"), format!("{ENTRIES}//{id}?x=1"));
        let message =
            format!("an equivalent entry already exists in the transparency log with UUID {id}");
        assert_eq!(again.json(), json!({"code": 409, "message": message}));
    }
}

#[tokio::test]
async fn what_a_reader_gets_verifies_and_is_the_same_by_every_name() {
    let log = TestLog::start().await;
    let signer = Signer::new();
    let mut ids = Vec::new();
    for artifact in 0..3_u8 {
        let answer = log.post(ENTRIES, &signer.proposal(&[artifact])).await;
        ids.push(only_key(&answer.json()));
    }
    for (index, id) in ids.iter().enumerate() {
        let by_index = log.get(&format!("{ENTRIES}?logIndex={index}")).await;
        assert_eq!(by_index.status, 200);
        verify(&log, id, &by_index.json()[id]).await;
        let escaped = format!("%{:02x}{}", id.as_bytes()[0], &id[1..]);
        for name in [id.clone(), id[16..].to_owned(), id.to_uppercase(), escaped] {
            let by_name = log.get(&format!("{ENTRIES}/{name}")).await;
            assert_eq!(
                by_name.body, by_index.body,
                "{name}: byte for byte, signatures included"
            );
        }
    }
    let other_tree = format!("{:016x}{}", log.v1().tree().id.0 ^ 1, &ids[0][16..]);
    for (name, status) in [
        (other_tree, 404),
        // No tree has the ID 0.
        (format!("{}{}", "0".repeat(16), &ids[0][16..]), 400),
        (format!("{}{}", &ids[0][..16], "0".repeat(64)), 404),
        ("0".repeat(64), 404),
        (format!("8{}{}", "0".repeat(15), &ids[0][16..]), 400),
    ] {
        let answer = log.get(&format!("{ENTRIES}/{name}")).await;
        assert_eq!(answer.status, status, "{name}");
        assert_eq!(answer.body.is_empty(), status == 404);
        assert_eq!(answer.header("content-type").is_empty(), status == 404);
        assert_eq!(
            answer.header("pragma"),
            "no-cache",
            "absence is not for caches either"
        );
    }
}

#[tokio::test]
async fn heads_are_consistent_as_the_log_grows() {
    let log = TestLog::start().await;
    let signer = Signer::new();
    let mut heads: Vec<Value> = Vec::new();
    for artifact in 0..6_u8 {
        log.post(ENTRIES, &signer.proposal(&[artifact])).await;
        heads.push(log.get("/api/v1/log").await.json());
    }
    let root = |head: &Value| hash(&head["rootHash"]);
    let size = |head: &Value| TreeSize(head["treeSize"].as_u64().expect("a size"));
    let newest = heads.last().expect("six heads");
    for head in &heads {
        let checkpoint =
            open_checkpoint(&log, head["signedTreeHead"].as_str().expect("a note")).await;
        assert_eq!((checkpoint.size, checkpoint.root), (size(head), root(head)));
        assert_eq!(head["inactiveShards"], Value::Null);
        assert_eq!(head["treeID"], log.v1().tree().id.to_string());
        let tree = head["treeID"].as_str().expect("digits");
        let target = format!(
            "/api/v1/log/proof?firstSize={}&lastSize={}&treeID={tree}",
            size(head),
            size(newest)
        );
        let proof = log.get(&target).await.json();
        assert_eq!(hash(&proof["rootHash"]), root(newest));
        tlog::verify_consistency(
            size(head),
            &root(head),
            size(newest),
            &root(newest),
            &hashes(&proof["hashes"]),
        )
        .expect("consistent");
    }
}

#[tokio::test]
async fn concurrent_writers_share_one_tree() {
    let log = TestLog::start().await;
    let signer = Signer::new();
    let proposals: Vec<String> = (0..32_u8)
        .map(|artifact| signer.proposal(&[artifact]))
        .collect();
    let answers = futures_util::future::join_all(
        proposals.iter().map(|proposal| log.post(ENTRIES, proposal)),
    )
    .await;
    let mut indexes = Vec::new();
    for answer in answers {
        assert_eq!(answer.status, 201, "{}", answer.body);
        let entry = answer.json();
        let id = only_key(&entry);
        verify(&log, &id, &entry[&id]).await;
        indexes.push(entry[&id]["logIndex"].as_u64().expect("an index"));
    }
    indexes.sort_unstable();
    assert_eq!(indexes, (0..32).collect::<Vec<_>>(), "dense and unique");
}

/// The ID of the one entry of an answer.
pub(crate) fn only_key(entry: &Value) -> String {
    let members = entry.as_object().expect("an object");
    assert_eq!(members.len(), 1, "{entry}");
    members.keys().next().expect("one").clone()
}

/// All that a client verifies: leaf hash, inclusion, checkpoint, signed entry timestamp.
pub(crate) async fn verify(log: &TestLog, id: &str, entry: &Value) {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let body = STANDARD.decode(text(&entry["body"])).expect("base64");
    let leaf_hash = tlog::leaf_hash(&body);
    assert_eq!(id, format!("{:016x}{leaf_hash}", log.v1().tree().id.0));

    let proof = &entry["verification"]["inclusionProof"];
    let index = LeafIndex(proof["logIndex"].as_u64().expect("an index"));
    let size = TreeSize(proof["treeSize"].as_u64().expect("a size"));
    let root = hash(&proof["rootHash"]);
    tlog::verify_inclusion(&leaf_hash, index, size, &root, &hashes(&proof["hashes"]))
        .expect("included");
    let checkpoint = open_checkpoint(log, &text(&proof["checkpoint"])).await;
    assert_eq!((checkpoint.size, checkpoint.root), (size, root));

    let key = log_key(log).await;
    assert_eq!(text(&entry["logID"]), key.log_id().to_string());
    let payload = format!(
        r#"{{"body":{},"integratedTime":{},"logID":{},"logIndex":{}}}"#,
        entry["body"], entry["integratedTime"], entry["logID"], entry["logIndex"]
    );
    let signature = STANDARD
        .decode(text(&entry["verification"]["signedEntryTimestamp"]))
        .expect("base64");
    key.verify(payload.as_bytes(), &signature)
        .expect("the log signed it");
}

async fn open_checkpoint(log: &TestLog, note: &str) -> Checkpoint {
    let key = NoteKey::new(NAME, log_key(log).await).expect("a key name");
    let origin = format!("{NAME} - {}", log.v1().tree().id);
    Checkpoint::open(note, &origin, &[key]).expect("signed by the log")
}

/// As the log gives it out.
async fn log_key(log: &TestLog) -> VerifyingKey {
    let pem = log.get("/api/v1/log/publicKey").await.body;
    let base64: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    VerifyingKey::from_spki(&STANDARD.decode(base64).expect("base64")).expect("a P-256 key")
}

fn hash(value: &Value) -> Hash {
    let mut hash = [0; 32];
    hex::decode_to_slice(value.as_str().expect("a text"), &mut hash).expect("64 digits");
    Hash(hash)
}

fn hashes(value: &Value) -> Vec<Hash> {
    value.as_array().expect("a list").iter().map(hash).collect()
}
