//! Heads that come out of turn. Tasks bring them in turn in nearly every run, so no simulation would
//! notice that this is not checked.

use prometheus::Registry;
use ring::rand::SystemRandom;
use tempfile::TempDir;
use tlog::{Edge, SigningKey};

use super::*;
use crate::guard::memory::MemoryGuard;
use crate::keys::signer::Keys;
use crate::store::sqlite::SqliteStore;
use crate::{TreeId, V2};

/// The heads of an empty tree, whose database stays empty.
async fn heads(folder: &TempDir) -> Heads {
    let rng = SystemRandom::new();
    let pkcs8 = SigningKey::generate_ed25519_pkcs8(&rng).unwrap();
    let key = Arc::new(SigningKey::from_pkcs8(&pkcs8, &rng).unwrap());
    let tree = Arc::new(Tree {
        id: TreeId(1),
        name: "log.example".into(),
        api: &V2,
        origin: "log.example".into(),
        log_id: Hash([0; 32]),
        public_key_pem: String::new(),
        log_key: key.verifying_key().clone(),
        checkpoint_key: key.verifying_key().clone(),
        first_log_index: 0,
        max_leaf_bytes: 65_535,
    });
    let keys = Keys {
        log: Arc::clone(&key),
        checkpoint: key,
    };
    let signer = Signer::new(tree.id, Some(keys), rng);
    let empty = Arc::new(Integrated::empty());
    let published = Head::sign(&tree, &empty, &signer).unwrap();
    let store = SqliteStore::open(&folder.path().join("log.sqlite")).await;
    let parts = HeadsParts {
        store: Arc::new(store.unwrap()),
        guard: Arc::new(MemoryGuard::new("log.example")),
        metrics: Metrics::register(&Registry::new(), "v2").unwrap(),
    };
    Heads::new(parts, signer, Publication::AtOnce, empty, published)
}

/// A head of these leaves.
fn head(leaves: &[&str]) -> Integrated {
    let hashes: Vec<Hash> = leaves
        .iter()
        .map(|leaf| tlog::leaf_hash(leaf.as_bytes()))
        .collect();
    let mut edge = Edge::empty();
    edge.append(&hashes);
    let root = edge.root();
    Integrated::committed(edge, root, 1)
}

#[tokio::test]
async fn a_smaller_head_does_not_replace_the_published_one() {
    let folder = tempfile::tempdir().unwrap();
    let heads = heads(&folder).await;
    for (leaves, size) in [
        (&["a", "b"][..], 2),
        (&["a"], 2),
        (&["a", "b", "c"], 3),
        (&["a", "b"], 3),
    ] {
        let signed = heads.sign(&Arc::new(head(leaves))).unwrap();
        heads.publish(Arc::new(signed));
        assert_eq!(heads.published().size.0, size);
    }
}

#[tokio::test]
async fn a_larger_head_does_not_replace_an_integrated_one_that_it_was_not_built_on() {
    let folder = tempfile::tempdir().unwrap();
    let heads = heads(&folder).await;
    let mut read = heads.store.reader();
    let base = heads.integrated();
    let newest = heads.integrate(&base, head(&["a", "b"]), read.as_mut());
    assert_eq!(newest.await.unwrap().size.0, 2);
    let forked = heads.integrate(&base, head(&["x", "y", "z"]), read.as_mut());
    let refused = forked.await.map(|head| head.size);
    assert!(
        matches!(refused, Err(HeadError::WentBack(_))),
        "{refused:?}"
    );
    assert_eq!(heads.integrated().root, head(&["a", "b"]).root);
    assert!(heads.halted().is_some());
}
