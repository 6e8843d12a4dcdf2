//! Answers of a log in which one part after the other is wrong.

use ring::rand::SystemRandom;
use serde_json::{Value, json};
use tlog::{Checkpoint, Edge, SigningKey, TileId, TileTree};

use super::*;
use crate::key::Window;

fn signing_key(rng: &SystemRandom) -> SigningKey {
    SigningKey::from_pkcs8(&SigningKey::generate_p256_pkcs8(rng).unwrap(), rng).unwrap()
}

fn log_key(key: &SigningKey) -> LogKey {
    LogKey::new(key.verifying_key().clone())
}

/// The second leaf of two, as a log would answer it.
fn answer(key: &SigningKey, rng: &SystemRandom) -> Value {
    let body = STANDARD.encode("leaf");
    let (first, second) = (tlog::leaf_hash(b"other"), tlog::leaf_hash(b"leaf"));
    let root = tlog::node_hash(&first, &second);
    let checkpoint = Checkpoint::new("localhost - 7", TreeSize(2), root)
        .sign("localhost", key, rng)
        .unwrap();
    let log_id = key.verifying_key().log_id();
    let signed =
        format!(r#"{{"body":"{body}","integratedTime":9,"logID":"{log_id}","logIndex":1}}"#);
    json!({ format!("0000000000000007{second}"): {
        "body": body, "integratedTime": 9, "logID": log_id.to_string(), "logIndex": 1,
        "verification": {
            "inclusionProof": {
                "checkpoint": checkpoint, "hashes": [first.to_string()], "logIndex": 1, "rootHash": root.to_string(), "treeSize": 2,
            },
            "signedEntryTimestamp": STANDARD.encode(key.sign(signed.as_bytes(), rng).unwrap()),
        },
    }})
}

#[test]
fn every_part_of_an_entry_counts() {
    let rng = SystemRandom::new();
    let key = signing_key(&rng);
    let verify = |answer: &Value| verify_entry(&log_key(&key), answer.to_string().as_bytes());
    let good = answer(&key, &rng);
    let id = good.as_object().unwrap().keys().next().unwrap().clone();
    let verified = verify(&good).unwrap();
    assert_eq!(
        (&verified.id, verified.log_index, verified.artifact),
        (&id, 1, None)
    );

    let zeros = "0".repeat(64);
    for (path, value) in [
        ("body", json!(STANDARD.encode("leaF"))),
        ("integratedTime", json!(8)),
        ("logIndex", json!(0)),
        ("verification/inclusionProof/logIndex", json!(0)),
        ("verification/inclusionProof/treeSize", json!(3)),
        ("verification/inclusionProof/rootHash", json!(zeros)),
        ("verification/inclusionProof/hashes/0", json!(zeros)),
        (
            "verification/inclusionProof/checkpoint",
            json!("localhost - 7\n2\n"),
        ),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(&format!("/{id}/{path}")).unwrap() = value;
        assert!(verify(&bad).is_err(), "{path}");
    }
    assert!(verify_entry(&log_key(&signing_key(&rng)), good.to_string().as_bytes()).is_err());
    assert!(verify(&json!({})).is_err());
}

#[test]
fn a_key_counts_only_in_its_window() {
    let rng = SystemRandom::new();
    let key = signing_key(&rng);
    let good = answer(&key, &rng).to_string();
    let public = key.verifying_key();
    for (start, end, is_good) in [
        (0, None, true),
        (9, Some(9), true),
        (10, None, false),
        (0, Some(8), false),
    ] {
        let window = Window { start, end };
        let trusted = LogKey::of_trusted_root(public.clone(), public.log_id(), window);
        let entry = open_entry(&[log_key(&signing_key(&rng)), trusted], good.as_bytes());
        assert_eq!(entry.is_ok(), is_good, "{window:?}");
    }
}

#[test]
fn an_id_names_the_tree_of_the_checkpoint() {
    let rng = SystemRandom::new();
    let key = signing_key(&rng);
    let good = answer(&key, &rng).to_string();
    let open = |answer: String| open_entry(&[log_key(&key)], answer.as_bytes());
    let entry = open(good.clone()).unwrap();
    assert_eq!(entry.inclusion.head.tree_id(), Some("7"));
    assert_eq!((entry.time, &*entry.body), (Some(9), &b"leaf"[..]));
    let id = "0000000000000007";
    open(good.replace(id, "")).unwrap();
    for bad in ["0000000000000008", "07", "7", "000000000000000007"] {
        open(good.replace(id, bad)).unwrap_err();
    }
}

#[test]
fn all_heads_are_opened() {
    let rng = SystemRandom::new();
    let (old, new) = (signing_key(&rng), signing_key(&rng));
    let shard = |tree: &str, size, key: &SigningKey| {
        let root = tlog::leaf_hash(tree.as_bytes());
        let note = Checkpoint::new(format!("localhost - {tree}"), TreeSize(size), root);
        let note = note.sign("localhost", key, &rng).unwrap();
        json!({"rootHash": root.to_string(), "signedTreeHead": note, "treeID": tree, "treeSize": size})
    };
    let mut head = shard("9", 5, &new);
    head["inactiveShards"] = json!([shard("7", 3, &old), shard("8", 4, &new)]);
    let keys = [log_key(&new), log_key(&old)];
    let open = |head: &Value| open_heads(&keys, head.to_string().as_bytes());
    let heads = open(&head).unwrap();
    assert_eq!(
        (heads.first_log_index(), heads.active.size()),
        (7, TreeSize(5))
    );
    assert_eq!(heads.of_tree("7"), heads.inactive.first());
    assert_eq!(heads.of_tree("1"), None);
    for (path, value) in [
        ("/treeID", json!("7")),
        ("/treeSize", json!(6)),
        ("/inactiveShards/0/treeID", json!("8")),
        ("/inactiveShards/1/treeSize", json!(5)),
    ] {
        let mut bad = head.clone();
        *bad.pointer_mut(path).unwrap() = value;
        open(&bad).unwrap_err();
    }
    assert!(open_heads(&keys[..1], head.to_string().as_bytes()).is_err());
}

#[test]
fn a_batch_is_taken_apart() {
    let rng = SystemRandom::new();
    let key = signing_key(&rng);
    let taken = json!({"status": 201, "entry": answer(&key, &rng)});
    let refused = json!({"status": 409, "error": {"code": 409, "message": "m"}, "location": "l"});
    let results = |results: &[&Value]| json!({"results": results}).to_string().into_bytes();
    let verify = |answer: &[u8], digest| verify_batch(&log_key(&key), answer, &|_| digest, 2);
    // The leaf of this test is about no artifact.
    assert!(verify(&results(&[&refused, &taken]), Hash([0; 32])).is_err());
    verify(&results(&[&refused, &refused]), Hash([0; 32])).unwrap();
    assert!(verify(&results(&[&refused]), Hash([0; 32])).is_err());
}

#[test]
fn a_head_is_that_of_its_checkpoint() {
    let rng = SystemRandom::new();
    let key = signing_key(&rng);
    let root = tlog::leaf_hash(b"leaf");
    let note = Checkpoint::new("localhost - 7", TreeSize(1), root)
        .sign("localhost", &key, &rng)
        .unwrap();
    let head = |size: u64, root: Hash, shards: Value| {
        let head = json!({"inactiveShards": shards, "rootHash": root.to_string(), "signedTreeHead": note, "treeID": "7", "treeSize": size});
        log_key(&key).open_head(head.to_string().as_bytes())
    };
    let shard =
        |size| json!({"rootHash": "", "signedTreeHead": "", "treeID": "5", "treeSize": size});
    let shards = json!([shard(40), shard(2)]);
    assert_eq!(head(1, root, shards).unwrap().first_log_index, 42);
    assert_eq!(head(1, root, Value::Null).unwrap().first_log_index, 0);
    assert!(head(2, root, Value::Null).is_err());
    assert!(head(1, tlog::leaf_hash(b""), Value::Null).is_err());
}

#[test]
fn consistency_needs_no_first_root() {
    let leaves: Vec<_> = (0_u8..100).map(|leaf| tlog::leaf_hash(&[leaf])).collect();
    let mut edge = Edge::empty();
    edge.append(&leaves);
    let head = HeadV1 {
        first_log_index: 0,
        size: edge.size(),
        root: edge.root(),
    };
    let tile = std::sync::Arc::new(TileTree::new(&leaves).unwrap());
    let tiles = std::collections::HashMap::from([(TileId { level: 0, index: 0 }, tile)]);
    for first in (1..100_u64).filter(|first| !first.is_power_of_two()) {
        let proof = tlog::consistency_proof(TreeSize(first), head.size, &tiles).unwrap();
        let answer = |hashes: &[Hash]| {
            json!({"rootHash": "", "hashes": hashes.iter().map(Hash::to_string).collect::<Vec<_>>()}).to_string()
        };
        verify_consistency(first, &head, answer(&proof).as_bytes()).unwrap();
        for position in 0..proof.len() {
            let mut bad = proof.clone();
            bad[position] = tlog::leaf_hash(b"bad");
            assert!(
                verify_consistency(first, &head, answer(&bad).as_bytes()).is_err(),
                "{first}: {position}"
            );
        }
        assert!(verify_consistency(first, &head, answer(&proof[1..]).as_bytes()).is_err());
    }
}

#[test]
fn a_search_finds_what_was_asked_for() {
    verify_search("b", br#"["a","b"]"#).unwrap();
    assert!(verify_search("b", br#"["a","bb"]"#).is_err());
    assert!(verify_search("b", br#"{"b":1}"#).is_err());
}

#[test]
fn artifacts_of_both_versions_are_found() {
    let digest = tlog::sha256(b"artifact");
    let v1 =
        json!({"spec": {"data": {"hash": {"algorithm": "sha256", "value": digest.to_string()}}}});
    let v2 = json!({"spec": {"hashedRekordV002": {"data": {"algorithm": "SHA2_256", "digest": STANDARD.encode(digest)}}}});
    let sha512 = json!({"spec": {"data": {"hash": {"value": "00".repeat(64)}}}});
    for (body, want) in [
        (v1, Some(digest)),
        (v2, Some(digest)),
        (sha512, None),
        (json!(1), None),
    ] {
        assert_eq!(artifact(&STANDARD.encode(body.to_string())), want, "{body}");
    }
}
